"""An operator's run of a page: step by step, with consent before a change, a record, and a way back."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from runbooks.errors import UserError
from runbooks.pages.guard import Guard
from runbooks.pages.model import Block, Page
from runbooks.pages.names import names_needed, names_set, same_session
from runbooks.pages.plan import How, Plan, Planned
from runbooks.pages.records import RunRecord
from runbooks.pages.results import Result
from runbooks.pages.rollback import steps_back
from runbooks.pages.session import Operated, Session
from runbooks.redaction import Redactor

_MOST_RECORDED = 200_000


class Reply(enum.Enum):
    """What the operator says."""

    RUN = "run"
    RETRY = "retry"
    SKIP = "skip"
    ROLL_BACK = "roll back"
    STOP = "stop"


class View(Protocol):
    """What a run needs of the screen."""

    def begin(self, planned: Planned) -> None:
        """Show a step that comes next."""

    def leave(self, planned: Planned) -> None:
        """Show a step that is not run."""

    def consent(self, planned: Planned) -> Reply:
        """Ask whether to run a step that changes something: RUN, SKIP or STOP."""

    def output(self, text: str) -> None:
        """Show lines of a running step's output; called on another thread."""

    def end(self, result: Result) -> None:
        """Show how a step went."""

    def failure(self, planned: Planned, replies: tuple[Reply, ...]) -> Reply:
        """Show what a failing step's page says, and ask what to do."""

    def say(self, text: str) -> None:
        """Show a sentence."""


@dataclass(frozen=True)
class Surroundings:
    """What a run's steps run in, as ``Session`` takes it."""

    environ: Mapping[str, str]
    cwd: Path
    shown: Mapping[str, str]


class Run:
    """One run of a page.

    Args:
        page: the page.
        plan: what to do with each of its steps.
        record: where to write what happens.
        view: the screen.
        redactor: masks what goes to the screen.
        begun: names of changing steps that a run before this one, which is resumed, has begun.
    """

    def __init__(
        self,
        page: Page,
        plan: Plan,
        record: RunRecord,
        view: View,
        redactor: Redactor,
        begun: frozenset[str] = frozenset(),
    ) -> None:
        self._page = page
        self._plan = plan
        self._record = record
        self._view = view
        self._redactor = redactor
        self._begun = {block for block in page.steps if block.name in begun}
        self._passed: list[Block] = []
        self._kept: dict[Block, Mapping[str, str]] = {}
        self._heard: list[str] = []
        self._current: Planned | None = None
        self._failed = False

    def go(self, surroundings: Surroundings) -> str:
        """Run the plan.

        Returns:
            ``passed``, ``failed``, ``stopped`` or ``rolled back``.

        Raises:
            UserError: the state of an earlier run cannot be restored.
            KeyboardInterrupt: the user interrupted it; what the steps left running has been ended.
        """
        try:
            with Guard() as guard:
                with Session(
                    self._page,
                    environ={**surroundings.environ, **guard.variables},
                    cwd=surroundings.cwd,
                    shown=surroundings.shown,
                    operated=Operated(self._hear, guard.watch),
                ) as session:
                    result = self._forward(session)
                guard.release()
        except KeyboardInterrupt:
            if self._current:
                output = "".join(self._heard)
                self._write_end(self._current, "interrupted", output=output, error="interrupted")
            raise
        self._record.end(result)
        return result

    def _forward(self, session: Session) -> str:
        for runner, values in self._plan.values:
            session.restore(runner, values)
        failed = False
        for planned in self._plan.steps:
            if planned.how is How.LEAVE:
                self._view.leave(planned)
                continue
            if planned.how is How.PREPARE:
                self._prepare(session, planned)
                continue
            reply = self._step(session, planned)
            if reply is Reply.ROLL_BACK:
                return self._back(session)
            if reply is Reply.STOP:
                return "failed" if self._failed else "stopped"
            failed = failed or self._failed
        return "failed" if failed else "passed"

    def _prepare(self, session: Session, planned: Planned) -> None:
        """Run an earlier step again for what it sets. What it prints may well have changed since."""
        result = session.run(replace(planned.block, expected=None))
        self._record.write("prepared", step=planned.block.name, passed=result.passed, output=result.output)
        if result.error:
            raise UserError(
                f"The state before the first step cannot be restored: step {planned.number} ({planned.block.name}) "
                f"says {self._redactor(result.error.message)}.",
                "Run the page from its beginning.",
            )
        self._passed.append(planned.block)
        self._view.say(f"Ran step {planned.number} again for what it sets: {planned.block.name}")

    def _step(self, session: Session, planned: Planned, *, back: bool = False) -> Reply:
        """Bring one step to its end: run it, perhaps again, skip it, or hear that the run is over."""
        self._failed = False
        self._view.begin(planned)
        reply = self._view.consent(planned) if planned.needs_consent else Reply.RUN
        while reply in (Reply.RUN, Reply.RETRY):
            if session.renew_shell():
                self._set_up_shell(session)
            result = self._run_once(session, planned)
            self._failed = not result.passed
            if result.passed:
                self._passed.append(planned.block)
                return Reply.RUN
            can_go_back = not back and not self._plan.no_way_back and steps_back(self._page, self._begun)
            replies = (Reply.RETRY, Reply.SKIP, *([Reply.ROLL_BACK] if can_go_back else []), Reply.STOP)
            reply = self._view.failure(planned, replies)
        if reply is Reply.SKIP:
            self._record.write("began", **_row(planned))
            error = f"skipped after: {self._redactor(result.error.message)}" if self._failed and result.error else ""
            self._write_end(planned, "skipped", error=error or "skipped by the operator")
        return reply

    def _run_once(self, session: Session, planned: Planned) -> Result:
        block = planned.block
        self._redactor.learn(block.code)
        self._record.write("began", **_row(planned))
        self._current = planned
        self._heard = []
        was_begun = block in self._begun
        if block.changes:
            self._begun.add(block)
        result = session.run(block)
        if result.skipped and not was_begun:  # its condition did not hold: there is nothing to roll back
            self._begun.discard(block)
        values = self._values(session, block) if block.changes and result.passed else {}
        word = "skipped" if result.skipped else "passed" if result.passed else "failed"
        error = result.skipped or (str(result.error) if result.error else "")
        self._write_end(planned, word, result.seconds, result.output, error, values)
        self._current = None
        self._view.end(result)
        return result

    def _write_end(
        self,
        planned: Planned,
        result: str,
        seconds: float = 0.0,
        output: str = "",
        error: str = "",
        values: Mapping[str, str] | None = None,
    ) -> None:
        self._record.write(
            "ended",
            step=planned.block.name,
            result=result,
            seconds=round(seconds, 3),
            output=_cut(output),
            error=error,
            values=values or {},
        )

    def _values(self, session: Session, block: Block) -> Mapping[str, str]:
        """Keep what a changing step set and later steps need: it is not going to be run again for that."""
        steps = self._page.steps
        later = [step for step in steps[steps.index(block) + 1 :] if same_session(step, block)]
        needed = names_set(block) & {name for step in later for name in names_needed(step)}
        wanted = sorted(name for name in needed if name.isidentifier())
        values = session.values(block.runner or "shell", wanted) if wanted else {}
        self._kept[block] = {
            name: text
            for name, text in values.items()
            if self._redactor.data({name: text}) == {name: text} and self._redactor(text) == text
        }
        return self._kept[block]

    def _set_up_shell(self, session: Session) -> None:
        """Give a new shell what the old one had: run again what changes nothing, set what changing steps had set."""
        self._view.say("The step before ended the page's shell. A new one begins with what the earlier steps set.")
        for block in self._passed:
            if block.runner == "python":
                continue
            if block.changes or block.rollback:
                session.restore("shell", self._kept.get(block, {}))
            elif names_set(block):
                session.run(replace(block, expected=None))

    def _back(self, session: Session) -> str:
        """Run the roll-back steps for what was really begun."""
        self._view.say("Rolling back.")
        failed = False
        for block in steps_back(self._page, self._begun):
            planned = Planned(block, self._page.steps.index(block) + 1, How.RUN)
            reply = self._step(session, planned, back=True)
            if reply is Reply.STOP:
                return "failed"
            failed = failed or self._failed or reply is Reply.SKIP
        return "failed" if failed else "rolled back"

    def _hear(self, text: str) -> None:
        if sum(map(len, self._heard)) > _MOST_RECORDED:
            return
        text = self._redactor(text)
        self._heard.append(text)
        self._view.output(text)


def _cut(output: str) -> str:
    """Return what is recorded of an output: whole lines, so that no half secret is left at the end."""
    if len(output) <= _MOST_RECORDED:
        return output
    kept = output[: output.rfind("\n", 0, _MOST_RECORDED) + 1]
    return f"{kept}[... {len(output) - len(kept):,} more characters]\n"


def _row(planned: Planned) -> dict[str, object]:
    block = planned.block
    return {
        "step": block.name,
        "line": block.line,
        "code": block.code,
        "changes": block.changes,
        "rollback": block.rollback,
    }
