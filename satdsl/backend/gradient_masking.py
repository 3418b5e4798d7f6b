"""What attacks found, or could not find, to warnings that gradients mislead them (Athalye et al., 2018)."""

from __future__ import annotations

import numpy as np

from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import loss_and_gradient
from satdsl.backend.images import EVALUATION_BATCH, Images
from satdsl.backend.inference import full_precision
from satdsl.backend.models import Network

ZERO_GRADIENTS = 0.05
"""A share of images without gradient above this is worth a warning."""

BLACK_BOX = 0.05
"""As is a share broken by Square of the images that the attacks by gradient before it left."""

FEWEST = 2
"""But not fewer images than this."""

AUTOATTACK_WARNINGS = {
    "randomized defense": (
        "the network gives different answers to the same image, which this version of AutoAttack takes to be one; "
        "measure with autoattack(version=rand)"
    ),
    "probability distribution": (
        "the network gives probabilities, not logits, and AutoAttack's losses lose their gradients on them; "
        "take the softmax out of the network"
    ),
    "zero gradient": (
        "AutoAttack met images at which the gradient of its DLR loss is zero, where attacks by gradient stand still; "
        "look at how many Square broke"
    ),
    "dynamic defense": (
        "the network computes gradients while it answers, which AutoAttack does not account for; "
        "measure with an attack adapted to it as well"
    ),
}
"""What `pyautoattack` logs, by words of it, in a user's words."""


def zero_gradient_share(network: Network, images: Images, device: str) -> float:
    """The share of images at which the cross-entropy's gradient is exactly zero in every value; 0 of none."""
    if not len(images):
        return 0.0
    frozen, flat = AttackCopy(network).refresh(), 0
    with full_precision():
        for x, y in images.batches(EVALUATION_BATCH, device):
            _, gradient = loss_and_gradient(frozen, x, y)
            flat += int((gradient == 0).flatten(1).all(1).sum())
    return flat / len(images)


def zero_gradient_warnings(share: float) -> list[str]:
    if share <= ZERO_GRADIENTS:
        return []
    return [
        f"the gradient of the cross-entropy is exactly zero on {share:.0%} of the images that were attacked, so "
        "attacks by gradient cannot move there and the accuracy under them overestimates robustness; "
        "measure with autoattack, and look at how many images its Square breaks"
    ]


def square_warnings(broken_by: np.ndarray, attacks: tuple[str, ...]) -> list[str]:
    """`broken_by` [n] and `attacks` as in `measure.Rows`, of an AutoAttack."""
    if "square" not in attacks[1:]:
        return []
    square = attacks.index("square") + 1
    broken, before = int((broken_by == square).sum()), int(((broken_by == -1) | (broken_by >= square)).sum())
    if broken < FEWEST or broken <= BLACK_BOX * before:
        return []
    return [
        f"Square, which sees no gradient, broke {broken} of the {before} images that the attacks by gradient left: "
        "gradients are masked, and the true robust accuracy is likely lower still; "
        "measure with an attack adapted to the network as well"
    ]


def reworded_warning(logged: str) -> str:
    """What `pyautoattack` logged; as it stands where it is none of those known."""
    return next((text for words, text in AUTOATTACK_WARNINGS.items() if words in logged), logged)
