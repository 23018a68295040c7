"""``--8<-- "path"`` lines, as pymdownx.snippets reads them: a whole file, a range of lines, or a named section."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from runbooks.pages.model import Problem
from runbooks.pages.scan import scan

_DEEPEST = 8
_MOST_LINES = 1_000_000
_INCLUDE = (
    r"(?P<space>[ \t]*)(?P<escape>;*)(?P<marker>-+8<-+)(?:[ \t]+(?P<quote>[\"'])(?P<target>.+)(?P=quote))?[ \t]*$"
)
_TARGET = r"(?P<path>.*?)(?::(?P<start>\d*)(?::(?P<end>\d*))?|:(?P<section>[A-Za-z][-\w]*))?$"
_MARK = r"-+8<-+[ \t]+\[[ \t]*(?P<type>start|end)[ \t]*:[ \t]*(?P<name>[A-Za-z][-\w]*)[ \t]*\]"


class IncludeError(Exception):
    """An include that cannot be followed; the message says why."""


def expand(body: list[str], places: Sequence[int], root: Path) -> tuple[list[str], tuple[int, ...]]:
    """Replace the include lines by what they include.

    Args:
        body: the lines.
        places: the page's line of each of them.
        root: the folder that the includes are relative to.

    Returns:
        The lines, and for each of them the page's line that it stands on.

    Raises:
        IncludeError: a file or section does not exist, or the form is not supported.
    """
    result: list[str] = []
    numbers: list[int] = []
    for number, line in zip(places, body, strict=True):
        match = re.match(_INCLUDE, line) if "8<-" in line else None
        if match is None:
            lines = [line]
        elif match["escape"]:
            lines = [line.replace(match["escape"], match["escape"][1:], 1)]
        elif match["target"] is None:
            raise IncludeError(f'line {number}: write one --8<-- "path" a line; the block form is not supported')
        else:
            lines = [match["space"] + included for included in read_include(match["target"], root)]
        result += lines
        numbers += [number] * len(lines)
    return result, tuple(numbers)


def read_include(target: str, root: Path) -> list[str]:
    """Return the lines that an include's target names, without section marks.

    Args:
        target: ``path``, ``path:3``, ``path:3:5``, ``path::5`` (lines from 1, ends included) or ``path:section``.
        root: the folder that the path is relative to. Nothing outside it is read.

    Raises:
        IncludeError: there is no such file or section.
    """
    match = re.match(_TARGET, target)
    assert match is not None
    path = (root / match["path"]).resolve()
    if not path.is_relative_to(root.resolve()):
        raise IncludeError(f"the include '{target}' leads out of {root.name}/")
    try:
        lines = path.read_text("utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise IncludeError(f"the include '{target}' cannot be read: {reason}") from error
    if match["section"]:
        lines = _section(lines, match["section"], target)
    elif match["start"] is not None:
        lines = lines[max(int(match["start"] or 1), 1) - 1 : int(match["end"]) if match["end"] else None]
    return [line for line in lines if not re.search(_MARK, line)]


def _section(lines: list[str], name: str, target: str) -> list[str]:
    marks = [
        (index, match["type"])
        for index, line in enumerate(lines)
        if (match := re.search(_MARK, line)) and match["name"] == name
    ]
    start = next((index for index, kind in marks if kind == "start"), None)
    if start is None:
        raise IncludeError(f"the include '{target}' names a section that the file does not have")
    end = next((index for index, kind in marks if kind == "end" and index > start), len(lines))
    return lines[start + 1 : end]


def expand_page(lines: list[str], root: Path) -> tuple[list[str], tuple[int, ...], list[Problem]]:
    """Replace the includes of a page that stand outside its fences, also those of the included files.

    Returns:
        The lines, for each of them the page's line that it stands on, and what is wrong with the includes.
    """
    numbers: tuple[int, ...] = tuple(range(1, len(lines) + 1))
    problems: list[Problem] = []
    for _ in range(_DEEPEST):
        # Numbered by their own order here, to find the include lines again.
        wanted = {position - 1 for position, _ in scan(lines).includes}
        if len(lines) > _MOST_LINES:
            break
        if not wanted:
            return lines, numbers, problems
        result: list[str] = []
        places: list[int] = []
        for index, (line, number) in enumerate(zip(lines, numbers, strict=True)):
            included = [line]
            if index in wanted:
                try:
                    included = expand([line], [number], root)[0]
                except IncludeError as error:
                    problems.append(Problem(number, str(error)))
                    included = [""]
            result += included
            places += [number] * len(included)
        lines, numbers = result, tuple(places)
    return [], (), [*problems, Problem(1, f"files include each other more than {_DEEPEST} deep")]
