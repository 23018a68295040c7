"""The states of a lab that a page asks for (``stack: incident``), and how its ports are documented."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

from runbooks.errors import UserError
from runbooks.lab.lab import Lab
from runbooks.lab.start import Progress
from runbooks.target import Target

STATES = ("healthy", "incident", "comfyui")


@contextmanager
def lab_in_state(state: str, on_progress: Callable[[Progress], None] | None = None) -> Iterator[Lab]:
    """Start a lab of its own on free ports in one of ``STATES``, and remove every trace of it afterwards.

    Raises:
        UserError: there is no such state, or the lab does not start.
    """
    if state not in STATES:
        raise UserError(f"A lab has no state '{state}'.", f"Write one of these behind stack: {', '.join(STATES)}")
    folder = Path(mkdtemp(prefix="genonaut-page-"))
    lab = Lab.start(
        folder / "lab",
        free_ports=True,
        incident=state == "incident",
        comfyui=state == "comfyui",
        on_progress=on_progress,
    )
    try:
        yield lab
    finally:
        lab.discard()
        folder.rmdir()


def as_documented(environment: Mapping[str, str]) -> dict[str, str]:
    """The ports of a lab, and the incident's ports in their place: what a page shows."""
    usual = Target()
    urls = {"API_URL": usual.api_url, "MOCK_URL": usual.mock_url, "COMFYUI_REAL_URL": usual.real_url}
    ports = {urlsplit(environment[name]).port: urlsplit(url).port for name, url in urls.items()}
    # With the word before it: a bare number may stand anywhere.
    return {f"{word}{port}": f"{word}{shown}" for port, shown in ports.items() for word in (":", "port=", "--port ")}
