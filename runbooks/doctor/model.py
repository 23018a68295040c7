"""What the doctor has seen, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from runbooks.drift import ProcessView, redact_text
from runbooks.drift.broker import BrokerSeen
from runbooks.drift.comfy import Seen
from runbooks.drift.findings import Finding, Severity
from runbooks.drift.verdict import KeyVerdict
from runbooks.redaction import Redactor

FIXED = frozenset({"id", "severity", "page", "since", "certainty", "agreement", "source", "variable"})
"""Fields that hold words of ours and names, no text made of values."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""What a terminal would obey, and a value may hold."""


class Outcome(StrEnum):
    """The verdict in a word."""

    FINE = "fine"
    FINDINGS = "findings"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Subject:
    """One process that was judged.

    Attributes:
        role: ``worker`` or ``api``.
        process: the process; of a worker the main process.
        since: when it read its settings.
        keys: the verdict on each variable that the files set.
        reported: whether it says itself what it holds.
    """

    role: str
    process: ProcessView
    since: datetime
    keys: tuple[KeyVerdict, ...]
    reported: bool = False

    def key(self, variable: str) -> KeyVerdict | None:
        """The verdict on one variable; None when no file sets it."""
        return next((key for key in self.keys if key.variable == variable), None)

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "role": self.role,
            "pid": self.process.pid,
            "since": self.since.isoformat(),
            "reported": self.reported,
            "keys": [key.as_json() for key in self.keys],
        }


@dataclass(frozen=True)
class Diagnosis:
    """What was seen and found, worst first.

    Attributes:
        root: folder of the installation.
        env_target: such as ``local-demo``.
        findings: what was found, worst first.
        subjects: the processes that were judged.
        comfyui: what answers at the URL that the files give, and at those that workers hold.
        broker: how the broker that the files name answers; None when the files could not be read.
        seconds: how long it took.
        redactor: knows the secrets of the files and the processes.
    """

    root: Path
    env_target: str
    findings: tuple[Finding, ...]
    subjects: tuple[Subject, ...] = ()
    comfyui: Mapping[str, Seen] = field(default_factory=dict)
    broker: BrokerSeen | None = None
    seconds: float = 0.0
    redactor: Redactor = field(default_factory=Redactor, repr=False, compare=False)

    @property
    def outcome(self) -> Outcome:
        """A problem or a warning counts most, then what could not be told; notes leave it fine."""
        severities = {finding.kind.severity for finding in self.findings}
        if severities & {Severity.PROBLEM, Severity.WARNING}:
            return Outcome.FINDINGS
        return Outcome.UNKNOWN if Severity.UNKNOWN in severities else Outcome.FINE

    @property
    def exit_code(self) -> int:
        """0 fine, 1 findings, 2 could not tell."""
        return {Outcome.FINE: 0, Outcome.FINDINGS: 1, Outcome.UNKNOWN: 2}[self.outcome]

    def masked(self, text: str) -> str:
        """Text as it may be shown.

        Values are masked where they are put into words; this catches what stands in other words all the same. The
        folder stays: where a password is ``genonaut``, a command with its path would be of no use.
        """
        plain = _CONTROL.sub("?", text)
        return str(self.root).join(self.redactor(part) for part in plain.split(str(self.root)))

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``, secrets masked."""
        return {
            "ok": self.outcome is Outcome.FINE,
            "verdict": str(self.outcome),
            "root": str(self.root),
            "env_target": self.env_target,
            "seconds": round(self.seconds, 3),
            "findings": [self._as_shown(finding.as_json()) for finding in self.findings],
            "processes": [
                {**process, "keys": [self._as_shown(key) for key in process["keys"]]}
                for process in (subject.as_json() for subject in self.subjects)
            ],
            "broker": self.broker
            and {
                "url": self.masked(redact_text(self.broker.url)),
                "state": str(self.broker.state),
                "says": self.broker.says,
            },
            "comfyui": [
                {"url": self.masked(redact_text(seen.url)), "who": str(seen.who), "says": self.masked(seen.says)}
                for seen in self.comfyui.values()
            ],
            "error": None,
        }

    def _as_shown(self, data: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self.masked(value) if isinstance(value, str) and name not in FIXED else value
            for name, value in data.items()
        }
