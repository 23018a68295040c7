"""A diagnosis in words: the verdict first, worst first, at most a screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from runbooks.doctor.model import Diagnosis, Outcome
from runbooks.drift import redact_text
from runbooks.drift.findings import Finding, Severity

IN_FULL = 2
"""Findings that are shown with all that is known of them; of the others one line each."""
LISTED = 6
MARKS = {Severity.PROBLEM: "✗", Severity.WARNING: "!", Severity.UNKNOWN: "?", Severity.NOTE: "·"}


def words_of(diagnosis: Diagnosis) -> Iterator[str]:
    """Line by line, secrets masked."""
    for line in _words(diagnosis):
        yield diagnosis.masked(line)


def _words(diagnosis: Diagnosis) -> Iterator[str]:
    yield _verdict(diagnosis)
    first, rest = _split(diagnosis.findings)
    for finding, more in first:
        yield ""
        yield from _in_full(finding, more)
    if rest:
        yield ""
    for finding in rest[:LISTED]:
        yield f"{MARKS[finding.kind.severity]} {finding.what}  [{finding.kind.id}]"
    if len(rest) > LISTED:
        yield f"… and {len(rest) - LISTED} more: --json has them all."
    yield ""
    yield from _looked_at(diagnosis)


def _verdict(diagnosis: Diagnosis) -> str:
    counts = [
        f"{number} {severity}{'s' if number > 1 else ''}"
        for severity in (Severity.PROBLEM, Severity.WARNING, Severity.NOTE)
        if (number := sum(finding.kind.severity is severity for finding in diagnosis.findings))
    ]
    counted = f" ({', '.join(counts)})" if counts else ""
    if diagnosis.outcome is Outcome.FINE:
        return f"✓ Fine: what runs holds what the files say, and what it needs answers.{counted}"
    worst = diagnosis.findings[0]
    if diagnosis.outcome is Outcome.UNKNOWN:
        return f"? It could not be told. {worst.kind.title}.{counted}"
    return f"{MARKS[worst.kind.severity]} {worst.kind.title}.{counted}"


def _split(findings: tuple[Finding, ...]) -> tuple[list[tuple[Finding, list[Finding]]], list[Finding]]:
    """The worst in full, each with those of the same kind and process; and the rest."""
    groups: dict[tuple[str, int | None], list[Finding]] = {}
    for finding in findings:
        # Those without a process are things of their own.
        key = (finding.kind.id, finding.pid) if finding.pid else (f"{finding.kind.id} {finding.where}", None)
        groups.setdefault(key, []).append(finding)
    heads = [group for group in groups.values() if group[0].kind.severity is not Severity.NOTE]
    full = [(group[0], group[1:]) for group in heads[:IN_FULL]]
    shown = {id(finding) for head, more in full for finding in (head, *more)}
    return full, [finding for finding in findings if id(finding) not in shown]


def _in_full(finding: Finding, more: list[Finding]) -> Iterator[str]:
    yield f"{MARKS[finding.kind.severity]} {finding.what}"
    since = f", since {_moment(finding.since)}" if finding.since else ""
    yield f"  Where  {finding.where}{since}"
    evidence = f": {finding.evidence.rstrip('.')}" if finding.evidence else ""
    yield f"  Sure   {finding.certainty}{evidence}"
    for other in more[:3]:
        yield f"  Also   {other.what}"
    if len(more) > 3:
        yield f"  Also   {', '.join(key for other in more[3:] for key in other.keys)}"
    yield f"  Why    {finding.kind.why}"
    yield f"  Do     {finding.cure}"
    yield f"  Page   docs/{finding.kind.page}   [{finding.kind.id}]"


def _moment(moment: datetime) -> str:
    local = moment.astimezone()
    today = datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def _looked_at(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"{diagnosis.env_target} in {diagnosis.root}, {diagnosis.seconds:.1f} s:"
    for subject in diagnosis.subjects:
        differ = sum(key.differs for key in subject.keys)
        held = f"{differ} of {len(subject.keys)} values differ" if differ else f"all {len(subject.keys)} values agree"
        open_ = sum(key.is_open for key in subject.keys)
        told = f", {open_} cannot be told" if open_ else ""
        yield f"  {subject.role:<8}pid {subject.process.pid}, since {_moment(subject.since)}: {held}{told}"
    if diagnosis.broker is not None:
        yield f"  broker  {redact_text(diagnosis.broker.url)}: {diagnosis.broker.says}"
    for seen in diagnosis.comfyui.values():
        yield f"  ComfyUI {redact_text(seen.url)}: {seen.says}"
