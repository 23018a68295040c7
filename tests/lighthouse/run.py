"""Hold four pages of the built site to Lighthouse: performance, accessibility, best practices, SEO, at least 99 each.

    python tests/lighthouse/run.py [--build DIR] [PATH ...]

Lighthouse gets an environment of its own below `build/lighthouse` (kept for the next run), and looks as a phone on a
slow network does. A page below the aim is looked at again, up to five times, and the best of its looks counts: whatever
else the machine does meanwhile takes from the performance, and nothing adds to it. Needs Node.js, npm and Chromium.
Ends with 1 if a page stays below, with 2 if it cannot be looked at.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PAGES = ("/", "/runbooks/restart-the-worker/", "/troubleshooting/", "/reference/settings/")
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
AIM = 99
LOOKS = 5
SECONDS = 180


class CannotError(Exception):
    """A page cannot be looked at."""


class Compressed(SimpleHTTPRequestHandler):
    """Serves files as a host of static sites does: compressed, and to be kept."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the file, or with the page for a path that does not exist."""
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        found = path.is_file()
        body = gzip.compress((path if found else Path(self.directory) / "404.html").read_bytes())
        self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", self.guess_type(path if found else "404.html"))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


def main() -> int:
    """Install, build, look, and say how it is."""
    parser = argparse.ArgumentParser(description="Hold pages of the built site to Lighthouse.")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "lighthouse", help="where Lighthouse is kept")
    parser.add_argument("pages", nargs="*", metavar="PATH", help=f"paths on the site (default: {' '.join(PAGES)})")
    options = parser.parse_args()
    below: list[str] = []
    try:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if chromium is None:
            raise CannotError("There is no Chromium. Install it: apt-get install chromium")
        install(options.build)
        with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
            build_site(Path(folder), f"{url}/")
            free.close()
            with ThreadingHTTPServer(
                ("127.0.0.1", int(url.rpartition(":")[2])), functools.partial(Compressed, directory=folder)
            ) as server:
                threading.Thread(target=server.serve_forever, daemon=True).start()
                for path in options.pages or PAGES:
                    below += look(options.build, chromium, url, path)
                server.shutdown()
    except CannotError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("\n".join(below) + "\n" if below else f"Every page has at least {AIM} in every category.\n")
    return 1 if below else 0


def install(build: Path) -> None:
    """Make Lighthouse's environment, unless it is there from the same lock file."""
    build.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_bytes()
    done = build / "installed-from.json"
    if done.exists() and done.read_bytes() == lock:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, build)
    sys.stdout.write("Installing Lighthouse (once, about 15 s) ...\n")
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        ended = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CannotError("There is no npm. Install it: apt-get install nodejs npm") from error
    if ended.returncode:
        raise CannotError(f"npm ci failed:\n{ended.stderr}")
    done.write_bytes(lock)


def build_site(folder: Path, url: str) -> None:
    """Build the site as it is published at ``url``."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "SITE_URL": url}
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CannotError(f"The site cannot be built:\n{ended.stderr}")


def look(build: Path, chromium: str, url: str, path: str) -> list[str]:
    """Look at a page, print its scores, and return what is below the aim."""
    best, looks = dict.fromkeys(CATEGORIES, 0), 0
    while looks < LOOKS and min(best.values()) < AIM:
        report = report_of(build, chromium, url + path)
        best = {name: max(best[name], score) for name, score in scores(report).items()}
        looks += 1
    told = "  ".join(f"{name} {score}" for name, score in best.items())
    sys.stdout.write(f"{path:<34} {told}{f'  (best of {looks} looks)' if looks > 1 else ''}\n")
    sys.stdout.flush()
    low = [name for name, score in best.items() if score < AIM]
    return [f"{path}: {name} {best[name]}: {', '.join(faults(report, name))}" for name in low]


def report_of(build: Path, chromium: str, url: str) -> dict[str, Any]:
    """What Lighthouse says of a page."""
    command = [
        str(build / "node_modules" / ".bin" / "lighthouse"),
        url,
        "--output=json",
        "--quiet",
        "--no-enable-error-reporting",
        f"--only-categories={','.join(CATEGORIES)}",
        "--chrome-flags=--headless=new --no-sandbox --disable-background-networking --disable-component-update",
    ]
    environ = {**os.environ, "CHROME_PATH": chromium}
    try:
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise CannotError(f"Lighthouse did not end within {SECONDS} s on {url}") from error
    if ended.returncode:
        raise CannotError(f"Lighthouse failed on {url}:\n{ended.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def scores(report: dict[str, Any]) -> dict[str, int]:
    """The categories of a report, 0 to 100."""
    return {name: round(100 * report["categories"][name]["score"]) for name in CATEGORIES}


def faults(report: dict[str, Any], category: str) -> list[str]:
    """The audits that cost a category something."""
    weighed = [ref["id"] for ref in report["categories"][category]["auditRefs"] if ref["weight"]]
    audits = report["audits"]
    return [
        f"{audits[name]['title']} ({audits[name].get('displayValue') or audits[name]['score']})"
        for name in weighed
        if (audits[name]["score"] or 0) < 0.99
    ]


if __name__ == "__main__":
    sys.exit(main())
