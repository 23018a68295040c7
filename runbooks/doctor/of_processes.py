"""What is found of workers and APIs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runbooks.doctor.connections import is_orphan
from runbooks.doctor.model import Subject
from runbooks.drift import findings as kinds
from runbooks.drift.comfy import Answerer, Seen
from runbooks.drift.findings import Finding
from runbooks.drift.holdings import Certainty
from runbooks.drift.verdict import KeyVerdict, Source, shown
from runbooks.settings import Layers
from runbooks.workers import Found, Worker, installation_root
from runbooks.workers.by_hand import how_to_start
from runbooks.workers.find import BROKER_VARIABLES
from runbooks.workers.supervisor import Keeper, who_keeps

API_ONLY = frozenset({"API_HOST", "API_PORT"})
"""Variables that no worker reads."""


def reads_comfyui(variable: str) -> bool:
    """Whether only the worker reads it."""
    return variable.startswith("COMFYUI_")


@dataclass(frozen=True)
class Commands:
    """The commands that cure, with the options that this installation needs."""

    layers: Layers
    app: str

    def restart(self, *more: str) -> str:
        """``runbooks restart-worker`` for this installation."""
        words = ["runbooks", "restart-worker"]
        if self.layers.env_target != "local-demo":
            words += ["--env-target", self.layers.env_target]
        if installation_root().resolve() != self.layers.root:
            words += ["--root", str(self.layers.root)]
        return shlex.join([*words, *more])

    def restart_of(self, worker: Worker) -> str:
        """What restarts this worker: the helper, or who keeps it running."""
        kept = who_keeps(worker.process)
        if kept is None or kept.by is Keeper.TERMINAL:
            return self.restart(*(["--take-over"] if kept else []))
        return kept.do

    def start(self) -> str:
        """What starts a worker."""
        return how_to_start(self.layers.root, self.layers.env_target, self.app)

    def start_api(self) -> str:
        """What starts the API."""
        target = f"api-{self.layers.env_target.rpartition('-')[2]}"
        return f"cd {shlex.quote(str(self.layers.root))} && make {target}"


def of_presence(found: Found, commands: Commands) -> Iterator[Finding]:
    """None, several, orphaned, suspended, unreadable."""
    hidden = [miss for miss in found.near_misses if miss.unreadable]
    if not found.workers:
        if hidden:
            user = hidden[0].worker.process.user
            yield Finding(
                kinds.WORKER_UNREADABLE,
                f"Pid {hidden[0].worker.pid} of user {user} may be the worker; what it runs with may not be read.",
                f"pid {hidden[0].worker.pid}",
                f"sudo -u {user} runbooks doctor --root {shlex.quote(str(found.root))}",
                Certainty.UNKNOWN,
                pid=hidden[0].worker.pid,
            )
        else:
            others = "; ".join(f"pid {miss.worker.pid} {miss.why}" for miss in found.near_misses)
            yield Finding(
                kinds.WORKER_NONE,
                f"No worker of {found.env_target} runs in {found.root}.",
                str(found.root),
                commands.start(),
                evidence=f"not meant: {others}" if others else "no process of this machine is one",
            )
    # Whoever gives each of several workers a node name of its own, means it.
    names = [worker.command.node for worker in found.workers]
    doubles = [worker for worker in found.workers if names.count(worker.command.node) > 1]
    if doubles:
        pids = ", ".join(str(worker.pid) for worker in doubles)
        yield Finding(
            kinds.WORKER_DOUBLE,
            f"{len(doubles)} workers of {found.env_target} share the jobs: pids {pids}.",
            f"pids {pids}",
            commands.restart("--all"),
            since=doubles[1].process.started,
            pid=doubles[-1].pid,
        )
    for worker in found.workers:
        yield from _of_state(worker, commands, alone=len(found.workers) == 1)


def _of_state(worker: Worker, commands: Commands, *, alone: bool) -> Iterator[Finding]:
    process = worker.process
    if is_orphan(process):
        yield Finding(
            kinds.WORKER_ORPHAN,
            f"What started the worker (pid {worker.pid}) is gone; it goes on by itself.",
            f"pid {worker.pid}",
            commands.restart() if alone else f"kill -TERM {worker.pid}",
            evidence=f"it hangs below pid {process.ppid}, which belongs to another session",
            since=process.started,
            pid=worker.pid,
        )
    if process.stopped:
        yield Finding(
            kinds.WORKER_SUSPENDED,
            f"The worker (pid {worker.pid}) is suspended (SIGSTOP).",
            f"pid {worker.pid}",
            f"kill -CONT {worker.pid}",
            pid=worker.pid,
        )


def of_worker(
    subject: Subject, worker: Worker, commands: Commands, seen: Mapping[str, Seen], *, leave_out: Sequence[str] = ()
) -> Iterator[Finding]:
    """Stale and shadowed values of a worker, key by key, and what cannot be told.

    Args:
        subject: the verdict on it.
        worker: the worker.
        commands: what cures.
        seen: what answers at each ComfyUI URL.
        leave_out: variables of which something worse is said already.
    """
    restart = commands.restart_of(worker)
    name = f"worker (pid {worker.pid})"
    for key in subject.keys:
        if not key.differs or key.variable in API_ONLY or key.variable in leave_out:
            continue
        kind = kinds.WORKER_SHADOWED if key.source is Source.EXPORTED else kinds.WORKER_STALE
        there = seen.get((key.holds or "").rstrip("/")) if key.variable == "COMFYUI_URL" else None
        yield _differs(kind, name, worker.pid, key, restart, f" At that URL {there.says}." if there else "")
    yield from _open(subject, name, restart)


def of_api(subject: Subject, workers: Sequence[Subject], commands: Commands) -> Iterator[Finding]:
    """What an API holds: harmless for the keys that only the worker reads, a warning for others."""
    pid = subject.process.pid
    name = f"API (pid {pid})"
    restart = f"Stop it (kill -TERM {pid}), then: {commands.start_api()}"
    for key in subject.keys:
        if reads_comfyui(key.variable) or not key.differs:
            continue
        if key.source is Source.EXPORTED:
            unset = f"In the shell that starts it: unset {key.variable}. {restart}"
            yield _differs(kinds.API_SHADOWED, name, pid, key, unset)
        else:
            yield _differs(kinds.API_STALE, name, pid, key, restart)
    other = [key for key in subject.keys if reads_comfyui(key.variable) and _is_other(key, workers)]
    if other:
        named = ", ".join(key.variable for key in other)
        yield Finding(
            kinds.API_DIFFERS,
            f"The {name} has another {named} than the worker or the files: harmless for where jobs go.",
            f"pid {pid}",
            "Nothing to do: only the worker talks to ComfyUI.",
            max((key.certainty for key in other), key=list(Certainty).index),
            pid=pid,
            keys=tuple(key.variable for key in other),
        )


def _is_other(key: KeyVerdict, workers: Sequence[Subject]) -> bool:
    held = [known.holds for worker in workers if (known := worker.key(key.variable)) and known.holds is not None]
    return key.differs or (key.holds is not None and any(value != key.holds for value in held))


def _differs(kind: kinds.Kind, name: str, pid: int, key: KeyVerdict, cure: str, more: str = "") -> Finding:
    says = shown(key.variable, key.says)
    holds = shown(key.variable, key.holds)
    if key.holds is None:
        what = f"The {name} likely holds an older {key.variable} than the files, which say {says}."
    elif holds == says:
        what = f"The {name} holds another {key.variable} than the files say."
    else:
        what = f"The {name} holds {key.variable}={holds}, and the files say {says}."
    evidence = f"{key.why}; it is from {key.held_from}" if key.held_from else key.why
    return Finding(
        kind,
        what,
        str(key.origin),
        cure,
        key.certainty,
        f"{evidence}.{more}",
        since=key.since,
        pid=pid,
        keys=(key.variable,),
    )


def _open(subject: Subject, name: str, restart: str) -> Iterator[Finding]:
    keys = [key for key in subject.keys if key.is_open and key.variable not in API_ONLY]
    if keys:
        more = f" and {len(keys) - 4} more" if len(keys) > 4 else ""
        yield Finding(
            kinds.HOLDING_UNKNOWN,
            f"It cannot be told which {', '.join(key.variable for key in keys[:4])}{more} the {name} holds.",
            str(keys[0].origin),
            f"A restart makes sure: {restart}",
            Certainty.UNKNOWN,
            keys[0].why,
            pid=subject.process.pid,
            keys=tuple(key.variable for key in keys),
        )


def broker_keys(subject: Subject) -> list[str]:
    """The variables of the broker in which a process differs from the files."""
    return [key.variable for key in subject.keys if key.variable in BROKER_VARIABLES and key.differs]


def is_reached(seen: Seen) -> bool:
    """Whether what answers takes prompts."""
    return seen.who in (Answerer.COMFYUI, Answerer.KERNIE_GEN, Answerer.GENONAUT_MOCK)
