"""Make docs/assets/site.png, the README's picture of the site.

    python docs/_gen/screenshot.py

Builds the site into a temporary folder and opens its first page in Chromium. Run it when the look has changed; the
picture is committed.
"""

from __future__ import annotations

import functools
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "assets" / "site.png"
WIDTH, HEIGHT = 1280, 1130
COLOURS = 96


def main() -> None:
    """Build, look, and write the picture."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("There is no Chromium. Install it: apt-get install chromium")
    with tempfile.TemporaryDirectory() as site:
        build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site]
        subprocess.run(build, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True, capture_output=True)
        picture = Image.open(io.BytesIO(look_at(Path(site), chromium)))
    # A picture of flat colours: a palette of its own makes it a third of the size.
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    sys.stdout.write(f"wrote {PICTURE.relative_to(ROOT)} ({PICTURE.stat().st_size // 1024} KiB)\n")


def look_at(site: Path, chromium: str) -> bytes:
    """A screenshot of the site's first page in the light scheme."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(f"http://127.0.0.1:{server.server_port}/", wait_until="networkidle")
        picture = page.screenshot()
        browser.close()
        server.shutdown()
    return picture


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each on the terminal."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


if __name__ == "__main__":
    main()
