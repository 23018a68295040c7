"""Report whether the same mkdocs.yml builds under Zensical, with the same pages.

    python tests/zensical/run.py [--strict] [--build DIR]

MkDocs 1 and Material are near the end of their lives; Zensical is the way on (docs/decisions). It gets an environment
of its own below `build/zensical`, kept for the next run. Ends with 0 whatever it finds, unless it is --strict; with 2
if it cannot be tried.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("zensical==0.0.73", "mkdocstrings-python==2.0.11")
PARTS = ("docs", "runbooks", "mkdocs.yml", "README.md", "CHANGELOG.md", "tests")


def main() -> int:
    """Install, build both ways, compare."""
    parser = argparse.ArgumentParser(description="Report whether the site builds under Zensical with the same pages.")
    parser.add_argument("--strict", action="store_true", help="end with 1 when it does not, or pages differ")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "zensical", help="where Zensical is kept")
    options = parser.parse_args()
    if not install(options.build):
        return 2
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            source, copy = ROOT / part, Path(folder) / part
            _ = shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
        ours = pages([sys.executable, "-m", "mkdocs", "build", "--quiet"], Path(folder))
        theirs = pages([str(options.build.absolute() / "bin" / "zensical"), "build"], Path(folder))
    if not ours or not theirs:
        return 1 if options.strict else 0
    for name, missing in (("Zensical has not", ours - theirs), ("only Zensical has", theirs - ours)):
        sys.stdout.writelines(f"{name}: {page}\n" for page in sorted(missing))
    sys.stdout.write(f"{len(ours & theirs)} of {len(ours)} pages are built by both\n")
    return 1 if options.strict and ours != theirs else 0


def install(build: Path) -> bool:
    """Make Zensical's environment, unless it is there with the same versions."""
    done = build / "installed.txt"
    if done.exists() and done.read_text("utf-8") == "\n".join(PACKAGES):
        return True
    sys.stdout.write("Installing Zensical (once, about 20 s) ...\n")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(build)], check=True)
    command = [str(build / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.stderr.write(f"Zensical cannot be installed:\n{ended.stderr}")
        return False
    done.write_text("\n".join(PACKAGES), "utf-8")
    return True


def pages(command: list[str], folder: Path) -> set[str]:
    """Build, say how long it took, and return the pages; none when it failed."""
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    started = time.monotonic()
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    name = next(word for word in ("mkdocs", "zensical") if any(word in part for part in command))
    if ended.returncode:
        sys.stdout.write(f"{name} does not build it:\n{ended.stdout}{ended.stderr}\n")
        return set()
    sys.stdout.write(f"{name} built it in {time.monotonic() - started:.1f} s\n")
    return {path.relative_to(site).as_posix() for path in site.rglob("*.html")}


if __name__ == "__main__":
    sys.exit(main())
