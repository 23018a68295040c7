"""How big pictures may get, so that no prompt uses up the machine's memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PIL import Image

from runbooks.kernie.errors import OutOfMemoryError
from runbooks.kernie.nodes.values import Latent, Pictures

NO_ROOM = "Allocation on device 0 would exceed allowed memory"
MAX_PIXELS = 64 * 1024 * 1024
# Of all results of one prompt together: they are kept for the next one.
MAX_KEPT_PIXELS = 2 * MAX_PIXELS


def check_size(width: int, height: int, count: int = 1) -> tuple[int, int]:
    """Return width and height.

    Raises:
        OutOfMemoryError: if that many pictures of the size have more than 64 megapixels, as they would be too many for
            the memory of a real server.
    """
    if width * height * count > MAX_PIXELS:
        raise OutOfMemoryError(f"{NO_ROOM} ({count} x {width} x {height} pixels).")
    return width, height


def check_kept(results: Iterable[tuple[Any, ...]]) -> None:
    """Look at the pictures in all results of a prompt; one that is passed on counts once.

    Raises:
        OutOfMemoryError: if together they have more than 128 megapixels.
    """
    pictures = {
        id(frame): frame.size[0] * frame.size[1]
        for values in results
        for value in values
        for frame in _pictures_in(value)
    }
    if sum(pictures.values()) > MAX_KEPT_PIXELS:
        raise OutOfMemoryError(f"{NO_ROOM} ({len(pictures)} pictures).")


def _pictures_in(value: Any) -> tuple[Image.Image, ...]:
    if isinstance(value, Pictures):
        return value.frames
    return value.pictures if isinstance(value, Latent) else ()
