"""What the tests of the pytest plugin share. They need ``pytest_plugins = ["pytester"]`` in their own module."""

from __future__ import annotations

import pytest

from tests.pages.support import Pages


@pytest.fixture
def pages(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Pages:
    """A project in a folder of its own."""
    return Pages(pytester, monkeypatch)
