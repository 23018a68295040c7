"""Pictures that a mock can draw: a landscape for every seed, prompt and size, always the same for the same.

Flat colours on purpose: they look calm, and they compress in milliseconds.
"""

from __future__ import annotations

import colorsys
import functools
import hashlib
import math
import random
import textwrap

from PIL import Image, ImageDraw, ImageFont

from runbooks.kernie.nodes.values import Recipe

Colour = tuple[int, int, int]
SKY_BANDS = 24
MIN_SIDE_FOR_TEXT = 96


def draw(recipe: Recipe, size: tuple[int, int], index: int = 0) -> Image.Image:
    """Draw the picture of a recipe; `index` tells the pictures of a batch apart."""
    chance = _chance(recipe, size, index)
    picture = Image.new("RGB", size)
    pen = ImageDraw.Draw(picture)
    hue = chance.random()
    _sky(pen, size, hue, chance)
    _sun(pen, size, hue, chance)
    for layer in range(4):
        _hills(pen, size, hue, layer, chance)
    if min(size) >= MIN_SIDE_FOR_TEXT:
        _caption(picture, recipe, index)
    return picture


def _chance(recipe: Recipe, size: tuple[int, int], index: int) -> random.Random:
    told = repr((recipe.seed, recipe.prompt, recipe.details, size, index))
    return random.Random(hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest())  # noqa: S311 - no secret


def _colour(hue: float, light: float, strength: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, light, strength)
    return round(red * 255), round(green * 255), round(blue * 255)


def _sky(pen: ImageDraw.ImageDraw, size: tuple[int, int], hue: float, chance: random.Random) -> None:
    width, height = size
    dusk = chance.uniform(0.05, 0.18)
    for band in range(SKY_BANDS):
        part = band / SKY_BANDS
        top, bottom = round(height * part), round(height * (band + 1) / SKY_BANDS)
        pen.rectangle((0, top, width, bottom), fill=_colour(hue + dusk * part, 0.32 + 0.5 * part, 0.55))


def _sun(pen: ImageDraw.ImageDraw, size: tuple[int, int], hue: float, chance: random.Random) -> None:
    width, height = size
    radius = min(size) * chance.uniform(0.07, 0.16)
    x, y = width * chance.uniform(0.15, 0.85), height * chance.uniform(0.15, 0.5)
    for ring, light in ((1.35, 0.82), (1.0, 0.93)):
        reach = radius * ring
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=_colour(hue + 0.12, light, 0.8))


def _hills(pen: ImageDraw.ImageDraw, size: tuple[int, int], hue: float, layer: int, chance: random.Random) -> None:
    width, height = size
    base = height * (0.52 + 0.12 * layer)
    waves = [(chance.uniform(1.0, 3.5), chance.uniform(0, math.tau), chance.uniform(0.02, 0.06)) for _ in range(3)]
    line = []
    for step in range(49):
        part = step / 48
        rise = sum(depth * math.sin(count * math.tau * part + start) for count, start, depth in waves)
        line.append((width * part, base - height * rise))
    fill = _colour(hue + 0.45 + 0.03 * layer, 0.46 - 0.1 * layer, 0.42)
    pen.polygon([(0, height), *line, (width, height)], fill=fill)


@functools.lru_cache(maxsize=8)
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(pixels)


def _caption(picture: Image.Image, recipe: Recipe, index: int) -> None:
    """Write prompt, seed and size across the foot of the picture."""
    width, height = picture.size
    pixels = max(11, min(width, height) // 28)
    columns = max(12, int(width / (pixels * 0.56)) - 2)
    lines = textwrap.wrap(recipe.prompt, columns)[:4] or ["(no prompt)"]
    number = f" · {index + 1}" if index else ""
    lines.append(f"seed {recipe.seed} · {width}x{height}{number}")
    step = round(pixels * 1.35)
    top = height - step * len(lines) - pixels
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, top - pixels // 2, width, height), fill=(16, 20, 28))
    for number_of_line, line in enumerate(lines):
        fill = (240, 242, 246) if number_of_line < len(lines) - 1 else (150, 196, 255)
        pen.text((pixels, top + number_of_line * step), line, font=_font(pixels), fill=fill)
