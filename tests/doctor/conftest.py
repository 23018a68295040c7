from __future__ import annotations

import pytest

from tests.workers.conftest import broker_port, install, no_broker
from tests.workers.installation import Installation

__all__ = ["broker_port", "here", "install", "no_broker"]


@pytest.fixture
def here(no_broker: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation for stand-ins, with a broker that is down and no ComfyUI."""
    monkeypatch.delenv("GENONAUT_ROOT", raising=False)
    (no_broker.root / "comfyui").mkdir()
    return no_broker
