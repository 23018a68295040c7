"""Find, stop, start and restart a Celery worker. Works on any application with the files of the six layers."""

from runbooks.workers.command import DEFAULT_APP, WorkerCommand, read_command
from runbooks.workers.find import Found, NearMiss, Worker, find_workers, installation_root
from runbooks.workers.model import HandedOver, Handover, Restarted, RestartPlan, Start, Stop
from runbooks.workers.outcome import (
    CannotHandOverError,
    CannotStartError,
    HandoverFailedError,
    Interrupted,
    KeptByAnotherError,
    NoWorkerError,
    OtherUserError,
    RestartError,
    SeveralWorkersError,
    StartFailedError,
    StillRunningError,
)
from runbooks.workers.plan import plan_restart
from runbooks.workers.progress import Listener, Progress
from runbooks.workers.prove import Check, JobProof
from runbooks.workers.restart import carry_out, restart_worker

__all__ = [
    "DEFAULT_APP",
    "CannotHandOverError",
    "CannotStartError",
    "Check",
    "Found",
    "HandedOver",
    "Handover",
    "HandoverFailedError",
    "Interrupted",
    "JobProof",
    "KeptByAnotherError",
    "Listener",
    "NearMiss",
    "NoWorkerError",
    "OtherUserError",
    "Progress",
    "RestartError",
    "RestartPlan",
    "Restarted",
    "SeveralWorkersError",
    "Start",
    "StartFailedError",
    "StillRunningError",
    "Stop",
    "Worker",
    "WorkerCommand",
    "carry_out",
    "find_workers",
    "installation_root",
    "plan_restart",
    "read_command",
    "restart_worker",
]
