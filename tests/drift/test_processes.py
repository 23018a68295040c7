from __future__ import annotations

import getpass
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from runbooks.drift import ancestors, is_alive, look_at, look_for
from tests.support.waiting import wait_until

WAIT = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]


def test_a_process_is_seen_with_what_it_was_started_with(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    with subprocess.Popen(
        [*WAIT, "a word"],
        cwd=tmp_path,
        env={"ENV_TARGET": "local-demo"},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        view = look_at(process.pid)
        process.kill()
    assert view is not None
    assert view.argv == (*WAIT, "a word")
    assert view.environ is not None
    assert view.environ["ENV_TARGET"] == "local-demo"
    assert view.cwd == tmp_path
    assert (view.ppid, view.uid, view.user) == (os.getpid(), os.geteuid(), getpass.getuser())
    assert view.terminal is None
    assert not view.stopped
    # Closer than the second to which the boot time is rounded: an edit right after the start must count as after it.
    assert timedelta(seconds=-0.03) < view.started - before < timedelta(seconds=0.5)
    assert "ENV_TARGET" not in repr(view)


def test_a_stopped_process_is_seen_as_stopped() -> None:
    with subprocess.Popen(WAIT, stdout=subprocess.PIPE) as process:
        view = look_at(process.pid)
        assert view is not None
        view.handle.suspend()
        wait_until(lambda: (now := look_at(process.pid)) is not None and now.stopped, 5, "it to stop")
        process.kill()


def test_a_process_that_has_ended_is_not_there_even_before_it_is_collected() -> None:
    with subprocess.Popen(WAIT, stdout=subprocess.PIPE) as process:
        view = look_at(process.pid)
        assert view is not None
        assert is_alive(view.handle)
        process.kill()
        wait_until(lambda: not is_alive(view.handle), 5, "it to be dead")
        assert look_at(process.pid) is None


def test_the_chain_of_ancestors_leads_from_the_parent_upwards() -> None:
    me = look_at(os.getpid())
    assert me is not None
    chain = ancestors(me)
    assert chain[0].pid == os.getppid()
    assert all(above.pid == below.ppid for below, above in pairwise(chain))


def test_processes_are_found_by_their_command_line() -> None:
    with subprocess.Popen([*WAIT, "find me"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = [view.pid for view in look_for(lambda argv: argv[-1:] == ("find me",))]
        process.kill()
    assert found == [process.pid]
