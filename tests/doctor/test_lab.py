"""The incident, made in a lab and seen by the doctor; and the wrong database, which only a real worker has."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runbooks.cli import app
from runbooks.doctor import examine
from runbooks.lab import Lab
from runbooks.workers import restart_worker
from tests.support.waiting import wait_until

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.e2e
def test_the_incident_is_seen_within_two_seconds_of_the_edit_and_gone_after_the_cure(tmp_path: Path) -> None:
    lab = Lab.start(tmp_path.resolve() / "lab", free_ports=True, comfyui=True)
    try:
        see_the_incident(lab)
        see_it_cured(lab)
        see_the_wrong_database(lab)
    finally:
        lab.discard()


def see_the_incident(lab: Lab) -> None:
    environment = lab.environment()
    old, new = environment["COMFYUI_REAL_URL"], environment["MOCK_URL"]
    file = lab.root / "env" / ".env.local-demo"
    edited = time.time()
    file.write_text(f"COMFYUI_URL={new}\nCOMFYUI_OUTPUT_DIR={environment['MOCK_OUTPUT_DIR']}\n")
    shown = CliRunner().invoke(app, ["doctor", "--root", str(lab.root), "--json"])
    assert time.time() - edited < 2
    assert shown.exit_code == 1, shown.output
    said = json.loads(shown.stdout)
    (worker,) = [service.pid for service in lab.services() if service.name == "worker"]
    first = said["findings"][0]
    assert (first["id"], first["pid"], first["keys"]) == ("worker-stale", worker, ["COMFYUI_URL"])
    assert first["what"] == f"The worker (pid {worker}) holds COMFYUI_URL={old}, and the files say {new}."
    assert (first["where"], first["certainty"]) == ("env/.env.local-demo:1", "certain")
    assert abs(datetime.fromisoformat(first["since"]).timestamp() - edited) < 1
    assert first["cure"] == f"runbooks restart-worker --root {lab.root}"
    assert (DOCS / first["page"]).is_file()
    assert "api-differs" in {finding["id"] for finding in said["findings"]}
    holds = {process["role"]: process for process in said["processes"]}
    assert {key["variable"] for key in holds["worker"]["keys"] if key["agreement"] == "differs"} == {
        "COMFYUI_URL",
        "COMFYUI_OUTPUT_DIR",
    }
    assert {seen["url"]: seen["who"] for seen in said["comfyui"]} == {new: "kernie-gen", old: "nobody"}

    words = CliRunner().invoke(app, ["doctor", "--root", str(lab.root)]).stdout.splitlines()
    assert words[0].startswith("✗ The worker holds an older value than the files.")
    assert words[2] == f"✗ The worker (pid {worker}) holds COMFYUI_URL={old}, and the files say {new}."
    assert "  Page   docs/runbooks/restart-the-worker.md   [worker-stale]" in words
    assert len(words) <= 24


def see_it_cured(lab: Lab) -> None:
    restart_worker(lab.state.env_target, lab.root)
    # Its pool children say themselves what they hold, a moment later.
    wait_until(lambda: examine(lab.root).subjects[0].reported, 10, "the new worker's reports")
    diagnosis = examine(lab.root)
    assert diagnosis.exit_code == 0, diagnosis.findings
    worker = diagnosis.subjects[0]
    assert worker.key("COMFYUI_URL") is not None
    assert all("the report of pool child" in key.why for key in worker.keys)
    assert CliRunner().invoke(app, ["doctor", "--root", str(lab.root)]).stdout.startswith("✓ Fine")


def see_the_wrong_database(lab: Lab) -> None:
    shared = lab.root / "env" / ".env.shared"
    url = lab.environment()["REDIS_URL"]
    used = int(url.rpartition("/")[2])
    other = (used + 1) % 16
    shared.write_text(shared.read_text().replace(url, f"{url.rpartition('/')[0]}/{other}"))
    found = [finding for finding in examine(lab.root).findings if finding.kind.id == "broker-database"]
    assert [finding.what.partition(") ")[2] for finding in found] == [
        f"listens on database {used} of the broker, and the files name {other}."
    ]
