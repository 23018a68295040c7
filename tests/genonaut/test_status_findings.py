"""What the status page finds in what processes say of themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runbooks.drift import comfy
from runbooks.drift.agreement import Drift, Standing
from runbooks.drift.health import Status, View
from runbooks.drift.report import Report, Role, Setting
from runbooks.genonaut.health import FilesWord
from runbooks.genonaut.web.comfy import Look
from runbooks.genonaut.web.findings import Cures, findings_of

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def report(role: Role, pid: int, **more: Any) -> Report:
    """A process that has just spoken."""
    values: dict[str, Any] = {
        "id": f"x-{pid}",
        "app": "genonaut",
        "host": "h",
        "machine": "elsewhere",
        "parent": 1,
        "started": NOW,
        "every": 2.0,
        "version": None,
        "env_target": "local-demo",
        "node": None,
        "pool": "prefork",
        "queues": (),
        "children": (),
        "leaving": False,
        "loaded": NOW,
        "settings": (),
        "problem": None,
        "salt": "s",
        "last_word": NOW,
        "age": 0.0,
    }
    return Report(role=role, pid=pid, **(values | more))


API, MAIN = report(Role.API, 1), report(Role.MAIN, 2, node="celery@h")
OLD = Setting("COMFYUI_URL", "http://localhost:8000", "environment variable COMFYUI_URL", "a")
NEW = Setting("COMFYUI_URL", "http://localhost:8189", "env/.env.local-demo:2", "b")


def view_of(*reports: Report, **more: Any) -> View:
    return View(Status.WARN, "", tuple(Standing(each) for each in reports), now=NOW, **more)


def drift_of(*reports: Report, matters: bool) -> Drift:
    return Drift("COMFYUI_URL", reports, OLD, NEW, "the files", matters)


HIDDEN_URL = replace(MAIN, problem="COMFYUI_URL (env/.env:2) is hidden by the exported variable")


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (view_of(API, MAIN), []),
        (view_of(API, MAIN, drifts=(drift_of(MAIN, matters=True),)), ["worker-stale"]),
        (view_of(API, MAIN, drifts=(drift_of(API, MAIN, matters=True),)), ["worker-stale"]),
        (view_of(API, MAIN, drifts=(drift_of(API, matters=True),)), ["api-stale"]),
        (view_of(API, MAIN, drifts=(drift_of(API, matters=False),)), ["api-differs"]),
        (view_of(API, HIDDEN_URL, drifts=(drift_of(HIDDEN_URL, matters=True),)), ["worker-shadowed"]),
        (view_of(API, HIDDEN_URL), ["worker-shadowed"]),
        (view_of(replace(API, problem="API_PORT (x:1) needs a restart"), MAIN), ["api-stale"]),
        (view_of(API, replace(MAIN, problem="the last edit is not in force: env/.env:1")), ["file-broken"]),
        (view_of(API, replace(MAIN, problem="its 900 settings are more than it holds")), ["report-incomplete"]),
        (view_of(API, MAIN, files="The files cannot be read: env/.env:1."), ["file-broken"]),
        (view_of(API, MAIN, unreadable=2), ["report-incomplete"]),
        (view_of(API, MAIN, report(Role.MAIN, 3, node="celery@h")), ["worker-double"]),
        (view_of(API, MAIN, report(Role.MAIN, 3, node="celery@h", leaving=True)), []),
        (view_of(API, MAIN, report(Role.MAIN, 3, node="celery@other")), []),
        (view_of(API), ["worker-none"]),
        (view_of(API, replace(MAIN, age=9.0)), ["process-silent"]),
        (view_of(API, replace(MAIN, age=9.0), report(Role.CHILD, 4, parent=2, age=9.0)), ["process-silent"]),
        (view_of(API, MAIN, report(Role.CHILD, 4, parent=2, age=9.0)), ["process-silent"]),
    ],
)
def test_what_processes_say_is_found_in_the_words_of_the_doctor(view: View, expected: list[str]) -> None:
    found = findings_of(view, None, None, Cures(Path("/srv"), "local-demo"))
    assert [finding.kind.id for finding in found] == expected
    assert all(finding.what.endswith(".") and finding.cure for finding in found)


def test_a_job_store_that_does_not_answer_is_found_before_what_follows_from_it() -> None:
    found = findings_of(view_of(API), None, None, Cures(Path("/srv"), None), "connection refused")
    assert [finding.kind.id for finding in found] == ["store-down", "worker-none"]


def test_what_is_known_of_a_silent_process_is_what_it_said_last() -> None:
    silent = replace(MAIN, age=9.0)
    stale, _ = findings_of(
        view_of(API, silent, drifts=(drift_of(silent, matters=True),)), None, None, Cures(Path("/srv"), None)
    )
    assert (stale.kind.id, str(stale.certainty)) == ("worker-stale", "likely")


WORD = FilesWord("http://localhost:8189", "env/.env:2", "/pictures", "env/.env:3")


@pytest.mark.parametrize(
    ("who", "output", "expected"),
    [
        (comfy.Answerer.KERNIE_GEN, "/pictures", []),
        (comfy.Answerer.COMFYUI, None, []),
        (comfy.Answerer.KERNIE_GEN, "/others", ["output-foreign"]),
        (comfy.Answerer.NOBODY, None, ["comfyui-down"]),
        (comfy.Answerer.SILENT, None, ["comfyui-silent"]),
        (comfy.Answerer.OTHER, None, ["comfyui-other"]),
        (comfy.Answerer.INVALID, None, ["comfyui-url-invalid"]),
    ],
)
def test_who_answers_at_the_files_url_is_found_too(
    who: comfy.Answerer, output: str | None, expected: list[str]
) -> None:
    look = Look(comfy.Seen(WORD.url, who, "it is so", output), NOW, 0.0)
    found = findings_of(view_of(API, MAIN), look, WORD, Cures(Path("/srv"), None))
    assert [finding.kind.id for finding in found] == expected


def test_nothing_is_said_of_processes_that_nobody_knows_of() -> None:
    view = View(Status.WARN, "gone", broker="The broker does not answer.")
    (finding,) = findings_of(view, None, None, Cures(Path("/srv/genonaut"), "local-dev"))
    assert finding.kind.id == "broker-down"
    (none,) = findings_of(View(Status.WARN, ""), None, None, Cures(Path("/srv/the app"), "local-dev"))
    assert (none.kind.id, none.cure) == ("worker-none", "`cd '/srv/the app' && make celery-dev`")
    assert Cures(Path("/srv"), "local-dev").restart() == "`runbooks restart-worker --env-target local-dev --root /srv`"
