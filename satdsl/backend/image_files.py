"""Read and decode image files when their pixels are needed.

A data set with one file per image can be larger than the memory, so only its list of files is kept. Each file is read,
compared with what the data step read, and decoded to RGB. There are two ways. `files[positions]` decodes in threads,
for a caller who waits. `files.read(batches)` decodes ahead in worker processes, for a caller who trains meanwhile:
while a GPU computes batch 7, the workers decode batches 8 to 11, so that the GPU does not wait.
"""

from __future__ import annotations

import hashlib
import io
import math
import multiprocessing
import os
import shutil
import struct
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from satdsl.ir.work import StepError

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

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error)
"""What Pillow raises for files that are no image or not a complete one."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """n image files that are read like a tensor of pixels, uint8 [n, 3, h, w].

    `names` are their paths below `root`, bytes [n], as the file system spells them. With a `size` the shorter side is
    scaled to size * 256 / 224, then the central square is cut out; None leaves images as they are. `digests`, uint8
    [n, 32], are the SHA-256 that the files must have; None accepts any.
    """

    root: Path
    names: Array
    size: int | None
    digests: Array | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape of all pixels, [n, 3, h, w]."""
        return (len(self), *self._image_shape)

    @cached_property
    def _image_shape(self) -> tuple[int, int, int]:
        if self.size is not None or not len(self):
            return 3, self.size or 0, self.size or 0
        return header_shape(self.path(0), self._content(0))

    def path(self, position: int) -> Path:
        """Return the path of one file."""
        return self.root / os.fsdecode(self.names[position])

    def at(self, rows: Positions) -> ImageFiles:
        """Select some of the files, without reading them."""
        chosen = rows.numpy() if isinstance(rows, Tensor) else rows
        digests = None if self.digests is None else self.digests[chosen]
        return replace(self, names=self.names[chosen], digests=digests)

    def __getitem__(self, rows: Positions) -> Tensor:
        """Decode some of the files now: uint8 [k, 3, h, w]."""
        wanted = self.at(rows)
        pixels = np.empty(wanted.shape, dtype=np.uint8)
        wanted.decode_into(pixels)
        return torch.from_numpy(pixels)

    def decode_into(self, pixels: Array) -> None:
        """Decode all files into `pixels`, uint8 [n, 3, h, w], with a thread for each core."""
        for start, images in self._map_in_threads(self._decode):
            pixels[start : start + len(images)] = images

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

    def with_digests(self, seen: Any = lambda done: None) -> tuple[ImageFiles, Array]:
        """Read all files; return the same files with their digests, and their sizes in bytes, int64 [n].

        `seen` is told how many have been read.

        Raises:
            StepError: A file is no image, or does not have the shape of the others.
        """
        digests, sizes = np.empty((len(self), 32), dtype=np.uint8), np.empty(len(self), dtype=np.int64)
        for start, found in self._map_in_threads(self._inspect):
            for position, (digest, size) in enumerate(found, start):
                digests[position], sizes[position] = np.frombuffer(digest, dtype=np.uint8), size
            seen(start + len(found))
        return replace(self, digests=digests), sizes

    def _map_in_threads(self, work: Any) -> Iterator[tuple[int, list[Any]]]:
        with ThreadPoolExecutor(max(1, cores())) as pool:
            for start in range(0, len(self), CHUNK):
                yield start, list(pool.map(work, range(start, min(start + CHUNK, len(self)))))

    def _content(self, position: int) -> bytes:
        path = self.path(position)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StepError(f"{path} cannot be read: {error.strerror or error}", "put it back where it was") from error
        if self.digests is not None and hashlib.sha256(content).digest() != self.digests[position].tobytes():
            raise StepError(
                f"{path} has changed since the data step read it",
                "restore it, or remove the stored data step to start again from the present files",
            )
        return content

    def _decode(self, position: int) -> Array:
        image = decode_image(self.path(position), self._content(position), self.size)
        self._check_shape(position, image.shape)
        return image

    def _inspect(self, position: int) -> tuple[bytes, int]:
        content = self._content(position)
        shape = header_shape(self.path(position), content)
        if self.size is None:
            self._check_shape(position, shape)
        return hashlib.sha256(content).digest(), len(content)

    def _check_shape(self, position: int, shape: tuple[int, ...]) -> None:
        if shape != self._image_shape:
            raise StepError(
                f"{self.path(position)} has the shape {_sides(shape)}, others have {_sides(self._image_shape)}",
                "give the data set a size to which all its images are brought: resize=224",
            )

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


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_image(path: Path, content: bytes, size: int | None) -> Array:
    """Decode the content of the image file at `path` to uint8 [3, h, w]; grey images become RGB.

    Raises:
        StepError: The content is no image, or a damaged one.
    """
    from PIL import Image

    with _opened(path, content) as opened:
        image = opened.convert("RGB")
    if size is not None:
        scale = round(size * 256 / 224) / min(image.size)
        width, height = (max(size, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image).transpose(2, 0, 1)


def header_shape(path: Path, content: bytes) -> tuple[int, int, int]:
    """Return the shape, (3, height, width), that the header of the image file at `path` states.

    Raises:
        StepError: The content is no image.
    """
    with _opened(path, content) as opened:
        return 3, opened.height, opened.width


@contextmanager
def _opened(path: Path, content: bytes) -> Iterator[Any]:
    """Open an image with Pillow, and turn what it raises into a StepError."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            yield image
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        reason = str(error).split(" <_io")[0] or type(error).__name__
        help = "put an undamaged copy in its place"
        raise StepError(f"{path} is no image that can be decoded: {reason}", help) from error


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)
