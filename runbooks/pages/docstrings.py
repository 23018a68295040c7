"""The examples in a Python file's docstrings, each docstring a small page. The file is read, not imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from runbooks.pages.model import Page
from runbooks.pages.parse import build_sections, page_name
from runbooks.pages.scan import scan


def parse_docstrings(path: Path, *, root: Path | None = None) -> list[Page]:
    """Return a page for each docstring of ``path`` that holds a fence; in order of lines.

    Args:
        path: a Python file.
        root: the folder that the pages' names and includes are relative to; the current one by default.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: the file is not UTF-8.
        SyntaxError: the file is not Python.
    """
    path = path.resolve()
    root = (root or Path.cwd()).resolve()
    text = path.read_text("utf-8")
    if "```" not in text and "~~~" not in text:
        return []
    pages = []
    for name, first_line, lines in _docstrings(ast.parse(text, str(path))):
        found = scan(lines, first_line=first_line, docstring=True)
        if not found.fences and not found.problems:
            continue
        sections, problems = build_sections(found, root, top=f"{name}.__doc__" if name else "__doc__")
        pages.append(
            Page(
                name=page_name(path, root),
                path=path,
                text="\n".join(lines),
                title=name or path.stem,
                meta={},
                sections=sections,
                problems=tuple(sorted(problems, key=lambda problem: problem.line)),
                docstring=name,
                source_lines=tuple(text.split("\n")),
            )
        )
    return pages


def _docstrings(tree: ast.Module) -> Iterator[tuple[str, int, list[str]]]:
    """Yield for each docstring: the qualified name ("" for the module), its first line's number, its lines."""
    waiting: list[tuple[str, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]] = [("", tree)]
    for name, node in waiting:  # grows while it is read
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
            and any(mark in first.value.value for mark in ("```", "~~~"))
        ):
            yield name, first.value.lineno, _cleaned(first.value.value)
        waiting += [
            (f"{name}.{child.name}".lstrip("."), child)
            for child in (node.body if isinstance(node, ast.Module | ast.ClassDef) else ())
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]


def _cleaned(docstring: str) -> list[str]:
    """Take the common indentation away, as ``inspect.cleandoc`` does, but keep every line in its place."""
    first, *rest = docstring.expandtabs().split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return [first.lstrip(), *(line[margin:] for line in rest)]
