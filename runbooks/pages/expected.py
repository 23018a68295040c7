"""Compare what a step printed with what its page says it prints."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import NamedTuple

WILDCARD = "..."
_SHOWN_LINES = 40
_ANSI = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])"


LineRule = Callable[[str, str], bool]
"""Says whether an expected line (the first argument) and a seen one match."""


class Mismatch(NamedTuple):
    """Where expected and seen part.

    Attributes:
        line: index (from 0) of the first expected line that nothing seen matches.
        expected: that line; None when more was seen than expected.
        seen: the line that was seen in its place; None when the output ended before it.
        diff: both texts, "-" expected and "+" seen, wildcards that match shown as they are written.
    """

    line: int
    expected: str | None
    seen: str | None
    diff: str


def plain_text(data: bytes) -> str:
    """Decode a step's output: no terminal sequences, lines ended by LF, bytes that are not UTF-8 as hex escapes."""
    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    return re.sub(_ANSI, "", text) if "\x1b" in text else text


def compare(expected: str, seen: str, same: LineRule | None = None) -> Mismatch | None:
    """Compare a step's output with the page's text.

    ``...`` inside an expected line matches anything within that line; a line that is only ``...`` matches any
    number of lines, also none. White space at the end of lines and of the text is ignored.

    Args:
        expected: the page's text.
        seen: the output.
        same: says whether an expected line and a seen one match; ``same_line`` by default.

    Returns:
        None when they match.
    """
    same = same or same_line
    wanted, given = lines_of(expected), lines_of(seen)
    reached = _match(wanted, given, same)
    if reached is None:
        return None
    index, position = reached
    return Mismatch(
        line=min(index, max(len(wanted) - 1, 0)),
        expected=wanted[index] if index < len(wanted) else None,
        seen=given[position] if position < len(given) else None,
        diff=_diff(wanted, given, same),
    )


def lines_of(text: str) -> list[str]:
    """Return the lines that are compared: without white space at their ends and at the text's."""
    return [line.rstrip() for line in text.rstrip().split("\n")] if text.strip() else []


def _match(wanted: list[str], given: list[str], same: LineRule) -> tuple[int, int] | None:
    """Match line by line, going back to the last ``...`` line where needed.

    Returns:
        None when all match, else the furthest point reached: indexes of the expected and of the seen line.
    """
    index = position = 0
    star: tuple[int, int] | None = None
    furthest = (0, 0)
    while position < len(given):
        if index < len(wanted) and is_star(wanted[index]):
            star = (index, position)
            index += 1
        elif index < len(wanted) and same(wanted[index], given[position]):
            index, position = index + 1, position + 1
        elif star is not None:
            furthest = max(furthest, (index, position))
            star = (star[0], star[1] + 1)
            index, position = star[0] + 1, star[1]
        else:
            return max(furthest, (index, position))
    while index < len(wanted) and is_star(wanted[index]):
        index += 1
    return None if index == len(wanted) else max(furthest, (index, position))


def is_star(line: str) -> bool:
    """Say whether an expected line stands for any number of lines."""
    return line.strip() == WILDCARD


def same_line(wanted: str, line: str) -> bool:
    """Match one line. The leftmost place for each part is always a right one, so nothing is ever tried twice."""
    first, *parts = wanted.split(WILDCARD)
    if not parts:
        return wanted == line
    *middle, last = parts
    if not line.startswith(first) or not line.endswith(last):
        return False
    position = len(first)
    for part in middle:
        found = line.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return position <= len(line) - len(last)


def substituted(wanted: list[str], given: list[str], same: LineRule) -> list[str]:
    """Put in the place of every expected line that is no plain text the first seen line that it matches."""
    left = list(wanted)
    if len(wanted) * len(given) < 100_000:
        for index, line in enumerate(wanted):
            if (WILDCARD in line or same is not same_line) and not is_star(line):
                left[index] = next((seen for seen in given if same(line, seen)), line)
    return left


def _diff(wanted: list[str], given: list[str], same: LineRule) -> str:
    """Return a diff in which an expected line with a wildcard counts as equal to the first seen line it matches."""
    left = substituted(wanted, given, same)
    shown: list[str] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, left, given, autojunk=False).get_opcodes():
        if tag == "equal" or (b > a and all(is_star(line) for line in wanted[a:b])):
            shown += [f"  {line}" for line in wanted[a:b]]
        else:
            shown += [f"- {line}" for line in wanted[a:b]] + [f"+ {line}" for line in given[c:d]]
    if len(shown) > _SHOWN_LINES:
        first = next((index for index, line in enumerate(shown) if not line.startswith("  ")), 0)
        start = max(0, first - 3)
        rest = len(shown) - start - _SHOWN_LINES
        shown = (["  [...]"] if start else []) + shown[start : start + _SHOWN_LINES]
        shown += [f"  [{rest} more lines]"] if rest > 0 else []
    return "\n".join(shown)
