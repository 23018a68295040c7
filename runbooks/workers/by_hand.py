"""How a person starts a worker."""

from __future__ import annotations

import re
import shlex
from pathlib import Path


def how_to_start(root: Path, env_target: str, app: str) -> str:
    """The command that starts a worker: the Makefile's target if it has one, else what that would do."""
    folder = f"cd {shlex.quote(str(root))}"
    target = f"celery-{env_target.rpartition('-')[2]}"
    makefile = root / "Makefile"
    rules = makefile.read_text(errors="replace") if makefile.is_file() else ""
    if re.search(rf"^{re.escape(target)}\s*:", rules, re.MULTILINE):
        return f"{folder} && make {target}"
    names = ("env/.env.shared", f"env/.env.{env_target}")
    sourced = [f". {shlex.quote(name)}" for name in names if (root / name).exists()]
    return " && ".join([folder, "set -a", *sourced, "set +a", f"ENV_TARGET={env_target} celery -A {app} worker"])
