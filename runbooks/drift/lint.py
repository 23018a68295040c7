"""What is wrong in the files by themselves: unreadable, misspelt, quoted, hidden, ignored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path

from runbooks.drift import findings as kinds
from runbooks.drift.findings import Finding
from runbooks.drift.holdings import Certainty, text_of, words_of_files
from runbooks.drift.verdict import KNOWN, shown
from runbooks.errors import UserError
from runbooks.settings import Layer, Layers, Value, read_layers
from runbooks.settings.layers import env_files, read_env_file, variable_of

_CLOSE = 0.85
"""How alike a misspelt name is: COMFYUI_ULR is, DATABASE_URL_TEST is not."""
_TOGETHER = timedelta(seconds=2)
"""Files written closer together than this were written together, as by a checkout: none of them is the edit."""
_QUOTED = re.compile(r"(['\"]).*\1", re.DOTALL)


def broken_files(root: Path, env_target: str) -> list[Finding]:
    """Every file of the six layers that cannot be read, or not as what it is.

    Raises:
        UserError: there is no ``config/base.json`` or no such target: that is no installation, or not the one meant.
    """
    found = []
    for path in env_files(root, env_target).values():
        try:
            read_env_file(path)
        except UserError as error:
            found.append(_broken(error, path, root))
    names = ("base", env_target)
    if found and all((root / "config" / f"{name}.json").exists() for name in names):
        for name in names:
            path = root / "config" / f"{name}.json"
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                found.append(_broken(UserError(f"{path} is not JSON that can be read.", "Correct it."), path, root))
        return found
    try:
        read_layers(root, env_target, {})
    except UserError as error:
        path = next((root / "config" / f"{name}.json" for name in names if f"{name}.json" in error.what), root)
        if not path.exists() or error.what.startswith(("There is no", "ENV_TARGET")):
            raise
        found.append(_broken(error, path, root))
    return found


def lint(layers: Layers, environ: Mapping[str, str]) -> list[Finding]:
    """What is wrong in files that can be read.

    Args:
        layers: the six layers, read without a process environment.
        environ: the worker's environment; quotes in it are looked for, too.
    """
    return [
        *_misspelt(layers),
        *_quoted(layers, environ),
        *_tildes(layers),
        *_hidden_edits(layers),
        *_ignored_file(layers),
    ]


def _broken(error: UserError, path: Path, root: Path) -> Finding:
    # A line that is no KEY=value may hold a secret: its number is enough.
    what = re.sub(r" is '.*', expected KEY=value", " is not KEY=value", error.what, flags=re.DOTALL)
    what = re.sub(r' is ".*", expected KEY=value', " is not KEY=value", what, flags=re.DOTALL)
    where = re.search(rf"{re.escape(str(path))}(:\d+)?", what)
    name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    since = datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else None
    return Finding(kinds.FILE_BROKEN, what, f"{name}{(where and where[1]) or ''}", error.do, since=since, keys=())


def _misspelt(layers: Layers) -> Iterator[Finding]:
    """Names that nobody reads, beside one that counts."""
    counted = {variable_of(key) for key in layers.values}
    base = {key for key, values in layers.values.items() if values[0].origin.layer is Layer.BASE_JSON}
    for name, value in sorted(words_of_files(layers).items()):
        in_env_file = value.origin.layer in env_files(layers.root, layers.env_target)
        key = next((key for key in layers.values if variable_of(key) == name), None)
        if in_env_file and name not in counted:
            if name in KNOWN and name.startswith("COMFYUI_"):
                yield _unread(
                    value, f"{name} overrides nothing: no JSON file has {_key_of(name)}", "Add it to config/base.json."
                )
                continue
            close = [] if name in KNOWN else get_close_matches(name, counted | KNOWN, 1, _CLOSE)
            if close:
                yield _unread(value, f"{name} is read by nobody. Did you mean {close[0]}?", f"Rename it to {close[0]}.")
        elif key is not None and key not in base and name not in KNOWN:
            close = get_close_matches(key.lower(), base | {_key_of(known) for known in KNOWN}, 1, _CLOSE)
            if close and close[0] != key:
                yield _unread(value, f"{key} is read by nobody. Did you mean {close[0]}?", f"Rename it to {close[0]}.")


def _unread(value: Value, what: str, cure: str) -> Finding:
    return Finding(
        kinds.KEY_UNKNOWN,
        f"{what.rstrip('.')}" if what.endswith("?") else f"{what}.",
        str(value.origin),
        cure,
        Certainty.LIKELY,
        "by its name",
        keys=(value.origin.variable,),
    )


def _key_of(variable: str) -> str:
    return variable.lower().replace("_", "-")


def _quoted(layers: Layers, environ: Mapping[str, str]) -> Iterator[Finding]:
    words = words_of_files(layers)
    for name, value in sorted(words.items()):
        if _is_quoted(text_of(value.value)):
            yield Finding(
                kinds.VALUE_QUOTED,
                f"The value of {name} has quotes in it: {shown(name, text_of(value.value))}",
                str(value.origin),
                "Take the inner quotes out of that line.",
                keys=(name,),
            )
        elif _is_quoted(environ.get(name, "")):
            yield Finding(
                kinds.VALUE_QUOTED,
                f"The worker's variable {name} has quotes in it: {shown(name, environ[name])}",
                f"environment variable {name}",
                "Export it without them; docker --env-file takes quotes literally.",
                keys=(name,),
            )


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and _QUOTED.fullmatch(text) is not None


def _tildes(layers: Layers) -> Iterator[Finding]:
    for name, value in sorted(words_of_files(layers).items()):
        text = text_of(value.value)
        if text == "~" or text.startswith("~/"):
            from_shell = value.origin.layer in (Layer.ENV_SHARED, Layer.ENV_TARGET)
            differs = " A worker whose shell sourced the file has it expanded, the API has not." if from_shell else ""
            yield Finding(
                kinds.VALUE_TILDE,
                f"{name} begins with ~, which the application does not expand.{differs}",
                str(value.origin),
                f"Write the whole path, such as {Path.home()}{text[1:] if name in KNOWN else '/…'}",
                keys=(name,),
            )


def _hidden_edits(layers: Layers) -> Iterator[Finding]:
    """Values in a file that was edited after the one that hides them."""
    changed: dict[Path, datetime] = {}
    for key, values in sorted(layers.values.items()):
        wins = values[-1]
        for value in values[:-1]:
            later, earlier = (_changed(each, changed) for each in (value, wins))
            if value.value == wins.value or later is None or earlier is None or later - earlier < _TOGETHER:
                continue
            name = variable_of(key)
            yield Finding(
                kinds.VALUE_SHADOWED,
                f"{value.origin} sets {key}, and {wins.origin} wins, with {shown(name, text_of(wins.value))}.",
                str(value.origin),
                f"Edit {wins.origin}, or remove that line.",
                Certainty.LIKELY,
                "its file was edited later than the one that wins",
                since=later,
                keys=(name,),
            )


def _changed(value: Value, known: dict[Path, datetime]) -> datetime | None:
    file = value.origin.file
    if file is None:
        return None
    if file not in known:
        known[file] = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return known[file]


def _ignored_file(layers: Layers) -> Iterator[Finding]:
    path = layers.root / ".env"
    try:
        names = read_env_file(path)
    except UserError:
        return
    ours = sorted(name for name in names if name in layers.variables | KNOWN)
    if ours:
        yield Finding(
            kinds.FILE_IGNORED,
            f".env at the root sets {', '.join(ours)}, and nobody reads it.",
            f".env:{min(names[name][1] for name in ours)}",
            f"Move its lines to env/.env.{layers.env_target}, and remove it.",
            since=datetime.fromtimestamp(path.stat().st_mtime, UTC),
            keys=tuple(ours),
        )
