"""A mock for all tests of a file. The one for each test that changes it is the package's own fixture `kernie`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runbooks.kernie.testing import RunningMock, running_mock


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMock]:
    with running_mock(base_dir=tmp_path_factory.mktemp("kernie")) as mock:
        yield mock
