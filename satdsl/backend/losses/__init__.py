"""Train on a mixed batch: each image's loss is the cross-entropy, or what its subset is trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Generator, Tensor, nn

from satdsl.backend.attacks import Attack, attack_of
from satdsl.backend.loss_formulas import FormulaLoss, Predictions
from satdsl.backend.objectives import Maximised
from satdsl.backend.recipes import Recipe
from satdsl.backend.registry import bound, entry_of
from satdsl.backend.several_attacks import strongest
from satdsl.catalog.losses import LossEntry
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import Attacks, CatalogCall, SeveralAttacks, unscaled
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
    """The loss (None: the cross-entropy) of the images at `rows` of a batch, and other versions of them beside.

    Where the loss looks at `both`, those are the adversarial versions, and the loss is the mean over them. Otherwise
    the batch has the first version in its place, and the loss is the mean over it and those beside.
    """

    rows: Tensor
    beside: tuple[Tensor, ...]
    loss: Loss | None
    both: bool = False
    predictions: tuple[Predictions, ...] = ()
    """What other networks say, for each version, where the loss asks them."""

    def loss_of(self, version: int) -> Loss | None:
        """Return the loss of one of the versions."""
        if isinstance(self.loss, FormulaLoss) and self.predictions:
            return self.loss.beside(self.predictions[version])
        return self.loss


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
    """How a subset is trained: what attacks it, its loss (None: the cross-entropy), whether that looks at both images.

    An attack of None leaves images as they are. Of several `attacks` one is `drawn` for each batch; or the images that
    each of them makes are trained on. `scale` [n] multiplies radius and step size for each image of a batch.
    """

    attacks: tuple[Attack | None, ...]
    loss: Loss | None
    both: bool = False
    drawn: bool = False
    scale: Tensor | None = None

    @property
    def attacked(self) -> bool:
        return any(attack is not None for attack in self.attacks)

    @property
    def asks(self) -> LossFormula | None:
        """Return the formula, where it asks other networks."""
        formula = self.loss.formula if isinstance(self.loss, FormulaLoss) else None
        return formula if formula is not None and formula.teachers else None

    def only(self, place: int) -> SubsetMethod:
        """Return the method with one of its attacks."""
        return replace(self, attacks=(self.attacks[place],), drawn=False)

    def versions(
        self, network: nn.Module | None, images: Tensor, labels: Tensor, noise: Generator
    ) -> tuple[Tensor, ...]:
        """Return what each attack makes of some images."""
        scale = {} if self.scale is None else {"scale": self.scale}
        return tuple(
            images if attack is None or network is None else attack(network, images, labels, noise, **scale)
            for attack in self.attacks
        )


def subset_method(choice: Attacks | None, loss: ChosenLoss | None, label_smoothing: float = 0.0) -> SubsetMethod:
    """Return how a subset is trained; raise StepError for a loss that this version has not, or that lacks an attack.

    A loss may say what the attack maximises (`LossEntry.objective`). `label_smoothing` is the recipe's, for the
    cross-entropies in a formula.
    """
    if loss is None:
        return _method(choice, None)
    if isinstance(loss, LossFormula):
        if loss.needs_attack and choice is None:
            raise StepError(f"the loss {loss.text} needs an attack on its subset", "write it of clean images")
        return _method(choice, FormulaLoss(loss, label_smoothing), both=len(loss.looks_at) > 1)
    entry = entry_of(LossEntry, loss)
    if entry.both and choice is None:
        raise StepError(f"{loss.name} needs an attack on its subset", "pgd gives its ball, steps and step size")
    return _method(choice, None if entry.plain else bound("loss", loss), entry.both, entry.objective)


def _method(
    choice: Attacks | None, loss: Loss | None, both: bool = False, objective: Maximised | None = None
) -> SubsetMethod:
    choice = unscaled(choice)
    if not isinstance(choice, SeveralAttacks):
        return SubsetMethod((_attack(choice, objective),), loss, both)
    attacks = tuple(_attack(one, objective) for one in choice.attacks)
    if choice.how == "strongest":
        own = [one.get("objective", "ce") for one in choice.attacks if one is not None]
        attacks = (strongest(attacks, objective or own[0]),)
    return SubsetMethod(attacks, loss, both, drawn=choice.how == "drawn")


def _attack(call: CatalogCall | None, objective: Maximised | None) -> Attack | None:
    made = None if call is None else attack_of(call)
    return made if made is None or objective is None else partial(made, objective=objective)


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
    n, beside = len(images), [version for term in terms for version in term.beside]
    with torch.autocast(images.device.type, recipe.dtype, enabled=recipe.dtype is not None):
        outputs = _output(network, torch.cat([images, *beside]) if beside else images).float()
    clean = outputs[:n]
    losses = recipe.losses(clean, labels)
    named = labels if labels.dim() == 1 else labels.argmax(1)
    right = clean.detach().argmax(1) == named
    fooled, start = ~right, n
    for term in terms:
        rows, own, y = term.rows, clean[term.rows], labels[term.rows]
        versions = [outputs[start + i * len(rows) : start + (i + 1) * len(rows)] for i in range(len(term.beside))]
        start += len(rows) * len(versions)
        if versions:
            seen = torch.stack([*versions] if term.both else [own, *versions])
            fooled[rows] = (seen.detach().argmax(2) != named[rows]).any(0)
        losses = losses.index_copy(0, rows, _mean(_losses(term, losses[rows], own, versions, y, recipe)))
    return PassResult(losses, right, fooled)


def _losses(
    term: SubsetTerm, plain: Tensor, own: Tensor, versions: Sequence[Tensor], labels: Tensor, recipe: Recipe
) -> list[Tensor]:
    """Return the loss of each version of some images; `plain` and `own` are what the batch has in their place."""
    if term.both:
        losses = [term.loss_of(number) for number in range(len(versions))]
        return [loss(plain, own, seen, labels) for loss, seen in zip(losses, versions, strict=True) if loss is not None]
    pairs = [(plain, own), *((recipe.losses(version, labels), version) for version in versions)]
    losses = [term.loss_of(number) for number in range(len(pairs))]
    return [
        entropy if loss is None else loss(entropy, logits, None, labels)
        for loss, (entropy, logits) in zip(losses, pairs, strict=True)
    ]


def _mean(losses: list[Tensor]) -> Tensor:
    return losses[0] if len(losses) == 1 else torch.stack(losses).mean(0)
