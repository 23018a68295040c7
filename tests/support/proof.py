"""A step is a proof only if breaking it turns its page red, at that step's line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runbooks.pages import Result, Session
from runbooks.pages.expected import compare
from runbooks.pages.matching import line_rule
from runbooks.pages.model import Block, Expected
from runbooks.pages.results import StepFailed

MISTAKE = "a_mistake_in_this_line"


def before(session: Session, step: Block) -> StepFailed | None:
    """Run a step with a mistake in its first line, before anything that it changes; tell if the page stays green."""
    broken = replace(step, code=f"{MISTAKE}\n{step.code}", lines=(step.lines[0], *step.lines), retries=0)
    failed = session.run(broken)
    if failed.passed:
        return StepFailed.at(session.page, step.line, "this step passes with a mistake in its first line")
    if failed.line != step.lines[0] or MISTAKE not in f"{failed.error}{failed.output}":
        return StepFailed.at(
            session.page, step.line, f"a mistake in this step's first line is told at line {failed.line}"
        )
    return None


def after(session: Session, result: Result, unproven: StepFailed | None) -> Result:
    """Return the result of a step that ran, or one that says what of it is not proven.

    Each line that the page expects is changed, one at a time: the page must turn red.
    """
    if not result.passed:
        return result
    for expected, seen in result.compared:
        unproven = unproven or _unproven_line(session, expected, seen)
    return result if unproven is None else result._replace(passed=False, line=unproven.line, error=unproven)


def _unproven_line(session: Session, expected: Expected, seen: str) -> StepFailed | None:
    mutants = list(_wrong(expected))
    if not mutants:
        return StepFailed.at(session.page, expected.line, "this output expects nothing in particular")
    for line, text in mutants:
        if compare(text, seen, line_rule(expected)) is None:
            return StepFailed.at(session.page, line, "this line of the output is not compared")
    return None


def _wrong(expected: Expected) -> Iterator[tuple[int, str]]:
    """The expected output with one line of it changed, for every line that is not a mere wildcard; and that line."""
    lines = expected.text.splitlines()
    for index, line in enumerate(lines):
        if line.strip() not in ("", "..."):
            yield expected.line + index, "\n".join([*lines[:index], f"{line} and more", *lines[index + 1 :]])
