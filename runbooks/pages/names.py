"""Which names a step sets and which it needs: what must be there before it can run in a session that was not there.

Read from the code, not from a run, so it is a careful guess: a name that is set in a way not listed here is missed, a
name that only looks like one is kept.
"""

from __future__ import annotations

import ast
import builtins
import re

from runbooks.pages.console import split_console
from runbooks.pages.model import Block

_KEYWORDS = r"\b(?:export|declare|typeset|readonly|local|for|read)\b"
_SHELL_SETS = re.compile(
    rf"(?:^|[;&|({{]|\b(?:do|then|else)\b|{_KEYWORDS})\s*(?:-\w+\s+)*(?P<name>[A-Za-z_]\w*)(?:\[[^]]*\])?\+?="
    rf"|{_KEYWORDS}\s+(?:-\w+\s+)*(?P<named>[A-Za-z_]\w*)",
    re.MULTILINE,
)
_SHELL_NEEDS = re.compile(r"\$\{?[#!]?(?P<name>[A-Za-z_]\w*)")
_WORD = re.compile(r"(?<![\w$./-])[A-Za-z_]\w*(?![\w=./-])")
# What these change has no name: the directory, options, traps, and whatever a sourced file does.
_SHELL_STATE = re.compile(r"(?:^|[;&|])\s*(?:cd|pushd|popd|set|shopt|trap|alias|source|umask|\.)\s", re.MULTILINE)
_SHELL_FUNCTION = re.compile(r"^\s*(?:function\s+)?(?P<name>[A-Za-z_][\w-]*)\s*\(\)", re.MULTILINE)
_CHANGING_METHODS = frozenset({"append", "add", "clear", "extend", "insert", "pop", "remove", "setdefault", "update"})

AMBIENT = "the shell's directory and options"
"""Stands for what a shell keeps that has no name. Every later shell step needs it."""


def names_set(block: Block) -> frozenset[str]:
    """Return the names that a step sets: variables, functions, imports."""
    if block.runner == "python":
        return _python_names(block.code, stored=True)
    code = _shell_code(block)
    names = {match["name"] or match["named"] for match in _SHELL_SETS.finditer(code)}
    names |= {match["name"] for match in _SHELL_FUNCTION.finditer(code)}
    return frozenset(names | ({AMBIENT} if _SHELL_STATE.search(code) else set()))


def names_needed(block: Block) -> frozenset[str]:
    """Return the names that a step, with its condition, reads."""
    if block.runner == "python":
        condition = _python_names(block.condition, stored=False)
        return (_python_names(block.code, stored=False) | condition) - set(dir(builtins))
    code = f"{block.condition}\n{_shell_code(block)}"
    names = {match["name"] for match in _SHELL_NEEDS.finditer(code)}
    return frozenset(names | set(_WORD.findall(code)) | {AMBIENT})


def same_session(one: Block, other: Block) -> bool:
    """Say whether two steps share their names: the Python steps of a page do, and all others."""
    return (one.runner == "python") == (other.runner == "python")


def _shell_code(block: Block) -> str:
    if block.runner == "console":
        return "".join(command.code for command in split_console(block))
    return block.code


def _python_names(code: str, *, stored: bool) -> frozenset[str]:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    found: set[str] = set()
    for node in ast.walk(tree):
        if stored:
            found |= _stored(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(node.id)
    return frozenset(found)


def _stored(node: ast.AST) -> set[str]:
    """The names that one node sets or changes."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return {node.id}
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return _root(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING_METHODS:
        return _root(node.func)
    return set()


def _root(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
