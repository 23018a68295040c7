"""The lab's worker keeps and forgets values exactly as the real one does: every cell of ``freeze-matrix.json``.

A cell is the URL that a new job uses after ``COMFYUI_URL`` was edited in one source and one action was taken. Nothing
listens on any of the URLs: the job's error names the one that it used.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery

from runbooks.genonaut.store import DEMO_USER_ID, JobStore, prepare
from runbooks.lab import processes
from runbooks.lab.layout import Layout, fill_folder, make_folder
from runbooks.lab.ports import Ports, Reservations
from runbooks.lab.services import WORKER_READY
from runbooks.lab.stop import stop_lab
from tests.lab.backends import broker_for, database_for
from tests.support.waiting import wait_until

# The site's table is made of the same file: what it says is what this run has seen.
MATRIX = json.loads((Path(__file__).parents[2] / "docs/_data/freeze-matrix.json").read_text(encoding="utf-8"))
PROBE = Path(__file__).parent / "probe"
A_JOB: dict[str, Any] = {
    "user_id": DEMO_USER_ID,
    "job_type": "image_generation",
    "prompt": "a red fox in snow",
    "params": {},
    "checkpoint_model": "illustriousXL_v01.safetensors",
    "lora_models": [],
    "width": 512,
    "height": 512,
    "batch_size": 1,
}
MAKE = ["make", "--no-print-directory", "celery-demo"]


@dataclass
class Bench:
    """A lab's folder with a broker and a job store, in which ``COMFYUI_URL`` has one source."""

    layout: Layout
    store: JobStore
    celery: Celery
    source: str
    old: str
    new: str
    neither: str
    shell: dict[str, str] = field(default_factory=dict)

    def write(self, url: str) -> None:
        """Edit the one source; no other layer above the JSON file sets the value."""
        root = self.layout.root
        line = f"COMFYUI_URL={url}\n"
        base = json.loads((root / "config" / "base.json").read_text())
        base["comfyui-url"] = url if self.source == "config_json" else self.neither
        (root / "config" / "base.json").write_text(json.dumps(base))
        self.layout.target_file.write_text(line if self.source == "env_shared_or_env_target" else "")
        (root / "env" / ".env").write_text(line if self.source == "env_dotenv" else "")
        self.shell = self._fresh_shell() | ({"COMFYUI_URL": url} if self.source == "shell_export" else {})

    def start(self, command: list[str], environ: dict[str, str]) -> Worker:
        """Start a worker and wait until it is ready."""
        log = self.layout.log("worker")
        log.unlink(missing_ok=True)
        make = processes.spawn(command, root=self.layout.root, environ=environ, log=log)
        self.wait_until_ready(make.poll)
        return Worker(processes.worker_mains(processes.lab_processes(self.layout.root))[0])

    def wait_until_ready(self, exit_code: Callable[[], int | None] = lambda: None) -> None:
        """Wait until the worker's log says so, or it ends."""
        log = self.layout.log("worker")

        def ready() -> bool:
            assert exit_code() is None, f"the worker ended: {log.read_text()}"
            return bool(WORKER_READY.search(log.read_bytes()))

        try:
            wait_until(ready, 30, "the worker to be ready")
        except AssertionError as error:
            raise AssertionError(log.read_text()) from error

    def wait_until_idle(self) -> None:
        """Wait until the main process has heard that its child is done: Celery hangs when SIGHUP comes before."""

        def idle() -> bool:
            answers = self.ask("active")
            return bool(answers) and list(answers[0].values()) == [[]]

        wait_until(idle, 20, "the worker to be idle")

    def ask(self, command: str) -> list[dict[str, Any]]:
        """Send the worker a command; the answer is empty when it does not hear what is broadcast yet."""
        answers: list[dict[str, Any]] = self.celery.control.broadcast(command, reply=True, limit=1, timeout=2)
        return answers

    def kill(self) -> None:
        """End the worker at once: how it is stopped makes no difference to what the next one reads."""
        stop_lab(self.layout.root, kill=True)

    def url_of_a_new_job(self) -> str:
        """Create a job, and see where it goes."""
        job = self.store.add(**A_JOB)
        self.celery.send_task("genonaut.worker.tasks.run_comfy_job", (job.id,), queue="generation")

        def error() -> str | None:
            now = self.store.get(job.id)
            return now.error_message if now and now.status == "failed" else None

        message = wait_until(error, 20, f"job {job.id} to fail") or ""
        names = {url: name for name, url in (("OLD", self.old), ("NEW", self.new), ("NEITHER", self.neither))}
        found = [name for url, name in names.items() if f" {url}:" in message]
        assert len(found) == 1, message
        return found[0]

    def _fresh_shell(self) -> dict[str, str]:
        """As a lab's worker gets it, with the probe, one child, and without the wait for other workers."""
        return self.layout.process_environment() | {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(PROBE), os.environ.get("PYTHONPATH")))),
            "CELERY_WORKER_INCLUDE": "freeze_probe",
            "CELERY_WORKER_CONCURRENCY": "1",
            "CELERY_WORKER_WITHOUT_MINGLE": "1",
            "CELERY_WORKER_WITHOUT_GOSSIP": "1",
        }


@dataclass
class Worker:
    """A worker with one pool child."""

    main: psutil.Process

    @property
    def child(self) -> psutil.Process:
        return wait_until(self.main.children, 20, "the worker to have a pool child")[0]

    def refork(self) -> None:
        """Kill the child and wait for the one that the main process forks then."""
        old = self.child
        old.kill()
        wait_until(lambda: not processes.is_alive(old) and self.child.pid != old.pid, 20, "the worker to fork anew")


@contextmanager
def bench(root: Path, source: str) -> Iterator[Bench]:
    with ExitStack() as stack:
        make_folder(root)
        redis_url = stack.enter_context(broker_for(root))
        database_url = stack.enter_context(database_for(root))
        reservations = stack.enter_context(Reservations())
        old, new, neither = (f"http://localhost:{reservations.choose()}" for _ in range(3))
        layout = Layout(root, "local-demo", Ports(broker=0), redis_url, database_url)
        fill_folder(layout, mock=False)
        prepare(database_url)
        store = JobStore(database_url)
        stack.callback(store.close)
        app = stack.enter_context(Celery(broker=redis_url, set_as_current=False))
        made = Bench(layout, store, app, source, old, new, neither)
        stack.callback(made.kill)
        yield made


@pytest.mark.e2e
@pytest.mark.parametrize("source", MATRIX["sources"])
def test_a_new_job_uses_the_value_that_the_matrix_says_after_an_edit_of(source: str, tmp_path: Path) -> None:
    expected = {action: row[MATRIX["sources"].index(source)] for action, row in MATRIX["actions"].items()}
    root = tmp_path.resolve()
    # Beside each other, as both mostly wait: Celery looks after its pool every five seconds.
    with ThreadPoolExecutor() as threads:
        one = threads.submit(_take, _actions_on_one_worker, root / "one", source)
        others = threads.submit(_take, _actions_that_start_another, root / "others", source)
    assert one.result() | others.result() == expected


Actions = Callable[[Bench], Iterator[tuple[str, str]]]


def _take(actions: Actions, root: Path, source: str) -> dict[str, str]:
    with bench(root, source) as there:
        return dict(actions(there))


def _actions_on_one_worker(there: Bench) -> Iterator[tuple[str, str]]:
    """Only the pool child changes from action to action, and goes before the next."""
    there.write(there.old)
    worker = there.start(MAKE, there.shell)
    assert there.url_of_a_new_job() == "OLD"
    there.write(there.new)

    yield "nothing", there.url_of_a_new_job()

    worker.refork()
    yield "kill_children_parent_reforks", there.url_of_a_new_job()

    there.celery.send_task("probe.clear", queue="generation")
    yield "cache_clear_in_pool_child", there.url_of_a_new_job()

    there.wait_until_idle()
    there.layout.log("worker").write_bytes(b"")
    os.kill(worker.main.pid, signal.SIGHUP)
    there.wait_until_ready()
    assert worker.main.is_running(), "SIGHUP keeps the pid"
    yield "sighup_reexec_same_pid", there.url_of_a_new_job()


def _actions_that_start_another(there: Bench) -> Iterator[tuple[str, str]]:
    """The first changes its main process for good; each of the others begins with a new worker."""
    there.write(there.old)
    worker = there.start(MAKE, there.shell)
    old_environ, argv = worker.main.environ(), worker.main.cmdline()
    there.write(there.new)

    wait_until(lambda: there.ask("clear_in_main"), 20, "the main process to clear its cache")
    worker.refork()
    yield "cache_clear_in_main_then_refork", there.url_of_a_new_job()

    there.kill()
    there.start(argv, old_environ)
    yield "stop_then_same_argv_with_old_environ", there.url_of_a_new_job()

    there.kill()
    there.start(MAKE, old_environ)
    yield "stop_then_make_target_with_old_environ", there.url_of_a_new_job()

    there.kill()
    there.start(MAKE, there.shell)
    yield "stop_then_make_target_in_fresh_shell", there.url_of_a_new_job()
