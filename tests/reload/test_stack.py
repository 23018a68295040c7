"""The whole stack with ``CONFIG_RELOAD=on-change``: the incident does not happen, and what is refused is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from runbooks import Target
from runbooks.lab import Lab
from tests.reload.edits import atomic_rename
from tests.support.waiting import wait_until


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """As in the incident: the file was edited after the worker had read its settings."""
    monkeypatch.setenv("CONFIG_RELOAD", "on-change")
    lab = Lab.start(tmp_path.resolve() / "lab", incident=True, free_ports=True)
    yield lab
    lab.discard()


def pids(lab: Lab) -> dict[str, tuple[int | None, ...]]:
    worker = lab.state.service("worker").pid
    children = psutil.Process(worker).children() if worker else []
    api = lab.state.service("api").pid
    return {"api": (api,), "worker": (worker, *sorted(child.pid for child in children))}


def url_of_a_new_job(target: Target) -> str:
    job = target.wait_for_job(target.create_job().id, timeout=20.0)
    if job.status == "completed":
        return target.mock_url
    assert f"{target.real_url}:" in (job.error_message or ""), job.error_message
    return target.real_url


def wait_for_all_to_hold(target: Target, url: str) -> None:
    """One job says what one pool child holds. Another may not have looked yet, and must before the next edit."""

    def hold() -> bool:
        processes = httpx.get(f"{target.api_url}/api/v1/health", trust_env=False).json()["processes"]
        return {process["comfyui_url"] for process in processes} == {url}

    wait_until(hold, 10, f"everybody to hold {url}")


def wait_for_all_to_tell(target: Target, problem: str) -> None:
    """The API, the main process and every pool child name it in health, and health names it once for all of them."""

    def told() -> bool:
        health = httpx.get(f"{target.api_url}/api/v1/health", trust_env=False).json()
        told_by = {process["role"] for process in health["processes"] if problem in (process["problem"] or "")}
        return told_by == {"api", "worker main", "pool child"} and health["configuration"]["output"].count(problem) == 1

    wait_until(told, 10, f"everybody to tell of {problem}")


@pytest.mark.e2e
def test_an_edit_reaches_the_next_job_and_the_next_request_without_a_restart(lab: Lab) -> None:
    target = Target.from_environment(lab.environment())
    file = lab.root / "env" / f".env.{target.env_target}"
    shared = lab.root / "env" / ".env.shared"
    worker_log, api_log = lab.root / "logs" / "worker.log", lab.root / "logs" / "api.log"
    running = pids(lab)

    # The stale worker of the incident: started with the old URL in its environment, and not stale.
    environ = psutil.Process(running["worker"][0]).environ()
    assert environ["COMFYUI_URL"] == target.real_url
    wait_until(lambda: url_of_a_new_job(target) == target.mock_url, 20, "a job to go to the new URL")

    mock = file.read_text()
    atomic_rename(file, mock.replace(target.mock_url, target.real_url))
    wait_until(lambda: url_of_a_new_job(target) == target.real_url, 20, "a job to go back to the old URL")
    wait_for_all_to_hold(target, target.real_url)
    assert "Settings changed: comfyui-url (env/.env.local-demo:2)" in worker_log.read_text()

    # Broken: both say so, and go on with what they had.
    atomic_rename(file, mock.replace(target.mock_url, "localhost"))
    broken = "The last edit of the settings is not in force, the last good settings are: env/.env.local-demo:2"
    wait_until(lambda: target.check_api() and broken in api_log.read_text(), 10, "the API to name the broken edit")
    assert url_of_a_new_job(target) == target.real_url
    wait_until(lambda: broken in worker_log.read_text(), 10, "the worker to name the broken edit")
    wait_for_all_to_tell(target, "the last edit is not in force: env/.env.local-demo:2")

    # Refused: the broker cannot change under a running process.
    atomic_rename(file, mock)
    shared.write_text(shared.read_text() + "REDIS_URL=redis://localhost:1/0\n")
    refused = "was edited and needs a restart: this process keeps what it started with."
    wait_until(
        lambda: target.check_api() and refused in api_log.read_text(), 10, "the API to name what needs a restart"
    )
    wait_until(lambda: url_of_a_new_job(target) == target.mock_url, 20, "a job to go to the mock again")
    assert refused in worker_log.read_text()
    wait_for_all_to_tell(target, f"REDIS_URL (env/.env.shared:{len(shared.read_text().splitlines())}) needs a restart")
    assert pids(lab) == running, "nothing was restarted"
