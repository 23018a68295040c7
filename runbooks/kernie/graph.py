"""The order in which a prompt's nodes run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def links_of(node: dict[str, Any], prompt: dict[str, Any]) -> list[str]:
    """Ids of the nodes that a node's inputs are linked to, in the inputs' order."""
    return [
        value[0]
        for value in node["inputs"].values()
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and value[0] in prompt
    ]


class Schedule:
    """What is still to run, and what may run next.

    Args:
        prompt: the graph.
        outputs: the output nodes wanted.
        cached: tells of a node that its result is known; nothing above it is scheduled then.
        is_output: tells of a node that it is an output node.
    """

    def __init__(
        self,
        prompt: dict[str, Any],
        outputs: Iterable[str],
        cached: Callable[[str], bool],
        is_output: Callable[[str], bool],
    ) -> None:
        self._is_output = is_output
        self._blockers: dict[str, set[str]] = {}
        self._blocked: dict[str, list[str]] = {}
        for output in outputs:
            self._add(prompt, output, cached)

    def _add(self, prompt: dict[str, Any], output: str, cached: Callable[[str], bool]) -> None:
        stack = [output]
        while stack:
            node_id = stack.pop()
            if node_id in self._blockers:
                continue
            above = [] if cached(node_id) else [each for each in links_of(prompt[node_id], prompt) if not cached(each)]
            self._blockers[node_id] = set(above)
            for each in dict.fromkeys(above):
                self._blocked.setdefault(each, []).append(node_id)
            stack += above

    def __len__(self) -> int:
        return len(self._blockers)

    @property
    def pending(self) -> list[str]:
        """Nodes still to run."""
        return list(self._blockers)

    def done(self, node_id: str) -> None:
        """A node has run."""
        del self._blockers[node_id]
        for each in self._blocked.get(node_id, ()):
            if each in self._blockers:
                self._blockers[each].discard(node_id)

    def next(self) -> str:
        """The node to run next: the one nearest to an output, so that a user sees something early.

        Nearest means: an output node itself, else one directly before an output, else one two steps before, else the
        first that may run. The real server picks so, and clients show the order.
        """
        ready = [node_id for node_id, blockers in self._blockers.items() if not blockers]
        for distance in range(3):
            for node_id in ready:
                if self._reaches_output(node_id, distance):
                    return node_id
        return ready[0]

    def _reaches_output(self, node_id: str, distance: int) -> bool:
        if distance == 0:
            return self._is_output(node_id)
        return any(self._reaches_output(each, distance - 1) for each in self._blocked.get(node_id, ()))
