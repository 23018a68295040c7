"""The doctor at an installation that knows nothing of us, with stand-ins that start at once."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from runbooks.doctor import Diagnosis, Outcome, examine
from runbooks.drift import Certainty, look_at
from runbooks.drift.findings import CATALOGUE, Finding
from tests.drift.test_doctor_comfy import KERNIE, OWN_MOCK, REAL, served
from tests.support.silent import a_server_that_is_silent
from tests.support.waiting import wait_until
from tests.workers.installation import ARGV, NEW, OLD, STANDIN, Installation

UVICORN = Path(__file__).parent / "standin" / "uvicorn"
SERVICES = {"broker-down", "comfyui-down", "api-none"}
"""What is always found where nothing but a stand-in runs."""


def look(here: Installation) -> Diagnosis:
    return examine(here.root, "local-demo")


def ids(diagnosis: Diagnosis) -> set[str]:
    return {finding.kind.id for finding in diagnosis.findings} - SERVICES


def only(diagnosis: Diagnosis, kind: str) -> Finding:
    found = [finding for finding in diagnosis.findings if finding.kind.id == kind]
    assert len(found) == 1, [f"{finding.kind.id}: {finding.what}" for finding in diagnosis.findings]
    return found[0]


def edit(here: Installation, name: str, text: str) -> None:
    """An edit a moment after everything that runs was started: a start within 50 ms of it counts as one before."""
    file = here.write(name, text)
    later = time.time() + 1
    os.utime(file, (later, later))


def api(here: Installation, *more: str, **environ: str) -> int:
    """Something that looks like the API; its pid."""
    log = here.root / "logs" / "api.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, str(UVICORN), "genonaut.api.main:app", *more]
    pid = here.run(command, {"ENV_TARGET": "local-demo", **environ}, log)
    wait_until(lambda: "ComfyUI" in log.read_text(), 10, "the stand-in to be there")
    return pid


def test_a_worker_that_was_started_before_the_edit_is_named_with_both_values_and_the_page(here: Installation) -> None:
    worker = here.standin()
    edit(here, "env/.env.local-demo", f"# the mock\nCOMFYUI_URL={NEW}\n")
    diagnosis = look(here)
    finding = only(diagnosis, "worker-stale")
    # Nothing goes on without a broker; then comes what decides where jobs go.
    assert [found.kind.id for found in diagnosis.findings[:2]] == ["broker-down", "worker-stale"]
    assert finding.what == f"The worker (pid {worker.pid}) holds COMFYUI_URL={OLD}, and the files say {NEW}."
    assert (finding.where, finding.certainty) == ("env/.env.local-demo:2", Certainty.CERTAIN)
    assert finding.kind.page == "runbooks/restart-the-worker.md"
    assert finding.cure == f"runbooks restart-worker --root {here.root}"
    assert finding.since is not None
    assert finding.since > worker.started
    assert "At that URL " in finding.evidence
    assert diagnosis.exit_code == 1


def test_a_worker_whose_value_came_from_json_is_told_by_its_own_log(here: Installation) -> None:
    here.write("env/.env.local-demo", "\n")
    here.run([sys.executable, str(STANDIN), *ARGV], {"ENV_TARGET": "local-demo"})
    wait_until(lambda: here.log.exists() and "ready" in here.log.read_text(), 10, "the stand-in to be there")
    with here.log.open("a") as log:
        log.write(f"[Celery Worker] ComfyUI URL: {OLD}\n")
    edit(here, "config/local-demo.json", f'{{"comfyui-url": "{NEW}"}}')
    finding = only(look(here), "worker-stale")
    assert (finding.certainty, finding.where) == (Certainty.LIKELY, "config/local-demo.json:1")
    assert "its own log (worker.log) says so" in finding.evidence


def test_an_exported_variable_is_told_from_a_stale_file(here: Installation) -> None:
    here.write("env/.env.local-demo", "COMFYUI_OUTPUT_DIR=comfyui\n")
    here.write("config/local-demo.json", f'{{"comfyui-url": "{NEW}"}}')
    here.standin()
    finding = only(look(here), "worker-shadowed")
    assert finding.keys == ("COMFYUI_URL",)
    assert "a variable exported before" in finding.evidence


def test_a_misspelt_key_is_named_once_and_nobody_is_called_stale_for_it(here: Installation) -> None:
    here.standin()
    edit(here, "env/.env.local-demo", f"COMFYUI_URL={OLD}\nCOMFYUI_ULR={NEW}\n")
    diagnosis = look(here)
    assert only(diagnosis, "key-unknown").where == "env/.env.local-demo:2"
    assert ids(diagnosis) == {"key-unknown"}


def test_no_worker_is_a_problem_with_the_command_that_starts_one(here: Installation) -> None:
    other = here.standin("local-dev")
    finding = only(look(here), "worker-none")
    assert finding.cure == f"cd {here.root} && make celery-demo"
    assert f"pid {other.pid} has ENV_TARGET=local-dev" in finding.evidence


def test_a_double_and_the_orphan_among_them_are_named(here: Installation) -> None:
    fresh = here.standin()
    log = here.root / "logs" / "orphan.log"
    shell = here.run(
        ["sh", "-c", '"$@" & wait', "sh", sys.executable, str(STANDIN), *ARGV],
        {"ENV_TARGET": "local-demo", "COMFYUI_URL": OLD},
        log,
    )
    wait_until(lambda: "ready" in log.read_text(), 10, "the second stand-in to be there")
    (orphan,) = psutil.Process(shell).children()
    assert "worker-orphan" not in ids(look(here))
    psutil.Process(shell).kill()
    wait_until(lambda: (view := look_at(orphan.pid)) is not None and view.ppid != shell, 5, "it to be an orphan")
    diagnosis = look(here)
    double = only(diagnosis, "worker-double")
    assert double.what == f"2 workers of local-demo share the jobs: pids {fresh.pid}, {orphan.pid}."
    assert double.cure == f"runbooks restart-worker --root {here.root} --all"
    assert only(diagnosis, "worker-orphan").cure == f"kill -TERM {orphan.pid}"


def test_several_workers_with_node_names_of_their_own_are_meant(here: Installation) -> None:
    here.standin()
    here.standin(argv=[*ARGV, "-n", "second@%h"])
    assert ids(look(here)) == set()
    here.standin(argv=[*ARGV, "--hostname=second@%h"])
    assert only(look(here), "worker-double").what.startswith("2 workers of local-demo share the jobs")


def test_a_worker_put_in_the_background_on_purpose_is_no_orphan(here: Installation) -> None:
    """It leads its own session, as one that the restart helper has started does."""
    worker = here.standin()
    assert os.getsid(worker.pid) == worker.pid
    assert ids(look(here)) == set()


def test_a_suspended_worker_is_named_with_what_continues_it(here: Installation) -> None:
    worker = here.standin()
    worker.handle.suspend()
    wait_until(lambda: (view := look_at(worker.pid)) is not None and view.stopped, 5, "it to stop")
    assert only(look(here), "worker-suspended").cure == f"kill -CONT {worker.pid}"


def test_a_worker_that_may_not_be_looked_into_leaves_it_open(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = here.standin()
    known = psutil.Process.environ

    def environ(process: psutil.Process) -> dict[str, str]:
        if process.pid == worker.pid:
            raise psutil.AccessDenied(process.pid)
        return known(process)

    monkeypatch.setattr(psutil.Process, "environ", environ)
    monkeypatch.setattr(psutil, "process_iter", lambda: iter([psutil.Process(worker.pid)]))
    finding = only(look(here), "worker-unreadable")
    assert finding.cure == f"sudo -u {worker.user} runbooks doctor --root {here.root}"


def test_what_cannot_be_told_is_not_called_fine(here: Installation, broker_port: int) -> None:
    with served(KERNIE | {"/": {**KERNIE, "output_dir": str(here.root / "comfyui")}}) as url:
        here.write("env/.env.local-demo", f"COMFYUI_URL={url}\n")
        here.write("env/.env.shared", f"REDIS_URL=redis://127.0.0.1:{broker_port}/40\n")
        here.run([sys.executable, str(STANDIN), *ARGV], {"ENV_TARGET": "local-demo"})
        wait_until(lambda: here.log.exists() and "ready" in here.log.read_text(), 10, "the stand-in to be there")
        edit(here, "env/.env", "COMFYUI_TIMEOUT_OF_ANOTHER=1\n")
        finding = only(look(here), "holding-unknown")
    assert finding.certainty is Certainty.UNKNOWN
    assert "COMFYUI_TIMEOUT" in finding.keys


def test_an_api_on_another_broker_is_a_warning_and_on_another_comfyui_a_note(here: Installation) -> None:
    here.standin(COMFYUI_URL=OLD)
    pid = api(here, COMFYUI_URL=NEW, REDIS_URL="redis://127.0.0.1:1/5")
    diagnosis = look(here)
    shadowed = only(diagnosis, "api-shadowed")
    assert shadowed.keys == ("REDIS_URL",)
    assert "unset REDIS_URL" in shadowed.cure
    note = only(diagnosis, "api-differs")
    assert note.keys == ("COMFYUI_URL",)
    assert note.what.endswith("harmless for where jobs go.")
    assert [subject.process.pid for subject in diagnosis.subjects if subject.role == "api"] == [pid]


def test_an_api_that_was_started_before_the_edit_is_stale(here: Installation) -> None:
    pid = api(here, REDIS_URL=here.redis_url)
    edit(here, "env/.env.shared", "REDIS_URL=redis://127.0.0.1:1/7\n")
    finding = only(look(here), "api-stale")
    assert (finding.pid, finding.keys) == (pid, ("REDIS_URL",))
    assert finding.cure.startswith(f"Stop it (kill -TERM {pid}), then: cd {here.root}")


def test_of_several_servers_in_the_folder_the_one_on_the_api_s_port_is_the_api(here: Installation) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here.write("env/.env.shared", f"REDIS_URL={here.redis_url}\nAPI_PORT={port}\n")
    api(here)
    right = api(here, PORT=str(port))
    assert [subject.process.pid for subject in look(here).subjects] == [right]
    assert "api-none" not in {finding.kind.id for finding in look(here).findings}


def test_servers_that_are_silent_are_named_within_a_second_and_a_half(here: Installation) -> None:
    with a_server_that_is_silent() as comfyui, a_server_that_is_silent() as broker:
        here.write("env/.env.local-demo", f"COMFYUI_URL=http://{comfyui}\n")
        here.write("env/.env.shared", f"REDIS_URL=redis://{broker}/0\n")
        began = time.monotonic()
        diagnosis = look(here)
        seconds = time.monotonic() - began
    assert only(diagnosis, "comfyui-silent").cure == "Look into its log, and start it again."
    assert "does not answer within" in only(diagnosis, "broker-down").what
    assert seconds < 1.5


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"/": OWN_MOCK}, "output-unknown"),
        ({"/": {**KERNIE, "output_dir": "/elsewhere"}}, "output-foreign"),
        ({"/system_stats": REAL}, "output-foreign"),
        ({"/system_stats": {"system": {"comfyui_version": "0.3"}}}, "output-unknown"),
        ({}, "comfyui-other"),
    ],
)
def test_what_answers_at_the_url_decides_about_url_and_folder(
    answers: dict[str, object], expected: str, here: Installation
) -> None:
    with served(answers) as url:
        here.write("env/.env.local-demo", f"COMFYUI_URL={url}\n")
        here.standin(COMFYUI_URL=url)
        assert ids(look(here)) == {expected}


def test_the_folder_of_the_comfyui_that_answers_is_the_cure_of_a_foreign_one(here: Installation) -> None:
    with served({"/": {**KERNIE, "output_dir": "/elsewhere"}}) as url:
        here.write("env/.env.local-demo", f"COMFYUI_URL={url}\n")
        finding = only(look(here), "output-foreign")
    assert finding.what == (
        f"The worker looks for pictures in {here.root}/comfyui, and what answers at {url} writes into /elsewhere."
    )
    assert finding.cure == "In config/base.json:1: COMFYUI_OUTPUT_DIR=/elsewhere, then restart the worker."


def test_a_folder_that_is_not_there_and_a_url_that_is_none_are_named(here: Installation) -> None:
    (here.root / "comfyui").rmdir()
    here.standin()
    assert ids(look(here)) == {"output-missing"}
    here.write("env/.env", "COMFYUI_URL=localhost:8189\n")
    assert only(look(here), "comfyui-url-invalid").where == "env/.env:1"


def test_a_broker_that_refuses_is_told_from_one_that_is_down(here: Installation, broker_port: int) -> None:
    assert "nothing listens there" in only(look(here), "broker-down").what
    here.write("env/.env.shared", f"REDIS_URL=redis://127.0.0.1:{broker_port}/99\n")
    assert "no database of that number" in only(look(here), "broker-refused").what


def test_a_worker_without_a_connection_to_the_broker_is_named(here: Installation, broker_port: int) -> None:
    url = f"redis://127.0.0.1:{broker_port}/41"
    here.write("env/.env.shared", f"REDIS_URL={url}\n")
    worker = here.standin(REDIS_URL=url)
    finding = only(look(here), "worker-unconnected")
    assert (finding.pid, finding.certainty) == (worker.pid, Certainty.LIKELY)


def test_a_broken_file_is_the_finding_and_the_rest_is_left(here: Installation) -> None:
    here.write("env/.env.shared", "DB_PASSWORD hunter2\n")
    diagnosis = look(here)
    assert [finding.kind.id for finding in diagnosis.findings] == ["file-broken"]
    assert diagnosis.exit_code == 1


def test_a_password_that_is_part_of_the_path_does_not_make_the_cure_useless(here: Installation) -> None:
    here.write("env/.env", f"DB_PASSWORD={here.root.name}\n")
    diagnosis = examine(here.root)
    assert str(here.root) in diagnosis.masked(f"runbooks restart-worker --root {here.root}")
    assert diagnosis.masked(f"it is {here.root.name}") == "it is ****"


@pytest.mark.parametrize(
    ("severities", "outcome", "code"),
    [
        ([], Outcome.FINE, 0),
        (["note"], Outcome.FINE, 0),
        (["note", "unknown"], Outcome.UNKNOWN, 2),
        (["unknown", "warning"], Outcome.FINDINGS, 1),
        (["problem"], Outcome.FINDINGS, 1),
    ],
)
def test_notes_are_fine_and_findings_count_more_than_what_could_not_be_told(
    severities: list[str], outcome: Outcome, code: int
) -> None:
    kinds = [next(kind for kind in CATALOGUE.values() if kind.severity == severity) for severity in severities]
    findings = tuple(Finding(kind, "what", "where", "cure") for kind in kinds)
    diagnosis = Diagnosis(Path("/"), "local-demo", findings)
    assert (diagnosis.outcome, diagnosis.exit_code) == (outcome, code)


def test_every_kind_of_finding_is_provoked_in_a_test() -> None:
    tests = Path(__file__).parents[1]
    patterns = ("doctor/test_*.py", "drift/test_doctor_*.py", "genonaut/test_status_*.py", "drift/test_status_*.py")
    files = [file for pattern in patterns for file in tests.glob(pattern)]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [id_ for id_ in CATALOGUE if f'"{id_}"' not in text] == []
