"""The states of a lab that a page asks for (``stack: incident``), and how its ports are documented."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from runbooks.errors import UserError
from runbooks.lab.lab import Lab
from runbooks.lab.start import Progress
from runbooks.lab.temporary import temporary_lab
from runbooks.lab.troubles import TROUBLES
from runbooks.target import Target

STATES = ("healthy", "incident", "comfyui", *TROUBLES)
_STALE = ("incident", "orphan")
_ON_COMFYUI = ("comfyui", "two-workers")
_OWN_BROKER = ("broker-down",)


def start_in_state(
    state: str,
    root: Path | str,
    *,
    free_ports: bool = False,
    env_target: str = "local-demo",
    site: Path | str | None = None,
    temporary: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Lab:
    """Start a lab in one of ``STATES``; the other arguments are those of ``Lab.start``.

    Raises:
        UserError: there is no such state, or the lab does not start. Nothing is left running.
    """
    _require(state)
    lab = Lab.start(
        root,
        incident=state in _STALE,
        comfyui=state in _ON_COMFYUI,
        free_ports=free_ports,
        env_target=env_target,
        redis_url="" if state in _OWN_BROKER else None,
        site=site,
        temporary=temporary,
        on_progress=on_progress,
    )
    if state in TROUBLES:
        try:
            job = TROUBLES[state].make(lab)
        except BaseException:
            lab.stop(kill=True)
            raise
        if on_progress:
            seconds = time.time() - lab.state.started
            on_progress(Progress("lab", "note", TROUBLES[state].says.format(job=job), seconds))
    return lab


@contextmanager
def lab_in_state(state: str, on_progress: Callable[[Progress], None] | None = None) -> Iterator[Lab]:
    """Start a lab of its own on free ports in one of ``STATES``, and remove every trace of it afterwards.

    Also when this process is killed meanwhile: see ``runbooks.lab.guardian``.

    Raises:
        UserError: there is no such state, or the lab does not start.
    """
    _require(state)

    def start(root: Path) -> Lab:
        return start_in_state(state, root, free_ports=True, temporary=True, on_progress=on_progress)

    with temporary_lab("page", start) as lab:
        yield lab


def _require(state: str) -> None:
    if state not in STATES:
        raise UserError(f"A lab has no state '{state}'.", f"It has these: {', '.join(STATES)}")


def as_documented(environment: Mapping[str, str]) -> dict[str, str]:
    """The ports of a lab, and the incident's ports in their place: what a page shows."""
    usual = Target()
    urls = {"API_URL": usual.api_url, "MOCK_URL": usual.mock_url, "COMFYUI_REAL_URL": usual.real_url}
    ports = {urlsplit(environment[name]).port: urlsplit(url).port for name, url in urls.items()}
    # With the word before it: a bare number may stand anywhere.
    return {f"{word}{port}": f"{word}{shown}" for port, shown in ports.items() for word in (":", "port=", "--port ")}
