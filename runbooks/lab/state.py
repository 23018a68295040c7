"""What runs in a lab: ``run/state.json``, and the lock that lets one command at a time change it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from runbooks.errors import UserError

MARKER_FILE = ".genonaut-lab"
STATE_FILE = "run/state.json"


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same pid.

    Attributes:
        pid: its number.
        created: when it was created, seconds since the epoch.
    """

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The identity of a running process.

        Raises:
            psutil.NoSuchProcess: it is gone.
        """
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process, None when it is gone. A zombie is gone."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - self.created) > 0.05:
                return None
        except psutil.Error:
            return None
        return process


@dataclass(frozen=True)
class Service:
    """One service of a lab.

    Attributes:
        name: ``broker``, ``mock``, ``api``, ``worker`` or ``site``.
        url: where it answers; for the worker the broker that it listens to. Without credentials.
        process: the process to signal (of a worker the main process); None for a broker that was there before.
        log: the file that its output goes to; None when it is not ours.
    """

    name: str
    url: str
    process: ProcessId | None
    log: Path | None

    @property
    def pid(self) -> int | None:
        """Number of the process to signal."""
        return self.process.pid if self.process else None


@dataclass(frozen=True)
class LabState:
    """What ``run/state.json`` says.

    Attributes:
        root: the lab's folder, absolute.
        env_target: such as ``local-demo``.
        incident: whether it was started in the incident's state.
        started: when, seconds since the epoch.
        services: those that were started, in order.
        environment: the variables of ``Lab.environment``; credentials included, so the file is private.
        guardian: the process that stops the lab when the one that started it dies, None when detached.
        watcher: the ``runbooks up`` that ends when the lab is stopped, None when there is none.
    """

    root: Path
    env_target: str
    incident: bool
    started: float
    services: tuple[Service, ...]
    environment: dict[str, str]
    guardian: ProcessId | None = None
    watcher: ProcessId | None = None

    def service(self, name: str) -> Service:
        """The service of that name.

        Raises:
            KeyError: this lab has none.
        """
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    def with_service(self, service: Service) -> LabState:
        """The same with one service added, or replaced at its place."""
        names = [known.name for known in self.services]
        if service.name not in names:
            return replace(self, services=(*self.services, service))
        services = tuple(service if known.name == service.name else known for known in self.services)
        return replace(self, services=services)

    def write(self) -> None:
        """Write ``run/state.json`` in one go, readable for its owner alone."""
        path = self.root / STATE_FILE
        text = json.dumps(asdict(self), indent=2, default=str)
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
        draft.replace(path)


def read_state(root: Path) -> LabState | None:
    """What runs in the lab at ``root``; None when it is not running.

    Raises:
        UserError: ``root`` is not a lab, or its state cannot be read.
    """
    require_lab(root)
    path = root / STATE_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _parse(data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read: {error}.", f"Stop what is left of the lab with: runbooks down --root {root}"
        ) from error


def require_lab(root: Path) -> None:
    """Make sure that a folder is a lab.

    Raises:
        UserError: it is not.
    """
    if not (root / MARKER_FILE).is_file():
        raise UserError(f"There is no lab in {root}.", "Start one there with: runbooks up, or name its folder: --root")


@contextmanager
def lock(root: Path, timeout: float = 60.0) -> Iterator[None]:
    """Hold the lab's lock: only one command starts or stops it at a time. It is let go when the process dies.

    Raises:
        UserError: another command held it for ``timeout`` seconds, or it cannot be opened.
    """
    deadline = time.monotonic() + timeout
    try:
        file = (root / "run" / "lock").open("a", encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"The lab's lock {error.filename} cannot be opened: {reason}.", "Run this as its owner."
        ) from error
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"Another command has been starting or stopping the lab in {root} for {timeout:g} s.",
                        "Wait for it, or look for it with: pgrep -af 'runbooks (up|down)'",
                    ) from None
                time.sleep(0.05)
        yield


def _parse(data: dict[str, Any]) -> LabState:
    def process(value: dict[str, Any] | None) -> ProcessId | None:
        return ProcessId(**value) if value else None

    services = tuple(
        Service(
            name=entry["name"],
            url=entry["url"],
            process=process(entry["process"]),
            log=Path(entry["log"]) if entry["log"] else None,
        )
        for entry in data["services"]
    )
    return LabState(
        root=Path(data["root"]),
        env_target=data["env_target"],
        incident=data["incident"],
        started=data["started"],
        services=services,
        environment=data["environment"],
        guardian=process(data["guardian"]),
        watcher=process(data["watcher"]),
    )
