"""PGD beside the libraries that the field uses, from the same start, image by image.

torchattacks and foolbox step, project and clamp as satdsl does, so that iterates agree to rounding. ART
clamps before it projects: the same where no pixel meets 0 or 1, under L2 another point of ball and box where
one does. foolbox's L1 attack projects onto the ball and clamps, which leaves part of the budget unspent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import foolbox
import pytest
import torch
import torchattacks
from torch import Tensor, nn

from satdsl.backend.attacks.pgd import pgd
from satdsl.backend.models import build
from satdsl.backend.objectives import cross_entropy

from .workshop import call, one_process_at_a_time

with one_process_at_a_time():  # ART's first import writes a file into the home folder; a second would read half of it
    from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
        ProjectedGradientDescentPyTorch,
    )
    from art.estimators.classification import PyTorchClassifier

EPS = {"L2": 0.7, "Linf": 0.1, "L1": 3.0}
STEPS = 5

Peer = Callable[[nn.Module, Tensor, Tensor, str], Tensor]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = build(call("small_cnn", width=4), (1, 8, 8), 5, (0.3,), (0.4,))
        for _ in range(3):
            net(torch.rand(32, 1, 8, 8))
    return net.eval()


def batch(low: float, high: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.rand((24, 1, 8, 8), generator=generator)
    return (low + (high - low) * x).clamp(0, 1), torch.arange(24) % 5


INSIDE, AT_THE_EDGE = (0.3, 0.7), (-0.5, 1.5)
"""Ranges of pixels: none comes to 0 or 1 within these radii, or every other lies there."""


def step(norm: str) -> float:
    return EPS[norm] / 3


def of_torchattacks(network: nn.Module, x: Tensor, y: Tensor, norm: str) -> Tensor:
    attack = {"L2": torchattacks.PGDL2, "Linf": torchattacks.PGD}[norm]
    found: Tensor = attack(network, eps=EPS[norm], alpha=step(norm), steps=STEPS, random_start=False)(x, y)
    return found


def of_foolbox(network: nn.Module, x: Tensor, y: Tensor, norm: str) -> Tensor:
    kind = {"L2": foolbox.attacks.L2PGD, "Linf": foolbox.attacks.LinfPGD, "L1": foolbox.attacks.SparseL1DescentAttack}
    attack = kind[norm](abs_stepsize=step(norm), steps=STEPS, random_start=False)
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    found: Tensor = attack(model, x, foolbox.criteria.Misclassification(y), epsilons=EPS[norm])[1]
    return found


def of_art(network: nn.Module, x: Tensor, y: Tensor, norm: str) -> Tensor:
    classifier = PyTorchClassifier(network, nn.CrossEntropyLoss(), (1, 8, 8), 5, clip_values=(0, 1), device_type="cpu")
    attack = ProjectedGradientDescentPyTorch(
        classifier,
        norm={"L2": 2, "Linf": "inf"}[norm],
        eps=EPS[norm],
        eps_step=step(norm),
        max_iter=STEPS,
        verbose=False,
    )
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def ours(network: nn.Module, x: Tensor, y: Tensor, norm: Any, **more: Any) -> Tensor:
    return pgd(network, x, y, norm=norm, eps=EPS[norm], steps=STEPS, step_size=step(norm), **{"keep": "last"} | more)


def losses(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(network(x), y).detach()


@pytest.mark.parametrize("norm", ["L2", "Linf"])
@pytest.mark.parametrize(
    ("peer", "pixels"),
    [
        (of_torchattacks, INSIDE),
        (of_torchattacks, AT_THE_EDGE),
        (of_foolbox, INSIDE),
        (of_foolbox, AT_THE_EDGE),
        (of_art, INSIDE),
    ],
)
def test_iterates_agree_where_the_definitions_do(
    network: nn.Module, peer: Peer, pixels: tuple[float, float], norm: str
) -> None:
    x, y = batch(*pixels)
    found, theirs = ours(network, x, y, norm), peer(network, x, y, norm)
    assert float((found - x).abs().max()) > 0.05
    same = (found - theirs).abs().amax((1, 2, 3)) < 5e-5
    assert int(same.sum()) >= 22  # of 24: where a ReLU is about to switch, rounding decides the gradient
    assert torch.allclose(losses(network, found, y), losses(network, theirs, y), atol=1e-3)


@pytest.mark.parametrize("norm", ["L2", "Linf"])
@pytest.mark.parametrize("peer", [of_torchattacks, of_foolbox, of_art])
def test_with_the_best_iterate_pgd_is_at_least_as_strong(network: nn.Module, peer: Peer, norm: str) -> None:
    x, y = batch(*AT_THE_EDGE)
    best = losses(network, ours(network, x, y, norm, keep="best"), y)
    theirs = losses(network, peer(network, x, y, norm), y)
    assert (best >= theirs - (1e-3 if peer is of_art else 1e-4)).all()  # ART is at other points of the same set


def test_under_l1_pgd_spends_more_of_its_budget_than_foolbox_and_is_stronger(network: nn.Module) -> None:
    x, y = batch(*AT_THE_EDGE)
    found, theirs = ours(network, x, y, "L1"), of_foolbox(network, x, y, "L1")
    assert float((found - x).flatten(1).abs().sum(1).max()) <= EPS["L1"] * (1 + 1e-5)
    assert float(losses(network, found, y).mean()) >= float(losses(network, theirs, y).mean())


def test_from_the_same_random_start_iterates_agree(network: nn.Module) -> None:
    x, y = batch(*AT_THE_EDGE)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        start = (x + torch.empty_like(x).uniform_(-EPS["Linf"], EPS["Linf"])).clamp(0, 1)
        torch.manual_seed(5)
        theirs = torchattacks.PGD(network, eps=EPS["Linf"], alpha=step("Linf"), steps=STEPS)(x, y)
    assert torch.allclose(ours(network, x, y, "Linf", start=start), theirs, atol=5e-5)
    assert not torch.allclose(ours(network, x, y, "Linf"), theirs, atol=5e-3)
