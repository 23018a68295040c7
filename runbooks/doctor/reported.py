"""What processes say of themselves, where the application reports its settings (``runbooks.drift.reports``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runbooks.drift.fingerprint import Salt
from runbooks.drift.holdings import Certainty, text_of
from runbooks.drift.presence import still_there
from runbooks.drift.report import Report, Role, Setting
from runbooks.drift.reports import ReportsUnavailableError, Shelf
from runbooks.drift.showing import shown
from runbooks.drift.verdict import Told
from runbooks.drift.whoami import machine
from runbooks.settings import Value


@dataclass(frozen=True)
class Reports:
    """The reports of this machine's processes.

    Attributes:
        reports: of one application, without those that have ended.
        salt: what their fingerprints were made with; None when nobody reports.
    """

    reports: tuple[Report, ...] = ()
    salt: Salt | None = None

    def told_by(self, pid: int, words: Mapping[str, Value]) -> dict[str, Told]:
        """What a process says that it holds of the variables that the files set.

        Of a worker its pool children are heard first: they are where jobs run.

        Args:
            pid: the process; of a worker the main process.
            words: what the files say.
        """
        told: dict[str, Told] = {}
        for report in self._of(pid):
            for variable, word in words.items():
                setting = report.setting(variable)
                if setting is not None and (variable not in told or not self._is(setting, text_of(word.value))):
                    told[variable] = self._told(report, setting, text_of(word.value))
        return told

    def _of(self, pid: int) -> list[Report]:
        def rank(report: Report) -> tuple[bool, int]:
            return report.role is not Role.CHILD, report.pid

        family = [report for report in self.reports if report.pid == pid or report.parent == pid]
        children = [report for report in family if report.role is Role.CHILD and report.settings]
        # What main holds beside its children runs no job; a solo or thread pool has no children.
        return sorted(children or family, key=rank)

    def _told(self, report: Report, setting: Setting, says: str) -> Told:
        by = f"the report of {report.label}"
        certainty = Certainty.CERTAIN
        if report.silent:
            by, certainty = f"the last report of {report.label}, {report.age:.0f} s ago,", Certainty.LIKELY
        # The same value may be spelt otherwise there: a last slash, 30.0.
        value = says if self._is(setting, says) else setting.value
        return Told(value, by, certainty, setting.origin)

    def _is(self, setting: Setting, says: str) -> bool:
        """Whether it is the value that the files say. A value that is masked is told by its fingerprint."""
        for text in _spellings(says):
            seen = shown(setting.key, text)
            if seen == setting.value and (seen == text or self._fingerprint(text) == setting.fingerprint):
                return True
        return False

    def _fingerprint(self, text: str) -> str:
        return self.salt.fingerprint(text, secret=True) if self.salt is not None else ""


def read_all(redis_url: str, name: str) -> Reports:
    """The reports of this machine's processes; none where the broker keeps none.

    Args:
        redis_url: of the broker.
        name: under which the application reports.
    """
    try:
        shelf = Shelf(redis_url, name)
        try:
            reading = shelf.read()
        finally:
            shelf.close()
    except ReportsUnavailableError:
        return Reports()
    return Reports(tuple(each for each in still_there(reading.reports) if each.machine == machine()), reading.salt)


def _spellings(text: str) -> Iterator[str]:
    yield text
    yield text.rstrip("/") if text.endswith("/") else f"{text}/"
    try:
        yield str(float(text))
    except ValueError:
        return
