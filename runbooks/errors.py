"""The one error a user is meant to see."""

from __future__ import annotations


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
