"""Binary WebSocket frames: previews and progress texts. Layouts as recorded from ComfyUI 0.33."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image, ImageOps

PREVIEW = 1
TEXT = 3
PREVIEW_WITH_METADATA = 4
FORMATS = {"JPEG": 1, "PNG": 2}
MAX_PREVIEW_SIDE = 512


@dataclass(frozen=True, eq=False)
class Preview:
    """A picture to be shown while a node runs.

    Attributes:
        picture: the picture.
        format: `JPEG` or `PNG`.
        max_side: the longer side that it is shown with, in pixels; None keeps its size.
    """

    picture: Image.Image
    format: str = "JPEG"
    max_side: int | None = MAX_PREVIEW_SIDE

    @cached_property
    def data(self) -> bytes:
        """The picture as it is sent. Takes a while the first time: not on the event loop."""
        small = self.picture.convert("RGB")
        if self.max_side is not None:
            small = ImageOps.contain(small, (self.max_side, self.max_side), Image.Resampling.BILINEAR)
        out = io.BytesIO()
        options = {"quality": 95} if self.format == "JPEG" else {"compress_level": 1}
        small.save(out, self.format, **options)
        return out.getvalue()

    def prepared(self) -> Preview:
        """Itself, ready to be sent."""
        _ = self.data
        return self


def preview_frame(data: bytes, image_format: str) -> bytes:
    """`>I` 1, `>I` 1 for JPEG or 2 for PNG, then the picture."""
    return struct.pack(">II", PREVIEW, FORMATS[image_format]) + data


def preview_frame_with_metadata(data: bytes, image_format: str, about: dict[str, Any]) -> bytes:
    """`>I` 4, `>I` length of the JSON, the JSON, then the picture."""
    metadata = json.dumps({**about, "image_type": f"image/{image_format.lower()}"}).encode()
    return struct.pack(">II", PREVIEW_WITH_METADATA, len(metadata)) + metadata + data


def text_frame(node_id: str, text: str) -> bytes:
    """`>I` 3, `>I` length of the node's id, the id, then the text."""
    name = node_id.encode()
    return struct.pack(">II", TEXT, len(name)) + name + text.encode()
