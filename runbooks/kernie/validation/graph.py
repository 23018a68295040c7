"""Check a node's inputs, and everything above it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runbooks.kernie.nodes.inputs import Input, World
from runbooks.kernie.nodes.registry import Registry
from runbooks.kernie.validation import faults
from runbooks.kernie.validation.faults import Fault
from runbooks.kernie.validation.values import check_value

LINK_LENGTH = 2


@dataclass(slots=True)
class Verdict:
    """Whether a node and all above it are good, and the faults that are its own."""

    good: bool
    faults: list[Fault] = field(default_factory=list)


class GraphCheck:
    """Checks the nodes of one prompt, each once. Coerced values are written back into the prompt."""

    def __init__(self, prompt: dict[str, Any], registry: Registry, world: World) -> None:
        self.prompt = prompt
        self.verdicts: dict[str, Verdict] = {}
        self._registry = registry
        self._world = world
        self._path: list[str] = []
        self._in_cycle: set[str] = set()

    def check(self, node_id: str) -> Verdict:
        """Check a node.

        Raises:
            Exception: whatever a malformed link leads to (KeyError, IndexError, TypeError): part of the real answer.
        """
        known = self.verdicts.get(node_id)
        if known is not None:
            return known
        if node_id in self._path:
            return self._found_cycle(node_id)
        self._path.append(node_id)
        try:
            verdict = self._check_inputs(node_id)
        finally:
            self._path.pop()
        if node_id not in self._in_cycle:
            self.verdicts[node_id] = verdict
        return self.verdicts[node_id]

    def _found_cycle(self, node_id: str) -> Verdict:
        nodes = self._path[self._path.index(node_id) :]
        path = " -> ".join(f"{each} ({self.prompt[each]['class_type']})" for each in [*nodes, node_id])
        for each in nodes:
            self._in_cycle.add(each)
            self.verdicts[each] = Verdict(False, [faults.cycle(each, nodes, path)])
        return self.verdicts[node_id]

    def _check_inputs(self, node_id: str) -> Verdict:
        node = self.prompt[node_id]
        inputs = node["inputs"]
        kind = self._registry[node["class_type"]]
        verdict = Verdict(True)
        for name, given, is_required in kind.inputs:
            problem = None
            if name not in inputs:
                problem = faults.required_input_missing(name) if is_required else None
            elif isinstance(value := inputs[name], list):
                problem = self._check_link(name, given, value, verdict)
            else:
                coerced, problem = check_value(name, given, value, self._world)
                if problem is None:
                    inputs[name] = coerced
            if problem is not None:
                verdict.faults.append(problem)
        verdict.good = verdict.good and not verdict.faults
        return verdict

    def _check_link(self, name: str, given: Input, link: list[Any], verdict: Verdict) -> Fault | None:
        if len(link) != LINK_LENGTH:
            return faults.bad_link(name, given.config(self._world), link)
        above, slot = link
        received = self._registry[self.prompt[above]["class_type"]].outputs[slot]
        if received != given.type and not types_match(received, given.config(self._world)[0]):
            return faults.type_mismatch(name, given.config(self._world), received, link)
        try:
            if not self.check(above).good:
                verdict.good = False
        except Exception as error:
            verdict.good = False
            self.verdicts[above] = Verdict(False, [faults.broke_inside(name, given.config(self._world), link, error)])
        return None


def types_match(received: Any, wanted: Any) -> bool:
    """True if an output may be linked to an input: same type, one of several (`A,B`), or `*` on either side."""
    if received == wanted or "*" in (received, wanted):
        return True
    if isinstance(received, str) and isinstance(wanted, str):
        return set(received.split(",")) <= set(wanted.split(","))
    # A list of choices takes a COMBO.
    return isinstance(wanted, list) and received == "COMBO"
