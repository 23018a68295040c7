"""One page against one target at one terminal: what to run, who is asked, what is recorded."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from runbooks.cli.output import printable
from runbooks.cli.page_target import PageTarget, know_settings
from runbooks.cli.page_terminal import SaneTerminal, ask_on_terminal, can_ask, ends_at_third_interrupt, own_stdout
from runbooks.cli.page_view import PageView
from runbooks.errors import UserError
from runbooks.pages import terminal_environment
from runbooks.pages.junit import write_junit
from runbooks.pages.model import Page
from runbooks.pages.operate import Run, Surroundings
from runbooks.pages.plan import Choice, How, Plan, make_plan
from runbooks.pages.records import RunRecord, read_run, runs_folder
from runbooks.pages.resume import begun_before, last_run, left_behind, resumed
from runbooks.pages.variables import page_variables
from runbooks.redaction import Redactor, can_be_masked


class Operator:
    """Shows a page's plan, or runs it.

    Args:
        page: the page, free of problems.
        target: what its steps talk to.
        yes: ask nothing.
    """

    def __init__(self, page: Page, target: PageTarget, *, yes: bool) -> None:
        self._page = page
        self._target = target
        self._yes = yes
        self._asks = can_ask() and not yes
        # NO_COLOR is taken at its word here: nothing bold or dim either.
        colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
        self._out = Console(file=own_stdout(), highlight=False, soft_wrap=True, color_system=colours)
        self._environ = terminal_environment(target.environ)
        self._redactor = Redactor(self._environ)
        self._redactor.learn(page.text)
        know_settings(self._redactor, self._environ)
        self._variables = page_variables(page, self._environ)
        self._shown_variables = {one.name: self._redactor(one.value) for one in self._variables}

    def show(self, choice: Choice) -> None:
        """Show every step as it would be run, and execute nothing."""
        plan = make_plan(self._page, choice)
        view = self._view(plan)
        self._introduce(plan)
        for planned in plan.steps:
            if planned.how is How.RUN:
                view.plan(planned)
            else:
                view.leave(planned)
        view.say("Dry run: nothing was executed.")

    def run(self, choice: Choice, *, resume: bool = False) -> str:
        """Run the page.

        Returns:
            ``passed``, ``failed``, ``stopped`` or ``rolled back``.

        Raises:
            UserError: it cannot be run so.
            KeyboardInterrupt: the operator interrupted it.
        """
        past = last_run(runs_folder(), str(self._page.path), self._target.name, self._shown_variables)
        if past and past.is_running and not choice.only_checks:
            raise UserError(left_behind(past)[0], "Let it end, or stop it with Ctrl-C where it runs.")
        begun: frozenset[str] = frozenset()
        if resume:
            if past and self._target.is_temporary:
                raise UserError("That run had a lab of its own, which is gone.", "Leave --resume out.")
            choice = resumed(past, self._page, choice, self._redactor)
            begun = begun_before(past) if past else begun
        plan = make_plan(self._page, choice)
        self._refuse_without_consent(plan)
        self._introduce(plan)
        if plan.no_way_back:
            self._print(f"This run cannot roll back. {plan.no_way_back}", "yellow")
        if past and not resume and not self._target.is_temporary:
            for sentence in left_behind(past):
                self._print(sentence, "yellow")
        ask_secrets(self._page, self._environ, self._redactor, can_ask=can_ask())
        record = RunRecord(runs_folder(), self._page.name, self._redactor, **self._about(choice, plan, begun))
        try:
            with record:
                return self._go(plan, record, begun)
        finally:
            self._conclude(record)

    def _go(self, plan: Plan, record: RunRecord, begun: frozenset[str]) -> str:
        terminal = SaneTerminal(self._out.file)
        run = Run(self._page, plan, record, self._view(plan, terminal.restore), self._redactor, begun)
        with ends_at_third_interrupt(terminal), terminal, warnings.catch_warnings():
            # Our reader of the output is a thread; a step that forks does so as it would in a plain interpreter.
            warnings.filterwarnings("ignore", r".*multi-threaded, use of fork\(\)", DeprecationWarning)
            return run.go(Surroundings(self._environ, Path.cwd(), self._target.shown))

    def _view(self, plan: Plan, settle: Callable[[], None] = lambda: None) -> PageView:
        ask = ask_on_terminal if self._asks else None
        total = len(plan.to_run)
        return PageView(self._page, total, self._out, ask, self._redactor, self._variables, settle, yes=self._yes)

    def _refuse_without_consent(self, plan: Plan) -> None:
        count = sum(one.needs_consent for one in plan.to_run)
        if count and not self._yes and not self._asks:
            raise UserError(
                f"{count} {'steps' if count > 1 else 'step'} of this page would change something, "
                "and there is no terminal to ask on.",
                "Say yes to all with --yes, or only look with --only-checks.",
            )

    def _introduce(self, plan: Plan) -> None:
        """Say what is going to be run, and what it will talk to."""
        changing = sum(one.needs_consent for one in plan.to_run)
        self._print(self._page.title, "bold")
        self._print(f"Page:   {self._page.name}")
        self._print(f"Target: {self._target.name}")
        for one in self._variables:
            self._print(f"  {one.name}={one.value}" + ("" if one.is_given else "  (the page's default)"), "dim")
        will = (
            f"{changing} of them {'change' if changing > 1 else 'changes'} something"
            if changing
            else "none changes anything"
        )
        self._print(f"Steps:  {len(plan.to_run)} of {len(self._page.steps)}; {will}")
        self._print("Below:  $ or > what is run, = what you should see, | what it prints", "dim")

    def _about(self, choice: Choice, plan: Plan, begun: frozenset[str]) -> dict[str, object]:
        return {
            "target": self._target.name,
            "file": str(self._page.path),
            "sha256": hashlib.sha256(self._page.text.encode()).hexdigest(),
            "variables": self._shown_variables,
            "only_checks": choice.only_checks,
            "planned": [one.block.name for one in plan.to_run],
            "total": len(self._page.steps),
            "done": sorted(choice.done),
            "begun": sorted(begun),
            "kept": choice.kept,
        }

    def _conclude(self, record: RunRecord) -> None:
        """Write the report, and say how the run went and where that is written."""
        past = read_run(record.path)
        if past is None:
            return
        with contextlib.suppress(OSError):  # a full disk: the record's own error says so
            write_junit(past, record.path.with_suffix(".xml"))
        words = ("passed", "failed", "skipped", "interrupted")
        counts = {word: sum(step.result == word for step in past.steps) for word in words}
        said = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no step was run"
        took = _duration(sum(step.seconds for step in past.steps))
        style = "bold green" if past.result == "passed" else "bold red"
        self._print()
        self._print(f"{past.outcome.capitalize()}: {said}, in {took}.", style)
        half = [step.name for step in past.half_done()]
        if half and past.result != "rolled back":
            self._print(f"Left half done: {', '.join(half)}.", "yellow")
        if past.result in ("failed", "stopped", "interrupted") and not self._target.is_temporary:
            self._print("Go on from there with the same command and --resume.")
        self._print(f"Record: runbooks history {past.id}", "dim")

    def _print(self, text: str = "", style: str = "") -> None:
        with contextlib.suppress(OSError):
            self._out.print(Text(printable(self._redactor(text)), style=style))


def ask_secrets(page: Page, environ: dict[str, str], redactor: Redactor, *, can_ask: bool) -> None:
    """Ask for what the page needs and nobody may see, and put it into ``environ``, unless that has it.

    A value that is too short to be masked wherever it stands is not taken: it would be shown and recorded.

    Raises:
        UserError: there is nobody to ask, no answer, or a value in ``environ`` that cannot be masked.
    """
    for name, question in page.secrets.items():
        if not environ.get(name):
            if not can_ask:
                raise UserError(
                    f"The page asks for {name}, and there is no terminal.", f"Set {name} in the environment."
                )
            environ[name] = _ask_secret(name, question)
        if not can_be_masked(environ[name]):
            raise _too_short(name)
        redactor.add(environ[name])


def _ask_secret(name: str, question: str) -> str:
    """Ask until there is an answer that can be masked."""
    question = f"{printable(question)}: "
    hint = ""
    while True:
        try:
            answer = getpass.getpass(hint + question)
        except EOFError:
            raise UserError(
                f"Nothing was run: no value was given for {name}.", f"Give one when asked, or set {name}."
            ) from None
        if can_be_masked(answer):
            return answer
        hint = f"{_too_short(name).what if answer.strip() else f'{name} cannot be empty.'} Ctrl-C stops.\n"


def _too_short(name: str) -> UserError:
    return UserError(
        f"{name} is shorter than four characters and cannot be masked in what is shown and recorded.",
        "Set a longer value, or unset it and be asked for one.",
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
