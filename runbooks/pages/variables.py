"""The variables by which a page's steps are pointed at an installation: those that the page reads with a default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runbooks.pages.model import Block, Page

_SHELL = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*):?[-=](?P<default>[^}]*)\}")
_PYTHON = re.compile(
    r"environ(?:\.get)?\(\s*[\"'](?P<name>\w+)[\"']\s*,\s*[\"'](?P<default>[^\"']*)[\"']"
    r"|getenv\(\s*[\"'](?P<name2>\w+)[\"']\s*,\s*[\"'](?P<default2>[^\"']*)[\"']"
)
_REFERENCE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))")


@dataclass(frozen=True)
class Variable:
    """A variable, the page's default for it (with other variables' values in place), and its value in this run."""

    name: str
    default: str
    value: str

    @property
    def is_given(self) -> bool:
        """Whether the environment sets it to something else than the page's default."""
        return self.value != self.default


def page_variables(page: Page, environ: Mapping[str, str]) -> tuple[Variable, ...]:
    """Return the variables that a page's steps read with a default, in order of their first use."""
    found: dict[str, Variable] = {}
    known = dict(environ)
    for step in page.steps:
        for name, written in _with_defaults(step):
            default = _REFERENCE.sub(lambda use: known.get(use["braced"] or use["bare"], use.group()), written)
            if name not in found:
                found[name] = Variable(name, default, environ.get(name) or default)
                known[name] = found[name].value
    return tuple(found.values())


def variables_of(block: Block, variables: tuple[Variable, ...]) -> tuple[Variable, ...]:
    """Return those of a page's variables that one step reads."""
    return tuple(one for one in variables if re.search(rf"\b{one.name}\b", block.code))


def shown_as_documented(variables: tuple[Variable, ...]) -> dict[str, str]:
    """Return the URLs of this run that differ from the page's, and the page's in their place, for comparing outputs."""
    return {one.value: one.default for one in variables if one.is_given and "://" in one.value and "://" in one.default}


def _with_defaults(step: Block) -> list[tuple[str, str]]:
    if step.runner == "python":
        return [
            (found["name"] or found["name2"], found["default"] or found["default2"] or "")
            for found in _PYTHON.finditer(step.code)
        ]
    return [(found["name"], found["default"]) for found in _SHELL.finditer(step.code)]
