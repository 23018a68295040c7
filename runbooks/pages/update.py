"""Bring the output blocks of a page up to date with what its steps print, and keep their wildcards."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from runbooks.pages.console import split_console
from runbooks.pages.expected import WILDCARD, compare, is_star, lines_of, same_line, substituted
from runbooks.pages.matching import line_rule
from runbooks.pages.model import Expected, Kind, Page, Problem
from runbooks.pages.parse import parse_page

_PREFIX = re.compile(r"[ \t>]*")


class Updated(NamedTuple):
    """A page's text with its outputs brought up to date, and those that differ and were left as they are, with why."""

    text: str
    left: tuple[Problem, ...]


def updated_text(page: Page, compared: Iterable[tuple[Expected, str]], redact: Callable[[str], str]) -> Updated:
    """Return the page's text with every output that differs replaced by what was seen.

    Left alone are blocks of patterns, those that include another file, and those of which the page would read what was
    seen as something else: a fence, an include, a command of a transcript.

    Args:
        page: the page, read from a file.
        compared: each expected text and what was seen, as ``Result.compared`` has them.
        redact: masks secrets in what is going to be written.
    """
    lines = list(page.source_lines)
    left: list[Problem] = []
    for expected, seen in sorted(compared, key=lambda pair: -pair[0].line):
        if compare(expected.text, seen, line_rule(expected)) is None:
            continue
        written = expected.text.count("\n")
        start = expected.line - 1
        if not written:  # an empty block: its line is that of its fence
            start += 1
        found = lines[start : start + written]
        if expected.patterns:
            left.append(Problem(expected.line, "a pattern does not match; change it by hand"))
        elif [_bare(line) for line in found] != [_bare(line) for line in expected.text.split("\n")[:-1]]:
            left.append(Problem(expected.line, "this output stands in an included file; change it there"))
        else:
            new = merged(lines_of(expected.text), lines_of(redact(seen)))
            changed = _with_output(lines, start, written, new)
            if _reads_as(lines, changed, new):
                lines = changed
            else:
                left.append(Problem(expected.line, f"{_why(new)}; write ... in its place"))
    return Updated("\n".join(lines), tuple(reversed(left)))


def _bare(line: str) -> str:
    """Return a line without what a quote or an indentation puts before it; an output's own ``>`` goes, too."""
    return line.strip().lstrip("> ")


def _why(new: list[str]) -> str:
    if any("\r" in line for line in new):
        return "what was seen holds a carriage return, which a page would read as the end of a line"
    return "the page would read what was seen as a fence, an include or a command"


def _with_output(lines: list[str], start: int, written: int, new: list[str]) -> list[str]:
    """Return the page's lines with other ones in the place of an output's, indented and quoted as its fence is."""
    fence = next(line for line in reversed(lines[:start]) if _bare(line).startswith(("```", "~~~")))
    prefix = _PREFIX.match(fence).group()  # type: ignore[union-attr]  # it matches everything
    return [*lines[:start], *(f"{prefix}{line}".rstrip() for line in new), *lines[start + written :]]


def _reads_as(lines: list[str], changed: list[str], output: list[str]) -> bool:
    """Say whether a changed page reads as before but for one output, which is ``output``."""
    before, after = _read("\n".join(lines)), _read("\n".join(changed))
    if len(before) != len(after):
        return False
    different = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    return all((old[0], new) == ("output", ("output", output)) for old, new in different) and len(different) < 2


def _read(text: str) -> list[tuple[str, list[str]]]:
    """Return what a page is made of: problems, code, and outputs, also those within transcripts, each as lines."""
    page = parse_page(text.replace("\r", "\n"))  # as a file is read
    parts: list[tuple[str, list[str]]] = [("problem", [problem.message]) for problem in page.problems]
    for block in page.blocks:
        if block.runner == "console":
            for command in split_console(block):
                parts += [("command", lines_of(command.code)), ("output", lines_of(command.expected.text))]
        else:
            parts.append(("output" if block.kind is Kind.OUTPUT else block.language, lines_of(block.code)))
    return parts


def merged(wanted: list[str], given: list[str]) -> list[str]:
    """Return the seen lines with the wildcards of the expected ones, where these still fit.

    An expected line that matches stays as it is written. A line that differs keeps the wildcards of its words if the
    number of words is the same. A line of ``...`` stays, and stands for what is between its neighbours.
    """
    result: list[str] = []
    left = substituted(wanted, given, same_line)
    for tag, a, b, c, d in difflib.SequenceMatcher(None, left, given, autojunk=False).get_opcodes():
        result += wanted[a:b] if tag == "equal" else _replaced(wanted[a:b], given[c:d])
    return result


def _replaced(wanted: list[str], given: list[str]) -> list[str]:
    stars = [index for index, line in enumerate(wanted) if is_star(line)]
    if not stars:
        pairs = zip(wanted, given, strict=False)
        return [_line(old, new) for old, new in pairs] + given[len(wanted) :]
    before, after = stars[0], len(wanted) - stars[-1] - 1
    middle = wanted[stars[0]]
    top = given[:before]
    bottom = given[max(len(given) - after, len(top)) :] if after else []
    return [
        *(_line(old, new) for old, new in zip(wanted[:before], top, strict=False)),
        middle,
        *(_line(old, new) for old, new in zip(wanted[len(wanted) - after :], bottom, strict=False)),
    ]


def _line(old: str, new: str) -> str:
    """Return a seen line with the wildcards of the line that it replaces, word by word."""
    words, seen = re.split(r"(\s+)", old), re.split(r"(\s+)", new)
    if WILDCARD not in old or len(words) != len(seen):
        return new
    pairs = zip(words, seen, strict=True)
    return "".join(word if WILDCARD in word and same_line(word, now) else now for word, now in pairs)
