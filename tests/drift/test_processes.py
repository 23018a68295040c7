from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from runbooks.drift import ancestors, is_alive, look_at, look_for
from tests.support.waiting import wait_until

WAIT = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]


@contextmanager
def waiting(*words: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Iterator[int]:
    """A process that does nothing; its pid. It speaks first: in the middle of its exec it has no command line."""
    with subprocess.Popen([*WAIT, *words], cwd=cwd, env=env, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_process_is_seen_with_what_it_was_started_with(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    with waiting("a word", cwd=tmp_path, env={"ENV_TARGET": "local-demo"}) as pid:
        view = look_at(pid)
        after = datetime.now(UTC)
    assert view is not None
    assert view.argv == (*WAIT, "a word")
    assert view.environ is not None
    assert view.environ["ENV_TARGET"] == "local-demo"
    assert view.cwd == tmp_path
    assert (view.ppid, view.uid, view.user) == (os.getpid(), os.geteuid(), getpass.getuser())
    assert view.terminal is None
    assert not view.attended
    assert not view.stopped
    # Closer than the second to which the boot time is rounded: an edit right after the start must count as after it.
    tick = timedelta(milliseconds=30)
    assert before - tick < view.started < after + tick
    assert "ENV_TARGET" not in repr(view)


def test_a_stopped_process_is_seen_as_stopped() -> None:
    with waiting() as pid:
        view = look_at(pid)
        assert view is not None
        view.handle.suspend()
        wait_until(lambda: (now := look_at(pid)) is not None and now.stopped, 5, "it to stop")


def test_a_process_that_has_ended_is_not_there_even_before_it_is_collected() -> None:
    with waiting() as pid:
        view = look_at(pid)
        assert view is not None
        assert is_alive(view.handle)
        view.handle.kill()
        wait_until(lambda: not is_alive(view.handle), 5, "it to be dead")
        assert look_at(pid) is None


def test_the_chain_of_ancestors_leads_from_the_parent_upwards() -> None:
    me = look_at(os.getpid())
    assert me is not None
    chain = ancestors(me)
    assert chain[0].pid == os.getppid()
    assert all(above.pid == below.ppid for below, above in pairwise(chain))


def test_processes_are_found_by_their_command_line() -> None:
    with waiting("find me") as pid:
        assert [view.pid for view in look_for(lambda argv: argv[-1:] == ("find me",))] == [pid]
