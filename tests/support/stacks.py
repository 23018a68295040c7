"""A lab for a page: of its own, on free ports, in the state that the page's front matter asks for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from runbooks import Target
from runbooks.lab import Lab
from runbooks.pages.hookspecs import PageEnvironment

STATES = ("healthy", "incident", "comfyui")


@contextmanager
def stack(state: str) -> Iterator[PageEnvironment]:
    """Start a lab in one of ``STATES`` and remove every trace of it afterwards."""
    if state not in STATES:
        raise ValueError(f"stack: {state} is none of {', '.join(STATES)}")
    folder = Path(tempfile.mkdtemp(prefix="genonaut-page-"))
    lab = Lab.start(folder / "lab", free_ports=True, incident=state == "incident", comfyui=state == "comfyui")
    try:
        yield PageEnvironment(lab.environment(), shown=as_documented(lab.environment()))
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
