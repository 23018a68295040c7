"""A restart of a real Celery worker, looked at from all sides. The application knows nothing of this package."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from runbooks.drift import Agreement, Certainty, ProcessView, look_at
from runbooks.workers import (
    Progress,
    Restarted,
    RestartPlan,
    SeveralWorkersError,
    StillRunningError,
    carry_out,
    plan_restart,
    restart_worker,
)
from tests.support.waiting import wait_until
from tests.workers.installation import NEW, OLD, Install, Installation
from tests.workers.load import ALL_NEW, EXPORTED, set_in_every_way, steady_load


@dataclass
class Story:
    """What happened: five values were edited, each set in another way, and one of two workers was restarted."""

    installation: Installation
    demo: ProcessView
    dev: ProcessView
    plan: RestartPlan
    result: Restarted
    told: list[Progress]
    new: ProcessView
    edited: datetime


@pytest.fixture(scope="module")
def story(install: Install) -> Story:
    here = install(more_options="")
    other_broker = here.redis_url.rpartition("/")[0] + "/63"
    set_in_every_way(here, "old")
    here.write("env/.env.local-dev", f"COMFYUI_URL={OLD}\nREDIS_URL={other_broker}\n")
    dev_log = here.root / "logs" / "dev.log"
    here.make("demo", exported={**EXPORTED, "OF_THE_SHELL": "kept"})
    here.make("dev", log=dev_log)
    here.ready(1)
    here.ready(1, dev_log)
    (demo,), (dev,) = here.mains("local-demo"), here.mains("local-dev")

    set_in_every_way(here, "new")
    edited = datetime.now(UTC)

    gate = here.root / "gate"
    here.send(1, until=str(gate))
    wait_until(lambda: here.jobs("began"), 10, "job 1 to begin")
    plan = plan_restart("local-demo", here.root)
    told: list[Progress] = []

    def listen(progress: Progress) -> None:
        told.append(progress)
        if "run_job" in progress.says:
            gate.touch()

    result = carry_out(plan, timeout=30, listen=listen)
    here.send(2)
    wait_until(lambda: len(here.jobs("ended")) == 2, 10, "both jobs to end")
    new = look_at(result.new_pids[0])
    assert new is not None
    return Story(here, demo, dev, plan, result, told, new, edited)


def test_the_plan_names_the_main_process_its_child_and_what_it_runs(story: Story) -> None:
    (stop,) = story.plan.stops
    assert stop.worker.pid == story.demo.pid
    assert [child.ppid for child in stop.worker.children] == [story.demo.pid]
    assert stop.answer is not None
    (job,) = stop.answer.running
    assert (job.name, job.child) == ("run_job", stop.worker.children[0].pid)
    assert stop.answer.reserved == 0


@pytest.mark.parametrize(
    ("variable", "holds", "origin"),
    [
        ("COMFYUI_URL", OLD, "env/.env.local-demo:1"),
        ("COMFYUI_OUTPUT_DIR", "old", "env/.env.shared:2"),
        ("COMFYUI_MAX_WAIT_TIME", "old", "config/base.json:1"),
        ("COMFYUI_TIMEOUT", None, "config/local-demo.json:1"),
        ("COMFYUI_POLL_INTERVAL", None, "env/.env:1"),
    ],
)
def test_the_plan_says_which_values_are_likely_old(story: Story, variable: str, holds: str | None, origin: str) -> None:
    """Likely only, for all of them: env/.env changed, too, and what stood there before cannot be known."""
    (holding,) = [each for each in story.plan.stops[0].holdings if each.variable == variable]
    assert holding.holds == holds
    assert str(holding.origin) == origin
    assert holding.agreement is (Agreement.DIFFERS if holds else Agreement.UNKNOWN)
    assert holding.certainty is Certainty.LIKELY


def test_a_new_job_gets_the_new_value_in_whichever_way_it_was_set(story: Story) -> None:
    job = story.installation.jobs("ended")[-1]
    assert job["number"] == 2
    assert {key: job[key] for key in ALL_NEW} == ALL_NEW


def test_the_job_that_was_running_completes_once_on_the_old_worker(story: Story) -> None:
    ended = story.installation.jobs("ended")
    assert [job["number"] for job in story.installation.jobs("began")] == [1, 2]
    assert (ended[0]["number"], ended[0]["comfyui-url"]) == (1, OLD)


def test_the_wait_tells_which_job_it_waits_for(story: Story) -> None:
    assert any("its running job run_job[" in progress.says for progress in story.told if progress.phase == "stop")


def test_only_the_worker_meant_is_touched(story: Story) -> None:
    assert look_at(story.demo.pid) is None
    assert story.dev.handle.is_running()
    assert [view.pid for view in story.installation.mains("local-dev")] == [story.dev.pid]
    # Other people's workers may run on this machine, too.
    assert (story.dev.pid, "has ENV_TARGET=local-dev") in [
        (miss.worker.pid, miss.why) for miss in story.plan.near_misses
    ]


def test_the_new_worker_has_the_command_line_folder_and_other_variables_of_the_old_one(story: Story) -> None:
    assert (story.new.argv, story.new.cwd) == (story.demo.argv, story.demo.cwd)
    assert story.new.environ is not None
    assert story.new.environ["OF_THE_SHELL"] == "kept"
    assert story.new.environ["ENV_TARGET"] == "local-demo"
    assert "COMFYUI_MAX_WAIT_TIME" not in story.new.environ


def test_the_new_worker_belongs_to_nobody(story: Story) -> None:
    """Else it would die with the terminal, or stay a zombie of the test run when somebody stops it."""
    assert story.new.terminal is None
    assert story.new.ppid != os.getpid()
    assert os.getsid(story.new.pid) == story.new.pid
    assert Path(f"/proc/{story.new.pid}/fd/0").resolve() == Path(os.devnull)


def test_its_output_is_appended_to_the_log_of_the_old_one(story: Story) -> None:
    assert story.result.log == story.installation.log
    text = story.installation.log.read_text()
    assert text.index(f"ComfyUI URL: {OLD}") < text.index(f"ComfyUI URL: {NEW}")


def test_the_result_is_proven_by_its_environment_and_its_own_log(story: Story) -> None:
    assert story.result.proven
    assert [(check.name, check.passed) for check in story.result.checks] == [("environment", True), ("log", True)]
    assert story.new.started > story.edited


def test_under_a_steady_load_no_job_is_lost_doubled_or_mixed_in_whichever_way_the_values_were_set(
    install: Install,
) -> None:
    here = install()
    set_in_every_way(here, "old")
    here.make(exported={"POOL_CHILDREN": "2", **EXPORTED})
    here.ready(1)
    with steady_load(here) as load:
        set_in_every_way(here, "new")
        result = restart_worker("local-demo", here.root, timeout=30, listen=load.listen)

    load.assert_none_lost_or_doubled()
    load.assert_each_ran_on_one_set_of_values()
    assert max(load.begins(OLD)) < load.time_of("stop") < min(load.begins(NEW))
    assert result.proven


def test_an_orphan_beside_a_fresh_worker_is_named_and_nothing_is_touched_until_somebody_chooses(
    install: Install,
) -> None:
    here = install()
    make = here.make()
    here.ready(1)
    (orphan,) = here.mains()
    for above in (psutil.Process(make), *psutil.Process(make).children()):
        with suppress(psutil.NoSuchProcess):  # make passes the signal on to its shell
            above.terminate()
    wait_until(lambda: (now := look_at(orphan.pid)) is not None and now.ppid != orphan.ppid, 10, "the orphan to be one")
    here.make()
    here.ready(2)
    _, fresh = here.mains()

    with pytest.raises(SeveralWorkersError) as refused:
        restart_worker("local-demo", here.root)
    for pid in (orphan.pid, fresh.pid):
        assert f"pid {pid} " in refused.value.what
    assert "orphan" in refused.value.what
    for choice in ("--all", f"--pid {fresh.pid}", f"kill -TERM {orphan.pid}"):
        assert choice in refused.value.do
    assert [view.pid for view in here.mains()] == [orphan.pid, fresh.pid]

    refused_too = plan_restart("local-demo", here.root, pid=fresh.pid, handover=True).in_the_way
    assert [error.what for error in refused_too] == [
        f"2 workers answer to the node name celery@{socket.gethostname()}; they cannot be told apart."
    ]

    plan = plan_restart("local-demo", here.root, every=True)
    # Both have the same node name; each is asked all the same.
    assert [stop.answer is not None for stop in plan.stops] == [True, True]
    assert [stop.answer.reserved for stop in plan.stops if stop.answer] == [None, None]
    result = carry_out(plan)
    assert sorted(result.old_pids) == sorted([orphan.pid, fresh.pid])
    assert [view.pid for view in here.mains()] == list(result.new_pids)
    assert len(result.new_pids) == 1


def test_a_worker_with_a_suspended_child_is_waited_for_and_never_handled_harder(install: Install) -> None:
    here = install()
    here.make()
    here.ready(1)
    (main,) = here.mains()
    (child,) = main.handle.children()
    here.send(1, seconds=0.0, until=str(here.root / "gate"))
    wait_until(lambda: here.jobs("began"), 10, "the job to begin")
    child.suspend()

    with pytest.raises(StillRunningError) as still:
        restart_worker("local-demo", here.root, timeout=0.5)
    assert f"kill -CONT {child.pid}" in still.value.what
    assert f"kill -QUIT {main.pid}" in still.value.do
    assert "stays 'running' for ever" in still.value.do
    assert main.handle.is_running()

    child.resume()
    (here.root / "gate").touch()
    wait_until(lambda: not main.handle.is_running() or look_at(main.pid) is None, 10, "the worker to leave by itself")
    assert [job["number"] for job in here.jobs("ended")] == [1]
