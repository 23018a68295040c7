from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from runbooks.lab.backends import claim_database, claim_redis, release_database, release_redis
from runbooks.lab.stop import stop_lab


class NewRoot(Protocol):
    """Names a new folder."""

    def __call__(self, name: str = "lab") -> Path: ...


@pytest.fixture
def new_root(tmp_path: Path) -> Iterator[NewRoot]:
    """Folders for labs; whatever a test leaves of a lab in them is removed, in the servers of the environment, too."""
    made: list[Path] = []

    def make(name: str = "lab") -> Path:
        made.append(tmp_path.resolve() / name)
        return made[-1]

    yield make
    for root in made:
        discard(root)


def discard(root: Path) -> None:
    """Remove a lab that may be running, half-started or gone."""
    stop_lab(root, kill=True)
    if given := os.environ.get("REDIS_URL"):
        release_redis(claim_redis(given, root), root)
    if given := os.environ.get("DATABASE_URL"):
        release_database(claim_database(given, root), root)
