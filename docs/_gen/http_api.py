"""Write the reference of the API from what FastAPI says of it.

python docs/_gen/http_api.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, cast

from runbooks.genonaut.api.app import create_app
from runbooks.genonaut.web.status import router as status_router

DOCS = Path(__file__).resolve().parents[1]
PAGE = DOCS / "reference" / "http-api.md"

HEAD = """\
---
title: HTTP API
description: Every route of the API with its parameters, bodies and answers, as its OpenAPI document has them.
---
<!-- Written by docs/_gen/http_api.py from the application's OpenAPI document. -->

# HTTP API

The API of the lab, by default at `http://127.0.0.1:8001`. To the calls about jobs it answers as the real one does, key
by key; recordings of the real one hold it to that. The document itself is at `/openapi.json`. kernie-gen's routes are
on [its own page](../kernie-gen/index.md#routes).

A refusal has its reason in `detail`: [what the API answers](errors.md#api). A request that does not fit the tables
below is refused with 422, and `detail` names the field.

| Route | What it does |
|---|---|
"""


def document() -> dict[str, Any]:
    """The OpenAPI document. Routes do not depend on job store and queue, so that none is opened."""
    app = create_app(cast(Any, object()), cast(Any, object()))
    # Only an API with settings of its own has them.
    app.include_router(status_router)
    return app.openapi()


def page() -> str:
    """The reference page."""
    api = document()
    schemas = api["components"]["schemas"]
    routes = [(method.upper(), path, about) for path, of in api["paths"].items() for method, about in of.items()]
    rows = [f"| [`{method} {path}`](#{_slug(method, path)}) | {_first(about)} |\n" for method, path, about in routes]
    parts = [HEAD, *rows]
    used: list[str] = []
    for method, path, about in routes:
        parts.append(f"\n## `{method} {path}` {{ #{_slug(method, path)} }}\n\n{_text(about['description'])}\n")
        parts += ["\n", *_parameters(about), *_answers(about, used), *_body(about, schemas)]
    for name in used:
        parts.append(f"\n## {name} {{ #{name.lower()} }}\n\n{_text(schemas[name]['description'])}\n\n")
        parts += [f"- `{field}`: {_kind(about)}.\n" for field, about in schemas[name]["properties"].items()]
    return "".join(parts)


def _first(about: dict[str, Any]) -> str:
    return _text(about["description"]).split("\n\n")[0].split(". ")[0].rstrip(".") + "."


def _text(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).replace("``", "`")


def _slug(method: str, path: str) -> str:
    words = "-".join(re.findall(r"[a-z]+", path.removeprefix("/api/v1")))
    return f"{method.lower()}-{words}"


def _parameters(about: dict[str, Any]) -> list[str]:
    found = about.get("parameters", [])
    return [f"- In the {one['in']}: `{one['name']}`, {_kind(one['schema'])}.\n" for one in found]


def _body(about: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    if "requestBody" not in about:
        return []
    schema = about["requestBody"]["content"]["application/json"]["schema"]
    name = _names(schema)[0]
    may = "" if about["requestBody"].get("required") else ", which may be left out"
    return [f"\nThe body{may}: {_lower(schemas[name]['description'])}\n\n", *_fields(schemas[name])]


def _answers(about: dict[str, Any], used: list[str]) -> list[str]:
    rows = []
    for status, answer in about["responses"].items():
        if status == "422":
            continue  # said once, at the top
        (media_type, content), *_ = answer["content"].items()
        names = _names(content.get("schema", {}))
        used += [name for name in names if name not in used]
        plain = "JSON" if media_type == "application/json" else f"`{media_type}`"
        what = f"[{names[0]}](#{names[0].lower()})" if names else plain
        rows.append(f"- Answers {status}: {what}.\n")
    return rows


def _names(schema: dict[str, Any]) -> list[str]:
    parts = schema.get("anyOf", [schema])
    return [part["$ref"].rpartition("/")[2] for part in parts if "$ref" in part]


def _fields(schema: dict[str, Any]) -> list[str]:
    rows = ["| Field | What it holds | Default |\n", "|---|---|---|\n"]
    for name, field in schema["properties"].items():
        required = name in schema.get("required", [])
        default = field.get("default")
        shown = "*required*" if required else "none" if default is None else f"`{_value(default)}`"
        rows.append(f"| `{name}` | {_kind(field)} | {shown} |\n")
    return rows


def _value(value: Any) -> str:
    return '""' if value == "" else str(value)


def _kind(schema: dict[str, Any]) -> str:
    """A schema in words: its type and its limits."""
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = str(schema.get("type", "object"))
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "null": "null",
    }
    shown = {"uuid": "UUID", "date-time": "time, ISO 8601"}.get(schema.get("format", ""), words.get(kind, kind))
    if kind == "array":
        shown = "list of objects" if "$ref" in schema["items"] else f"list of {_kind(schema['items'])}s"
    for low, high, unit in (("minimum", "maximum", ""), ("minLength", "maxLength", " characters")):
        if low in schema and high in schema:
            shown += f", {_number(schema[low])} to {_number(schema[high])}{unit}"
        elif high in schema:
            shown += f", at most {_number(schema[high])}{unit}"
    return shown


def _number(value: float) -> str:
    return str(int(value))


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def main() -> None:
    """Write the page."""
    text = page()
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {PAGE.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    main()
