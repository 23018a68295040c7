"""A page being run: its steps share one Python namespace and one shell, and each is held to what its page says."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from runbooks.pages.console import split_console
from runbooks.pages.expected import compare
from runbooks.pages.model import Block, Expected, Kind, Page
from runbooks.pages.python_runner import PythonRunner, Transform
from runbooks.pages.results import Failure, Outcome, Result, StepFailed
from runbooks.pages.shell_runner import ShellRunner

_COLOUR_SWITCHES = ("FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "TTY_COMPATIBLE")


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
        transform: changes the syntax tree of a Python step before it is compiled (pytest's assertion rewriting).
        shown: texts of this run, and what the page shows in their place (a port of this run: the usual one).
            Outputs are compared so.
    """

    def __init__(
        self,
        page: Page,
        *,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        transform: Transform | None = None,
        shown: Mapping[str, str] | None = None,
    ) -> None:
        self.page = page
        # The longest first: one text may be part of another.
        self._shown = sorted((shown or {}).items(), key=lambda pair: -len(pair[0]))
        self._closed = False
        environ = terminal_environment() if environ is None else dict(environ)
        cwd = (cwd or Path.cwd()).resolve()
        self._python = PythonRunner(page, environ, cwd, transform)
        self._shell = ShellRunner(page.name, environ, cwd)

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
            self._shell.close()
        finally:
            self._python.close()

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
        if block.runner == "console":
            output, error = self._run_console(block)
        else:
            outcome = self._execute(block)
            output, error = outcome.output, self._judge(block, outcome, block.expected)
        line = error.line if error else block.line
        return Result(block, error is None, output, time.perf_counter() - begun, line, error)

    def as_shown(self, output: str) -> str:
        """Return an output with the texts of this run replaced by what the page shows in their place."""
        for text, shown in self._shown:
            output = output.replace(text, shown)
        return output

    def _execute(self, block: Block) -> Outcome:
        if block.runner == "python":
            return self._python.run(block)
        return self._shell.run(block.code, block.lines, block.timeout)

    def _run_console(self, block: Block) -> tuple[str, StepFailed | None]:
        """Run a transcript command by command. Only its last command may be the one that must fail."""
        commands = split_console(block)
        transcript = ""
        for number, command in enumerate(commands, 1):
            outcome = self._shell.run(command.code, command.lines, block.timeout)
            transcript += f"$ {command.code}" + outcome.output
            last = block if number == len(commands) else replace(block, fails=None)
            error = self._judge(last, outcome, command.expected)
            if error:
                return transcript, error
        return transcript, None

    def _judge(self, block: Block, outcome: Outcome, expected: Expected | None) -> StepFailed | None:
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
        seen = self.as_shown(seen)
        mismatch = compare(expected.text, seen)
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
