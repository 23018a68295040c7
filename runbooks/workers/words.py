"""A plan and a result in words, line by line, as a person reads them under stress."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from runbooks.drift import Agreement, Certainty, Holding, redact_text
from runbooks.drift.showing import shown_of
from runbooks.workers.ask import RunningJob
from runbooks.workers.command import read_command
from runbooks.workers.environment import Change
from runbooks.workers.model import Handover, Restarted, RestartPlan, Start, Stop


def words_of_plan(plan: RestartPlan, timeout: float, verify_job: bool) -> Iterator[str]:
    """What was found and what would be done.

    Args:
        plan: the plan.
        timeout: seconds that a running job has.
        verify_job: whether a new job is created in the end.
    """
    yield f"Worker of {plan.env_target} in {plan.root}"
    for stop in plan.stops:
        yield from _found(stop)
    for miss in plan.near_misses:
        yield f"  Left alone: worker pid {miss.worker.pid} {miss.why}"
    if plan.in_the_way:
        return
    yield "What will be done"
    if plan.handover is None:
        yield from _restart(plan, timeout)
    else:
        yield from _handover(plan, plan.handover, timeout)
    if verify_job:
        yield "  4. Create one new job through the API and wait until it is completed."


def _restart(plan: RestartPlan, timeout: float) -> Iterator[str]:
    pids = ", ".join(str(stop.worker.pid) for stop in plan.stops)
    yield f"  1. SIGTERM to pid {pids}, once; wait up to {timeout:g} s for what it runs. Nothing harder is ever sent."
    for start in plan.starts:
        yield f"  2. Start it again in the background: {_command(start)}"
        yield from _surroundings(start)
    yield "  3. Wait until it answers, and check that it holds what the files say."


def _handover(plan: RestartPlan, handover: Handover, timeout: float) -> Iterator[str]:
    (stop,), (start,) = plan.stops, plan.starts
    queues = ", ".join(queue.name for queue in handover.queues)
    children = len(stop.worker.children)
    yield f"  1. Start an interim worker beside it; it gets jobs when it is proven. Its output: {handover.output}"
    yield f"     For some seconds two workers run: twice the memory and the pool children ({children} more)."
    yield f"     Then it takes the queues ({queues}), pid {stop.worker.pid} takes no more jobs, and gets SIGTERM, once."
    yield f"     Wait up to {timeout:g} s for what it runs. Nothing harder is ever sent."
    yield f"  2. Start it again in the background: {_command(start)}"
    yield from _surroundings(start)
    yield "  3. Wait until it answers, and check that it holds what the files say. Then SIGTERM to the interim worker."


def _surroundings(start: Start) -> Iterator[str]:
    yield f"     folder {start.cwd}, output appended to {start.output}"
    yield from (f"     {_change(change)}" for change in start.environment.changes)
    if not start.environment.changes:
        yield "     with the same environment"


def words_of_result(result: Restarted) -> Iterator[str]:
    """What was done and what was seen afterwards."""
    old = ", ".join(str(pid) for pid in result.old_pids)
    new = ", ".join(str(pid) for pid in result.new_pids)
    handed = result.handed_over
    if handed is not None:
        yield f"Handed over: {handed.seconds:.1f} s after its start pid {handed.pid} took the queues from pid {old}."
    yield f"Restarted: pid {old} left after {result.stop_seconds:.1f} s, pid {new} answers. Its log: {result.log}"
    for check in result.checks:
        yield f"  {'ok    ' if check.passed else 'FAILED'} {check.name}: {check.says}"


def _found(stop: Stop) -> Iterator[str]:
    process = stop.worker.process
    children = ", ".join(str(child.pid) for child in stop.worker.children) or "none"
    yield f"  pid {process.pid}, since {process.started.astimezone():%Y-%m-%d %H:%M:%S}, pool children: {children}"
    if process.stopped:
        yield f"    It is suspended (SIGSTOP) and will not stop until: kill -CONT {process.pid}"
    yield f"    runs now: {_running(stop)}"
    if not stop.stale:
        yield f"    holds: all {len(stop.holdings)} values as the files say them now"
    yield from (f"    holds: {_holding(holding)}" for holding in stop.stale if _is_worth_a_line(holding))
    unseen = [holding.variable for holding in stop.stale if not _is_worth_a_line(holding)]
    if unseen:
        yield f"    cannot be seen from outside: {', '.join(unseen)}"


def _is_worth_a_line(holding: Holding) -> bool:
    return holding.certainty is not Certainty.UNKNOWN


def _running(stop: Stop) -> str:
    if stop.answer is None:
        return "unknown (it could not be asked over the broker)"
    jobs = ", ".join(f"{job}{_for_how_long(job)}" for job in stop.answer.running) or "nothing"
    return f"{jobs}; {stop.answer.reserved} reserved" if stop.answer.reserved else jobs


def _for_how_long(job: RunningJob) -> str:
    return f" for {(datetime.now(UTC) - job.since).total_seconds():.0f} s" if job.since else ""


def _holding(holding: Holding) -> str:
    says = shown_of(holding.variable, holding.says or "")
    held = "?" if holding.holds is None else shown_of(holding.variable, holding.holds)
    verdict = "stale" if holding.agreement is Agreement.DIFFERS else "perhaps stale"
    return (
        f"{holding.variable}={held}, and {holding.origin} says {says}: {verdict}, {holding.certainty} ({holding.why})"
    )


def _change(change: Change) -> str:
    gets = shown_of(change.variable, change.gets or "")
    origin = f" ({change.origin})" if change.origin else ""
    if change.old is None:
        return f"{change.variable}={gets}{origin}, which it did not have"
    old = shown_of(change.variable, change.old)
    return f"{change.variable}={gets}{origin} instead of {old} (old environment)"


def _command(start: Start) -> str:
    command = read_command(start.argv)
    words = start.argv[command.program :] if command else start.argv
    return shlex.join(["celery", *(redact_text(word) for word in words)])
