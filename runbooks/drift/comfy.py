"""Who answers at a ComfyUI URL: the real one, kernie-gen, Genonaut's own mock, something else, or nobody."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

_BIGGEST = 1 << 20
"""Bytes that are read of an answer; those looked for have some hundreds."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Answerer(StrEnum):
    """Who it is."""

    COMFYUI = "comfyui"
    KERNIE_GEN = "kernie-gen"
    GENONAUT_MOCK = "genonaut-mock"
    OTHER = "other"
    SILENT = "silent"
    NOBODY = "nobody"
    INVALID = "invalid"


@dataclass(frozen=True)
class Seen:
    """What was seen at a URL.

    Attributes:
        url: that was asked.
        who: who answered.
        says: that in words, to follow the URL in a sentence.
        output: its output folder as it tells it; None when it does not.
        argv: command line of a real ComfyUI, as it tells it.
    """

    url: str
    who: Answerer
    says: str
    output: str | None = None
    argv: tuple[str, ...] = ()


def look_at_url(url: str, timeout: float = 0.7) -> Seen:
    """Ask who answers at ``url``. No prompt is sent, no proxy asked, no redirect followed.

    Args:
        url: base URL of a ComfyUI.
        timeout: seconds for each step: to connect, and for each part of an answer.
    """
    parts = _parts(url)
    if parts is None:
        return Seen(url, Answerer.INVALID, "it is no http or https URL")
    try:
        status, about, server = _get(parts, "/", timeout)
        if isinstance(about, dict) and about.get("name") == "kernie-gen":
            return Seen(url, Answerer.KERNIE_GEN, "kernie-gen answers, a mock", _text(about.get("output_dir")))
        if isinstance(about, dict) and about.get("server") == "Mock ComfyUI Server":
            return Seen(url, Answerer.GENONAUT_MOCK, "Genonaut's own mock answers")
        _, stats, _ = _get(parts, "/system_stats", timeout)
    except UnicodeError:
        return Seen(url, Answerer.INVALID, "it has characters that no URL has")
    except TimeoutError:
        return Seen(url, Answerer.SILENT, f"something listens and does not answer within {timeout:g} s")
    except (OSError, http.client.HTTPException) as error:
        return _nobody(url, parts, error)
    system = stats.get("system") if isinstance(stats, dict) else None
    if isinstance(system, dict) and "comfyui_version" in system:
        argv = system.get("argv")
        words = tuple(filter(None, map(_text, argv))) if isinstance(argv, list) else ()
        return Seen(url, Answerer.COMFYUI, f"ComfyUI {_plain(system['comfyui_version'])} answers", _told(words), words)
    named = f" by {_plain(server)}" if server else ""
    return Seen(url, Answerer.OTHER, f"GET / is answered {status}{named}, and /system_stats is not ComfyUI's")


def output_of_real(argv: Sequence[str], cwd: Path | None) -> Path | None:
    """The output folder of a real ComfyUI by its command line; None when that depends on what is not known.

    ``--output-directory`` counts before ``--base-directory``; without both it is ``output`` beside ``main.py``.

    Args:
        argv: command line, with or without the interpreter.
        cwd: its working directory, None if it is not known.
    """
    told = _told(argv)
    script = next((word for word in argv if word.endswith(".py")), None)
    if told is None and script is not None:
        told = str(Path(script).parent / "output")
    if told is None:
        return None
    folder = Path(told)
    return folder if folder.is_absolute() else (cwd / folder if cwd is not None else None)


def is_local(url: str) -> bool:
    """Whether the URL leads to this machine by a loopback name."""
    parts = _parts(url)
    return parts is not None and (parts.hostname in LOOPBACK or str(parts.hostname).startswith("127."))


def port_of(url: str) -> int | None:
    """The port that a URL leads to; None for one that cannot be used."""
    parts = _parts(url)
    return None if parts is None else parts.port or (443 if parts.scheme == "https" else 80)


def _told(argv: Sequence[str]) -> str | None:
    output, base = _value_of(argv, "--output-directory"), _value_of(argv, "--base-directory")
    return output or (str(Path(base) / "output") if base else None)


def _value_of(argv: Sequence[str], option: str) -> str | None:
    found = None
    for at, word in enumerate(argv):
        if word == option and at + 1 < len(argv):
            found = argv[at + 1]
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def _get(parts: SplitResult, path: str, timeout: float) -> tuple[int, Any, str]:
    """Status, JSON body (None if it is none) and server name."""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}{path}", headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(_BIGGEST)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        return response.status, data, response.headers.get("Server", "")
    finally:
        connection.close()


def _nobody(url: str, parts: SplitResult, error: Exception) -> Seen:
    if isinstance(error, http.client.HTTPException | ConnectionResetError):
        return Seen(url, Answerer.OTHER, "something listens there that does not speak HTTP")
    if isinstance(error, socket.gaierror):
        return Seen(url, Answerer.NOBODY, f"there is no host {parts.hostname}")
    if isinstance(error, ConnectionRefusedError):
        return Seen(url, Answerer.NOBODY, "nothing listens there")
    reason = _plain(getattr(error, "strerror", None) or error)
    return Seen(url, Answerer.NOBODY, f"it cannot be reached ({reason.lower()})")


def _plain(value: object) -> str:
    """A few words of what a stranger said, without what a terminal would obey."""
    return re.sub(r"[^\x20-\x7e]", "?", str(value))[:60]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value and value.isprintable() else None
