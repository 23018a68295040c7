"""Bring the output blocks of a page up to date with what its steps print, and keep their wildcards."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

from runbooks.pages.expected import WILDCARD, compare, is_star, lines_of, same_line, substituted
from runbooks.pages.matching import line_rule
from runbooks.pages.model import Expected, Page

_PREFIX = re.compile(r"[ \t>]*")


def updated_text(page: Page, compared: Iterable[tuple[Expected, str]], redact: Callable[[str], str]) -> str:
    """Return the page's text with every output that differs replaced by what was seen.

    Blocks of patterns are left alone, and so are those that include another file.

    Args:
        page: the page, read from a file.
        compared: each expected text and what was seen, as ``Result.compared`` has them.
        redact: masks secrets in what is going to be written.
    """
    lines = list(page.source_lines)
    for expected, seen in sorted(compared, key=lambda pair: -pair[0].line):
        written = expected.text.count("\n")
        start = expected.line - 1
        if not written:  # an empty block: its line is that of its fence
            start += 1
        if expected.patterns or compare(expected.text, seen, line_rule(expected)) is None:
            continue
        found = lines[start : start + written]
        if [line.strip().lstrip("> ") for line in found] != [line.strip() for line in expected.text.splitlines()]:
            continue  # it stands in another file
        fence = next(line for line in reversed(lines[:start]) if line.strip().lstrip("> ").startswith(("```", "~~~")))
        prefix = _PREFIX.match(fence).group()  # type: ignore[union-attr]  # it matches everything
        new = merged(lines_of(expected.text), lines_of(redact(seen)))
        lines[start : start + written] = [f"{prefix}{line}".rstrip() for line in new]
    return "\n".join(lines)


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
