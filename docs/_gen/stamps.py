"""Tell the site when each of its pages was proven last.

    python docs/_gen/stamps.py            what build/stamps.json says, as far as it is still true
    python docs/_gen/stamps.py --none     of every page that it is not verified: for a preview that follows edits
    python docs/_gen/stamps.py --check    fail unless every page with steps is verified

`make test` writes build/stamps.json; `make site` runs this before it builds. It writes docs/_theme/stamps.html, which
the theme includes and git does not know: a stamp is what a run on this copy has seen, never text that somebody wrote.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import sys
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from runbooks.pages.find import list_pages
from runbooks.pages.parse import parse_page
from runbooks.pages.stamps import Stamp, code_digest, page_digest, read_stamps

ROOT = Path(__file__).resolve().parents[2]
PARTIAL = ROOT / "docs" / "_theme" / "stamps.html"


def main() -> None:
    """Write what the theme includes."""
    parser = argparse.ArgumentParser(description="Tell the site when each of its pages was proven last.")
    parser.add_argument("--none", action="store_true", help="say of every page that it is not verified")
    parser.add_argument("--check", action="store_true", help="fail unless every page with steps is verified")
    options = parser.parse_args()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    stamps = {} if options.none else read_stamps(ROOT / settings["runbooks_stamps"])
    states = states_of(ROOT, stamps, code_digest(ROOT, settings["runbooks_stamps_code"]))
    write_partial(states)
    unproven = [f"{address or 'index'}: {text}" for address, (state, text) in states.items() if state != "verified"]
    if options.check and unproven:
        sys.exit("\n".join(["Not every page is verified. Run them with: make test", *unproven]))


def states_of(root: Path, stamps: Mapping[str, Stamp], code: str) -> dict[str, tuple[str, str]]:
    """Say of every page with steps how it stands, by its address on the site.

    Args:
        root: the project's folder.
        stamps: what runs have written, by the page's path.
        code: the digest of the code as it is now.

    Returns:
        ``verified``, ``changed`` or ``unknown``, and a sentence, for each address: ``runbooks/restart-the-worker``.
    """
    found = {}
    for address, path in list_pages(root).items():
        if parse_page(path, root=root).steps:
            name = path.relative_to(root.resolve()).as_posix()
            found[address] = _state(stamps.get(name), page_digest(path, root), code)
    return found


def _state(stamp: Stamp | None, page: str, code: str) -> tuple[str, str]:
    if stamp is None:
        return (
            "unknown",
            "Not verified here: no run of this page is recorded in this copy. “make test” runs every page.",
        )
    when = f"{datetime.fromisoformat(stamp.at):%-d %B %Y, %H:%M} UTC"
    at = f" at commit {stamp.commit}" if stamp.commit else ""
    if stamp.page != page:
        return "changed", f"Not verified: the page has changed since its last run, {when}{at}."
    if stamp.code != code:
        return "changed", f"Not verified: the code has changed since the page's last run, {when}{at}."
    blocks = f"{stamp.steps} block{'s' if stamp.steps > 1 else ''} executed"
    compared = f", {stamp.outputs} compared with what was printed" if stamp.outputs else ""
    return "verified", f"Verified {when}{at}: {blocks}{compared}, in {max(stamp.seconds, 0.1):.1f} s."


def write_partial(states: Mapping[str, tuple[str, str]]) -> None:
    """Write the part of the theme that knows the state of every page, whole or not at all."""
    shown = {
        f"{address}/" if address else "": f'<p class="stamp {state}">{html.escape(text)}</p>'
        for address, (state, text) in states.items()
    }
    # Two test processes may build at the same time.
    part = PARTIAL.with_name(f".stamps.{os.getpid()}.part")
    part.write_text(f"{{{{ {json.dumps(shown, indent=1, ensure_ascii=False)}[page.url] | safe }}}}\n", "utf-8")
    part.replace(PARTIAL)


if __name__ == "__main__":
    main()
