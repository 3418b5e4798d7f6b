"""Refuse numbers that are not finite where a class, a loss or a score would be read off them.

The largest of NaNs is the first: a network that gives nothing but NaN is "right" on every image of class 0, and
withstands every attack there. So each of these is an error, and no number is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from satdsl.ir.work import StepError

BROKEN = (
    "look at where the weights come from: a training that diverged, a variance of batch norm that is negative, a "
    "`std` of 0"
)


def require_finite_weights(weights: Mapping[str, Tensor], what: str, help: str) -> None:
    """Raise StepError if a weight or statistic of a state dict is NaN or infinite; `what` begins the sentence."""
    numbers = {name: tensor for name, tensor in weights.items() if tensor.is_floating_point()}
    if not numbers:
        return
    # Asked for together, since every answer of a GPU is waited for.
    finite = torch.stack([tensor.isfinite().all() for tensor in numbers.values()]).tolist()
    broken = [name for name, good in zip(numbers, finite, strict=True) if not good]
    if broken:
        raise StepError(
            f"{what} has weights that are NaN or infinite, in {len(broken)} of {len(numbers)} tensors, the first of "
            f"them {broken[0]}",
            help,
        )


def require_finite_outputs(outputs: Tensor, index: Tensor) -> None:
    """Raise StepError if a network gives NaN or infinity (outputs [n, k]) for an image (dataset `index` [n])."""
    broken = ~outputs.isfinite().all(1)
    count = int(broken.sum())
    if count:
        first = int(index[int(broken.nonzero()[0, 0])])
        raise StepError(
            f"the network gives NaN or infinity for {count} of {len(outputs)} images, the first of dataset index "
            f"{first}, so no class can be read off it",
            BROKEN,
        )


def require_finite_images(adversarial: Tensor, attack: str) -> None:
    """Raise StepError if an attack made images of NaN, which happens where a gradient is not finite."""
    count = int((~adversarial.isfinite()).flatten(1).any(1).sum())
    if count:
        raise StepError(
            f"{attack} made {count} images with pixels that are not numbers: the network's gradient is NaN or infinite "
            "there",
            "look for a division by 0 or the root of 0 in the network; without gradients measures "
            "autoattack(version=custom, attacks=[square])",
        )


def require_finite_scores(scores: np.ndarray, index: np.ndarray, score: str) -> None:
    """Raise StepError if the score of an image (dataset `index` [n]) is NaN or infinite; it would be ranked."""
    broken = ~np.isfinite(scores)
    if broken.any():
        raise StepError(
            f"{score} is NaN or infinite for {broken.sum()} of {len(scores)} training images, the first of dataset "
            f"index {index[broken][0]}",
            BROKEN,
        )


class FiniteOutputs(nn.Module):
    """A network that counts the images for which it gives NaN or infinity, without waiting for the device.

    Images that are not numbers themselves are counted apart: an attack makes them of a gradient that is not finite, and
    most attacks then go on from the last real image.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.broken: Tensor | None = None
        self.lost: Tensor | None = None
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.network(images)
        with torch.no_grad():
            real_images = images.detach().flatten(1).sum(1).isfinite()
            broken = (real_images & ~outputs.detach().isfinite().all(1)).sum()
            lost = (~real_images).sum()
            self.broken = broken if self.broken is None else self.broken + broken
            self.lost = lost if self.lost is None else self.lost + lost
        return outputs

    def warnings(self, attack: str) -> list[str]:
        """Return a warning if an attack was led astray by gradients that are not finite."""
        if self.lost is None or not int(self.lost):
            return []
        return [
            f"{attack} tried images that are not numbers, since the network's gradient is NaN or infinite somewhere in "
            "the ball: attacks by gradient give up there, and the accuracy under them overestimates robustness; look "
            "for a division by 0 or the root of 0 in the network, and measure with autoattack(version=custom, "
            "attacks=[square])"
        ]

    def check(self, when: str) -> None:
        """Raise StepError if there was such an image; `when` says what was done then."""
        count = 0 if self.broken is None else int(self.broken)
        if count:
            raise StepError(
                f"{when} the network gives NaN or infinity for {count} of the images that were tried, so no class can "
                "be read off it",
                BROKEN,
            )
