"""Run the shell steps of a page in one bash, which keeps variables, functions, directory and background jobs.

How it works. Bash reads a script that is a pipe. For each step a line is written to it that sources a file with
the step's code; a short line, because bash reads a pipe byte by byte. The file holds as many empty lines as the page
has above the step, so bash's own line numbers are the page's. A step must stop at its first failing command, but the
shell must live on: the first line sets ``errexit`` and an ERR trap, which bash runs first and which returns from the
file. What happened comes back through a second pipe, which bash opens by its path (see ``wires``): what a step starts
inherits nothing of ours.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from runbooks.pages.capture import OUTPUT_LIMIT
from runbooks.pages.expected import plain_text
from runbooks.pages.follow import Listener, follow
from runbooks.pages.processes import End, in_session, stop, wait_for_end
from runbooks.pages.results import Failure, Outcome
from runbooks.pages.wires import Wires, new_wires

_EXIT_TRAP_SECONDS = 5.0
_TICK_SECONDS = 0.05
_VALUE_SECONDS = 10.0
_OWN_LINE = (2,)  # of commands that stand on no page; the first line is the prologue
# These would run other code or change bash's behaviour before the first step.
_NOT_FOR_BASH = ("BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "POSIXLY_CORRECT")

# One line, so that the code's line numbers stay right. At the first failing command the ERR trap returns: from a
# function or a sourced file, which makes the caller fail in turn, and at last from the step. It does nothing where the
# step has said `set +e`. The RETURN trap ends errexit with the step (BASH_SOURCE has one entry then), so that the shell
# itself lives on.
_PROLOGUE = (
    "{{ set -eE -o pipefail; trap '__rb=$?; case $- in *e*) "
    '[ $BASH_SUBSHELL -gt 0 ] || builtin printf "fail %s %s\\n" $__rb $LINENO >{status}; '
    "return $__rb;; esac' ERR; "
    "trap '[ ${{#BASH_SOURCE[@]}} -gt 1 ] || {{ trap - ERR RETURN; set +eE; }}' RETURN; "
    "}} 2>/dev/null; exec </dev/null >>{output} 2>&1"
)
# What `set -x` would say of this goes nowhere.
_DRIVER = '. {step};{{ builtin printf "done $?\\n">{status};exec >/dev/null 2>&1;}} 2>/dev/null\n'


class ShellRunner:
    """One bash in a session of its own, started with the first step."""

    def __init__(
        self,
        page_name: str,
        environ: Mapping[str, str],
        cwd: Path,
        *,
        listener: Listener | None = None,
        end: End = stop,
        started: Callable[[int, str], None] | None = None,
    ) -> None:
        self._listener = listener
        self._end = end
        self._started = started
        self._page_name = page_name
        self._environ = {key: value for key, value in environ.items() if key not in _NOT_FOR_BASH}
        self._cwd = cwd
        self._bash: subprocess.Popen[bytes] | None = None
        self._wires: Wires | None = None
        self._gone = ""
        self._is_busy = False

    def run(self, code: str, lines: Sequence[int], timeout: float, *, quiet: bool = False) -> Outcome:
        """Run commands and wait for them.

        Args:
            code: the commands.
            lines: the page's line of each line of ``code``.
            timeout: seconds after which everything that the shell runs is ended.
            quiet: the listener does not hear of it.
        """
        if self._gone:
            return Outcome("", Failure((), f"there is no shell any more: {self._gone}", lines[0]))
        if self._bash is None:
            shell = shutil.which("bash", path=self._environ.get("PATH"))
            if shell is None:
                return Outcome("", Failure((), "there is no bash on the PATH", lines[0]))
            self._start(shell)
        wires = self._wires
        assert wires is not None
        descriptor, output = wires.output()
        try:
            prologue = _PROLOGUE.format(status=wires.status, output=output)
            wires.put(f"{prologue}{chr(10) * max(lines[0] - 1, 1)}{code}")
            os.write(wires.to_script, _DRIVER.format(step=wires.step, status=wires.status).encode())
            with follow(descriptor, None if quiet else self._listener):
                self._is_busy = True
                code_seen, line_seen, stopped = self._wait(descriptor, timeout)
                self._is_busy = False
            raw = text = plain_text(os.pread(descriptor, OUTPUT_LIMIT, 0))
        finally:
            os.close(descriptor)
        text = text.replace(f"{wires.step}:", f"{self._page_name}:")
        if stopped:
            self._gone = f"the step that ends at line {lines[-1]} was stopped"
            return Outcome(text, Failure(("timeout",), stopped, lines[0]))
        if code_seen == 0:
            return Outcome(text)
        line = lines[self._index(code, line_seen, raw, wires.step, lines[0])]
        if code_seen is None:
            return self._ended(text, line, syntax=line_seen is None and f"{wires.step}: line " in raw)
        return Outcome(text, Failure((str(code_seen),), f"exit code {code_seen}", line))

    @property
    def is_gone(self) -> bool:
        """Whether a step has ended the shell, by ``exit``, a timeout, or code that bash cannot read."""
        return bool(self._gone)

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """Return, for those variables that are set, the command that sets them again."""
        found = {}
        for name in names:
            outcome = self.run(f"builtin declare -p {name} 2>/dev/null", _OWN_LINE, _VALUE_SECONDS, quiet=True)
            if outcome.failure is None:
                found[name] = outcome.output
        return found

    def restore(self, values: Mapping[str, str]) -> None:
        """Set variables to what ``values`` returned."""
        for text in values.values():
            # Within the sourced step, as everywhere outside a function, declare sets the shell's own variables.
            self.run(text, _OWN_LINE * max(text.count("\n"), 1), _VALUE_SECONDS, quiet=True)

    def close(self) -> None:
        """End the shell, which runs its EXIT trap, and everything that it left running in its session."""
        if self._bash is None or self._wires is None:
            return
        self._wires.end_script()
        if not self._is_busy:  # in a step that was interrupted it would not see the end of its script
            wait_for_end(self._bash, _EXIT_TRAP_SECONDS)
        self._end(in_session(self._bash.pid))
        self._bash.wait()
        self._wires.close()
        self._bash = self._wires = None
        self._gone = "the page's session has ended"

    def _start(self, shell: str) -> None:
        self._wires = new_wires()
        self._bash = subprocess.Popen(
            [shell, "--noprofile", "--norc", self._wires.script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environ,
            cwd=self._cwd,
            start_new_session=True,
        )
        if self._started:
            self._started(self._bash.pid, self._wires.folder)

    def _wait(self, output: int, timeout: float) -> tuple[int | None, int | None, str]:
        """Wait for the step's end.

        Returns:
            The exit code (None: the shell has ended), bash's line number of the failure if it said one, and why the
            step was stopped ("": it was not).
        """
        assert self._bash is not None
        assert self._wires is not None
        status = self._wires.from_status
        deadline = time.monotonic() + timeout
        said = b""
        while b"done" not in said or not said.endswith(b"\n"):
            ready, _, _ = select.select([status], [], [], _TICK_SECONDS)
            if ready:
                said += os.read(status, 4096)
                continue
            if self._bash.poll() is not None:
                return None, _line_of(said), ""
            stopped = ""
            if time.monotonic() > deadline:
                stopped = f"still running after {timeout:g} s; stopped"
            elif os.fstat(output).st_size > OUTPUT_LIMIT:
                stopped = f"wrote more than {OUTPUT_LIMIT:,} bytes; stopped"
            if stopped:
                self._end(in_session(self._bash.pid))
                self._bash.wait()
                return None, None, stopped
        return int(said.split()[-1]), _line_of(said), ""

    def _ended(self, output: str, line: int, *, syntax: bool) -> Outcome:
        """Say how the shell came to its end: by ``exit``, a signal, or code that bash cannot read."""
        assert self._bash is not None
        status = self._bash.returncode
        how = f"exit code {status}" if status >= 0 else f"signal {-status}"
        self._gone = f"it ended at line {line} ({how})"
        if syntax and status == 2:
            return Outcome(output, Failure((str(status),), "bash cannot read this step", line, output.rstrip()))
        return Outcome(output, Failure((str(status),), f"the step ended the shell ({how})", line))

    @staticmethod
    def _index(code: str, line: int | None, output: str, step: str, first: int) -> int:
        """Return the index of the code's line that failed."""
        rows = code.removesuffix("\n").split("\n")
        if line is None:  # a syntax error, say: then only bash's message knows the line
            told = re.findall(re.escape(step) + r": line (\d+):", output)
            line = int(told[-1]) if told else None
        index = line - first if line is not None else len(rows) - 1
        index = min(max(index, 0), len(rows) - 1)
        while index and rows[index - 1].endswith("\\"):  # bash counts from a command's last line or its second
            index -= 1
        return index


def _line_of(said: bytes) -> int | None:
    """Return the line of the last ``fail`` message, which is the one of the step's own level."""
    told = re.findall(rb"fail \d+ (\d+)\n", said)
    return int(told[-1]) if told else None
