"""Measure after each epoch how robust a network is, which shows catastrophic overfitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import Attack, attack_of
from satdsl.backend.holdout import DataParts
from satdsl.backend.images import EVALUATION_BATCH, Images, balanced_subsample
from satdsl.backend.inference import full_precision
from satdsl.backend.randomness import Stream, generator
from satdsl.catalog import overfitting_probe as probe
from satdsl.ir.steps import Train

SEED = 0
"""Seed of the probe's random starts, the same after every epoch and in every run."""


@dataclass(frozen=True, eq=False)
class OverfittingProbe:
    """Measures the accuracy of `network` on `images` of `part`, without attack and under a short `attack`.

    The curves of the training itself cannot show catastrophic overfitting: the network withstands the attack that it
    is trained with, and no other (Wong, Rice and Kolter, 2020).
    """

    network: AttackCopy
    part: str
    images: Images
    attack: Attack

    @classmethod
    def create(cls, network: nn.Module, settings: Train, parts: DataParts, classes: int) -> OverfittingProbe | None:
        """Return a probe on the hold-out; if there is none, on training images without augmentation.

        Returns None for a training that attacks nothing.
        """
        choice = probe.probe(subset.attack for subset in settings.subsets)
        attack = None if choice is None else attack_of(choice)
        if attack is None:
            return None
        part, images = ("hold-out", parts.selection) if parts.selection else ("train", parts.train)
        chosen = torch.from_numpy(balanced_subsample(images.labels.numpy(), classes, probe.IMAGES))
        return cls(AttackCopy(network), part, images.at(chosen), attack)

    def measure(self, device: str) -> dict[str, Any]:
        """Measure the accuracies: `{"part", "n", "clean", "robust"}`."""
        clean, robust, noise = [], [], generator(SEED, Stream.EVALUATION, device=device)
        network = self.network.refresh()
        with full_precision():
            for x, y in self.images.batches(EVALUATION_BATCH, device):
                adversarial = self.attack(network, x, y, noise)
                with torch.no_grad():
                    right = network(x).argmax(1) == y
                    clean.append(right)
                    robust.append(right & (network(adversarial).argmax(1) == y))
        n = len(self.images)
        counts = [int(torch.cat(found).sum()) for found in (clean, robust)]
        return {"part": self.part, "n": n, "clean": counts[0] / n, "robust": counts[1] / n}
