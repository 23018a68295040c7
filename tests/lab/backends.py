"""A broker and a job store for tests that need no whole lab; those of the environment when it names them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runbooks.lab.backends import (
    broker_answers,
    broker_command,
    claim_database,
    claim_redis,
    release_database,
    release_redis,
    sqlite_url,
)
from runbooks.lab.ports import Reservations
from tests.support.waiting import wait_until


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """URL of an embedded Redis server of the caller's own, without a database number."""
    folder.mkdir(parents=True, exist_ok=True)
    with Reservations() as reservations:
        port = reservations.choose()
        reservations.hand_over(port)
        command = [*broker_command(port), "--databases", "4"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as server:
            url = f"redis://127.0.0.1:{port}"
            try:
                wait_until(lambda: server.poll() is not None or broker_answers(url), 10, "the broker to answer")
                assert server.poll() is None, "the broker did not start"
                yield url
            finally:
                server.kill()


@contextmanager
def broker_for(root: Path) -> Iterator[str]:
    """URL of a broker's database that is this root's alone: on the server of REDIS_URL, or an embedded one."""
    given = os.environ.get("REDIS_URL")
    if not given:
        with redis_server(root / "run" / "broker") as url:
            yield f"{url}/0"
        return
    own = claim_redis(given, root)
    try:
        yield own
    finally:
        release_redis(own, root)


@contextmanager
def database_for(root: Path) -> Iterator[str]:
    """URL of a job store that is this root's alone: in the database of DATABASE_URL, or a SQLite file."""
    given = os.environ.get("DATABASE_URL")
    own = claim_database(given, root) if given else sqlite_url(root)
    try:
        yield own
    finally:
        release_database(own, root)
