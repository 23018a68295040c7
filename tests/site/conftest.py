"""The site, built once per test process, and a browser to look at it."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import a_browser, axe, context

__all__ = ["axe", "context"]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site. A warning is an error (but not with --quiet: it silences --strict)."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "docs/_gen/stamps.py"], cwd=ROOT, check=True)
    published = {"SITE_URL": "http://127.0.0.1:8010/", "REPOSITORY_URL": "https://example.org/genonaut-runbooks"}
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", **published},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"mkdocs build --strict said:\n{result.stderr}{result.stdout}"
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium that keeps a core busy only while nobody else wants it: others are held to a time meanwhile."""
    with a_browser(patient=True) as browser:
        yield browser


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@pytest.fixture(scope="module")
def site_url(site: Path) -> Iterator[str]:
    """The built site, served on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
