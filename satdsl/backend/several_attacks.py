"""Attack with the strongest of several attacks, image by image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from satdsl.backend.attacks import Attack, higher, under_attack
from satdsl.backend.objectives import OBJECTIVES, Maximised, attacked_for


def strongest(attacks: Sequence[Attack | None], objective: Maximised) -> Attack:
    """Return the attack that keeps of each image what raises `objective` most (Tramèr and Boneh, 2019: max).

    None leaves images as they are. Of equals the first counts. Each attack gets what it is to take by name.
    """

    def attack(network: nn.Module, images: Tensor, labels: Tensor, generator: Generator, **named: Tensor) -> Tensor:
        best, highest = images, torch.full((len(images),), -torch.inf, device=images.device)
        with under_attack(network):
            of = attacked_for(objective, network, images, labels)
        for one in attacks:
            found = images if one is None else one(network, images, labels, generator, **named)
            with under_attack(network), torch.no_grad():
                reached = OBJECTIVES[objective](network(found).float(), of)
            best, highest = higher(found, reached, best, highest)
        return best

    return attack
