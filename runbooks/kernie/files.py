"""The mock's folders: safe paths, names of saved files and their counters, names of uploads."""

# ruff: noqa: PTH100, PTH119, PTH120
# os.path and not pathlib: names come from strangers, and os.path.abspath() neither follows links nor keeps "..".
from __future__ import annotations

import mimetypes
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from runbooks.kernie.options import Options

FOLDER_TYPES = ("output", "input", "temp")
# Served for download only: a browser would run them.
ACTIVE_TYPES = frozenset(
    {
        "text/html",
        "text/css",
        "text/javascript",
        "text/xml",
        "application/javascript",
        "application/xhtml+xml",
        "application/xml",
        "image/svg+xml",
    }
)


class OutsideFolderError(Exception):
    """A path that leaves the folder it belongs to."""

    comfyui_name = "Exception"


@dataclass(frozen=True)
class SaveTarget:
    """Where the next picture of a prefix goes."""

    folder: Path
    name: str
    counter: int
    subfolder: str


class Folders:
    """The folders of one mock, created when it starts."""

    def __init__(self, options: Options) -> None:
        base = Path(options.base_dir).absolute()
        self.base = base
        self.output = self._own(options.output_dir, base / "output")
        self.input = self._own(options.input_dir, base / "input")
        self.temp = self._own(options.temp_dir, base / "temp")
        self.user = self._own(options.user_dir, base / "user")
        self._counters: dict[tuple[str, str], tuple[int, int]] = {}

    @staticmethod
    def _own(chosen: Path | None, default: Path) -> Path:
        return Path(os.path.abspath((chosen or default).expanduser()))

    def create(self) -> None:
        """Create the folders. Raises OSError."""
        for folder in (self.output, self.input, self.temp):
            folder.mkdir(parents=True, exist_ok=True)

    def by_type(self, kind: str | None) -> Path | None:
        """`output`, `input` or `temp` as a folder; None for anything else."""
        return {"output": self.output, "input": self.input, "temp": self.temp}.get(kind or "")

    def annotated(self, name: str) -> tuple[str, Path | None]:
        """Split `x.png [output]` into name and folder; the folder is None where no annotation is."""
        for kind in FOLDER_TYPES:
            suffix = f"[{kind}]"
            if name.endswith(suffix):
                return name[: -len(suffix) - 1], self.by_type(kind)
        return name, None

    def find_input(self, name: str) -> Path | None:
        """The file that a node's image name stands for, or None if it does not exist inside its folder."""
        plain, folder = self.annotated(name)
        try:
            path = inside(folder or self.input, plain)
        except (OutsideFolderError, ValueError):
            return None
        return path if path.is_file() else None

    def input_images(self) -> list[str]:
        """Names of the pictures lying in the input folder, sorted."""
        try:
            names = [entry.name for entry in os.scandir(self.input) if entry.is_file()]
        except OSError:
            return []
        return sorted(name for name in names if (mimetypes.guess_type(name)[0] or "").startswith("image"))

    def save_target(self, prefix: str, kind: str, size: tuple[int, int]) -> SaveTarget:
        """Where a picture of `size` (width, height) with this prefix is to be written; creates the folder.

        Raises:
            OutsideFolderError: with the real server's text, if the prefix leads out of the folder.
        """
        root = self.output if kind == "output" else self.temp
        prefix = os.path.normpath(fill_tokens(prefix, size))
        subfolder, name = os.path.dirname(prefix), os.path.basename(prefix)
        folder = Path(os.path.abspath(root / subfolder))
        if not _contains(root, folder):
            raise OutsideFolderError(
                "**** ERROR: Saving image outside the output folder is not allowed.\n"
                f" full_output_folder: {folder}\n"
                f"         output_dir: {root}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return SaveTarget(folder, name, self._next_counter(folder, name), subfolder)

    def _next_counter(self, folder: Path, name: str) -> int:
        """One more than the highest counter lying there.

        Listing is only repeated if somebody else changed the folder: with ten thousand files in it, a listing per
        picture would cost more than the picture.
        """
        key = (str(folder), name)
        known = self._counters.get(key)
        if known is not None and known[1] == folder.stat().st_mtime_ns:
            return known[0] + 1
        return 1 + max((_counter_of(entry.name, name) for entry in os.scandir(folder)), default=0)

    def remember(self, target: SaveTarget, counter: int) -> None:
        """Note that `counter` was written, so that the next one need not look."""
        for key in [key for key in self._counters if key[0] == str(target.folder)]:
            self._counters[key] = (self._counters[key][0], target.folder.stat().st_mtime_ns)
        self._counters[(str(target.folder), target.name)] = (counter, target.folder.stat().st_mtime_ns)


def _counter_of(filename: str, name: str) -> int:
    start = len(name)
    if os.path.normcase(filename[:start]) != os.path.normcase(name) or filename[start : start + 1] != "_":
        return 0
    digits = filename[start + 1 :].split("_")[0]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def fill_tokens(prefix: str, size: tuple[int, int]) -> str:
    """Replace `%width%`, `%height%`, `%year%`, `%month%`, `%day%`, `%hour%`, `%minute%` and `%second%`."""
    if "%" not in prefix:
        return prefix
    now = time.localtime()
    values = {
        "width": str(size[0]),
        "height": str(size[1]),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for token, value in values.items():
        prefix = prefix.replace(f"%{token}%", value)
    return prefix


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it: who is reading the old one reads it to its end.

    Raises:
        OSError: if it cannot be written; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        half.write_bytes(data)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def _contains(root: Path, path: Path) -> bool:
    return path == root or root in path.parents


def inside(root: Path, *parts: str) -> Path:
    """Join `parts` to `root`, symlinks not followed.

    Raises:
        OutsideFolderError: if the result is not inside `root`.
    """
    path = Path(os.path.abspath(root.joinpath(*parts)))
    if "\0" in str(path) or not _contains(root, path):
        raise OutsideFolderError(str(path))
    return path
