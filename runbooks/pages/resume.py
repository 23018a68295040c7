"""Go on where an earlier run of a page ended, and say what it may have left half done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from runbooks.errors import UserError
from runbooks.pages.model import Page
from runbooks.pages.plan import Choice
from runbooks.pages.records import PastRun, read_runs


def last_run(folder: Path, file: str, target: str, variables: Mapping[str, str]) -> PastRun | None:
    """Return the newest recorded run of a page against the same target that was not a mere check.

    One that changed nothing and did not come to its end, as when the first question is answered with no, does not
    hide an older one that left something to do.

    Args:
        folder: that of the records.
        file: the page's file.
        target: the target's name, as it was recorded.
        variables: the page's variables with their values, as they were recorded.
    """
    found = [run for run in read_runs(folder) if _is_of(run, file, target, dict(variables))]
    open_runs = list(takewhile(lambda run: not _is_whole(run), found))
    for wanted in (_matters, _has_steps):
        for run in open_runs:
            if wanted(run):
                return run
    return found[0] if found else None


def _is_of(run: PastRun, file: str, target: str, variables: Mapping[str, str]) -> bool:
    about = run.about
    same = (about.get("file"), about.get("target"), about.get("variables")) == (file, target, variables)
    return same and not about.get("only_checks")


def _is_whole(run: PastRun) -> bool:
    return run.result in ("passed", "rolled back")


def _has_steps(run: PastRun) -> bool:
    return bool(run.steps)


def _matters(run: PastRun) -> bool:
    return run.is_running or any(step.has_changed or step.rollback for step in run.steps)


def resumed(past: PastRun | None, page: Page, choice: Choice, redact: Callable[[str], str]) -> Choice:
    """Return what is left to do of an earlier run.

    Raises:
        UserError: there is no such run, nothing is left of it, or the page was changed above where it ended.
    """
    if past is None:
        raise UserError(
            "No run of this page against this target is recorded.", "Leave --resume out, or see: runbooks history"
        )
    if _is_whole(past):
        raise UserError(f"The last run, {past.id}, has {past.result}: nothing is left to do.", "Leave --resume out.")
    done = {str(name) for name in past.about.get("done", ())}
    kept = dict(past.about.get("kept", {}))
    for step in past.steps:
        if step.rollback:
            raise UserError(f"The last run, {past.id}, was rolling back when it ended.", "Begin anew, or use --from.")
        if step.result in ("passed", "skipped"):
            done.add(step.name)
            kept[step.name] = step.values
    now = {block.name: redact(block.code) for block in page.steps}
    for step in past.steps:
        if step.name in done and now.get(step.name) != step.code:
            raise UserError(
                f"Step {step.name} of {page.name} was changed since run {past.id} has done it.",
                "Read the page again, then begin where you want: --from STEP",
            )
    return replace(choice, done=frozenset(done), kept=kept, begun=begun_before(past))


def begun_before(past: PastRun) -> frozenset[str]:
    """Return the names of the changing steps that a run, and those that it resumed, have begun."""
    before = {str(name) for name in past.about.get("begun", ())}
    return frozenset(before | {step.name for step in past.steps if step.has_changed})


def left_behind(past: PastRun) -> list[str]:
    """Return sentences about an earlier run that did not come to its end; none when it did."""
    if _is_whole(past):
        return []
    if past.is_running:
        return [f"Another run of this page is under way: {past.id}, pid {past.about['pid']}."]
    sentences = [f"The last run of this page, {past.id}, did not come to its end: it was {_how(past)}."]
    half = [step.name for step in past.half_done()]
    whole = [step.name for step in past.steps if step.changes and step.result == "passed"]
    if half:
        sentences.append(f"Left half done: {', '.join(half)}.")
    if whole:
        sentences.append(f"Changed something and was done: {', '.join(whole)}.")
    return [*sentences, "Go on there with --resume; this run begins anew."]


def _how(past: PastRun) -> str:
    last = f" in step {past.steps[-1].name}" if past.steps else ""
    words = {"failed": "ended by a failure", "stopped": "stopped", "interrupted": "interrupted"}
    return words.get(past.result, "killed") + last
