"""Commands of this machine that steps and tests call: what a minimal machine has not, is named, and not failed on."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from functools import cache

import pytest

PACKAGES = {"curl": "curl", "pgrep": "procps", "pkill": "procps", "ps": "procps"}
"""Those that pages call and that a minimal machine may lack, and Debian's packages that bring them."""

_BEFORE = r"(?:^|[|;&`({!]|\$ |\b(?:do|then|if|while|until|else)\b)\s*"
_CALLED = re.compile(rf"{_BEFORE}({'|'.join(PACKAGES)})\b", re.MULTILINE)


def cannot(reason: str) -> None:
    """Skip on a developer's machine, and fail in CI, where a skipped check would go unseen."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def need(command: str) -> None:
    """Go on only where a command is installed."""
    if why := missing((command,)):
        cannot(why)


def called_in(code: str) -> frozenset[str]:
    """Which of ``PACKAGES`` a shell's code calls."""
    return frozenset(_CALLED.findall(code))


@cache
def missing(commands: Iterable[str]) -> str:
    """What to install, in a sentence; empty when all is here."""
    names = sorted(name for name in commands if shutil.which(name) is None)
    packages = " ".join(sorted({PACKAGES[name] for name in names}))
    return f"There is no {' and no '.join(names)}. Install it: apt-get install {packages}" if names else ""
