"""Make the small files that examples of findings use: weights, arrays and odd images, told by their names."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from math import prod

from satdsl.catalog.models import ModelEntry
from satdsl.ir.steps import CatalogCall

Shapes = Mapping[str, tuple[int, ...]]


def content(name: str) -> bytes:
    """Return what is in the file of this name; nothing, where the name says nothing."""
    make = SAMPLES.get(name.rpartition("/")[2])
    return make() if make is not None else b""


def array(shape: tuple[int, ...], descr: str, numbers: bytes = b"") -> bytes:
    """Return a .npy file of these numbers, or of zeros; `descr` is the type as NumPy writes it, `<f4` or `|u1`."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    begin = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    return begin + header.encode() + (numbers or bytes(prod(shape) * int(descr[2:])))


def weights(shapes: Shapes, **texts: str) -> bytes:
    """Return a safetensors file of zeros in float32, with `texts` as its metadata."""
    return _header(shapes, texts) + bytes(4 * sum(prod(shape) for shape in shapes.values()))


def _header(shapes: Shapes, texts: Mapping[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": texts} if texts else {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def write_weights(path: str, model: str, channels: int, classes: int) -> None:
    """Write a file of zeros for an architecture with its defaults; the zeros take no place on the disk."""
    entry = ModelEntry.of(model)
    assert entry.outline is not None
    shapes = entry.outline(CatalogCall(model, tuple(entry.defaults.items()), entry.defaults), channels, classes)
    header = _header(shapes, {})
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(len(header) + 4 * sum(prod(shape) for shape in shapes.values()))


def png(side: int, levels: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of grey pixels, with more chunks, each its kind and its content."""
    rows = b"".join(b"\0" + levels[row : row + side] for row in range(0, side * side, side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    written = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        written += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return written


def turned() -> bytes:
    """Return a PNG that its EXIF data want turned by 90 degrees."""
    orientation = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    return png(8, bytes(range(64)), (b"eXIf", b"MM\0*" + struct.pack(">IH", 8, 1) + orientation + bytes(4)))


def small_cnn(width: int = 16, channels: int = 1, classes: int = 10) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the weights of a small network."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = channels
    for place, outputs in ((0, width), (3, 2 * width), (6, 4 * width)):
        shapes[f"features.{place}.weight"] = (outputs, inputs, 3, 3)
        norm = ("weight", "bias", "running_mean", "running_var")
        shapes |= {f"features.{place + 1}.{part}": (outputs,) for part in norm}
        inputs = outputs
    return shapes | {"fc.weight": (classes, inputs), "fc.bias": (classes,)}


def two_networks() -> bytes:
    """Return a file of a network and of its moving average, which differ in one byte."""
    return weights(_under("model", small_cnn(4)) | _under("ema", small_cnn(4)))[:-1] + b"\x01"


def weight_normed() -> bytes:
    """Return a file of a network whose last layer is under weight normalisation."""
    shapes = small_cnn(4)
    rows, columns = shapes.pop("fc.weight")
    return weights(shapes | {"fc.weight_g": (rows, 1), "fc.weight_v": (rows, columns)})


def normalised() -> bytes:
    """Return a file of a network whose images are normalised with mean=[0], std=[1]."""
    shapes = _under("model", small_cnn(4)) | {"normalize.mean": (1,), "normalize.std": (1,)}
    return weights(shapes)[:-4] + struct.pack("<f", 1.0)


def _under(prefix: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


SAMPLES: Mapping[str, Callable[[], bytes]] = {
    "weights.pt": lambda: weights(small_cnn()),
    "pets.safetensors": lambda: weights(small_cnn(channels=3, classes=3), classes='["cat", "dog", "fox"]'),
    "narrow.pt": lambda: weights(small_cnn(4)),
    "pointer.pt": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 44730000\n",
    "two.pt": two_networks,
    "normalised.pt": normalised,
    "normed.pt": weight_normed,
    "images.npy": lambda: array((3, 1, 8, 8), "|u1"),
    "logits.npy": lambda: array((3, 10), "<f4"),
    "pixels.npy": lambda: array((4, 8, 8), "|u1", bytes(range(256))),
    "classes.npy": lambda: array((4,), "|u1", bytes((0, 1, 0, 1))),
    "from_one.npy": lambda: array((4,), "|u1", bytes((1, 2, 1, 2))),
    "narrow.npy": lambda: array((4, 3, 8, 3), "|u1"),
    "shades.npy": lambda: array((4, 8, 8), "<f4", struct.pack("<256f", *range(256))),
    "few.npy": lambda: array((2, 10), "<f4"),
    "panorama.ppm": lambda: b"P6 2 1 255\n" + bytes(range(6)),
    "scan.ppm": lambda: b"P5 1 1 65535\n" + bytes((15, 255)),
    "heights.ppm": lambda: b"Pf 1 1 -1.0\n" + bytes(4),
    "camera.png": turned,
}
