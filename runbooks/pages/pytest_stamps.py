"""Write a stamp for every page of which a run has passed all steps, on one process or many."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from runbooks.pages.pytest_report import PageCounts
from runbooks.pages.stamps import Stamp, code_digest, commit_of, page_digest, read_stamps, write_stamps


@dataclass
class _Seen:
    """What the reports said of a page so far."""

    digest: str
    passed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: bool = False
    seconds: float = 0.0


class PageStamps:
    """Listens to the reports of the steps; in the controller of pytest-xdist, as they arrive there."""

    def __init__(self, config: pytest.Config, counts: PageCounts) -> None:
        self.root = config.rootpath
        self.file = self.root / config.getini("runbooks_stamps")
        self.counts = counts
        self._parts: list[str] = config.getini("runbooks_stamps_code")
        self._code = code_digest(self.root, self._parts)
        self._seen: dict[str, _Seen] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down how a step went."""
        name = report.nodeid.partition("::")[0]
        if not name.endswith(".md"):
            return
        if name not in self._seen:
            self._seen[name] = _Seen(page_digest(self.root / name, self.root))
        seen = self._seen[name]
        seen.seconds += report.duration
        seen.failed = seen.failed or report.failed
        if report.when == "call":
            (seen.passed if report.passed else seen.skipped).add(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the stamps; a page that failed loses the one it had."""
        if not self._seen:
            return
        stamps = read_stamps(self.file)
        code_is_the_same = code_digest(self.root, self._parts) == self._code
        commit = commit_of(self.root)
        for name, seen in self._seen.items():
            steps, outputs = self._ran(name)
            if seen.failed:
                stamps.pop(name, None)
            elif code_is_the_same and steps and len(seen.passed) + len(seen.skipped) == self._planned(name):
                at = datetime.now(UTC).isoformat(timespec="seconds")
                stamps[name] = Stamp(at, commit, steps, outputs, round(seen.seconds, 3), seen.digest, self._code)
        write_stamps(self.file, {name: stamp for name, stamp in stamps.items() if (self.root / name).is_file()})

    def _planned(self, name: str) -> int:
        return sum(1 for row in self.counts.pages.get(name, []) if row[1] == "step")

    def _ran(self, name: str) -> tuple[int, int]:
        rows = [row for row in self.counts.pages.get(name, []) if row[4]]
        return sum(1 for row in rows if row[1] == "step"), sum(1 for row in rows if row[1] == "output")
