"""Perturbed and averaged weights, against the published code's arithmetic and against hand-written averages."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend.models import build
from satdsl.backend.optimisation import Optimisation
from satdsl.backend.recipes import Recipe
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.ir.steps import CatalogCall, Selection, SubsetTraining
from satdsl.ir.work import Progress

from .workshop import Workshop, call, curves_of, pgd, sgd, training, weights_of

AWP = call("awp", gamma=0.1, warmup=0)
SAM = call("sam", rho=0.5)


def network() -> nn.Module:
    torch.manual_seed(0)
    return build(call("small_cnn", width=2), (3, 6, 6), 5, (0.5,) * 3, (0.5,) * 3).double().train()


def batch(n: int = 12) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, 6, 6, generator=random, dtype=torch.float64), torch.arange(n) % 5


def stepped(recipe: CatalogCall, times: int = 3, epoch: float = 0.5) -> nn.Module:
    """The network after some steps on one batch."""
    found = network()
    optimisation, (x, y) = Optimisation(found, Recipe.of(recipe)), batch()
    for _ in range(times):
        optimisation.step(lambda: (None, F.cross_entropy(found(x), y)), epoch)
    return found


def assert_same(found: nn.Module, wanted: nn.Module, tolerance: float = 1e-9) -> None:
    for name, value in wanted.state_dict().items():
        assert torch.allclose(found.state_dict()[name], value, atol=tolerance, rtol=tolerance), name


def test_awp_is_the_arithmetic_of_its_released_code() -> None:
    """csdongxian/AWP, AT_AWP/utils_awp.py and train_cifar10.py: a proxy climbs by one step of SGD; what it moved,
    scaled to the weight's length times gamma, is added for the pass and the step, and taken off after it."""
    wanted, (x, y) = network(), batch()
    proxy = copy.deepcopy(wanted)
    climber = torch.optim.SGD(proxy.parameters(), lr=0.01)
    optimiser = torch.optim.SGD(wanted.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for _ in range(3):
        proxy.load_state_dict(wanted.state_dict())
        climber.zero_grad()
        (-F.cross_entropy(proxy(x), y)).backward()
        climber.step()
        difference = {}
        for name, old in wanted.state_dict().items():
            if old.dim() > 1 and "weight" in name:
                moved = proxy.state_dict()[name] - old
                difference[name] = old.norm() / (moved.norm() + 1e-20) * moved
        for sign in (1.0, -1.0):
            with torch.no_grad():
                for name, weight in wanted.named_parameters():
                    if name in difference:
                        weight.add_(sign * 0.1 * difference[name])
            if sign > 0:
                optimiser.zero_grad()
                F.cross_entropy(wanted(x), y).backward()
                optimiser.step()
    assert_same(stepped(sgd(4, perturb=AWP)), wanted)


def test_sam_takes_the_gradient_at_the_end_of_the_ball_and_steps_from_the_weights() -> None:
    """Foret et al., 2021, algorithm 1, and batch norm's statistics from the first pass, as in davda54/sam's example."""
    wanted, (x, y) = network(), batch()
    optimiser = torch.optim.SGD(wanted.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for _ in range(3):
        gradients = torch.autograd.grad(F.cross_entropy(wanted(x), y), list(wanted.parameters()))
        length = sum(float(g.square().sum()) for g in gradients) ** 0.5
        there = copy.deepcopy(wanted)
        with torch.no_grad():
            for weight, gradient in zip(there.parameters(), gradients, strict=True):
                weight.add_(0.5 * gradient / length)
        at_the_end = torch.autograd.grad(F.cross_entropy(there(x), y), list(there.parameters()))
        for weight, gradient in zip(wanted.parameters(), at_the_end, strict=True):
            weight.grad = gradient
        optimiser.step()
    assert_same(stepped(sgd(4, perturb=SAM)), wanted)


@pytest.mark.parametrize("perturb", [AWP, SAM])
def test_statistics_are_those_of_one_pass_a_step(perturb: CatalogCall) -> None:
    counted = stepped(sgd(4, perturb=perturb), times=2).state_dict()
    assert {int(value) for name, value in counted.items() if name.endswith("num_batches_tracked")} == {2}


def test_awp_leaves_weights_alone_until_its_warmup_is_over() -> None:
    late = sgd(4, perturb=call("awp", gamma=0.1, warmup=2))
    assert_same(stepped(late, epoch=1.9), stepped(sgd(4), epoch=1.9), 0)
    assert_same(stepped(late, epoch=2.1), stepped(sgd(4, perturb=AWP), epoch=2.1), 0)


def test_a_layer_without_gradient_stays() -> None:
    found = network()
    for weight in found.parameters():
        weight.data.zero_()
    optimisation = Optimisation(found, Recipe.of(sgd(1, perturb=AWP)))
    x, y = batch()
    optimisation.step(lambda: (None, F.cross_entropy(found(x), y)), 0.5)
    assert all(torch.isfinite(value).all() for value in found.state_dict().values())


# --- averages of epochs --------------------------------------------------------------------------


def test_the_average_is_that_of_the_weights_after_each_epoch_from_one_on(workshop: Workshop, few_digits: Path) -> None:
    plain = workshop.do(training(5, augment=(), keep_weights=(1, 2, 3, 4, 5)), data=few_digits)
    averaged = workshop.do(training(5, augment=(), recipe=sgd(5, swa=3), keep_weights=(2, 3, 4)), data=few_digits)
    after = [load_file(plain / f"weights-epoch-{epoch}.safetensors") for epoch in range(1, 6)]
    for name, value in weights_of(averaged).items():
        if not any(part in name for part in ("running", "num_batches")):
            wanted = sum(one[name].double() for one in after[2:]) / 3
            assert torch.allclose(value.double(), wanted, atol=1e-6), name
    for epoch in (2, 3):
        kept = load_file(averaged / f"weights-epoch-{epoch}.safetensors")
        assert all(torch.equal(kept[name], value) for name, value in after[epoch - 1].items())


def test_its_statistics_are_the_mean_of_those_of_the_batches() -> None:
    found = network()
    optimisation = Optimisation(found, Recipe.of(sgd(3, swa=1)))
    x, y = batch()
    batches = [x[:4], x[4:]]
    for epoch in (1, 2):
        optimisation.step(lambda: (None, F.cross_entropy(found(x), y)), epoch - 0.5)
        optimisation.end_epoch(epoch, iter(batches))
    result: Any = optimisation.result
    seen = [result.body.features[0](result.normalise(one)) for one in batches]
    norm = result.body.features[1]
    assert torch.allclose(norm.running_mean, torch.stack([one.mean((0, 2, 3)) for one in seen]).mean(0))
    assert torch.allclose(norm.running_var, torch.stack([one.var((0, 2, 3)) for one in seen]).mean(0))
    assert not result.training
    assert norm.momentum == 0.1
    assert not norm.training


class Killed(Exception):
    pass


@pytest.mark.parametrize("moment", ["epoch 2 of 4", "epoch 4 of 4"])
def test_a_killed_training_with_all_of_it_continues_with_the_same_bits(
    workshop: Workshop, few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    step = training(
        4,
        recipe=sgd(4, perturb=call("awp", gamma=0.01, warmup=1), swa=2),
        augment=(call("crop", padding=1), call("gaussian_noise", std=0.1), call("cutmix", alpha=1.0, probability=0.5)),
        subsets=(SubsetTraining(pgd(steps=1), 1.0),),
        select=Selection((), (2, 4)),
        seed=3,
    )

    def outcome(out: Path) -> tuple[Any, ...]:
        curves = [{name: value for name, value in one.items() if name != "seconds"} for one in curves_of(out)]
        return {name: value.numpy().tobytes() for name, value in weights_of(out).items()}, curves

    whole = outcome(workshop.do(step, data=few_digits))
    resumed: list[float] = []

    def kill(progress: Progress) -> None:
        if progress.note.startswith(moment) and progress.done > 0:
            raise Killed

    with pytest.raises(Killed):
        workshop.do(step, scratch=tmp_path, report=kill, data=few_digits)
    continued = workshop.do(step, scratch=tmp_path, report=lambda p: resumed.append(p.done), data=few_digits)
    assert min(resumed) >= 1, "it began anew"
    assert outcome(continued) == whole


@pytest.mark.parametrize("settings", [{"perturb": AWP}, {"perturb": SAM}, {"swa": 1}])
def test_two_processes_make_the_steps_of_one(workshop: Workshop, few_digits: Path, settings: dict[str, Any]) -> None:
    step = training(2, augment=(), recipe=sgd(2, batch=50, lr=0.02, **settings))
    alone, together = (workshop.do(step, data=few_digits, devices=devices) for devices in (1, 2))
    for name, value in weights_of(alone).items():
        assert torch.allclose(weights_of(together)[name].float(), value.float(), atol=2e-3), name
