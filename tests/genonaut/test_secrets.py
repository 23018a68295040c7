"""Secrets in the files of a running stack reach nothing that anybody sees."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from redis import Redis
from typer.testing import CliRunner

from runbooks.cli import app
from runbooks.drift.healthjson import MEDIA_TYPE
from runbooks.genonaut.store import DEMO_USER_ID
from runbooks.lab import Lab
from tests.support.planted import NAMES, PLANTED
from tests.support.waiting import wait_until

MASKED = "http://me:****@localhost:1"
HEALTH, JOB = "/api/v1/health", "/api/v1/generation-jobs/1"
PATHS = (
    "/",
    "/?job=1",
    "/jobs/1/panel",
    "/status",
    "/status.json",
    HEALTH,
    "/livez",
    "/readyz",
    JOB,
    "/openapi.json",
)


def has_failed(api: httpx.Client) -> bool:
    """Whether job 1 has; it is made here if the new worker was too slow for the proof of the restart."""
    job = api.get(JOB)
    if job.status_code == 404:
        api.post(
            "/api/v1/generation-jobs/", json={"user_id": str(DEMO_USER_ID), "job_type": "image", "prompt": "a fox"}
        )
    return bool(job.json().get("error_message"))


def everything_that_shows(lab: Lab) -> dict[str, str]:
    """What the command line prints, what the API answers, what stands in logs and in the broker."""
    shown = {}
    for words in ("doctor", "doctor --json", "restart-worker --dry-run", "restart-worker --yes --json", "status"):
        shown[words] = CliRunner().invoke(app, [*words.split(), "--root", str(lab.root)]).output
    shown["doctor, afterwards"] = CliRunner().invoke(app, ["doctor", "--root", str(lab.root)]).output
    with httpx.Client(base_url=lab.environment()["API_URL"], trust_env=False, timeout=20) as api:
        wait_until(
            lambda: has_failed(api) and MASKED in api.get(HEALTH).text, 30, "the job to fail, and the worker to report"
        )
        for path in PATHS:
            for accept in ("application/json", MEDIA_TYPE, "text/html"):
                shown[f"{path} as {accept}"] = api.get(path, headers={"Accept": accept}).text
        for path in ("/status/events", "/status/events?as=html"):
            with api.stream("GET", path) as events:
                shown[path] = next(line for line in events.iter_lines() if line.startswith("data: "))
    with Redis.from_url(lab.environment()["REDIS_URL"]) as broker:
        for key in broker.scan_iter():
            shown[repr(key)] = repr(broker.dump(key))
    for log in (lab.root / "logs").iterdir():
        shown[log.name] = log.read_text(errors="replace")
    return shown


@pytest.mark.e2e
def test_no_secret_of_the_files_is_shown_printed_logged_or_kept_in_the_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lab.start(tmp_path / "lab", free_ports=True) as lab:
        for name, value in lab.environment().items():
            monkeypatch.setenv(name, value)
        file = lab.root / "env" / ".env.local-demo"
        lines = [f"{name}={PLANTED}-{number}" for number, name in enumerate(NAMES)]
        # Nothing listens there, so that the job fails and says where it went.
        url = f"COMFYUI_URL=http://me:{PLANTED}@localhost:1"
        folder = f"COMFYUI_OUTPUT_DIR={lab.environment()['MOCK_OUTPUT_DIR']}"
        file.write_text("\n".join([url, folder, *lines, ""]))
        shown = everything_that_shows(lab)

    assert [where for where, text in shown.items() if PLANTED in text] == []
    # It would be easy to show nothing at all.
    job = json.loads(shown[f"{JOB} as application/json"])
    assert f"Failed to connect to ComfyUI at {MASKED}" in job["error_message"]
    for where in ("doctor", "doctor --json", "restart-worker --yes --json", f"{HEALTH} as application/json"):
        assert MASKED in shown[where], where
    for where in ("/status as text/html", "/status.json as text/html", "/status/events", "/status/events?as=html"):
        assert MASKED in shown[where], where
    assert shown["worker.log"].count(MASKED) > 1
    assert all(name in shown["restart-worker --dry-run"] for name in NAMES)
