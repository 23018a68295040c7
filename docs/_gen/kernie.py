"""Write the tables of the pages about kernie-gen from its code.

    python docs/_gen/kernie.py

They are committed, so that the site builds without this script; tests/kernie fails when one of them is not what the
script would write now. The table of clients is written by `tests/clients/run.py --write`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from runbooks.kernie.differences import DIFFERENCES, MOCKED
from runbooks.kernie.faults import KINDS, REQUEST_FAULTS
from runbooks.kernie.nodes.core import core_nodes
from runbooks.kernie.options import Options
from runbooks.kernie.server import build

DATA = Path(__file__).resolve().parents[1] / "_data"
# Answers what no other route does.
CATCH_ALL = "/{path}"


def shown_routes() -> list[tuple[str, str, str]]:
    """Path, method and what it does, each route once: without its double under /api."""
    found = []
    for route in build(Options()).router.routes():
        path = route.resource.canonical if route.resource else ""
        doubled = path == "/api/" or (path.startswith("/api/") and not path.startswith("/api/jobs"))
        if route.method != "HEAD" and not doubled and path != CATCH_ALL:
            found.append((path, route.method, _first_sentence(route)))
    return sorted(found)


def _first_sentence(route: web.AbstractRoute) -> str:
    return (route.handler.__doc__ or "").split("\n")[0].strip()


def state_of(path: str) -> str:
    """`real`, `mocked` (and what is made up), or `different`."""
    if path == "/" or path.startswith("/kernie/"):
        return "different: for testers"
    return f"mocked: {MOCKED[path]}" if path in MOCKED else "real"


def routes() -> str:
    """The table of routes."""
    rows = [f"| `{method} {path}` | {state_of(path)} | {does} |" for path, method, does in shown_routes()]
    return _table("| route | state | what it does |", rows)


def differences() -> str:
    """What is different on purpose."""
    return _table("| what is different | why |", [f"| {what} | {why} |" for what, why in DIFFERENCES])


def faults() -> str:
    """The kinds of faults."""
    rows = [f"| `{kind}` | {'request' if kind in REQUEST_FAULTS else 'run'} | {KINDS[kind]} |" for kind in KINDS]
    return _table("| kind | strikes a | what it does |", rows)


def nodes() -> str:
    """The nodes, by category."""
    by_category: dict[str, list[str]] = {}
    for name, kind in sorted(core_nodes().items()):
        by_category.setdefault(kind.category, []).append(f"`{name}`")
    return _table(
        "| category | nodes |",
        [f"| {category} | {' '.join(by_category[category])} |" for category in sorted(by_category)],
    )


def _table(head: str, rows: list[str]) -> str:
    return "\n".join([head, "|---" * (head.count("|") - 1) + "|", *rows, ""])


GENERATED: dict[Path, Callable[[], str]] = {
    DATA / "kernie-routes.md": routes,
    DATA / "kernie-differences.md": differences,
    DATA / "kernie-faults.md": faults,
    DATA / "kernie-nodes.md": nodes,
}


def main() -> None:
    """Write every table, and name those that changed."""
    for path, make in GENERATED.items():
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.name}\n")


if __name__ == "__main__":
    main()
