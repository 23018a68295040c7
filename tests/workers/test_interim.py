"""The interim worker of a handover: its command line, and the queues that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runbooks.workers import queues, read_command
from runbooks.workers.interim import interim_argv, new_name, original_argv, why_not_twice

APP = ("/venv/bin/python", "/venv/bin/celery", "-A", "shop.tasks", "worker")
OPTIONS = [
    (),
    ("--queues=default,generation",),
    ("-Q", "default", "-n", "w1@%h", "--loglevel=info"),
    ("-Qdefault", "-nw1@%h"),
    ("--hostname", "w1@%h", "--queues", "default"),
    ("--hostname=w1@%h", "--autoscale=4,1", "--queues=default"),
]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_the_command_line_comes_back_however_often_it_is_handed_over(options: tuple[str, ...]) -> None:
    argv = (*APP, *options)
    first = interim_argv(argv, new_name())
    second = interim_argv(first, new_name())
    assert len(second) == len(first) == len(argv) + 2
    assert original_argv(first) == original_argv(second) == original_argv(argv) == argv


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_celery_takes_the_node_name_and_the_queue_of_the_interim_worker(options: tuple[str, ...]) -> None:
    celery_worker = pytest.importorskip("celery.bin.worker").worker
    name = new_name()
    command = read_command(interim_argv((*APP, *options), name))
    assert command is not None
    assert command.app == "shop.tasks"
    taken = celery_worker.make_context("worker", list(command.options), obj=_AnyApp(), resilient_parsing=True).params
    assert taken["hostname"].startswith(f"{name}@")
    assert taken["queues"] == [name]


class _AnyApp:
    """What Celery's options ask of their context."""

    def __getattr__(self, name: str) -> Any:
        return _AnyApp()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("-B",), "runs the beat"),
        (("-EB",), "runs the beat"),
        (("--beat",), "runs the beat"),
        (("--purge",), "empties its queues"),
        (("--discard",), "empties its queues"),
        (("--pidfile=/run/w.pid",), "file of --pidfile (/run/w.pid)"),
        (("-S", "w.state"), "file of --statedb (w.state)"),
        (("--pidfile=/run/%n.pid", "--statedb", "%N.state", "-E", "-c", "2"), None),
        (("-Q", "Beat"), None),
    ],
)
def test_a_worker_that_cannot_run_twice_for_a_moment_is_told(options: tuple[str, ...], why: str | None) -> None:
    said = why_not_twice((*APP, *options))
    assert said is None if why is None else said is not None and why in said


def test_queues_of_the_old_worker_alone_stay_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def queue(name: str, kind: str = "direct") -> dict[str, Any]:
        return {"name": name, "exchange": {"name": f"of {name}", "type": kind}, "routing_key": f"to {name}"}

    said = [
        queue("default", "topic"),
        queue("bcast.1", "fanout"),
        queue("w1@host.dq2"),
        queue("runbooks-handover-1234"),
    ]

    def answer(broker: str, command: str, callback: Callable[[dict[str, Any]], None], *more: object) -> None:
        callback({"w1@host": said})

    monkeypatch.setattr(queues, "broadcast", answer)
    taken = queues.TaskQueue("default", "of default", "topic", "to default")
    assert queues.queues_of("redis://", "w1@host") == [(taken,)]
