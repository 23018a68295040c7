from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy.schema import CreateSchema, DropSchema

from runbooks.comfyui import ComfyUIWorkerClient
from runbooks.genonaut.api.app import create_app
from runbooks.genonaut.api.queue import QueueDownError
from runbooks.genonaut.store import DEMO_USER_ID, JobStore, open_engine, prepare
from runbooks.genonaut.tables import Job
from tests.comfyui.fake import FakeComfyUI
from tests.support.waiting import wait_until


@pytest.fixture
def database_url(tmp_path: Path) -> Iterator[str]:
    """A database of the test's own: a SQLite file, or a schema of the PostgreSQL that DATABASE_URL names."""
    named = os.environ.get("DATABASE_URL", "")
    if not named.startswith("postgres"):
        yield f"sqlite:///{tmp_path / 'jobs.db'}"
        return
    engine = open_engine(named)
    schema = f"test_{uuid4().hex}"
    with engine.begin() as connection:
        connection.execute(CreateSchema(schema))
    url = engine.url.update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(DropSchema(schema, cascade=True))
    engine.dispose()


@pytest.fixture
def store(database_url: str) -> Iterator[JobStore]:
    prepare(database_url)
    store = JobStore(database_url)
    yield store
    store.close()


@dataclass
class FakeQueue:
    """A queue that keeps what it is given. ``worker`` and ``broker`` say whether they are up."""

    worker: bool = True
    broker: bool = True
    queued: list[tuple[int, str]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)

    def worker_answers(self) -> bool:
        return self.worker

    def put(self, job_id: int, task_id: str) -> None:
        self._need_broker()
        self.queued.append((job_id, task_id))

    def revoke(self, task_id: str) -> None:
        self._need_broker()
        self.revoked.append(task_id)

    def _need_broker(self) -> None:
        if not self.broker:
            raise QueueDownError("Connection refused")


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@contextmanager
def served(app: FastAPI) -> Iterator[httpx.Client]:
    """The application behind a real HTTP server, in a thread, on a port of its own."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started, 10, "the API did not start")
            with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", trust_env=False) as client:
                yield client
        finally:
            # Also when the test fails: its process would wait for the thread for ever.
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, httpx.Client]]:
    app = create_app(JobStore(f"sqlite:///{tmp_path_factory.mktemp('api') / 'unused.db'}"), FakeQueue())
    with served(app) as client:
        yield app, client


@pytest.fixture
def api(_server: tuple[FastAPI, httpx.Client], store: JobStore, queue: FakeQueue) -> httpx.Client:
    """A client of an API that works on this test's store and queue. The server is one for all tests."""
    app, client = _server
    app.state.store, app.state.queue = store, queue
    return client


def new_job(store: JobStore, **columns: Any) -> Job:
    """A pending job as the API stores it."""
    picture: dict[str, Any] = {
        "negative_prompt": "",
        "checkpoint_model": "illustriousXL_v01.safetensors",
        "lora_models": [],
        "width": 512,
        "height": 768,
        "batch_size": 1,
    }
    values = {
        "user_id": DEMO_USER_ID,
        "job_type": "image_generation",
        "prompt": "a red fox in snow",
        "params": {**picture, "sampler_params": {}},
        "celery_task_id": str(uuid4()),
        **picture,
        **columns,
    }
    return store.add(**values)


@pytest.fixture
def job(store: JobStore) -> Job:
    return new_job(store)


@pytest.fixture
def comfyui() -> Iterator[FakeComfyUI]:
    with FakeComfyUI() as fake:
        yield fake


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


@pytest.fixture
def client(comfyui: FakeComfyUI, output_dir: Path) -> Iterator[ComfyUIWorkerClient]:
    with ComfyUIWorkerClient(comfyui.url, output_dir, timeout=5, poll_interval=0.01, max_wait_time=5) as client:
        yield client
