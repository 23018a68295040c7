"""How big pictures may get, so that no prompt uses up the machine's memory."""

from __future__ import annotations

from runbooks.kernie.errors import OutOfMemoryError

MAX_PIXELS = 64 * 1024 * 1024


def check_size(width: int, height: int, count: int = 1) -> tuple[int, int]:
    """Return width and height.

    Raises:
        OutOfMemoryError: if that many pictures of the size have more than 64 megapixels, as they would be too many for
            the memory of a real server.
    """
    if width * height * count > MAX_PIXELS:
        asked = f"{count} x {width} x {height} pixels"
        raise OutOfMemoryError(f"Allocation on device 0 would exceed allowed memory ({asked}).")
    return width, height
