"""Whether processes agree, with each other and with the files: what their reports say, put side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from runbooks.drift.report import Report, Role, Setting

_NAMED = 3
"""Processes that a sentence names."""

Uses = Callable[[Report, str], bool]
"""Whether a process does anything with a key."""

_Profile: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Standing:
    """One process beside the files and the others.

    Attributes:
        report: what it says.
        with_files: whether all that it holds is what the files say now; None when that cannot be told.
        with_others: whether no other process holds anything else; None when it has nothing to say, or is alone.
    """

    report: Report
    with_files: bool | None = None
    with_others: bool | None = None


@dataclass(frozen=True)
class Drift:
    """A value that some processes hold and that is not what it should be.

    Attributes:
        key: its name, such as ``COMFYUI_URL``.
        processes: who holds it.
        holds: the value, with its origin in the first of them.
        says: what the files say instead, or most of the others hold.
        against: who says so: ``the files``, or a process such as ``API 4711``.
        matters: whether one of the processes does anything with it. Else it is worth knowing, and does no harm.
    """

    key: str
    processes: tuple[Report, ...]
    holds: Setting
    says: Setting
    against: str
    matters: bool

    def __str__(self) -> str:
        verb = "hold" if len(self.processes) > 1 else "holds"
        said = "say" if self.against == "the files" else "holds"
        return (
            f"{in_words(self.processes)} {verb} {self.key}={_with_origin(self.holds)}, "
            f"{self.against} {said} {_with_origin(self.says)}"
        )


@dataclass(frozen=True)
class Comparison:
    """All processes of one application and target, compared.

    Attributes:
        standings: one for each report, in their order.
        drifts: what is not as it should be; what matters first.
    """

    standings: tuple[Standing, ...]
    drifts: tuple[Drift, ...]


def compare_reports(
    reports: Sequence[Report],
    salt: str,
    files: Mapping[str, Setting] | None = None,
    uses: Uses = lambda _report, _key: True,
) -> Comparison:
    """Compare what processes hold, with each other and with the files.

    Args:
        reports: processes that should agree: of one application and one target.
        salt: ``id`` of the salt that fingerprints are compared of. A process that has not yet learnt of a new one says
            nothing that can be compared.
        files: what the files say now, with fingerprints of that salt; None if nobody knows.
        uses: whether a process does anything with a key; for all of them by default.
    """
    comparable = [report for report in reports if report.salt == salt]
    # Many processes hold the same, so what is true of one of them is looked for once.
    by_profile: dict[_Profile, list[Report]] = {}
    for report in comparable:
        by_profile.setdefault(report.profile, []).append(report)
    counts: dict[str, Counter[str]] = {}
    for profile, found in by_profile.items():
        for key, fingerprint in profile:
            counts.setdefault(key, Counter())[fingerprint] += len(found)
    standing = {profile: _standing(profile, files, counts) for profile in by_profile}
    standings = (
        Standing(report, *(standing[report.profile] if report.salt == salt else (None, None))) for report in reports
    )
    drifts = _drifts(by_profile, files, counts, uses)
    return Comparison(tuple(standings), tuple(sorted(drifts, key=lambda drift: not drift.matters)))


def _standing(
    profile: _Profile, files: Mapping[str, Setting] | None, counts: Mapping[str, Counter[str]]
) -> tuple[bool | None, bool | None]:
    """Whether it is what the files say, and whether all hold it."""
    shared = [(fingerprint, files[key].fingerprint) for key, fingerprint in profile if files and key in files]
    held = [counts[key] for key, _ in profile]
    with_files = all(one == other for one, other in shared) if shared else None
    with_others = all(len(count) == 1 for count in held) if any(count.total() > 1 for count in held) else None
    return with_files, with_others


def _drifts(
    by_profile: Mapping[_Profile, Sequence[Report]],
    files: Mapping[str, Setting] | None,
    counts: Mapping[str, Counter[str]],
    uses: Uses,
) -> Iterator[Drift]:
    holders: dict[tuple[str, str], list[Report]] = {}
    for profile, reports in by_profile.items():
        for key, fingerprint in profile:
            right = (files or {}).get(key)
            if fingerprint != right.fingerprint if right else len(counts[key]) > 1:
                holders.setdefault((key, fingerprint), []).extend(reports)
    for (key, fingerprint), found in holders.items():
        found.sort(key=lambda report: report.role.rank)
        holds = found[0].setting(key)
        says, against = (files or {}).get(key), "the files"
        if says is None:
            says, against = _majority(by_profile, counts[key], fingerprint, key)
        if holds is not None and says is not None:
            yield Drift(key, tuple(found), holds, says, against, any(uses(report, key) for report in found))


def _majority(
    by_profile: Mapping[_Profile, Sequence[Report]], count: Counter[str], fingerprint: str, key: str
) -> tuple[Setting | None, str]:
    """What most of the others hold, and one of them; nothing for those who hold it themselves."""
    most = max(count, key=lambda each: (count[each], each))
    if most != fingerprint:
        for profile, reports in by_profile.items():
            if (key, most) in profile:
                return reports[0].setting(key), reports[0].label
    return None, ""


def _with_origin(setting: Setting) -> str:
    return f"{setting.value} ({setting.origin or 'origin unknown'})"


def in_words(reports: Sequence[Report]) -> str:
    """Processes as a part of a sentence: ``API 4700 and worker main 4711 with 2 pool children``."""
    mains = {report.pid for report in reports if report.role is Role.MAIN}
    children = Counter(report.parent for report in reports if report.role is Role.CHILD)
    named = [
        report.label + (f" with {_children(children[report.pid])}" if children[report.pid] else "")
        for report in reports
        if report.role is not Role.CHILD
    ]
    named += [f"{_children(count)} of worker main {main}" for main, count in children.items() if main not in mains]
    if len(named) > _NAMED:
        named = [*named[:_NAMED], f"{len(named) - _NAMED} more"]
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))


def _children(count: int) -> str:
    return f"{count} pool child{'ren' if count > 1 else ''}"
