"""How a process of the application ends when it cannot start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from runbooks.errors import UserError


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Turn a ``UserError`` into one sentence on standard error and exit code 2, without a traceback."""
    try:
        yield
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        # from None: Celery prints the chain of whatever ends its import of the application.
        raise SystemExit(2) from None
