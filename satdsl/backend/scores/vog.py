"""Score an image by the variance of its gradients (VoG) over snapshots, without keeping a snapshot.

Agarwal, D'souza and Hooker, 2022 ("Estimating Example Difficulty Using Variance of Gradients"), section 3: over the
snapshots, the standard deviation of the gradient of the right class's logit by each pixel (each channel of it), in
population form; then its mean over the pixels. The paper goes on to standardise within each class; that is left out,
since it makes all classes equally hard (see docs/reference/language.md).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from satdsl.backend.images import Images
from satdsl.backend.inference import batch_for_gradients, full_precision, in_evaluation_mode
from satdsl.ir.work import StepError

GIB = 2**30
CHUNK = 2**22
"""Pixels whose statistics are in memory at a time."""


def vog(images: Images, device: str, scratch: Path) -> GradientVariance:
    """Return the score before the first snapshot."""
    return GradientVariance(images, scratch)


class GradientVariance:
    """Mean and squared deviations (Welford, 1962), float32, of every image's gradient over the snapshots so far.

    They are 8 bytes for every pixel (1.2 GB for CIFAR-10), so they lie in a file in the training's scratch folder, one
    row an image, and no more than a chunk of it is read into memory. The state of a training names the file it goes
    with; that one is left as it is until a later state names the other one. So a state that is saved often stays small,
    and a training that was killed continues from files that fit it.
    """

    def __init__(self, images: Images, scratch: Path) -> None:
        self.count = 0
        self._rows = len(images)
        self._pixels = images.pixels[:1].numel()
        self._files = (scratch / "vog-0.f32", scratch / "vog-1.f32")
        self._current, self._saved = 0, 0
        self._require_room(scratch)

    def add(self, network: nn.Module, images: Images, device: str, logits: Tensor | None = None) -> None:
        """Take in the next snapshot, in evaluation mode and without augmentation; raise StepError on a full disk."""
        target = 1 - self._current if self._current == self._saved else self._current
        source = self._chunks(self._files[self._current]) if self.count else self._zeros()
        self.count += 1
        size = batch_size(network, images, device)
        path = self._files[target]
        try:
            with path.open("r+b" if path.exists() else "w+b") as file:
                for rows, statistics in source:
                    part = Images(images.pixels[rows], images.labels[rows], images.index[rows])
                    gradients = right_logit_gradients(network, part, device, size).flatten(1).cpu()
                    mean, squares = torch.from_numpy(statistics).unbind(1)
                    deviation = gradients - mean
                    mean += deviation / self.count
                    squares += deviation * (gradients - mean)
                    statistics.tofile(file)
        except OSError as error:
            raise StepError(f"vog could not keep its statistics in {path}: {error}", self._way_out) from error
        self._current = target

    def values(self) -> Tensor:
        """Return the score of each image, float64 [n]."""
        rows = [np.sqrt(s[:, 1].astype(np.float64) / self.count).mean(1) for _, s in self._chunks(self._file)]
        return torch.from_numpy(np.concatenate(rows))

    def state(self) -> dict[str, Any]:
        """Return what to save. From now on, what it names stays as it is."""
        self._saved = self._current
        return {"count": self.count, "file": self._current}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state; raise StepError where its file is gone."""
        self.count, self._current, self._saved = state["count"], state["file"], state["file"]
        if self.count and not (self._file.exists() and self._file.stat().st_size == self._bytes):
            raise StepError(
                f"{self._file}, which the saved state of this training goes with, is gone or damaged",
                f"remove the folder {self._file.parent}: the training then begins anew",
            )

    @property
    def _file(self) -> Path:
        return self._files[self._current]

    @property
    def _bytes(self) -> int:
        return self._rows * self._pixels * 2 * 4

    @property
    def _way_out(self) -> str:
        return (
            f"it takes twice {self._bytes / GIB:.2g} GiB: use another score, fewer images (`limit=`) or smaller ones "
            "(`resize=`), or keep the store on another disk"
        )

    def _require_room(self, scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        there = sum(file.stat().st_size for file in self._files if file.exists())
        free = shutil.disk_usage(scratch).free
        if there + free < 2 * self._bytes:
            raise StepError(f"vog finds no room in {scratch}, where {free / GIB:.2g} GiB are free", self._way_out)

    def _chunks(self, path: Path) -> Iterator[tuple[slice, np.ndarray]]:
        """(rows, their means and squared deviations, float32 [rows, 2, pixels]), in order."""
        with path.open("rb") as file:
            for rows in self._slices():
                shape = (rows.stop - rows.start, 2, self._pixels)
                yield rows, np.fromfile(file, np.float32, np.prod(shape, dtype=int)).reshape(shape)

    def _zeros(self) -> Iterator[tuple[slice, np.ndarray]]:
        for rows in self._slices():
            yield rows, np.zeros((rows.stop - rows.start, 2, self._pixels), np.float32)

    def _slices(self) -> list[slice]:
        size = max(1, CHUNK // self._pixels)
        return [slice(start, min(start + size, self._rows)) for start in range(0, self._rows, size)]


def batch_size(network: nn.Module, images: Images, device: str) -> int:
    """Return how many of the images are put through at a time."""
    with in_evaluation_mode(network), full_precision():
        first, _ = next(images.batches(1, device))
        return batch_for_gradients(network, first)


def right_logit_gradients(network: nn.Module, images: Images, device: str, size: int) -> Tensor:
    """d z_y / dx of each image, float32 [n, c, h, w] on `device`, in evaluation mode, `size` at a time."""
    gradients = []
    with in_evaluation_mode(network), full_precision():
        for x, y in images.batches(size, device):
            x.requires_grad_()
            right = network(x).gather(1, y[:, None])
            gradients.append(torch.autograd.grad(right.sum(), x)[0].contiguous())
    return torch.cat(gradients)
