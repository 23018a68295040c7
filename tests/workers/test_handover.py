"""A handover between real Celery workers, under load, and what is left where it ends early."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from runbooks.drift import is_alive, look_at
from runbooks.workers import (
    CannotHandOverError,
    HandoverFailedError,
    Interrupted,
    Listener,
    Progress,
    carry_out,
    plan_restart,
    restart_worker,
)
from runbooks.workers.ask import node_of
from tests.support.waiting import wait_until
from tests.workers.installation import NEW, OLD, Install, Installation
from tests.workers.load import EXPORTED, set_in_every_way, steady_load

LONGEST_GAP = 0.35


def test_under_a_steady_load_a_handover_loses_nothing_lets_no_queue_wait_and_leaves_the_worker_as_it_was(
    install: Install,
) -> None:
    here = install()
    set_in_every_way(here, "old")
    here.make(exported={"POOL_CHILDREN": "2", **EXPORTED})
    here.ready(1)
    (old,) = here.mains()
    node = node_of(here.redis_url, old.pid)
    with steady_load(here) as load:
        set_in_every_way(here, "new")
        result = restart_worker("local-demo", here.root, handover=True, timeout=30, listen=load.listen)

    load.assert_none_lost_or_doubled()
    load.assert_each_ran_on_one_set_of_values()
    assert max(load.begins(OLD)) <= load.time_of("switch")
    assert load.longest_gap() < LONGEST_GAP + load.lateness

    (new,) = here.mains()
    assert [new.pid] == list(result.new_pids)
    assert new.argv == old.argv
    assert node_of(here.redis_url, new.pid) == node
    assert result.proven
    plan, handed = result.plan.handover, result.handed_over
    assert plan is not None
    assert handed is not None
    assert (look_at(old.pid), look_at(handed.pid)) == (None, None)
    assert left_in_the_broker(here, plan.name) == []
    said = result.as_json()
    assert said["old_pids"] == [old.pid]
    assert said["handed_over"] == {"interim_pid": handed.pid, "seconds": round(handed.seconds, 2)}
    assert result.plan.as_json()["handover"]["queues"] == ["default", "generation"]


def left_in_the_broker(here: Installation, name: str) -> list[str]:
    """Keys and members of sets that hold the name."""
    address = urlsplit(here.redis_url)
    with redis.Redis(str(address.hostname), address.port or 0, int(address.path[1:]), decode_responses=True) as broker:
        keys = [str(key) for key in broker.scan_iter()]
        members = [str(each) for key in keys if broker.type(key) == "set" for each in broker.sscan_iter(key)]
    return [text for text in (*keys, *members) if name in text]


@pytest.fixture(scope="module")
def worker(install: Install) -> Installation:
    """An installation whose worker no test of this module may touch."""
    here = install(more_options=" --without-mingle -n w1@%h")
    here.make()
    here.ready(1)
    return here


@pytest.fixture
def untouched(worker: Installation) -> Iterator[Installation]:
    """The same, edited. In the end its worker is the same, runs alone, and does jobs."""
    (before,) = worker.mains()
    children = {child.pid for child in before.handle.children()}
    worker.write("env/.env.local-demo", f"COMFYUI_URL={NEW}\n")
    yield worker
    worker.write("env/.env", "# nothing\n")
    wait_until(lambda: [view.pid for view in worker.mains()] == [before.pid], 10, "the worker to be alone")
    assert {child.pid for child in before.handle.children()} == children
    number = len(worker.jobs("ended"))
    worker.send(number)
    done = wait_until(lambda: worker.jobs("ended")[number:], 10, "the worker to do a job")
    assert [(job["number"], job["comfyui-url"], job["pid"] in children) for job in done] == [(number, OLD, True)]


def test_a_new_worker_that_dies_at_its_start_leaves_the_old_one_untouched(untouched: Installation) -> None:
    untouched.write("env/.env", "POOL_CHILDREN=many\n")
    with pytest.raises(HandoverFailedError) as failed:
        restart_worker("local-demo", untouched.root, handover=True)
    assert "died at its start" in failed.value.what
    assert "invalid literal for int() with base 10: 'many'" in failed.value.what
    assert re.search(r"The old worker \(pid \d+\) was not touched and keeps working\.", failed.value.what)
    assert f"Its log: {untouched.root}/logs/worker-handover.log" in failed.value.do


def test_a_new_worker_that_holds_other_values_leaves_the_old_one_untouched(untouched: Installation) -> None:
    def edit(progress: Progress) -> None:
        if progress.phase == "answer" and progress.done:
            untouched.write("env/.env", "COMFYUI_URL=http://localhost:7777\n")

    with pytest.raises(HandoverFailedError) as failed:
        restart_worker("local-demo", untouched.root, handover=True, listen=edit)
    assert "does not hold what the files say" in failed.value.what
    assert "was not touched and keeps working" in failed.value.what


@pytest.mark.parametrize("phase", ["start", "answer", "switch"])
def test_ctrl_c_before_the_switch_leaves_the_old_one_untouched(untouched: Installation, phase: str) -> None:
    plan = plan_restart("local-demo", untouched.root, handover=True)
    with pytest.raises(Interrupted, match="was not touched and keeps working"):
        carry_out(plan, listen=pressing_ctrl_c(phase))
    assert plan.handover is not None
    name = plan.handover.name
    wait_until(lambda: not left_in_the_broker(untouched, name), 10, "the interim worker to leave the broker")


def pressing_ctrl_c(phase: str, *, done: bool = False) -> Listener:
    """Raise what Ctrl-C raises when a phase is first told of (or, with ``done``, is over)."""

    def listen(progress: Progress) -> None:
        if progress.phase == phase and progress.done >= done:
            raise KeyboardInterrupt

    return listen


def test_a_worker_that_would_change_its_broker_is_left_alone(untouched: Installation) -> None:
    untouched.write("env/.env.shared", "REDIS_URL=redis://127.0.0.1:1/0\n")
    try:
        with pytest.raises(CannotHandOverError, match="uses another broker than the files name now") as refused:
            restart_worker("local-demo", untouched.root, broker=untouched.redis_url, handover=True)
    finally:
        untouched.write("env/.env.shared", f"REDIS_URL={untouched.redis_url}\n")
    assert "plain restart" in refused.value.do


def test_when_it_ends_after_the_switch_the_interim_worker_serves_until_a_restart_gives_the_command_line_back(
    install: Install,
) -> None:
    here = install(more_options=" --without-mingle -n w1@%h -Q default")
    here.make()
    here.ready(1)
    (old,) = here.mains()
    here.write("env/.env.local-demo", f"COMFYUI_URL={NEW}\n")
    gate = here.root / "gate"
    here.send(0, until=str(gate))
    wait_until(lambda: here.jobs("began"), 10, "job 0 to begin")

    with pytest.raises(HandoverFailedError) as failed:
        restart_worker("local-demo", here.root, handover=True, timeout=0.3)
    assert f"Worker pid {old.pid} still runs 0.3 s after SIGTERM: its running job run_job[" in failed.value.what
    assert re.search(r"The interim worker \(pid \d+\) takes the jobs, on the new settings", failed.value.what)
    assert "kill" not in failed.value.do
    assert is_alive(old.handle)

    here.send(1)
    wait_until(lambda: here.jobs("ended"), 10, "the interim worker to do job 1")
    gate.touch()
    wait_until(lambda: not is_alive(old.handle), 10, "the old worker to leave by itself")
    assert [(job["number"], job["comfyui-url"]) for job in here.jobs("ended")] == [(1, NEW), (0, OLD)]

    (interim,) = here.mains()
    with pytest.raises(Interrupted, match=rf"{interim.pid}\) takes none, and leaves when its running job is done"):
        restart_worker("local-demo", here.root, handover=True, listen=pressing_ctrl_c("switch", done=True))
    wait_until(lambda: not is_alive(interim.handle), 10, "the first interim worker to leave")
    (second,) = here.mains()
    assert (second.argv[:-2], len(second.argv)) == (old.argv, len(old.argv) + 2)

    assert restart_worker("local-demo", here.root).proven
    (new,) = here.mains()
    assert new.argv == old.argv


def test_ctrl_c_in_the_last_start_leaves_the_jobs_to_the_interim_worker(install: Install) -> None:
    here = install()
    here.make()
    here.ready(1)
    (old,) = here.mains()
    here.write("env/.env.local-demo", f"COMFYUI_URL={NEW}\n")

    def press_ctrl_c(progress: Progress) -> None:
        if progress.phase == "start" and not is_alive(old.handle):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"The old worker is gone\. The interim one"):
        restart_worker("local-demo", here.root, handover=True, listen=press_ctrl_c)
    wait_until(lambda: len(here.mains()) == 1, 10, "the interim worker to be alone")
    here.send(0)
    (job,) = wait_until(lambda: here.jobs("ended"), 10, "the interim worker to do a job")
    assert job["comfyui-url"] == NEW
    assert here.mains()[0].argv[:-2] == old.argv
