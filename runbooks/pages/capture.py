"""Catch what a Python step and its child processes write, whatever the step does to its streams."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from types import TracebackType
from typing import TYPE_CHECKING

from runbooks.pages.expected import plain_text

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

OUTPUT_LIMIT = 10_000_000
"""Bytes of output after which a step is stopped."""


class TooMuchOutput(BaseException):
    """A step wrote more than ``OUTPUT_LIMIT``. Not an ``Exception``: a step's own handlers must not swallow it."""


class _LimitedFile(io.FileIO):
    """File descriptor 1 or 2, left open when a step closes the stream; stops a step that writes without end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.written = 0

    def write(self, data: ReadableBuffer, /) -> int:
        self.written += memoryview(data).nbytes
        if self.written > OUTPUT_LIMIT:
            self.written = 0
            raise TooMuchOutput
        return super().write(data)


def nameless_file() -> int:
    """Open a temporary file that has no name, and return its descriptor: on Linux quicker than ``tempfile`` does it.

    Not in memory: what a child writes without end, until it is stopped, must not fill that.
    """
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or a file system that cannot
        return os.open(tempfile.gettempdir(), os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


class OutputCapture:
    """Context manager: file descriptors 1 and 2 and ``sys.stdout``/``sys.stderr`` go to one file; stdin is empty.

    Attributes:
        text: what was written, once the context has ended.
    """

    def __init__(self) -> None:
        self.text = ""
        self._file = nameless_file()
        self._saved: list[int | None] = []
        self._streams = (sys.stdin, sys.stdout, sys.stderr)

    @property
    def descriptor(self) -> int:
        """The file that all goes to, for who wants to read along."""
        return self._file

    def __enter__(self) -> OutputCapture:
        for stream in self._streams[1:]:
            with contextlib.suppress(Exception):
                stream.flush()
        for descriptor in (0, 1, 2):
            try:
                self._saved.append(os.dup(descriptor))
            except OSError:  # a process may run without it, a daemon for one
                self._saved.append(None)
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)
        for descriptor in (1, 2):
            os.dup2(self._file, descriptor)
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
        sys.stdout, sys.stderr = self._stream(1), self._stream(2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception, TooMuchOutput):
                stream.flush()
        with contextlib.suppress(Exception):
            sys.stdin.close()
        sys.stdin, sys.stdout, sys.stderr = self._streams
        for descriptor, saved in enumerate(self._saved):
            if saved is None:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            else:
                os.dup2(saved, descriptor)
                os.close(saved)
        size = min(os.fstat(self._file).st_size, OUTPUT_LIMIT)
        self.text = plain_text(os.pread(self._file, size, 0)) if size else ""
        os.close(self._file)

    @staticmethod
    def _stream(descriptor: int) -> io.TextIOWrapper:
        return io.TextIOWrapper(
            io.BufferedWriter(_LimitedFile(descriptor)),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
