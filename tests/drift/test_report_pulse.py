"""The beat comes from where the work is done, or it does not come."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from runbooks.drift.pulse import EventLoop, MainThread, Pulse
from tests.support.waiting import wait_until


class Beats:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def main_thread() -> Iterator[MainThread]:
    before = signal.getsignal(signal.SIGURG)
    yield MainThread()
    signal.signal(signal.SIGURG, before)


def test_it_beats_while_the_main_thread_waits_and_while_it_works(main_thread: MainThread) -> None:
    beats = Beats()
    pulse = Pulse(beats, main_thread, every=0.01)
    pulse.start()
    read, write = os.pipe()
    threading.Timer(0.3, os.write, (write, b"x")).start()
    assert os.read(read, 1) == b"x", "an idle pool child waits like this"
    waiting = beats.count
    assert waiting > 3
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
    pulse.stop()
    assert beats.count > waiting + 3
    stopped = beats.count
    wait_until(lambda: not any(thread.name == "settings-report" for thread in threading.enumerate()), 5, "it goes on")
    assert beats.count == stopped
    os.close(read)
    os.close(write)


def test_a_handler_that_was_there_before_is_still_called() -> None:
    seen: list[int] = []

    def before(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    original = signal.signal(signal.SIGURG, before)
    try:
        MainThread().knock(1)
        assert seen == [signal.SIGURG]
    finally:
        signal.signal(signal.SIGURG, original)


BLOCKED = """
import ctypes, signal, sys, threading, time
from runbooks.drift.pulse import MainThread, Pulse

beats = 0
def beat():
    global beats
    beats += 1

pulse = Pulse(beat, MainThread(), every=0.01)
pulse.start()
while not beats:
    time.sleep(0.01)
# In C, without Python's lock, and without an ear for signals.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG})
before = beats
ctypes.CDLL(None).usleep(500_000)
print("blocked", beats - before)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGURG})
while beats < before + 3:
    time.sleep(0.01)
print("again")
"""


def test_it_does_not_beat_while_the_main_thread_hangs_and_begins_again_by_itself() -> None:
    run = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=30, check=True)
    blocked, again = run.stdout.splitlines()
    assert blocked in ("blocked 0", "blocked 1"), "one may have been on its way"
    assert again == "again"


def test_an_event_loop_that_is_blocked_does_not_beat() -> None:
    beats = Beats()

    async def serve() -> tuple[int, int, int]:
        pulse = Pulse(beats, EventLoop(asyncio.get_running_loop()), every=0.01)
        pulse.start()
        while beats.count < 3:
            await asyncio.sleep(0.01)
        before = beats.count
        time.sleep(0.4)
        during = beats.count
        while beats.count < during + 3:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(pulse.stop)
        return before, during, beats.count

    before, during, _ = asyncio.run(serve())
    assert during - before <= 1


def test_a_loop_that_is_closed_ends_the_pulse() -> None:
    loop = asyncio.new_event_loop()
    pulse = Pulse(Beats(), EventLoop(loop), every=0.01)
    loop.close()
    pulse.start()
    wait_until(lambda: not pulse._thread.is_alive(), 5, "it goes on")
