"""A mock for all tests of a file, and one for each test that changes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runbooks.kernie.testing import RunningMock, kernie, kernie_options, running_mock

__all__ = ["kernie", "kernie_options"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMock]:
    with running_mock(base_dir=tmp_path_factory.mktemp("kernie")) as mock:
        yield mock
