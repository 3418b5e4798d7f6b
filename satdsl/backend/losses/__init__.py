"""Train on a mixed batch: each image's loss is the cross-entropy, or what its subset is trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from satdsl.backend.attacks import Attack, attack_of
from satdsl.backend.loss_formulas import FormulaLoss
from satdsl.backend.recipes import Recipe
from satdsl.backend.registry import bound, entry_of
from satdsl.catalog.losses import LossEntry
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import CatalogCall
from satdsl.ir.steps import Loss as ChosenLoss
from satdsl.ir.work import StepError

SINGLE_VALUE = (
    "a batch of one image leaves batch norm a single value for each channel where the network has shrunk the image to "
    "1 x 1, and a single value has no variance"
)
SINGLE_VALUE_HELP = "train with batch=2 or more, on two images or more, or on larger images"

Loss = Callable[[Tensor, Tensor, Tensor | None, Tensor], Tensor]
"""(cross-entropy [n] of the logits, with the recipe's label smoothing; logits [n, classes]; those of the adversarial
images, where the loss looks at both; labels [n]) to losses [n]."""


@dataclass(frozen=True, eq=False)
class SubsetTerm:
    """The loss of the images at `rows` of a batch, and their adversarial versions where it looks at both."""

    rows: Tensor
    images: Tensor | None
    loss: Loss


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a training-mode pass over a batch of n gave.

    `losses` float32 [n]; `right` bool [n], on the images trained on (the clean ones where a loss looks at both);
    `fooled` bool [n], whether the image is taken for another class (the adversarial one where a loss looks at both).
    """

    losses: Tensor
    right: Tensor
    fooled: Tensor


@dataclass(frozen=True, eq=False)
class SubsetMethod:
    """How a subset is trained: its attack, its loss (None: the cross-entropy), whether that looks at both images."""

    attack: Attack | None
    loss: Loss | None
    both: bool = False


def subset_method(attack: CatalogCall | None, loss: ChosenLoss | None, label_smoothing: float = 0.0) -> SubsetMethod:
    """Return how a subset is trained; raise StepError for a loss that this version has not, or that lacks an attack.

    A loss may say what the attack maximises (`LossEntry.objective`). `label_smoothing` is the
    recipe's, for the cross-entropies in a formula.
    """
    if loss is None:
        return SubsetMethod(None if attack is None else attack_of(attack), None)
    if isinstance(loss, LossFormula):
        if "adversarial" in loss.looks_at and attack is None:
            raise StepError(f"the loss {loss.text} needs an attack on its subset", "write it of clean images")
        attacker = None if attack is None else attack_of(attack)
        return SubsetMethod(attacker, FormulaLoss(loss, label_smoothing), len(loss.looks_at) > 1)
    entry = entry_of(LossEntry, loss)
    if entry.both and attack is None:
        raise StepError(f"{loss.name} needs an attack on its subset", "pgd gives its ball, steps and step size")
    made = None if attack is None else attack_of(attack)
    if made is not None and entry.objective is not None:
        made = partial(made, objective=entry.objective)
    return SubsetMethod(made, None if entry.plain else bound("loss", loss), entry.both)


def _output(network: nn.Module, images: Tensor) -> Tensor:
    """Pass images through a network that is being trained; raise StepError where its batch norm has a single value."""
    try:
        output: Tensor = network(images)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise StepError(SINGLE_VALUE, SINGLE_VALUE_HELP) from error
    return output


def train_pass(
    network: nn.Module, images: Tensor, labels: Tensor, terms: Sequence[SubsetTerm], recipe: Recipe
) -> PassResult:
    """Make one pass over the mixed batch [n, c, h, w] and the adversarial images of its terms, in the present mode.

    All go through the network at once, so that batch norm sees one batch, as it does without TRADES; TRADES' own code
    makes one pass for clean and one for adversarial images.
    """
    n, adversarial = len(images), [term.images for term in terms if term.images is not None]
    with torch.autocast(images.device.type, recipe.dtype, enabled=recipe.dtype is not None):
        outputs = _output(network, torch.cat([images, *adversarial]) if adversarial else images).float()
    clean = outputs[:n]
    losses = recipe.losses(clean, labels)
    named = labels if labels.dim() == 1 else labels.argmax(1)
    right = clean.detach().argmax(1) == named
    fooled, start = ~right, n
    for term in terms:
        rows, moved = term.rows, None
        if term.images is not None:
            moved = outputs[start : start + len(rows)]
            start += len(rows)
            fooled[rows] = moved.detach().argmax(1) != named[rows]
        losses = losses.index_copy(0, rows, term.loss(losses[rows], clean[rows], moved, labels[rows]))
    return PassResult(losses, right, fooled)
