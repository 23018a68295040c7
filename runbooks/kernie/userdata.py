"""Settings and user data on disk, for the one user that a mock has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runbooks.kernie.files import Folders, inside, write_whole

USER = "default"
SETTINGS_FILE = "comfy.settings.json"


class UserData:
    """The user's folder."""

    def __init__(self, folders: Folders) -> None:
        self.folder = folders.user / USER

    def path(self, *parts: str) -> Path:
        """A path in the folder.

        Raises:
            OutsideFolderError: if it leads out.
        """
        return inside(self.folder, *parts)

    def settings(self) -> dict[str, Any]:
        """All settings. A file that holds none counts as empty."""
        try:
            found = json.loads((self.folder / SETTINGS_FILE).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def save_settings(self, settings: dict[str, Any]) -> None:
        """Write all settings."""
        write_whole(self.folder / SETTINGS_FILE, json.dumps(settings, indent=4).encode())

    def files(self, folder: Path, *, recurse: bool) -> list[Path]:
        """The files in a folder, sorted."""
        found = folder.rglob("*") if recurse else folder.glob("*")
        return sorted(path for path in found if path.is_file())


def described(path: Path, name: str) -> dict[str, Any]:
    """Path, size and times (milliseconds) of a file."""
    about = path.stat()
    return {
        "path": name,
        "size": about.st_size,
        "modified": int(about.st_mtime * 1000),
        "created": int(about.st_ctime * 1000),
    }
