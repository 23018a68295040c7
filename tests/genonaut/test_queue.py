"""The API's way to the workers when the broker is not well. With a well one see test_stack."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from celery import Celery

from runbooks.genonaut.api.queue import CeleryQueue, QueueDownError
from tests.comfyui.fake import closed_port


@pytest.fixture
def refusing() -> Iterator[CeleryQueue]:
    with closed_port() as port:
        yield CeleryQueue(Celery(broker=f"redis://127.0.0.1:{port}/0"))


def test_without_a_broker_no_worker_answers_and_nobody_waits(refusing: CeleryQueue) -> None:
    refusing.worker_answers()  # loads the transport
    start = time.perf_counter()
    assert not refusing.worker_answers()
    assert time.perf_counter() - start < 0.5


def test_without_a_broker_nothing_is_queued_or_revoked(refusing: CeleryQueue) -> None:
    with pytest.raises(QueueDownError, match="refused"):
        refusing.put(1, "60600c55-9482-4180-968d-d0b0d6523a4b")
    with pytest.raises(QueueDownError, match="refused"):
        refusing.revoke("60600c55-9482-4180-968d-d0b0d6523a4b")


def test_a_broker_that_never_answers_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        queue = CeleryQueue(Celery(broker=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        start = time.perf_counter()
        assert not queue.worker_answers()
        assert time.perf_counter() - start < 6
