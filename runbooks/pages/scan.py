"""Find the fences and headings of a Markdown page, line by line, as the site's renderer does.

pymdownx.superfences finds fences before any other Markdown is read: at any indentation (tabs, admonitions, lists),
closed only by exactly the opening's characters at exactly its indentation. A CommonMark parser differs in each of
these, and a difference here would be a block that readers see and nothing runs. So these are superfences' rules; where
they and CommonMark (GitHub) disagree about a page, the page has a problem.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from runbooks.pages.model import Problem

# Not compiled here: few pages need them all, and what a line can hold is looked for first.
_FENCE = r"(?P<prefix>[ \t>]*)(?P<fence>`{3,}|~{3,})(?P<info>.*)$"
_MARKER_FENCE = r"\s*(?:[-*+]|\d+[.)])\s+(?:`{3,}[^`]*|~{3,}.*)$"
_TAB = r"===[+!]*\s+(?P<quote>[\"'])(?P<label>.*)(?P=quote)\s*$"
_CONTAINER = r"(?:===[+!]*\s|!!!|\?\?\?|///|[-*+]\s|\d+[.)]\s|\[\^[^\]]+\]:|:\s)"
_CONTAINER_STARTS = "=!?/-*+[:"
_HEADING = r"(?P<marks>#{1,6})(?P<text>[^#].*?)#*\s*$"
_UNDERLINE = r"(?P<mark>=+|-+)\s*$"
_NOT_A_TITLE = r"\s*(?:[-*+>|#<]|\d+[.)]\s|!!!|\?\?\?|===)"
_INCLUDE = r"\s*-+8<-+\s+(?P<quote>[\"'])(?P<target>.+)(?P=quote)\s*$"


class Fence(NamedTuple):
    """A closed fence.

    ``line`` is counted from 1, ``heading`` is how many headings stand above, ``body`` is dedented, ``numbers`` has the
    line of each of its lines.
    """

    line: int
    indent: int
    marker: str
    info: str
    quotes: int
    tabs: tuple[str, ...]
    heading: int
    body: list[str]
    numbers: list[int]


class Heading(NamedTuple):
    """A heading: its text is still Markdown."""

    line: int
    level: int
    text: str


class Scan(NamedTuple):
    """What was found, each in order of lines. ``includes`` are those outside fences: (line, target)."""

    fences: list[Fence]
    headings: list[Heading]
    problems: list[Problem]
    includes: list[tuple[int, str]]


def scan(
    lines: list[str], *, first_line: int = 1, numbers: Sequence[int] | None = None, docstring: bool = False
) -> Scan:
    """Find fences, headings and includes.

    Args:
        lines: the text's lines, without line ends.
        first_line: the number of the first of them in its file.
        numbers: the number of each of them, where they do not simply follow each other.
        docstring: the text is a docstring: it has no headings, and a fence that is indented below a paragraph
            is a block (Google style indents the text below ``Example:``), not literal text.
    """
    return _Scanner(lines, numbers or range(first_line, first_line + len(lines)), docstring).run()


def dedent(line: str, columns: int) -> str | None:
    """Take ``columns`` columns of white space from the line's start; None when it has fewer. A tab stops at 4."""
    if not line.strip():
        return ""
    column = index = 0
    while column < columns and line[index] in " \t":
        column += 1 if line[index] == " " else 4 - column % 4
        index += 1
    return " " * (column - columns) + line[index:] if column >= columns else None


def _may_open_a_fence(line: str) -> bool:
    return "```" in line or "~~~" in line


def _indent(line: str) -> int:
    if not line.startswith((" ", "\t")):
        return 0
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip(" "))


class _Scanner:
    def __init__(self, lines: list[str], numbers: Sequence[int], docstring: bool) -> None:
        self.lines = lines
        self.numbers = numbers
        self.docstring = docstring
        self.found = Scan([], [], [], [])
        # The lines that the current one is nested in: (indentation, is it a container, its tab label).
        self.parents: list[tuple[int, bool, str | None]] = []
        self.last_comment_end = max((index for index, line in enumerate(lines) if "-->" in line), default=-1)

    def run(self) -> Scan:
        index = 0
        while index < len(self.lines):
            index = self.fence(index) or self.comment(index) or self.text(index)
        return self.found

    def problem(self, index: int, message: str) -> None:
        self.found.problems.append(Problem(self.numbers[index], message))

    # Each of these takes the line at ``index`` if it is one of theirs, and returns the index of the next line to read.

    def fence(self, index: int) -> int | None:
        if not _may_open_a_fence(self.lines[index]):
            return None
        match = re.match(_FENCE, self.lines[index])
        if not match or (match["fence"][0] == "`" and "`" in match["info"]):
            return None
        indent = _indent(match["prefix"] + "x") if ">" not in match["prefix"] else 0
        literal = self.enter(index, indent)
        if literal:
            return self.skip_literal(index, literal)
        tabs = tuple(label for _, _, label in self.parents if label is not None)
        self.parents.append((indent, False, None))
        fence = Fence(
            line=self.numbers[index],
            indent=indent,
            marker=match["fence"],
            info=match["info"].strip(),
            quotes=match["prefix"].count(">"),
            tabs=tabs,
            heading=len(self.found.headings),
            body=[],
            numbers=[],
        )
        return self.body(index, fence)

    def body(self, start: int, fence: Fence) -> int:
        """Read up to the closing fence. A fence without one is a problem, and takes the rest of its container."""
        end = len(self.lines)
        twin = rf" {{0,3}}{fence.marker[0]}{{{len(fence.marker)},}}\s*$"
        for index in range(start + 1, len(self.lines)):
            line = self.unquote(self.lines[index], fence)
            content = dedent(line, fence.indent) if line is not None else None
            if content is None:
                end = index
                break
            if content.rstrip() == fence.marker:
                self.found.fences.append(fence)
                return index + 1
            if fence.marker in content and re.match(twin, content):
                self.problem(
                    index,
                    f"this line closes the fence of line {fence.line} for some readers only; "
                    f"close it with exactly {fence.marker}, indented as it is opened",
                )
            fence.body.append(content)
            fence.numbers.append(self.numbers[index])
        self.problem(start, f"this fence is never closed; close it with {fence.marker}, indented as it is opened")
        return end

    @staticmethod
    def unquote(line: str, fence: Fence) -> str | None:
        for _ in range(fence.quotes):
            stripped = line.lstrip()
            if not stripped.startswith(">"):
                return None
            line = stripped[1:].removeprefix(" ")
        return line

    def comment(self, index: int) -> int | None:
        if not self.lines[index].lstrip().startswith("<!--"):
            return None
        end = index
        while end <= self.last_comment_end:
            if "-->" in self.lines[end]:
                return end + 1
            end += 1
        self.problem(index, "this comment is never closed; close it with -->")
        return None

    def text(self, index: int) -> int:
        line = self.lines[index]
        if not line.strip():
            return index + 1
        indent = _indent(line)
        literal = self.enter(index, indent)
        if literal:
            return self.skip_literal(index, literal)
        stripped = line.strip()
        contains = (stripped[0] in _CONTAINER_STARTS or stripped[0].isdecimal()) and re.match(_CONTAINER, stripped)
        tab = re.match(_TAB, stripped) if contains else None
        self.parents.append((indent, bool(contains), tab["label"] if tab else None))
        include = re.match(_INCLUDE, line) if "8<-" in line else None
        if include:
            self.found.includes.append((self.numbers[index], include["target"]))
        elif _may_open_a_fence(line) and re.match(_MARKER_FENCE, line):
            self.problem(index, "a fence on the line of a list marker is not rendered; put it on a line of its own")
        elif not self.docstring:
            self.heading(index)
        return index + 1

    def heading(self, index: int) -> None:
        line = self.lines[index]
        match = re.match(_HEADING, line) if line[0] == "#" else None
        if match:
            self.found.headings.append(Heading(self.numbers[index], len(match["marks"]), match["text"].strip()))
            return
        underline = re.match(_UNDERLINE, line) if line[0] in "=-" else None
        above = self.lines[index - 1] if index else ""
        alone = index < 2 or not self.lines[index - 2].strip()
        if underline and above.strip() and alone and not re.match(_NOT_A_TITLE, above):
            level = 1 if underline["mark"][0] == "=" else 2
            self.found.headings.append(Heading(self.numbers[index - 1], level, above.strip()))

    def skip_literal(self, index: int, indent: int) -> int:
        while index < len(self.lines) and (not self.lines[index].strip() or _indent(self.lines[index]) >= indent):
            index += 1
        return index

    def enter(self, index: int, indent: int) -> int:
        """Drop the parents that the line is not nested in.

        Returns:
            The indentation from which on the text is literal if this line begins such text, else 0.
        """
        while self.parents and self.parents[-1][0] >= indent:
            self.parents.pop()
        if self.docstring or (index and self.lines[index - 1].strip()):
            return 0
        base, container, _ = self.parents[-1] if self.parents else (0, False, None)
        literal = base + (8 if container else 4)
        return literal if indent >= literal else 0
