"""Compare an answer with a recording, volatile parts apart."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

from PIL import Image

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TEMP_FILE = re.compile(r"ComfyUI_temp_[a-z]{5}_\d{5}_\.png")
SAVED_FILE = re.compile(r"\w+_\d{5}_\.png")
OUTSIDE = re.compile(r"(full_output_folder: ).*")
VOLATILE = {"timestamp", "create_time", "execution_start_time", "execution_end_time", "traceback", "sid"}
# Sets on the real server: their order says nothing.
SETS = {"executed", "current_outputs", "errors", "dependent_outputs"}
PROMPT_OUTPUTS = 4


class Matcher:
    """Remembers which id and which file of the recording stands for which one here.

    Args:
        base: the mock's base folder; `<base>` in the recordings.
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self.names: dict[str, str] = {}

    def here(self, text: str) -> str:
        """A recorded text with the names that are used here."""
        for recorded, actual in self.names.items():
            text = text.replace(recorded, actual)
        return text

    def learn(self, recorded: str, actual: str) -> bool:
        """Two names mean the same thing; False if one of them is known to mean another."""
        if recorded in self.names:
            return self.names[recorded] == actual
        if actual in self.names.values():
            return False
        self.names[recorded] = actual
        return True

    def differences(self, recorded: Any, actual: Any, at: str = "", key: str = "") -> list[str]:
        """What differs, as lines to read; empty if nothing does."""
        if key in VOLATILE:
            return [] if type(recorded) is type(actual) else [f"{at}: {recorded!r} is here {actual!r}"]
        if isinstance(recorded, dict) and isinstance(actual, dict):
            return self._dicts(recorded, actual, at)
        if isinstance(recorded, list) and isinstance(actual, list):
            return self._lists(recorded, actual, at, key)
        if isinstance(recorded, str) and isinstance(actual, str):
            same = self._same_text(recorded, actual)
        else:
            same = repr(recorded) == repr(actual)
        return [] if same else [f"{at}: {recorded!r} is here {actual!r}"]

    def _dicts(self, recorded: dict[str, Any], actual: dict[str, Any], at: str) -> list[str]:
        if "python_module" in recorded:
            # The real server describes each node type; the recordings leave these texts out.
            actual = {key: value for key, value in actual.items() if key != "description"}
        wanted = {self.here(key): (key, value) for key, value in recorded.items()}
        if set(wanted) != set(actual):
            return [f"{at}: keys {sorted(wanted)} are here {sorted(actual)}"]
        found = []
        for name, (key, value) in wanted.items():
            found += self.differences(value, actual[name], f"{at}.{key}", key)
        return found

    def _lists(self, recorded: list[Any], actual: list[Any], at: str, key: str) -> list[str]:
        if len(recorded) != len(actual):
            return [f"{at}: {len(recorded)} items are here {len(actual)}: {recorded!r:.300} / {actual!r:.300}"]
        if key in SETS or at.endswith(f".prompt[{PROMPT_OUTPUTS}]"):
            recorded, actual = sorted(recorded, key=repr), sorted(actual, key=repr)
        found = []
        for place, (left, right) in enumerate(zip(recorded, actual, strict=True)):
            found += self.differences(left, right, f"{at}[{place}]")
        return found

    def _same_text(self, recorded: str, actual: str) -> bool:
        if UUID.fullmatch(recorded) and UUID.fullmatch(actual):
            return self.learn(recorded, actual)
        if TEMP_FILE.fullmatch(recorded):
            return bool(TEMP_FILE.fullmatch(actual))
        if SAVED_FILE.fullmatch(recorded):
            same_prefix = recorded.rsplit("_", 2)[0] == actual.rsplit("_", 2)[0]
            return bool(SAVED_FILE.fullmatch(actual)) and same_prefix and self.learn(recorded, actual)
        actual = actual.replace(self.base, "<base>")
        return OUTSIDE.sub(r"\1", self.here(recorded)) == OUTSIDE.sub(r"\1", actual)


def image_differences(recorded: dict[str, Any], content: bytes) -> list[str]:
    """Compare format, size, mode and text chunks of a picture."""
    with Image.open(io.BytesIO(content)) as picture:
        text_keys = sorted(getattr(picture, "text", {}))
        found = {"format": picture.format, "size": list(picture.size), "mode": picture.mode, "text_keys": text_keys}
    return [] if found == recorded else [f"picture {recorded} is here {found}"]


def body_of(request: dict[str, Any], matcher: Matcher) -> bytes | None:
    """The bytes that a recorded request sent, with the names that are used here."""
    if "json" in request:
        return matcher.here(json.dumps(request["json"])).encode()
    if "body_text" in request:
        return str(request["body_text"]).encode()
    if "body_base64" in request:
        return base64.b64decode(request["body_base64"])
    return None
