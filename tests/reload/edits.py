"""Every way in which a settings file gets other content, as editors, tools and Kubernetes do it."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeAlias

Edit: TypeAlias = Callable[[Path, str], None]

_numbers = count()


def in_place(path: Path, text: str) -> None:
    """Truncate and write, as ``echo … > file`` does."""
    path.write_text(text)


def atomic_rename(path: Path, text: str) -> None:
    """Write beside and rename, as ``sed -i`` and most editors do."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


def rename_with_an_old_date(path: Path, text: str) -> None:
    """As ``rsync --times`` or ``mv`` of a backup: the modification time lies in the past."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text)
    os.utime(beside, (1_000_000_000, 1_000_000_000))
    beside.replace(path)


def in_place_with_the_date_restored(path: Path, text: str) -> None:
    """As an edit that puts the modification time back, with content of the same length."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def deleted_and_made_again(path: Path, text: str) -> None:
    """As a version control checkout does."""
    path.unlink()
    path.write_text(text)


def twice_in_a_row(path: Path, text: str) -> None:
    """Two edits within one tick of the file system's clock, of the same length."""
    path.write_text(text[::-1].swapcase().replace("\n", " ") + "\n")
    path.write_text(text)


def written_in_pieces(path: Path, text: str) -> None:
    """As a slow writer does: what stands there in between is a valid but wrong value, or none at all."""
    with path.open("w") as file:
        for piece in (text[:3], text[3:-3], text[-3:]):
            file.write(piece)
            file.flush()


def symlink_swapped(path: Path, text: str) -> None:
    """As Kubernetes updates a mounted ConfigMap: ``..data`` is renamed to point at a new folder."""
    folder = path.parent / f"..{next(_numbers)}"
    folder.mkdir()
    (folder / path.name).write_text(text)
    data, new = path.parent / "..data", path.parent / "..data_tmp"
    new.symlink_to(folder.name)
    new.replace(data)
    if not path.is_symlink():
        link = path.with_name(f"{path.name}.link")
        link.symlink_to(Path("..data") / path.name)
        link.replace(path)


EDITS: tuple[Edit, ...] = (
    in_place,
    atomic_rename,
    rename_with_an_old_date,
    in_place_with_the_date_restored,
    deleted_and_made_again,
    twice_in_a_row,
    written_in_pieces,
    symlink_swapped,
)
