"""File a job's pictures away: where the real worker puts them, and their thumbnails."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from PIL import Image

from runbooks.genonaut.tables import utc_now

logger = logging.getLogger(__name__)

THUMBNAIL_SIZES = (150, 300, 600)
"""Edge of the square that a thumbnail fits in, in pixels."""


def file_away(output_dir: Path, user_id: UUID, job_id: int, paths: Iterable[Path]) -> list[Path]:
    """Move pictures to ``generations/{user}/{year}/{month}/{day}/gen_{job}_{name}`` and return their new paths.

    One that is not there is left out with a warning, as in the real worker: it is how a wrong ``comfyui_output_dir``
    shows.
    """
    folder = output_dir / "generations" / str(user_id) / utc_now().strftime("%Y/%m/%d")
    filed = []
    for path in paths:
        if not path.is_file():
            logger.warning("Job %s: there is no file %s", job_id, path)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"gen_{job_id}_{path.name}"
        shutil.move(path, target)
        filed.append(target)
    return filed


def make_thumbnails(output_dir: Path, picture: Path) -> dict[str, list[str]]:
    """Write a picture's thumbnails and return their paths by format; empty when it is not a readable picture."""
    folder = output_dir / "thumbnails"
    made: dict[str, list[str]] = {"png": [], "webp": []}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(picture) as original:
            for size in THUMBNAIL_SIZES:
                small = original.copy()
                small.thumbnail((size, size))
                for kind, paths in made.items():
                    path = folder / f"{picture.stem}_{size}x{size}.{kind}"
                    small.save(path)
                    paths.append(str(path))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        # A picture without thumbnails is still a picture.
        logger.warning("No thumbnails of %s: %s", picture, error)
        return {}
    return made
