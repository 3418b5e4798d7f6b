"""What attacks maximise, and batch norm's mode meanwhile, against published code and formulas written out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from pyautoattack.autopgd_base import APGDAttack
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import attack_of, under_attack
from satdsl.backend.attacks.pgd import pgd
from satdsl.backend.models import build
from satdsl.backend.objectives import dlr, lead_of_wrong
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import Data, SubsetTraining
from satdsl.ir.work import StepError
from tests.backend import workshop as w
from tests.backend.test_losses import Plain, batch
from tests.backend.workshop import Workshop, call, training


@pytest.fixture
def plain() -> Plain:
    torch.manual_seed(0)
    return Plain()


@pytest.fixture
def normed() -> nn.Module:
    torch.manual_seed(0)
    network = build(call("small_cnn", width=4), (3, 4, 4), 5, (0.5,) * 3, (0.5,) * 3)
    x, _ = batch(32)
    network.train()(x * 2)
    return network


def test_the_margin_and_the_dlr_loss_are_the_published_ones() -> None:
    """Carlini and Wagner, 2017, f_6 without its bound; Croce and Hein, 2020, called in pyautoattack."""
    logits, labels = torch.randn((20, 6), generator=torch.Generator().manual_seed(2)), torch.arange(20) % 6
    published = APGDAttack(nn.Identity(), eps=0.1, device="cpu")
    assert torch.equal(dlr(logits, labels), published.dlr_loss(logits, labels))
    for row, label, found in zip(logits, labels, lead_of_wrong(logits, labels), strict=True):
        others = [float(z) for k, z in enumerate(row) if k != int(label)]
        assert found.item() == pytest.approx(max(others) - float(row[label]))


@pytest.mark.parametrize("objective", ["cw", "dlr"])
def test_an_attack_raises_its_objective_and_keeps_the_best(plain: Plain, objective: str) -> None:
    x, y = batch()
    measured = {"cw": lead_of_wrong, "dlr": dlr}[objective]
    settings: dict[str, Any] = {"norm": "L2", "eps": 0.4, "steps": 10, "step_size": 0.1}
    found, by_label = (pgd(plain, x, y, objective=of, **settings) for of in (objective, "ce"))
    with torch.no_grad():
        before, after, other = (measured(plain(images), y) for images in (x, found, by_label))
    assert (after > before).all()
    assert after.mean() >= other.mean()


def test_kl_moves_away_from_the_prediction_which_is_held_fixed(plain: Plain) -> None:
    """Its first step, written out: from x + 0.001 N(0, 1) along the sign of the divergence's gradient."""
    x, y = batch()
    found = pgd(
        plain,
        x,
        y,
        torch.Generator().manual_seed(3),
        norm="Linf",
        eps=0.1,
        steps=1,
        step_size=0.02,
        keep="last",
        objective="kl",
    )
    start = (x + 0.001 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 1).requires_grad_()
    loss = F.kl_div(plain(start).log_softmax(1), plain(x).softmax(1).detach(), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, start)
    assert torch.equal(found, (start + 0.02 * gradient.sign()).detach().clamp(0, 1))


def test_in_training_mode_the_batch_gives_the_statistics_and_nothing_is_kept(normed: nn.Module) -> None:
    x, y = batch(8)
    before = copy.deepcopy(normed.state_dict())
    settings: dict[str, Any] = {"norm": "Linf", "eps": 0.1, "steps": 2, "step_size": 0.05, "keep": "last"}
    attacked = AttackCopy(normed).refresh()
    found, otherwise = (pgd(attacked, x, y, mode=mode, **settings) for mode in ("train", "eval"))
    assert not torch.equal(found, otherwise)
    for name, value in normed.state_dict().items():
        assert torch.equal(value, before[name]), name
    by_hand = copy.deepcopy(normed).train()
    moved = x
    for _ in range(2):
        moved = moved.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(by_hand(moved), y, reduction="sum"), moved)
        moved = (x + (moved + 0.05 * gradient.sign() - x).clamp(-0.1, 0.1)).clamp(0, 1)
    assert torch.allclose(found, moved, atol=1e-6)


def test_modules_are_left_as_they_were_also_after_an_error(normed: nn.Module) -> None:
    modes = [module.training for module in normed.modules()]

    def fail() -> None:
        with under_attack(normed, "train") as attacked:
            assert attacked is normed
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [module.training for module in normed.modules()] == modes
    norms = [module for module in normed.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(norm.track_running_stats for norm in norms)


def test_a_single_image_has_no_statistics_to_attack_with() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.BatchNorm1d(4))
    x, y = batch(1)
    with pytest.raises(StepError, match="a single image to attack"):
        pgd(network, x, y % 4, norm="Linf", eps=0.1, steps=1, step_size=0.1, mode="train")


# --- in a training -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(workshop: Workshop) -> Path:
    return workshop.do(Data(call("synthetic", classes=4, shape=(1, 8, 8), train=48, val=16, seed=0)))


def weights(workshop: Workshop, images: Path, subset: SubsetTraining) -> dict[str, Tensor]:
    settings = training(2, subsets=(subset,), augment=(), mean=(0.5,), std=(0.25,))
    return w.weights_of(workshop.do(settings, data=images))


def test_trades_is_its_formula_under_an_attack_on_the_divergence(workshop: Workshop, images: Path) -> None:
    formula = LossFormula(("+", ("ce", "clean"), ("*", 6.0, ("kl", "clean", "adversarial"))))
    named = weights(workshop, images, SubsetTraining(w.pgd(), 1.0, call("trades", beta=6.0)))
    written = weights(workshop, images, SubsetTraining(w.pgd(objective="kl"), 1.0, formula))
    assert all(torch.equal(value, written[name]) for name, value in named.items())


def test_the_mode_of_an_attack_changes_a_training(workshop: Workshop, images: Path) -> None:
    one, other = (weights(workshop, images, SubsetTraining(w.pgd(mode=mode), 1.0)) for mode in ("train", "eval"))
    assert any(not torch.equal(value, other[name]) for name, value in one.items())
    assert all(value.isfinite().all() for value in one.values())


def test_an_attack_in_training_mode_is_made_of_its_call() -> None:
    assert attack_of(w.pgd(mode="train", objective="cw")).keywords["mode"] == "train"  # type: ignore[attr-defined]
