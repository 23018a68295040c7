"""Prove that the new worker holds what the files say."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from runbooks.drift import Agreement, ProcessView, compare, look_at, redact_text, words_of_files
from runbooks.drift.holdings import text_of
from runbooks.drift.showing import shown_of
from runbooks.settings import Layers
from runbooks.workers.log import LogPart


@dataclass(frozen=True)
class Check:
    """One thing that was looked at after the start.

    Attributes:
        name: what was looked at.
        passed: whether it was as it should be.
        says: what was seen, in words.
    """

    name: str
    passed: bool
    says: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {"name": self.name, "passed": self.passed, "says": self.says}


JobProof = Callable[[], Check]
"""What creates a new job, waits for it, and says how it ended."""


def prove(new: ProcessView, layers: Layers, part: LogPart, keep: Collection[str] = ()) -> list[Check]:
    """Look at the new process from outside, and at what it says itself in its log.

    Args:
        new: the new main process.
        layers: what the files say now.
        part: what it has written into its log.
        keep: variables that were left as they were on purpose.
    """
    checks = [_environment(new, layers, keep)]
    word = words_of_files(layers).get("COMFYUI_URL")
    url = part.url_it_holds()
    if url is not None and word is not None and word.origin.variable not in keep:
        # An application that hides the login of its URL says less, and nothing else.
        expected = text_of(word.value).rstrip("/")
        same = url.rstrip("/") in (expected, redact_text(expected))
        says = f"its own log says ComfyUI URL: {redact_text(url)}"
        if not same:
            says += f", and {word.origin} says {redact_text(expected)}"
        checks.append(Check("log", same, says))
    return checks


def _environment(new: ProcessView, layers: Layers, keep: Collection[str]) -> Check:
    view = look_at(new.pid)
    if view is None or view.environ is None:
        return Check("environment", False, f"pid {new.pid} can no longer be looked at")
    holdings = [holding for holding in compare(view.environ, view.started, layers) if holding.variable not in keep]
    wrong = [holding for holding in holdings if holding.agreement is not Agreement.SAME]
    if wrong:
        first = wrong[0]
        held = "something unknown" if first.holds is None else shown_of(first.variable, first.holds)
        says = "" if first.says is None else shown_of(first.variable, first.says)
        return Check("environment", False, f"{first.variable} is {held}, and {first.origin} says {says} ({first.why})")
    return Check("environment", True, f"all {len(holdings)} values that the files set are held as they stand there now")
