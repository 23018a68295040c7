"""The drill: the whole incident, from symptom to cure, on a lab of its own; each expected thing is looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runbooks.errors import UserError
from runbooks.lab.lab import Lab
from runbooks.lab.processes import lab_processes
from runbooks.lab.temporary import temporary_lab
from runbooks.target import Job, Target
from runbooks.workers import restart_worker


@dataclass(frozen=True)
class Seen:
    """One expected thing.

    Attributes:
        step: the number of its step, from 1.
        expected: what should be seen.
        ok: whether it was.
        seen: what was seen.
    """

    step: int
    expected: str
    ok: bool
    seen: str


@dataclass(frozen=True)
class Listener:
    """Who is told what happens.

    Attributes:
        step: called with number, title and why, when a step begins.
        seen: called with each expected thing.
    """

    step: Callable[[int, str, str], None]
    seen: Callable[[Seen], None]


class Drill:
    """One run of the drill.

    Attributes:
        results: every expected thing that was looked for, in order.
    """

    def __init__(self, listener: Listener, *, skip_restart: bool = False) -> None:
        self.results: list[Seen] = []
        self._listener = listener
        self._skip_restart = skip_restart
        self._number = 0

    @property
    def ok(self) -> bool:
        """Whether everything expected was seen."""
        return bool(self.results) and all(result.ok for result in self.results)

    def run(self) -> None:
        """Play the incident. Nothing is left running or on the disk, however it ends.

        Raises:
            UserError: the lab cannot be started; the folder with its logs is left.
        """
        self._step(
            "Start the stack as it was in the incident",
            "COMFYUI_URL was changed and the API restarted; the worker was started before and knows nothing of it.",
        )
        with temporary_lab("drill", self._start) as lab:
            self._play(lab, Target.from_environment(lab.environment()))
            self._step("Stop everything", "A drill that leaves something running is an incident of its own.")
            lab.stop()
        left = [process.pid for process in lab_processes(lab.root)]
        self._see("nothing is left running", not left, f"pids {left}" if left else "no process of this lab")

    @staticmethod
    def _start(root: Path) -> Lab:
        return Lab.start(root, incident=True, free_ports=True, temporary=True)

    def _play(self, lab: Lab, target: Target) -> None:
        self._see_the_start(lab, target)
        self._generate_and_fail(target)
        self._look_into_the_log(target)
        if not self._skip_restart:
            self._restart(target)
        self._generate_again(target)
        self._look_into_the_log_again(target)

    def _see_the_start(self, lab: Lab, target: Target) -> None:
        up = ", ".join(f"{service.name} {service.pid or 'as given'}" for service in lab.state.services)
        self._see("broker, mock, API and worker answer", len(lab.state.services) == 4, up)
        file = target.root / "env" / f".env.{target.env_target}"
        line = next((line for line in file.read_text().splitlines() if line.startswith("COMFYUI_URL=")), "no line")
        self._see("the file names the mock", line == f"COMFYUI_URL={target.mock_url}", f"{file.name}: {line}")

    def _generate_and_fail(self, target: Target) -> None:
        self._step(
            "Click “generate”",
            "The API takes the job: it is the worker that talks to ComfyUI. The job's error names the culprit.",
        )
        with self._expecting("the job fails on the old URL"):
            job = self._first_end(target, target.create_job().id)
            said = job.error_message or ""
            self._see("the job fails", job.status == "failed", f"job {job.id} is {job.status}")
            self._see(
                f"its error names the old URL, {target.real_url}", target.real_url in said, said[:90] or "no error"
            )

    def _look_into_the_log(self, target: Target) -> None:
        self._step("Look into the mock's log", "The symptom that was reported: the mock gets no requests.")
        prompts = target.prompts_received()
        self._see("no POST /prompt", not prompts, f"{len(prompts)} lines with POST /prompt in {target.mock_log.name}")

    def _restart(self, target: Target) -> None:
        self._step(
            "Restart the worker",
            "It keeps what it read when it started. The helper stops it and starts it with what the files say now.",
        )
        with self._expecting("the worker is restarted"):
            done = restart_worker(target.env_target, target.root)
            old, new = ", ".join(map(str, done.old_pids)), ", ".join(map(str, done.new_pids))
            self._see("another process works now", done.old_pids != done.new_pids, f"pid {old} left, pid {new} answers")
            for check in done.checks:
                self._see(check.name, check.passed, check.says)

    def _generate_again(self, target: Target) -> None:
        self._step(
            "Click “generate” again",
            "Only a new job proves a repair: the failed one is retried by Celery, and may complete on its own.",
        )
        with self._expecting("the new job completes"):
            job = self._first_end(target, target.create_job().id)
            says = f"job {job.id} is {job.status}" + (f": {job.error_message[:70]}" if job.error_message else "")
            self._see("the new job completes", job.status == "completed", says)
            there = [path for path in job.output_paths if path.is_file()]
            self._see("its picture is there", bool(there), there[0].name if there else "no file")

    def _look_into_the_log_again(self, target: Target) -> None:
        self._step("Look into the mock's log again", "Now the request that was missing.")
        prompts = target.prompts_received()
        self._see("POST /prompt … 200 OK", bool(prompts), prompts[-1] if prompts else "no such line")

    def _first_end(self, target: Target, job_id: int) -> Job:
        return target.wait_for_job(job_id, timeout=20.0)

    def _step(self, title: str, why: str) -> None:
        self._number += 1
        self._listener.step(self._number, title, why)

    def _see(self, expected: str, ok: bool, seen: str) -> None:
        result = Seen(self._number, expected, ok, seen)
        self.results.append(result)
        self._listener.seen(result)

    @contextmanager
    def _expecting(self, expected: str) -> Iterator[None]:
        """Something that cannot be done is an expected thing that was not seen; the drill goes on."""
        try:
            yield
        except UserError as error:
            self._see(expected, False, str(error))
