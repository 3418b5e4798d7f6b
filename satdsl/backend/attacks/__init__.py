"""Attack networks: what attacks have in common, and the one that a call stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from satdsl.backend.objectives import Objective, cross_entropy
from satdsl.backend.registry import bound, entry_of
from satdsl.catalog.attacks import AttackEntry
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

Target = Literal["none", "next", "random", "least_likely"]

Attack = Callable[..., Tensor]
"""(network, images in [0, 1], labels, random numbers) to adversarial images.

Where the entry says so (`AttackEntry.maximises`), it also takes by name another `objective` than its call has, and
(`AttackEntry.scaled`) a `scale` [n] by which each image's radius and step size are multiplied.
"""

Mode = Literal["eval", "train"]
"""The mode of batch norm under attack."""


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
def under_attack(network: nn.Module, mode: Mode = "eval") -> Iterator[nn.Module]:
    """Give the network that an attack looks at, in evaluation mode, whose parameters want no gradients.

    In mode `train` its batch norms use the statistics of the batch that they are given, and keep none of them: the
    running ones stay what they are. Afterwards all is as it was.

    Raises:
        StepError: A batch norm got a single value to take statistics of.
    """
    attacked: nn.Module = getattr(network, "unfolded", network) if mode == "train" else network
    training = [module for module in attacked.modules() if module.training]
    wanting = [parameter for parameter in attacked.parameters() if parameter.requires_grad]
    norms = [module for module in attacked.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    tracking = [norm for norm in norms if norm.track_running_stats] if mode == "train" else []
    try:
        for module in training:
            module.training = False
        for parameter in wanting:
            parameter.requires_grad_(False)
        for norm in tracking:
            norm.training, norm.track_running_stats = True, False
        yield attacked
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise StepError(
            "an attack in mode=train met a batch with a single image to attack, and a single value has no variance",
            "attack in evaluation mode (mode=eval), or attack more of the images",
        ) from error
    finally:
        for norm in tracking:
            norm.training, norm.track_running_stats = False, True
        for module in training:
            module.training = True
        for parameter in wanting:
            parameter.requires_grad_(True)
