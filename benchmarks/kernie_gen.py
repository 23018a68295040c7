"""kernie-gen beside a plain FastAPI mock, in one run: requests per second, round trip, memory.

Run it on a quiet machine: `python benchmarks/kernie_gen.py`. It prints a table and ends with 1 if an aim is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psutil

HERE = Path(__file__).parent
AIM = 1.2
AIM_ROUND_TRIP_MS = 15.0
CONNECTIONS = (1, 16)
ROUNDS = 40
REQUESTS = 112
ROUND_TRIPS = 5
PROMPTS_FOR_MEMORY = 10_000


def prompt(seed: int) -> dict[str, Any]:
    """Text to image, 512 by 512, 20 steps."""
    sampler = {"seed": seed, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    return {
        "3": {"class_type": "KSampler", "inputs": {**sampler, **links}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red fox in snow", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "bench", "images": ["8", 0]}},
    }


@dataclass
class Server:
    """A running server and what was measured of it."""

    port: int
    process: psutil.Process
    figures: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_of_posts: float = 0.0

    def note(self, name: str, figure: float) -> None:
        """Keep a figure of one round."""
        self.figures[name].append(figure)

    def cpu_seconds(self) -> float:
        """What the process has computed so far: it hardly depends on what else the machine does."""
        used = self.process.cpu_times()
        return used.user + used.system


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[Server]:
    """Start a server and wait until it listens."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 30
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert process.poll() is None, f"{command} ended"
                assert time.monotonic() < deadline, f"{command} does not listen"
                time.sleep(0.05)
            yield Server(port, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class Connection(asyncio.Protocol):
    """One kept connection. As lean as a load generator is: what is measured is the server, not its client."""

    def __init__(self) -> None:
        self._got = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Give the body as soon as all of it is there; anything but 200 is an error."""
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            return
        assert self._answer is not None, "an answer to nothing"
        assert head.startswith(b"HTTP/1.1 200 "), head
        self._got = b""
        self._answer.set_result(body)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Tell whoever waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))

    async def ask(self, request: bytes) -> bytes:
        """Send a request; the body of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer


def get(path: str) -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(seed: int) -> bytes:
    """The request that sends a prompt."""
    body = json.dumps({"prompt": prompt(seed)}).encode()
    head = f"POST /prompt HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


class Client:
    """Talks to one server over so many kept connections."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections
        self._seed = 1000
        self.known = ""

    @classmethod
    async def connected(cls, port: int) -> Client:
        """Connect."""
        loop = asyncio.get_running_loop()
        return cls([(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(max(CONNECTIONS))])

    async def history(self, connections: int) -> float:
        """GET /history of a known prompt: answers per second."""
        request = get(f"/history/{self.known}")
        started = time.perf_counter()
        await self._share_out(request, connections)
        return REQUESTS / (time.perf_counter() - started)

    async def prompts(self, connections: int, requests: int = REQUESTS) -> float:
        """POST /prompt: prompts per second. The clock runs until the last one has run and is in the history."""
        started = time.perf_counter()
        answers = map(json.loads, await self._share_out(post(1), connections, requests))
        await self._ended(max(answers, key=lambda answer: answer["number"])["prompt_id"])
        return requests / (time.perf_counter() - started)

    async def round_trip(self) -> float:
        """Milliseconds from sending a new prompt until it is in the history."""
        self._seed += 1
        started = time.perf_counter()
        self.known = json.loads(await self._connections[0].ask(post(self._seed)))["prompt_id"]
        await self._ended(self.known)
        return (time.perf_counter() - started) * 1000

    async def _share_out(self, request: bytes, connections: int, requests: int = REQUESTS) -> list[bytes]:
        """Send a request so many times; all answers."""

        async def keep_asking(connection: Connection) -> list[bytes]:
            return [await connection.ask(request) for _ in range(requests // connections)]

        shares = await asyncio.gather(*map(keep_asking, self._connections[:connections]))
        return [answer for share in shares for answer in share]

    async def _ended(self, prompt_id: str) -> None:
        """Ask every millisecond."""
        while await self._connections[0].ask(get(f"/history/{prompt_id}")) == b"{}":
            await asyncio.sleep(0.001)


async def measure(servers: list[Server]) -> None:
    """Everything, in many short rounds that take turns: other work on the machine hits both alike."""
    clients = [await Client.connected(server.port) for server in servers]
    for done in range(1, ROUNDS + 1):
        for server, client in zip(servers, clients, strict=True):
            times = [await client.round_trip() for _ in range(ROUND_TRIPS)]
            server.note("whole round trip, ms (median)", statistics.median(times))
            await client.prompts(1, 1)  # draws it; from then on its nodes are cached, as on a real server
            for connections in CONNECTIONS:
                name = f"{connections} connection{'s' if connections > 1 else ''}, per s"
                server.note(f"GET /history, {name}", await client.history(connections))
                before = server.cpu_seconds()
                server.note(f"POST /prompt, {name}", await client.prompts(connections))
                server.cpu_of_posts += server.cpu_seconds() - before
        print(f"\rround {done} of {ROUNDS}", end="", file=sys.stderr, flush=True)  # noqa: T201
    print(file=sys.stderr)  # noqa: T201
    for server, client in zip(servers, clients, strict=True):
        sent = ROUNDS * (ROUND_TRIPS + 1 + len(CONNECTIONS) * REQUESTS)
        server.note(
            "CPU time of a POST /prompt, µs", server.cpu_of_posts / (ROUNDS * len(CONNECTIONS) * REQUESTS) * 1e6
        )
        await client.prompts(16, PROMPTS_FOR_MEMORY - sent)
        server.note("memory after 10 000 prompts, MB", server.process.memory_info().rss / 1e6)


def aim_of(name: str, ours: list[float], plain: list[float]) -> tuple[str, bool]:
    """How the two compare, round by round, and whether that is what we want."""
    if "round trip" in name:
        return f"under {AIM_ROUND_TRIP_MS:g} ms", statistics.median(ours) < AIM_ROUND_TRIP_MS
    less_is_better = name.startswith(("memory", "CPU"))
    pairs = zip(plain, ours, strict=True) if less_is_better else zip(ours, plain, strict=True)
    ratio = statistics.median(one / other for one, other in pairs)
    return f"{ratio:.2f}x", ratio >= AIM


def main() -> int:
    """Measure both and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        ports = free_port(), free_port()
        mock = ["-m", "runbooks.kernie.cli", "--port", str(ports[0]), "--base-dir", folder, "--delay", "0"]
        plain_mock = [str(HERE / "plain_mock.py"), str(ports[1])]
        with running(mock, ports[0]) as ours, running(plain_mock, ports[1]) as plain:
            asyncio.run(measure([ours, plain]))
    print("| | kernie-gen | plain FastAPI mock | |\n|---|---|---|---|")  # noqa: T201
    good = True
    for name, figures in ours.figures.items():
        compared, reached = aim_of(name, figures, plain.figures[name])
        good &= reached
        shown = (f"{statistics.median(each):.1f}" for each in (figures, plain.figures[name]))
        print(f"| {name} | {' | '.join(shown)} | {compared} |")  # noqa: T201
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
