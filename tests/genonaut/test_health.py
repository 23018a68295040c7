"""Health: what was recorded comes first and unchanged; what every process runs with comes after it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from runbooks.drift.healthjson import MEDIA_TYPE, wants_health_json
from runbooks.genonaut import holding
from runbooks.genonaut.api.app import create_app
from runbooks.genonaut.store import JobStore
from runbooks.lab import Lab
from tests.genonaut.conftest import FakeQueue, served
from tests.genonaut.recordings import assert_answers_alike, recording
from tests.reload.installation import make_installation
from tests.support.waiting import wait_until

HEALTH = "/api/v1/health"
DRAFT = {"Accept": MEDIA_TYPE}


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        # The broker is stopped here, so it must be an embedded one.
        for name in ("REDIS_URL", "CELERY_BROKER_URL"):
            patch.delenv(name, raising=False)
        lab = Lab.start(tmp_path_factory.mktemp("lab") / "root", free_ports=True, incident=True)
    yield lab
    lab.discard()


@pytest.fixture(scope="module")
def asked(incident: Lab) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=incident.environment()["API_URL"], trust_env=False, timeout=10) as client:
        yield client


def processes(asked: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked.get(HEALTH).json()["processes"]
    return found


def wait_for_all(asked: httpx.Client) -> list[dict[str, Any]]:
    def all_report() -> list[dict[str, Any]]:
        found = processes(asked)
        roles = [process["role"] for process in found]
        return found if {"api", "worker main", "pool child"} <= set(roles) else []

    return wait_until(all_report, 20, "not every process reports")


def median_ms(asked: httpx.Client, times: int = 25) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        asked.get(HEALTH)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1000


@pytest.mark.e2e
def test_the_incident_is_told_by_health_with_process_key_values_origins_and_page(
    incident: Lab, asked: httpx.Client
) -> None:
    found = wait_for_all(asked)
    old, new = incident.environment()["COMFYUI_REAL_URL"], incident.environment()["MOCK_URL"]
    worker = incident.state.service("worker").pid

    answer = asked.get(HEALTH)
    recorded = recording("api_health_ok").answer
    body = answer.json()
    assert list(body)[: len(recorded)] == list(recorded)
    assert_answers_alike({key: body[key] for key in recorded}, recorded)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")

    by_role = {process["role"]: process for process in found}
    api, main, child = (by_role[role] for role in ("api", "worker main", "pool child"))
    assert (api["comfyui_url"], api["agrees_with_files"], api["agrees_with_others"]) == (new, True, False)
    for process in (main, child):
        assert (process["comfyui_url"], process["agrees_with_files"], process["agrees_with_others"]) == (
            old,
            False,
            False,
        )
        assert process["comfyui_url_origin"] == "environment variable COMFYUI_URL", "make has sourced the file"
    assert api["comfyui_url_origin"] == "env/.env.local-demo:2"
    assert (main["pid"], child["parent"]) == (worker, worker)
    assert main["queues"] == ["default", "generation"]

    (url,) = [drift for drift in body["drift"] if drift["key"] == "COMFYUI_URL"]
    assert body["configuration"]["status"] == "warn"
    assert f"worker main {worker}" in url["processes"]
    assert url["output"] in body["configuration"]["output"]
    for word in (f"orker main {worker} with", "pool child", "COMFYUI_URL", old, new, "env/.env.local-demo:2"):
        assert word in url["output"]
    assert (Path(__file__).parents[2] / "docs" / url["page"]).is_file()


@pytest.mark.e2e
def test_an_edit_is_seen_by_health_within_two_seconds_and_so_is_its_return(incident: Lab, asked: httpx.Client) -> None:
    wait_for_all(asked)
    file = incident.root / "env" / ".env.local-demo"
    text = file.read_text()

    def drifting(key: str) -> bool:
        return any(drift["key"] == key and drift["matters"] for drift in asked.get(HEALTH).json()["drift"])

    def output() -> str:
        return str(asked.get(HEALTH).json()["configuration"]["output"])

    try:
        file.write_text(f"{text}COMFYUI_TIMEOUT=77\n")
        wait_until(lambda: drifting("COMFYUI_TIMEOUT"), 2, "the edit is not seen")
        file.write_text("COMFYUI_URL is broken\n")
        wait_until(lambda: "cannot be read" in output(), 2, "a broken file is not told")
        told = output()
        assert ".env.local-demo:1" in told
        assert "is broken" not in told, "what stands there may be a secret"
    finally:
        file.write_text(text)
    wait_until(lambda: not drifting("COMFYUI_TIMEOUT"), 2, "its return is not seen")


@pytest.mark.e2e
def test_drift_is_a_warning_for_probes_and_never_takes_the_api_out_of_service(asked: httpx.Client) -> None:
    wait_for_all(asked)
    for path in (HEALTH, "/readyz", "/livez"):
        answer = asked.get(path, headers=DRAFT)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == MEDIA_TYPE
        body = answer.json()
        assert body["status"] == ("pass" if path == "/livez" else "warn")
        assert body["serviceId"] == "genonaut"
    checks = asked.get(HEALTH, headers=DRAFT).json()["checks"]
    assert checks["database:connection"][0]["status"] == "pass"
    states = {check["componentId"].rpartition(" ")[0]: check["status"] for check in checks["settings:agreement"]}
    assert states == {"API": "pass", "worker main": "warn", "pool child": "warn"}


@pytest.mark.e2e
def test_health_answers_at_once_with_the_worker_stopped_and_with_it_dead(incident: Lab, asked: httpx.Client) -> None:
    wait_for_all(asked)
    pid = incident.state.service("worker").pid
    assert pid
    main = psutil.Process(pid)

    def main_is(state: str) -> bool:
        return [process["state"] for process in processes(asked) if process["pid"] == pid] == [state]

    # On an idle machine 2 ms; the limit of the issue is 10, and other tests run meanwhile.
    assert median_ms(asked) < 30
    main.suspend()
    wait_until(lambda: main_is("silent"), 10, "a stopped worker is not silent")
    assert "no word since" in asked.get(HEALTH).json()["configuration"]["output"]
    assert median_ms(asked) < 30
    main.resume()
    wait_until(lambda: main_is("reporting"), 10, "it does not speak again")

    family = [main, *main.children()]
    for process in family:
        process.kill()
    wait_until(lambda: {process["role"] for process in processes(asked)} == {"api"}, 15, "the dead are still shown")
    assert asked.get(HEALTH).json()["configuration"]["output"].endswith("No worker reports.")
    assert median_ms(asked) < 30


@pytest.mark.e2e
def test_without_a_broker_the_recorded_health_is_the_recorded_one_and_readiness_fails(
    incident: Lab, asked: httpx.Client
) -> None:
    broker = incident.state.service("broker").process
    assert broker
    psutil.Process(broker.pid).kill()
    wait_until(lambda: asked.get("/readyz").status_code == 503, 5, "it says that it can take jobs")
    body = asked.get(HEALTH).json()
    assert (body["status"], body["error"], body["processes"]) == ("healthy", None, [])
    assert "Nothing is known of the other processes" in body["configuration"]["output"]
    assert asked.get(HEALTH, headers=DRAFT).status_code == 503
    assert asked.get("/livez").status_code == 200


def test_without_its_job_store_the_api_lives_and_is_not_ready(tmp_path: Path) -> None:
    store = JobStore(f"sqlite:///{tmp_path / 'no' / 'folder' / 'jobs.db'}")
    with served(create_app(store, FakeQueue())) as api:
        assert api.get("/livez").status_code == 200
        assert api.get("/readyz").status_code == 503
        plain = api.get(HEALTH)
        assert (plain.status_code, plain.json()["status"]) == (200, "unhealthy")
        draft = api.get(HEALTH, headers=DRAFT)
        assert (draft.status_code, draft.json()["status"]) == (503, "fail")


def test_what_a_process_that_follows_its_files_does_not_obey_is_told_without_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = make_installation(tmp_path / "root", {"COMFYUI_URL": "http://me:hunter2@localhost:1"})
    following = installation.start()
    installation.shared.write_text("REDIS_URL=redis://:hunter3@localhost:2/0\nCOMFYUI_URL=http://localhost:4\n")
    installation.target.write_text("COMFYUI_URL=http://localhost:3\n")
    wait_until(lambda: (following.current(), following.state.shadowed)[1], 10, "the edit to be seen")
    monkeypatch.setattr(holding, "reloader", lambda: following)
    monkeypatch.setattr(holding, "current_settings", following.current)
    told = holding.settings_in_use()
    assert told.problem == (
        "REDIS_URL (env/.env.shared:1) needs a restart; "
        "COMFYUI_URL (env/.env.local-demo:1) is hidden by the exported variable"
    )


@pytest.mark.parametrize(
    ("accept", "wants"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/health+json", True),
        ("Application/Health+JSON;q=0.9, */*", True),
        ("application/health+json, application/json;q=0.5", True),
        ("application/health+json;q=0.5, application/json", False),
        ("application/health+json;q=0", False),
        ("application/health+json;q=much", False),
    ],
)
def test_the_drafts_format_is_for_those_who_ask_for_it(accept: str, wants: bool) -> None:
    assert wants_health_json(accept) is wants
