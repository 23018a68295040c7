"""The ways in which a restart does not happen, each with what to do. Nothing here is a traceback for the user."""

from __future__ import annotations

from runbooks.errors import UserError


class RestartError(UserError):
    """The restart did not happen, or not all of it.

    Attributes:
        exit_code: 1 when something was found that needs a decision, 2 when it cannot be done from here.
        kind: one word for ``--json``.
    """

    exit_code = 1
    kind = "not-restarted"


class NoWorkerError(RestartError):
    """No worker of this installation runs."""

    kind = "no-worker"


class SeveralWorkersError(RestartError):
    """More than one worker runs, an orphan or a double among them; nobody said which is meant."""

    kind = "several-workers"


class KeptByAnotherError(RestartError):
    """A supervisor, a terminal or a container keeps the worker; it must be restarted there."""

    exit_code = 2
    kind = "kept-by-another"


class OtherUserError(RestartError):
    """The worker runs as another user."""

    exit_code = 2
    kind = "other-user"


class CannotStartError(RestartError):
    """It could be stopped, but not be started again; so it was left alone."""

    exit_code = 2
    kind = "cannot-start"


class StillRunningError(RestartError):
    """The worker was told to stop and has not yet."""

    kind = "still-running"


class StartFailedError(RestartError):
    """The new worker died, or does not answer. In a plain restart the old one is gone by then."""

    kind = "start-failed"


class CannotHandOverError(RestartError):
    """A handover is not possible with this worker; it was left alone. A plain restart may be."""

    exit_code = 2
    kind = "cannot-hand-over"


class HandoverFailedError(RestartError):
    """A handover ended before its end; the message says which worker takes the jobs now."""

    kind = "handover-failed"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a restart; the message says in which state it left things."""
