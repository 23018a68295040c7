"""The clients that are tried, and how each gets an environment of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CONSTRAINTS = HERE / "python" / "constraints.txt"


class InstallError(Exception):
    """An environment could not be made; the text says what the package manager said."""


@dataclass(frozen=True)
class Client:
    """One client.

    Attributes:
        name: what it is called where it is published.
        version: the one that is tried.
        more: further packages that it needs and does not name itself.
        how: what is remarkable about the way it talks to ComfyUI.
    """

    name: str
    version: str
    how: str
    more: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """Its name as part of a file name."""
        return self.name.removeprefix("@").replace("/", "-")

    def command(self, environment: Path) -> list[str]:
        """What runs its driver."""
        raise NotImplementedError

    def install(self, environment: Path) -> None:
        """Make its environment, unless it is there already with the same versions."""
        mark = environment / ".made-for"
        wanted = self._fingerprint()
        if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
            return
        shutil.rmtree(environment, ignore_errors=True)
        environment.mkdir(parents=True)
        self._make(environment)
        mark.write_text(wanted, encoding="utf-8")

    def _fingerprint(self) -> str:
        raise NotImplementedError

    def _make(self, environment: Path) -> None:
        raise NotImplementedError


class FromPyPI(Client):
    """A Python package."""

    def command(self, environment: Path) -> list[str]:
        driver = HERE / "python" / f"drive_{self.slug.replace('-', '_')}.py"
        return [str(environment / "bin" / "python"), str(driver)]

    def _fingerprint(self) -> str:
        told = [self.name, self.version, *self.more, sys.version, CONSTRAINTS.read_text(encoding="utf-8")]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def _make(self, environment: Path) -> None:
        run([sys.executable, "-m", "venv", "--without-pip", str(environment)], environment)
        pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--quiet"]
        wanted = [f"{self.name}=={self.version}", *self.more]
        run([*pip, "--disable-pip-version-check", "--constraint", str(CONSTRAINTS), *wanted], environment)


class FromNpm(Client):
    """A package for Node.js; `node/SLUG/` has its package.json, its lock and its driver."""

    def command(self, environment: Path) -> list[str]:
        return ["node", str(environment / "drive.mjs")]

    def install(self, environment: Path) -> None:
        super().install(environment)
        # Node.js looks for packages beside the file that wants them.
        for driver in (HERE / "node" / "steps.mjs", HERE / "node" / self.slug / "drive.mjs"):
            shutil.copy(driver, environment)

    def _fingerprint(self) -> str:
        return hashlib.sha256((HERE / "node" / self.slug / "package-lock.json").read_bytes()).hexdigest()

    def _make(self, environment: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / self.slug / name, environment)
        run(["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], environment)


def run(command: list[str], folder: Path) -> None:
    """Run a package manager.

    Raises:
        InstallError: if it fails.
    """
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "CI": "1"})
    except FileNotFoundError as missing:
        raise InstallError(f"There is no {missing.filename} here.") from None
    if ended.returncode:
        raise InstallError(f"{' '.join(command)}\n{ended.stdout}{ended.stderr}")


CLIENTS: tuple[Client, ...] = (
    FromPyPI("comfy-cli", "1.23.0", "checks the workflow against `/object_info` first, model names included"),
    FromPyPI("comfy-api-simplified", "1.6.0", "opens the WebSocket only after the POST, waits for `executing` null"),
    FromPyPI("comfy-catapult", "3.0.0", "parses every answer into strict models, polls `/history`"),
    FromPyPI(
        "comfy-script",
        "0.6.1",
        "generates Python functions from all of `/object_info`",
        more=("aenum", "aiohttp", "ipywidgets", "nest_asyncio2", "networkx", "pillow", "tqdm"),
    ),
    FromPyPI("comfy-headless", "3.1.1", "polls `/history` and `/queue`"),
    FromPyPI("comfyui-xy", "0.3.0", "posts without a client id, polls `/history`"),
    FromPyPI("comfykit", "0.1.12", "fills workflows in by the titles of nodes, uploads what they load"),
    FromPyPI("comfyui-workflow-client", "0.1.0", "polls `/history`, uploads into a subfolder"),
    FromPyPI("comfyapi", "2.0.1", "polls `/history`, builds the address of `/view` itself"),
    FromPyPI("comfyui-utils", "0.0.1", "looks itself up in `/queue`, takes images from `executed`"),
    FromNpm("@saintno/comfyui-sdk", "0.3.1", "probes what the server can do, follows `executed`"),
    FromNpm("@stable-canvas/comfyui-client", "1.5.9", "follows the WebSocket prompt by prompt"),
    FromNpm("comfy-ui-client", "0.1.2", "waits for `executing` null, then reads `/history` and `/view`"),
)
