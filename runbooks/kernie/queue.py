"""Prompts that wait, the one that runs, and those that ran."""

from __future__ import annotations

import asyncio
import heapq
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_HISTORY = 10_000
MAX_HISTORY_BYTES = 256 * 1024 * 1024
# What was JSON when it came has no circles to look for.
as_json = json.JSONEncoder(check_circular=False).encode
CANONICAL_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_canonical_id(value: object) -> bool:
    """True for a UUID in lower case with hyphens, the only form of a prompt's id."""
    return isinstance(value, str) and CANONICAL_ID.fullmatch(value) is not None


class TieError(TypeError):
    """Two waiting prompts have the same number and the same id; the real server cannot compare them and answers 500."""


@dataclass
class Entry:
    """A prompt in the queue.

    Attributes:
        number: its priority; the lowest runs first.
        prompt_id: its id.
        prompt: the graph, values coerced.
        extra_data: client_id, create_time, extra_pnginfo and the like.
        outputs: ids of the output nodes to run.
        sensitive: keys that must never be shown again.
        order: when it came; decides between equals.
    """

    number: float
    prompt_id: str
    prompt: dict[str, Any]
    extra_data: dict[str, Any]
    outputs: list[str]
    sensitive: dict[str, Any] = field(default_factory=dict)
    order: int = 0

    def __lt__(self, other: Entry) -> bool:
        return (self.number, self.prompt_id, self.order) < (other.number, other.prompt_id, other.order)

    @property
    def key(self) -> tuple[float, str]:
        """What the real server compares."""
        return self.number, self.prompt_id

    def shown(self) -> list[Any]:
        """The five fields that /queue and /history show."""
        return [self.number, self.prompt_id, self.prompt, self.extra_data, self.outputs]


class Record:
    """What is kept of a prompt that ran: its JSON as /history shows it, and what lists are sorted and filtered by.

    Keeping bytes instead of objects makes ten thousand records a fraction of the size, and answering is joining.
    """

    __slots__ = ("created", "duration", "json", "prompt_id", "state", "workflow_id")

    def __init__(self, entry: Entry, outputs: dict[str, Any], meta: dict[str, Any], status: dict[str, Any]) -> None:
        self.prompt_id = entry.prompt_id
        self.created: Any = entry.extra_data.get("create_time")
        self.workflow_id = workflow_id(entry.extra_data)
        self.state = state_of(status)
        moments = [data["timestamp"] for _, data in status["messages"]]
        self.duration: int = moments[-1] - moments[0] if moments else 0
        shown = {"prompt": entry.shown(), "outputs": outputs, "status": status, "meta": meta}
        self.json = as_json(shown).encode()


def workflow_id(extra_data: dict[str, Any]) -> Any:
    """The id of the workflow that a client sent along, or None."""
    workflow = _pnginfo(extra_data).get("workflow")
    return workflow.get("id") if isinstance(workflow, dict) else None


def _pnginfo(extra_data: dict[str, Any]) -> dict[str, Any]:
    found = extra_data.get("extra_pnginfo")
    return found if isinstance(found, dict) else {}


def state_of(status: dict[str, Any]) -> str:
    """`completed`, `failed` or `cancelled`."""
    if status["status_str"] == "success":
        return "completed"
    return "cancelled" if any(event == "execution_interrupted" for event, _ in status["messages"]) else "failed"


class PromptQueue:
    """The queue. `changed` is called whenever the number of prompts may have changed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._waiting: list[Entry] = []
        self._keys: Counter[tuple[float, str]] = Counter()
        self._arrived = asyncio.Event()
        self._count = 0
        self.running: Entry | None = None
        self.history: dict[str, Record] = {}
        self._history_bytes = 0

    def __len__(self) -> int:
        """Prompts waiting and running."""
        return len(self._waiting) + (self.running is not None)

    @property
    def waiting(self) -> list[Entry]:
        """The waiting prompts, in the heap's order."""
        return self._waiting

    def put(self, entry: Entry) -> None:
        """Add a prompt.

        Raises:
            TieError: if one with the same number and id waits already; both stay in the queue, as on the real server.
        """
        tie = self._keys[entry.key] > 0
        self._keys[entry.key] += 1
        self._count += 1
        entry.order = self._count
        heapq.heappush(self._waiting, entry)
        self._arrived.set()
        if tie:
            raise TieError("'<' not supported between instances of 'dict' and 'dict'")
        self._changed()

    async def take(self) -> Entry:
        """Wait for a prompt and make it the running one."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        self.running = heapq.heappop(self._waiting)
        self._forget_key(self.running)
        self._changed()
        return self.running

    def done(self, record: Record) -> None:
        """The running prompt has ended; keep its record, and forget the oldest beyond ten thousand or 256 MiB."""
        self.running = None
        if (earlier := self.history.get(record.prompt_id)) is not None:
            self._history_bytes -= len(earlier.json)
        self.history[record.prompt_id] = record
        self._history_bytes += len(record.json)
        while len(self.history) > MAX_HISTORY or (self._history_bytes > MAX_HISTORY_BYTES and len(self.history) > 1):
            self.forget(next(iter(self.history)))
        self._changed()

    def forget(self, prompt_id: object) -> None:
        """Forget a prompt that ran, if there is one."""
        record = self.history.pop(prompt_id, None)  # type: ignore[call-overload]
        self._history_bytes -= len(record.json) if record is not None else 0

    def forget_all(self) -> None:
        """Forget all prompts that ran."""
        self.history.clear()
        self._history_bytes = 0

    def clear(self) -> None:
        """Forget all waiting prompts."""
        self._waiting.clear()
        self._keys.clear()
        self._changed()

    def delete(self, prompt_id: object) -> bool:
        """Forget a waiting prompt; True if there was one."""
        for entry in self._waiting:
            if entry.prompt_id == prompt_id:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
                self._forget_key(entry)
                self._changed()
                return True
        return False

    def _forget_key(self, entry: Entry) -> None:
        self._keys[entry.key] -= 1
        if self._keys[entry.key] <= 0:
            del self._keys[entry.key]

    def shown(self) -> dict[str, Any]:
        """The answer of GET /queue."""
        running = [self.running.shown()] if self.running else []
        return {"queue_running": running, "queue_pending": [entry.shown() for entry in self._waiting]}

    def records(self, max_items: int | None, offset: int) -> list[Record]:
        """A page of the history, oldest first. A negative offset with `max_items` means the newest ones."""
        records = list(self.history.values())
        if max_items is None:
            return records[max(offset, 0) :]
        if max_items <= 0:
            return []
        start = max(len(records) - max_items, 0) if offset < 0 else offset
        return records[start : start + max_items]
