"""What running a step gives: a result, and the error of one that failed."""

from __future__ import annotations

from typing import NamedTuple

from runbooks.pages.model import Block, Expected, Page


class StepFailed(Exception):  # noqa: N818 - it is a finding about a page, raised only by those who ask for it
    """A step did not do what its page says.

    Attributes:
        message: what happened, one sentence.
        page: the page's name.
        line: the page's line at which it happened.
        source: that line's text.
        details: more lines: the values of an assertion, the way to an exception, a diff.
        expected: the expected text, when outputs differ.
        seen: the output that was seen instead.
    """

    def __init__(
        self,
        message: str,
        *,
        page: str,
        line: int,
        source: str = "",
        details: str = "",
        expected: str | None = None,
        seen: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.page = page
        self.line = line
        self.source = source
        self.details = details
        self.expected = expected
        self.seen = seen

    def __str__(self) -> str:
        """Return the place, the page's line and the details, as lines to print."""
        lines = [f"{self.page}:{self.line}: {self.message}"]
        if self.source:
            lines += ["", f">   {self.source}"]
        if self.details:
            lines += ["", self.details]
        return "\n".join(lines)

    @classmethod
    def at(
        cls,
        page: Page,
        line: int,
        message: str,
        *,
        details: str = "",
        expected: str | None = None,
        seen: str | None = None,
    ) -> StepFailed:
        """Make the error for a line of ``page``."""
        source = page.source_line(line)
        return cls(message, page=page.name, line=line, source=source, details=details, expected=expected, seen=seen)


class Result(NamedTuple):
    """How a step went.

    Attributes:
        block: the step.
        passed: it did what its page says, its output included.
        output: what it wrote to stdout and stderr, in order, without terminal sequences.
        seconds: how long it took.
        line: the page's line that failed; the step's own when it passed.
        error: what went wrong; None when it passed.
        skipped: why the step was not run: its condition did not hold. "" when it was.
        compared: each expected text and what was seen in its place; a console step has one for each command.
    """

    block: Block
    passed: bool
    output: str
    seconds: float
    line: int
    error: StepFailed | None = None
    skipped: str = ""
    compared: tuple[tuple[Expected, str], ...] = ()

    def check(self) -> None:
        """Raise the error of a step that failed.

        Raises:
            StepFailed: it failed.
        """
        if self.error is not None:
            raise self.error


class Failure(NamedTuple):
    """How the code of a step failed, before the page's own expectations are applied.

    Attributes:
        names: what ``data-fails`` may call it: the exit code, or the exception's names and those of its bases.
        message: what happened, one sentence.
        line: the page's line.
        details: more lines to show.
    """

    names: tuple[str, ...]
    message: str
    line: int
    details: str = ""


class Outcome(NamedTuple):
    """What a runner saw: the output, the failure if there was one, and what an interpreter would print of it."""

    output: str
    failure: Failure | None = None
    epilogue: str = ""
