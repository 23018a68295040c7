"""Stopping and starting, with stand-ins that write down every signal they get."""

from __future__ import annotations

import re
import sys

import pytest

from runbooks.drift import is_alive, look_at
from runbooks.errors import UserError
from runbooks.workers import (
    CannotStartError,
    Interrupted,
    Progress,
    StartFailedError,
    StillRunningError,
    restart_worker,
)
from tests.support.waiting import wait_until
from tests.workers.installation import NEW, STANDIN, Installation


def test_a_worker_gets_one_sigterm_and_nothing_else_however_long_it_takes(no_broker: Installation) -> None:
    worker = no_broker.standin(STANDIN_ON_TERM="stay")
    with pytest.raises(StillRunningError) as still:
        restart_worker("local-demo", no_broker.root, timeout=0.4)
    assert no_broker.signals() == [f"{worker.pid} SIGTERM"]
    assert is_alive(worker.handle)
    assert "still runs 0.4 s after SIGTERM" in still.value.what
    assert "No new worker has been started" in still.value.what
    assert f"kill -QUIT {worker.pid} gives the running job up" in still.value.do
    assert f"kill -KILL {worker.pid} also leaves the jobs that it had reserved" in still.value.do
    assert [view.pid for view in no_broker.mains()] == [worker.pid]


def test_a_suspended_worker_is_said_to_be_and_left_so(no_broker: Installation) -> None:
    worker = no_broker.standin()
    worker.handle.suspend()
    with pytest.raises(StillRunningError, match=rf"it is suspended .* kill -CONT {worker.pid}"):
        restart_worker("local-demo", no_broker.root, timeout=0.3)
    assert no_broker.signals() == []
    worker.handle.resume()
    wait_until(lambda: not is_alive(worker.handle), 5, "the pending SIGTERM to arrive")


def test_ctrl_c_while_waiting_says_in_which_state_things_are(no_broker: Installation) -> None:
    worker = no_broker.standin(STANDIN_ON_TERM="stay")

    def press_ctrl_c(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as said:
        restart_worker("local-demo", no_broker.root, listen=press_ctrl_c)
    assert f"Worker pid {worker.pid} has been told to stop" in str(said.value)
    assert "no new worker has been started" in str(said.value)


def test_ctrl_c_while_the_new_one_starts_names_it(no_broker: Installation) -> None:
    no_broker.standin()

    def press_ctrl_c(progress: Progress) -> None:
        if progress.phase == "start":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as said:
        restart_worker("local-demo", no_broker.root, listen=press_ctrl_c)
    (new,) = no_broker.mains()
    assert f"the new one (pid {new.pid}) runs, not proven yet" in str(said.value)


def test_a_new_worker_that_dies_at_its_start_is_one_error_with_its_last_words(no_broker: Installation) -> None:
    no_broker.standin()
    no_broker.write("broken", "")
    with pytest.raises(StartFailedError) as failed:
        restart_worker("local-demo", no_broker.root)
    assert "died at its start" in failed.value.what
    assert "ModuleNotFoundError: No module named 'genonaut'" in failed.value.what
    assert "standin-0.log" in failed.value.do
    assert no_broker.mains() == []


def test_a_new_worker_that_never_answers_is_said_so(no_broker: Installation) -> None:
    no_broker.standin(STANDIN_IS="silent")
    with pytest.raises(StartFailedError, match=r"runs, but does not answer after 0.5 s"):
        restart_worker("local-demo", no_broker.root, start_timeout=0.5)


def test_a_worker_whose_program_is_gone_is_left_alone(no_broker: Installation) -> None:
    program = no_broker.root / "celery"
    program.write_text(STANDIN.read_text())
    worker = no_broker.standin(program=program)
    program.unlink()
    with pytest.raises(CannotStartError) as refused:
        restart_worker("local-demo", no_broker.root)
    assert refused.value.what == f"The worker could not be started again: its program {program} is gone."
    assert no_broker.signals() == []
    assert is_alive(worker.handle)


def test_broken_files_are_noticed_while_the_old_worker_still_runs(no_broker: Installation) -> None:
    worker = no_broker.standin()
    no_broker.write("env/.env.local-demo", "COMFYUI_URL=x\nwhat is this\n")
    with pytest.raises(UserError, match=r"\.env\.local-demo:2 is 'what is this', expected KEY=value"):
        restart_worker("local-demo", no_broker.root)
    assert is_alive(worker.handle)


def test_files_that_break_during_the_wait_leave_a_clear_word(no_broker: Installation) -> None:
    no_broker.standin()

    def break_it(progress: Progress) -> None:
        if progress.phase == "stop":
            no_broker.write("config/base.json", "{")

    with pytest.raises(StartFailedError, match=r"old worker is gone and no new one has been started: .*base.json:1"):
        restart_worker("local-demo", no_broker.root, listen=break_it)


def test_an_edit_during_the_wait_is_what_the_new_worker_gets(no_broker: Installation) -> None:
    no_broker.standin()

    def edit(progress: Progress) -> None:
        if progress.phase == "stop":
            no_broker.write("env/.env.local-demo", f"COMFYUI_URL={NEW}\n")

    result = restart_worker("local-demo", no_broker.root, listen=edit)
    assert result.proven
    new = look_at(result.new_pids[0])
    assert new is not None
    assert new.environ is not None
    assert new.environ["COMFYUI_URL"] == NEW


def test_of_doubles_one_may_be_chosen_and_the_other_stays(no_broker: Installation) -> None:
    older, newer = no_broker.standin(), no_broker.standin()
    result = restart_worker("local-demo", no_broker.root, pid=older.pid)
    assert result.old_pids == (older.pid,)
    assert {view.pid for view in no_broker.mains()} == {newer.pid, *result.new_pids}


def test_workers_with_different_command_lines_are_each_started_again(no_broker: Installation) -> None:
    first = no_broker.standin()
    second = no_broker.standin(argv=[*first.argv[2:], "-n", "second@%h"])
    result = restart_worker("local-demo", no_broker.root, every=True)
    assert sorted(result.old_pids) == sorted([first.pid, second.pid])
    assert {look.argv for pid in result.new_pids if (look := look_at(pid))} == {first.argv, second.argv}


def test_a_variable_that_was_kept_on_purpose_does_not_fail_the_proof(no_broker: Installation) -> None:
    no_broker.standin(COMFYUI_TIMEOUT="mine")
    result = restart_worker("local-demo", no_broker.root, keep=["COMFYUI_TIMEOUT"])
    new = look_at(result.new_pids[0])
    assert new is not None
    assert (new.environ or {})["COMFYUI_TIMEOUT"] == "mine"
    assert result.proven


def test_without_celery_the_jobs_are_unknown_and_the_log_is_believed(
    no_broker: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_broker.standin()
    monkeypatch.setitem(sys.modules, "celery", None)
    told: list[Progress] = []
    result = restart_worker("local-demo", no_broker.root, listen=told.append)
    assert result.plan.stops[0].answer is None
    assert any(re.search(r"its log says ready \(it could not be asked\)", progress.says) for progress in told)
    assert result.proven
