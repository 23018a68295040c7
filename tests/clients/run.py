"""Try real ComfyUI clients, unmodified, on kernie-gen: generate, read back, upload, interrupt.

    python tests/clients/run.py [--build DIR] [--write] [CLIENT ...]

Each client gets an environment of its own below `build/clients` (kept for the next run). What it did is judged on the
server's side: the picture that was read back is the one that was written, the uploaded one lies in the input folder,
the interrupted prompt is in the history as such, and no request was answered 500. Needs Node.js and npm. Ends with 1
if a client fails or the table in the docs says otherwise, with 2 if an environment cannot be made.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from runbooks.kernie.testing import RunningMock, running_mock  # noqa: E402
from tests.clients.clients import CLIENTS, Client, InstallError  # noqa: E402

STEPS = ("generate", "read", "upload", "interrupt")
TABLE = ROOT / "docs" / "_data" / "kernie-clients.md"
TIMEOUT = 180.0
MODELS = {"checkpoints": ("sd15.safetensors",)}


@dataclass
class Tried:
    """What became of one client."""

    client: Client
    outcomes: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def row(self) -> str:
        """A line of the table, without what differs from run to run."""
        shown = " | ".join(self.outcomes.get(step, "failed") for step in STEPS)
        return f"| `{self.client.name}` {self.client.version} | {shown} | {self.client.how} |"


def workflow(name: str) -> dict[str, Any]:
    """Text to image, with titles as the ComfyUI editor exports them."""
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    how = {"seed": 5, "steps": 4, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}
    nodes: dict[str, tuple[str, str, dict[str, Any]]] = {
        "3": ("KSampler", "KSampler", {**how, **links}),
        "4": ("CheckpointLoaderSimple", "Load Checkpoint", {"ckpt_name": "sd15.safetensors"}),
        "5": ("EmptyLatentImage", "Empty Latent Image", {"width": 128, "height": 96, "batch_size": 1}),
        "6": ("CLIPTextEncode", "Positive", {"text": f"a red fox by {name}", "clip": ["4", 1]}),
        "7": ("CLIPTextEncode", "Negative", {"text": "blurry", "clip": ["4", 1]}),
        "8": ("VAEDecode", "VAE Decode", {"samples": ["3", 0], "vae": ["4", 2]}),
        "9": ("SaveImage", "Save Image", {"filename_prefix": "client", "images": ["8", 0]}),
    }
    return {
        key: {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}
        for key, (kind, title, inputs) in nodes.items()
    }


def try_client(client: Client, build: Path) -> Tried:
    """Install a client, let its driver run, and judge what the servers saw.

    Raises:
        InstallError: if its environment cannot be made.
    """
    environment, desk = build / client.slug, build / f"{client.slug}.desk"
    client.install(environment)
    started = time.monotonic()
    shutil.rmtree(desk, ignore_errors=True)
    desk.mkdir(parents=True)
    (desk / "workflow.json").write_text(json.dumps(workflow(client.name)), encoding="utf-8")
    picture = desk / f"upload-{client.slug}.png"
    Image.effect_noise((48, 32), 80).convert("RGB").save(picture)
    tried = Tried(client)
    with running_mock(delay=0.3, models=MODELS) as mock, running_mock(delay=3600.0, models=MODELS) as slow:
        for told in _driven(client, environment, desk, mock, slow, tried):
            _judge(told, tried, desk, picture, mock, slow)
        broken = [
            f"{each['method']} {each['path']}" for each in (*mock.requests(), *slow.requests()) if each["status"] == 500
        ]
        tried.problems += [f"answered 500: {request}" for request in broken]
    missing = [step for step in STEPS if step not in tried.outcomes]
    tried.problems += [f"{step}: nothing was told" for step in missing]
    tried.seconds = time.monotonic() - started
    return tried


def _driven(
    client: Client, environment: Path, desk: Path, mock: RunningMock, slow: RunningMock, tried: Tried
) -> list[dict[str, Any]]:
    command = [*client.command(environment), mock.url, slow.url]
    try:
        ended = subprocess.run(command, cwd=desk, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        tried.problems.append(f"its driver did not end within {TIMEOUT:g} s")
        return []
    said = told_in(ended.stdout)
    if len(said) < len(STEPS):
        tried.problems.append(f"its driver ended early: {ended.stderr[-2000:]}")
    return said


def told_in(output: str) -> list[dict[str, Any]]:
    """What a driver told, between whatever else its client prints, on the same line or not."""
    places = [each.start() for each in re.finditer(re.escape('{"step"'), output)]
    return [json.JSONDecoder().raw_decode(output, place)[0] for place in places]


def _judge(told: dict[str, Any], tried: Tried, desk: Path, picture: Path, mock: RunningMock, slow: RunningMock) -> None:
    """Believe a step only if the server's side says the same."""
    step, outcome, note = told["step"], told["outcome"], told["note"]
    if outcome == "not offered":
        tried.outcomes[step] = outcome
        return
    if outcome == "yes":
        found = {
            "generate": lambda: any(entry["status"]["completed"] for entry in mock.get("/history").values()),
            "read": lambda: _is_among(desk / "read.png", mock.output_dir),
            "upload": lambda: _is_among(picture, mock.input_dir),
            "interrupt": lambda: _was_interrupted(slow),
        }[step]()
        if found:
            tried.outcomes[step] = f"yes, {note}" if note else "yes"
            return
        note = "the client says so, the server does not"
    tried.outcomes[step] = "failed"
    tried.problems.append(f"{step}: {note}")


def _is_among(picture: Path, folder: Path) -> bool:
    with Image.open(picture) as wanted:
        shown = wanted.convert("RGB")
    for path in folder.rglob("*.png"):
        with Image.open(path) as each:
            found = each.convert("RGB")
        if found.size == shown.size and ImageChops.difference(found, shown).getbbox() is None:
            return True
    return False


def _was_interrupted(slow: RunningMock) -> bool:
    deadline = time.monotonic() + 10
    while not (history := slow.get("/history")) and time.monotonic() < deadline:
        time.sleep(0.05)
    events = [event for entry in history.values() for event, _ in entry["status"]["messages"]]
    return "execution_interrupted" in events


def table(tried: list[Tried]) -> str:
    """The table of the docs."""
    head = "| client | generate | read back | upload | interrupt | how it works |\n|---|---|---|---|---|---|\n"
    return head + "".join(each.row() + "\n" for each in tried)


def main() -> int:
    """Try the clients that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", help="names; all if none is given")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "clients", help="where environments are kept")
    parser.add_argument("--jobs", type=int, default=2, help="clients at once")
    parser.add_argument("--write", action="store_true", help="write the table of the docs anew")
    asked = parser.parse_args()
    chosen = [client for client in CLIENTS if not asked.clients or client.name in asked.clients]
    started = time.monotonic()
    done: dict[str, Tried] = {}
    try:
        with ThreadPoolExecutor(asked.jobs) as pool:
            running = [pool.submit(try_client, client, asked.build.resolve()) for client in chosen]
            for each in as_completed(running):
                tried = each.result()
                done[tried.client.name] = tried
                state = "FAILED" if tried.problems else "ok"
                print(f"[{len(done)}/{len(chosen)}] {tried.client.name}: {state}, {tried.seconds:.1f} s", flush=True)
                print("".join(f"    {problem}\n" for problem in tried.problems), end="")
    except InstallError as error:
        print(f"An environment cannot be made.\n{error}", file=sys.stderr)
        return 2
    in_order = [done[client.name] for client in chosen]
    print(f"\n{table(in_order)}\n{time.monotonic() - started:.0f} s in all")
    failed = sum(bool(each.problems) for each in in_order)
    if asked.write and len(chosen) == len(CLIENTS):
        TABLE.write_text(table(in_order), encoding="utf-8")
    elif not failed and any(each.row() not in TABLE.read_text(encoding="utf-8") for each in in_order):
        print(f"{TABLE.relative_to(ROOT)} says otherwise: run this once more with --write.")
        failed += 1
    print(f"{len(in_order) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
