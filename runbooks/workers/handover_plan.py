"""Whether a worker's jobs can be handed over, and what that needs to know. Nothing is touched."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

from runbooks.errors import UserError
from runbooks.workers.interim import new_name, why_not_twice
from runbooks.workers.model import Handover, RestartPlan, Start, Stop
from runbooks.workers.outcome import CannotHandOverError, RestartError
from runbooks.workers.queues import TaskQueue, queues_of

_PLAIN = "Nothing was touched. Leave out --handover: a plain restart loses no job either, new ones only wait meanwhile."


def check_handover(*, every: bool) -> None:
    """What can be said before a worker is looked for.

    Raises:
        UserError: Celery is not installed here, or several workers are meant.
    """
    if every:
        raise UserError("--handover and --all contradict each other.", "Hand over one worker at a time: --pid PID.")
    if importlib.util.find_spec("celery") is None:
        raise UserError(
            "A handover is arranged over the broker, and Celery is not installed here.",
            "Run it in the worker's virtual environment, or leave out --handover.",
        )


def with_handover(plan: RestartPlan) -> RestartPlan:
    """The same plan as a handover, or with what is in the way of one."""
    if plan.in_the_way:
        return plan
    (stop,), (start,) = plan.stops, plan.starts
    # One answer only is taken for granted elsewhere; here a double would lose its queues, too.
    answers = queues_of(stop.worker.broker, stop.answer.node) if stop.answer and stop.worker.broker else []
    error = _obstacle(stop, start, answers)
    if error is not None or stop.answer is None:
        return replace(plan, in_the_way=(error,) if error else ())
    output = start.output.with_name(f"{start.output.stem}-handover{start.output.suffix}")
    return replace(plan, handover=Handover(stop.answer.node, answers[0], new_name(), output))


def _obstacle(stop: Stop, start: Start, answers: list[tuple[TaskQueue, ...]]) -> RestartError | None:
    pid = stop.worker.pid
    reason = why_not_twice(start.argv)
    if stop.answer is None or not answers:
        what = f"Worker pid {pid} cannot be asked over its broker, so nothing can be handed over."
    elif start.broker != stop.worker.broker:
        what = f"Worker pid {pid} uses another broker than the files name now; its jobs cannot be handed over."
    elif len(answers) > 1:
        what = f"{len(answers)} workers answer to the node name {stop.answer.node}; they cannot be told apart."
    elif not answers[0]:
        what = f"Worker pid {pid} takes jobs from no queue, so there is nothing to hand over."
    elif reason is not None:
        what = f"A second worker beside pid {pid} cannot run even for a moment: {reason}."
    else:
        return None
    return CannotHandOverError(what, _PLAIN)
