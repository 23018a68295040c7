"""What the status page of any application finds, where nothing is known of it but its reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from runbooks.drift.agreement import Drift
from runbooks.drift.report import Report, Setting
from runbooks.drift.web.board import titles_of
from runbooks.drift.web.findings import Words, of_processes, of_services
from tests.genonaut.test_status_findings import API, MAIN, NOW, view_of

OLD = Setting("warehouse_url", "http://localhost:1", "shop.env:1", "a")
NEW = Setting("warehouse_url", "http://localhost:2", "shop.env:1", "b")


def holding(report: Report, setting: Setting, minutes: int) -> Report:
    return replace(report, settings=(setting,), loaded=NOW + timedelta(minutes=minutes))


def test_of_two_processes_that_disagree_the_one_that_has_read_first_is_stale() -> None:
    api, worker = holding(API, NEW, 5), holding(MAIN, OLD, 1)
    for drift in (
        Drift("warehouse_url", (api,), NEW, OLD, worker.label, True),
        Drift("warehouse_url", (worker,), OLD, NEW, api.label, True),
    ):
        (found,) = of_processes(view_of(api, worker, drifts=(drift,)), Words())
        assert (found.kind.id, str(found.certainty), found.pid) == ("worker-stale", "likely", worker.pid)
        assert found.kind.title == "The worker holds an older value than another process"
        says = "Worker main 2 holds warehouse_url=http://localhost:1 (shop.env:1), API 1 holds http://localhost:2 "
        assert found.what == f"{says}(shop.env:1)."
        assert found.cure == "Restart worker main 2."


def test_where_time_does_not_tell_them_apart_nobody_is_blamed() -> None:
    worker = holding(MAIN, OLD, 1)
    later, same = replace(holding(API, NEW, 5), pid=7), holding(API, NEW, 0)
    drift = Drift("warehouse_url", (worker,), OLD, NEW, later.label, True)
    (found,) = of_processes(view_of(later, same, worker, drifts=(drift,)), Words())
    assert found.kind.id == "processes-disagree"
    assert "restart" in found.cure


def test_what_the_files_say_is_certain_and_tells_which_process_to_restart() -> None:
    drift = Drift("warehouse_url", (API,), OLD, NEW, "the files", True)
    (found,) = of_processes(view_of(API, MAIN, drifts=(drift,)), Words())
    assert (found.kind.id, str(found.certainty), found.cure) == ("api-stale", "certain", "Restart API 1.")


def test_no_worker_is_a_problem_only_where_one_is_needed() -> None:
    for needs_worker, title in ((False, ""), (True, "No worker reports.")):
        found = list(of_services(view_of(API), Words(needs_worker=needs_worker)))
        assert [each.kind.id for each in found] == ["worker-none"]
        assert titles_of(found) == title


def test_no_cure_is_a_command_that_only_the_miniature_knows() -> None:
    silent = replace(MAIN, age=9.0)
    double = replace(MAIN, pid=3)
    broken = replace(API, problem="its settings cannot be read (ValueError)")
    views = [view_of(API, silent), view_of(API, MAIN, double), view_of(broken), view_of(unreadable=1, broker=None)]
    views += [view_of(broker="The broker does not answer."), view_of(API, files="Not read.")]
    for kind in (
        "the last edit is not in force: x",
        "x (y:1) is hidden by the exported variable",
        "x (y:1) needs a restart",
    ):
        views += [view_of(replace(each, problem=kind)) for each in (API, MAIN)]
    found = [each for view in views for each in (*of_services(view, Words()), *of_processes(view, Words()))]
    assert len({each.kind.id for each in found}) == 10
    said = " ".join(f"{each.cure} {each.kind.why}" for each in found)
    assert not [word for word in ("runbooks ", "make ", "COMFYUI", "ComfyUI", "env/.env") if word in said]
