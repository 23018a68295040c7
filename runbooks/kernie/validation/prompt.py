"""Check a whole prompt: its node types, its outputs, then everything that hangs above them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runbooks.kernie.nodes.inputs import World
from runbooks.kernie.nodes.registry import Registry
from runbooks.kernie.validation import faults
from runbooks.kernie.validation.faults import Fault
from runbooks.kernie.validation.graph import GraphCheck, Verdict


@dataclass
class Answer:
    """The outcome: an error, or the outputs that can run; node errors with either."""

    error: Fault | None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


def check_prompt(prompt: dict[str, Any], targets: Any, registry: Registry, world: World) -> Answer:
    """Check a prompt and coerce its values in place.

    Args:
        prompt: the graph; node id -> {class_type, inputs}.
        targets: ids of the outputs wanted, or None for all.
        registry: the node types.
        world: models and folders that choices depend on.

    Raises:
        TypeError, AttributeError: for a prompt that is no object of objects; answered by 500, as on the real server.
    """
    outputs = []
    for node_id, node in prompt.items():
        missing = _unknown_type(node_id, node, registry)
        if missing is not None:
            return Answer(missing)
        if registry[node["class_type"]].is_output and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return Answer(faults.fault("prompt_no_outputs", "Prompt has no outputs", ""))
    return _check_outputs(outputs, GraphCheck(prompt, registry, world))


def _unknown_type(node_id: str, node: dict[str, Any], registry: Registry) -> Fault | None:
    kind = node.get("class_type")
    if kind in registry:
        return None
    title = node.get("_meta", {}).get("title", kind)
    if "class_type" in node:
        message = f"Node '{title}' not found. The custom node may not be installed."
    else:
        shown = title or f"ID #{node_id}"
        message = f"Node '{shown}' has no class_type. The workflow may be corrupted or a custom node is missing."
    details = f"Node ID '#{node_id}'"
    return faults.fault("missing_node_type", message, details, node_id=node_id, class_type=kind, node_title=title)


def _check_outputs(outputs: list[str], graph: GraphCheck) -> Answer:
    good: list[str] = []
    reasons: list[str] = []
    node_errors: dict[str, Any] = {}
    for output in outputs:
        try:
            verdict = graph.check(output)
        except Exception as error:
            verdict = graph.verdicts[output] = Verdict(False, [faults.broke(error)])
        if verdict.good:
            good.append(output)
            continue
        reasons += [f"{each['message']}: {each['details']}" for each in verdict.faults]
        _blame(output, graph, node_errors)
    if good:
        return Answer(None, good, node_errors)
    message = "Prompt outputs failed validation"
    failed = faults.fault("prompt_outputs_failed_validation", message, "\n".join(reasons))
    return Answer(failed, [], node_errors)


def _blame(output: str, graph: GraphCheck, node_errors: dict[str, Any]) -> None:
    """Note every faulty node seen so far; `output` depends on it."""
    for node_id, verdict in graph.verdicts.items():
        if verdict.faults:
            entry = node_errors.setdefault(
                node_id,
                {
                    "errors": verdict.faults,
                    "dependent_outputs": [],
                    "class_type": graph.prompt[node_id]["class_type"],
                },
            )
            entry["dependent_outputs"].append(output)
