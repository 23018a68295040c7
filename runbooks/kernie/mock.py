"""Everything that one mock consists of."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from typing import Any

from aiohttp import web

from runbooks.kernie.execution import Executor
from runbooks.kernie.faults import Fault, Faults
from runbooks.kernie.files import Folders
from runbooks.kernie.journal import Journal
from runbooks.kernie.models import ModelCatalogue
from runbooks.kernie.nodes.core import core_nodes
from runbooks.kernie.nodes.inputs import World
from runbooks.kernie.nodes.own import load_nodes
from runbooks.kernie.options import Options
from runbooks.kernie.queue import PromptQueue
from runbooks.kernie.userdata import UserData
from runbooks.kernie.websocket import Sessions

COMFYUI_VERSION = "0.33.0"
MAX_UPLOAD = 100 * 1024 * 1024
UUID_BITS = 128
RESET_SECONDS = 5.0


class Mock:
    """The state of one server: folders, nodes, queue, sessions, faults, counts. Made inside a running event loop.

    Raises:
        KernieError: for own nodes that cannot be loaded, or a fault that does not exist.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.started = time.monotonic()
        self.folders = Folders(options)
        self.userdata = UserData(self.folders)
        self.registry = core_nodes()
        for place in options.nodes:
            self.registry.add(load_nodes(place))
        self.sessions = Sessions()
        self.faults = Faults()
        self.journal = Journal()
        self.queue = PromptQueue(self.tell_status)
        self.executor = Executor(self)
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.models = ModelCatalogue(self.options.models)
        self.world = World(self.models, self.folders)
        self.chance = random.Random(self.options.seed)  # noqa: S311 - names of files and prompts, no secrets
        self.counts: Counter[str] = Counter()
        # The priority of the next prompt; rejected prompts use one up, too.
        self.number = 0
        for text in self.options.faults:
            self.faults.add(Fault.from_flag(text))

    async def reset(self) -> None:
        """As just started; files, clients and options stay. The running prompt is stopped first."""
        self.faults.clear()
        self.queue.clear()
        self.executor.interrupt()
        async with asyncio.timeout(RESET_SECONDS):
            await self.executor.idle.wait()
        self.queue.forget_all()
        self.executor.forget_results()
        self.journal.clear()
        self._start_afresh()

    def new_id(self) -> str:
        """A prompt's id; repeatable with `--seed`."""
        return str(uuid.UUID(int=self.chance.getrandbits(UUID_BITS), version=4))

    def features(self) -> dict[str, Any]:
        """What the server can do, as /features and the WebSocket tell it."""
        return {
            "supports_preview_metadata": True,
            "supports_model_type_tags": True,
            "max_upload_size": MAX_UPLOAD,
            "extension": {"manager": {"supports_v4": True}},
            "node_replacements": True,
            "assets": False,
        }

    def queue_info(self) -> dict[str, Any]:
        """How many prompts wait or run, as GET /prompt and the status message tell it."""
        return {"exec_info": {"queue_remaining": len(self.queue)}}

    def tell_status(self) -> None:
        """Tell all clients how many prompts wait or run."""
        if self.sessions:
            self.sessions.send("status", {"status": self.queue_info()})


MOCK = web.AppKey("MOCK", Mock)
