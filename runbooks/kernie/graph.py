"""The order in which a prompt's nodes run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from runbooks.kernie.nodes.registry import NodeType


def links_of(node: dict[str, Any], kind: NodeType) -> list[str]:
    """Ids of the nodes that a node's declared inputs are linked to, in the order of the prompt."""
    return [
        value[0]
        for name, value in node["inputs"].items()
        if isinstance(value, list) and (name in kind.required or name in kind.optional)
    ]


class Schedule:
    """What is still to run, and what may run next.

    Args:
        prompt: the graph.
        outputs: the output nodes wanted.
        cached: tells of a node that its result is known; nothing above it is scheduled then.
        kind_of: the type of a node.
    """

    def __init__(
        self,
        prompt: dict[str, Any],
        outputs: Iterable[str],
        cached: Callable[[str], bool],
        kind_of: Callable[[str], NodeType],
    ) -> None:
        self._kind_of = kind_of
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
            above = [] if cached(node_id) else self._links(prompt, node_id, cached)
            self._blockers[node_id] = set(above)
            for each in dict.fromkeys(above):
                self._blocked.setdefault(each, []).append(node_id)
            stack += above

    def _links(self, prompt: dict[str, Any], node_id: str, cached: Callable[[str], bool]) -> list[str]:
        return [each for each in links_of(prompt[node_id], self._kind_of(node_id)) if not cached(each)]

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
            return self._kind_of(node_id).is_output
        return any(self._reaches_output(each, distance - 1) for each in self._blocked.get(node_id, ()))
