"""kernie-gen beside a plain FastAPI mock, in one run: requests per second, round trip, memory.

Run it on a quiet machine: `python benchmarks/kernie_gen.py`. It prints a table and ends with 1 if an aim is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

HERE = Path(__file__).parent
AIM = 1.2
AIM_ROUND_TRIP_MS = 15.0
CONNECTIONS = (1, 16)
ROUNDS = 8
REQUESTS = 400
ROUND_TRIPS = 20
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

    url: str
    process: psutil.Process
    figures: dict[str, float] = field(default_factory=dict)

    def note(self, name: str, figure: float, best: Callable[[float, float], float]) -> None:
        """Keep a figure, the best of all rounds."""
        self.figures[name] = best(self.figures.get(name, figure), figure)


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
            yield Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def rate(ask: Callable[[], Awaitable[Any]], connections: int, requests: int) -> float:
    """Requests per second over so many connections."""

    async def client() -> None:
        for _ in range(requests // connections):
            await ask()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return requests / (time.perf_counter() - started)


class Client:
    """Talks to one server over kept connections."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._seed = 0
        self.known = ""

    async def post(self, seed: int = 1) -> str:
        """Send a prompt and return its id."""
        async with self._session.post("/prompt", data=json.dumps({"prompt": prompt(seed)})) as answer:
            prompt_id: str = (await answer.json())["prompt_id"]
            return prompt_id

    async def history(self, prompt_id: str) -> bytes:
        """What is known of a prompt."""
        async with self._session.get(f"/history/{prompt_id}") as answer:
            return await answer.read()

    async def round_trip(self) -> float:
        """Milliseconds from sending a new prompt until it is in the history."""
        self._seed += 1
        started = time.perf_counter()
        self.known = await self.post(1000 + self._seed)
        while await self.history(self.known) == b"{}":
            await asyncio.sleep(0)
        return (time.perf_counter() - started) * 1000


async def measure(servers: list[Server]) -> None:
    """Everything, in rounds that take turns, the best of each: other work on the machine hits both alike."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [Client(await stack.enter_async_context(aiohttp.ClientSession(server.url))) for server in servers]
        for _ in range(ROUNDS):
            for server, client in zip(servers, clients, strict=True):
                times = [await client.round_trip() for _ in range(ROUND_TRIPS)]
                server.note("whole round trip, ms (median)", statistics.median(times), best=min)
                for connections in CONNECTIONS:
                    name = f"{connections} connection{'s' if connections > 1 else ''}, per s"
                    asked = await rate(functools.partial(client.history, client.known), connections, REQUESTS)
                    server.note(f"GET /history, {name}", asked, best=max)
                    server.note(f"POST /prompt, {name}", await rate(client.post, connections, REQUESTS), best=max)
        for server, client in zip(servers, clients, strict=True):
            done = ROUNDS * (ROUND_TRIPS + len(CONNECTIONS) * REQUESTS)
            await rate(client.post, 16, PROMPTS_FOR_MEMORY - done)
            server.note("memory after 10 000 prompts, MB", server.process.memory_info().rss / 1e6, best=max)


def aim_of(name: str, ours: float, plain: float) -> tuple[str, bool]:
    """How the two compare, and whether that is what we want."""
    if "round trip" in name:
        return f"under {AIM_ROUND_TRIP_MS:g} ms", ours < AIM_ROUND_TRIP_MS
    ratio = plain / ours if "memory" in name else ours / plain
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
    for name, figure in ours.figures.items():
        compared, reached = aim_of(name, figure, plain.figures[name])
        good &= reached
        print(f"| {name} | {figure:.1f} | {plain.figures[name]:.1f} | {compared} |")  # noqa: T201
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
