"""Warn if gradients mislead the attacks by gradient, so that robustness is overestimated (Athalye et al., 2018)."""

from __future__ import annotations

import numpy as np

from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import loss_and_gradient
from satdsl.backend.images import EVALUATION_BATCH, Images
from satdsl.backend.inference import full_precision
from satdsl.backend.models import Network

ZERO_GRADIENTS = 0.05
"""A larger share of images without gradient brings a warning."""

BLACK_BOX = 0.05
"""A larger share, of the images that the attacks by gradient left, that Square breaks brings a warning, too."""

FEWEST = 2
"""Square must break at least so many images for a warning."""

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
"""What to tell a user instead of what `pyautoattack` logs, by words of its message."""


def gradient_counts(network: Network, images: Images, device: str) -> tuple[int, int]:
    """Return for how many images the gradient of the cross-entropy is exactly zero, and for how many not finite."""
    if not len(images):
        return 0, 0
    attacked_network, flat, broken = AttackCopy(network).refresh(), 0, 0
    with full_precision():
        for x, y in images.batches(EVALUATION_BATCH, device):
            _, gradient = loss_and_gradient(attacked_network, x, y)
            flat += int((gradient == 0).flatten(1).all(1).sum())
            broken += int((~gradient.isfinite()).flatten(1).any(1).sum())
    return flat, broken


def broken_gradient_warnings(share: float) -> list[str]:
    """Return a warning if at this share of the attacked images, any at all, the gradient is not finite."""
    if not share:
        return []
    return [
        f"the gradient of the cross-entropy is NaN or infinite on {share:.1%} of the images that were attacked, so "
        "attacks by gradient give up there and the accuracy under them overestimates robustness; look for a division "
        "by 0 or the root of 0 in the network, and measure with autoattack(version=custom, attacks=[square])"
    ]


def zero_gradient_warnings(share: float) -> list[str]:
    """Return a warning if this share of the attacked images has no gradient."""
    if share <= ZERO_GRADIENTS:
        return []
    return [
        f"the gradient of the cross-entropy is exactly zero on {share:.0%} of the images that were attacked, so "
        "attacks by gradient cannot move there and the accuracy under them overestimates robustness; "
        "measure with autoattack, and look at how many images its Square breaks"
    ]


def square_warnings(broken_by: np.ndarray, attacks: tuple[str, ...]) -> list[str]:
    """Return a warning if Square broke many images; `broken_by` [n] and `attacks` are those of `measure.Rows`."""
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
    """Return what to tell a user instead of what `pyautoattack` logged; an unknown message stays as it is."""
    return next((text for words, text in AUTOATTACK_WARNINGS.items() if words in logged), logged)
