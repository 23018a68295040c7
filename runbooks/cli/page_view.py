"""What an operator sees of a run: one step after the other, on a terminal of any width, or in a log."""

from __future__ import annotations

import contextlib
import shutil
import textwrap
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from runbooks.cli.output import printable
from runbooks.pages.model import Block, Page
from runbooks.pages.operate import Reply
from runbooks.pages.plan import Planned
from runbooks.pages.prose import advice_after, plain, text_before
from runbooks.pages.results import Result
from runbooks.pages.variables import Variable, variables_of

_MOST_LINES = 200
_MOST_EXPECTED = 12
_WIDEST = 100
_LANGUAGES = {"python": "Python", "shell": "shell", "console": "shell"}
_CONSENT = {"y": Reply.RUN, "yes": Reply.RUN, "s": Reply.SKIP, "skip": Reply.SKIP, "n": Reply.STOP, "no": Reply.STOP}
_KEYS = {
    Reply.RETRY: ("r", "try again"),
    Reply.SKIP: ("s", "skip"),
    Reply.ROLL_BACK: ("b", "roll back"),
    Reply.STOP: ("q", "stop"),
}


class PageView:
    """Shows a run and asks the operator.

    Args:
        page: the page.
        total: how many steps are going to be run.
        out: where to print.
        ask: asks a question and returns the answer; None when there is nobody to ask.
        redact: masks secrets in what is shown.
        variables: the page's variables with their values in this run.
        settle: puts the terminal right after a step that may have changed it.
        yes: run changing steps without asking.
    """

    def __init__(
        self,
        page: Page,
        total: int,
        out: Console,
        ask: Callable[[str], str] | None,
        redact: Callable[[str], str],
        variables: tuple[Variable, ...] = (),
        settle: Callable[[], None] = lambda: None,
        *,
        yes: bool = False,
    ) -> None:
        self._page = page
        self._total = total
        self._out = out
        self._ask = ask
        self._redact = redact
        self._variables = variables
        self._settle = settle
        self._yes = yes
        self._count = 0
        self._lines = 0
        self._left = False

    def begin(self, planned: Planned) -> None:
        """Show where the step stands, what the page says of it, and its code."""
        self._count += 1
        self._lines = 0
        self._left = False
        block = planned.block
        title = next(part.title for part in self._page.sections if part.slug == block.section)
        marks = list(dict.fromkeys([_LANGUAGES[block.runner or "shell"], *block.tabs[-1:]]))
        marks += ["roll back"] if block.rollback else ["changes something"] if block.changes else []
        total = max(self._total, self._count)
        head = f"Step {planned.number}" + ("" if planned.number == self._count else f", {self._count}") + f" of {total}"
        self._print()
        self._print(f"{head}: {title or self._page.title} ({', '.join(marks)})", "bold")
        if not block.hidden:
            for paragraph in text_before(self._page, block):
                self._wrapped(plain(paragraph), "dim")
        prompt = {"console": "", "shell": "$ "}.get(block.runner or "shell", "> ")
        for line in block.code.rstrip("\n").split("\n"):
            self._print(f"  {prompt}{line}", "cyan")
            prompt = " " * len(prompt)
        for one in variables_of(block, self._variables):
            self._print(f"    {one.name}={one.value}", "dim")
        self._expected(block)

    def _expected(self, block: Block) -> None:
        """Show what the page says of the output; a console block has it among its commands."""
        lines = block.expected.text.rstrip("\n").split("\n") if block.expected else []
        for line in lines[:_MOST_EXPECTED]:
            self._print(f"  = {line}", "dim")
        if len(lines) > _MOST_EXPECTED:
            self._print(f"  = [{len(lines) - _MOST_EXPECTED} more lines]", "dim")

    def leave(self, planned: Planned) -> None:
        """Say in a line that a step is not run; such lines stand together."""
        if not self._left:
            self._print()
        self._left = True
        self._print(f"Step {planned.number} left out ({planned.reason}): {planned.block.name}", "dim")

    def consent(self, planned: Planned) -> Reply:
        """Ask before a step that changes something."""
        if self._yes:
            return Reply.RUN
        what = "This step rolls back." if planned.block.rollback else "This step changes something."
        return self._choose(f"{what} Run it? [y]es, [s]kip it, [n]o, stop here:", _CONSENT)

    def output(self, text: str) -> None:
        """Show output while it comes. The terminal may be gone meanwhile: that is not this step's fault."""
        if self._lines > _MOST_LINES:
            return
        shown = printable(text)
        for line in shown.removesuffix("\n").split("\n"):
            self._lines += 1
            if self._lines <= _MOST_LINES:
                self._raw(f"  | {line}\n")
            elif self._lines == _MOST_LINES + 1:
                self._raw("  | ... (the rest is in the record)\n")

    def end(self, result: Result) -> None:
        """Say how a step went, and what was expected."""
        if result.block.runner == "python":
            self._settle()
        took = f"{result.seconds:.1f} s"
        if result.skipped:
            self._print(f"  - {result.skipped}", "dim")
        elif result.passed:
            self._print(f"  ✓ passed, {'as expected, ' if result.compared else ''}{took}", "green")
        else:
            assert result.error is not None
            self._print(f"  ✗ failed, {took}: {self._page.name}:{result.line}: {result.error.message}", "bold red")
            for line in result.error.details.splitlines():
                self._print(f"    {line}", "green" if line.startswith("- ") else "red" if line.startswith("+ ") else "")

    def failure(self, planned: Planned, replies: tuple[Reply, ...]) -> Reply:
        """Show what the page says for this case, and ask."""
        advice = advice_after(self._page, planned.block)
        if advice:
            self._print()
            self._print("  The page says:", "bold")
            for paragraph in advice:
                self._wrapped(paragraph)
        if self._ask is None or self._yes:
            return Reply.STOP
        keys = {_KEYS[reply][0]: reply for reply in replies}
        question = ", ".join(f"[{_KEYS[reply][0]}] {_KEYS[reply][1]}" for reply in replies)
        return self._choose(f"What now? {question}:", keys)

    def say(self, text: str) -> None:
        """Show a sentence."""
        self._print()
        self._wrapped(text, indent="")

    def plan(self, planned: Planned) -> None:
        """Show a step without running it."""
        self.begin(planned)

    def _choose(self, question: str, answers: dict[str, Reply]) -> Reply:
        """Ask until an answer is understood. The end of the input is the terminal's end: stop."""
        assert self._ask is not None
        while True:
            try:
                answer = self._ask(f"\n{textwrap.fill(question, _width())} ")
            except EOFError:
                return Reply.STOP
            reply = answers.get(answer.strip().lower())
            if reply is not None:
                return reply

    def _wrapped(self, text: str, style: str = "", indent: str = "  ") -> None:
        for line in text.splitlines():
            for part in textwrap.wrap(line, _width(), initial_indent=indent, subsequent_indent=indent) or [""]:
                self._print(part, style)

    def _print(self, text: str = "", style: str = "") -> None:
        with contextlib.suppress(OSError):
            self._out.print(Text(printable(self._redact(text)), style=style))

    def _raw(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._out.file.write(text)
            self._out.file.flush()


def _width() -> int:
    return max(20, min(shutil.get_terminal_size().columns, _WIDEST) - 1)
