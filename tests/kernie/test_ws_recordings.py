"""The mock tells WebSocket clients what the real ComfyUI told them, in the same order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runbooks.kernie.testing import RunningMock, running_mock
from tests.kernie.matching import Matcher

HERE = Path(__file__).parent
FILES = sorted((HERE / "recordings" / "ws").glob("*.json"))
# What the one had run was in the cache when the other began.
THEN = {"txt2img": ("txt2img_new_seed_preview_metadata",)}
APART = {"api_ws_alias", *(case for cases in THEN.values() for case in cases)}
CASES = {path.stem: THEN.get(path.stem, ()) for path in FILES if path.stem not in APART}
CHECKPOINT = "v1-5-pruned-emaonly.safetensors"
PATIENCE = 10.0
JOIN_LATE = {"connect_late", "reconnect_mid_run"}
# Of a preview: the layout and what describes it; not the picture, nor how long it is.
PREVIEW_FACTS = ("event_type_u32be", "image_type_u32be", "image_magic_hex", "metadata", "node_id", "text")


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMock]:
    with running_mock(
        base_dir=tmp_path_factory.mktemp("kernie"),
        models={"checkpoints": (CHECKPOINT,)},
        nodes=(str(HERE / "golden_nodes.py"),),
        speed=2.0,
    ) as running:
        yield running


def told(event: dict[str, Any]) -> dict[str, Any] | None:
    """What a client was told, or None for events of another kind."""
    if event["kind"] == "ws_text":
        return {"message": event["message"]}
    if event["kind"] == "ws_binary":
        return {"binary": {key: event["binary"][key] for key in PREVIEW_FACTS if key in event["binary"]}}
    return None


def binary_facts(frame: bytes) -> dict[str, Any]:
    """What is known of a binary frame, by the layouts of the recordings' README."""
    kind = int.from_bytes(frame[:4], "big")
    number = int.from_bytes(frame[4:8], "big")
    if kind == 1:
        return {"event_type_u32be": 1, "image_type_u32be": number, "image_magic_hex": frame[8:12].hex()}
    rest = frame[8 + number :]
    if kind == 3:
        return {"event_type_u32be": 3, "node_id": frame[8 : 8 + number].decode(), "text": rest.decode()}
    metadata = json.loads(frame[8 : 8 + number])
    return {"event_type_u32be": kind, "image_magic_hex": rest[:4].hex(), "metadata": metadata}


def is_step(message: dict[str, Any]) -> bool:
    """True for the messages of a sampler's step: how many there are depends on the clock."""
    if "binary" in message:
        return bool(message["binary"]["event_type_u32be"] != 3)
    kind, data = message["message"]["type"], message["message"]["data"]
    if kind != "progress_state":
        return bool(kind == "progress")
    running = [node for node in data["nodes"].values() if node["state"] == "running"]
    return bool(running and running[0]["value"] > 0)


def without_steps(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in messages if not is_step(message)]


def steps_by_kind(messages: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The messages of steps by their kind, in the order in which the kinds came."""
    found: dict[str, list[dict[str, Any]]] = {}
    for message in filter(is_step, messages):
        kind = message["message"]["type"] if "message" in message else "binary"
        found.setdefault(kind, []).append(message)
    return found


def kinds_of_steps(messages: list[dict[str, Any]]) -> list[str]:
    """The kinds of message that a step has, in order, once."""
    return list(steps_by_kind(messages))


class Client:
    """One WebSocket and what came over it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.changed = asyncio.Event()
        self.reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.messages.append({"message": json.loads(message.data)})
            else:
                self.messages.append({"binary": binary_facts(message.data)})
            self.changed.set()

    async def wait_for(self, recorded: list[dict[str, Any]]) -> None:
        """Wait for as many messages as were recorded, steps apart; of a step, for each kind of message that it has."""
        count, kinds = len(without_steps(recorded)), set(kinds_of_steps(recorded))
        try:
            async with asyncio.timeout(PATIENCE):
                while len(without_steps(self.messages)) < count or not kinds <= set(kinds_of_steps(self.messages)):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            pytest.fail(f"waited for {count} messages, have {without_steps(self.messages)}")

    async def close(self) -> None:
        await self.socket.close()
        await self.reader


class Replay:
    """Does what a recorded session did, and compares what each client was told."""

    def __init__(self, mock: RunningMock, recording: dict[str, Any]) -> None:
        self.url = mock.url
        self.events = recording["events"]
        self.is_late = recording["case"] in JOIN_LATE
        self.matcher = Matcher(str(mock.mock.folders.base))
        self.clients: dict[str, Client] = {}
        self.recorded: dict[str, list[dict[str, Any]]] = {}

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            for event in self.events:
                if (message := told(event)) is not None:
                    self.recorded.setdefault(event["who"], []).append(message)
                else:
                    await self._catch_up()
                    await self._do(session, event)
            for client in self.clients.values():
                await client.close()
        for who, recorded in self.recorded.items():
            self._compare(recorded, self.clients[who].messages)

    async def _catch_up(self) -> None:
        """Wait until every client has been told what it had been told in the recording by now."""
        for who, recorded in self.recorded.items():
            if not self.clients[who].socket.closed:
                await self.clients[who].wait_for(recorded)

    async def _do(self, session: aiohttp.ClientSession, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "ws_open":
                self.clients[event["who"]] = Client(await session.ws_connect(self.url + event["url"]))
            case "ws_send":
                await self.clients[event["who"]].socket.send_str(event["text"])
            case "ws_closed":
                await self.clients[event["who"]].close()
            case "http":
                await self._ask(session, event)
            case "refused":
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await session.ws_connect(self.url + "/ws", headers=event["headers"])
                assert refused.value.status == event["status"]
            case other:
                assert other == "marker"

    async def _ask(self, session: aiohttp.ClientSession, event: dict[str, Any]) -> None:
        request = event["request"]
        body = self.matcher.here(json.dumps(request["json"])) if request["json"] is not None else None
        async with session.request(
            request["method"], self.url + self.matcher.here(request["path"]), data=body
        ) as answer:
            assert answer.status == event["status"]
            content = await answer.read()
        wanted = event["body"]
        got: Any = json.loads(content) if content else ""
        if isinstance(wanted, dict) and "number" in wanted:
            # The recordings are replayed one by one: numbers of the cases in between are missing.
            wanted = {**wanted, "number": got["number"]}
        if request["path"].startswith("/history/"):
            (entry,), (entry_here,) = wanted.values(), got.values()
            entry["prompt"][0] = entry_here["prompt"][0]
        assert self.matcher.differences(wanted, got) == []

    def _compare(self, recorded: list[dict[str, Any]], got: list[dict[str, Any]]) -> None:
        assert self.matcher.differences(without_steps(recorded), without_steps(got)) == []
        wanted, told = steps_by_kind(recorded), steps_by_kind(got)
        assert list(told) == list(wanted)
        for kind, steps in wanted.items():
            found = self.matcher.differences(steps[0], told[kind][0])
            # Who connects in the middle of a run is told of whichever step comes next.
            assert [each for each in found if not (self.is_late and ".value: " in each)] == [], f"the first {kind}"
        if "progress" in wanted:
            last, last_here = (steps["progress"][-1]["message"]["data"] for steps in (wanted, told))
            if last["value"] == last["max"]:
                assert last_here["value"] == last_here["max"] == last["max"], "the last step is told"


@pytest.mark.parametrize(
    "cases", [(name, *then) for name, then in CASES.items()], ids=lambda cases: " then ".join(cases)
)
def test_clients_are_told_what_the_recording_tells(cases: tuple[str, ...], mock: RunningMock) -> None:
    for case in cases:
        recording = json.loads((HERE / "recordings" / "ws" / f"{case}.json").read_text())
        asyncio.run(Replay(mock, recording).run())


def test_the_socket_is_also_under_api(mock: RunningMock) -> None:
    recorded = json.loads((HERE / "recordings" / "ws" / "api_ws_alias.json").read_text())["events"][0]["message"]

    async def first_message() -> Any:
        async with aiohttp.ClientSession() as session, session.ws_connect(mock.url + "/api/ws") as socket:
            return await socket.receive_json(timeout=PATIENCE)

    assert Matcher("<base>").differences(recorded, asyncio.run(first_message())) == []
