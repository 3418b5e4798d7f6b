"""Give images as an attack makes them, batch by batch, to whatever takes images as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import attack_of
from satdsl.backend.finite_numbers import FiniteOutputs, require_finite_images
from satdsl.backend.images import EVALUATION_BATCH, Images
from satdsl.backend.inference import full_precision
from satdsl.backend.measure import SEED
from satdsl.backend.randomness import Stream, generator
from satdsl.backend.registry import entry_of
from satdsl.catalog.attacks import AttackEntry
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError


@dataclass(frozen=True, eq=False)
class AttackedImages(Images):
    """Images whose batches are those that an attack makes against `network`.

    All are attacked, those that are wrong without attack as well. They are made anew for each pass over them: an image
    depends on its place, the attack and a seed alone, and not on the size of the batches that are asked for.
    """

    network: nn.Module
    attack: CatalogCall

    @classmethod
    def of(cls, images: Images, network: nn.Module, attack: CatalogCall) -> AttackedImages:
        """Return images as an attack makes them; raise StepError for one that makes no images."""
        if entry_of(AttackEntry, attack).ensemble:
            reason = f"{attack.name} makes no images that could be scored"
            raise StepError(reason, "score the images of pgd")
        return cls(images.pixels, images.labels, images.index, network, attack)

    def batches(self, size: int, device: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Give (images as attacked, labels) in order, at most `size` at a time, on `device`."""
        attack = attack_of(self.attack)
        # Who asks may want no gradients, but an attack does.
        with torch.inference_mode(False):
            attacked_network = FiniteOutputs(AttackCopy(self.network).refresh())
        plain = super().batches(EVALUATION_BATCH, device)
        for start in range(0, len(self), EVALUATION_BATCH):
            with torch.inference_mode(False), torch.enable_grad(), full_precision():
                x, y = next(plain)
                adversarial = attack(attacked_network, x, y, generator(SEED, Stream.EVALUATION, start, device)).detach()
            attacked_network.check(f"under {self.attack.name}")
            require_finite_images(adversarial, self.attack.name)
            for rows in (slice(first, first + size) for first in range(0, len(y), size)):
                yield adversarial[rows], y[rows]
