"""Pages as pytest's collectors, their steps as items."""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runbooks.pages.model import Block, Kind, Page, Problem
from runbooks.pages.parse import parse_page
from runbooks.pages.pytest_report import PageCounts
from runbooks.pages.results import Result, StepFailed
from runbooks.pages.session import Session, terminal_environment
from runbooks.pages.surroundings import PageEnvironment

MARKER = "markdown-docs"  # pytest-markdown-docs has it too, for `-m markdown-docs`
_MOST_LINES = 30  # of what is said about one comparison
_MARKDOWN = (".md", ".mdx", ".svx")


class PageCollection:
    """Collects pages instead of what pytest-markdown-docs collects."""

    def __init__(self, config: pytest.Config, counts: PageCounts) -> None:
        self.root = config.rootpath
        self.counts = counts

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """Put our collector in the place of pytest-markdown-docs' ones."""
        others = yield
        kept = [other for other in others if not type(other).__module__.startswith("pytest_markdown_docs")]
        if file_path.suffix in (*_MARKDOWN, ".py"):
            kept.append(PageFile.from_parent(parent, path=file_path, collection=self))
        return kept

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Spare the garbage collector what is there before the first step: modules, pages and items, which all stay.

        pytest has all of it looked through five times when it ends (200 steps: 40 of 340 ms).
        """
        gc.freeze()

    @pytest.hookimpl(trylast=True)
    def pytest_runbooks_run_step(self, session: Session, block: Block) -> Result:
        """Run the step."""
        return session.run(block)


class PageFile(pytest.File):
    """A Markdown file, which is one page, or a Python file, whose docstrings are one page each."""

    def __init__(self, *, collection: PageCollection, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._collection = collection
        self._runs: list[PageRun] = []

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for every step, every block that is not accounted for, and every problem of the page."""
        for page in self._pages():
            self._collection.counts.add(page)
            run = PageRun(page, self, self._collection.counts)
            self._runs.append(run)
            yield from self._items(page, run)

    def teardown(self) -> None:
        """End the sessions of the file's pages; pytest calls this after their last item, however it went."""
        with ExitStack() as stack:
            for run in self._runs:
                stack.callback(run.close)

    def _pages(self) -> list[Page]:
        try:
            if self.path.suffix == ".py":
                from runbooks.pages.docstrings import parse_docstrings

                return parse_docstrings(self.path, root=self._collection.root)
            return [parse_page(self.path, root=self._collection.root)]
        except SyntaxError as error:
            raise self.CollectError(f"{self.path}:{error.lineno}: {error.msg}") from error
        except UnicodeDecodeError as error:
            raise self.CollectError(f"{self.path}: not UTF-8: {error.reason}") from error

    def _items(self, page: Page, run: PageRun) -> Iterator[pytest.Item]:
        for number, problem in enumerate(page.problems, 1):
            place = "" if page.docstring is None else f"{page.docstring}.__doc__".lstrip(".")
            label = "page-error" if number == 1 else f"page-error-{number}"
            yield ProblemItem.from_parent(self, name=f"{place}[{label}]", page=page, problem=problem)
        for block in page.blocks:
            if block.kind is Kind.STEP:
                yield StepItem.from_parent(self, name=block.name, run=run, block=block)
            elif block.kind is Kind.UNACCOUNTED:
                message = (
                    f"this {block.language or 'nameless'} block is not accounted for: "
                    f'it is not executed, so say why: ```{{.{block.language or "text"} data-exempt="the reason"}}'
                )
                problem = Problem(block.line, message)
                name = f"{block.name[:-1]}-unaccounted]"
                yield ProblemItem.from_parent(self, name=name, page=page, problem=problem)


class PageRun:
    """One page's session under pytest: begun with the first selected step, each step run once, in order."""

    def __init__(self, page: Page, node: pytest.File, counts: PageCounts) -> None:
        self.page = page
        self._node = node
        self._counts = counts
        self._stack = ExitStack()
        self._session: Session | None = None
        self._steps = page.steps
        self._passed = 0  # of them, without a gap
        self._results: dict[Block, Result] = {}
        self._broken = False

    def start(self) -> None:
        """Enter the page's environment and begin its session, unless that has been done."""
        if self._session is not None:
            return
        if self.page.problems:
            problem = self.page.problems[0]
            raise StepFailed.at(self.page, problem.line, f"not run: {problem.message}")
        if self._broken:
            raise StepFailed.at(self.page, 1, "not run: the page's environment could not be made, see its first step")
        environment = self._enter_environment()
        environ = environment.applied_to(terminal_environment())
        environ.pop("PYTEST_CURRENT_TEST", None)
        missing = [name for name in self.page.secrets if name not in environ]
        if missing:
            raise StepFailed.at(self.page, 1, f"not run: the page asks for {missing[0]}; set it in the environment")
        cwd = environment.cwd or self._node.config.rootpath
        session = Session(self.page, environ=environ, cwd=cwd, detail=self._detail, shown=environment.shown)
        self._session = self._stack.enter_context(session)

    def _enter_environment(self) -> PageEnvironment:
        config = self._node.config
        try:
            context = self._node.ihook.pytest_runbooks_environment(page=self.page, config=config)
            return self._stack.enter_context(context) if context is not None else PageEnvironment()
        except Exception as error:
            self._broken = True
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "pluggy" not in frame.filename]
            raise StepFailed.at(
                self.page,
                1,
                f"the page's environment could not be made: {type(error).__name__}: {error}",
                details="".join(traceback.format_list(frames[1:])),
            ) from error

    def _detail(self, operator: str, left: object, right: object) -> list[str]:
        """Say of a comparison what pytest and its plugins say of one in a test module."""
        config = self._node.config
        said = self._node.ihook.pytest_assertrepr_compare(config=config, op=operator, left=left, right=right)
        lines: list[str] = next((lines for lines in said if lines), [])
        if len(lines) > _MOST_LINES and config.get_verbosity() < 2:
            lines = [*lines[:_MOST_LINES], f"... {len(lines) - _MOST_LINES} more lines, shown with -vv"]
        return lines

    def run_up_to(self, block: Block) -> None:
        """Run the steps above ``block`` that have not run yet.

        Raises:
            StepFailed: one of the steps above has failed, so this one cannot run.
        """
        for step in self._steps[self._passed : self._steps.index(block)]:
            result = self.run(step)
            if not result.passed:
                at = f"{self.page.name}:{result.line}"
                raise StepFailed.at(self.page, block.line, f"not run: step {step.name} failed at {at}")
            self._passed += 1

    def run(self, block: Block) -> Result:
        """Run a step, or return its result when it has run."""
        if block not in self._results:
            assert self._session is not None
            self._results[block] = self._node.ihook.pytest_runbooks_run_step(session=self._session, block=block)
            if not self._results[block].skipped:
                self._counts.ran(self.page, block)
        return self._results[block]

    def close(self) -> None:
        """End the session, then leave the environment."""
        stack, self._stack = self._stack, ExitStack()
        self._session = None
        self._results = {}
        self._passed = 0
        self._broken = False
        stack.close()


class _PageItem(pytest.Item):
    """An item that stands at a line of a page."""

    page: Page
    line: int

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return the file, the line (counted from 0) and a headline.

        The headline must not be the end of the node id: pytest would print dots in it as "::", a node id that is none.
        """
        return self.path, self.line - 1, f"{self.page.name} {self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> object:  # type: ignore[override]  # noqa: ARG002
        """Return the page's place and line instead of a traceback through this package."""
        if isinstance(excinfo.value, StepFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class StepItem(_PageItem):
    """A step of a page, with the comparison of its output."""

    def __init__(self, *, run: PageRun, block: Block, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.add_marker(MARKER)
        self.page = run.page
        self.block = block
        self.line = block.line
        self._run = run

    def runtest(self) -> None:
        """Bring the page to where this step begins, and run it."""
        # Not in setup(): for failures there pytest shows a traceback through itself.
        self._run.start()
        self._run.run_up_to(self.block)
        result = self._run.run(self.block)
        if result.output:
            self.add_report_section("call", "stdout", result.output)
        if result.skipped:
            pytest.skip(result.skipped)
        result.check()


class ProblemItem(_PageItem):
    """Something on a page that must fail the run: a problem, or a block that is not accounted for."""

    def __init__(self, *, page: Page, problem: Problem, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.add_marker(MARKER)
        self.page = page
        self.problem = problem
        self.line = problem.line

    def runtest(self) -> None:
        """Fail at the problem's line."""
        raise StepFailed.at(self.page, self.line, self.problem.message)
