"""Faults on demand: what a client has to survive, switched on by flag or by `POST /kernie/faults`."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from runbooks.kernie.errors import KernieError, OutOfMemoryError
from runbooks.kernie.nodes.registry import NodeType

# Kind -> what it does.
REQUEST_FAULTS = {
    "refuse": "closes the connection without an answer",
    "hang": "takes the request and never answers",
    "slow": "answers after `seconds`",
    "500": "answers 500 in plain text, as ComfyUI does when it breaks",
    "full_queue": "answers POST /prompt with 503",
}
RUN_FAULTS = {
    "drop_socket": "cuts all WebSockets in the middle of a run",
    "oom": "a sampler (or the first output node) runs out of memory",
    "truncated_image": "a saved picture is cut in half",
}
KINDS = {**REQUEST_FAULTS, **RUN_FAULTS}
DEFAULT_SECONDS = 2.0


@dataclass
class Fault:
    """One fault that is switched on.

    Attributes:
        kind: one of `KINDS`.
        times: how often it still happens; None until it is cleared.
        path: only requests whose path starts so, with `/api` before it or without.
        method: only requests with this method.
        seconds: how long `slow` takes.
        node: only nodes of this type (`oom`).
    """

    kind: str
    times: int | None = None
    path: str = "/"
    method: str | None = None
    seconds: float = DEFAULT_SECONDS
    node: str | None = None

    @classmethod
    def parse(cls, wish: Any) -> Fault:
        """A fault from JSON such as `{"kind": "slow", "times": 3, "seconds": 1.5, "path": "/history"}`.

        Raises:
            KernieError: if there is no such kind, or a value of the wrong type.
        """
        if not isinstance(wish, dict) or wish.get("kind") not in KINDS:
            raise KernieError("There is no such fault.", f"Give a kind: one of {', '.join(KINDS)}.")
        checks: dict[str, type | tuple[type, ...]] = {
            "kind": str,
            "times": int,
            "path": str,
            "method": str,
            "seconds": (int, float),
            "node": str,
        }
        for name, value in wish.items():
            wanted = checks.get(name)
            if wanted is None:
                raise KernieError(f"A fault has no {name!r}.", f"It may have: {', '.join(checks)}.")
            if (value is not None and not isinstance(value, wanted)) or isinstance(value, bool):
                raise KernieError(f"{name} cannot be {value!r}.", "Numbers for times and seconds, text for the rest.")
        given = {name: value for name, value in wish.items() if value is not None}
        fault = cls(**given)
        if (fault.times is not None and fault.times < 1) or not 0 <= fault.seconds < math.inf:
            raise KernieError("times must be 1 or more, seconds 0 or more.", "Leave times out for: until cleared.")
        fault.method = fault.method and fault.method.upper()
        return fault

    @classmethod
    def from_flag(cls, text: str) -> Fault:
        """A fault from a flag such as `slow:seconds=1.5,times=3`.

        Raises:
            KernieError: as `parse`.
        """
        kind, _, rest = text.partition(":")
        wish: dict[str, Any] = {"kind": kind}
        for part in filter(None, rest.split(",")):
            name, sign, value = part.partition("=")
            if not sign:
                raise KernieError(f"--fault cannot read {part!r}.", "Write --fault KIND:times=2,seconds=1,path=/view.")
            wish[name] = _number(value) if name in ("times", "seconds") else value
        return cls.parse(wish)

    def meets(self, method: str, path: str) -> bool:
        """True if the fault is one of requests, and this is one that it means."""
        if self.kind == "full_queue" and (method, path.removeprefix("/api")) != ("POST", "/prompt"):
            return False
        meant = path.startswith(self.path) or path.removeprefix("/api").startswith(self.path)
        return self.kind in REQUEST_FAULTS and meant and self.method in (None, method)

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "kind": self.kind,
            "does": KINDS[self.kind],
            "times": self.times,
            "path": self.path,
            "method": self.method,
            "seconds": self.seconds,
            "node": self.node,
        }


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class Faults:
    """The faults that are switched on."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        # Requests that hang wait for this; replaced whenever the faults are cleared.
        self._release = asyncio.Event()

    def add(self, fault: Fault) -> None:
        """Switch one on."""
        self.active.append(fault)

    def clear(self) -> None:
        """Switch all off, and let go of what hangs."""
        self.active.clear()
        self._release.set()
        self._release = asyncio.Event()

    async def hang(self) -> None:
        """Wait until the faults are cleared."""
        await self._release.wait()

    def for_request(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, used up by one."""
        for fault in self.active:
            if fault.meets(method, path):
                return self._used(fault)
        return None

    def any_of_runs(self) -> bool:
        """True if a fault of runs is switched on: results must not come from the cache then, which would spare them."""
        return any(fault.kind in RUN_FAULTS for fault in self.active)

    def during_run(self, kind: str, node: NodeType | None = None) -> bool:
        """True if a fault of this kind strikes now, used up by one."""
        for fault in self.active:
            if fault.kind == kind and (fault.node is None or (node is not None and node.name == fault.node)):
                self._used(fault)
                return True
        return False

    def before_node(self, node: NodeType) -> None:
        """Raise what a node is to fail with.

        Raises:
            OutOfMemoryError: if the fault `oom` strikes.
        """
        if self.active and self._may_run_out(node) and self.during_run("oom", node):
            raise OutOfMemoryError("Allocation on device 0 would exceed allowed memory.")

    def _may_run_out(self, node: NodeType) -> bool:
        named = any(fault.kind == "oom" and fault.node == node.name for fault in self.active)
        return named or node.samples or node.is_output

    def _used(self, fault: Fault) -> Fault:
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.active.remove(fault)
        return fault
