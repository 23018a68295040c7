"""What tells one state of the settings files from another, without reading them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, ...]
"""Of a file that is there: mtime, ctime, inode, device, size. Of one that cannot be looked at: the error's number."""
Signature: TypeAlias = Mapping[Path, Stamp]

_MTIME, _CTIME, _SIZE = 0, 1, 4
MISSING: Stamp = (errno.ENOENT,)


def signature_of(paths: Iterable[Path]) -> Signature:
    """The stamp of each file.

    Measured: modification time, inode and size see every rename, deletion and swap of a Kubernetes ``..data`` link; the
    status time sees an edit in place that puts the modification time back. ``lstat`` would miss the swaps.
    """
    return {path: _stamp(path) for path in paths}


def changed_paths(now: Signature, before: Signature) -> list[Path]:
    """The files whose stamps differ."""
    return [path for path, stamp in now.items() if stamp != before.get(path)]


def age(stamp: Stamp) -> float | None:
    """Seconds since the file last changed in any way, by this machine's clock. None when that cannot be said.

    It cannot of a file that is not there, nor of one from the future: it lies on a disk with another clock.
    """
    if len(stamp) == 1:
        return None
    changed = max(stamp[_MTIME], stamp[_CTIME])
    seconds = time.time() - changed / 1e9
    if seconds < 0:
        return None
    # Where the clock of the file system counts whole seconds, another edit within this one would leave no trace.
    return seconds if changed % 10**9 else max(0.0, seconds - 1)


def has_content(stamp: Stamp | None) -> bool:
    """Whether the file is there and not empty."""
    return stamp is not None and len(stamp) > 1 and stamp[_SIZE] > 0


def ends_its_last_line(path: Path) -> bool:
    """Whether the file's last line is ended. True for an empty file, and for one that cannot be read."""
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"
    except OSError:
        return True


def _stamp(path: Path) -> Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116 - a third of the time of Path.stat()
    except OSError as error:
        return MISSING if error.errno in (errno.ENOENT, errno.ENOTDIR) else (error.errno or 0,)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev, found.st_size
