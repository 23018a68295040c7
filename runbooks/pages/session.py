"""A page being run: its steps share one Python namespace and one shell, and each is held to what its page says."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from runbooks.pages.model import Block, Expected, Kind, Page, Runner
from runbooks.pages.results import Failure, Outcome, Result, StepFailed

if TYPE_CHECKING:  # each is imported with the first step that needs it: a page of shell steps needs no Python runner
    from runbooks.pages.asserts import Detail
    from runbooks.pages.follow import Listener
    from runbooks.pages.python_runner import PythonRunner
    from runbooks.pages.shell_runner import ShellRunner

_COLOUR_SWITCHES = ("FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "TTY_COMPATIBLE")

_RETRY_SECONDS = 1.0


class Operated(NamedTuple):
    """What a session needs to know when somebody works with its page.

    Attributes:
        listener: called with each line of output while a step runs, on another thread.
        started: called with the pid of the page's shell, which leads a session of its own, and its folder, or "".
    """

    listener: Listener
    started: Callable[[int, str], None]


def terminal_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a plain terminal: no colours, 80 columns, this interpreter's commands on the PATH.

    Args:
        base: what to start from; this process's environment by default.
    """
    environ = dict(os.environ if base is None else base)
    for key in _COLOUR_SWITCHES:
        environ.pop(key, None)
    commands = str(Path(sys.executable).parent)
    folders = [folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if folder != commands]
    return environ | {
        "TERM": "dumb",
        "NO_COLOR": "1",
        "COLUMNS": "80",
        "LINES": "24",
        "PATH": os.pathsep.join([commands, *folders]),
    }


class Session:
    """Runs the steps of one page, in the order in which it is asked to. Use it as a context manager.

    Python and shell steps are like two terminals: both begin with the same environment and working directory, and
    each keeps its own from then on.

    Args:
        page: the page.
        environ: the whole environment of the steps; ``terminal_environment()`` by default.
        cwd: the working directory of the first step; the current one by default.
        detail: says more of a comparison that an assert of a Python step found false (pytest's hook for it).
        shown: texts of this run, and what the page shows in their place (a port of this run: the usual one).
            Outputs are compared so.
        operated: somebody works with the page: hand on its output while it comes, and at the end leave running what
            outlives a terminal. By default everything that the steps started is ended.
    """

    def __init__(
        self,
        page: Page,
        *,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        detail: Detail | None = None,
        shown: Mapping[str, str] | None = None,
        operated: Operated | None = None,
    ) -> None:
        self.page = page
        # The longest first: one text may be part of another.
        self._shown = sorted((shown or {}).items(), key=lambda pair: -len(pair[0]))
        self._closed = False
        environ = terminal_environment() if environ is None else dict(environ)
        self._environ, self._cwd = environ, (cwd or Path.cwd()).resolve()
        self._detail = detail
        self._operated = operated
        self._python_begun: PythonRunner | None = None
        self._shell_begun: ShellRunner | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the shell and what steps left running. A session that is closed runs nothing more."""
        self._closed = True
        try:
            if self._shell_begun is not None:
                self._shell_begun.close()
        finally:
            if self._python_begun is not None:
                self._python_begun.close()

    def run(self, block: Block) -> Result:
        """Run one step of the page, once.

        A failing step does not raise: see ``Result.error``, or call ``Result.check``.

        Raises:
            ValueError: the block is not a step.
            RuntimeError: the session has been closed.
            KeyboardInterrupt: the user interrupted it. The session can be closed, not continued.
        """
        if self._closed:
            raise RuntimeError(f"the session of {self.page.name} has ended")
        if block.kind is not Kind.STEP:
            raise ValueError(f"{self.page.name}:{block.line} is not a step")
        begun = time.perf_counter()
        if block.condition:
            reason = self._why_not(block)
            if reason:
                error = reason if isinstance(reason, StepFailed) else None
                skipped = reason if isinstance(reason, str) else ""
                return Result(block, error is None, "", time.perf_counter() - begun, block.line, error, skipped)
        result = self._run_once(block)
        for _ in range(block.retries):
            if result.passed or self._shell_is_gone:
                break
            time.sleep(_RETRY_SECONDS)
            result = self._run_once(block)
        return result._replace(seconds=time.perf_counter() - begun)

    def _run_once(self, block: Block) -> Result:
        compared: list[tuple[Expected, str]] = []
        if block.runner == "console":
            output, error = self._run_console(block, compared)
        else:
            outcome = self._execute(block)
            output, error = outcome.output, self._judge(block, outcome, block.expected, compared)
        line = error.line if error else block.line
        return Result(block, error is None, output, 0.0, line, error, compared=tuple(compared))

    def _why_not(self, block: Block) -> str | StepFailed | None:
        """Say why a step does not apply, or what is wrong with its condition; None when it applies."""
        if block.runner == "python":
            code, wrong = f"assert ({block.condition})\n", "AssertionError"
        else:
            code, wrong = f"{block.condition}\n", "1"
        failure = self._execute(replace(block, code=code, lines=(block.line,))).failure
        if failure is None:
            return None
        if failure.names[:1] == (wrong,):
            return f"does not apply: {block.condition}"
        return self._failed(failure, f"its condition cannot be told: {failure.message}")

    @property
    def _python(self) -> PythonRunner:
        if self._python_begun is None:
            from runbooks.pages.processes import hang_up, stop
            from runbooks.pages.python_runner import PythonRunner

            listener, _ = self._operated or (None, None)
            end = hang_up if self._operated else stop
            self._python_begun = PythonRunner(
                self.page, self._environ, self._cwd, self._detail, listener=listener, end=end
            )
        return self._python_begun

    @property
    def _shell(self) -> ShellRunner:
        if self._shell_begun is None:
            from runbooks.pages.processes import hang_up, stop
            from runbooks.pages.shell_runner import ShellRunner

            listener, started = self._operated or (None, None)
            end = hang_up if self._operated else stop
            self._shell_begun = ShellRunner(
                self.page.name, self._environ, self._cwd, listener=listener, end=end, started=started
            )
        return self._shell_begun

    @property
    def _shell_is_gone(self) -> bool:
        return self._shell_begun is not None and self._shell_begun.is_gone

    def renew_shell(self) -> bool:
        """Begin a new shell, which knows nothing, if a step has ended the one there was; say whether it had."""
        if not self._shell_is_gone:
            return False
        self._shell.close()
        self._shell_begun = None
        return True

    def values(self, runner: Runner, names: Iterable[str]) -> dict[str, str]:
        """Return the values of the variables of Python or the shell that can be written down, ready for ``restore``."""
        return (self._python if runner == "python" else self._shell).values(names)

    def restore(self, runner: Runner, values: Mapping[str, str]) -> None:
        """Set variables to what ``values`` has returned in an earlier session."""
        (self._python if runner == "python" else self._shell).restore(values)

    def as_shown(self, output: str) -> str:
        """Return an output with the texts of this run replaced by what the page shows in their place."""
        for text, shown in self._shown:
            output = output.replace(text, shown)
        return output

    def _execute(self, block: Block) -> Outcome:
        if block.runner == "python":
            return self._python.run(block)
        return self._shell.run(block.code, block.lines, block.timeout)

    def _run_console(self, block: Block, compared: list[tuple[Expected, str]]) -> tuple[str, StepFailed | None]:
        """Run a transcript command by command. Only its last command may be the one that must fail."""
        from runbooks.pages.console import split_console

        commands = split_console(block)
        transcript = ""
        for number, command in enumerate(commands, 1):
            outcome = self._shell.run(command.code, command.lines, block.timeout)
            transcript += f"$ {command.code}" + outcome.output
            last = block if number == len(commands) else replace(block, fails=None)
            error = self._judge(last, outcome, command.expected, compared)
            if error:
                return transcript, error
        return transcript, None

    def _judge(
        self, block: Block, outcome: Outcome, expected: Expected | None, compared: list[tuple[Expected, str]]
    ) -> StepFailed | None:
        """Hold what happened against what the page says; None when they agree."""
        failure = outcome.failure
        seen = outcome.output
        if block.fails is not None:
            if failure is None:
                return StepFailed.at(self.page, block.line, f"this step was to fail with {block.fails}, and passed")
            if block.fails not in failure.names:
                return self._failed(failure, f"{failure.message}; it was to fail with {block.fails}")
            seen += outcome.epilogue
        elif failure is not None:
            return self._failed(failure, failure.message)
        if expected is None:
            return None
        from runbooks.pages.expected import compare
        from runbooks.pages.matching import line_rule

        seen = self.as_shown(seen)
        compared.append((expected, seen))
        mismatch = compare(expected.text, seen, line_rule(expected))
        if mismatch is None:
            return None
        wanted = "nothing more" if mismatch.expected is None else repr(mismatch.expected)
        given = "the output ended" if mismatch.seen is None else f"{mismatch.seen!r} was seen"
        return StepFailed.at(
            self.page,
            expected.line + mismatch.line,
            f"{wanted} was expected, {given}",
            details=f"expected (-) and seen (+):\n{mismatch.diff}",
            expected=expected.text,
            seen=seen,
        )

    def _failed(self, failure: Failure, message: str) -> StepFailed:
        return StepFailed.at(self.page, failure.line, message, details=failure.details)
