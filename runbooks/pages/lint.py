"""What is wrong with a page that a run would not tell: read, not run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runbooks.pages.expected import is_star, lines_of
from runbooks.pages.model import Block, Kind, Page, Section
from runbooks.pages.parse import parse_page

_LINK = re.compile(r"(?<!\\)(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]+)[^)\n]*\)")
_URL = re.compile(r"(?P<before>.{0,2})\bhttps?://(?P<host>[A-Za-z0-9.-]+|\[[0-9a-f:]+\])(?P<port>:\d+)?")
_VERIFY = re.compile(r"^verif(?:y|ication)\b", re.IGNORECASE)
_ROLL_BACK = re.compile(r"^roll(?:ing)?[ -]?back\b", re.IGNORECASE)
_SHELL_TEST = re.compile(
    r"(?:^|[;&|!]|\b(?:if|while|until|then|do)\b)\s*(?:test\b|\[\[?\s|grep\b|diff\b|cmp\b|!)", re.MULTILINE
)
_PYTHON_TEST = re.compile(r"^\s*(?:assert\b|raise\b)", re.MULTILINE)
_DEFAULT = re.compile(r"(?:environ(?:\.get)?\(|getenv\(|\.setdefault\()[^)]*$")
_REQUEST = re.compile(r"\b(?:curl|wget|nc|xh|httpie|urlopen|httpx|requests|Client)\b")
_NOT_HOSTS = ("example.com", "example.org", "example.net")


@dataclass(frozen=True, order=True)
class Finding:
    """Something to mend on a page.

    Attributes:
        file: the page.
        line: its line, from 1.
        column: the column, from 1.
        rule: the rule's name.
        message: what is wrong and what to write instead.
    """

    file: str
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message} [{self.rule}]"


def lint(path: Path, *, root: Path | None = None) -> list[Finding]:
    """Return what is wrong with a page, in order of its lines.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: the file is not UTF-8.
    """
    page = parse_page(path, root=root)
    found = [
        *((problem.line, 0, "page", problem.message) for problem in page.problems),
        *_unaccounted(page),
        *_titles(page),
        *_changes(page),
        *_verify(page),
        *_links(page),
        *_hosts(page),
    ]
    return sorted(
        Finding(page.name, line, column or _first_column(page, line), rule, message)
        for line, column, rule, message in found
    )


_Found = tuple[int, int, str, str]


def _unaccounted(page: Page) -> Iterator[_Found]:
    for block in page.blocks:
        if block.kind is Kind.UNACCOUNTED:
            name = block.language or "text"
            cure = f'say why: ```{{.{name} data-exempt="the reason"}}'
            yield block.line, 0, "unaccounted", f"this {name} block is not executed, no output and not exempt; {cure}"


def _titles(page: Page) -> Iterator[_Found]:
    headings = [section for section in page.sections if section.level]
    if not page.meta.get("title") and not any(section.level == 1 for section in headings):
        yield 1, 0, "title", "the page has no title; begin with: # Title"
    for before, section in pairwise(headings):
        if section.level > before.level + 1:
            yield section.line, 0, "sections", f"a heading of level {section.level} below one of level {before.level}"
    seen: dict[tuple[int, str], int] = {}
    for section in headings:
        first = seen.setdefault((section.level, section.title.lower()), section.line)
        if first != section.line and section.level == 2:
            yield section.line, 0, "sections", f"the section '{section.title}' is there twice, first at line {first}"
    for section, after in zip(headings, [*headings[1:], None], strict=False):
        if _is_empty(page, section, after):
            yield section.line, 0, "dead-end", f"nothing stands in the section '{section.title}'"


def _is_empty(page: Page, section: Section, after: Section | None) -> bool:
    if after and after.level > section.level:
        return False
    end = after.line - 1 if after else len(page.source_lines)
    body = [line for line in page.source_lines[section.line : end] if line.strip() and set(line.strip()) - set("=-")]
    return not body


def _changes(page: Page) -> Iterator[_Found]:
    changing = [step for step in page.steps if step.changes]
    says_so = any(_ROLL_BACK.match(section.title) for section in page.sections)
    if changing and not says_so and not any(step.rollback for step in page.steps):
        cure = "mark one with .rollback, or say in a section 'Roll back' why there is none"
        yield changing[0].line, 0, "no-roll-back", f"this step changes something, and the page has no way back: {cure}"
    rollbacks = [step for step in page.steps if step.rollback]
    for step in rollbacks:
        if not any(other.line < step.line for other in changing):
            yield step.line, 0, "no-change", "this step rolls back, and no step above it changes anything"
    for step in changing:
        if step.retries:
            yield step.line, 0, "retried-change", "this step changes something and would do so again at every retry"


def _verify(page: Page) -> Iterator[_Found]:
    for index, section in enumerate(page.sections):
        below = [section]
        for other in page.sections[index + 1 :]:
            if other.level <= section.level:
                break
            below.append(other)
        steps = [step for part in below for step in part.blocks if step.kind is Kind.STEP]
        if _VERIFY.match(section.title) and steps and not any(_can_fail(step) for step in steps):
            yield (
                section.line,
                0,
                "verifies-nothing",
                f"no step of '{section.title}' says what it expects: add an output block, a test or an assert",
            )
    for step in page.steps:
        if step.expected and step.runner != "console" and all(map(is_star, lines_of(step.expected.text))):
            yield step.expected.line, 0, "verifies-nothing", "this output block accepts any output"


def _can_fail(step: Block) -> bool:
    if step.expected or step.fails or step.runner == "console":
        return True
    return bool((_PYTHON_TEST if step.runner == "python" else _SHELL_TEST).search(step.code))


def _links(page: Page) -> Iterator[_Found]:
    inside = {line for block in page.blocks for line in block.lines}
    anchors = {section.slug for section in page.sections} | _written_anchors(page.text)
    for number, line in enumerate(page.source_lines, 1):
        for link in _LINK.finditer(line) if number not in inside else ():
            target = link["target"].strip("<>")
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target.startswith("/") or line[: link.start()].count("`") % 2:
                continue
            wrong = _dead(page, unquote(parts.path), unquote(parts.fragment), anchors)
            if wrong:
                yield number, link.start("target") + 1, "dead-end", f"the link '{target}' leads nowhere: {wrong}"


def _dead(page: Page, path: str, fragment: str, anchors: set[str]) -> str:
    if path and page.path:
        file = (page.path.parent / path).resolve()
        if not file.exists():
            return "there is no such file"
        if not fragment or file.suffix != ".md":
            return ""
        other = parse_page(file)
        anchors = {section.slug for section in other.sections} | _written_anchors(other.text)
    return f"there is no #{fragment}" if fragment and fragment not in anchors else ""


def _written_anchors(text: str) -> set[str]:
    return set(re.findall(r"\{[^{}\n]*#([\w-]+)", text)) | set(re.findall(r"\bid=\"([^\"]+)\"", text))


def _hosts(page: Page) -> Iterator[_Found]:
    """Find commands that name a host which no variable can change."""
    for step in page.steps:
        for code, number in zip(step.code.split("\n"), step.lines, strict=False):
            for url in _URL.finditer(code) if _REQUEST.search(code) else ():
                given = (
                    ":-" in url["before"] or url["before"].endswith(("=-", "-")) or _DEFAULT.search(code[: url.start()])
                )
                if given or url["host"].endswith(_NOT_HOSTS) or code.lstrip().startswith("#"):
                    continue
                place = url.group()[len(url["before"]) :]
                column = page.source_lines[number - 1].find(place) + 1
                cure = f'os.environ.get("NAME", "{place}")' if step.runner == "python" else f"${{NAME:-{place}}}"
                yield number, column, "hard-coded-host", f"{place} cannot be pointed elsewhere; write {cure}"


def _first_column(page: Page, line: int) -> int:
    text = page.source_lines[line - 1] if 1 <= line <= len(page.source_lines) else ""
    return len(text) - len(text.lstrip()) + 1
