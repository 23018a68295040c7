"""The one error a user is meant to see, and how a process ends on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something the user can mend. The command line prints it as one message and exits with code 2.

    Args:
        what: what happened, one sentence, with the file, line, port or process concerned.
        do: what to do next, one sentence or command.

    ```python
    from runbooks.errors import UserError

    error = UserError("Port 8189 is taken by pid 4242 (python).", "Stop it, or use --free-ports.")
    print(error)
    ```

    ```output
    Port 8189 is taken by pid 4242 (python). Stop it, or use --free-ports.
    ```
    """

    def __init__(self, what: str, do: str) -> None:
        super().__init__(f"{what} {do}")
        self.what = what
        self.do = do


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Turn a ``UserError`` into its sentences on standard error and exit code 2, without a traceback."""
    try:
        yield
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        # from None: Celery prints the chain of whatever ends its import of the application.
        raise SystemExit(2) from None
