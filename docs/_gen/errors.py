"""Write the error index: every message that the software refuses with, from the code that says it.

    python docs/_gen/errors.py

What happened and what to do stand in the code. Why it happened, and which page helps, stands in
docs/_data/error-causes.yaml; tests/site fails when a message has no cause there, or a cause no message.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from pathlib import Path

import yaml

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
PAGE = DOCS / "reference" / "errors.md"
CAUSES = DOCS / "_data" / "error-causes.yaml"

# Classes whose two arguments are what happened and what to do; those derived from them count, too.
TOLD = {"UserError", "KernieError"}
# Classes whose only argument ends up as a job's error_message.
OF_JOBS = {"ComfyUIError"}
# Functions and classes whose second argument is the `detail` of an API's answer.
OF_ANSWERS = {"HTTPException", "_refusal"}

SECTIONS = {
    "job": ("What a job says", "In `error_message` of a job, and in the worker's log."),
    "api": ("What the API answers", "In `detail` of the answer, behind its status."),
    "target": ("A page's step, or the Python helpers", "What a step says that asks the API, the mock or a job."),
    "settings": (
        "Configuration files",
        "Whatever loads the settings says these: the API and the worker at their start, too.",
    ),
    "workers": ("Restarting a worker", "`runbooks restart-worker` and `restart_worker()`."),
    "stores": ("Broker, job store, reports", "The API, the worker and the doctor, when they reach for their servers."),
    "lab": ("The lab", "`runbooks up`, `down`, `status`, `drill` and `Lab`."),
    "pages": ("Pages", "`runbooks run`, `check`, `update`, `history`, and `pytest --markdown-docs`."),
    "kernie": (
        "kernie-gen",
        "The mock, when it starts or is told a fault. What it answers to a prompt is ComfyUI's own wording.",
    ),
}
PLACES = {
    "comfyui": "job",
    "genonaut/worker/run": "job",
    "genonaut/api/routes": "api",
    "genonaut/api/app": "api",
    "genonaut/api/wire": "api",
    "genonaut/web": "api",
    "drift/web": "api",
    "target": "target",
    "settings": "settings",
    "genonaut/health": "settings",
    "genonaut/startcheck": "settings",
    "drift/lint": "settings",
    "workers": "workers",
    "cli/restart_worker": "workers",
    "genonaut": "stores",
    "drift": "stores",
    "lab": "lab",
    "cli/down": "lab",
    "cli/up": "lab",
    "doctor": "stores",
    "kernie": "kernie",
    "pages": "pages",
    "cli": "pages",
}


@dataclass(frozen=True)
class Message:
    """A message as the code has it, with … for what varies.

    Attributes:
        section: the key of ``SECTIONS``.
        what: what happened.
        do: what to do next; "" where the code says nothing.
        place: the file.
    """

    section: str
    what: str
    do: str
    place: str


@cache
def messages() -> tuple[Message, ...]:
    """Return every message once, by section and by its words, wherever it stands in the code."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / "runbooks").rglob("*.py"))}
    told, of_jobs = _derived(trees, TOLD), _derived(trees, OF_JOBS)
    found: dict[tuple[str, str], Message] = {}
    for path, tree in trees.items():
        name = path.relative_to(ROOT / "runbooks").with_suffix("").as_posix()
        for what, do in _said(tree, told, of_jobs):
            message = Message(_section(name), what, do, f"runbooks/{name}.py")
            known = found.get((message.section, what))
            if known is None or not known.do:
                found[message.section, what] = message
    order = list(SECTIONS)
    return tuple(
        sorted(found.values(), key=lambda message: (order.index(message.section), message.what.strip("… .:").lower()))
    )


def _section(name: str) -> str:
    while name not in PLACES:
        name = name.rpartition("/")[0]
    return PLACES[name]


def _derived(trees: dict[Path, ast.Module], names: set[str]) -> set[str]:
    """The classes of these names and all that are derived from them."""
    bases = {
        node.name: {getattr(base, "id", "") for base in node.bases}
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    known = set(names)
    while more := {name for name, of in bases.items() if of & known} - known:
        known |= more
    return known


def _said(tree: ast.Module, told: set[str], of_jobs: set[str]) -> Iterator[tuple[str, str]]:
    for scope in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)] + [tree]:
        for call in _calls(scope):
            name = getattr(call.func, "id", "")
            if name in told and len(call.args) == 2:
                dos = _texts(call.args[1], scope)
                yield from ((what, dos[-1] if dos else "") for what in _texts(call.args[0], scope))
            elif name in of_jobs and call.args:
                yield from ((what, "") for what in _texts(call.args[0], scope))
            elif name in OF_ANSWERS and len(call.args) >= 2:
                yield from ((what, "") for what in _texts(call.args[1], scope))
            elif name == "JSONResponse" and isinstance(call.args[0], ast.Dict):
                yield from ((what, "") for what in _texts(call.args[0].values[0], scope))
    yield from _constants(tree)


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The message of an answer that is written once at the top of its file."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "WORKER_DOWN":
            detail = ast.literal_eval(node.value)
            yield detail["error"]["message"], ""


def _calls(scope: ast.AST) -> Iterator[ast.Call]:
    """The calls of a function, or those of a file outside of functions."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.Call):
            yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _calls(child)


def _texts(node: ast.expr, scope: ast.AST) -> list[str]:
    """What an expression may say, with … for what varies; [] when it only hands on what another has said."""
    if isinstance(node, ast.IfExp):
        return _texts(node.body, scope) + _texts(node.orelse, scope)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [_tidy(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
        text = _tidy("".join(str(part) for part in parts))
        return [text] if re.search(r"[a-z]{2}", text) else []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in _texts(node.left, scope) or ["…"] for b in _texts(node.right, scope) or ["…"]]
    if isinstance(node, ast.Name):
        given = [
            statement.value
            for statement in ast.walk(scope)
            if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == node.id
        ]
        return [text for value in given for text in _texts(value, scope)]
    return []


def _tidy(text: str) -> str:
    return re.sub(r"…(\s*…)+", "…", " ".join(text.split()))


@cache
def causes() -> dict[str, dict[str, dict[str, str]]]:
    """What stands behind each message, by section and message: ``cause``, and where they help ``cure`` and ``open``."""
    data: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(CAUSES.read_text("utf-8"))
    return data


def problems() -> list[str]:
    """Messages without a cause, causes without a message, and messages without anything to do about them."""
    said = {(message.section, message.what): message for message in messages()}
    known = {(section, what): entry for section, entries in causes().items() for what, entry in entries.items()}
    return [
        *(
            f"no cause for {what!r} of {said[key, what].place}; add it under {key}:"
            for key, what in said.keys() - known
        ),
        *(f"nothing says {what!r} any more; take it out from under {key}:" for key, what in known.keys() - said),
        *(
            f"nothing to do about {what!r}; add cure: or open: under {key}:"
            for (key, what), entry in known.items()
            if (key, what) in said and not (entry.get("cure") or entry.get("open") or said[key, what].do)
        ),
    ]


def page() -> str:
    """The error index."""
    parts = [HEAD]
    slugs: set[str] = set()
    for key, (title, about) in SECTIONS.items():
        parts.append(f"\n## {title} {{ #{key} }}\n\n{about}\n")
        for message in (message for message in messages() if message.section == key):
            slug = _slug(message.what, slugs)
            parts.append(f"\n### {_code(message.what)} {{ #{slug} }}\n\n{_entry(message)}")
    return "".join(parts)


def _entry(message: Message) -> str:
    known = causes().get(message.section, {}).get(message.what, {})
    lines = [f"{known.get('cause', '')}\n"]
    cure = known.get("cure") or message.do
    if cure:
        lines.append(f"\n- Cure: {cure if 'cure' in known else _prose(cure)}\n")
    if "open" in known:
        lines.append(f"{'' if cure else chr(10)}- Open: [{_title(known['open'])}](../{known['open']})\n")
    return "".join(lines)


def _title(page: str) -> str:
    text = (DOCS / page.partition("#")[0]).read_text(encoding="utf-8")
    return next(line.removeprefix("title: ") for line in text.splitlines() if line.startswith("title: "))


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _prose(text: str) -> str:
    """A cure as the code says it: what a Markdown reader would take for markup, as it is."""
    return re.sub(r"([\\`*_<>\[\]{}|])", r"\\\1", text).replace("&", "&amp;")


def _slug(text: str, taken: set[str]) -> str:
    words = re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))
    longer = ["-".join(words[:size]) for size in range(min(6, len(words)), len(words) + 1)]
    numbered = (f"{longer[-1]}-{number}" for number in count(2))
    slug = next(slug for slug in chain(longer, numbered) if slug not in taken)
    taken.add(slug)
    return slug


HEAD = """\
---
title: Error index
description: Every message that the software refuses with, why it comes and what to do.
hide: [toc]
---
<!-- Written by docs/_gen/errors.py from the code that says them, and from docs/_data/error-causes.yaml. -->

# Error index

Search for the words that you see; what varies in a message is … here. What the incident shows, and what has no words
at all, is in [troubleshooting](../troubleshooting.md); what the doctor finds, in [findings](findings.md).

A command that refuses prints what happened and what to do, and exits with 2.
"""


def main() -> None:
    """Write the page, and name the messages that have no cause yet."""
    text = page()
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
    for problem in problems():
        sys.stdout.write(problem + "\n")


if __name__ == "__main__":
    main()
