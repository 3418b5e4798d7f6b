"""A mixed batch to each image's training loss: cross-entropy, or TRADES (Zhang et al., 2019) on a subset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from satdsl.backend.attacks import Attack, attack_of, pgd, pgd_settings
from satdsl.backend.recipe import Recipe
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

TRADES_NOISE = 1e-3
"""Standard deviation of the Gaussian that TRADES starts from, as its authors' code has it.

At the image itself the gradient of what it maximises is zero.
"""


@dataclass(frozen=True, eq=False)
class AdversarialTerm:
    """For the images at `rows` of a batch: adversarial versions that `beta` times their distance counts for."""

    rows: Tensor
    images: Tensor
    beta: float


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a training-mode pass over a batch of n gave.

    `losses` float32 [n]; `right` bool [n], on the images trained on (under TRADES the clean ones); `fooled` bool [n],
    whether the image is taken for another class, under TRADES the adversarial one.
    """

    losses: Tensor
    right: Tensor
    fooled: Tensor


def kl_divergence(logits: Tensor, log_p: Tensor) -> Tensor:
    """KL(p || softmax(logits)) of each image, in nats: [n, classes] and ln p [n, classes] to [n]."""
    return F.kl_div(F.log_softmax(logits, 1), log_p, reduction="none", log_target=True).sum(1)


def subset_attack(attack: CatalogCall | None, loss: CatalogCall | None) -> tuple[Attack | None, float | None]:
    """How a subset is attacked in training, and TRADES' beta, None under cross-entropy.

    StepError where TRADES has no attack to take its ball from, or for a loss that this version has not.
    """
    if loss is None or loss.name == "cross_entropy":
        return (None if attack is None else attack_of(attack)), None
    if loss.name != "trades":
        raise StepError(f"this version has no loss called {loss.name}", "cross_entropy or trades(beta=6)")
    if attack is None:
        raise StepError("TRADES needs an attack on its subset", "pgd gives its ball, steps and step size")
    return trades_attack(attack), float(loss["beta"])


def trades_attack(choice: CatalogCall) -> Attack:
    """TRADES' inner maximisation (Zhang et al., 2019, algorithm 1): PGD on KL(p(x) || p(x')), p(x) held fixed.

    Ball, steps, step size and iterate are those of the subset's attack. Without a random start of its own it
    begins at x + 0.001 N(0, 1).
    """
    settings = pgd_settings(choice)

    def attack(network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        with torch.no_grad():
            clean = F.log_softmax(network(images), 1)
        start = None
        if settings["random_start"] == "none":
            noise = torch.randn(images.shape, generator=generator, device=images.device)
            start = (images + TRADES_NOISE * noise).clamp_(0, 1)
        return pgd(network, images, clean, **settings, start=start, objective=kl_divergence, generator=generator)

    return attack


def train_pass(
    network: nn.Module, images: Tensor, labels: Tensor, terms: Sequence[AdversarialTerm], recipe: Recipe
) -> PassResult:
    """Pass the mixed batch [n, c, h, w] and the adversarial images of `terms` through the network, in its present mode.

    All go through the network at once, so that batch norm sees one batch, as it does without TRADES; TRADES' own code
    makes one pass for clean and one for adversarial images.
    """
    n = len(images)
    with torch.autocast(images.device.type, recipe.dtype, enabled=recipe.dtype is not None):
        outputs = network(torch.cat([images, *(term.images for term in terms)]) if terms else images).float()
    clean = outputs[:n]
    losses = recipe.losses(clean, labels)
    right = clean.detach().argmax(1) == labels
    fooled = ~right
    start = n
    for term in terms:
        adversarial = outputs[start : start + len(term.rows)]
        start += len(term.rows)
        distance = kl_divergence(adversarial, F.log_softmax(clean[term.rows], 1))
        losses = losses.index_add(0, term.rows, distance, alpha=term.beta)
        fooled[term.rows] = adversarial.detach().argmax(1) != labels[term.rows]
    return PassResult(losses, right, fooled)
