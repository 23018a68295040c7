"""Write what is made from the pages: llms.txt, the list of blocks that are not executed, and where moved pages lead on.

    python docs/_gen/outline.py

`docs/llms.txt` follows the convention of that name: every page with one sentence, for a reader that cannot click. A
page that moved is named in docs/_data/moved.yaml; at its old address stands a file that leads to the new one.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from runbooks.pages import Kind, parse_page

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
MOVED = DOCS / "_data" / "moved.yaml"


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose `!ENV` tags do not matter here."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def _config() -> dict[str, Any]:
    data: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    return data


def _pages(nav: list[Any], section: str = "") -> Iterator[tuple[str, str]]:
    """The section and the file of every page, in order."""
    for entry in nav:
        for title, target in entry.items() if isinstance(entry, dict) else [("", entry)]:
            if isinstance(target, list):
                yield from _pages(target, title)
            else:
                yield section or "Start here", target


def _meta(page: str) -> dict[str, Any]:
    front = (DOCS / page).read_text("utf-8").split("\n---\n")[0].removeprefix("---\n")
    meta: dict[str, Any] = yaml.safe_load(front)
    return meta


def address(page: str) -> str:
    """Where the site shows a page, from its root: ``runbooks/restart-the-worker/``."""
    return page.removesuffix(".md").removesuffix("index").rstrip("/") + "/" if page != "index.md" else ""


def llms() -> str:
    """Every page with its sentence, by section. Addresses are relative: they hold wherever the site is served."""
    config = _config()
    lines = [f"# {config['site_name']}", "", f"> {config['site_description']}"]
    sections: dict[str, list[str]] = {}
    for section, page in _pages(config["nav"]):
        meta = _meta(page)
        told = f"- [{meta['title']}]({address(page) or './'}): {meta['description']}"
        sections.setdefault(section, []).append(told)
    for section, pages in sections.items():
        lines += ["", f"## {section}", "", *pages]
    return "\n".join(lines) + "\n"


def exempt() -> str:
    """A table of every block that is neither executed nor compared, with its reason."""
    rows = []
    for _, page in _pages(_config()["nav"]):
        for block in parse_page(DOCS / page, root=ROOT).blocks:
            if block.kind is Kind.EXEMPT:
                link = f"[{_meta(page)['title']}]({posixpath.relpath(page, 'reference')})"
                rows.append(f"| {link} | {block.language} | {block.reason} |\n")
    return "".join(["| Page | Block | Why it is not executed |\n", "|---|---|---|\n", *rows])


def moved() -> dict[str, str]:
    """Old addresses and the pages that are meant: ``{"old/": "runbooks/new.md#anchor"}``."""
    found: dict[str, str] = yaml.safe_load(MOVED.read_text("utf-8")) or {}
    return found


def redirect(old: str, new: str) -> str:
    """A page that leads on, with scripts or without. It keeps the anchor of the old address if the new one has none."""
    page, _, anchor = new.partition("#")
    target = posixpath.relpath(address(page) or ".", old) + "/" + (f"#{anchor}" if anchor else "")
    return f"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<meta name="description" content="{old} leads to {page}.">
<meta http-equiv="refresh" content="1; url={target}">
<title>This page has moved</title>
<p>This page has moved: <a href="{target}">{_meta(page)["title"]}</a></p>
<script>
  const [to] = document.links;
  location.replace(to.href + (to.hash ? "" : location.hash));
</script>
"""


def generated() -> dict[Path, Callable[[], str]]:
    """Every file and what makes it."""
    pages = {DOCS / old / "index.html": (lambda old=old, new=new: redirect(old, new)) for old, new in moved().items()}
    return {DOCS / "llms.txt": llms, DOCS / "_data" / "exempt.md": exempt, **pages}


def main() -> None:
    """Write every file, and name those that changed."""
    for path, make in generated().items():
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
