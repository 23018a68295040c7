"""Everything that one mock consists of."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from aiohttp import web

from runbooks.kernie.execution import Executor
from runbooks.kernie.files import Folders
from runbooks.kernie.models import ModelCatalogue
from runbooks.kernie.nodes.core import core_nodes
from runbooks.kernie.nodes.inputs import World
from runbooks.kernie.options import Options
from runbooks.kernie.queue import PromptQueue
from runbooks.kernie.websocket import Sessions

COMFYUI_VERSION = "0.33.0"
MAX_UPLOAD = 100 * 1024 * 1024


class Mock:
    """The state of one server: folders, nodes, queue, sessions, counts. Made inside a running event loop."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.chance = random.Random(options.seed)  # noqa: S311 - names of files and prompts, no secrets
        self.started = time.monotonic()
        self.folders = Folders(options)
        self.models = ModelCatalogue(options.models)
        self.world = World(self.models, self.folders)
        self.registry = core_nodes()
        self.sessions = Sessions()
        self.queue = PromptQueue(self.tell_status)
        self.executor = Executor(self)
        self.counts: Counter[str] = Counter()
        # The priority of the next prompt; rejected prompts use one up, too.
        self.number = 0

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
        self.sessions.send("status", {"status": self.queue_info()})


MOCK = web.AppKey("MOCK", Mock)
