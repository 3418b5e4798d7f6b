"""A batch of images to a randomly changed one.

What is drawn is drawn on the CPU, for a whole epoch at once. Distributions are those of torchvision's `RandomCrop`,
`RandomHorizontalFlip`, `ColorJitter`, `RandomRotation` and `RandomResizedCrop`, drawn anew for each image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from satdsl.backend.colour import jittered, scheduled
from satdsl.backend.geometry import cropped, enlarged, flipped, rotated
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

Shape = Sequence[int]
"""Channels, height, width."""

TRIES = 10
"""Windows drawn for `resized_crop` before the whole image is taken."""


CACHED = 2**20
"""Pixels that a CPU changes at a time, so that they stay in its cache. The outcome does not depend on it."""


@dataclass(frozen=True, eq=False)
class AugmentationDraw:
    """One change of every image of an epoch: `change(pixels, *numbers)`, each of `numbers` [n, ...]."""

    change: Callable[..., Tensor]
    numbers: tuple[Tensor, ...]

    def to(self, device: str) -> AugmentationDraw:
        return AugmentationDraw(self.change, tuple(numbers.to(device, non_blocking=True) for numbers in self.numbers))


def draw_augmentations(
    augment: Sequence[CatalogCall], n: int, shape: Shape, random: Generator
) -> list[AugmentationDraw]:
    """Draw every change for n images of this shape.

    StepError for a change that this version has not, or that does not fit the images.
    """
    for change in augment:
        if change.name not in DRAWS:
            raise StepError(f"this version has no augmentation called {change.name}", f"it has {', '.join(DRAWS)}")
    return [DRAWS[change.name](change, n, shape, random) for change in augment]


def apply_augmentations(pixels: Tensor, changes: Sequence[AugmentationDraw], batch: slice) -> Tensor:
    """The batch of an epoch that `batch` cuts out, changed: uint8 [n, c, h, w] to the same."""
    step = len(pixels) if pixels.device.type != "cpu" else max(1, CACHED // pixels[0].numel())
    parts = [_changed(part, changes, batch.start + i * step) for i, part in enumerate(torch.split(pixels, step))]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _changed(pixels: Tensor, changes: Sequence[AugmentationDraw], start: int) -> Tensor:
    """The images of an epoch from `start` on, as many as these, changed."""
    for change in changes:
        pixels = change.change(pixels, *[numbers[start : start + len(pixels)] for numbers in change.numbers])
    return pixels


# --- what is drawn ---------------------------------------------------------------------------------


def _crop(change: CatalogCall, n: int, shape: Shape, random: Generator) -> AugmentationDraw:
    padding = int(change["padding"])
    corner = torch.randint(0, 2 * padding + 1, (n, 2), generator=random)
    return AugmentationDraw(partial(cropped, padding=padding), (corner[:, 0], corner[:, 1]))


def _flip(change: CatalogCall, n: int, shape: Shape, random: Generator) -> AugmentationDraw:
    return AugmentationDraw(flipped, (torch.randint(0, 2, (n,), generator=random) == 1,))


def _color_jitter(change: CatalogCall, n: int, shape: Shape, random: Generator) -> AugmentationDraw:
    """Factors uniform in [max(0, 1 - v), 1 + v], a shift of the hue uniform in [-v, v], in any order."""
    if shape[0] not in (1, 3):
        raise StepError(
            f"color_jitter changes grey or RGB images, these have {shape[0]} channels", "leave it out of `augment`"
        )
    of_grey, of_colour = ("brightness", "contrast"), ("saturation", "hue")
    kinds = [kind for kind in (of_grey if shape[0] == 1 else of_grey + of_colour) if change[kind]]
    amounts = torch.empty((n, len(kinds)))
    for column, kind in zip(amounts.unbind(1), kinds, strict=True):
        strength = float(change[kind])
        least, most = (-strength, strength) if kind == "hue" else (max(0.0, 1 - strength), 1 + strength)
        column.uniform_(least, most, generator=random)
    when = torch.rand((n, len(kinds)), dtype=torch.float64, generator=random)
    return AugmentationDraw(jittered, scheduled(kinds, amounts, when))


def _rotation(change: CatalogCall, n: int, shape: Shape, random: Generator) -> AugmentationDraw:
    degrees = torch.empty(n).uniform_(-float(change["degrees"]), float(change["degrees"]), generator=random)
    angle = degrees.double().deg2rad()
    return AugmentationDraw(rotated, (angle.cos().float(), angle.sin().float()))


def _resized_crop(change: CatalogCall, n: int, shape: Shape, random: Generator) -> AugmentationDraw:
    """The first of ten windows that fits: 8 to 100 % of the area, sides 3:4 to 4:3 (uniform in the logarithm).

    Where none fits, the whole image is taken (torchvision's central part, which of a square is the whole).
    """
    size = int(change["size"])
    if tuple(shape[1:]) != (size, size):
        raise StepError(
            f"resized_crop(size={size}) does not keep the images' size, {shape[1]} x {shape[2]} pixels",
            f"give the data set `resize={size}`, or `resized_crop` the size of its images",
        )
    area, ratio, below, beside = torch.rand((4, n, TRIES), dtype=torch.float64, generator=random)
    area, ratio = size**2 * (0.08 + 0.92 * area), ((2 * ratio - 1) * math.log(4 / 3)).exp()
    height, width = (area / ratio).sqrt_().round_(), (area * ratio).sqrt_().round_()
    fits = (height <= size) & (width <= size) & (height > 0) & (width > 0)
    top, left = (below * (size - height + 1)).floor_(), (beside * (size - width + 1)).floor_()
    windows = torch.stack([top, left, height, width], 2)
    windows = torch.cat([windows, torch.tensor([0.0, 0, size, size], dtype=torch.float64).expand(n, 1, 4)], 1)
    first = torch.where(fits, torch.arange(TRIES), TRIES).amin(1)
    return AugmentationDraw(enlarged, (windows[torch.arange(n), first].float(),))


DRAWS: Mapping[str, Callable[[CatalogCall, int, Shape, Generator], AugmentationDraw]] = {
    "crop": _crop,
    "resized_crop": _resized_crop,
    "flip": _flip,
    "color_jitter": _color_jitter,
    "rotation": _rotation,
}
"""By an augmentation's name: what draws it for n images of a shape."""
