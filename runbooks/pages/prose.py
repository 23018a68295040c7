"""The words of a page around a step: what is said before it, and what to do if it does not go as it should."""

from __future__ import annotations

import re

from runbooks.pages.model import Block, Page

_MOST_LINES = 60
_IF = re.compile(r"\*\*If\b", re.IGNORECASE)
_FENCE = re.compile(r"[\s>]*(?:`{3,}|~{3,})")
_TAB = re.compile(r"\s*===[+!]*\s+[\"'](?P<label>.*)[\"']\s*$")
_LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]*)[^)]*\)")
_MARKS = re.compile(r"(?<![\w\\])(?:\*\*|__|\*)(?=\S)(?P<text>.+?)(?<=\S)(?:\*\*|__|\*)(?!\w)")
_ADMONITION = re.compile(r"\s*(?:!!!|\?\?\?)[+]?\s+\w+\s*(?:\"(?P<title>.*)\")?\s*$")
_NOT_SHOWN = re.compile(r"\s*(?:<!--.*|-+8<-+.*|#{1,6}\s.*|\{[:.#].*\})$")


def text_before(page: Page, block: Block) -> list[str]:
    """Return the paragraphs between the block before a step, or its heading, and the step."""
    above = [other.line for other in page.blocks if other.line < block.line]
    headings = [section.line for section in page.sections if section.line < block.line and section.level]
    start = max([*(_end_of(page, line) for line in above[-1:]), *headings[-1:], block.line - _MOST_LINES, 0])
    lines = list(page.source_lines[start : block.line - 1])
    return [text for text in _paragraphs(lines) if not _IF.match(text)]


def advice_after(page: Page, block: Block) -> list[str]:
    """Return the "If ..." paragraphs that follow a step: what its page says to do if something else is seen.

    They end with the section, or at the next step; tabs beside each other share what follows them.
    """
    headings = [section.line for section in page.sections if section.line > block.line]
    end = min([*headings, len(page.source_lines) + 1])
    for other in page.steps:
        if block.line < other.line < end and not (block.tabs and other.tabs):
            end = other.line
            break
    paragraphs = _paragraphs(_without_fences(list(page.source_lines[block.line - 1 : end - 1])))
    first = next((index for index, text in enumerate(paragraphs) if _IF.match(text)), None)
    return [] if first is None else [plain(text) for text in paragraphs[first:]]


def plain(text: str) -> str:
    """Return Markdown text as it is read in a terminal: a link's target behind its text, no marks of emphasis."""
    text = _LINK.sub(lambda link: f"{link['text']} ({link['target']})" if link["target"] else link["text"], text)
    return _MARKS.sub(lambda found: found["text"], text)


def _paragraphs(lines: list[str]) -> list[str]:
    """Join lines into paragraphs; a table or a list keeps its lines."""
    result: list[str] = []
    whole: list[str] = []
    for line in [*lines, ""]:
        text = line.strip()
        if text and not _NOT_SHOWN.match(text) and not _TAB.match(text) and not _ADMONITION.match(text):
            whole.append(text)
        elif whole:
            keeps = any(part.startswith(("|", "- ", "* ")) for part in whole[1:]) or whole[0].startswith("|")
            result.append(("\n" if keeps else " ").join(whole))
            whole = []
    return result


def _without_fences(lines: list[str]) -> list[str]:
    kept = []
    marker = ""
    for line in lines:
        fence = _FENCE.match(line)
        text = line.strip().lstrip("> ")
        if marker:
            if text.startswith(marker) and not text.strip(marker[0]):
                marker = ""
        elif fence:
            marker = re.match(r"`+|~+", text).group()  # type: ignore[union-attr]  # _FENCE has matched it
        else:
            kept.append(line)
            continue
        kept.append("")
    return kept


def _end_of(page: Page, line: int) -> int:
    """Return the line of the closing fence of the block whose fence opens at ``line``."""
    opening = page.source_lines[line - 1].strip().lstrip("> ")
    marks = re.match(r"`+|~+", opening)
    if marks is None:  # the block stands in an included file
        return line
    for number in range(line, len(page.source_lines)):
        if page.source_lines[number].strip().lstrip("> ") == marks.group():
            return number + 1
    return line
