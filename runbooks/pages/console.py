"""``console`` blocks: a transcript of commands, which begin with ``$ ``, and what they print."""

from __future__ import annotations

from typing import NamedTuple

from runbooks.pages.model import Block, Expected

_PROMPT = "$ "


class Command(NamedTuple):
    """One command of a transcript: its code, the page's line of each code line, and the output that must follow."""

    code: str
    lines: tuple[int, ...]
    expected: Expected


def split_console(block: Block) -> list[Command]:
    """Take a transcript apart. A command whose line ends with a backslash goes on in the next line."""
    rows = list(zip(block.code.removesuffix("\n").split("\n"), block.lines, strict=True))
    commands = []
    index = 0
    while index < len(rows):
        if not rows[index][0].startswith(_PROMPT):
            index += 1  # text above the first command, which check_console reports
            continue
        command = [(rows[index][0].removeprefix(_PROMPT), rows[index][1])]
        while command[-1][0].endswith("\\") and index + 1 < len(rows):
            index += 1
            command.append((rows[index][0].removeprefix("> "), rows[index][1]))
        index += 1
        start = index
        while index < len(rows) and not rows[index][0].startswith(_PROMPT):
            index += 1
        text = "".join(f"{row}\n" for row, _ in rows[start:index])
        line = rows[start][1] if start < index else command[-1][1]
        code = "".join(f"{row}\n" for row, _ in command)
        commands.append(Command(code, tuple(number for _, number in command), Expected(text, line)))
    return commands


def check_console(code: str) -> list[str]:
    """Say what is wrong with a transcript."""
    first = next((line for line in code.split("\n") if line.strip()), "")
    if not first.startswith(_PROMPT):
        return ["a console block begins with a command: '$ ' and the command"]
    return []
