"""Write the parts of the site that are made from code and data.

    python docs/_gen/reference.py

writes the pages and fragments below. They are committed, so that the site builds without this script and a change shows
in the diff; tests/site fails when one of them is not what the script would write now.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import griffe
from typer.main import get_command

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent

ACTIONS = {
    "nothing": "nothing",
    "cache_clear_in_pool_child": "`cache_clear()` in a pool child",
    "kill_children_parent_reforks": "the pool children killed; main forks new ones",
    "cache_clear_in_main_then_refork": "`cache_clear()` in main, then the children killed",
    "sighup_reexec_same_pid": "SIGHUP to main (it executes itself again, same pid)",
    "stop_then_same_argv_with_old_environ": "stopped; same command, old environment",
    "stop_then_make_target_with_old_environ": "stopped; `make celery-demo`, old environment",
    "stop_then_make_target_in_fresh_shell": "stopped; `make celery-demo`, fresh shell",
}
SOURCES = {
    "config_json": "`config/*.json`",
    "env_shared_or_env_target": "`env/.env.shared`, `env/.env.local-demo`",
    "env_dotenv": "`env/.env`",
    "shell_export": "exported in the shell",
}
TYPES = {
    "HttpUrl": "http or https URL",
    "PositiveFloat": "number above 0",
    "int": "whole number",
    "str": "text",
    "str | None": "text",
}
# For each key: who reads it, when, and what has to be restarted after an edit.
READERS = {
    "comfyui-url": ("worker", "for each job, from its frozen settings", "worker"),
    "comfyui-output-dir": ("worker", "for each job, from its frozen settings", "worker"),
    "comfyui-timeout": ("worker", "for each job, from its frozen settings", "worker"),
    "comfyui-poll-interval": ("worker", "for each job, from its frozen settings", "worker"),
    "comfyui-max-wait-time": ("worker", "for each job, from its frozen settings", "worker"),
    "redis-url": ("API and worker", "when they start, with the Celery application", "API and worker"),
    "celery-broker-url": ("API and worker", "when they start, with the Celery application", "API and worker"),
    "database-url": ("API and worker", "when they start", "API and worker"),
    "api-host": ("API", "when it starts", "API"),
    "api-port": ("API", "when it starts", "API"),
}


def freeze_matrix() -> str:
    """The freeze matrix as a table, one row an action, one column a place of the edit."""
    data = json.loads((DOCS / "_data" / "freeze-matrix.json").read_text())
    lines = [
        "| Then | " + " | ".join(SOURCES[source] for source in data["sources"]) + " |",
        "|---|" + ":-:|" * len(data["sources"]),
    ]
    for action, values in data["actions"].items():
        cells = " | ".join(f'<span class="{value.lower()}">{value}</span>' for value in values)
        lines.append(f"| {ACTIONS[action]} | {cells} |")
    return "\n".join(lines) + "\n"


def settings() -> str:
    """The settings page: every key of ``Settings`` with its type, default, reader, and what to restart."""
    from runbooks.settings import Settings

    written = griffe.load("runbooks.settings.model", search_paths=[str(ROOT)])["Settings"].members
    rows, sections, places = [], [], _places_in_the_lab()
    for name, field in Settings.model_fields.items():
        key = name.replace("_", "-")
        reader, when, restart = READERS[key]
        kind = TYPES[str(written[name].annotation)]
        limits = [getattr(limit, bound) for limit in field.metadata for bound in ("ge", "le") if hasattr(limit, bound)]
        kind += ", {} to {}".format(*limits) if limits else ""
        default = "*required*" if field.is_required() else "none" if field.default is None else f"`{field.default}`"
        about = " ".join(written[name].docstring.value.split()).replace("``", "`")
        rows.append(f"| [`{key}`](#{key}) | {default} | {restart} |\n")
        sections.append(
            f"\n### `{key}` {{ #{key} }}\n\n{about}\n\n"
            f"- Variable: `{name.upper()}`\n- Value: {kind}. Default: {default}.\n"
            f"- Read by: {reader}, {when}. After an edit restart: {restart}.\n"
            f"- In the lab set in: {', '.join(f'`{file}`' for file in places.get(key, [])) or 'no file'}.\n"
        )
    return SETTINGS_HEAD + "".join(rows) + SETTINGS_NOTES + "".join(sections)


def _places_in_the_lab() -> dict[str, list[str]]:
    """The lab's files that set each key, the one that counts last."""
    from runbooks.lab.layout import Layout
    from runbooks.lab.ports import Ports

    places: dict[str, list[str]] = {}
    layout = Layout(Path("/lab"), "local-demo", Ports(broker=0), "redis://r", "sqlite:///s")
    for name, text in layout.files(mock=True).items():
        if name.endswith(".json"):
            keys = list(json.loads(text))
        elif name.startswith("env/"):
            keys = [found.lower().replace("_", "-") for found in re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)]
        else:
            continue
        for key in keys:
            places.setdefault(key, []).append(name)
    return places


SETTINGS_HEAD = """\
---
title: Settings
description: Every key of the configuration with its type, default, the process that reads it and what to restart.
search:
  boost: 2
---
<!-- Written by docs/_gen/reference.py from runbooks.settings.Settings. -->

# Settings

Keys are written as the JSON files have them. The environment variable of a key overrides it, but only where
`config/base.json` or `config/{ENV_TARGET}.json` has the key.

With [`CONFIG_RELOAD=on-change`](../runbooks/hot-reload-or-restart.md) the keys that begin with `comfyui`
need no restart.

| Key | Default | After an edit restart |
|---|---|---|
"""
SETTINGS_NOTES = """
Other keys are left alone: the files of a real installation have many more.

## Where each is set

In the lab as in a Genonaut checkout, `config/base.json` has every key, `env/.env.shared` the servers that all targets
share (`REDIS_URL`, `DATABASE_URL`, `API_PORT`), and `env/.env.local-demo` the ComfyUI of this target (`COMFYUI_URL`,
`COMFYUI_OUTPUT_DIR`). The order of the six layers: [architecture](../architecture.md#six-layers-of-configuration).

## A value that cannot be used

It is named with its file, line and key:

```python
from pathlib import Path
from tempfile import mkdtemp

from runbooks.errors import UserError
from runbooks.settings import load_settings

root = Path(mkdtemp())
(root / "config").mkdir()
(root / "config/base.json").write_text('{"comfyui-url": "localhost:8189", "comfyui-output-dir": "out"}')
(root / "config/local-demo.json").write_text("{}")

try:
    load_settings(root, "local-demo", environ={})
except UserError as error:
    print(error)
```

```output
config/base.json:1: comfyui-url is 'localhost:8189'; expected a URL such as http://localhost:8189. Correct that value.
```

## Every key
"""


def findings() -> str:
    """The page of findings: every id of the doctor with its cause and cure, by how bad it is."""
    from runbooks.drift.findings import CATALOGUE, Severity

    parts = [FINDINGS_HEAD]
    for severity in Severity:
        kinds = [kind for kind in CATALOGUE.values() if kind.severity is severity]
        parts.append(f"\n## {SEVERITIES[severity]} {{ #{severity}s }}\n")
        for kind in kinds:
            page = kind.page.removeprefix("reference/") if kind.page.startswith("reference/") else f"../{kind.page}"
            # A finding that is its own page has nothing more to open.
            link = "" if page == f"findings.md#{kind.id}" else f"- Open: [{_title_of(kind.page)}]({page})\n"
            parts.append(
                f"\n### `{kind.id}` {{ #{kind.id} }}\n\n{kind.title}.\n\n"
                f"- Why it matters: {kind.why}\n- Cure: {kind.cure}\n{link}"
            )
    return "".join(parts)


def _title_of(page: str) -> str:
    text = (DOCS / page.partition("#")[0]).read_text(encoding="utf-8")
    return next(line.removeprefix("title: ") for line in text.splitlines() if line.startswith("title: "))


SEVERITIES = {"problem": "Problems", "warning": "Warnings", "unknown": "What could not be told", "note": "Notes"}
FINDINGS_HEAD = """\
---
title: Findings
description: Everything that runbooks doctor finds, by its id, with why it matters and what cures it.
search:
  boost: 2
---
<!-- Written by docs/_gen/reference.py from runbooks.drift.findings. -->

# Findings

[`runbooks doctor`](cli.md#runbooks-doctor) looks at processes, files, broker and ComfyUI, touches nothing, and names
what it finds by these ids. The [status page](../runbooks/read-the-status-page.md) finds those that processes tell of
themselves. The ids stay the same, so that a script can rely on them. Each finding says what, where, since when, how
sure that is, and the command that cures it.

| Severity | Exit code | It means |
|---|---|---|
| problem | 1 | jobs fail, or go elsewhere |
| warning | 1 | something will go wrong sooner or later |
| unknown | 2, if there is nothing worse | it could not be told from here |
| note | 0 | worth knowing, and harmless |

How sure a finding is: **certain** when it stands in the process's environment, in its own report or in the broker's
list of connections; **likely** when it follows from what was edited after the process had started; **unknown**
otherwise.
"""


def cli() -> str:
    """The command line page: every command with its arguments and options."""
    from runbooks.cli import app
    from runbooks.kernie.cli import app as kernie

    parts = [CLI_HEAD]
    for name, typer_app in (("runbooks", app), ("kernie-gen", kernie)):
        command = get_command(typer_app)
        for path, found, context in _commands(command, command.make_context(name, [], resilient_parsing=True)):
            parts.append(_command(path, found, context))
    return "\n".join(parts).rstrip() + "\n"


CLI_HEAD = """\
---
title: Command line
description: Every command of runbooks and kernie-gen with its arguments and options.
search:
  boost: 2
---
<!-- Written by docs/_gen/reference.py from the commands themselves. -->

# Command line

Exit codes, for every command: **0** fine, **1** something that was expected was not seen, **2** it could not, or was
asked wrongly (one sentence says what, and what to do), **130** Ctrl-C.
"""


def _commands(command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    """A command and those below it, each with its path and the context that its help is made in."""
    yield context.command_path, command, context
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            _, loaded, _ = command.resolve_command(context, [name])
            yield from _commands(loaded, loaded.make_context(name, [], parent=context, resilient_parsing=True))


def _command(path: str, command: Any, context: Any) -> str:
    level = "##" if " " not in path else "###"
    lines = [f"{level} `{path}` {{ #{path.replace(' ', '-')} }}", "", _prose(command.help or ""), ""]
    if path == "runbooks mock":
        lines[-2:] = ["The same as [`kernie-gen`](#kernie-gen), with the same options.", ""]
        return "\n".join(lines)
    if not getattr(command, "commands", {}):
        lines += [f"`{path} {' '.join(command.collect_usage_pieces(context))}`", ""]
    rows = [_row(parameter, context) for parameter in command.params if parameter.name not in SHELL_OPTIONS]
    rows = [row for row in rows if row]
    if rows:
        lines += ["| Name | What it does | Default |", "|---|---|---|", *rows, ""]
    if command.epilog:
        lines += [_prose(command.epilog), ""]
    return "\n".join(lines)


KIND = re.compile(r"<(?:list\[)?(str|path|int|float)\W?[^>]*>")
KINDS = {"str": "TEXT", "path": "PATH", "int": "NUMBER", "float": "NUMBER"}
SHELL_OPTIONS = ("install_completion", "show_completion", "help")


def _row(parameter: Any, context: Any) -> str:
    if getattr(parameter, "hidden", False):
        return ""
    if parameter.param_type_name == "argument":
        name = " ".join(parameter.get_usage_pieces(context))
    else:
        name = KIND.sub(lambda kind: KINDS[kind[1]], parameter.get_help_record(context)[0])
    return f"| `{_cell(name)}` | {_cell(parameter.help or '')} | {_default(parameter)} |"


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "*required*"
    if default is None or default is False or default in ((), "") or callable(default):
        return ""
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{parameter.opts[0] if default is True else getattr(default, 'value', default)}`"


def _cell(text: str) -> str:
    return " ".join(_prose(text).split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """Help text as Markdown: paragraphs joined, what is indented in the terminal as code."""
    shown = text.split("\f")[0].replace("\b", "").strip("\n")  # Typer's signs for "hide the rest" and "do not wrap"
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", shown):
        words = " ".join(paragraph.split())
        paragraphs.append(f"`{words}`" if paragraph.startswith("  ") else words)
    return "\n\n".join(paragraphs)


GENERATED: dict[Path, Callable[[], str]] = {
    DOCS / "_data" / "freeze-matrix.md": freeze_matrix,
    DOCS / "reference" / "settings.md": settings,
    DOCS / "reference" / "cli.md": cli,
    DOCS / "reference" / "findings.md": findings,
}


def main() -> None:
    """Write every generated page, and name those that changed."""
    for path, make in GENERATED.items():
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
