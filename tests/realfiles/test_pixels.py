"""Image files as people have them: each is decoded to the pixels that it means, or refused by its name and mode."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from torchvision.datasets import ImageFolder

import satdsl
from satdsl.backend import datasets
from satdsl.backend.image_files import Decoding, decode_image
from satdsl.catalog import catalog
from satdsl.compile import check_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding
from satdsl.image_headers import ImageHeader, has_transparent_pixels, read_header
from satdsl.ir.work import StepError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
PREVIEW = Image.new("RGB", (4, 3))
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
        (saved(GREY16.astype(np.int32), "TIFF"), "mode", "signed"),
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


# --- pixels ---------------------------------------------------------------------------------------------


def png(width: int, height: int, bits: int, kind: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of these bytes, each row with its filter byte in front."""
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    made = [struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def tiff(bits: int, pixels: bytes, width: int = 2, white: int = 1, sample: int = 1, order: str = "<") -> bytes:
    """A TIFF file of one row of grey levels. `white` is 0 where 0 is white, `sample` 2 for signed numbers."""
    tags = {256: width, 257: 1, 258: bits, 259: 1, 262: white, 273: 8, 277: 1, 278: 1, 279: len(pixels), 339: sample}
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(pixels))
    return start + pixels + struct.pack(order + "H", len(tags)) + entries + bytes(4)


def decoded(content: bytes, **how: Any) -> np.ndarray:
    """The pixels that the data step takes from a file, [h, w, 3]."""
    return decode_image(Path("x/1.png"), content, Decoding(**{"size": None, "transparency": "refuse"} | how)).transpose(
        1, 2, 0
    )


def grey(levels: Any) -> np.ndarray:
    """Grey levels [h, w] as colours [h, w, 3]."""
    return np.repeat(np.asarray(levels, dtype=np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_ordinary_images_are_read_as_torchvision_reads_them(tmp_path, format, mode):
    content = saved(Image.fromarray(COLOUR).convert(mode), format)
    (tmp_path / "class").mkdir()
    (tmp_path / "class/1.png").write_bytes(content)
    theirs, _ = ImageFolder(str(tmp_path))[0]
    assert np.array_equal(decoded(content), np.asarray(theirs))


def test_grey_levels_of_sixteen_bits_keep_their_brightness():
    right = grey(np.rint(GREY16 / 65535 * 255))
    assert len(np.unique(right)) > 150
    for content in (saved(GREY16), saved(GREY16, "TIFF"), saved(Image.fromarray(GREY16.astype(np.int32)), "PPM")):
        assert np.array_equal(decoded(content), right)
    assert np.array_equal(decoded(tiff(16, struct.pack(">HH", 0, 65535), order=">")), grey([[0, 255]]))
    assert np.array_equal(decoded(tiff(16, struct.pack("<HH", 0, 65535), white=0)), grey([[255, 0]]))
    assert np.array_equal(decoded(tiff(12, bytes((0xFF, 0xF8, 0x00)))), grey([[255, round(2048 / 4095 * 255)]]))


def test_grey_levels_of_a_portable_map_are_shares_of_its_greatest_level():
    for greatest, levels in ((4095, (0, 4095, 2048)), (15, (0, 15, 7)), (65535, (0, 65535, 257))):
        pixels = b"".join(level.to_bytes(1 if greatest < 256 else 2, "big") for level in levels)
        whole = b"P5 3 1 %d\n" % greatest + pixels
        assert np.abs(decoded(whole)[0, :, 0] - np.array(levels) / greatest * 255).max() <= 0.5
        assert (read_header(whole).problem, read_header(whole[:-1]).problem) == ("", "cut")


def test_colours_of_sixteen_bits_keep_their_high_byte():
    row = b"\0" + struct.pack(">3H", 0x1234, 0x00FF, 0xFFFF)
    assert decoded(png(1, 1, 16, 2, row)).tolist() == [[[0x12, 0x00, 0xFF]]]


def test_black_and_white_palettes_and_print_colours_become_what_they_show():
    bilevel = Image.fromarray(COLOUR).convert("1", dither=Image.Dither.NONE)
    assert np.array_equal(decoded(saved(bilevel)), grey(np.asarray(bilevel) * 255))
    palette = Image.fromarray(COLOUR).quantize(16)
    assert np.array_equal(decoded(saved(palette)), np.asarray(palette.convert("RGB")))
    print_colours = Image.fromarray(COLOUR).convert("CMYK")
    assert np.array_equal(decoded(saved(print_colours, "TIFF")), COLOUR)
    assert np.abs(decoded(saved(print_colours, "JPEG", quality=100, subsampling=0)).astype(int) - COLOUR).max() < 12


OPAQUE = [
    pytest.param(with_alpha(255), id="RGBA"),
    pytest.param(saved(Image.fromarray(np.full((12, 16, 2), 255, dtype=np.uint8), "LA")), id="LA"),
    pytest.param(png(2, 1, 8, 0, b"\0\x09\x0a", (b"tRNS", struct.pack(">H", 99))), id="grey without that level"),
]
TRANSPARENT = [
    # the file, the place of the transparent pixel, the colour under it, and over white
    pytest.param(with_alpha(0), (3, 4), (255, 0, 0), (255, 255, 255), id="RGBA"),
    pytest.param(
        saved(Image.open(io.BytesIO(with_alpha(0))), "WEBP", lossless=True, exact=True),
        (3, 4), (255, 0, 0), (255, 255, 255), id="WEBP",
    ),
    pytest.param(with_alpha(128), (3, 4), (255, 0, 0), (255, 127, 127), id="half"),
    pytest.param(png(2, 1, 8, 4, b"\0\x10\x00\x20\xff"), (0, 0), (16,) * 3, (255,) * 3, id="LA"),
    pytest.param(png(2, 1, 8, 0, b"\0\x09\x0a", (b"tRNS", b"\0\x09")), (0, 0), (9,) * 3, (255,) * 3, id="grey"),
    pytest.param(png(2, 1, 4, 0, b"\0\x07", (b"tRNS", b"\0\x07")), (0, 1), (119,) * 3, (255,) * 3, id="4 bits"),
    pytest.param(png(8, 1, 1, 0, b"\0\x01", (b"tRNS", b"\0\0")), (0, 0), (0,) * 3, (255,) * 3, id="1 bit"),
    pytest.param(
        png(2, 1, 16, 0, b"\0\x40\x00\x80\x80", (b"tRNS", b"\x40\x00")), (0, 0), (64,) * 3, (255,) * 3, id="16 bits"
    ),
    pytest.param(
        png(2, 1, 8, 3, b"\0\0\1", (b"PLTE", b"\1\2\3\4\5\6"), (b"tRNS", b"\0\xff")),
        (0, 0), (1, 2, 3), (255,) * 3, id="palette",
    ),
    pytest.param(png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", (b"tRNS", b"\0\1\0\2\0\3")), (0, 0), (1, 2, 3), (255,) * 3, id="c"),
]  # fmt: skip


@pytest.mark.parametrize("content", OPAQUE)
def test_a_layer_of_transparency_that_is_not_used_makes_no_difference(content):
    assert read_header(content).alpha
    with Image.open(io.BytesIO(content)) as image:
        right = np.asarray(image.convert("RGB"))
    for transparency in ("refuse", "white", "black", "drop"):
        assert np.array_equal(decoded(content, transparency=transparency), right)
    assert not has_transparent_pixels(content)


@pytest.mark.parametrize(("content", "place", "under", "over_white"), TRANSPARENT)
def test_transparent_pixels_are_refused_unless_it_is_said_what_is_behind_them(content, place, under, over_white):
    with pytest.raises(StepError, match=r"x/1\.png cannot be used: some of its pixels are transparent") as caught:
        decoded(content)
    assert "transparency=white" in caught.value.help
    assert decoded(content, transparency="drop")[place].tolist() == list(under)
    assert decoded(content, transparency="white")[place].tolist() == list(over_white)
    assert has_transparent_pixels(content) or read_header(content).bits == 16


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_left_or_put_upright_as_it_is_written(orientation):
    stored = np.asarray(Image.open(io.BytesIO(turned(orientation))))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(turned(orientation)))))
    assert np.array_equal(decoded(turned(orientation)), stored)
    assert np.array_equal(decoded(turned(orientation), exif="apply"), upright)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file has 0 bytes"),
        (saved(COLOUR)[:-60], "a part of it is missing or damaged"),
        (saved(COLOUR, "JPEG")[:-60], "a part of it is missing or damaged"),
        (saved(COLOUR, "JPEG")[:-60] + bytes(100), "a part of it is missing or damaged"),
        (b"<html>404", "it is a page of HTML"),
        (saved(GREY16.astype(np.float32), "TIFF"), "floating-point"),
        (tiff(64, struct.pack("<dd", 0.5, 1), sample=3), "not read, such as 64-bit numbers"),
        (tiff(32, struct.pack("<II", 0, 2**32 - 1)), "32-bit"),
        (tiff(16, struct.pack("<hh", -5, 5), sample=2), "signed"),
        (tiff(8, struct.pack("<bb", -5, 5), sample=2), "signed"),
        (saved(Image.fromarray(COLOUR).convert("RGBX"), "TIFF"), "more channels than colours"),
    ],
)
def test_what_has_no_one_meaning_is_refused_by_its_name(content, words):
    with pytest.raises(StepError, match=rf"^x/1\.png cannot be used: .*{words}"):
        decoded(content)
    assert words in read_header(content).detail, "the checker says the same"


def test_an_image_of_another_format_than_its_name_says_is_read():
    assert np.array_equal(decode_image(Path("1.jpg"), saved(COLOUR), Decoding(None)), COLOUR.transpose(2, 0, 1))


# --- through check and run --------------------------------------------------------------------------------


def folder_of(root: Path, odd: dict[str, bytes], good: int = 3) -> Path:
    """Make a folder of ordinary images of 16x12 pixels, and of odd files by their paths; return it."""
    files = {
        f"{part}/{klass}/{i}.png": None for part in ("train", "val") for klass in ("cat", "dog") for i in range(good)
    }
    for name, content in {**files, **odd}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        ordinary = saved(RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        (root / name).write_bytes(ordinary if content is None else content)
    return root


def findings_of(root: Path, arguments: str = "resize=none") -> list[Finding]:
    """What `check` says of a folder that is used with these arguments."""
    path = root / "main.sat"
    path.write_text(f'sat 1\ndataset d = folder(".", {arguments})\n')
    try:
        return list(check_file(path).warnings)
    except SpecError as error:
        return list(error.findings)


def test_the_checker_names_all_files_that_cannot_be_read_at_once(tmp_path):
    odd = {f"train/cat/empty{i}.jpg": b"" for i in range(5)} | {
        "train/dog/cut.jpg": saved(COLOUR, "JPEG")[:-50],
        "val/dog/page.png": b"<!DOCTYPE html>",
        "val/dog/phone.jpg": b"\0\0\0\x18ftypheic\0\0\0\0",
    }
    (found,) = findings_of(folder_of(tmp_path, odd))
    assert (found.code, found.severity, found.message) == ("E313", "error", "8 of 20 images cannot be read")
    assert "0 bytes (5: train/cat/empty0.jpg, train/cat/empty1.jpg, train/cat/empty2.jpg, ...)" in found.reason
    for words in ("missing or damaged (1: train/dog/cut.jpg)", "HTML", "HEIC"):
        assert words in found.reason


def test_the_checker_refuses_pixels_of_no_one_meaning(tmp_path):
    odd = {
        "train/cat/depth.tif": saved(GREY16.astype(np.float32), "TIFF"),
        "val/cat/labels.tiff": saved(GREY16.astype(np.int32), "TIFF"),
        "val/cat/screen.png": with_alpha(255),
        "val/cat/logo.png": with_alpha(0),
    }
    (found,) = findings_of(folder_of(tmp_path, odd))
    assert (found.code, found.message) == ("E314", "the pixels of 3 of 16 images have no one meaning")
    for name in ("train/cat/depth.tif", "val/cat/labels.tiff", "val/cat/logo.png"):
        assert name in found.reason
    assert "screen.png" not in found.reason
    for transparency in ("white", "black", "drop"):
        (found,) = findings_of(tmp_path, f"resize=none, transparency={transparency}")
        assert found.message == "the pixels of 2 of 16 images have no one meaning"


def test_transparent_images_that_the_checker_did_not_look_at_stop_the_data_step(tmp_path):
    """All 40 have an alpha channel, and the checker decodes eight of them."""
    odd = {f"train/cat/a{i:02}.png": with_alpha(0 if i in (7, 23) else 255) for i in range(40)}
    folder_of(tmp_path, odd)
    assert findings_of(tmp_path) == []
    source = catalog().call("folder", ("path", "."), ("resize", None))
    (tmp_path / "out").mkdir()
    with pytest.raises(StepError, match="2 of 52 images cannot be used: some of its pixels are transparent") as caught:
        datasets.store_pixels(datasets.load(source, tmp_path), tmp_path / "out", lambda progress: None)
    assert "a07.png" in caught.value.reason
    assert "a23.png" in caught.value.reason


def test_the_checker_warns_of_turned_photographs_until_it_is_said_what_is_meant(tmp_path):
    folder_of(tmp_path, {"train/cat/a.jpg": turned(6), "val/dog/b.jpg": turned(1)})
    (found,) = findings_of(tmp_path, "resize=16")
    assert (found.code, found.severity) == ("E315", "warning")
    assert found.message.startswith("1 of 14 images is to be turned")
    assert "train/cat/a.jpg" in found.reason
    assert findings_of(tmp_path, "resize=16, exif=ignore") == findings_of(tmp_path, "resize=16, exif=apply") == []
    assert [found.code for found in findings_of(tmp_path, "resize=none, exif=apply")] == ["E316"], "it is upright then"


def test_the_checker_warns_of_twelve_bits_in_sixteen(tmp_path):
    folder_of(tmp_path, {"train/cat/a.png": saved(GREY16 // 16)})
    (found,) = findings_of(tmp_path)
    assert (found.code, found.severity) == ("E318", "warning")
    assert "6.2 % of it" in found.reason
    (tmp_path / "train/cat/a.png").write_bytes(saved(GREY16))
    assert findings_of(tmp_path) == []
    colours = b"".join(b"\0" + struct.pack(">H", 4095) * 48 for _ in range(12))
    (tmp_path / "train/cat/a.png").write_bytes(png(16, 12, 16, 2, colours))
    assert [found.code for found in findings_of(tmp_path)] == ["E318"]


def test_ordinary_folders_are_not_warned_of(tmp_path):
    odd = {
        "train/cat/a.JPG": saved(COLOUR, "JPEG"),
        "train/cat/b.webp": saved(COLOUR[::-1].copy(), "WEBP"),
        "train/cat/c.jpg": saved(COLOUR[:, ::-1].copy()),
        "val/cat/d.tif": saved(GREY16, "TIFF"),
        "val/dog/e.png": with_alpha(255),
        "val/dog/f.png": saved(Image.fromarray(COLOUR).quantize(16)),
        "val/dog/g.jpg": saved(Image.fromarray(COLOUR[:, ::-1]), "MPO", save_all=True, append_images=[PREVIEW]),
    }  # fmt: skip
    assert findings_of(folder_of(tmp_path, odd)) == []


SHADES = """sat 1
dataset d = folder("shades", {arguments})
model cnn = small_cnn(width=4)
recipe r = sgd(epochs=6, batch=8, lr=0.1)
train net = cnn on d using r
evaluate net {{ clean = clean accuracy on val }}
"""


def clean_accuracy(root: Path, arguments: str, files: Callable[[int, np.random.Generator], bytes]) -> float:
    """What a network reaches on two classes of images, in percent, that `files` makes of a class and a generator."""
    for part, count in (("train", 16), ("val", 8)):
        for label, klass in enumerate(("a", "b")):
            (root / "shades" / part / klass).mkdir(parents=True)
            for i in range(count):
                (root / "shades" / part / klass / f"{i}.png").write_bytes(files(label, RNG))
    (root / "main.sat").write_text(SHADES.format(arguments=arguments))
    spec = satdsl.load(root / "main.sat", store=root / "store")
    spec.run(device="cpu", progress=False)
    (measured,) = spec.measured
    return 100 * measured.value


def test_a_network_tells_grey_levels_of_sixteen_bits_apart(tmp_path):
    def shade(label: int, random: np.random.Generator) -> bytes:
        return saved(random.integers(2_000, 20_000, (8, 8)).astype(np.uint16) + np.uint16(30_000 * label))

    assert clean_accuracy(tmp_path, "resize=none", shade) == 100


def test_what_is_under_transparent_pixels_teaches_a_network_nothing(tmp_path):
    def hidden(label: int, random: np.random.Generator) -> bytes:
        pixels = random.integers(0, 256, (8, 8, 4), dtype=np.uint8)
        pixels[:4] = 255 * label
        pixels[:4, :, 3] = 0
        pixels[4:, :, 3] = 255
        return saved(pixels)

    with pytest.raises(SpecError, match="E314"):
        clean_accuracy(tmp_path / "refused", "resize=none", hidden)
    assert clean_accuracy(tmp_path / "dropped", "resize=none, transparency=drop", hidden) == 100
    assert clean_accuracy(tmp_path / "white", "resize=none, transparency=white", hidden) < 90
