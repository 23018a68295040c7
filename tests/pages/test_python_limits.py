"""What stops a Python step, and what it leaves behind in the process that runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

import psutil
import pytest

from runbooks.pages import Session
from tests.pages.support import make_page, run_text
from tests.support.waiting import wait_until

NAP = str(100_000 + os.getpid())
"""Seconds by which the processes of this file's steps are known, also those that have lost their parent."""


def napping() -> list[int]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and NAP in " ".join(process.cmdline()):
                found.append(process.pid)
    return found


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.system('sleep 100')",
        "import os; os.system('trap \"\" INT; sleep 100; true')",
        "import subprocess; subprocess.run(['sleep', '100'])",
        "import subprocess; subprocess.run('sleep 100; true', shell=True, capture_output=True)",
        "import os; pipe = os.popen('sleep 100'); pipe.read()",
        "import ctypes; ctypes.CDLL(None).system(b'sleep 100')",
        "import time; time.sleep(100)",
        "import os; os.read(os.pipe()[0], 1)",
        "import threading; threading.Event().wait()",
    ],
)
def test_a_step_is_stopped_in_time_whatever_it_waits_for_and_its_children_with_it(code: str) -> None:
    page = make_page(
        f"""
        ```python
        import subprocess
        child = subprocess.Popen(["sleep", "{NAP}"])
        ```

        ```{{.python data-timeout="0.2"}}
        print("so far")
        {code.replace("100", NAP)}
        ```

        ```python
        print(child.poll())
        ```
        """
    )
    with Session(page) as session:
        first, second = (session.run(step) for step in page.steps[:2])
        wait_until(lambda: len(napping()) == 1, 1, "of its children none is left")
        third = session.run(page.steps[2])
    assert first.passed
    assert second.error is not None
    assert second.error.message == "still running after 0.2 s; stopped"
    assert (second.output, second.line) == ("so far\n", 8)
    assert second.seconds < 1.5
    assert third.output == "None\n", "the child of the step before is still running"
    wait_until(lambda: not napping(), 1, "nothing is left")


def test_a_step_s_own_alarm_rings_and_does_not_put_off_the_timeout() -> None:
    (result,) = run_text(
        """
        ```{.python data-timeout="0.4"}
        import signal, time
        rung = []
        signal.signal(signal.SIGALRM, lambda *_: rung.append(print("rung")))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        while not rung:
            time.sleep(0.01)
        time.sleep(100)
        ```
        """
    )
    assert result.output == "rung\n"
    assert result.error is not None
    assert (result.line, result.error.message) == (8, "still running after 0.4 s; stopped")


def test_a_command_says_how_it_ended_as_os_system_does() -> None:
    (result,) = run_text(
        """
        ```python
        import os
        print([os.system(command) for command in ("true", "exit 3", "kill -TERM $$", b"true")], os.system)
        ```
        """
    )
    assert result.output.startswith("[0, 768, 15, 0]")
    assert os.system.__module__ == "posix"


def test_what_a_step_makes_of_ctrl_c_and_of_its_alarm_ends_with_the_step() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    heard = [signal.getsignal(number) for number in numbers]
    results = run_text(
        """
        ```python
        import os, signal, time
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, lambda *_: print("mine"))
        os.kill(os.getpid(), signal.SIGINT)
        signal.alarm(30)
        ```

        ```python
        print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.alarm(0))
        ```

        ```python
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        time.sleep(100)
        ```
        """
    )
    assert [result.output for result in results] == ["mine\n", "True 0\n", ""]
    assert results[2].error is not None
    assert results[2].error.message == "the step ended the interpreter (SystemExit: Alarm clock)"
    assert [signal.getsignal(number) for number in numbers] == heard


def test_somebody_s_alarm_for_the_whole_test_goes_on_during_a_step() -> None:
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        (result,) = run_text("```{.python data-timeout='5'}\nimport time; time.sleep(0.2)\n```\n")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert result.passed
    assert rung


@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_that_a_step_leaves_goes_on_until_the_page_ends_and_no_longer(daemon: bool) -> None:
    known = threading.active_count()
    results = run_text(
        f"""
        ```python
        import threading, time
        beats = []
        def beat():
            while True:
                beats.append(1)
                time.sleep(0.01)
        threading.Thread(target=beat, daemon={daemon}).start()
        ```

        ```python
        begun = len(beats)
        while len(beats) < begun + 2:
            time.sleep(0.01)
        ```
        """
    )
    assert all(result.passed for result in results)
    assert threading.active_count() == known
