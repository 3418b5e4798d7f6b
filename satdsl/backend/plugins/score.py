"""Score training images by a plug-in: `(network, images, labels, *, ...)` to a number for each image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from satdsl.backend.images import EVALUATION_BATCH, Images
from satdsl.backend.inference import full_precision
from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.networks import lent
from satdsl.backend.plugins.returned import one_number_each
from satdsl.backend.randomness import Stream, generator


def numbers(
    plugin: Plugin,
    network: nn.Module,
    images: Images,
    device: str,
    passed: Callable[[int], None] = lambda done: None,
    what: str = "score",
) -> Tensor:
    """Return one number for each image, float64 [n] on `device`: evaluation mode, no augmentation.

    The random numbers of a batch are the same in every run.
    """
    found: list[Tensor] = []
    with full_precision(), lent(network, plugin):
        for number, (x, y) in enumerate(images.batches(EVALUATION_BATCH, device)):
            own = generator(0, Stream.PLUGIN, number, device)
            value = plugin(own.initial_seed(), network=network, images=x, labels=y, generator=own)
            found.append(one_number_each(plugin, value, len(y), device, what).detach())
            passed(min(len(images), (number + 1) * EVALUATION_BATCH))
    return torch.cat(found)
