"""What stands behind the opening fence: language, title, classes and attributes.

Two syntaxes, both as pymdownx.superfences (the site's renderer) reads them:
```` ```bash title="Is it up?" ```` and ```` ```{.bash .changes data-timeout="20"} ````. What superfences would
render as broken text is reported as a problem, so that a page cannot pass here and look wrong there.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

CLASSES = ("changes", "rollback", "hidden")
STEP_ATTRIBUTES = ("data-timeout", "data-fails", "data-retries", "data-if")
OUTPUT_ATTRIBUTES = ("data-match", "data-tolerance")
ATTRIBUTES = ("data-exempt", *STEP_ATTRIBUTES, *OUTPUT_ATTRIBUTES)
_RENDERING = ("title", "title_mode", "hl_lines", "linenums")
_LANGUAGE = r"\.?(?P<language>[\w#.+-]+)(?=\s|$)"
_WORD = r"""(?P<key>[^\s=]+)=(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"']*))|(?P<word>\S+)"""
_HINTS = {
    "notest": 'write ```{.LANGUAGE data-exempt="the reason"}',
    "continuation": "leave it out: the blocks of a page share their state",
    "fixture": "leave it out: a page gets its surroundings from the hook pytest_runbooks_environment",
    "retry": 'write ```{.LANGUAGE data-retries="3"}',
    "runner": "leave it out: the language says what runs the block",
}


@dataclass
class Info:
    """A fence's info string, taken apart.

    Attributes:
        language: as written, without a leading dot.
        title: "" when there is none.
        classes: those behind the language.
        attributes: ``data-...`` attributes and their values.
        problems: what is wrong with it.
    """

    language: str = ""
    title: str = ""
    classes: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def parse_info(text: str) -> Info:
    """Take the text behind the fence characters apart. Never raises: what is wrong is in ``problems``."""
    text = text.strip()
    if text.startswith("{"):
        return _parse_braces(text)
    info = Info()
    match = re.match(_LANGUAGE, text)
    if match:
        info.language = match["language"]
        text = text[match.end() :]
    if not text:
        return info
    if text.lstrip().startswith("{"):
        info.problems.append(f"the language goes into the braces: {{.{info.language} {text.lstrip()[1:].lstrip()}")
        return info
    for token in re.finditer(_WORD, text):
        key, value = token["key"], token["double"] if token["double"] is not None else token["single"]
        if key in _RENDERING and value is not None:
            if key == "title":
                info.title = value
        else:
            info.problems.append(_stray(token.group(), info.language))
    return info


def _stray(word: str, language: str) -> str:
    start = re.split(r"\W", word, maxsplit=1)[0]
    hint = _HINTS.get(start)
    if hint is None:
        hint = f'classes and attributes go into braces: ```{{.{language or "LANGUAGE"} .changes data-timeout="20"}}'
    return f"'{word}' is not known here and breaks the rendering; {hint.replace('LANGUAGE', language or 'text')}"


def _parse_braces(text: str) -> Info:
    info = Info()
    if not text.endswith("}"):
        info.problems.append("nothing may follow the closing brace of a fence's attributes")
        return info
    named = False
    for token in re.finditer(_WORD, text[1:-1]):
        word, key = token["word"], token["key"]
        if key is not None:
            value = next(token[group] for group in ("double", "single", "bare") if token[group] is not None)
            _take_attribute(info, key, value)
        elif word.startswith(".") and not named:
            info.language, named = word[1:], True
        elif word.startswith("."):
            _take_class(info, word[1:])
        elif word.startswith("#"):
            continue
        elif not named:
            info.language, named = word, True
            info.problems.append(f"in braces the language starts with a dot: {{.{word}}}")
        else:
            info.problems.append(_stray(word, info.language))
    if info.language in CLASSES:
        info.problems.append(f"in braces the language comes first: {{.bash .{info.language}}}")
    return info


def _take_class(info: Info, name: str) -> None:
    close = difflib.get_close_matches(name, CLASSES, n=1, cutoff=0.7)
    if name not in CLASSES and (close or name[:4] in {own[:4] for own in CLASSES}):
        meant = close[0] if close else next(own for own in CLASSES if own[:4] == name[:4])
        info.problems.append(f"unknown class .{name}; did you mean .{meant}?")
    else:
        info.classes.append(name)


def _take_attribute(info: Info, key: str, value: str) -> None:
    if key == "title":
        info.title = value
    elif key in ATTRIBUTES:
        info.attributes[key] = value
    elif key not in _RENDERING:
        close = difflib.get_close_matches(key.removeprefix("data-"), [own[5:] for own in ATTRIBUTES], n=1)
        if close or key.startswith("data-"):
            meant = f"did you mean data-{close[0]}?" if close else f"there are {', '.join(ATTRIBUTES)}"
            info.problems.append(f"unknown attribute {key}; {meant}")
