"""Which steps of a page a run is going to run, and what it does with the others."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from runbooks.errors import UserError
from runbooks.pages.model import Block, Page, Runner
from runbooks.pages.names import AMBIENT, names_needed, names_set, same_session
from runbooks.pages.rollback import steps_back


class How(enum.Enum):
    """What a run does with a step."""

    RUN = "run"
    """Run it and hold it to what the page says."""
    PREPARE = "prepare"
    """Run it again for what it sets: it changes nothing, and a later step needs it."""
    LEAVE = "leave"
    """Do not run it; the plan says why."""


@dataclass(frozen=True)
class Planned:
    """A step and what is going to become of it.

    Attributes:
        block: the step.
        number: its number on the page, from 1.
        how: what a run does with it.
        reason: why it is left, "" for all others.
    """

    block: Block
    number: int
    how: How
    reason: str = ""

    @property
    def needs_consent(self) -> bool:
        """Whether it changes something."""
        return self.block.changes or self.block.rollback


@dataclass(frozen=True)
class Choice:
    """Which steps are wanted.

    Attributes:
        start: the first step, as ``find_step`` takes it; "" for the first of the page.
        until: the last step; "" for the last of the page.
        only_checks: leave out what changes something.
        with_rollback: run the roll-back steps too, as a rehearsal.
        done: names of steps that an earlier run has done.
        kept: names of changing steps of ``done`` and, for each, the values that the record has of what it set.
        begun: names of the changing steps that an earlier run has begun: they may have to be rolled back.
    """

    start: str = ""
    until: str = ""
    only_checks: bool = False
    with_rollback: bool = False
    done: Collection[str] = ()
    kept: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    begun: Collection[str] = ()


@dataclass(frozen=True)
class Plan:
    """All steps of a page in order, and values to be set before the first one.

    Attributes:
        steps: the steps.
        values: for Python or the shell, variables and what they are set to.
        no_way_back: why this run cannot roll back: a roll-back step needs what is not there. "" when it can.
    """

    steps: tuple[Planned, ...]
    values: tuple[tuple[Runner, Mapping[str, str]], ...] = ()
    no_way_back: str = ""

    @property
    def to_run(self) -> tuple[Planned, ...]:
        """The steps that are held to what the page says."""
        return tuple(planned for planned in self.steps if planned.how is How.RUN)


def make_plan(page: Page, choice: Choice) -> Plan:
    """Decide for every step of a page.

    Earlier steps that are not wanted are run again if a wanted one needs a name that they set and they change nothing.

    Raises:
        UserError: there is no such step, or a step needs what only a changing step that is left out can set.
    """
    steps = page.steps
    first = steps.index(find_step(page, choice.start)) if choice.start else 0
    last = steps.index(find_step(page, choice.until)) if choice.until else len(steps) - 1
    if last < first:
        raise UserError(f"{steps[last].name} comes before {steps[first].name}.", "Give --until a later step.")
    planned = [_decide(block, index, choice, wanted=first <= index <= last) for index, block in enumerate(steps)]
    if choice.only_checks:
        return _prepare(_without_what_is_lost(planned), choice)
    changed = {
        one.block for one in planned if one.block.name in choice.begun or (one.how is How.RUN and one.block.changes)
    }
    back = [block for block in steps_back(page, changed) if planned[steps.index(block)].how is not How.RUN]
    try:
        return _prepare(planned, choice, back)
    except UserError as error:
        return replace(_prepare(planned, choice), no_way_back=error.what)  # raises where the run itself needs it


def find_step(page: Page, wanted: str) -> Block:
    """Return the step that is meant by its number (from 1), its name, or its section's slug (its first step).

    Raises:
        UserError: there is none; the message names the nearest.
    """
    steps = page.steps
    if wanted.isdecimal() and 1 <= int(wanted) <= len(steps):
        return steps[int(wanted) - 1]
    for block in steps:
        if wanted in (block.name, block.section):
            return block
    names = [name for block in steps for name in (block.name, block.section)]
    close = difflib.get_close_matches(wanted, dict.fromkeys(names), n=1, cutoff=0.4)
    hint = f"Did you mean {close[0]}?" if close else f"Its steps have numbers from 1 to {len(steps)}."
    raise UserError(
        f"{page.name} has no step '{wanted}'.", f"{hint} See them all with: runbooks run {page.name} --dry-run"
    )


def _decide(block: Block, index: int, choice: Choice, *, wanted: bool) -> Planned:
    reason = ""
    if block.name in choice.done:
        reason = "done by the run before"
    elif not wanted:
        reason = "not asked for"
    elif choice.only_checks and (block.changes or block.rollback):
        reason = "changes something"
    elif block.rollback and not choice.with_rollback:
        reason = "kept for a roll-back"
    return Planned(block, index + 1, How.LEAVE if reason else How.RUN, reason)


def _without_what_is_lost(planned: list[Planned]) -> list[Planned]:
    """Leave out the checks that look at what only a changing step, which is left out, would have set."""
    result: list[Planned] = []
    for one in planned:
        before = [other for other in result if same_session(other.block, one.block)]
        lost = {name for other in before if other.how is How.LEAVE for name in names_set(other.block)}
        lost -= {name for other in before if other.how is How.RUN for name in names_set(other.block)} | {AMBIENT}
        missing = sorted(names_needed(one.block) & lost)
        reason = f"needs {missing[0]} of a step that changes something" if missing else ""
        left = one.how is How.RUN and reason
        result.append(replace(one, how=How.LEAVE, reason=reason) if left else one)
    return result


def _prepare(planned: list[Planned], choice: Choice, back: Sequence[Block] = ()) -> Plan:
    """Walk back from the last wanted step, collecting what is needed and not yet set, also for a way ``back``."""
    last = max((index for index, one in enumerate(planned) if one.how is How.RUN), default=-1)
    values: list[tuple[Runner, Mapping[str, str]]] = []
    result = list(planned)
    wanted = [one.block for one in planned if one.how is How.RUN]
    for index in range(len(planned) - 1, -1, -1):
        one = planned[index]
        if one.how is How.RUN or one.block.rollback:
            continue
        needed = _needed(one, wanted, planned)
        if index < last:
            later = [block for block in back if same_session(block, one.block)]
            needed |= names_set(one.block) & {name for block in later for name in names_needed(block)}
        if not needed:
            continue
        if not one.block.changes:
            result[index] = Planned(one.block, one.number, How.PREPARE)
            wanted.insert(0, one.block)
            continue
        kept = choice.kept.get(one.block.name, {})
        if missing := needed - {AMBIENT} - kept.keys():
            raise _cannot(one, [*wanted, *back], missing)
        values.append((one.block.runner or "shell", {name: kept[name] for name in needed & kept.keys()}))
    return Plan(tuple(result), tuple(reversed(values)))


def _needed(one: Planned, wanted: Sequence[Block], planned: Sequence[Planned]) -> frozenset[str]:
    """Return the names that a step sets and a wanted later one reads."""
    later = {other.block for other in planned[one.number :]}
    needed: set[str] = set()
    given: set[str] = set()
    for block in wanted:
        if block in later and same_session(block, one.block):
            needed |= names_needed(block) - given
            if block.runner != "python":  # a Python step that sets a name often changes what was there
                given |= names_set(block) - names_needed(block)
    return names_set(one.block) & needed


def _cannot(one: Planned, wanted: Sequence[Block], missing: frozenset[str]) -> UserError:
    name = min(missing)
    user = next((block for block in wanted if name in names_needed(block)), wanted[-1])
    return UserError(
        f"Step {user.name} needs {name}, which step {one.number} ({one.block.name}) sets; "
        "that one changes something, so it is not run again for this.",
        f"Begin with that step: --from {one.number}",
    )
