"""What the mock writes are PNG files that others read."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from runbooks.kernie.png import STRIP_BYTES, png


def read(content: bytes) -> Image.Image:
    """The picture of a file whose checksums are right."""
    with Image.open(io.BytesIO(content)) as checked:
        checked.verify()
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (256, 300), (STRIP_BYTES + 5, 2), (3, 4000)])
def test_what_is_read_is_what_was_written(mode: str, size: tuple[int, int]) -> None:
    picture = Image.effect_noise(size, 90).convert(mode)
    found = read(png(picture))
    assert (found.format, found.mode, found.size) == ("PNG", mode, size)
    assert found.tobytes() == picture.tobytes()


def test_other_modes_become_colours_with_transparency() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    assert read(png(palette)).getpixel((0, 0)) == (200, 100, 50, 255)


def test_texts_are_read_back_whatever_their_letters() -> None:
    texts = {"prompt": '{"a": "b"}', "märchen": "früher", "title": "日本語", "empty": ""}
    assert read(png(Image.new("RGB", (2, 2)), texts)).info == texts


def test_a_keyword_that_png_cannot_hold_is_cut_or_left_out() -> None:
    assert read(png(Image.new("RGB", (2, 2)), {"日本": "lost", "k" * 200: "kept"})).info == {"k" * 79: "kept"}
