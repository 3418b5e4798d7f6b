"""Measure after each epoch how robust a network is, which shows catastrophic overfitting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

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
    """Measures the accuracy of `network` on `images` of `part`, without attack and under short `attacks`, by norm.

    The curves of the training itself cannot show catastrophic overfitting: the network withstands the attack that it
    is trained with, and no other (Wong, Rice and Kolter, 2020).
    """

    network: AttackCopy
    part: str
    images: Images
    attacks: Mapping[str, Attack]

    @classmethod
    def create(cls, network: nn.Module, settings: Train, parts: DataParts, classes: int) -> OverfittingProbe | None:
        """Return a probe on the hold-out; if there is none, on training images without augmentation.

        Returns None for a training that attacks nothing.
        """
        choices = probe.probes(attack for subset in settings.subsets for attack in subset.every_attack)
        if not choices:
            return None
        attacks = {choice["norm"]: attack_of(choice) for choice in choices}
        part, images = ("hold-out", parts.selection) if parts.selection else ("train", parts.train)
        chosen = torch.from_numpy(balanced_subsample(images.labels.numpy(), classes, probe.IMAGES))
        return cls(AttackCopy(network), part, images.at(chosen), attacks)

    def measure(self, device: str) -> dict[str, Any]:
        """Measure the accuracies: `{"part", "n", "clean", "robust"}`.

        Of several norms `under` has the robust accuracy under each, and `robust` is the lowest of them.
        """
        clean: list[Tensor] = []
        robust: dict[str, list[Tensor]] = {norm: [] for norm in self.attacks}
        noise = generator(SEED, Stream.EVALUATION, device=device)
        network = self.network.refresh()
        with full_precision():
            for x, y in self.images.batches(EVALUATION_BATCH, device):
                adversarial = {norm: attack(network, x, y, noise) for norm, attack in self.attacks.items()}
                with torch.no_grad():
                    right = network(x).argmax(1) == y
                    clean.append(right)
                    for norm, moved in adversarial.items():
                        robust[norm].append(right & (network(moved).argmax(1) == y))
        n = len(self.images)
        under = {norm: int(torch.cat(found).sum()) / n for norm, found in robust.items()}
        found = {"part": self.part, "n": n, "clean": int(torch.cat(clean).sum()) / n, "robust": min(under.values())}
        return found | ({"under": under} if len(under) > 1 else {})
