"""Settings and user data on disk, for the one user that a mock has."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

from runbooks.kernie.files import Folders, inside, write_whole

USER = "default"
SETTINGS_FILE = "comfy.settings.json"


class UserData:
    """The user's folder."""

    def __init__(self, folders: Folders) -> None:
        self.folder = folders.user / USER

    def path(self, name: str, *, create: bool = True) -> Path:
        """A path in the folder. As on the real server, asking makes the folder above it, unless told not to.

        Raises:
            OutsideFolderError: if it leads out.
        """
        path = inside(self.folder, urllib.parse.unquote(name))
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def settings(self) -> dict[str, Any]:
        """All settings. A file that holds none counts as empty."""
        try:
            found = json.loads(self.path(SETTINGS_FILE).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def save_settings(self, settings: dict[str, Any]) -> None:
        """Write all settings."""
        write_whole(self.folder / SETTINGS_FILE, json.dumps(settings, indent=4).encode())

    def files(self, folder: Path, *, recurse: bool) -> list[Path]:
        """The files in a folder, sorted; hidden ones are left out."""
        found = folder.rglob("*") if recurse else folder.glob("*")
        return sorted(path for path in found if path.is_file() and not _is_hidden(path.relative_to(folder)))

    def everything(self, folder: Path) -> list[Path]:
        """Folders and files below a folder, folders first, by name."""
        return sorted(folder.rglob("*"), key=lambda path: (not path.is_dir(), path.name.lower()))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def described(path: Path, name: str) -> dict[str, Any]:
    """Path, size and times (milliseconds) of a file."""
    about = path.stat()
    return {
        "path": name,
        "size": about.st_size,
        "modified": int(about.st_mtime * 1000),
        "created": int(about.st_ctime * 1000),
    }
