"""``runbooks restart-worker``: show the plan, ask, restart, prove."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from runbooks.cli.output import console, print_json, show_error
from runbooks.drift import words_of_files
from runbooks.errors import UserError
from runbooks.settings import read_layers
from runbooks.target import Target
from runbooks.workers import (
    DEFAULT_APP,
    Check,
    Interrupted,
    JobProof,
    Listener,
    Progress,
    Restarted,
    RestartError,
    RestartPlan,
    carry_out,
    installation_root,
    plan_restart,
)
from runbooks.workers.words import words_of_plan, words_of_result

RootOption = typer.Option(help="Folder with config/ and env/. Default: GENONAUT_ROOT, else this folder, else its .lab.")
TakeOverOption = typer.Option("--take-over", help="Stop a worker that runs in a terminal, start it in the background.")
HandoverOption = typer.Option(
    "--handover", help="Let no queue wait: an interim worker takes the jobs meanwhile. Two workers run for a moment."
)
VerifyOption = typer.Option(help="Create one new job through the API and wait for it. Default: if the API answers.")


def restart_worker(
    env_target: Annotated[str, typer.Option(envvar="ENV_TARGET", help="Which target's worker.")] = "local-demo",
    root: Annotated[Path | None, RootOption] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and touch nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds that the running job has to end.")] = 120.0,
    start_timeout: Annotated[float, typer.Option(min=0, help="Seconds that the new worker has to answer.")] = 60.0,
    pid: Annotated[int | None, typer.Option(help="The worker meant (its main process), where several run.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of several workers; doubles become one.")] = False,
    take_over: Annotated[bool, TakeOverOption] = False,
    handover: Annotated[bool, HandoverOption] = False,
    keep: Annotated[
        list[str] | None, typer.Option(help="Variable to keep from the old environment; repeatable.")
    ] = None,
    verify_job: Annotated[bool | None, VerifyOption] = None,
    app: Annotated[str, typer.Option(help="The Celery application, as given to -A.")] = DEFAULT_APP,
    broker: Annotated[str | None, typer.Option(help="Only a worker that uses this broker URL.")] = None,
) -> None:
    """Restart one Celery worker so that it holds what the files say now, and lose no job.

    Exit code 0: done and proven, or a plan with nothing in the way. 1: no worker, several, one that does not stop or
    start, or a check that failed. 2: it cannot be done from here. 130: Ctrl-C.
    """
    shown = Shown(as_json)
    try:
        if every and pid is not None:
            raise UserError("--pid and --all contradict each other.", "Use one of them.")
        root = installation_root(root)
        plan = plan_restart(
            env_target,
            root,
            app=app,
            broker=broker,
            pid=pid,
            every=every,
            keep=keep or (),
            take_over=take_over,
            handover=handover,
        )
        prove_job = None if verify_job is False else job_proof(root, env_target, required=verify_job is True)
        shown.plan(plan, timeout, prove_job is not None)
        if dry_run:
            raise typer.Exit(shown.dry_run(plan))
        _get_consent(plan, yes)
        with shown.progress() as listen:
            result = carry_out(plan, timeout=timeout, start_timeout=start_timeout, prove_job=prove_job, listen=listen)
        shown.result(plan, result)
        raise typer.Exit(0 if result.proven else 1)
    except UserError as error:
        shown.error(error)
        raise typer.Exit(error.exit_code if isinstance(error, RestartError) else 2) from error
    except KeyboardInterrupt as error:
        shown.error(
            UserError("Ended by Ctrl-C.", str(error) if isinstance(error, Interrupted) else "Nothing was touched.")
        )
        raise typer.Exit(130) from error


@dataclass(frozen=True)
class Shown:
    """What the user sees: words, or with ``--json`` one object on stdout and the words on stderr."""

    as_json: bool

    def plan(self, plan: RestartPlan, timeout: float, verify_job: bool) -> None:
        """What was found and will be done."""
        self._say(words_of_plan(plan, timeout, verify_job))

    def dry_run(self, plan: RestartPlan) -> int:
        """The end of ``--dry-run``: what is in the way, and the exit code."""
        self._say(f"In the way: {obstacle.what}\n  {obstacle.do}" for obstacle in plan.in_the_way)
        if not plan.in_the_way:
            self._say(["Dry run: nothing was touched."])
        self._json(ok=not plan.in_the_way, plan=plan.as_json())
        return 1 if plan.in_the_way else 0

    def result(self, plan: RestartPlan, result: Restarted) -> None:
        """What was done."""
        self._say(words_of_result(result))
        self._json(ok=result.proven, plan=plan.as_json(), result=result.as_json())

    def error(self, error: UserError) -> None:
        """Why it was not done, and what to do."""
        show_error(error)
        kind = error.kind if isinstance(error, RestartError) else "error"
        self._json(ok=False, error={"kind": kind, "what": error.what, "do": error.do})

    def _say(self, lines: Iterable[str]) -> None:
        out = console(stderr=self.as_json)
        for line in lines:
            out.print(line, markup=False)

    def _json(self, **parts: object) -> None:
        if self.as_json:
            print_json({"ok": None, "plan": None, "result": None, "error": None, **parts})

    @contextmanager
    def progress(self) -> Iterator[Listener]:
        """A live line on a terminal; elsewhere a line for each thing that is newly waited for."""
        out = console(stderr=True)
        said: set[tuple[str, str]] = set()
        with out.status("") as status:

            def listen(progress: Progress) -> None:
                line = f"Waiting for {progress.says}"
                if progress.done:
                    after = f", after {progress.seconds:.1f} s" if progress.seconds else ""
                    out.print(f"{progress.says}{after}", markup=False)
                elif out.is_terminal:
                    status.update(Text(f"{line} … {progress.seconds:.0f} s"))
                elif (progress.phase, progress.says) not in said:
                    said.add((progress.phase, progress.says))
                    out.print(line, markup=False)

            yield listen


def job_proof(root: Path, env_target: str, *, required: bool) -> JobProof | None:
    """What proves the restart with a new job: ``completed`` within a minute; None when no API answers.

    The API is the one of ``API_URL``, else the one on the port that the files give it.

    Raises:
        UserError: no API answers, and one is ``required``.
    """
    environ = {**os.environ, "GENONAUT_ROOT": str(root), "ENV_TARGET": env_target}
    port = words_of_files(read_layers(root, env_target, {})).get("API_PORT")
    if port is not None:
        environ.setdefault("API_URL", f"http://127.0.0.1:{port.value}")
    target = Target.from_environment(environ)
    try:
        target.check_api()
    except UserError:
        if required:
            raise
        return None

    def prove() -> Check:
        try:
            job = target.create_job(prompt="after the restart of the worker")
            job = target.wait_for_job(job.id)
        except UserError as error:
            return Check("new job", False, str(error))
        says = f"job {job.id} is {job.status}"
        return Check(
            "new job", job.status == "completed", f"{says}: {job.error_message}" if job.error_message else says
        )

    return prove


def _get_consent(plan: RestartPlan, yes: bool) -> None:
    if plan.in_the_way:
        raise plan.in_the_way[0]
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("There is no terminal to ask on.", "Add --yes to go ahead, or --dry-run to only look.")
    typer.echo("Go ahead? [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RestartError("Nothing was touched.", "Run it again and answer y, or use --yes.")
