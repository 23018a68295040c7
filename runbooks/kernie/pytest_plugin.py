"""The pytest plugin: a running mock as a fixture, in every project where this package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbooks.kernie.testing import RunningMock, running_mock


@pytest.fixture
def kernie_options() -> dict[str, Any]:
    """Options of the mock that the fixture `kernie` starts; override it to choose others."""
    return {}


@pytest.fixture
def kernie(tmp_path: Path, kernie_options: dict[str, Any]) -> Iterator[RunningMock]:
    """A running mock of its own for one test: free port, empty folders, no delay."""
    with running_mock(**{"base_dir": tmp_path / "kernie", **kernie_options}) as running:
        yield running
