"""What is found of the broker, of ComfyUI and of the folder that it writes into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from runbooks.doctor.connections import listener_on, to_port
from runbooks.doctor.of_processes import Commands
from runbooks.drift import findings as kinds
from runbooks.drift import redact_text
from runbooks.drift.broker import BrokerSeen, State, address_of
from runbooks.drift.comfy import Answerer, Seen, is_local, output_of_real, port_of
from runbooks.drift.findings import Finding, Kind
from runbooks.drift.holdings import Certainty
from runbooks.drift.verdict import shown
from runbooks.settings import Value
from runbooks.workers import Worker

_KINDS = {
    Answerer.NOBODY: kinds.COMFYUI_DOWN,
    Answerer.SILENT: kinds.COMFYUI_SILENT,
    Answerer.OTHER: kinds.COMFYUI_OTHER,
    Answerer.INVALID: kinds.COMFYUI_URL_INVALID,
}


def of_broker(seen: BrokerSeen, word: Value | None) -> Iterator[Finding]:
    """A broker that does not answer, or refuses."""
    kind = {State.DOWN: kinds.BROKER_DOWN, State.REFUSES: kinds.BROKER_REFUSED}.get(seen.state)
    if kind is not None:
        cure = "Start it where it belongs: redis-server, systemctl start redis, docker start …"
        yield Finding(
            kind,
            f"The broker {redact_text(seen.url)}: {seen.says}.",
            str(word.origin) if word else "default",
            cure if kind is kinds.BROKER_DOWN else "Correct that URL.",
            keys=(word.origin.variable,) if word else (),
        )


def of_listening(worker: Worker, seen: BrokerSeen, commands: Commands) -> Iterator[Finding]:
    """A worker that is connected to another database of the broker, or not at all.

    The broker lists its connections with the database of each, the operating system those of the worker: together they
    tell which one it uses, with no help of the application.
    """
    address = address_of(seen.url)
    connections = to_port(worker, address[1]) if address and seen.state is State.ANSWERS else None
    if connections is None or worker.process.stopped:
        return
    name, where = f"The worker (pid {worker.pid})", f"pid {worker.pid}"
    if not connections:
        yield Finding(
            kinds.WORKER_UNCONNECTED,
            f"{name} has no connection to the broker {redact_text(seen.url)}.",
            where,
            f"Wait 15 s and look again; then: {commands.restart_of(worker)}",
            Certainty.LIKELY,
            "none of its open connections leads to that port",
            since=worker.process.started,
            pid=worker.pid,
        )
    used = {seen.clients[local] for local in connections if local in seen.clients} if seen.clients else set()
    if used and seen.database not in used:
        listed = ", ".join(map(str, sorted(used)))
        yield Finding(
            kinds.BROKER_DATABASE,
            f"{name} listens on database {listed} of the broker, and the files name {seen.database}.",
            where,
            commands.restart_of(worker),
            evidence="the broker's list of connections",
            since=worker.process.started,
            pid=worker.pid,
        )


def of_comfyui(seen: Seen, word: Value) -> Iterator[Finding]:
    """A ComfyUI URL at which no ComfyUI answers."""
    kind = _KINDS.get(seen.who)
    if kind is None:
        return
    yield Finding(
        kind,
        f"COMFYUI_URL is {shown('COMFYUI_URL', seen.url)}: {seen.says}.",
        str(word.origin),
        _cure(kind, seen.url),
        keys=("COMFYUI_URL",),
    )


def _cure(kind: Kind, url: str) -> str:
    port = port_of(url)
    if kind is kinds.COMFYUI_DOWN:
        return f"Start what should listen there (the mock: kernie-gen --port {port}), or correct the URL."
    if kind is kinds.COMFYUI_OTHER:
        return f"See who holds the port: ss -ltnp 'sport = :{port}'; correct the URL."
    return "Look into its log, and start it again." if kind is kinds.COMFYUI_SILENT else "Correct that value."


def of_output(seen: Seen, word: Value, root: Path) -> Iterator[Finding]:
    """An output folder that is not the one which that ComfyUI writes into.

    Args:
        seen: what answers at the URL.
        word: the folder in the files.
        root: where a relative one starts.
    """
    told = str(word.value)
    if told.startswith("~"):
        return
    ours, keys = root / told, ("COMFYUI_URL", "COMFYUI_OUTPUT_DIR")
    theirs = _folder_of(seen)
    if theirs is not None and os.path.realpath(ours) != os.path.realpath(theirs):
        yield Finding(
            kinds.OUTPUT_FOREIGN,
            f"The worker looks for pictures in {ours}, and what answers at {shown('COMFYUI_URL', seen.url)} writes "
            f"into {theirs}.",
            str(word.origin),
            f"In {word.origin}: COMFYUI_OUTPUT_DIR={theirs}, then restart the worker.",
            evidence="that server says so itself",
            keys=keys,
        )
    elif not ours.is_dir():
        yield Finding(
            kinds.OUTPUT_MISSING,
            f"The output folder {ours} is not there.",
            str(word.origin),
            "Correct COMFYUI_OUTPUT_DIR, or mount the folder.",
            keys=keys[1:],
        )
    elif theirs is None and seen.who in (Answerer.COMFYUI, Answerer.GENONAUT_MOCK):
        yield Finding(
            kinds.OUTPUT_UNKNOWN,
            f"It cannot be told where what answers at {shown('COMFYUI_URL', seen.url)} writes its pictures.",
            str(word.origin),
            "Verify with a new job that its picture is found.",
            Certainty.UNKNOWN,
            f"{seen.says}, and does not tell its folder",
            keys=keys,
        )


def _folder_of(seen: Seen) -> Path | None:
    """The folder that a ComfyUI on this machine writes into; None when it does not tell, or runs elsewhere."""
    if not is_local(seen.url):
        return None
    if seen.output is not None and Path(seen.output).is_absolute():
        return Path(seen.output)
    if seen.who is not Answerer.COMFYUI:
        return None
    listener = listener_on(port_of(seen.url) or 0)
    return output_of_real(seen.argv, listener.cwd if listener is not None else None)
