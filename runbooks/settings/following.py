"""Files that a process follows: a look costs a ``stat`` of each, and what has changed is read when it has come to rest.

Only what can be read and taken up whole is taken up. Whatever is wrong, the last good state stays in force, and nothing
ever falls back to a default because a file went away.
"""

from __future__ import annotations

import os
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from runbooks.errors import UserError
from runbooks.settings.signature import (
    MISSING,
    Signature,
    Stamp,
    age,
    changed_paths,
    ends_its_last_line,
    has_content,
    signature_of,
)

T = TypeVar("T")

EVERY = 1.0
"""Seconds between two looks at the files."""
SETTLE = 0.2
"""Seconds that a file must have been left alone before it is read. It also outlasts a tick of the file system's clock
(4 ms), within which a second edit of the same size would leave no trace."""
PATIENCE = 5.0
"""Seconds that a file whose last line has lost its end is taken for one that is still being written."""


class Following(ABC, Generic[T]):
    """Follows files. Safe to use from threads and across a fork.

    Attributes:
        next_look: when a look at the files is due, by ``time.monotonic()``.
    """

    def __init__(
        self,
        files: Iterable[Path],
        lined: Iterable[Path],
        *,
        every: float = EVERY,
        settle: float = SETTLE,
        patience: float = PATIENCE,
    ) -> None:
        """Nothing is looked at before ``_begin``.

        Args:
            files: what is followed, whether it exists or not.
            lined: those of them whose last line is ended when they are whole.
            every: seconds between two looks.
            settle: seconds that a changed file must have been left alone.
            patience: seconds that a file with an unfinished last line is waited for.
        """
        self._files, self._lined = list(files), list(lined)
        self._every, self._settle, self._patience = every, settle, patience
        self._seen: Signature = {}
        self._good: Signature = {}
        self._ended: set[Path] = set()
        self._candidate: tuple[Signature, float] = ({}, 0.0)
        self.next_look = time.monotonic()
        self._lock, self._pid = threading.Lock(), os.getpid()

    def look_at_files(self) -> None:
        """Look at the files now, and take up what has changed. Never raises."""
        if self._pid != os.getpid():
            # The lock of before a fork may be held by a thread that was not forked along.
            self._lock, self._pid = threading.Lock(), os.getpid()
        # One thread looks; the others go on with what is in force.
        if self._lock.acquire(blocking=False):
            try:
                self.next_look = time.monotonic() + self._every
                self._look_locked()
            finally:
                self._lock.release()

    @abstractmethod
    def _read(self) -> T:
        """Read the files.

        Raises:
            UserError: they are broken. Whatever else is raised counts as that, too.
        """

    @abstractmethod
    def _take_up(self, found: T) -> None:
        """Have in force what was read.

        Raises:
            UserError: it cannot be.
        """

    @abstractmethod
    def _refuse(self, problem: str) -> None:
        """Say why the files as they stand now are not in force; ``problem`` quotes no value."""

    def _begin(self, signature: Signature) -> None:
        """What is in force was read from files that looked like this before they were read."""
        self._remember(signature)
        # A file that has just been written is read again.
        self._seen = {
            path: stamp for path, stamp in signature.items() if stamp == MISSING or _has_rested(stamp, self._settle)
        }
        self.next_look = time.monotonic() + self._every

    def _name(self, path: Path) -> str:
        return str(path)

    def _look_locked(self) -> None:
        # The signature is taken before reading, and must be the same afterwards: an edit in between is not lost.
        signature = signature_of(self._files)
        if signature == self._seen:
            return
        resting = self._has_settled(signature)
        problem = self._lost(signature)
        found: list[T] = []
        if resting and problem is None:
            problem = _why_not(lambda: found.append(self._read()))
        if not resting or signature_of(self._files) != signature:
            self.next_look = time.monotonic() + self._settle
            return
        self._seen = signature
        if problem is None:
            problem = _why_not(lambda: self._take_up(found[0]))
        if problem is None:
            self._remember(signature)
        else:
            self._refuse(problem)

    def _remember(self, good: Signature) -> None:
        """Keep how the files looked that what is in force was read from."""
        self._good = good
        self._ended = {path for path in self._lined if ends_its_last_line(path)}

    def _has_settled(self, signature: Signature) -> bool:
        """Whether nobody is writing any more, as far as that can be told."""
        now = time.monotonic()
        if self._candidate[0] != signature:
            self._candidate = (signature, now)
        unchanged = now - self._candidate[1]
        for path in changed_paths(signature, self._seen):
            unfinished = path in self._ended and not ends_its_last_line(path)
            if not _has_rested(signature[path], self._patience if unfinished else self._settle, unchanged):
                return False
        return True

    def _lost(self, signature: Signature) -> str | None:
        """A file that had something in it and is gone or empty: half of an edit, or a mistake, never a wish."""
        for path, stamp in signature.items():
            if has_content(self._good.get(path)) and not has_content(stamp):
                what = "is empty" if len(stamp) > 1 else "is gone or cannot be looked at"
                return f"{self._name(path)} {what}. If it shall set nothing, leave a comment in it."
        return None


def _has_rested(stamp: Stamp, seconds: float, unchanged: float = 0.0) -> bool:
    """Whether a file has been left alone for so long; ``unchanged`` is for how long it was seen to be."""
    known = age(stamp)
    return (unchanged if known is None else known) >= seconds


def _why_not(do: Callable[[], None]) -> str | None:
    """Do it; why that fails, without a value."""
    try:
        do()
    except UserError as error:
        return _without_values(error.what)
    except Exception as error:  # whatever stands in a file, the job that asks must go on
        return f"the files cannot be read ({type(error).__name__})."
    return None


def _without_values(text: str) -> str:
    # What stands in quotes was read from a file, and may be a secret; file and line are enough to find it.
    return re.sub(r"(['\"]).*\1", "…", text)
