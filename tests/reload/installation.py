"""A folder with settings files, and the reloader of a process that was started in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runbooks.settings import Reloader
from tests.support.waiting import wait_until

TARGET = "local-demo"
OLD, NEW = "http://localhost:8000", "http://localhost:8189"


@dataclass
class Installation:
    """The files, and the environment of one process."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> Path:
        return self.root / "config" / "base.json"

    @property
    def shared(self) -> Path:
        return self.root / "env" / ".env.shared"

    @property
    def target(self) -> Path:
        return self.root / "env" / f".env.{TARGET}"

    @property
    def override(self) -> Path:
        return self.root / "env" / ".env"

    def start(self, *, settle: float = 0.02, patience: float = 5.0) -> Reloader:
        """A reloader that looks at every call, so that a test need not wait for a second to pass."""
        return Reloader(self.root, TARGET, self.environ, every=0.0, settle=settle, patience=patience)


def make_installation(root: Path, variables: Mapping[str, str] | None = None) -> Installation:
    """Write the files; ``variables`` are the environment of the process."""
    (root / "config").mkdir(parents=True)
    (root / "env").mkdir()
    base = {
        "comfyui-url": "http://localhost:1",
        "comfyui-output-dir": "output",
        "comfyui-timeout": 30,
        "redis-url": "redis://localhost:6379/0",
        "database-url": "sqlite:///jobs.db",
        "api-port": 8001,
    }
    (root / "config" / "base.json").write_text(json.dumps(base, indent=2) + "\n")
    (root / "config" / f"{TARGET}.json").write_text("{}\n")
    (root / "env" / ".env.shared").write_text("# For every target.\n")
    (root / "env" / f".env.{TARGET}").write_text(f"COMFYUI_URL={OLD}\n")
    (root / "env" / ".env").write_text("# Loaded last.\n")
    return Installation(root, dict(variables or {}))


def wait_for_url(reloader: Reloader, url: str) -> None:
    wait_until(lambda: reloader.current().comfyui_url == url, 10, f"{url} to be in force")


def wait_for_problem(reloader: Reloader) -> str:
    def problem() -> str | None:
        reloader.current()
        return reloader.state.problem

    return wait_until(problem, 10, "the reloader to see a problem") or ""
