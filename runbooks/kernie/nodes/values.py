"""What travels along the links: models, conditionings, latents, pictures, masks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

EDGE = 3
SHOWN_WHOLE = 1000


@dataclass(frozen=True)
class Model:
    """A model, CLIP, VAE, ControlNet or the like: its name, and the LoRAs on top."""

    kind: str
    name: str
    loras: tuple[tuple[str, float], ...] = ()

    def with_lora(self, name: str, strength: float) -> Model:
        """The same with one more LoRA."""
        return replace(self, loras=(*self.loras, (name, strength)))


@dataclass(frozen=True)
class Conditioning:
    """What a picture is to show: texts, and what else was said (masks, ControlNets, sizes)."""

    texts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All texts as one."""
        return ", ".join(text for text in self.texts if text)

    def noting(self, *notes: str) -> Conditioning:
        """The same, with more said."""
        return replace(self, notes=self.notes + notes)

    def joined(self, other: Conditioning, how: str) -> Conditioning:
        """Both, one after the other."""
        return Conditioning(self.texts + other.texts, (*self.notes, how, *other.notes))


@dataclass(frozen=True)
class Recipe:
    """Everything that a generated picture depends on."""

    seed: int = 0
    prompt: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Latent:
    """An undeveloped picture: its size in pixels, how many, and how it came to be.

    Attributes:
        first: the index in its batch of the first picture.
        notes: what else was done to it.
    """

    width: int
    height: int
    batch: int = 1
    recipe: Recipe | None = None
    pictures: tuple[Image.Image, ...] = ()
    first: int = 0
    notes: tuple[str, ...] = ()

    def noting(self, note: str) -> Latent:
        """The same, with one more thing done to it."""
        return replace(self, notes=(*self.notes, note))


@dataclass(frozen=True)
class Pictures:
    """An IMAGE or MASK: one or more pictures of one size, in mode RGB, RGBA or L."""

    frames: tuple[Image.Image, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.frames[0].size

    def mapped(self, change: Any) -> Pictures:
        """The same with `change` done to every frame."""
        return Pictures(tuple(change(frame) for frame in self.frames))

    def fingerprint(self) -> str:
        """The same for the same pictures."""
        seen = hashlib.sha256()
        for frame in self.frames:
            seen.update(repr((frame.mode, frame.size)).encode() + frame.tobytes())
        return seen.hexdigest()[:16]

    def __repr__(self) -> str:
        """The picture as a tensor prints itself: error messages of the real server show it so."""
        return f"tensor({_Printer(self.frames).text()})"


class _Printer:
    """Prints the values (0 to 1) of frames x rows x columns x channels, the middle left out."""

    def __init__(self, frames: Sequence[Image.Image]) -> None:
        width, height = frames[0].size
        self.frames = frames
        self.channels = len(frames[0].getbands())
        count = len(frames) * width * height * self.channels
        self.summarised = count > SHOWN_WHOLE
        shown = [
            self._pixel(f, y, x)
            for f in self._places(len(frames))
            for y in self._places(height)
            for x in self._places(width)
        ]
        whole = all(value in (0.0, 1.0) for pixel in shown for value in pixel)
        self.digits = 0 if whole else 4

    def _places(self, length: int) -> list[int]:
        if not self.summarised or length <= 2 * EDGE:
            return list(range(length))
        return [*range(EDGE), *range(length - EDGE, length)]

    def _pixel(self, frame: int, y: int, x: int) -> tuple[float, ...]:
        value = self.frames[frame].getpixel((x, y))
        values = value if isinstance(value, tuple) else (value,)
        return tuple(float(each or 0) / 255 for each in values)

    def _number(self, value: float) -> str:
        return f"{value:.{self.digits}f}" + ("" if self.digits else ".")

    def text(self) -> str:
        """The nested lists."""
        width, height = self.frames[0].size
        return self._level([len(self.frames), height, width], [])

    def _level(self, lengths: list[int], at: list[int]) -> str:
        if not lengths:
            pixel = self._pixel(at[0], at[1], at[2])
            numbers = ", ".join(self._number(value) for value in pixel)
            return numbers if self.channels == 1 else f"[{numbers}]"
        parts = [self._level(lengths[1:], [*at, place]) for place in self._places(lengths[0])]
        if self.summarised and lengths[0] > 2 * EDGE:
            parts.insert(EDGE, "...")
        depth = len(at) + 1
        below = len(lengths) - 1 + (0 if self.channels == 1 else 1)
        between = "," + "\n" * max(below, 1) + " " * (depth + len("tensor(")) if below else ", "
        return "[" + between.join(parts) + "]"
