"""Say what speaks against the numbers of an evaluation, from counts that those of its blocks add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from satdsl.artifacts.outcomes import ONE_CLASS
from satdsl.backend.gradient_masking import (
    broken_gradient_warnings,
    gradient_counts,
    square_warnings,
    zero_gradient_warnings,
)
from satdsl.backend.images import Images
from satdsl.backend.measure import Rows
from satdsl.backend.models import Network
from satdsl.backend.nearest_images import not_found_warnings

FEWEST_IMAGES = 10
"""Of fewer images all may well be taken for the same class."""


@dataclass(frozen=True)
class Counts:
    """What was noticed while some images were measured, beside their rows.

    `predicted` are the classes that the network names without attack, ascending. Of the `attacked` images, those that
    are right without attack, the gradient is exactly zero at some and not finite at others. `warned` is what the attack
    warned of.
    """

    predicted: tuple[int, ...] = ()
    attacked: int = 0
    zero_gradients: int = 0
    broken_gradients: int = 0
    warned: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """Return the counts as JSON data, from which `Counts(**document)` makes them again."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def counted(network: Network, images: Images, rows: Rows, device: str, source: Network | None = None) -> Counts:
    """Return what there is to notice of measured images.

    The gradients are those of the network that was attacked: of `source`, where the images were made on another.
    """
    predicted = () if rows.predicted is None else tuple(np.unique(rows.predicted).tolist())
    if not rows.attacks:
        return Counts(predicted)
    attacked = images.at(torch.from_numpy(np.flatnonzero(rows.broken_by != 0)))
    flat, broken = gradient_counts(network if source is None else source, attacked, device)
    return Counts(predicted, len(attacked), flat, broken, rows.warnings)


def added(parts: Sequence[Counts]) -> Counts:
    """Return the counts of all images, from those of blocks."""
    return Counts(
        tuple(sorted({klass for part in parts for klass in part.predicted})),
        sum(part.attacked for part in parts),
        sum(part.zero_gradients for part in parts),
        sum(part.broken_gradients for part in parts),
        tuple(sorted({text for part in parts for text in part.warned})),
    )


def reliability(
    counts: Counts,
    labels: np.ndarray,
    broken_by: np.ndarray,
    attacks: tuple[str, ...],
    classes: Sequence[str],
    distance: np.ndarray | None = None,
    *,
    elsewhere: bool = False,
) -> dict[str, Any]:
    """Return what speaks against the numbers: `warnings`, and under attack the share of `zero_gradients`.

    `labels` and `broken_by`, [n], `attacks` and `distance` are those of the rows; `elsewhere` where the images were
    made on another network.
    """
    collapsed = one_class_warnings(labels, counts.predicted, classes)
    if not attacks:
        return {"warnings": collapsed}
    share = counts.zero_gradients / max(counts.attacked, 1)
    warnings = [
        *broken_gradient_warnings(counts.broken_gradients / max(counts.attacked, 1)),
        *zero_gradient_warnings(share),
        *square_warnings(broken_by, attacks),
        *not_found_warnings(distance, ", ".join(attacks)),
        *counts.warned,
    ]
    if elsewhere:
        warnings = [f"of the network that the images were made on: {text}" for text in warnings]
    return {"zero_gradients": share, "warnings": [*collapsed, *warnings]}


def one_class_warnings(labels: np.ndarray, predicted: Sequence[int], classes: Sequence[str]) -> list[str]:
    """Return a warning if a network names one class for all of many images (labels int64 [n])."""
    if len(predicted) != 1 or len(labels) < FEWEST_IMAGES or len(np.unique(labels)) == 1:
        return []
    return [
        f"{ONE_CLASS}, {classes[predicted[0]]}, for all {len(labels):,} images: its accuracy, "
        "with or without attack, is the share of that class and no more; if it was trained here, look at its curves, "
        "and train with a lower learning rate, or longer; if its weights were given, at its architecture and its "
        "normalisation"
    ]
