from __future__ import annotations

from pathlib import Path

import pytest

from tests.reload.installation import Installation, make_installation


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Settings files in which ``env/.env.local-demo`` says the old URL, and a process with nothing exported."""
    return make_installation(tmp_path / "installation")
