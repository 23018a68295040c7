"""Ten thousand requests, big bodies, a thousand WebSockets, and clients that do not read or that vanish.

    python tests/kernie/stress.py [--requests 10000] [--seed 1]

kernie-gen runs in a process of its own. Requests are the recorded ones and what becomes of them when method, path,
query, headers or body are changed at random; every one must be answered. After each part the mock must serve and run a
prompt to its end, and its memory must stay below a bound. Repeatable by `--seed`, but for the order of the answers.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import copy
import json
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from yarl import URL

HERE = Path(__file__).parent
RECORDINGS = sorted((HERE / "recordings" / "http").glob("*.json"))
AT_ONCE = 16
ANSWER_SECONDS = 30.0
# Two pictures of 64 megapixels at once are the most that a run holds; what is left is Python and its libraries.
MAX_MEGABYTES = 1000.0
MIB = 1024 * 1024
NASTY: list[Any] = [
    None, True, -1, 0, 2**63, -(2**70), 1e308, float("nan"), float("inf"), "", "x" * 5000, "\ud800", "\x00",
    "../../etc", "%s%n", [], {}, [[]], {"": {}}, ["4", 0], ["4", 99], ["4", -1], ["nobody", 0], "\u202e", [None] * 500,
]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
MORE_PATHS = ["/kernie/requests", "/kernie/faults", "/kernie/differences", "/kernie/reset", "/ws", "/api/ws", "/"]
HEADERS = {
    "Content-Type": [
        "",
        "text/plain",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "application/json; charset=x",
    ],
    "Origin": ["null", "http://evil.example", "http://127.0.0.1:1", "://", "http://[::1"],
    "Range": ["bytes=0-", "bytes=9-1", "bytes=-5", "lines=1-2", "bytes=0-99999999999999999999"],
    "If-Modified-Since": ["yesterday", "Thu, 01 Jan 1970 00:00:00 GMT"],
    "Sec-Fetch-Site": ["cross-site", "none", "?"],
    "Upgrade": ["websocket", "h2c"],
    "Comfy-User": ["../..", "x" * 300],
}


@dataclass
class Wish:
    """A request to send."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def recorded() -> list[Wish]:
    """The recorded requests, without the headers that belong to their connection."""
    wishes = []
    for path in RECORDINGS:
        asked = json.loads(path.read_text(encoding="utf-8"))["request"]
        body = b""
        if "json" in asked and asked["json"] is not None:
            body = json.dumps(asked["json"]).encode()
        elif asked.get("body_text"):
            body = asked["body_text"].encode()
        elif asked.get("body_base64"):
            body = base64.b64decode(asked["body_base64"])
        kept = {name: value for name, value in asked["headers"].items() if name in ("Content-Type", "Origin", "Range")}
        wishes.append(Wish(asked["method"], asked["path"], kept, body))
    return wishes


class Fuzzer:
    """Makes other requests out of recorded ones."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.known = recorded()
        self.paths = [*{wish.path for wish in self.known}, *MORE_PATHS]

    def next(self) -> Wish:
        """A request: one in five as it was recorded, the others changed in one to three ways."""
        wish = copy.deepcopy(self.chance.choice(self.known))
        changes = [self._method, self._path, self._query, self._header, self._json, self._json, self._bytes]
        for change in self.chance.sample(changes, self.chance.choice([0, 1, 1, 2, 3])):
            change(wish)
        return wish

    def _method(self, wish: Wish) -> None:
        wish.method = self.chance.choice(METHODS)

    def _path(self, wish: Wish) -> None:
        wish.path = self.chance.choice(self.paths)
        if self.chance.random() < 0.3:
            bits = [
                "/%2e%2e",
                "/%00",
                "//",
                "/" + "a" * 3000,
                "/%ff%fe",
                "/{x}",
                "/é".encode().decode("latin-1"),
                "/..;",
            ]
            wish.path = wish.path.split("?")[0] + self.chance.choice(bits)

    def _query(self, wish: Wish) -> None:
        names = ["filename", "subfolder", "type", "preview", "channel", "max_items", "offset", "limit", "dir", "path"]
        values = [
            "",
            "-1",
            "1e9",
            "99999999999999999999",
            "%00",
            "..%2f..",
            "webp;x",
            "%F0%9F%A6%8A",
            "a" * 2000,
            "true",
        ]
        chosen = [f"{self.chance.choice(names)}={self.chance.choice(values)}" for _ in range(self.chance.randint(1, 4))]
        wish.path = f"{wish.path.split('?')[0]}?{'&'.join(chosen)}"

    def _header(self, wish: Wish) -> None:
        name = self.chance.choice(list(HEADERS))
        wish.headers[name] = self.chance.choice(HEADERS[name])

    def _json(self, wish: Wish) -> None:
        """Put something nasty somewhere into the body."""
        try:
            holder: Any = {"": json.loads(wish.body)}
        except (ValueError, RecursionError):
            return
        target: Any = holder
        while True:
            key: Any = self.chance.choice(list(target) if isinstance(target, dict) else range(len(target)))
            inner = target[key]
            if not isinstance(inner, (dict, list)) or not inner or self.chance.random() < 0.25:
                break
            target = inner
        target[key] = copy.deepcopy(self.chance.choice(NASTY))
        wish.body = json.dumps(holder[""]).encode()

    def _bytes(self, wish: Wish) -> None:
        cut = self.chance.randrange(len(wish.body) + 1)
        deep = b"[" * 100_000 + b"]" * 100_000
        wish.body = self.chance.choice(
            [wish.body[:cut], wish.body[:cut] + self.chance.randbytes(9), deep, b"\xff\xfe{}"]
        )


class Mock:
    """kernie-gen in a process of its own."""

    def __init__(self, url: str, process: psutil.Process) -> None:
        self.url = url
        self.process = process
        self.peak = 0.0

    def megabytes(self) -> float:
        """Its memory, and the most that was seen is kept."""
        now = self.process.memory_info().rss / 1e6
        self.peak = max(self.peak, now)
        return now

    async def assert_well(self, session: aiohttp.ClientSession) -> None:
        """It serves, runs a prompt to its end, and has not grown beyond the bound."""
        for path, body in (("/kernie/faults", None), ("/queue", {"clear": True}), ("/interrupt", {})):
            method = "DELETE" if body is None else "POST"
            async with session.request(method, self.url + path, json=body) as answer:
                assert answer.status == 200, f"{path} answered {answer.status}"
        picture = {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 1}}
        save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "well"}}
        graph = {"prompt": {"1": picture, "2": save}}
        async with session.post(f"{self.url}/prompt", json=graph) as answer:
            prompt_id = (await answer.json())["prompt_id"]
        deadline = time.monotonic() + ANSWER_SECONDS
        history: dict[str, Any] = {}
        while not history:
            assert time.monotonic() < deadline, "a good prompt does not end"
            await asyncio.sleep(0.05)
            async with session.get(f"{self.url}/history/{prompt_id}") as answer:
                history = await answer.json()
        assert history[prompt_id]["status"]["completed"], history[prompt_id]["status"]
        self.megabytes()
        assert self.peak < MAX_MEGABYTES, f"{self.peak:.0f} MB of memory"

    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)


@contextlib.contextmanager
def running() -> Iterator[Mock]:
    """Start kernie-gen on a free port, with the test nodes."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        options = ["--port", "0", "--base-dir", folder, "--delay", "0", "--speed", "1000"]
        command = [sys.executable, "-m", "runbooks.kernie.cli", *options, "--nodes", str(HERE / "golden_nodes.py")]
        with log.open("w") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=HERE.parents[1])
        try:
            deadline = time.monotonic() + ANSWER_SECONDS
            while not (found := re.search(r"listens on (http://\S+)", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, "kernie-gen does not start"
                time.sleep(0.05)
            yield Mock(found[1], psutil.Process(process.pid))
            assert process.poll() is None, log.read_text()[-3000:]
        finally:
            process.terminate()
            process.wait()


async def fuzz(mock: Mock, session: aiohttp.ClientSession, requests: int, seed: int) -> str:
    """Every request is answered."""
    fuzzer, statuses, sent = Fuzzer(seed), Counter[int](), 0

    async def client() -> None:
        nonlocal sent
        while sent < requests:
            sent = number = sent + 1
            wish = fuzzer.next()
            statuses[await _answered(session, mock.url, wish)] += 1
            if number % 20 == 0:
                mock.megabytes()
            if number % 1000 == 0:
                print(f"    {number} requests, {mock.megabytes():.0f} MB", flush=True)

    clients = [asyncio.create_task(client()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*clients)
    finally:
        for each in clients:
            each.cancel()
    assert statuses[200] > requests * 0.2, f"too few were good ones: {statuses}"
    return ", ".join(f"{count} of {status or 'closed'}" for status, count in sorted(statuses.items()))


async def _answered(session: aiohttp.ClientSession, url: str, wish: Wish) -> int:
    """The status of the answer; 0 if the mock hung up on what is no HTTP."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    target = URL(url + wish.path.replace(" ", "%20"), encoded=True)
    try:
        asked = session.request(wish.method, target, data=wish.body, headers=wish.headers, timeout=timeout)
        async with asked as answer:
            if answer.status != 101:
                await answer.read()
            return answer.status
    except TimeoutError:
        raise AssertionError(
            f"{wish.method} {wish.path[:200]} {wish.headers} {wish.body[:300]!r} was not answered"
        ) from None
    except aiohttp.ClientResponseError as error:
        return error.status  # what is no HTTP is answered with a body even to HEAD
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
        return 0


async def big_bodies(mock: Mock, session: aiohttp.ClientSession) -> str:
    """Bodies of 101 MiB are refused, four at once, as JSON and as an upload."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(101):
            yield b" " * MIB

    async def send(path: str) -> int:
        kind = "multipart/form-data; boundary=b" if "upload" in path else "application/json"
        try:
            async with session.post(mock.url + path, data=body(), headers={"Content-Type": kind}) as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 413  # it hung up before it had read it all: as good an answer

    statuses = await asyncio.gather(
        *(send(path) for path in ("/prompt", "/prompt", "/upload/image", "/userdata/x.json"))
    )
    mock.megabytes()
    assert all(status >= 400 for status in statuses), statuses
    return f"answered {statuses}"


async def thousand_sockets(mock: Mock, session: aiohttp.ClientSession) -> str:
    """A thousand clients are told of a run; half of them vanish in the middle of a frame."""
    async with contextlib.AsyncExitStack() as stack:
        own = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        sockets = [await own.ws_connect(f"{mock.url}/ws", autoping=False) for _ in range(1000)]
        for each in sockets[::2]:
            transport = each._response.connection.transport  # type: ignore[union-attr]
            # The head of a masked frame of 100 bytes, and no more.
            transport.write(b"\x81\xe4abcd{")  # type: ignore[union-attr]
            transport.abort()  # type: ignore[union-attr]
        await mock.assert_well(session)
        told = await asyncio.gather(*(_last_status(each) for each in sockets[1::2]))
    assert set(told) == {True}, "somebody was not told"
    return f"{len(told)} were told"


async def _last_status(ws: aiohttp.ClientWebSocketResponse) -> bool:
    """True if the end of the run is told."""
    started = False
    async with asyncio.timeout(ANSWER_SECONDS):
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT and '"status"' in message.data:
                waiting = json.loads(message.data)["data"]["status"]["exec_info"]["queue_remaining"]
                if started and not waiting:
                    return True
                started |= waiting > 0
    return False


async def slow_readers(mock: Mock, session: aiohttp.ClientSession) -> str:
    """Fifty clients ask for much and read nothing; others are served meanwhile."""
    host, port = mock.address()
    idle: list[socket.socket] = []
    key = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        + "A" * 22
        + "=="
    )
    try:
        for number in range(50):
            connection = socket.create_connection((host, port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.append(connection)
            asked = [
                "GET /object_info HTTP/1.1\r\nHost: x\r\n\r\n" * 20,
                f"GET /ws HTTP/1.1\r\nHost: x\r\n{key}\r\n\r\n",
            ]
            connection.sendall(asked[number % 2].encode())
        for _ in range(20):
            await mock.assert_well(session)
    finally:
        for connection in idle:
            connection.close()
    return f"{mock.megabytes():.0f} MB"


async def parts(mock: Mock, requests: int, seed: int) -> int:
    """Run the parts one after the other; how many failed."""
    todo: dict[str, Callable[[aiohttp.ClientSession], Awaitable[str]]] = {
        f"{requests} requests of every kind": lambda session: fuzz(mock, session, requests, seed),
        "bodies of 101 MiB": lambda session: big_bodies(mock, session),
        "1000 WebSockets": lambda session: thousand_sockets(mock, session),
        "clients that do not read": lambda session: slow_readers(mock, session),
    }
    failed = 0
    async with aiohttp.ClientSession() as session:
        for name, part in todo.items():
            started = time.monotonic()
            print(f"{name} ...", flush=True)
            try:
                said = await part(session)
                await mock.assert_well(session)
                print(f"  ok, {time.monotonic() - started:.1f} s: {said}", flush=True)
            except (AssertionError, aiohttp.ClientError, TimeoutError) as error:
                failed += 1
                print(f"  FAILED: {type(error).__name__}: {error}", flush=True)
    print(f"At most {mock.peak:.0f} MB of memory.\n{len(todo) - failed} passed, {failed} failed")
    return failed


def main() -> int:
    """Be hard on a mock; 1 if it breaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with running() as mock:
        return 1 if asyncio.run(parts(mock, asked.requests, asked.seed)) else 0


if __name__ == "__main__":
    sys.exit(main())
