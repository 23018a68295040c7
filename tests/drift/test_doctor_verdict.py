"""The verdict on one process, from an environment, ancestors and files that the tests make up."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runbooks.drift import Agreement, Certainty, ProcessView, look_at
from runbooks.drift.verdict import KeyVerdict, Source, Told, judge, shown
from runbooks.settings import read_layers

OLD, NEW = "http://localhost:8000", "http://localhost:8189"
FILES = {
    "config/base.json": f'{{"comfyui-url": "{OLD}", "comfyui-output-dir": "/out", "comfyui-timeout": 30}}',
    "config/local-demo.json": "{}",
    "env/.env.local-demo": f"COMFYUI_URL={NEW}\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def process(**environ: str) -> ProcessView:
    me = look_at(os.getpid())
    assert me is not None
    return replace(me, environ=environ, started=datetime.now(UTC) + timedelta(milliseconds=50))


def edited(file: Path, after: ProcessView) -> datetime:
    """The file as edited three seconds after the process was started."""
    when = after.started + timedelta(seconds=3)
    os.utime(file, (when.timestamp(), when.timestamp()))
    return when


def verdict(
    root: Path,
    view: ProcessView,
    key: str = "COMFYUI_URL",
    *,
    above: tuple[ProcessView, ...] = (),
    told: dict[str, Told] | None = None,
) -> KeyVerdict:
    keys = judge(view, read_layers(root, "local-demo", {}), above=above, told=told)
    return next(each for each in keys if each.variable == key)


def test_a_value_older_than_its_file_is_stale_since_the_file_was_edited(root: Path) -> None:
    worker = process(COMFYUI_URL=OLD)
    when = edited(root / "env/.env.local-demo", worker)
    found = verdict(root, worker)
    assert (found.holds, found.says, found.origin) == (OLD, NEW, "env/.env.local-demo:1")
    assert (found.agreement, found.certainty, found.source) == (Agreement.DIFFERS, Certainty.CERTAIN, Source.FILES)
    assert found.since is not None
    assert abs(found.since - when) < timedelta(milliseconds=10)
    assert f"as they were at {worker.started.astimezone():%H:%M:%S}" in (found.held_from or "")


def test_a_value_that_what_started_it_has_too_was_exported_and_the_topmost_is_named(root: Path) -> None:
    worker = process(COMFYUI_URL=OLD)
    edited(root / "env/.env.local-demo", worker)
    make, shell = (
        replace(worker, pid=pid, argv=(name,), environ={"COMFYUI_URL": OLD}) for pid, name in ((2, "make"), (3, "bash"))
    )
    init = replace(worker, pid=4, argv=("init",), environ={})
    found = verdict(root, worker, above=(make, shell, init))
    assert found.source is Source.EXPORTED
    assert found.held_from == "a variable exported before bash (pid 3) was started"


def test_a_value_that_differs_though_no_file_has_changed_was_exported(root: Path) -> None:
    found = verdict(root, process(COMFYUI_URL=OLD))
    assert (found.agreement, found.source, found.since) == (Agreement.DIFFERS, Source.EXPORTED, None)


@pytest.mark.parametrize(
    ("says", "held"), [("~/pictures", "/home/me/pictures"), ("$HOME/pictures", "/home/me/pictures"), ("/a/", "/a")]
)
def test_what_a_shell_expanded_is_not_stale(says: str, held: str, root: Path) -> None:
    (root / "env/.env.shared").write_text(f"COMFYUI_OUTPUT_DIR={says}\n")
    found = verdict(root, process(COMFYUI_OUTPUT_DIR=held, HOME="/home/me"), "COMFYUI_OUTPUT_DIR")
    assert found.agreement is Agreement.SAME
    assert not found.differs


def test_an_edited_json_file_makes_a_process_that_exports_nothing_likely_stale(root: Path) -> None:
    worker = process()
    edited(root / "config/base.json", worker)
    found = verdict(root, worker, "COMFYUI_TIMEOUT")
    assert found.differs
    assert (found.certainty, found.holds) == (Certainty.LIKELY, None)


@pytest.mark.parametrize(("url", "agreement"), [(OLD, Agreement.DIFFERS), (f"{NEW}/", Agreement.SAME)])
def test_what_it_says_itself_counts_where_the_environment_tells_nothing(
    url: str, agreement: Agreement, root: Path
) -> None:
    worker = process()
    edited(root / "env/.env.local-demo", worker)
    found = verdict(root, worker, told={"COMFYUI_URL": Told(url, "its own log", Certainty.LIKELY)})
    assert (found.holds, found.agreement, found.certainty) == (url, agreement, Certainty.LIKELY)
    assert found.why == "its own log says so"


def test_what_stands_in_its_environment_is_not_overruled_by_its_log(root: Path) -> None:
    told = {"COMFYUI_URL": Told(NEW, "its own log", Certainty.LIKELY)}
    assert verdict(root, process(COMFYUI_URL=OLD), told=told).holds == OLD


def test_what_its_own_report_says_overrules_everything(root: Path) -> None:
    told = {"COMFYUI_URL": Told(NEW, "its own report", Certainty.CERTAIN, "env/.env.local-demo:1")}
    found = verdict(root, process(COMFYUI_URL=OLD), told=told)
    assert (found.holds, found.agreement, found.held_from) == (NEW, Agreement.SAME, "env/.env.local-demo:1")


def test_what_cannot_be_told_stays_open(root: Path) -> None:
    worker = process()
    edited(root / "env/.env.local-demo", worker)
    found = verdict(root, worker, "COMFYUI_TIMEOUT")
    assert found.is_open
    assert not found.differs


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COMFYUI_URL", "http://me:hunter2@localhost:8189"),
        ("DB_PASSWORD", "hunter2"),
        ("GREETING", "hunter2"),
        ("SLACK_HOOK", "https://hooks.example/T0AB1CD2EF3/B0hunter2hunter2hunter2"),
    ],
)
def test_no_secret_is_shown_whatever_its_variable_is_called(name: str, value: str) -> None:
    assert "hunter2" not in (shown(name, value) or "")
