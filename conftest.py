"""Give every page the stack that its front matter asks for: ``stack: healthy``, ``incident`` or ``comfyui``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from runbooks import Target
from runbooks.pages.hookspecs import PageEnvironment
from runbooks.pages.model import Page


@contextmanager
def stack(state: str) -> Iterator[PageEnvironment]:
    """A lab of its own on free ports, in a state; its URLs are compared as the documented ones."""
    from runbooks.lab import Lab

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


def pytest_runbooks_environment(page: Page) -> AbstractContextManager[PageEnvironment] | None:
    """Start a lab for a page that asks for one."""
    state = page.meta.get("stack")
    return stack(str(state)) if state else None
