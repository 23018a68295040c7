"""What it costs to ask for the settings, and how long an edit takes: frozen, reloading, and read anew, in one run.

Run it on a quiet machine: `python benchmarks/reload/settings_access.py`. It prints a table and ends with 1 if an aim is
missed.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runbooks.settings import Settings, current_settings, get_settings, held_settings, load_settings, reloader

TARGET = "local-demo"
AIM_NANOSECONDS, AIM_SECONDS = 300.0, 1.5
RELOADING = "`CONFIG_RELOAD=on-change`"
EDITS = 15
ROUNDS = 31


@dataclass(frozen=True)
class Way:
    """One way to get at the settings.

    Attributes:
        name: as the table shows it.
        call: what is timed.
        calls: how often in one round.
        sees: what an edit is waited for with; None when it is never seen.
    """

    name: str
    call: Callable[[], object]
    calls: int
    sees: Callable[[], Settings] | None


def make_files(root: Path) -> None:
    """The six layers as the lab has them."""
    (root / "config").mkdir()
    (root / "env").mkdir()
    keys = {"comfyui-url": "http://localhost:8000", "comfyui-output-dir": "output", "comfyui-timeout": 30.0}
    (root / "config" / "base.json").write_text(json.dumps(keys, indent=2) + "\n")
    (root / "config" / f"{TARGET}.json").write_text("{}\n")
    (root / "env" / ".env.shared").write_text("REDIS_URL=redis://localhost:6379/0\n")
    (root / "env" / ".env").write_text("# Loaded last.\n")
    edit(root, 0)


def edit(root: Path, number: int) -> None:
    """Move a new file into place, as an editor does."""
    new = root / "env" / "new"
    new.write_text(f"COMFYUI_URL=http://localhost:{8000 + number}\n")
    new.replace(root / "env" / f".env.{TARGET}")


def nanoseconds(way: Way) -> float:
    """The median of all rounds, of the time that the processor spent."""
    runs = timeit.repeat(way.call, number=way.calls, repeat=ROUNDS, timer=time.thread_time)
    return statistics.median(runs) / way.calls * 1e9


def seconds_to_effect(root: Path, see: Callable[[], Settings]) -> list[float]:
    """From an edit to the first call that returns it, at moments that are spread over the second between two looks."""
    found = []
    for number in range(1, EDITS + 1):
        url = f"http://localhost:{8000 + number}"
        edit(root, number)
        start = time.monotonic()
        while see().comfyui_url != url:
            time.sleep(0.002)
        found.append(time.monotonic() - start)
        time.sleep(0.07 * number % 1.0)
    edit(root, 0)
    return found


def measure(root: Path) -> dict[str, tuple[float, list[float] | None]]:
    """Nanoseconds a call, and seconds from edit to effect, of every way."""

    def anew() -> Settings:
        return load_settings(root, TARGET, {}).settings

    ways = [
        Way("`lru_cache` (default)", get_settings, 20_000, None),
        Way(RELOADING, current_settings, 20_000, current_settings),
        Way("read anew", anew, 20, anew),
    ]
    get_settings()
    found = {}
    for way in ways:
        found[way.name] = (nanoseconds(way), seconds_to_effect(root, way.sees) if way.sees else None)
    with held_settings():
        inside = Way("the same, inside a job", current_settings, 20_000, None)
        found[inside.name] = (nanoseconds(inside), None)
    return found


def table(found: dict[str, tuple[float, list[float] | None]]) -> str:
    """The figures in Markdown."""
    lines = ["| settings | ns a call | edit to effect, s: median | worst |", "|---|---:|---:|---:|"]
    for name, (cost, seconds) in found.items():
        effect = f"{statistics.median(seconds):.2f} | {max(seconds):.2f}" if seconds else "never | never"
        lines.append(f"| {name} | {cost:,.0f} | {effect} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, judge."""
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        make_files(root)
        os.chdir(root)
        os.environ.pop("COMFYUI_URL", None)
        os.environ.update(ENV_TARGET=TARGET, CONFIG_RELOAD="on-change")
        assert reloader() is not None
        found = measure(root)
        os.chdir("/")
    cost, seconds = found[RELOADING]
    missed = cost > AIM_NANOSECONDS or seconds is None or max(seconds) > AIM_SECONDS
    aim = f"at most {AIM_NANOSECONDS:.0f} ns a call, an edit in force within {AIM_SECONDS} s"
    print(  # noqa: T201
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n\n"
        f"{table(found)}\n\nAim: {aim}: {'missed' if missed else 'met'}"
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
