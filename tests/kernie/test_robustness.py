"""Nothing that arrives stops the mock from serving."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import http.client
import io
import json
import os
import socket
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from runbooks.kernie import websocket
from runbooks.kernie.testing import RunningMock
from tests.kernie.workflows import ended, node, run_well, saving, text_to_image
from tests.support.waiting import wait_until

FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
POSTS = ["/prompt", "/queue", "/history", "/interrupt", "/free", "/settings", "/api/jobs/cancel", "/kernie/faults"]
GETS = ["/view", "/history", "/api/jobs", "/object_info", "/models", "/userdata", "/v2/userdata", "/kernie/requests"]


def asked(mock: RunningMock, method: str, path: str, body: bytes | None = None) -> int:
    connection = http.client.HTTPConnection(mock.url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def assert_alive(mock: RunningMock) -> None:
    """It serves, and runs prompts to their end."""
    wait_until(lambda: mock.get("/prompt")["exec_info"]["queue_remaining"] == 0, 20, "the queue to be empty", 0.002)
    run_well(mock, saving())


@FUZZ
@given(path=st.sampled_from(POSTS), body=JSON)
def test_any_json_is_answered(shared: RunningMock, path: str, body: Any) -> None:
    assert asked(shared, "POST", path, json.dumps(body).encode()) in (200, 400, 500)
    shared.clear_faults()
    assert_alive(shared)


@FUZZ
@given(path=st.sampled_from(POSTS), body=st.binary(max_size=60))
def test_any_bytes_are_answered(shared: RunningMock, path: str, body: bytes) -> None:
    assert asked(shared, "POST", path, body) in (200, 400, 500)


@FUZZ
@given(
    path=st.sampled_from(GETS),
    names=st.lists(
        st.sampled_from(
            [
                "filename",
                "subfolder",
                "type",
                "preview",
                "channel",
                "max_items",
                "offset",
                "status",
                "limit",
                "dir",
                "path",
            ]
        ),
        max_size=4,
    ),
    value=st.text(st.characters(codec="utf-8"), max_size=12),
)
def test_any_query_is_answered(shared: RunningMock, path: str, names: list[str], value: str) -> None:
    query = "&".join(f"{name}={quote(value)}" for name in names)
    assert asked(shared, "GET", f"{path}?{query}") in (200, 400, 403, 404, 500)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to every value inside a prompt."""
    found = [at] if at else []
    if isinstance(value, dict):
        for key, each in value.items():
            found += places(each, (*at, key))
    return found


@FUZZ
@given(data=st.data())
def test_any_change_to_a_good_prompt_is_answered_and_harms_nothing(shared: RunningMock, data: st.DataObject) -> None:
    prompt = copy.deepcopy(text_to_image(side=16))
    for at in data.draw(st.lists(st.sampled_from(places(prompt)), min_size=1, max_size=3)):
        target: Any = prompt
        for key in at[:-1]:
            target = target.get(key) if isinstance(target, dict) else None
        if isinstance(target, dict):
            links = st.tuples(st.sampled_from(list(text_to_image())), st.integers(-3, 3)).map(list)
            small = st.integers(-1, 40) | st.text(max_size=5) | links | JSON
            target[at[-1]] = data.draw(small)
    assert asked(shared, "POST", "/prompt", json.dumps({"prompt": prompt}).encode()) in (200, 400, 500)
    assert_alive(shared)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff\x00\xff\r\n\r\n",
        b"POST /prompt HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
        b"POST /prompt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
    ],
)
def test_a_client_that_vanishes_in_the_middle_does_no_harm(sent: bytes, shared: RunningMock) -> None:
    host, port = shared.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(sent)
    assert_alive(shared)


def test_a_body_that_is_too_big_is_refused(shared: RunningMock) -> None:
    async def send() -> int:
        async def body() -> Any:
            for _ in range(101):
                yield b" " * 1024 * 1024

        async with aiohttp.ClientSession() as session, session.post(shared.url + "/prompt", data=body()) as answer:
            return answer.status

    # The mock may hang up before it has read it all: as good an answer.
    with contextlib.suppress(aiohttp.ClientOSError):
        assert asyncio.run(send()) == 413
    assert_alive(shared)


def test_many_sockets_are_told_and_may_vanish(shared: RunningMock) -> None:
    async def connect() -> list[str]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            sockets = await asyncio.gather(*(session.ws_connect(shared.url + "/ws") for _ in range(200)))
            for vanishing in sockets[::2]:
                assert vanishing._response.connection is not None
                transport = vanishing._response.connection.transport
                assert transport is not None
                transport.abort()
            await session.post(shared.url + "/prompt", data=json.dumps({"prompt": saving(31)}))
            kinds: list[str] = []
            while not kinds or kinds[-1] != "progress_state":
                kinds.append((await sockets[1].receive_json(timeout=10))["type"])
            return kinds

    assert asyncio.run(connect())[:3] == ["status", "status", "status"]
    wait_until(lambda: len(shared.mock.sessions) == 0, 10, "all sockets to be forgotten")
    assert_alive(shared)


def test_a_client_that_does_not_read_is_disconnected_and_others_are_not(
    kernie: RunningMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MAX_WAITING_BYTES", 2 * 1024 * 1024)
    noise = Image.frombytes("RGB", (900, 900), os.urandom(900 * 900 * 3))
    out = io.BytesIO()
    noise.save(out, "PNG", compress_level=0)
    (kernie.input_dir / "noise.png").write_bytes(out.getvalue())
    prompt = {
        "1": node("LoadImage", image="noise.png"),
        "2": node("ImageBatch", image1=["1", 0], image2=["1", 0]),
        "3": node("ImageBatch", image1=["2", 0], image2=["2", 0]),
        "4": node("SaveImageWebsocket", images=["3", 0]),
    }
    host, port = kernie.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        silent.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n".encode()
        )
        wait_until(lambda: len(kernie.mock.sessions) == 1, 5, "the client to be connected")
        for seed in range(4):
            prompt["4"]["inputs"]["again"] = seed
            prompt_id = kernie.post("/prompt", {"prompt": prompt})["prompt_id"]
            assert ended(kernie, prompt_id)["status"]["completed"]
        wait_until(lambda: len(kernie.mock.sessions) == 0, 10, "the client to be disconnected")
    assert_alive(kernie)


def test_a_prompt_of_many_big_pictures_runs_out_of_memory_and_not_the_machine(kernie: RunningMock) -> None:
    prompt = {}
    for number in range(5):
        small = {"upscale_method": "nearest-exact", "width": 8, "height": 8, "crop": "disabled"}
        prompt[f"big {number}"] = node("EmptyImage", width=8192, height=4096, batch_size=1, color=number)
        prompt[f"small {number}"] = node("ImageScale", image=[f"big {number}", 0], **small)
        prompt[f"out {number}"] = node("PreviewImage", images=[f"small {number}", 0])
    prompt_id = kernie.post("/prompt", {"prompt": prompt})["prompt_id"]
    status = ended(kernie, prompt_id, 30)["status"]
    assert dict(status["messages"])["execution_error"]["exception_type"] == "torch.OutOfMemoryError"
    assert_alive(kernie)


def test_history_is_bounded_in_bytes_too(kernie: RunningMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runbooks.kernie.queue.MAX_HISTORY_BYTES", 300_000)
    ids = [run_well(kernie, saving(), extra_data={"note": "x" * 100_000})["prompt"][1] for _ in range(5)]
    assert list(kernie.get("/history")) == ids[-2:]
    kernie.post("/history", {"delete": [ids[-1]]})
    kernie.post("/history", {"clear": True})
    again = [run_well(kernie, saving(), extra_data={"note": "x" * 100_000})["prompt"][1] for _ in range(2)]
    assert list(kernie.get("/history")) == again, "what was deleted no longer counts"


def test_history_and_journal_stay_bounded(kernie: RunningMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runbooks.kernie.queue.MAX_HISTORY", 5)
    entries = [run_well(kernie, saving())["prompt"][1] for _ in range(8)]
    assert list(kernie.get("/history")) == entries[-5:]
    for _ in range(1100):
        kernie.mock.journal.note("GET", "/x", "", None, 200, 0.0)
    assert len(kernie.requests()) == 1000
