"""Read and decode image files when their pixels are needed.

A data set with one file per image can be larger than the memory, so only its list of files is kept. Each file is read,
compared with what the data step read, and decoded to RGB. There are two ways. `files[positions]` decodes in threads,
for a caller who waits. `files.read(batches)` decodes ahead in worker processes, for a caller who trains meanwhile:
while a GPU computes batch 7, the workers decode batches 8 to 11, so that the GPU does not wait.

`decode_image` says what becomes of each kind of image. What has no one meaning is refused, never guessed.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from satdsl.image_folders import shown
from satdsl.image_headers import (
    BACKGROUND,
    MOST_PIXELS,
    OPAQUE,
    PHOTOMETRIC,
    TRANSPARENT,
    WAY_OUT,
    ImageHeader,
    after_error,
    header_of,
    opened,
    read_header,
    with_opacity,
)
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError
from satdsl.machine import cores

Array = np.ndarray[Any, Any]
Positions = Tensor | slice
"""Selects images: int64 positions, a boolean mask [n], or a slice."""

MOST_WORKERS = 8
"""At most so many worker processes decode ahead."""

PREFETCHED = 2
"""Batches that each worker has decoded or is decoding."""

MOST_PREFETCHED_BYTES = 2 << 30
"""At most so many bytes of pixels are decoded ahead, and never more than half of the free shared memory."""

SHARED_MEMORY = Path("/dev/shm")
CHUNK = 256
"""Files that are handed to the threads at a time, so that an interrupt need not wait for all files."""

MOST_NAMED = 3
"""So many files are named for each reason why files cannot be used, and so many reasons."""

TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What puts an image upright, as Pillow calls it, by the orientation that EXIF states."""

WHITE_IS_ZERO = 0
"""The value of TIFF's tag PHOTOMETRIC for grey levels of which 0 is white."""


@dataclass(frozen=True)
class Decoding:
    """How files become pixels, whatever is in them.

    With a `size`, in pixels, the shorter side is scaled to size * 256 / 224, then the central square is cut out; None
    leaves images as they are. `transparency` says what is done with pixels that show what is behind them: `refuse`, put
    `white` or `black` behind, or `drop` the transparency, as torchvision does. `exif` says whether the orientation that
    EXIF states is to `apply`, or to `ignore`, as torchvision does. `enlarge` scales, as everyone scales photographs,
    even an image whose shorter side has the size already.
    """

    size: int | None
    transparency: str = "drop"
    exif: str = "ignore"
    enlarge: bool = True

    @classmethod
    def of(cls, source: CatalogCall) -> Decoding:
        """Return how the files of a data set are decoded. Published sets are read as torchvision reads them."""
        size, transparency = source.get("resize"), source.get("transparency")
        if transparency is None:
            return cls(size)
        return cls(size, transparency, source.get("exif"), enlarge=False)


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """n image files that are read like a tensor of pixels, uint8 [n, 3, h, w].

    `names` are their paths below `root`, bytes [n], as the file system spells them. `digests`, uint8 [n, 32], are the
    SHA-256 that the files must have; None accepts any.
    """

    root: Path
    names: Array
    decoding: Decoding
    digests: Array | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape of all pixels, [n, 3, h, w]."""
        return (len(self), *self._image_shape)

    @cached_property
    def _image_shape(self) -> tuple[int, int, int]:
        size = self.decoding.size
        if size is not None or not len(self):
            return 3, size or 0, size or 0
        unusable = []
        for position in range(len(self)):
            try:
                _, height, width = self._decoded(position, self._content(position)).shape
                return 3, height, width
            except UnusableImage as error:
                unusable.append(error)
        raise all_together(unusable, len(self))

    def path(self, position: int) -> Path:
        """Return the path of one file."""
        return self.root / os.fsdecode(self.names[position])

    def at(self, rows: Positions) -> ImageFiles:
        """Select some of the files, without reading them."""
        chosen = rows.numpy() if isinstance(rows, Tensor) else rows
        digests = None if self.digests is None else self.digests[chosen]
        found = replace(self, names=self.names[chosen], digests=digests)
        if "_image_shape" in self.__dict__:  # some of the images have the shape that all of them have
            found.__dict__["_image_shape"] = self._image_shape
        return found

    def __getitem__(self, rows: Positions) -> Tensor:
        """Decode some of the files now: uint8 [k, 3, h, w]."""
        wanted = self.at(rows)
        pixels = np.empty(wanted.shape, dtype=np.uint8)
        wanted.decode_into(pixels)
        return torch.from_numpy(pixels)

    def decode_into(self, pixels: Array) -> None:
        """Decode all files into `pixels`, uint8 [n, 3, h, w], with a thread for each core.

        Raises:
            StepError: A file cannot be decoded or has changed.
        """
        unusable = self.decode_usable(pixels)
        if unusable:
            raise all_together(unusable, len(self))

    def decode_usable(self, pixels: Array) -> list[UnusableImage]:
        """Decode those files into `pixels`, uint8 [n, 3, h, w], that can be decoded; return why the others cannot.

        Raises:
            StepError: A file cannot be read, or has changed.
        """
        unusable = []
        for start, images in self._map_in_threads(self._attempt):
            for position, image in enumerate(images, start):
                if isinstance(image, UnusableImage):
                    unusable.append(image)
                else:
                    pixels[position] = image
        return unusable

    def read(self, batches: Sequence[Positions], pinned: bool = False) -> Iterator[Tensor]:
        """Give the pixels of each batch in turn, decoded ahead by worker processes.

        The workers end with the iterator and with this process. The global random state is left alone. `pinned`
        memory lets a GPU fetch the pixels while the host goes on.

        Raises:
            StepError: A file cannot be decoded or has changed, or a worker was killed.
        """
        positions = [self._positions(rows) for rows in batches]
        workers = worker_count(len(batches), max(map(len, positions), default=0) * math.prod(self._image_shape))
        if not workers:
            yield from (self[rows] for rows in batches)
            return
        loader = DataLoader(
            _DecodingDataset(self),
            batch_sampler=positions,
            collate_fn=_unchanged,
            num_workers=workers,
            prefetch_factor=PREFETCHED,
            pin_memory=pinned,
            generator=torch.Generator(),
            # Forked children start in milliseconds, and they never touch a GPU, which would not survive a fork.
            multiprocessing_context="fork" if sys.platform == "linux" else None,
        )
        try:
            for pixels in loader:
                if isinstance(pixels, StepError):
                    raise pixels
                yield pixels
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise StepError(
                f"a process that decoded images was killed: {error}",
                "it may have run out of memory: free some, and run again",
            ) from error

    def with_digests(self, seen: Any = lambda done: None) -> tuple[ImageFiles, Array, list[UnusableImage]]:
        """Read all files; return them with their digests, their sizes in bytes, int64 [n], and those of no use.

        Every file is decoded once, so that what is wrong with it is known before a training comes to it. `seen` is told
        how many have been read.

        Raises:
            StepError: A file cannot be read.
        """
        digests, sizes = np.zeros((len(self), 32), dtype=np.uint8), np.zeros(len(self), dtype=np.int64)
        unusable = []
        for start, found in self._map_in_threads(self._inspect):
            for position, inspected in enumerate(found, start):
                if isinstance(inspected, UnusableImage):
                    unusable.append(inspected)
                    continue
                digest, sizes[position] = inspected
                digests[position] = np.frombuffer(digest, dtype=np.uint8)
            seen(start + len(found))
        return replace(self, digests=digests), sizes, unusable

    def _map_in_threads(self, work: Any) -> Iterator[tuple[int, list[Any]]]:
        with ThreadPoolExecutor(cores()) as pool:
            for start in range(0, len(self), CHUNK):
                yield start, list(pool.map(work, range(start, min(start + CHUNK, len(self)))))

    def _content(self, position: int) -> bytes:
        path = self.path(position)
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise StepError(f"{shown(path)} cannot be read: {reason}", "put it back where it was") from error
        if self.digests is not None and hashlib.sha256(content).digest() != self.digests[position].tobytes():
            raise StepError(
                f"{shown(path)} has changed since the data step read it",
                "restore it, or remove the stored data step to start again from the present files",
            )
        return content

    def _decoded(self, position: int, content: bytes) -> Array:
        return decode_image(self.path(position), content, self.decoding)

    def _decode(self, position: int) -> Array:
        return self._checked(position, self._content(position))

    def _checked(self, position: int, content: bytes) -> Array:
        image = self._decoded(position, content)
        if image.shape != self._image_shape:
            raise UnusableImage(
                self.path(position),
                f"its shape is {_sides(image.shape)}, others have {_sides(self._image_shape)}",
                "give the data set a size to which all its images are brought: resize=224",
            )
        return image

    def _attempt(self, position: int) -> Array | UnusableImage:
        try:
            return self._decode(position)
        except UnusableImage as error:
            return error

    def _inspect(self, position: int) -> tuple[bytes, int] | UnusableImage:
        content = self._content(position)
        try:
            self._checked(position, content)
        except UnusableImage as error:
            return error
        return hashlib.sha256(content).digest(), len(content)

    def _positions(self, rows: Positions) -> list[int]:
        chosen = rows.numpy() if isinstance(rows, Tensor) else rows
        positions: list[int] = np.arange(len(self))[chosen].tolist()
        return positions


class _DecodingDataset(Dataset[Tensor]):
    """Image files as worker processes see them: positions in, pixels out.

    An error is returned, not raised: `DataLoader` would bury its message in a traceback.
    """

    def __init__(self, files: ImageFiles) -> None:
        self.files = files

    def __getitems__(self, positions: list[int]) -> Tensor | StepError:
        try:
            return torch.from_numpy(np.stack([self.files._decode(position) for position in positions]))
        except StepError as error:
            return error


def _unchanged(batch: Any) -> Any:
    return batch


def worker_count(batches: int, batch_bytes: int) -> int:
    """Return how many processes decode ahead; one core is left to the caller who uses the pixels.

    That is 0 if there is one core or one batch, no room for pixels in shared memory, or if this process may not have
    children.
    """
    if multiprocessing.current_process().daemon:
        return 0
    room = (
        min(MOST_PREFETCHED_BYTES, shutil.disk_usage(SHARED_MEMORY).free // 2)
        if SHARED_MEMORY.exists()
        else MOST_PREFETCHED_BYTES
    )
    return max(0, min(MOST_WORKERS, cores() - 1, batches - 1, room // (PREFETCHED * max(batch_bytes, 1))))


class UnusableImage(StepError):
    """An image file from which no pixels are taken: which one, why, and what to do about it."""

    def __init__(self, path: Path, why: str, help: str) -> None:
        super().__init__(f"{shown(path)} cannot be used: {why}", help)
        self.path, self.why = path, why
        self.args = path, why, help  # what it is made of again, in another process


def all_together(unusable: Sequence[UnusableImage], total: int) -> StepError:
    """Return one error for all files, of `total`, that cannot be used: how many for each reason, and the first ones."""
    if len(unusable) == 1:
        return unusable[0]
    reasons: dict[str, list[UnusableImage]] = {}
    for one in unusable:
        reasons.setdefault(one.why, []).append(one)
    parts = []
    for why, those in sorted(reasons.items(), key=lambda reason: -len(reason[1]))[:MOST_NAMED]:
        names = ", ".join(shown(one.path) for one in those[:MOST_NAMED])
        parts.append(f"{why} ({len(those):,}: {names}{', ...' * (len(those) > MOST_NAMED)})")
    if len(reasons) > MOST_NAMED:
        parts.append("...")
    helps = dict.fromkeys(one.help for one in unusable)
    return StepError(
        f"{len(unusable):,} of {total:,} images cannot be used: {'; '.join(parts)}", "; ".join([*helps][:MOST_NAMED])
    )


def decode_image(path: Path, content: bytes, decoding: Decoding) -> Array:
    """Decode the content of the image file at `path` to uint8 [3, h, w].

    Raises:
        UnusableImage: The content is no image or a damaged one, or it is not known what its pixels mean.
    """
    from PIL import Image

    if not content:
        raise _unusable(path, read_header(content))
    header = ImageHeader()
    try:
        with opened(content) as opened_image:
            header = header_of(opened_image, content)
            if header.problem:
                raise _unusable(path, header)
            image = _in_colour(path, opened_image, header, decoding.transparency)
    except UnusableImage:
        raise
    except Exception as error:  # Pillow's readers raise nearly anything where bytes are not what they expect
        if isinstance(error, MemoryError):
            raise
        raise _unusable(path, after_error(header, content, error)) from error
    if decoding.exif == "apply" and header.orientation in TURNS:
        image = image.transpose(getattr(Image.Transpose, TURNS[header.orientation]))
    if decoding.size is not None:
        image = _central_square(path, image, decoding.size, decoding.enlarge)
    return np.asarray(image).transpose(2, 0, 1)


def _unusable(path: Path, header: ImageHeader) -> UnusableImage:
    return UnusableImage(path, header.detail, WAY_OUT[header.problem])


def _in_colour(path: Path, image: Any, header: ImageHeader, transparency: str) -> Any:
    """Convert an opened image to RGB: what its pixels mean, in 8 bits."""
    from PIL import Image

    if header.sixteen_bit_grey:
        grey, opaque = _sixteen_bit_levels(image, header)
        layers = [Image.fromarray(band) for band in (grey, opaque)]
        image = Image.merge("LA", layers) if header.alpha else layers[0]
    if not header.alpha:
        return image.convert("RGB")
    colours = image.convert("RGBA") if header.sixteen_bit_grey else with_opacity(image, header)
    if transparency == "drop" or colours.getextrema()[3][0] == OPAQUE:
        return colours.convert("RGB")
    if transparency == "refuse":
        raise UnusableImage(path, TRANSPARENT, BACKGROUND)
    return Image.alpha_composite(Image.new("RGBA", colours.size, transparency), colours).convert("RGB")


def _sixteen_bit_levels(image: Any, header: ImageHeader) -> tuple[Array, Array]:
    """Return the grey levels and the opacity of an image of more than 8 bits, uint8 [h, w] each.

    The greatest number that the bits can hold is white, 255, in between it is rounded. A TIFF file may say that 0 is
    white.
    """
    white = 2**header.bits - 1
    levels = np.asarray(image).astype(np.uint32)
    opaque = np.where(levels == image.info.get("transparency", -1), 0, 255).astype(np.uint8)
    if header.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        levels = white - levels
    return ((levels * 255 + white // 2) // white).astype(np.uint8), opaque


def _central_square(path: Path, image: Any, size: int, enlarge: bool) -> Any:
    """Cut out the central square, after scaling the shorter side to size * 256 / 224 (see `Decoding`)."""
    if enlarge or min(image.size) != size:
        image = _scaled(path, image, size)
    left, top = ((side - size) // 2 for side in image.size)
    return image.crop((left, top, left + size, top + size))


def _scaled(path: Path, image: Any, size: int) -> Any:
    from PIL import Image

    scale = round(size * 256 / 224) / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    if width * height > max(MOST_PIXELS, 64 * size * size):
        raise UnusableImage(
            path, f"it has {image.width}x{image.height} pixels, too long for its width", "cut it, or remove it"
        )
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)
