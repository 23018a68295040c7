"""What the Python drivers share. Runs in a client's own environment: standard library only.

A driver has four steps, each by what its client offers. The caller checks on the server's side what came of them.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMEOUT = 60.0


class NotOfferedError(Exception):
    """The client has nothing for this."""


class Desk:
    """What a driver works with.

    Attributes:
        url, host: a server whose prompts take a moment (`http://127.0.0.1:1`, `127.0.0.1:1`).
        slow_url, slow_host: one whose prompts take an hour, to be interrupted.
        folder: the driver's own, and its working directory.
        workflow_file: text to image, ends in the node `9`, titled `Save Image`.
        picture: a PNG to upload.
    """

    def __init__(self, url: str, slow_url: str) -> None:
        self.url, self.slow_url = url, slow_url
        self.host, self.slow_host = url.removeprefix("http://"), slow_url.removeprefix("http://")
        self.folder = Path.cwd()
        self.workflow_file = self.folder / "workflow.json"
        self.picture = next(self.folder.glob("upload-*.png"))

    @property
    def workflow(self) -> dict[str, Any]:
        """The workflow, to be changed at will."""
        found: dict[str, Any] = json.loads(self.workflow_file.read_text(encoding="utf-8"))
        return found

    def keep(self, png: bytes) -> None:
        """Leave what was read back for the caller to compare."""
        (self.folder / "read.png").write_bytes(png)

    def interrupt_while(self, generate: Callable[[], Any], interrupt: Callable[[], Any]) -> None:
        """Interrupt a generation as soon as it runs, and wait until the client has noticed."""
        thread = threading.Thread(target=_quietly, args=(generate,), daemon=True)
        thread.start()
        self.wait_until_running()
        interrupt()
        thread.join(TIMEOUT)
        assert not thread.is_alive(), "the client still waits for what was interrupted"

    def wait_until_running(self) -> None:
        """Wait until the slow server runs something."""
        deadline = time.monotonic() + TIMEOUT
        while not self._running():
            assert time.monotonic() < deadline, "nothing runs on the slow server"
            time.sleep(0.05)

    def _running(self) -> list[Any]:
        with urllib.request.urlopen(f"{self.slow_url}/queue", timeout=TIMEOUT) as answer:
            found: list[Any] = json.loads(answer.read())["queue_running"]
        return found


def _quietly(generate: Callable[[], Any]) -> None:
    # How a client tells that its prompt was interrupted is its own affair.
    with contextlib.suppress(Exception):
        generate()


def drive(driver: Callable[[Desk], Any]) -> None:
    """Run the steps of a driver and tell of each as a line of JSON."""
    desk = Desk(sys.argv[1], sys.argv[2])
    made = driver(desk)
    for name in ("generate", "read", "upload", "interrupt"):
        told: dict[str, Any] = {"step": name, "outcome": "yes"}
        try:
            told["note"] = getattr(made, name)() or ""
        except NotOfferedError as missing:
            told.update(outcome="not offered", note=str(missing))
        except BaseException:
            told.update(outcome="failed", note=traceback.format_exc())
        print(json.dumps(told), file=sys.__stdout__, flush=True)
