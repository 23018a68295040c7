from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runbooks.comfyui import ComfyUIWorkerClient
from tests.comfyui.fake import FakeComfyUI


@pytest.fixture
def comfyui() -> Iterator[FakeComfyUI]:
    with FakeComfyUI() as fake:
        yield fake


@pytest.fixture
def client(comfyui: FakeComfyUI, tmp_path: Path) -> Iterator[ComfyUIWorkerClient]:
    with ComfyUIWorkerClient(comfyui.url, tmp_path, timeout=5, poll_interval=0.01, max_wait_time=5) as client:
        yield client
