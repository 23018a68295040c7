"""Results of the previous prompt, so that unchanged nodes do not run again.

As the real server does by default, only what the last prompt had is kept: a prompt in between with other nodes makes
the next one run afresh.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from runbooks.kernie.nodes.inputs import World
from runbooks.kernie.nodes.registry import Registry
from runbooks.kernie.nodes.sizes import check_kept


@dataclass(frozen=True)
class Cached:
    """What a node gave: values per output, and what the user saw of it."""

    values: tuple[Any, ...]
    ui: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class Signatures:
    """A node's signature: its type, its inputs and the signatures of all above. Equal signatures, equal results."""

    def __init__(self, prompt: dict[str, Any], registry: Registry, world: World) -> None:
        self._prompt = prompt
        self._registry = registry
        self._world = world
        self._known: dict[str, object] = {}
        # True if a node's result depends on more than the prompt.
        self.depends_on_world = False

    def of(self, node_id: str) -> object:
        """The signature of a node; never equal to another one if it cannot be told."""
        if node_id not in self._known:
            # Stands while the nodes above are visited: a cycle in a part that nobody runs must not recurse for ever.
            self._known[node_id] = object()
            try:
                self._known[node_id] = self._build(node_id)
            except (KeyError, TypeError, AttributeError, RecursionError):
                return self._known[node_id]
        return self._known[node_id]

    def _build(self, node_id: str) -> object:
        node = self._prompt[node_id]
        kind = self._registry[node["class_type"]]
        inputs = node["inputs"]
        changed = None
        if kind.changed is not None:
            self.depends_on_world = True
            changed = kind.changed(self._world, inputs)
        parts = [(name, self._part(inputs[name])) for name in sorted(inputs)]
        told = repr((node["class_type"], changed, parts)).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(told, digest_size=16).digest()

    def _part(self, value: Any) -> object:
        if isinstance(value, list) and len(value) == 2 and value[0] in self._prompt:
            above = self.of(value[0])
            # What cannot be told is its own object: its id makes the nodes below as unlike all others.
            return (above if isinstance(above, bytes) else id(above)), value[1]
        return type(value).__name__, value


class ResultCache:
    """Results by signature, and each node's own memory, for as long as consecutive prompts have them."""

    def __init__(self) -> None:
        self._results: dict[object, Cached] = {}
        self._memories: dict[tuple[str, str], dict[str, Any]] = {}
        self._prompt: dict[str, Any] = {}
        self._signatures: Signatures | None = None

    def begin(self, prompt: dict[str, Any], registry: Registry, world: World) -> None:
        """Start a prompt: forget what it has no use for."""
        if self._signatures is not None and prompt == self._prompt and not self._signatures.depends_on_world:
            return  # the same prompt again: what is known of it stands
        self._prompt = prompt
        self._signatures = signatures = Signatures(prompt, registry, world)
        wanted = {signatures.of(node_id) for node_id in prompt}
        self._results = {key: value for key, value in self._results.items() if key in wanted}
        places = {(node_id, str(node["class_type"])) for node_id, node in prompt.items()}
        self._memories = {key: value for key, value in self._memories.items() if key in places}

    def get(self, node_id: str) -> Cached | None:
        """The result of a node of the present prompt."""
        assert self._signatures is not None
        return self._results.get(self._signatures.of(node_id))

    def check_room(self, values: tuple[Any, ...]) -> None:
        """Raise OutOfMemoryError if these values and all that is kept are too much together."""
        check_kept([values, *(result.values for result in self._results.values())])

    def keep(self, node_id: str, result: Cached) -> None:
        """Keep the result of a node of the present prompt."""
        assert self._signatures is not None
        self._results[self._signatures.of(node_id)] = result

    def memory(self, node_id: str, class_type: str) -> dict[str, Any]:
        """What a node may remember between prompts."""
        return self._memories.setdefault((node_id, class_type), {})

    def clear(self) -> None:
        """Forget everything."""
        self._results.clear()
        self._memories.clear()
        self._signatures = None
