"""Image files as people have them: each is decoded to the pixels that it means, or refused by its name and mode."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from satdsl.image_headers import ImageHeader, read_header

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
GREY16 = (np.arange(12 * 16, dtype=np.uint16) * 341).reshape(12, 16)


def saved(image: Any, format: str = "PNG", **more: Any) -> bytes:
    """The bytes of an image file."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, format, **more)
    return buffer.getvalue()


def turned(orientation: int) -> bytes:
    """A JPEG that states an orientation in EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(COLOUR, "JPEG", exif=exif)


def with_alpha(level: int) -> bytes:
    """A PNG of red pixels, one of which has this alpha."""
    pixels = np.full((12, 16, 4), (255, 0, 0, 255), dtype=np.uint8)
    pixels[3, 4, 3] = level
    return saved(pixels)


def test_a_header_says_what_a_file_holds():
    assert read_header(saved(COLOUR)) == ImageHeader("PNG", 16, 12, "RGB", 8)
    assert read_header(saved(COLOUR, "JPEG")) == ImageHeader("JPEG", 16, 12, "RGB", 8)
    assert read_header(saved(COLOUR, "WEBP")) == ImageHeader("WEBP", 16, 12, "RGB", 8)
    assert read_header(turned(6)) == ImageHeader("JPEG", 16, 12, "RGB", 8, orientation=6)
    assert read_header(with_alpha(255)) == ImageHeader("PNG", 16, 12, "RGBA", 8, alpha=True)
    assert read_header(saved(Image.fromarray(COLOUR).convert("1"))) == ImageHeader("PNG", 16, 12, "1", 1)
    grey = read_header(saved(GREY16))
    assert (grey.bits, grey.sixteen_bit_grey, grey.problem) == (16, True, "")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP"])
def test_a_file_that_was_cut_off_is_found_wherever_it_was_cut(format):
    whole = saved(COLOUR, format)
    assert read_header(whole).problem == ""
    for length in range(12, len(whole) - 40, 37):
        assert read_header(whole[:length]).problem == "cut", (format, length)
    if format in ("PNG", "JPEG"):
        assert read_header(whole[: len(whole) // 2].ljust(len(whole) + 200, b"\0")).problem == "cut"


@pytest.mark.parametrize(
    ("content", "problem", "detail"),
    [
        (b"", "empty", "0 bytes"),
        (b"hello", "no image", "no known image format"),
        (bytes(5000), "no image", "zeros"),
        (b"<!DOCTYPE html><html>", "no image", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "no image", "Git LFS"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "no image", "HEIC"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "no image", "AppleDouble"),
        (saved(COLOUR, "JPEG2000"), "no image", "JPEG 2000"),
        (saved(GREY16.astype(np.float32), "TIFF"), "mode", "floating-point"),
        (saved(GREY16.astype(np.int32), "TIFF"), "mode", "32-bit"),
        (saved(Image.new("LAB", (8, 8)), "TIFF"), "mode", "LAB"),
        (
            saved(Image.fromarray(COLOUR), "PNG", save_all=True, append_images=[Image.new("RGB", (16, 12))]),
            "several",
            "animated",
        ),
        (
            saved(Image.fromarray(COLOUR), "TIFF", save_all=True, append_images=[Image.new("RGB", (16, 12))]),
            "several",
            "pages",
        ),
        (
            saved(Image.fromarray(COLOUR), "WEBP", save_all=True, append_images=[Image.new("RGB", (16, 12))]),
            "several",
            "animated",
        ),
    ],
)
def test_a_header_says_why_a_file_cannot_be_read(content, problem, detail):
    found = read_header(content)
    assert found.problem == problem
    assert detail in found.detail


def test_a_photograph_with_a_preview_in_the_same_file_is_one_image():
    camera = saved(Image.fromarray(COLOUR), "MPO", save_all=True, append_images=[Image.new("RGB", (4, 3))])
    assert read_header(camera) == ImageHeader("MPO", 16, 12, "RGB", 8)


def test_an_image_of_too_many_pixels_is_refused_without_being_decoded():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    )
    assert read_header(b"\x89PNG\r\n\x1a\n" + chunks).problem == "too large"


def test_no_bytes_whatever_raise_an_error():
    whole = [saved(COLOUR, format) for format in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM", "GIF")] + [turned(3)]
    for number in range(400):
        content = bytearray(whole[number % len(whole)])
        for place in RNG.integers(0, min(len(content), 300), 1 + number % 7):
            content[place] = RNG.integers(0, 256)
        found = read_header(bytes(content))
        assert ImageHeader.of_row(list(found.row)) == found


def test_a_row_of_a_damaged_cache_is_no_header():
    row = list(read_header(saved(COLOUR)).row)
    for wrong in ([], row[:-1], [1, *row[1:]], None, "PNG"):
        with pytest.raises(ValueError, match="no image header"):
            ImageHeader.of_row(wrong)
