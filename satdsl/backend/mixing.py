"""Mix images of a batch in pairs, with their labels: as a last change, after all that augments single images.

An image is mixed with one of its own subset, drawn in its batch, so that all that is said of a subset (its attack, its
loss, its weight) holds for what is mixed of it; it is attacked as it is mixed. The label of a mixture is a distribution
over the classes, with lambda for the image's own and 1 - lambda for the other's: its cross-entropy is
lambda * CE(own) + (1 - lambda) * CE(other's).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from satdsl.backend.augmentations import MixingDraw
from satdsl.backend.registry import bound, entry_of
from satdsl.catalog.augmentations import AugmentationEntry
from satdsl.ir.steps import CatalogCall


@dataclass(frozen=True, eq=False)
class Mixing:
    """How the batches of an epoch are mixed: `change(images, others, *numbers)` gives mixtures and each one's lambda.

    `numbers` has a row for each batch, `others` for each batch the place of the image that each image is mixed with.
    """

    change: Callable[..., tuple[Tensor, Tensor]]
    numbers: tuple[Tensor, ...]
    others: tuple[Tensor, ...]
    classes: int

    def mixed(self, batch: int, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixtures of a batch [n, c, h, w] and their labels, float32 [n, classes]."""
        others = self.others[batch]
        found, share = self.change(images, images[others], *(numbers[batch] for numbers in self.numbers))
        own, other = (F.one_hot(of, self.classes).float() for of in (labels, labels[others]))
        return found, share.view(-1, 1) * own + (1 - share.view(-1, 1)) * other


def draw_mixing(
    change: CatalogCall,
    batches: Sequence[slice],
    subsets: NDArray[np.int64],
    shape: Sequence[int],
    random: Generator,
    classes: int,
    device: torch.device,
) -> Mixing:
    """Draw how the batches of an epoch are mixed. `subsets` has the subset of each of its images, in its order."""
    draw: MixingDraw = bound("augmentation", change)(len(batches), shape, random)
    others = [_partners(subsets[batch], random) for batch in batches]
    numbers = tuple(each.to(device, non_blocking=True) for each in draw.numbers)
    partners = torch.cat(others).to(device, non_blocking=True)
    return Mixing(draw.change, numbers, torch.split(partners, [len(each) for each in others]), classes)


def _partners(subsets: NDArray[np.int64], random: Generator) -> Tensor:
    """Return the place in a batch of each image's partner: a random order of the images of each subset."""
    found = np.arange(len(subsets))
    for subset in np.unique(subsets):
        places = np.flatnonzero(subsets == subset)
        found[places] = places[torch.randperm(len(places), generator=random).numpy()]
    return torch.from_numpy(found)


def mixes(change: CatalogCall) -> bool:
    """Return whether an augmentation mixes images."""
    return entry_of(AugmentationEntry, change).mixes
