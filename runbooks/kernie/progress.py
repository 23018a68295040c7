"""How far a prompt is, node by node, and what clients are told of it."""

from __future__ import annotations

import time
from typing import Any

from runbooks.kernie.frames import Preview, preview_frame, preview_frame_with_metadata
from runbooks.kernie.websocket import Sessions

# Steps that follow faster than this are not told, except first, last and those with a preview.
MIN_SECONDS_BETWEEN = 0.0999


class Progress:
    """The state of one prompt's nodes.

    Args:
        sessions: who is told.
        prompt_id: the prompt.
        client: the client that owns the prompt, or None to tell all.
    """

    def __init__(self, sessions: Sessions, prompt_id: str, client: object) -> None:
        self._sessions = sessions
        self._prompt_id = prompt_id
        self._client = client
        self._nodes: dict[str, dict[str, Any]] = {}
        self._told: dict[str, float] = {}

    def start(self, node_id: str) -> None:
        """A node begins."""
        self._nodes[node_id] = self._state(node_id, 0.0, 1.0, "running")
        self._tell()

    def step(self, node_id: str, value: float, maximum: float, preview: Preview | None = None) -> None:
        """A node has done `value` of `maximum`, and perhaps shows something."""
        value = min(value, maximum)
        now = time.monotonic()
        first = node_id not in self._told
        if not first and preview is None and value < maximum and now - self._told[node_id] < MIN_SECONDS_BETWEEN:
            return
        self._told[node_id] = now
        self._nodes[node_id] = self._state(node_id, value, maximum, "running")
        self._tell()
        self._tell_step(node_id, value, maximum, preview)

    def finish(self, node_id: str) -> None:
        """A node has ended. One that was never started (its result is cached) counts as 1 of 1."""
        state = self._nodes.get(node_id) or self._state(node_id, 1, 1, "finished")
        self._nodes[node_id] = {**state, "value": state["max"], "state": "finished"}
        self._tell()

    def _state(self, node_id: str, value: float, maximum: float, state: str) -> dict[str, Any]:
        return {"value": value, "max": maximum, "state": state, **self._about(node_id)}

    def _about(self, node_id: str) -> dict[str, Any]:
        return {
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }

    def _tell(self) -> None:
        if self._sessions:
            data = {"prompt_id": self._prompt_id, "nodes": self._nodes}
            self._sessions.send("progress_state", data, self._client)

    def _tell_step(self, node_id: str, value: float, maximum: float, preview: Preview | None) -> None:
        data = preview.data if preview is not None and self._sessions else None
        kind = preview.format if preview is not None else ""
        described = self._sessions.has_feature(self._client, "supports_preview_metadata")
        if data is not None and described:
            frame = preview_frame_with_metadata(data, kind, self._about(node_id))
            self._sessions.send_bytes(frame, self._client)
        step = {"value": value, "max": maximum, "prompt_id": self._prompt_id, "node": node_id}
        self._sessions.send("progress", step, self._client)
        if data is not None and not described:
            self._sessions.send_bytes(preview_frame(data, kind), self._client)
