"""What a node's function gets to work with."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any, Protocol

from runbooks.kernie.errors import InterruptedRunError
from runbooks.kernie.faults import Faults
from runbooks.kernie.files import Folders
from runbooks.kernie.frames import Preview, text_frame
from runbooks.kernie.options import Options
from runbooks.kernie.progress import Progress
from runbooks.kernie.queue import Entry
from runbooks.kernie.websocket import Sessions


class Server(Protocol):
    """What of the server a node may use."""

    options: Options
    folders: Folders
    faults: Faults
    sessions: Sessions
    chance: random.Random


class Prompt(Protocol):
    """What of the prompt's run a node's run stands on."""

    entry: Entry
    interrupt: asyncio.Event
    progress: Progress

    @property
    def mock(self) -> Server:
        """The server."""

    def memory(self, node_id: str) -> dict[str, Any]:
        """A dict of the node's own."""

    def maybe_drop_sockets(self) -> None:
        """In the middle of the run, if a fault says so."""


class NodeRun:
    """What a node's function gets to work with.

    Attributes:
        node_id: the node's id in the prompt.
        prompt: the whole graph.
        extra_pnginfo: what else goes into a picture's metadata, such as the workflow.
        memory: a dict of its own that lasts as long as consecutive prompts have this node.
        share: its part of `--delay`, in seconds.
        mock: the server.
    """

    def __init__(self, prompt_run: Prompt, node_id: str, share: float) -> None:
        entry = prompt_run.entry
        self._run = prompt_run
        self.node_id = node_id
        self.class_type: str = entry.prompt[node_id]["class_type"]
        self.prompt = entry.prompt
        pnginfo = entry.extra_data.get("extra_pnginfo")
        self.extra_pnginfo: dict[str, Any] = pnginfo if isinstance(pnginfo, dict) else {}
        self.extra_data = entry.extra_data
        self.memory = prompt_run.memory(node_id)
        self.share = share
        self.mock = prompt_run.mock
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    @property
    def wants_previews(self) -> bool:
        """True if the prompt asked for previews while sampling (`extra_data.preview_method`)."""
        return self.extra_data.get("preview_method") not in (None, "none", "default")

    def check(self) -> None:
        """Raise InterruptedRunError if somebody asked the prompt to stop."""
        if self._run.interrupt.is_set():
            raise InterruptedRunError

    async def sleep(self, seconds: float) -> None:
        """Wait, shortened by `--speed`; an interrupt ends it at once by raising InterruptedRunError."""
        self.check()
        seconds /= self.mock.options.speed
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._run.interrupt.wait()
        except TimeoutError:
            return
        raise InterruptedRunError

    async def steps(self, count: int, preview: Preview | None = None) -> None:
        """Take the node's share of `--delay` in `count` steps and tell each."""
        for step in range(1, count + 1):
            await self.sleep(self.share / count)
            self.progress(step, count, preview)
            await asyncio.sleep(0)

    def progress(self, value: float, maximum: float, preview: Preview | None = None) -> None:
        """Tell clients how far the node is. Raises InterruptedRunError if the prompt is to stop."""
        self.check()
        self._on_loop(self._tell_progress, value, maximum, preview)

    def _tell_progress(self, value: float, maximum: float, preview: Preview | None) -> None:
        self._run.progress.step(self.node_id, value, maximum, preview)
        self._run.maybe_drop_sockets()

    def text(self, text: str) -> None:
        """Show a text at the node."""
        client = self.extra_data.get("client_id")
        self._on_loop(self.mock.sessions.send_bytes, text_frame(self.node_id, text), client)

    def _on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call on the event loop's thread: plain functions of nodes run in others."""
        if threading.get_ident() == self._thread:
            function(*arguments)
        else:
            self._loop.call_soon_threadsafe(function, *arguments)

    def wait(self, seconds: float) -> None:
        """As `sleep`, for nodes that are plain functions."""
        asyncio.run_coroutine_threadsafe(self.sleep(seconds), self._loop).result()

    @staticmethod
    async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
        """Run something that takes more than a few milliseconds."""
        return await asyncio.to_thread(function, *arguments)
