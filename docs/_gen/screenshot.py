"""Make the pictures of what is looked at in a browser: the site (for the README), and the status page in the incident.

    python docs/_gen/screenshot.py

Builds the site into a temporary folder, starts a lab in the incident's state, and opens the first page of each in
Chromium. Run it when the look has changed; the pictures are committed.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from runbooks.lab.states import as_documented, lab_in_state

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "docs" / "assets"
COLOURS = 96
# The page draws itself anew whenever something changes.
REWORD = """words => {
  const reword = () => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const said = words.reduce((text, [from, to]) => text.replaceAll(from, to), texts.currentNode.data);
      if (said !== texts.currentNode.data) texts.currentNode.data = said;
    }
  };
  new MutationObserver(reword).observe(document.body, { childList: true, characterData: true, subtree: true });
  reword();
}"""


def main() -> None:
    """Build, start, look, and write the pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("There is no Chromium. Install it: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with tempfile.TemporaryDirectory() as site:
            environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
            build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site]
            subprocess.run(build, cwd=ROOT, env=environ, check=True, capture_output=True)
            with served(Path(site)) as url:
                keep(look_at(browser, url, 1280, 1130), ASSETS / "site.png")
        with lab_in_state("incident") as lab:
            shown = {**as_documented(lab.environment()), str(lab.root): ".lab", "/tmp/****/lab": ".lab"}  # noqa: S108
            picture = look_at(browser, f"{lab.environment()['API_URL']}/status", 1000, 540, shown)
            keep(picture, ASSETS / "status.webp")
        browser.close()


def keep(picture: bytes, path: Path) -> None:
    """Write a picture. It has flat colours: a palette of its own makes it a third of the size."""
    flat = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    if path.suffix == ".webp":
        flat.convert("RGB").save(path, lossless=True, quality=100, method=6)
    else:
        flat.save(path, optimize=True)
    sys.stdout.write(f"wrote {path.relative_to(ROOT)} ({path.stat().st_size // 1024} KiB)\n")


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The built site on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def look_at(browser: Browser, url: str, width: int, height: int, shown: Mapping[str, str] | None = None) -> bytes:
    """A screenshot of a page in the light scheme; ``shown`` has what stands for ports and folders of this run."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    page.goto(url, wait_until="load")
    page.wait_for_function("!document.querySelector('[aria-busy=true]')")
    page.evaluate(REWORD, list((shown or {}).items()))
    return page.screenshot()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each on the terminal."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


if __name__ == "__main__":
    main()
