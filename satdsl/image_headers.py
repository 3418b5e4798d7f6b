"""Read from the bytes of an image file what it holds: size, mode and orientation, or why it is no image of use.

The checker and the data step both ask this module, so that they agree on which files can be read. Pixels are decoded
only where a file looks cut off. Pillow is imported when the first file is read.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

from satdsl.records import Record, record

VERSION = 2
"""Raised when the same bytes would give another header, so that a cache of headers is read anew."""

FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")
"""The formats that are read, as Pillow calls them. It could read more, some by starting other programs.

A camera's MPO file is opened as JPEG.
"""

MOST_PIXELS = 178_956_970
"""An image of more pixels is refused: Pillow takes it for an attack. It is twice `Image.MAX_IMAGE_PIXELS`."""

EMPTY, CUT, NO_IMAGE, TOO_LARGE, SEVERAL, MODE = "empty", "cut", "no image", "too large", "several", "mode"
"""What can be wrong with a file (`ImageHeader.problem`)."""

UNREADABLE = (EMPTY, CUT, NO_IMAGE, TOO_LARGE)
"""Problems of files that no program could read; the others hold pixels, of which it is not known what they mean."""

WAY_OUT = {
    EMPTY: "put a whole copy in its place, or remove it",
    CUT: "put a whole copy in its place, or remove it",
    NO_IMAGE: "put the image in its place, or remove it",
    TOO_LARGE: "make it smaller, or cut it into pieces",
    SEVERAL: "save the one that is meant as a file of its own",
    MODE: "save it with 8 bits for each channel, after deciding which values are black and white",
}
"""What can be done about each problem."""

TRANSPARENT = "some of its pixels are transparent, and what is to be seen behind them is not known"
BACKGROUND = (
    "give the data set `transparency=white` or `transparency=black` to put that behind them; `transparency=drop` takes "
    "the colours that the file has in its transparent pixels, as torchvision does"
)
"""What is wrong with an image that is really transparent, and the way out. Only decoding it tells."""

READ_AS_THEY_ARE = frozenset(("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"))
WITH_ALPHA = frozenset(("LA", "PA", "RGBA", "La", "RGBa"))
SIXTEEN_BITS = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))

EXIF_ORIENTATION = 0x0112
BITS_PER_SAMPLE, PHOTOMETRIC, NEW_SUBFILE_TYPE, SAMPLE_FORMAT = 258, 262, 254, 339
EXTRA_SAMPLES = 338
SIGNED, UNSPECIFIED = 2, 0
OPAQUE = 255
STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 273, 279, 324, 325
REDUCED_OR_MASK = 0b101
"""Bits of a TIFF page's type: a smaller copy of another page, or a mask for it."""

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

PADDING = 64
"""A JPEG that ends in so many zeros, without its end mark, is the start of a download."""

SIGNATURES = (
    (0, b"version https://git-lfs", "a Git LFS pointer: the file itself was not downloaded (`git lfs pull`)"),
    (0, b"<!doctype html", "a page of HTML, as a failed download leaves it"),
    (0, b"<html", "a page of HTML, as a failed download leaves it"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "XML"),
    (0, b"%pdf", "a PDF document"),
    (0, b"%!ps", "a PostScript document"),
    (0, b"8bps", "a Photoshop document"),
    (0, b"\x00\x05\x16\x07", "an AppleDouble file, which macOS leaves beside the real one"),
    (0, b"pk\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x93numpy", "a NumPy array"),
    (0, b"\x89hdf", "an HDF5 file"),
    (0, b"\x00\x00\x00\x0cjp  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\x00\x00\x00\x0cjxl ", "a JPEG XL image"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftypavis", "an AVIF image"),
    (4, b"ftyphei", "a HEIC image"),
    (4, b"ftyphev", "a HEIC image"),
    (4, b"ftypmif1", "a HEIC image"),
    (4, b"ftypmsf1", "a HEIC image"),
    (128, b"dicm", "a DICOM image"),
    (0, b"version ", "text"),
)
"""Where the bytes (letters in lower case) stand that tell what a file is instead."""


@record
class ImageHeader(Record):
    """What one image file holds. `problem` is empty where it can be read; `detail` says more of the problem.

    Width and height are as the pixels are stored, in pixels; a TIFF file's own orientation is taken into account, as
    Pillow takes it. `bits` are those of one channel. `orientation` is that of EXIF, 1 to 8; 1 is upright. `alpha` says
    that the file has an alpha channel or a transparent colour, which may be used or not. Where there is a problem, the
    other values are what is known of the file.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    bits: int = 0
    orientation: int = 1
    alpha: bool = False
    problem: str = ""
    detail: str = ""

    @property
    def row(self) -> tuple[str | int | bool, ...]:
        """Return the values in order, to be written as JSON."""
        return tuple(getattr(self, name) for name in self._names)

    @classmethod
    def of_row(cls, row: Any) -> ImageHeader:
        """Return the header that `row` was made from.

        Raises:
            ValueError: It is no such row.
        """
        kinds = (str, int, int, str, int, int, bool, str, str)
        if not isinstance(row, (list, tuple)) or len(row) != len(kinds) or any(map(_differs, row, kinds)):
            raise ValueError(f"no image header: {row!r}")
        return cls(*row)

    @property
    def sixteen_bit_grey(self) -> bool:
        """Return whether this is one channel of more than 8 bits, whose greatest value is white."""
        return self.mode in SIXTEEN_BITS or (self.mode == "I" and self.format in ("PNG", "PPM"))


def _differs(value: Any, kind: type) -> bool:
    return type(value) is not kind


def read_header(content: bytes) -> ImageHeader:
    """Return what the image file with these bytes holds, whatever they are."""
    if not content:
        return ImageHeader(problem=EMPTY, detail="the file has 0 bytes")
    found = ImageHeader()
    try:
        with opened(content) as image:
            found = header_of(image, content)
            if not found.problem and looks_cut(image, content):
                image.load()
            return found
    except Exception as error:  # Pillow's readers raise nearly anything where bytes are not what they expect
        return after_error(found, content, error)


def opened(content: bytes) -> Any:
    """Open an image with Pillow, which reads its header only.

    Raises:
        Exception: The bytes are no image. Pillow raises errors of many kinds.
    """
    return _pillow().open(io.BytesIO(content), formats=FORMATS)


@cache
def _pillow() -> Any:
    """Return Pillow, with the readers of all FORMATS, and of no others, which would take longer."""
    for name in ("Bmp", "Gif", "Jpeg", "Png", "Ppm", "Tiff", "WebP"):
        import_module(f"PIL.{name}ImagePlugin")
    # What Pillow warns of, such as tags that are cut off, has no bearing on the pixels, or becomes a problem below.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    return import_module("PIL.Image")


def header_of(image: Any, content: bytes) -> ImageHeader:
    """Return the header of an image that was opened with Pillow. Whether the file is complete is not looked at."""
    found = ImageHeader(
        format=str(image.format),
        width=int(image.width),
        height=int(image.height),
        mode=str(image.mode),
        bits=_bits(image, content),
        orientation=_orientation(image, content),
        alpha=image.mode in WITH_ALPHA or "transparency" in image.info,
    )
    if min(image.size) < 1:
        return _wrong(found, NO_IMAGE, f"its size is {image.width}x{image.height} pixels")
    if image.width * image.height > MOST_PIXELS:
        return _wrong(found, TOO_LARGE, f"it has {image.width}x{image.height} pixels")
    if unknown := _of_no_one_meaning(image, found):
        return _wrong(found, MODE, unknown)
    if _ends_in_zeros(content):
        return _wrong(found, CUT, "a part of it is missing or damaged")
    if _holds_several(image):
        return _wrong(found, SEVERAL, "it is animated" if image.format != "TIFF" else "it has several pages")
    return found


def _of_no_one_meaning(image: Any, found: ImageHeader) -> str:
    """Return why it is not known which bytes the pixels become; nothing where it is."""
    if found.mode == "F":
        return "its pixels are floating-point numbers (mode F), and which of them is white is not known"
    if found.format == "TIFF" and SIGNED in _many(image.tag_v2.get(SAMPLE_FORMAT, 1)):
        return "its pixels are signed numbers, and which of them is white is not known"
    if found.format == "TIFF" and UNSPECIFIED in _many(image.tag_v2.get(EXTRA_SAMPLES, ())):
        return "it has more channels than colours, and what they show is not known"
    if found.mode == "I" and not found.sixteen_bit_grey:
        return "its pixels are 32-bit numbers (mode I), and which of them is white is not known"
    if found.mode == "RGB" and found.bits == 16 and found.alpha:
        return "its colours have 16 bits, and one of them is transparent"
    if found.mode in READ_AS_THEY_ARE or found.mode in WITH_ALPHA or found.sixteen_bit_grey:
        return ""
    return f"its colours are of the mode {found.mode}, which is not read"


def _wrong(found: ImageHeader, problem: str, detail: str) -> ImageHeader:
    return replace(found, problem=problem, detail=detail)


def after_error(found: ImageHeader, content: bytes, error: Exception) -> ImageHeader:
    """Return what is wrong with a file at which Pillow raised an error; `found` is what was known of it before."""
    from PIL import Image

    if isinstance(error, Image.DecompressionBombError):
        return _wrong(found, TOO_LARGE, f"it has more than {MOST_PIXELS:,} pixels")
    if not found.format and _is_unknown_tiff(content):
        return _wrong(
            ImageHeader(format="TIFF"),
            MODE,
            "its channels are stored in a way that is not read, such as 64-bit numbers",
        )
    if found.format or starts_like_an_image(content):
        return _wrong(found, CUT, "a part of it is missing or damaged")
    return _wrong(found, NO_IMAGE, what_else(content))


def _is_unknown_tiff(content: bytes) -> bool:
    """Return whether this is a complete TIFF file of channels that Pillow does not know, such as 64-bit numbers."""
    from PIL import TiffImagePlugin

    if content[:4] not in TIFF_STARTS:
        return False
    try:
        TiffImagePlugin.TiffImageFile(io.BytesIO(content))
    except Exception as error:  # as of `read_header`
        return "unknown pixel mode" in str(error)
    return False


def starts_like_an_image(content: bytes) -> bool:
    """Return whether the first bytes are those of a format that is read."""
    if content[:4] == b"RIFF":
        return content[8:12] in (b"WEBP"[: len(content) - 8], b"WEBP")
    return content.startswith(
        (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a", b"P5\n", b"P6\n", *TIFF_STARTS)
    )


def what_else(content: bytes) -> str:
    """Return what a file is that is no image, as far as its first bytes tell."""
    start = content[:160].removeprefix(b"\xef\xbb\xbf").lower()
    for place, signature, what in SIGNATURES:
        if start[place:].startswith(signature) or (not place and start.lstrip().startswith(signature)):
            return f"it is {what}"
    if not any(content[:1024]):
        return "it begins with zeros"
    return "it is of no known image format"


def _bits(image: Any, content: bytes) -> int:
    """Return how many bits a channel has in the file; Pillow's mode tells only how many it has in memory."""
    if image.format == "PNG" and len(content) > 24:
        return content[24]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(BITS_PER_SAMPLE, (1,))))
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return 16
    return {"1": 1, "I": 32, "F": 32}.get(image.mode, 8)


def _orientation(image: Any, content: bytes) -> int:
    """Return the orientation that EXIF (or XMP) states; 1 where it states none, or one that Pillow applies itself."""
    if image.format == "TIFF":
        return 1
    told = "exif" in image.info or "Raw profile type exif" in image.info or "XML:com.adobe.xmp" in image.info
    # Of a PNG file whose EXIF stands behind the pixels, `getexif` would decode all of them.
    if image.format == "PNG" and not told and b"eXIf" not in content:
        return 1
    try:
        value = image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # as of `read_header`: a damaged block of EXIF is no reason to refuse an image
        return 1
    return value if type(value) is int and 1 <= value <= 8 else 1


def _holds_several(image: Any) -> bool:
    """Return whether there is more than one image: frames of an animation, or pages that are not small copies."""
    if image.format in ("PNG", "WEBP"):
        return bool(getattr(image, "is_animated", False))
    if image.format == "GIF":
        return _seek(image, 1)
    if image.format == "TIFF":
        for page in range(1, 33):
            if not _seek(image, page):
                break
            if not image.tag_v2.get(NEW_SUBFILE_TYPE, 0) & REDUCED_OR_MASK:
                return True
        image.seek(0)
    return False  # a camera's MPO file is a photograph with a preview of it


def _seek(image: Any, frame: int) -> bool:
    """Go to a frame; return whether there is one, and go back to the first where there is none."""
    try:
        image.seek(frame)
    except EOFError:
        image.seek(0)
        return False
    return True


def looks_cut(image: Any, content: bytes) -> bool:
    """Return whether an opened image seems to end too early, so that only decoding it tells."""
    match image.format:
        case "JPEG" | "MPO":
            return not _has_jpeg_end(content)
        case "PNG":
            return b"IEND" not in content[-64:]
        case "BMP" | "PPM":
            return not _pixels_are_there(image, content)
        case "TIFF":
            return _end_of_strips(image.tag_v2) > len(content)
        case "WEBP":
            return int(struct.unpack_from("<I", content, 4)[0]) + 8 > len(content)
    return True


def _end_of_strips(tags: Any) -> float:
    """Return where the last strip or tile of a TIFF image ends, in bytes; infinity where the file does not say."""
    for offsets, counts in ((STRIP_OFFSETS, STRIP_BYTES), (TILE_OFFSETS, TILE_BYTES)):
        if tags.get(offsets) and tags.get(counts):
            return max(map(sum, zip(_many(tags[offsets]), _many(tags[counts]), strict=False)))
    return float("inf")


def _many(values: Any) -> tuple[int, ...]:
    return values if isinstance(values, tuple) else (values,)


def _pixels_are_there(image: Any, content: bytes) -> bool:
    """Return whether an uncompressed image's file is long enough for its pixels."""
    if not image.tile or image.tile[0][0] not in ("raw", "ppm"):
        return False
    codec, _, offset, args = image.tile[0]
    channels = len(image.getbands())
    bits = {"1": 1, "I": 16}.get(image.mode, 8 * channels)
    if codec == "ppm":  # the greatest level is another than 255, which tells how many bytes each number has
        bits = channels * (8 if args[1] < 256 else 16)
    needed: int = (image.width * bits + 7) // 8 * image.height
    return len(content) - int(offset) >= needed


def _ends_in_zeros(content: bytes) -> bool:
    """Return whether this is a JPEG file with zeros in the place of its end, which would be decoded as grey."""
    return content.endswith(bytes(PADDING)) and content.startswith(b"\xff\xd8") and not _has_jpeg_end(content)


def _has_jpeg_end(content: bytes) -> bool:
    return content.rstrip(b"\0\r\n ")[-2:] == b"\xff\xd9"


def with_opacity(image: Any, header: ImageHeader) -> Any:
    """Return an opened image of 8 bits as RGBA, whose last channel is 255 where the image is opaque."""
    if header.mode == "L" and header.alpha and header.bits < 8:
        # Pillow scales the pixels of a PNG file of 2 or 4 bits to 8, but not the level that is transparent.
        image.info["transparency"] = image.info["transparency"] * 255 // (2**header.bits - 1)
    if header.mode in ("La", "RGBa"):
        image = image.convert(header.mode.upper())  # colours that were multiplied by their opacity
    return image.convert("RGBA")


def has_transparent_pixels(content: bytes) -> bool:
    """Return whether an image shows what is behind it anywhere.

    It is not seen of one that cannot be decoded, nor of one of 16 bits of which a grey level is transparent.
    """
    try:
        with opened(content) as image:
            header = header_of(image, content)
            return not header.sixteen_bit_grey and bool(with_opacity(image, header).getextrema()[3][0] < OPAQUE)
    except Exception:  # as of `read_header`
        return False


def brightness(content: bytes) -> float:
    """Return the greatest level among the pixels of an image, as a share of white; 0 for one that cannot be decoded."""
    try:
        with opened(content) as image:
            header = header_of(image, content)
            if header.sixteen_bit_grey:
                white: int = 2**header.bits - 1
                return float(image.getextrema()[1]) / white
            return max(float(greatest) for _, greatest in image.convert("RGB").getextrema()) / OPAQUE
    except Exception:  # as of `read_header`
        return 0
