"""Attack networks: what attacks have in common, and the one that a call stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from satdsl.backend.registry import bound, entry_of
from satdsl.catalog.attacks import AttackEntry
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

Target = Literal["none", "next", "random", "least_likely"]

Attack = Callable[..., Tensor]
"""(network, images in [0, 1], labels, random numbers) to adversarial images.

Where the entry says so (`AttackEntry.maximises`), it also takes by name what to maximise (`objective`) and where to
start.
"""

Objective = Callable[[Tensor, Tensor], Tensor]
"""(logits float32 [n, classes], what is attacked: labels int64 [n], or any tensor [n, ...]) to losses [n]."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each image's cross-entropy, [n], in nats."""
    return F.cross_entropy(logits, labels, reduction="none")


def lead_of_wrong(logits: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the largest wrong logit exceeds that of the label, [n]: above 0 where it is misclassified."""
    wrong = logits.scatter(1, labels.view(-1, 1), -torch.inf).amax(1)
    return wrong - logits.gather(1, labels.view(-1, 1)).squeeze(1)


def higher(found: Tensor, loss: Tensor, best: Tensor, best_loss: Tensor) -> tuple[Tensor, Tensor]:
    """Return, image by image, what has the higher loss, and that; of equals the earlier, `best`."""
    better = loss > best_loss
    return torch.where(better.view(-1, 1, 1, 1), found, best), torch.where(better, loss, best_loss)


def attack_of(call: CatalogCall) -> Attack:
    """Return the attack that a call stands for; raise StepError for one that gives no adversarial images."""
    if entry_of(AttackEntry, call).ensemble:
        raise StepError(f"{call.name} measures robustness; it cannot be trained with", "train with pgd or fgsm")
    return bound("attack", call)


def targeted(
    objective: Objective,
    target: Target,
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator | None = None,
) -> Objective:
    """Return the objective that rises where `objective` falls at a wrong label of each image; `none` leaves it.

    `next` is the class after the label, the first after the last; `random` is drawn uniformly among the wrong
    ones; `least_likely` has the lowest logit of them on the unperturbed image (Kurakin et al., 2017).
    """
    if target == "none":
        return objective
    if target == "least_likely":
        with torch.no_grad():
            least = network(images).float().scatter(1, labels.view(-1, 1), torch.inf).argmin(1)
        return lambda logits, _: -objective(logits, least)
    share = torch.rand(labels.shape, generator=generator, device=labels.device) if target == "random" else 0 * labels

    def lowered(logits: Tensor, labels: Tensor) -> Tensor:
        classes = logits.shape[1]
        further = 1 + (share * (classes - 1)).long().clamp_max(classes - 2)
        return -objective(logits, (labels + further) % classes)

    return lowered


def loss_and_gradient(
    network: nn.Module, images: Tensor, labels: Tensor, objective: Objective = cross_entropy
) -> tuple[Tensor, Tensor]:
    """Return each image's objective [n], and the gradient of their sum with respect to the images."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        losses = objective(network(images).float(), labels)
        (gradient,) = torch.autograd.grad(losses.sum(), images)
    return losses.detach(), gradient


@contextmanager
def under_attack(network: nn.Module) -> Iterator[None]:
    """Put modules into evaluation mode and want no gradients of parameters; afterwards all is as it was."""
    training = [module for module in network.modules() if module.training]
    wanting = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for module in training:
            module.training = False
        for parameter in wanting:
            parameter.requires_grad_(False)
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in wanting:
            parameter.requires_grad_(True)
