"""What a page is made of: sections, blocks, and the problems found while reading it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

Runner = Literal["python", "shell", "console"]


class Kind(enum.Enum):
    """How a code block is accounted for."""

    STEP = "step"
    """Executed."""
    OUTPUT = "output"
    """The expected output of the step right before it."""
    EXEMPT = "exempt"
    """Not executed, with a reason."""
    UNACCOUNTED = "unaccounted"
    """None of these: the test run fails at its line."""


class Problem(NamedTuple):
    """Something wrong with the page itself.

    Attributes:
        line: the page's line, counted from 1.
        message: what is wrong and what to write instead.
    """

    line: int
    message: str


class Expected(NamedTuple):
    """The text that a step's output is compared with.

    Attributes:
        text: the expected lines, which may hold ``...`` as a wildcard.
        line: the page's line of the first of them.
        patterns: each line is a regular expression.
        tolerance: how far a number may be from the one that is written: "0.5", or "5%" of it; "" for not at all.
    """

    text: str
    line: int
    patterns: bool = False
    tolerance: str = ""


@dataclass(frozen=True, eq=False)
class Block:
    """One fenced code block.

    Attributes:
        kind: how it is accounted for.
        language: the fence's language as written, "" when there is none.
        runner: what executes it; None for a block that is not a step.
        code: its text, dedented, includes expanded, ending with a newline unless empty.
        lines: for each line of ``code``, the page's line that it stands on (an included line has its include's).
        line: the page's line of the opening fence, counted from 1.
        name: stable and unique on its page: the section's slug and a label, "restart-the-worker[bash]".
        section: the slug of the innermost heading above it.
        title: the fence's title, "" when there is none.
        tabs: labels of the tabs that it stands in, outermost first.
        changes: the step changes something.
        rollback: the step rolls something back.
        hidden: the site does not show it: set-up that a reader has done long ago.
        timeout: seconds after which the step is stopped; in a console block, each of its commands.
        retries: how often the step is tried again before it counts as failed.
        condition: an expression in the step's language; the step only applies where it holds. "" for always.
        fails: exit code or exception name with which the step must fail; None when it must pass.
        reason: why an exempt block is not executed, "" for all others.
        expected: of a step, the output to compare with, from the output block that follows; of that block, the same.
    """

    kind: Kind
    language: str
    runner: Runner | None
    code: str
    lines: tuple[int, ...]
    line: int
    name: str = ""
    section: str = ""
    title: str = ""
    tabs: tuple[str, ...] = ()
    changes: bool = False
    rollback: bool = False
    hidden: bool = False
    timeout: float = 60.0
    retries: int = 0
    condition: str = ""
    fails: str | None = None
    reason: str = ""
    expected: Expected | None = None

    def page_line(self, number: int) -> int:
        """Return the page's line of line ``number`` (from 1) of the code; beyond its ends, the nearest."""
        if not self.lines:
            return self.line
        return self.lines[min(max(number, 1), len(self.lines)) - 1]


@dataclass(frozen=True, eq=False)
class Section:
    """A heading and the blocks up to the next heading.

    Attributes:
        title: the heading's text; "" for what stands above the first heading.
        slug: the heading's anchor, as MkDocs makes it.
        level: 1 to 6; 0 above the first heading.
        line: the page's line of the heading.
        blocks: its code blocks in order.
    """

    title: str
    slug: str
    level: int
    line: int
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, eq=False)
class Page:
    """A page as it was read.

    Attributes:
        name: how it is called in messages: the path relative to the root, or what the caller said.
        path: the file; None for a page made from text.
        text: the source.
        title: from the front matter, else the first heading, else the name.
        meta: the front matter, {} when there is none.
        sections: in order; the first one may be the nameless part above the first heading.
        problems: what is wrong with the page itself, in order of lines.
        docstring: the qualified name of the object whose docstring this is; None for a file.
    """

    name: str
    path: Path | None
    text: str
    title: str
    meta: dict[str, Any]
    sections: tuple[Section, ...]
    problems: tuple[Problem, ...] = ()
    docstring: str | None = None
    source_lines: tuple[str, ...] = field(default=(), repr=False)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All code blocks, in order."""
        return tuple(block for section in self.sections for block in section.blocks)

    @property
    def steps(self) -> tuple[Block, ...]:
        """The blocks that are executed, in order."""
        return tuple(block for block in self.blocks if block.kind is Kind.STEP)

    @property
    def secrets(self) -> dict[str, str]:
        """Variables that the page asks for and nobody may see, each with its question."""
        asked = self.meta.get("secrets") or {}
        return {str(name): str(question or name) for name, question in asked.items()} if isinstance(asked, dict) else {}

    def source_line(self, line: int) -> str:
        """Return line ``line`` (from 1) of the file, stripped; "" when there is no such line."""
        return self.source_lines[line - 1].strip() if 1 <= line <= len(self.source_lines) else ""
