"""A folder of many images to seconds: read for the first time, and read again when nothing, or one image, has changed.

    python benchmarks/folders.py --images 100000

The images are small, of 100 classes; their files were made some seconds before, so that the cache keeps all of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import struct
import sys
import tempfile
import textwrap
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from satdsl import folder_contents

OUTPUT = Path(__file__).resolve().parent / "results" / "folders.md"
AIM = 2.0
"""Seconds in which a folder of 100,000 images is to be read again."""

CLASSES = 100


def image(number: int) -> bytes:
    """Return a PNG of 4x4 grey pixels, which are others for each number."""
    rows = b"".join(b"\0" + struct.pack(">I", number * (row + 1) & 0xFFFFFFFF) for row in range(4))
    chunks = (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def make(folder: Path, images: int) -> None:
    """Write the images, a tenth of them for validation, and wait until they are no longer new."""
    for part in ("train", "val"):
        for k in range(CLASSES):
            (folder / part / f"class{k:03}").mkdir(parents=True)
    for number in range(images):
        part = "val" if number % 10 == 0 else "train"
        (folder / part / f"class{number // 10 % CLASSES:03}" / f"{number:06}.png").write_bytes(image(number))
    time.sleep(folder_contents.MARGIN_NS / 1e9 + 1)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        os.environ["SATDSL_CACHE"] = f"{place}/cache"
        folder = Path(place, "pictures")
        make(folder, given.images)
        first = seconds(lambda: folder_contents.read(folder))
        again = [seconds(lambda: folder_contents.read(folder)) for _ in range(given.rounds)]
        changed = []
        for number in range(given.rounds):
            (folder / "train/class000/000001.png").write_bytes(image(-number))
            changed.append(seconds(lambda: folder_contents.read(folder)))
        cached = sum(file.stat().st_size for file in Path(place, "cache/folders").glob("*.files"))
    OUTPUT.write_text(page(given.images, first, again, changed, cached, load), "utf-8")
    print(OUTPUT.read_text("utf-8"))


def page(images: int, first: float, again: list[float], changed: list[float], cached: int, load: float) -> str:
    """Return the page of results."""
    rows = [("the first time: listed, read, hashed, headers read", [first]), ("again, nothing has changed", again)]
    rows.append(("again, one image has changed", changed))
    table = "\n".join(
        f"| {what} | {statistics.median(took):.2f} | {min(took):.2f} to {max(took):.2f} |" for what, took in rows
    )
    reached = "reached" if statistics.median(again) < AIM else "not reached"
    about = (
        f"Written by `benchmarks/folders.py`. A folder of {images:,} images of {len(image(1))} bytes in {CLASSES} "
        "classes, listed by content for the key, the checker and the reader (`satdsl.folder_contents.read`): seconds "
        f"of one process, medians of {len(again)} rounds. The cache has {cached / 1e6:.1f} MB."
    )
    where = f"{os.cpu_count()} cores; Python {platform.python_version()}, {sys.platform}. "
    return "\n\n".join(
        (
            "# Folders by content",
            textwrap.fill(about, 100),
            f"| what | s (median) | range |\n|---|---:|---:|\n{table}",
            f"Again, nothing has changed: aim below {AIM:g} s for 100,000 images: {reached}.",
            f"{where}Load average when it began: {load:.1f}.\n",
        )
    )


if __name__ == "__main__":
    main()
