"""Output blocks that say more than text with wildcards: ``data-match="regex"`` and ``data-tolerance="5%"``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runbooks.pages.expected import WILDCARD, LineRule, is_star
from runbooks.pages.model import Expected

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_PARTS = rf"(?P<number>{_NUMBER})|(?P<star>{re.escape(WILDCARD)})"
_TOLERANCE = r"\d+(?:\.\d+)?%?"


def line_rule(expected: Expected) -> LineRule | None:
    """Return how the lines of an output block are compared; None for text with wildcards."""
    if expected.patterns:
        return lambda wanted, seen: re.fullmatch(wanted, seen) is not None
    if expected.tolerance:
        tolerance = expected.tolerance
        return lambda wanted, seen: _near(wanted, seen, tolerance)
    return None


def check_rule(attributes: Mapping[str, str], text: str) -> list[str]:
    """Say what is wrong with an output block's attributes, and with its patterns."""
    problems = []
    match, tolerance = attributes.get("data-match"), attributes.get("data-tolerance")
    if match not in (None, "regex"):
        problems.append(f"data-match must be 'regex', not '{match}'")
    if tolerance is not None and not re.fullmatch(_TOLERANCE, tolerance):
        problems.append(f"data-tolerance must be a number or a percentage, as 0.5 or 5%, not '{tolerance}'")
    if match and tolerance:
        problems.append("data-match and data-tolerance do not go together: a pattern says which numbers it takes")
    for line in text.splitlines() if match == "regex" else ():
        try:
            re.compile(line)
        except re.error as error:
            problems.append(f"'{line}' is not a regular expression: {error.msg}")
    return problems


def _near(wanted: str, seen: str, tolerance: str) -> bool:
    """Match one line in which every number may differ by the tolerance, and all else may not."""
    if is_star(wanted):
        return True
    pattern, numbers, end = "", [], 0
    for part in re.finditer(_PARTS, wanted):
        pattern += re.escape(wanted[end : part.start()])
        end = part.end()
        pattern += ".*?" if part["star"] else f"({_NUMBER})"
        numbers += [float(part["number"])] if part["number"] else []
    found = re.fullmatch(pattern + re.escape(wanted[end:]), seen)
    return found is not None and all(
        abs(float(given) - number) <= _allowed(number, tolerance)
        for number, given in zip(numbers, found.groups(), strict=True)
    )


def _allowed(number: float, tolerance: str) -> float:
    amount = float(tolerance.removesuffix("%"))
    # A hair more, so that 0.1 + 0.2 is within 0 of 0.3.
    return (abs(number) * amount / 100 if tolerance.endswith("%") else amount) * (1 + 1e-9) + 1e-12
