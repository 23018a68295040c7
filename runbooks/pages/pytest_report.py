"""Count the blocks of all collected pages, on one process or many, and print the count."""

from __future__ import annotations

from typing import Any

import pytest

from runbooks.pages.model import Block, Kind, Page

_OUTPUT_KEY = "runbooks_pages"


class PageCounts:
    """What became of every block: by page, [line, kind, language, reason, has it been executed or compared]."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.pages: dict[str, list[list[Any]]] = {}
        self._places: dict[str, dict[str, int]] = {}

    def add(self, page: Page) -> None:
        """Take a collected page's blocks down."""
        rows = self.pages.setdefault(_key(page), [])
        if not rows:
            rows += [[block.line, block.kind.value, block.language, block.reason, False] for block in page.blocks]
            self._places[_key(page)] = {block.name: index for index, block in enumerate(page.blocks)}

    def ran(self, page: Page, block: Block) -> None:
        """Take down that a step has run, and that the output behind it has been compared."""
        rows = self.pages[_key(page)]
        index = self._places[_key(page)][block.name]
        rows[index][4] = True
        if block.expected and block.runner != "console":
            rows[index + 1][4] = True

    def merge(self, pages: dict[str, list[list[Any]]]) -> None:
        """Add what a worker of pytest-xdist counted; every worker collects every page."""
        for key, rows in pages.items():
            mine = self.pages.setdefault(key, rows)
            for row, other in zip(mine, rows, strict=True):
                row[4] = row[4] or other[4]

    def summary(self) -> str:
        """Return ``N blocks: x executed, y outputs, z exempt`` and what does not fit in there."""
        rows = [row for rows in self.pages.values() for row in rows]

        def count(kind: Kind, *, ran: bool) -> int:
            return sum(1 for row in rows if row[1] == kind.value and row[4] is ran)

        executed, outputs = count(Kind.STEP, ran=True), count(Kind.OUTPUT, ran=True)
        left = count(Kind.STEP, ran=False) + count(Kind.OUTPUT, ran=False)
        unaccounted = count(Kind.UNACCOUNTED, ran=False)
        text = f"{len(rows)} blocks: {executed} executed, {outputs} outputs, {count(Kind.EXEMPT, ran=False)} exempt"
        text += f", {unaccounted} unaccounted" if unaccounted else ""
        return text + (f", {left} not run" if left else "")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """On a worker of pytest-xdist: send the counts to the controller."""
        workeroutput = getattr(self.config, "workeroutput", None)
        if workeroutput is not None:
            workeroutput[_OUTPUT_KEY] = self.pages

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """On the controller of pytest-xdist: take a worker's counts."""
        self.merge(getattr(node, "workeroutput", {}).get(_OUTPUT_KEY, {}))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the count; with -v also the blocks that are exempt, and why."""
        if not any(self.pages.values()):
            return
        terminalreporter.section("pages")
        if self.config.get_verbosity() > 0:
            for key, rows in sorted(self.pages.items()):
                for line, kind, language, reason, _ in rows:
                    if kind == Kind.EXEMPT.value:
                        terminalreporter.write_line(f"exempt {key.split('::')[0]}:{line} {language}: {reason}")
        terminalreporter.write_line(self.summary())


def _key(page: Page) -> str:
    return page.name if page.docstring is None else f"{page.name}::{page.docstring}"
