"""What a user of the command line can mend, and what stops a running prompt."""

from __future__ import annotations


class KernieError(Exception):
    """A mistake that the user can mend; printed as one message, exit code 2.

    Args:
        what: what happened, one sentence.
        do: what to do next, one sentence.
    """

    def __init__(self, what: str, do: str) -> None:
        super().__init__(f"{what} {do}")
        self.what = what
        self.do = do


class InterruptedRunError(Exception):
    """Somebody asked for the running prompt to stop (`POST /interrupt`, or a job's cancel)."""


class OutOfMemoryError(Exception):
    """The accelerator's memory is used up, which a mock has none of: a fault on demand, or a picture beyond reason."""

    comfyui_name = "torch.OutOfMemoryError"
