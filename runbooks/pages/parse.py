"""Read a Markdown page: its front matter, sections and code blocks, each accounted for."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbooks.pages.info import CLASSES, OUTPUT_ATTRIBUTES, Info, parse_info
from runbooks.pages.model import Block, Expected, Kind, Page, Problem, Runner, Section
from runbooks.pages.scan import Fence, Heading, Scan, scan

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

RUNNERS: dict[str, Runner] = {
    "python": "python",
    "py": "python",
    "python3": "python",
    "bash": "shell",
    "sh": "shell",
    "shell": "shell",
    "console": "console",
}
MOST_RETRIES = 100
_EMPTYING = {  # not compiled: hardly a page needs them
    r"(?<![>&])>\|?\s*/dev/(?:stdout|fd/1)\b": ">&1",
    r"(?<![>&])>\|?\s*/dev/(?:stderr|fd/2)\b": ">&2",
    r"\btee\s+/dev/(?:stdout|stderr|fd/[12])\b": "tee -a",
    r"""\btee["'],\s*["']/dev/(?:stdout|stderr|fd/[12])\b""": "'tee', '-a'",
    r"""\bopen\(\s*["']/dev/(?:stdout|stderr|fd/[12])["'],\s*(?:mode=)?["']w""": "mode 'a'",
}
_HEADING_ATTRIBUTES = r"\s*\{:?(?P<attributes>[^{}\n]*)\}\s*$"
_MARKUP = frozenset("`*_[<&\\")
_NAME = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"


def parse_page(source: Path | str, *, root: Path | None = None, name: str | None = None) -> Page:
    """Read a page.

    Nothing is executed, and a broken page does not raise: what is wrong with it is in ``Page.problems``.

    Args:
        source: the file (a ``Path``) or the Markdown text itself (a ``str``).
        root: the folder that ``--8<--`` includes are relative to, and the page's name; the current one by default.
        name: what to call the page in messages; by default its path relative to ``root``.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: the file is not UTF-8.
    """
    root = (root or Path.cwd()).resolve()
    path = source.resolve() if isinstance(source, Path) else None
    text = source.read_text("utf-8-sig") if isinstance(source, Path) else source.replace("\r\n", "\n")
    if name is None:
        name = page_name(path, root) if path else "<page>"
    lines = text.split("\n")  # as Python and bash count them; splitlines() knows more line ends
    meta, body_start, problems = _front_matter(lines)
    body = [""] * body_start + lines[body_start:]
    found = scan(body)
    if found.includes:
        from runbooks.pages.includes import expand_page

        expanded, numbers, wrong = expand_page(body, root)
        problems += wrong
        found = scan(expanded, numbers=numbers)
    problems += _secrets_problems(meta)
    sections, more = build_sections(found, root)
    title = str(meta.get("title") or next((part.title for part in sections if part.title), "") or name)
    return Page(
        name=name,
        path=path,
        text=text,
        title=title,
        meta=meta,
        sections=sections,
        problems=tuple(sorted([*problems, *more], key=lambda problem: problem.line)),
        source_lines=tuple(lines),
    )


def build_sections(found: Scan, root: Path, top: str = "top") -> tuple[tuple[Section, ...], list[Problem]]:
    """Make sections and blocks of what was scanned; ``top`` is the slug of the part above the first heading."""
    problems = list(found.problems)
    taken: dict[str, str] = {}
    sections = [Section("", top, 0, 1)] + [_section(heading, taken) for heading in found.headings]
    blocks: list[Block] = []
    names: dict[str, int] = {}
    for fence in found.fences:
        block, wrong = _block(fence, root, sections[fence.heading].slug, names)
        problems += [Problem(fence.line, message) for message in wrong] + _emptying(block)
        blocks.append(block)
    problems += _attach_outputs(blocks)
    if found.includes:
        problems += _included_fences(found, root)
    by_section: list[list[Block]] = [[] for _ in sections]
    for block, fence in zip(blocks, found.fences, strict=True):
        by_section[fence.heading].append(block)
    filled = zip(sections, by_section, strict=True)
    return tuple(replace(part, blocks=tuple(own)) for part, own in filled if part.level or own), problems


def page_name(path: Path, root: Path) -> str:
    """Return how a page is called in messages: its path below ``root``, else the whole path."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _front_matter(lines: list[str]) -> tuple[dict[str, Any], int, list[Problem]]:
    """Return the front matter, the number of lines that it takes, and what is wrong with it."""
    if not lines or lines[0].rstrip() != "---":
        return {}, 0, []
    end = next((index for index, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")), None)
    if end is None:
        return {}, 0, []
    import yaml

    try:
        meta = yaml.safe_load("\n".join(lines[1:end]))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that does not exist, deep nesting
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "it cannot be read"
        return {}, end + 1, [Problem(mark.line + 2 if mark else 1, f"the front matter is not YAML: {what}")]
    if meta is None:
        return {}, end + 1, []
    if not isinstance(meta, dict):
        return {}, end + 1, [Problem(1, "the front matter must be `key: value` lines")]
    return meta, end + 1, []


def _section(heading: Heading, taken: dict[str, str]) -> Section:
    text, slug = heading.text, ""
    attributes = re.search(_HEADING_ATTRIBUTES, text) if "{" in text else None
    if attributes:
        text = text[: attributes.start()]
        slug = next((word[1:] for word in attributes["attributes"].split() if word.startswith("#")), "")
    title = _plain(text)
    return Section(title, _free_slug(slug or _slugify(title), taken), heading.level, heading.line)


def _free_slug(wanted: str, taken: dict[str, str]) -> str:
    """Return ``wanted`` or, as toc does, the first free one of wanted_1, wanted_2, ...

    ``taken`` maps every slug to the last one that was given out in its place, where the next search begins.
    """
    slug = taken.get(wanted, wanted)
    while not slug or slug in taken:
        counter = re.fullmatch(r"(.*)_(\d+)", slug)
        slug = f"{counter[1]}_{int(counter[2]) + 1}" if counter else f"{slug}_1"
    taken[slug] = taken[wanted] = slug
    return slug


def _slugify(text: str) -> str:
    """Make an anchor of a heading as Python-Markdown's toc extension (MkDocs' default) does."""
    ascii_text = text if text.isascii() else unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_text).strip().lower())


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")


def _plain(text: str) -> str:
    """Return a heading's text without its markup."""
    if _MARKUP.isdisjoint(text):
        return text
    inline = _markdown().parseInline(text)[0].children or []
    return unescape("".join(token.content for token in inline if token.type in ("text", "code_inline"))).strip()


def _label(language: str, tabs: tuple[str, ...]) -> str:
    language = language or "text"
    words = [re.sub(r"[^\w.+-]+", "-", tab).strip("-").lower() for tab in tabs]
    if not words or words[-1] != language:
        words.append(language)
    return "-".join(word for word in words if word)


def _unique(name: str, taken: dict[str, int]) -> str:
    candidate = name
    while candidate in taken:
        taken[name] += 1
        candidate = f"{name[:-1]}-{taken[name]}]"
    taken[candidate] = 1
    return candidate


def _block(fence: Fence, root: Path, section: str, names: dict[str, int]) -> tuple[Block, list[str]]:
    info = parse_info(fence.info)
    problems = list(info.problems)
    kind, runner = _kind(info, problems)
    body, lines = _body(fence, root, problems)
    code = "\n".join([*body, ""])
    problems += _misplaced(info, kind)
    if kind is Kind.STEP and not code.strip():
        problems.append("this step is empty")
    elif runner == "console":
        from runbooks.pages.console import check_console

        problems += check_console(code)
    rule = _rule(info, code, problems)
    block = Block(
        kind=kind,
        language=info.language,
        runner=runner,
        code=code,
        lines=lines,
        line=fence.line,
        name=_unique(f"{section}[{_label(info.language, fence.tabs)}]", names),
        section=section,
        title=info.title,
        tabs=fence.tabs,
        changes="changes" in info.classes,
        rollback="rollback" in info.classes,
        hidden="hidden" in info.classes,
        retries=_retries(info, problems),
        condition=info.attributes.get("data-if", "").strip(),
        timeout=_timeout(info, problems),
        fails=_fails(info, runner, problems),
        reason=info.attributes.get("data-exempt", "").strip(),
        expected=Expected(code, lines[0] if lines else fence.line, *rule) if kind is Kind.OUTPUT else None,
    )
    return block, problems


def _body(fence: Fence, root: Path, problems: list[str]) -> tuple[list[str], tuple[int, ...]]:
    """Return the lines of a fence with what they include, and the page's line of each."""
    if any("8<-" in line for line in fence.body):
        from runbooks.pages.includes import IncludeError, expand

        try:
            return expand(fence.body, fence.numbers, root)
        except IncludeError as error:
            problems.append(str(error))
    return fence.body, tuple(fence.numbers)


def _rule(info: Info, code: str, problems: list[str]) -> tuple[bool, str]:
    """Return whether the lines of an output are patterns, and the tolerance of its numbers."""
    match, tolerance = (info.attributes.get(name) for name in OUTPUT_ATTRIBUTES)
    if match is None and tolerance is None:
        return False, ""
    from runbooks.pages.matching import check_rule

    wrong = check_rule(info.attributes, code)
    problems += wrong
    return (False, "") if wrong else (match is not None, tolerance or "")


def _kind(info: Info, problems: list[str]) -> tuple[Kind, Runner | None]:
    if "data-exempt" in info.attributes:
        if not info.attributes["data-exempt"].strip():
            problems.append("data-exempt needs a reason")
        return Kind.EXEMPT, None
    if info.language == "output":
        return Kind.OUTPUT, None
    runner = RUNNERS.get(info.language)
    return (Kind.STEP, runner) if runner else (Kind.UNACCOUNTED, None)


def _timeout(info: Info, problems: list[str]) -> float:
    value = info.attributes.get("data-timeout", "60")
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        problems.append(f"data-timeout must be a number of seconds, not '{value}'")
        return 60.0
    return seconds


def _retries(info: Info, problems: list[str]) -> int:
    value = info.attributes.get("data-retries", "0")
    if not (value.isdecimal() and int(value) <= MOST_RETRIES):
        problems.append(f"data-retries must be a number up to {MOST_RETRIES}, not '{value}'")
        return 0
    return int(value)


def _misplaced(info: Info, kind: Kind) -> list[str]:
    """Name what is given to a block that it says nothing about."""
    if kind is Kind.OUTPUT:
        idle = sorted({*info.attributes, *(f".{name}" for name in info.classes if name in CLASSES)})
        idle = [word for word in idle if word not in OUTPUT_ATTRIBUTES]
        return [f"{word} says nothing about an output block; give it to the step" for word in idle]
    return [
        f"{word} says nothing about a step; give it to the output block"
        for word in OUTPUT_ATTRIBUTES
        if word in info.attributes
    ]


def _secrets_problems(meta: dict[str, Any]) -> list[Problem]:
    secrets = meta.get("secrets", {})
    if isinstance(secrets, dict) and all(re.fullmatch(r"[A-Za-z_]\w*", str(name)) for name in secrets):
        return []
    return [Problem(1, "secrets in the front matter are `VARIABLE: the question to ask` lines")]


def _fails(info: Info, runner: Runner | None, problems: list[str]) -> str | None:
    value = info.attributes.get("data-fails")
    if value is None:
        return None
    if runner == "python" and not re.fullmatch(_NAME, value):
        problems.append(f"data-fails must be the name of an exception, not '{value}'")
    if runner in ("shell", "console") and not (value.isdecimal() and 0 < int(value) < 256):
        problems.append(f"data-fails must be an exit code from 1 to 255, not '{value}'")
    return value


def _attach_outputs(blocks: list[Block]) -> list[Problem]:
    """Give each output block to the step right before it; return a problem for each that has none."""
    problems = []
    for index, block in enumerate(blocks):
        if block.kind is not Kind.OUTPUT:
            continue
        before = blocks[index - 1] if index else None
        if before is None or before.kind is not Kind.STEP:
            problems.append(Problem(block.line, "an output block must follow the step whose output it is"))
        elif before.runner == "console":
            problems.append(Problem(block.line, "a console block holds its own output; put this text into it"))
        else:
            blocks[index - 1] = replace(before, expected=block.expected)
    return problems


def _emptying(block: Block) -> list[Problem]:
    """Find what would empty the file that a step's output goes to, on Linux, where these names lead to it."""
    lines = block.code.split("\n") if block.kind is Kind.STEP and "/dev/" in block.code else []
    return [
        Problem(number, f"'{match.group()}' would lose what was printed before it; write {cure}")
        for text, number in zip(lines, block.lines, strict=False)
        for pattern, cure in _EMPTYING.items()
        if (match := re.search(pattern, text))
    ]


def _included_fences(found: Scan, root: Path) -> Iterator[Problem]:
    """Find includes outside of fences that bring code blocks with them: these would be shown and not run."""
    from runbooks.pages.includes import IncludeError, read_include

    for line, target in found.includes:
        try:
            included = read_include(target, root)
        except IncludeError as error:
            yield Problem(line, str(error))
            continue
        if scan(included).fences:
            yield Problem(line, f"'{target}' holds code blocks, which are not run here; include it inside a fence")
