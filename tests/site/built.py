"""Read the built site: its pages, what they load and where they lead."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# (element, attribute): the browser fetches what these name. A link only does for some of its kinds.
LOADING = {("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("video", "src"), ("use", "href")}
LOADING_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch", "manifest"}


@dataclass
class Document:
    """One HTML file: ids that a link can lead to, links, what it loads, its text, and the rows of its tables."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    description: str = ""
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.document.ids.add(given["id"])
        if tag == "a" and "href" in given:
            self.document.links.append(given["href"])
        if tag == "link" and set(given.get("rel", "").split()) & LOADING_LINKS:
            self.document.loads.append(given["href"])
        if tag == "meta" and given.get("name") == "description":
            self.document.description = given.get("content", "")
        self.document.loads += [value for name, value in given.items() if (tag, name) in LOADING]
        if tag == "tr":
            self.document.rows.append([])
        if tag in ("td", "th"):
            self.document.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data: str) -> None:
        self.document.text += data
        if self.in_cell:
            self.document.rows[-1][-1] += data


def read_document(path: Path) -> Document:
    """Parse one built HTML file."""
    document = Document(path)
    _Reader(document).feed(path.read_text(encoding="utf-8"))
    return document


def is_external(url: str) -> bool:
    """Whether a URL names another host."""
    return bool(urlsplit(url).netloc)


def target_of(site: Path, document: Document, link: str) -> tuple[Path, str] | None:
    """The file and the anchor that an internal link leads to; None for other links."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    path = unquote(parts.path)
    if not path:
        file = document.path
    else:
        file = (site / path.lstrip("/") if path.startswith("/") else document.path.parent / path).resolve()
        if file.is_dir():
            file /= "index.html"
    return file, unquote(parts.fragment)
