"""Run prompts, one at a time."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
import traceback
from collections import Counter
from typing import Any, Protocol

from runbooks.kernie.caching import Cached, ResultCache
from runbooks.kernie.errors import InterruptedRunError, OutOfMemoryError
from runbooks.kernie.graph import Schedule
from runbooks.kernie.noderun import NodeRun, Server
from runbooks.kernie.nodes.inputs import World
from runbooks.kernie.nodes.registry import Block, NodeType, Registry, Result
from runbooks.kernie.progress import Progress
from runbooks.kernie.queue import Entry, PromptQueue, Record
from runbooks.kernie.validation.faults import type_name

LOG = logging.getLogger("kernie-gen")


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


class Host(Server, Protocol):
    """What of the server prompts run on."""

    registry: Registry
    world: World
    queue: PromptQueue
    counts: Counter[str]


class Executor:
    """Takes prompts from the queue and runs them until cancelled."""

    def __init__(self, mock: Host) -> None:
        self._mock = mock
        self.cache = ResultCache()
        self._interrupt = asyncio.Event()
        self._forget = False
        self.idle = asyncio.Event()
        self.idle.set()
        # The client whose prompt runs, and the node that runs: a client that connects meanwhile is told.
        self.client: object = None
        self.current_node: str | None = None

    def interrupt(self) -> None:
        """Stop the running prompt at its next step."""
        self._interrupt.set()

    def forget_results(self) -> None:
        """Forget cached results before the next prompt runs; the running one may still need them."""
        self._forget = True

    async def work(self) -> None:
        """Run prompts for ever."""
        while True:
            entry = await self._mock.queue.take()
            self.idle.clear()
            await self.run(entry)
            self.idle.set()
            if self._mock.queue.waiting:
                await asyncio.sleep(0)  # requests are answered between two prompts, however many wait

    async def run(self, entry: Entry) -> None:
        """Run one prompt and keep its record; never raises for what the prompt does."""
        self._interrupt.clear()
        spoilt = self._mock.faults.any_of_runs()
        if self._forget or spoilt:
            self._forget = spoilt  # the next prompt must not find what this one leaves
            self.cache.clear()
        self.client = entry.extra_data.get("client_id")
        run = PromptRun(self._mock, self, entry, self._interrupt)
        try:
            await run.execute()
        except Exception:
            # A fault of the mock itself must not stop it from serving.
            LOG.exception("prompt %s could not be run", entry.prompt_id)
            run.status.update(status_str="error", completed=False)
        self.current_node = None
        self._mock.counts["completed" if run.status["completed"] else "failed"] += 1
        self._mock.queue.done(Record(entry, run.outputs, run.meta, run.status))
        if self.client is not None:
            self._mock.sessions.send("executing", {"node": None, "prompt_id": entry.prompt_id}, self.client)
        self.client = None


class PromptRun:
    """One prompt while it runs."""

    def __init__(self, mock: Host, executor: Executor, entry: Entry, interrupt: asyncio.Event) -> None:
        self.mock = mock
        self.entry = entry
        self.outputs: dict[str, Any] = {}
        self.meta: dict[str, Any] = {}
        self.status: dict[str, Any] = {"status_str": "success", "completed": True, "messages": []}
        self.interrupt = interrupt
        self.progress = Progress(mock.sessions, entry.prompt_id, executor.client)
        self._executor = executor
        self._cache = executor.cache
        self._client = executor.client
        self._executed: list[str] = []
        self._share = 0.0
        self._by_step = False

    def kind(self, node_id: str) -> NodeType:
        """The type of a node."""
        return self.mock.registry[self.entry.prompt[node_id]["class_type"]]

    def memory(self, node_id: str) -> dict[str, Any]:
        """A dict of the node's own, which lasts as long as consecutive prompts have it."""
        return self._cache.memory(node_id, self.entry.prompt[node_id]["class_type"])

    async def execute(self) -> None:
        """Run all nodes that the outputs need."""
        self._message("execution_start", {"prompt_id": self.entry.prompt_id})
        prompt = self.entry.prompt
        self._cache.begin(prompt, self.mock.registry, self.mock.world)
        cached = [node_id for node_id in prompt if self._cache.get(node_id) is not None]
        self._message("execution_cached", {"nodes": cached, "prompt_id": self.entry.prompt_id})
        schedule = Schedule(
            prompt,
            self.entry.outputs,
            lambda node_id: self._cache.get(node_id) is not None,
            self.kind,
        )
        self._spread_delay(schedule)
        while len(schedule):
            node_id = schedule.next()
            if not await self._run_node(node_id):
                return
            schedule.done(node_id)
        self._message("execution_success", {"prompt_id": self.entry.prompt_id})

    def _spread_delay(self, schedule: Schedule) -> None:
        """Give each sampler its share of `--delay`; where none runs, each node that runs."""
        fresh = [node_id for node_id in schedule.pending if self._cache.get(node_id) is None]
        samplers = [node_id for node_id in fresh if self.kind(node_id).samples]
        self._by_step = bool(samplers)
        self._share = self.mock.options.delay / max(len(samplers or fresh), 1)

    async def _run_node(self, node_id: str) -> bool:
        """Run one node, or take its result from the cache. False ends the prompt."""
        known = self._cache.get(node_id)
        if known is not None:
            self._show_cached(node_id, known)
            return True
        self._executor.current_node = node_id
        self.progress.start(node_id)
        if self._client is not None:
            self._tell("executing", {"node": node_id, "display_node": node_id, "prompt_id": self.entry.prompt_id})
        inputs: dict[str, Any] = {}
        try:
            inputs = self._inputs_of(node_id)
            result = await self._call(node_id, inputs)
            json.dumps(result.ui)
        except InterruptedRunError:
            self._stopped(node_id)
            return False
        except (Exception, SystemExit) as error:
            self._failed(node_id, inputs, error)
            return False
        self._executed.insert(0, node_id)
        self._finish_node(node_id, result)
        return True

    async def _call(self, node_id: str, inputs: dict[str, Any]) -> Result:
        blocked = next((value for value in inputs.values() if isinstance(value, Block)), None)
        kind = self.kind(node_id)
        if blocked is not None:
            self._tell_blocked(node_id, blocked)
            return Result((Block(),) * len(kind.outputs))
        run = NodeRun(self, node_id, 0.0 if self._by_step and not kind.samples else self._share)
        run.check()
        self.mock.faults.before_node(kind)
        if kind.is_output:
            self.maybe_drop_sockets()
        if not kind.samples:
            await run.sleep(run.share)
        if inspect.iscoroutinefunction(kind.run):
            given = await kind.run(run, **inputs)
        else:
            given = await asyncio.to_thread(kind.run, run, **inputs)
        result = given if isinstance(given, Result) else Result(tuple(given or ()))
        self._cache.check_room(result.values)
        return result

    def maybe_drop_sockets(self) -> None:
        """In the middle of the run, if the fault `drop_socket` strikes."""
        if self.mock.faults.active and self.mock.faults.during_run("drop_socket"):
            for session in self.mock.sessions.all():
                session.drop()

    def _inputs_of(self, node_id: str) -> dict[str, Any]:
        """The values of the inputs that the node declares; what it does not know is ignored."""
        kind = self.kind(node_id)
        inputs: dict[str, Any] = {}
        for name, value in self.entry.prompt[node_id]["inputs"].items():
            if name not in kind.required and name not in kind.optional:
                continue
            if isinstance(value, list):
                above = self._cache.get(value[0])
                assert above is not None
                inputs[name] = above.values[value[1]]
            else:
                inputs[name] = value
        return inputs

    def _finish_node(self, node_id: str, result: Result) -> None:
        meta = None
        if result.ui is not None:
            meta = {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}
            self.outputs[node_id], self.meta[node_id] = result.ui, meta
            self._tell_executed(node_id, result.ui)
        self._cache.keep(node_id, Cached(result.values, result.ui, meta))
        self.progress.finish(node_id)

    def _show_cached(self, node_id: str, known: Cached) -> None:
        self._tell_executed(node_id, known.ui)
        if known.ui is not None:
            self.outputs[node_id] = known.ui
            self.meta[node_id] = {
                **(known.meta or {}),
                "node_id": node_id,
                "display_node": node_id,
                "real_node_id": node_id,
            }
        self.progress.finish(node_id)

    def _tell_executed(self, node_id: str, ui: dict[str, Any] | None) -> None:
        if self._client is not None:
            about = {"node": node_id, "display_node": node_id, "output": ui, "prompt_id": self.entry.prompt_id}
            self._tell("executed", about)

    def _tell_blocked(self, node_id: str, block: Block) -> None:
        if block.message is None or self._client is None:
            return
        error = self._error(node_id, f"Execution Blocked: {block.message}", "ExecutionBlocked", [], [], [])
        self._tell("execution_error", error)

    def _stopped(self, node_id: str) -> None:
        kind = self.entry.prompt[node_id]["class_type"]
        about = {
            "prompt_id": self.entry.prompt_id,
            "node_id": node_id,
            "node_type": kind,
            "executed": list(self._executed),
        }
        self._end_badly("execution_interrupted", about, broadcast=True)

    def _failed(self, node_id: str, inputs: dict[str, Any], error: BaseException) -> None:
        message, name = f"{error}\n", type_name(error)
        if isinstance(error, OutOfMemoryError):
            message += "This error means you ran out of memory on your GPU.\n"
        lines = traceback.format_tb(error.__traceback__)
        shown = {name: [_shown(value)] for name, value in (inputs | self._hidden_of(node_id)).items()}
        everything = list(self.entry.prompt)
        self._end_badly(
            "execution_error", self._error(node_id, message, name, lines, shown, everything), broadcast=False
        )

    def _hidden_of(self, node_id: str) -> dict[str, Any]:
        values = {"PROMPT": self.entry.prompt, "EXTRA_PNGINFO": self.entry.extra_data.get("extra_pnginfo")}
        return {name: values[kind] for name, kind in self.kind(node_id).hidden.items() if kind in values}

    def _error(self, node_id: str, message: str, name: str, lines: Any, inputs: Any, outputs: Any) -> dict[str, Any]:
        return {
            "prompt_id": self.entry.prompt_id,
            "node_id": node_id,
            "node_type": self.entry.prompt[node_id]["class_type"],
            "executed": list(self._executed),
            "exception_message": message,
            "exception_type": name,
            "traceback": lines,
            "current_inputs": inputs,
            "current_outputs": outputs,
        }

    def _end_badly(self, event: str, data: dict[str, Any], *, broadcast: bool) -> None:
        self.status.update(status_str="error", completed=False)
        self._message(event, data, broadcast=broadcast)

    def _message(self, event: str, data: dict[str, Any], *, broadcast: bool = False) -> None:
        """Tell the prompt's client, and keep it for the history."""
        data = {**data, "timestamp": now_ms()}
        self.status["messages"].append([event, data])
        if self._client is not None or broadcast:
            self._tell(event, data)

    def _tell(self, event: str, data: dict[str, Any]) -> None:
        self.mock.sessions.send(event, data, self._client)


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | str) else str(value)
