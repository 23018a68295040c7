"""A lab in a temporary folder: removed with all that it made, also when its starter is killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from runbooks.errors import UserError
from runbooks.lab.lab import Lab


@contextmanager
def temporary_lab(name: str, start: Callable[[Path], Lab]) -> Iterator[Lab]:
    """Start a lab in a new folder, and remove every trace of both afterwards.

    Args:
        name: what the folder's name begins with, after ``genonaut-``.
        start: starts the lab in that folder, with ``temporary=True``.

    Raises:
        UserError: the lab does not start; the folder with its logs is left, as the error names one of them.
    """
    root = Path(mkdtemp(prefix=f"genonaut-{name}-")).resolve()
    try:
        lab = start(root)
    except UserError:
        with suppress(OSError):  # nothing was written yet
            root.rmdir()
        raise
    except BaseException:
        shutil.rmtree(root)
        raise
    try:
        yield lab
    finally:
        lab.discard()
