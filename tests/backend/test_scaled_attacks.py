"""Each image has a radius and a step size of its own: those of its attack, times its factor in a file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend import epoch as epochs
from satdsl.backend.artifact_files import sha256
from satdsl.backend.attacks import Attack, attack_of, fgsm, noise
from satdsl.backend.attacks.pgd import pgd
from satdsl.backend.datasets import load
from satdsl.backend.distributed import ProcessGroup
from satdsl.backend.epoch import cut
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import unit_scale
from satdsl.backend.losses import subset_method
from satdsl.backend.models import build
from satdsl.backend.norm_balls import Ball, Norm, project, random_start
from satdsl.backend.randomness import Stream, generator, initial_weights
from satdsl.backend.subset_assignment import assignment
from satdsl.ir.steps import Data, OfClasses, Phase, Rest, ScaledAttacks, SeveralAttacks, Split, SubsetTraining, Train
from satdsl.ir.work import StepError
from tests.backend import workshop as w
from tests.backend.test_losses import Plain, batch
from tests.backend.test_norm_balls import NORMS, images, radii
from tests.backend.test_norm_balls import noise as gaussian
from tests.backend.workshop import HOLDOUT, MEAN, STD, Workshop, call, sgd, training, weights_of

EPS = {"L1": 4.0, "L2": 0.5, "Linf": 0.1}
FACTORS = torch.tensor([0.0, 0.25, 0.3, 0.5, 0.77, 1.0])
SEED = 3
WHOLE = 60
DATA = call("synthetic", classes=3, shape=(1, 8, 8), train=WHOLE, val=30, seed=0)


@pytest.fixture
def plain() -> Plain:
    torch.manual_seed(0)
    return Plain()


def six() -> tuple[Tensor, Tensor]:
    x, y = batch()
    rows = torch.arange(len(FACTORS)) % len(x)
    return x[rows], y[rows]


# --- attacks -----------------------------------------------------------------------------------------


def each_at_its_own(attack: Attack, network: nn.Module, **lengths: float) -> Tensor:
    """Attack the whole batch once for each factor with lengths that are numbers, and keep the image it belongs to."""
    x, y = six()
    found = []
    for i, factor in enumerate(FACTORS):
        own = {name: float(factor * length) for name, length in lengths.items()}
        found.append(attack(network, x, y, torch.Generator().manual_seed(1), **own)[i])
    return torch.stack(found)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("start", ["none", "ball", "radial"])
@pytest.mark.parametrize("keep", ["best", "last"])
def test_pgd_with_factors_is_pgd_at_the_radius_of_each_image(plain: Plain, norm: Norm, start: Any, keep: Any) -> None:
    """Where a step multiplies by 0, 1 or -1, to the bit; else processors may round its product or not (FMA)."""
    x, y = six()
    attack = partial(pgd, norm=norm, steps=4, random_start=start, keep=keep)
    lengths = {"eps": EPS[norm], "step_size": EPS[norm] / 3}
    found = attack(plain, x, y, torch.Generator().manual_seed(1), **lengths, scale=FACTORS)
    wanted = each_at_its_own(attack, plain, **lengths)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0 if norm == "Linf" else 1e-6)
    assert torch.equal(found[0], x[0]), "a factor of 0 leaves an image clean"
    assert (radii(found, x, norm)[1:] > 0).all()


@pytest.mark.parametrize("norm", NORMS)
def test_noise_and_fgsm_have_the_radius_of_each_image(plain: Plain, norm: Norm) -> None:
    x, y = six()
    for attack in (
        partial(noise.noise, norm=norm, draws=3),
        partial(fgsm.fgsm, norm=norm, step_size=None, random_start="none", target="none"),
    ):
        found = attack(plain, x, y, torch.Generator().manual_seed(1), eps=EPS[norm], scale=FACTORS)
        wanted = each_at_its_own(attack, plain, eps=EPS[norm])
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


def test_scaled_pgd_by_numpy(plain: Plain) -> None:
    """Two steps along the sign of the gradient, clipped to the image's own ball, then to [0, 1]."""
    x, y = six()
    found = pgd(plain, x, y, norm="Linf", eps=0.2, step_size=0.15, steps=2, keep="last", scale=FACTORS)
    at, factors = x.numpy(), FACTORS.numpy().reshape(-1, 1, 1, 1)
    for _ in range(2):
        moved = torch.from_numpy(at).requires_grad_()
        with torch.enable_grad():
            F.cross_entropy(plain.eval()(moved), y, reduction="sum").backward()
        assert moved.grad is not None
        step = at + factors * np.float32(0.15) * np.sign(moved.grad.numpy())
        near = np.clip(step, x.numpy() - factors * np.float32(0.2), x.numpy() + factors * np.float32(0.2))
        at = np.clip(near, 0, 1).astype(np.float32)
    np.testing.assert_allclose(found.numpy(), at, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    norm=st.sampled_from(NORMS),
    seed=st.integers(0, 10_000),
    factors=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5),
    size=st.sampled_from([1e-4, 0.05, 3.0]),
    start=st.sampled_from(["none", "sphere", "ball", "radial"]),
)
def test_projections_and_starts_stay_in_the_ball_of_each_image(
    norm: Any, seed: int, factors: list[float], size: float, start: Any
) -> None:
    n, eps = len(factors), torch.tensor(factors).view(-1, 1, 1, 1) * EPS[norm]
    x = images(seed, n, 2, 4, 4)
    ball = Ball(norm, eps)
    drawn = random_start(x, ball, start, torch.Generator().manual_seed(seed))
    for points in (project(x + size * gaussian(seed, n, 2, 4, 4), x, ball), drawn):
        assert ((points >= 0) & (points <= 1)).all()
        assert (radii(points, x, norm) <= eps.flatten() * (1 + 1e-5) + 1e-6).all()
        assert torch.equal(points[eps.flatten() == 0], x[eps.flatten() == 0])


@pytest.mark.parametrize("how", ["strongest", "mean"])
def test_each_of_several_attacks_is_scaled(plain: Plain, how: Any) -> None:
    x, y = six()
    both = tuple(w.pgd(norm=norm, eps=EPS[norm], step_size=EPS[norm] / 2) for norm in ("Linf", "L2"))
    method = subset_method(ScaledAttacks(SeveralAttacks(how, (None, *both)), "0" * 64, "r.npy"), None)
    found = replace(method, scale=FACTORS).versions(plain, x, y, torch.Generator().manual_seed(0))
    single = [attack_of(one)(plain, x, y, torch.Generator().manual_seed(0), scale=FACTORS) for one in both]
    if how == "mean":
        assert all(torch.equal(one, other) for one, other in zip(found, [x, *single], strict=True))
    else:
        assert all(any(torch.equal(one, each[i]) for each in [x, *single]) for i, one in enumerate(found[0]))


# --- trainings ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(workshop: Workshop) -> Path:
    return workshop.do(Data(DATA))


@pytest.fixture(scope="module")
def split(workshop: Workshop, data: Path) -> Path:
    return workshop.do(Split((OfClasses((0, 1)), Rest()), HOLDOUT), data=data)


def scaled(folder: Path, numbers: np.ndarray, attacks: Any = None) -> ScaledAttacks:
    path = folder / "radii.npy"
    np.save(path, numbers)
    attacks = attacks or w.pgd(norm="Linf", eps=0.1, step_size=0.05, random_start="none", keep="last")
    return ScaledAttacks(attacks, sha256(path), str(path))


def settings_with(attacks: Any, epochs: int = 2, **changed: Any) -> Train:
    subsets = (SubsetTraining(attacks, 1.0), SubsetTraining(None, 1.0))
    return training(epochs, **{"subsets": subsets, "augment": (), "seed": SEED, "recipe": sgd(epochs)} | changed)


def by_hand(numbers: np.ndarray, epochs: int, batch: int) -> dict[str, Tensor]:
    """The weights after adversarial training by torch alone: 2 steps along the sign, of each image's own length."""
    whole = split_holdout(load(DATA, Path("no-data")), HOLDOUT).train
    attacked = torch.isin(whole.labels, torch.tensor([0, 1]))
    factors = torch.from_numpy(numbers).float()[whole.index] * attacked
    with initial_weights(SEED):
        network = build(call("small_cnn", width=4), (1, 8, 8), 3, MEAN, STD)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for number in range(epochs):
        order = torch.randperm(len(whole), generator=generator(SEED, Stream.ORDER, number))
        for part in cut(len(whole), batch):
            rows = order[part]
            x, y, own = unit_scale(whole.pixels[rows]), whole.labels[rows], factors[rows].view(-1, 1, 1, 1)
            at = x.clone()
            network.eval()
            for _ in range(2):
                at = at.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(F.cross_entropy(network(at), y, reduction="sum"), at)
                at = (x + (at + 0.05 * own * gradient.sign() - x).clamp(-0.1 * own, 0.1 * own)).clamp(0, 1)
            network.train()
            optimiser.zero_grad()
            F.cross_entropy(network(at.detach()), y).backward()
            optimiser.step()
    return network.state_dict()


def test_a_training_moves_each_image_as_far_as_its_factor_says(
    workshop: Workshop, data: Path, split: Path, tmp_path: Path
) -> None:
    numbers = np.random.default_rng(0).random(WHOLE)
    numbers[::5] = 0
    attack = w.pgd(norm="Linf", eps=0.1, step_size=0.05, steps=2, random_start="none", keep="last")
    found = weights_of(workshop.do(settings_with(scaled(tmp_path, numbers, attack)), data=data, split=split))
    for name, of in by_hand(numbers, 2, 32).items():
        torch.testing.assert_close(found[name], of.contiguous(), rtol=1e-4, atol=1e-5, msg=name)
    whole = weights_of(workshop.do(settings_with(attack), data=data, split=split))
    assert any(not torch.allclose(found[name], of, atol=1e-3) for name, of in whole.items())


def test_factors_of_1_are_the_attack_itself(workshop: Workshop, data: Path, split: Path, tmp_path: Path) -> None:
    attack = w.pgd(norm="Linf", eps=0.1, step_size=0.05, random_start="ball")
    one = weights_of(workshop.do(settings_with(scaled(tmp_path, np.ones(WHOLE), attack)), data=data, split=split))
    other = weights_of(workshop.do(settings_with(attack), data=data, split=split))
    assert all(torch.equal(one[name], of) for name, of in other.items())


def test_epochs_of_a_line_have_factors_of_their_own(
    workshop: Workshop, data: Path, split: Path, tmp_path: Path
) -> None:
    """Factors from epoch 2 on change nothing before, and a loss of both images is trained with scaled ones."""
    later = Phase(2, scaled(tmp_path, np.linspace(0, 1, WHOLE)), call("trades", beta=2.0))
    plain = later.attack.attacks if isinstance(later.attack, ScaledAttacks) else None
    first = SubsetTraining(plain, 1.0, None, (later,))
    found = workshop.do(settings_with(None, subsets=(first, SubsetTraining(None, 1.0))), data=data, split=split)
    alone = SubsetTraining(plain, 1.0)
    other = workshop.do(settings_with(None, subsets=(alone, SubsetTraining(None, 1.0))), data=data, split=split)
    one, two = (w.curves_of(folder) for folder in (found, other))
    assert one[0]["loss"] == two[0]["loss"]
    assert one[1]["loss"] != two[1]["loss"]


def test_each_rank_has_the_factors_of_its_own_images(data: Path, tmp_path: Path) -> None:
    """Two ranks together attack each image of a batch with the factor that one process does, on any subset's rows."""
    train = split_holdout(load(DATA, Path("no-data")), HOLDOUT).train
    numbers = np.random.default_rng(0).random(WHOLE)
    subsets = (SubsetTraining(scaled(tmp_path, numbers), 1.0), SubsetTraining(None, 1.0))
    parts = assignment(train, (train.labels.numpy() == 2).astype(np.int64), subsets, complete=False)
    index = train.index.numpy()
    for group in (ProcessGroup(0, 1), ProcessGroup(0, 2), ProcessGroup(1, 2)):
        drawn = epochs.epoch(train, index, parts, (), 16, SEED, 0, group, classes=3)
        (places,) = drawn.methods
        for part, rows, scales in zip(drawn.batches, places.rows, places.scales, strict=True):
            meant = index[drawn.order_on_host[part][rows].numpy()]
            assert len(meant)
            np.testing.assert_array_equal(scales.numpy(), numbers[meant].astype(np.float32))


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [(np.full(WHOLE, 1.5), "factor 1.5"), (np.ones(5), "has 5 numbers"), (np.zeros(WHOLE), "0 for every image")],
)
def test_a_file_without_fit_factors_ends_the_training(
    workshop: Workshop, data: Path, split: Path, tmp_path: Path, numbers: np.ndarray, reason: str
) -> None:
    with pytest.raises(StepError, match=reason):
        workshop.do(settings_with(scaled(tmp_path, numbers), 1), data=data, split=split)
