"""The nearest adversarial images against closed forms, the authors' library, and what is promised of them."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from satdsl.backend import measure as measuring
from satdsl.backend.attacks import attack_of
from satdsl.backend.images import Images
from satdsl.backend.measure import measure
from satdsl.backend.nearest_images import FARTHER, confirmed, farthest
from satdsl.backend.norm_balls import Ball, distances, project, shrunk
from satdsl.catalog.attacks import AttackEntry
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import Progress

from .test_attacks import Counting, Linear
from .test_single_attacks import told, whole

EVERY = [
    whole("ddn", steps=100),
    whole("ddn", steps=100, init=0.1, levels=256),
    *(whole("fmn", norm=norm, steps=100) for norm in ("Linf", "L2", "L1")),
    *(whole("pdpgd", norm=norm, steps=200) for norm in ("Linf", "L2", "L1")),
]
DUAL = {"Linf": 1, "L2": 2, "L1": torch.inf}


def norm_of(choice: CatalogCall) -> Any:
    nearest = AttackEntry.of(choice).nearest
    assert nearest is not None
    return nearest(choice)


def linear() -> tuple[Linear, Tensor, Tensor, Tensor]:
    """A linear network, images far from the edges of the box, their labels, and by how much it is right."""
    model = Linear()
    images = 0.3 + 0.4 * torch.rand((80, 1, 4, 4), generator=torch.Generator().manual_seed(3))
    margin = model(images)[:, 1].detach()
    return model, images, (margin > 0).long(), margin.abs()


@pytest.mark.parametrize("choice", EVERY, ids=told)
def test_the_distance_on_a_linear_network_is_its_margin_over_the_dual_norm_of_its_weights(choice: CatalogCall) -> None:
    model, images, labels, margin = linear()
    norm = norm_of(choice)
    # The largest weight alone cannot carry a far image over the boundary under L1: it meets the box.
    near = (margin > 0.2) & (margin < (0.6 if norm == "L1" else 2.0))
    assert near.sum() > 10
    exact = (margin / torch.linalg.vector_norm(model.w.detach().flatten(), DUAL[norm]))[near]
    found = attack_of(choice)(model, images[near], labels[near], torch.Generator())
    assert (model(found).argmax(1) != labels[near]).all()
    ratio = distances(found, images[near], norm) / exact
    assert float(ratio.min()) > 1 - 1e-4
    assert float(ratio.median()) < (1.06 if choice.name == "pdpgd" else 1.02)
    assert float(ratio.max()) < 1.15


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = nn.Sequential(nn.Flatten(), nn.Linear(100, 16), nn.ReLU(), nn.Linear(16, 5))
        with torch.no_grad():
            layers[3].weight.mul_(3)
            layers[3].bias.sub_(layers(torch.rand(500, 1, 10, 10)).mean(0))
    return layers.eval()


@pytest.fixture(scope="module")
def batch(network: nn.Module) -> tuple[Tensor, Tensor]:
    images = torch.rand((24, 1, 10, 10), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return images, network(images).argmax(1)


@pytest.mark.parametrize("choice", EVERY, ids=told)
def test_what_is_found_is_an_image_that_fools_and_the_cost_is_that_of_the_catalog(
    network: nn.Module, batch: tuple[Tensor, Tensor], choice: CatalogCall
) -> None:
    images, labels = batch
    before = torch.get_rng_state()
    counting = Counting(network)
    found = attack_of(choice)(counting, images, labels, torch.Generator())
    assert (network(found).argmax(1) != labels).all()
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert not found.requires_grad
    assert len(counting.seen) == choice["steps"] == AttackEntry.of(choice).passes(choice).forward_backward
    seen = torch.stack(counting.seen)
    fools = torch.stack([network(point).argmax(1) != labels for point in counting.seen])
    far = torch.stack([distances(point, images, norm_of(choice)) for point in seen]).masked_fill(~fools, torch.inf)
    assert torch.allclose(distances(found, images, norm_of(choice)), far.min(0).values, rtol=1e-4, atol=1e-5)
    assert torch.equal(found, attack_of(choice)(network, images, labels, torch.Generator()))
    assert torch.equal(torch.get_rng_state(), before)
    if choice.get("levels"):
        assert torch.allclose((found * 255).round() / 255, found, atol=1e-6)


def library() -> Any:
    """adv-lib, without the plotting library that it asks for and that it needs for drawing alone."""
    pytest.importorskip("adv_lib")
    with suppress(ValueError):  # it has been looked for before
        if importlib.util.find_spec("visdom") is None:
            sys.modules["visdom"] = types.ModuleType("visdom")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("adv_lib.attacks")


@pytest.mark.parametrize("choice", EVERY, ids=told)
def test_as_near_as_the_authors_library_comes(
    network: nn.Module, batch: tuple[Tensor, Tensor], choice: CatalogCall
) -> None:
    attacks = library()
    images, labels = batch
    settings: dict[str, Any] = {"num_steps" if choice.name == "pdpgd" else "steps": choice["steps"]}
    if choice.get("init"):
        settings |= {"init_norm": choice["init"], "levels": choice["levels"]}
    else:
        settings["norm"] = {"Linf": torch.inf, "L2": 2, "L1": 1}[choice["norm"]]
    theirs = getattr(attacks, choice.name)(network, images, labels, **settings)
    ours = attack_of(choice)(network, images, labels, torch.Generator())
    norm = norm_of(choice)
    # Theirs leaves points on the boundary of a network that is linear there, where they do not fool it.
    found = network(theirs).argmax(1) != labels
    ratio = (distances(ours, images, norm) / distances(theirs, images, norm))[found]
    assert found.sum() > 10
    assert float(ratio.median()) == pytest.approx(1, abs=0.01)
    assert float(ratio.max()) < 1.1


@given(
    seed=st.integers(0, 1000),
    norm=st.sampled_from(["Linf", "L2", "L1"]),
    by=st.floats(0, 5),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_what_shrinks_a_perturbation_is_the_minimum_of_penalty_and_distance(seed: int, norm: Any, by: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch = torch.randn((3, 1, 2, 3), generator=generator)
    zero = torch.zeros_like(batch)
    penalty = torch.full((3, 1, 1, 1), by)

    def objective(x: Tensor) -> Tensor:
        return by * distances(x, zero, norm) + 0.5 * (x - batch).square().flatten(1).sum(1)

    found = shrunk(batch, penalty, norm)
    least = objective(found)
    for scale in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(5):
            other = found + scale * torch.randn(found.shape, generator=generator)
            assert (least <= objective(other) + 1e-5).all()
    assert (least <= objective(zero) + 1e-5).all()
    assert (least <= objective(batch) + 1e-5).all()


def test_where_the_edges_of_the_box_hold_an_image_back_the_ball_grows_until_something_is_found() -> None:
    class Held(nn.Module):
        """The label leads by a sum of which three quarters are at an edge already, and weigh ten times as much."""

        def forward(self, x: Tensor) -> Tensor:
            weights = torch.where(torch.arange(16) % 4 == 0, 1.0, 10.0)
            lead = (x.flatten(1) * weights).sum(1) - 0.4
            return torch.stack((lead, -lead), 1)

    images = torch.where(torch.arange(16) % 4 == 0, 0.3, 0.0).view(1, 1, 4, 4).repeat(3, 1, 1, 1)
    images[1] *= 0.5
    images[2] *= 0.9
    labels = torch.zeros(3, dtype=torch.long)
    exact = (images.flatten(1).sum(1) - 0.4) / 2  # four values can move, each by the same amount
    found = attack_of(whole("fmn", norm="L2", steps=100))(Held(), images, labels, torch.Generator())
    right = exact > 0
    assert right.tolist() == [True, True, True]
    ratio = distances(found, images, "L2") / exact
    assert (Held()(found).argmax(1) == 1).all()
    assert (ratio > 1 - 1e-4).all()
    assert (ratio < 1.1).all()


class Flat(nn.Module):
    """A network that always says the same, and has no gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]) + 0 * x.sum((1, 2, 3)).view(-1, 1)


@pytest.mark.parametrize("choice", EVERY, ids=told)
def test_where_nothing_is_found_the_image_itself_is_returned(choice: CatalogCall) -> None:
    images, labels = torch.full((3, 1, 4, 4), 0.2), torch.zeros(3, dtype=torch.long)
    found = attack_of(choice)(Flat(), images, labels, torch.Generator())
    assert torch.equal(found, images)


def test_what_only_just_fools_is_made_longer_until_it_fools_in_the_precision_of_the_measurement() -> None:
    class Boundary(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            lead = x.double().mean((1, 2, 3)) - 0.5
            return torch.stack((-lead, lead), 1).float()

    images = torch.full((4, 1, 2, 2), 0.4)
    labels = torch.zeros(4, dtype=torch.long)
    found = images + torch.tensor([0.0999999, 0.0995, 0.05, 0.2]).view(-1, 1, 1, 1)
    kept, predicted, far = confirmed(Boundary(), images, found, labels, "L2")
    assert predicted.tolist() == [1, 1, 0, 1]
    assert torch.equal(Boundary()(kept).argmax(1), predicted)
    assert torch.equal(kept[2], images[2])
    assert np.isinf(far[2])
    assert far[0] == pytest.approx(0.2 * (1 + 1e-5), rel=1e-4)
    assert far[1] == pytest.approx(2 * 0.0995 * FARTHER[-1], rel=1e-5)
    assert far[3] == pytest.approx(0.4)
    assert np.allclose(far[[0, 1, 3]], distances(kept, images, "L2")[[0, 1, 3]])


@given(
    seed=st.integers(0, 1000),
    norm=st.sampled_from(["Linf", "L2", "L1"]),
    eps=st.lists(st.floats(0.001, 20), min_size=5, max_size=5),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_ball_of_its_own_for_each_image_is_projected_into_as_one_ball_is(
    seed: int, norm: Any, eps: list[float]
) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand((5, 1, 3, 3), generator=generator)
    points = images + torch.randn((5, 1, 3, 3), generator=generator)
    radii = torch.tensor(eps)
    together = project(points, images, Ball(norm, radii.view(-1, 1, 1, 1)))
    for k in range(5):
        one = project(points[k : k + 1], images[k : k + 1], Ball(norm, float(radii[k])))
        assert torch.allclose(together[k : k + 1], one, atol=1e-6)
    free = project(points, images, Ball(norm, torch.full((5, 1, 1, 1), torch.inf)))
    assert torch.allclose(free, points.clamp(0, 1))
    assert (distances(together, images, norm) <= farthest(images, norm) + 1e-5).all()


def images_of(pixels: Tensor, labels: Tensor) -> Images:
    return Images((pixels * 255).round().to(torch.uint8), labels, torch.arange(len(labels)))


@pytest.mark.parametrize("choice", [EVERY[0], EVERY[2]], ids=told)
def test_a_measurement_has_a_distance_for_each_image(choice: CatalogCall, tmp_path: Path) -> None:
    model, pixels, labels, _ = linear()
    wrong = labels.clone()
    wrong[:7] = 1 - wrong[:7]
    images = images_of(pixels, wrong)
    rows = measure(model, images, choice, classes=2, device="cpu", scratch=tmp_path)
    assert rows.distance is not None
    assert (rows.distance[:7] == 0).all()
    assert (rows.broken_by[:7] == 0).all()
    norm = norm_of(choice)
    shown = images.pixels / 255
    margin = model(shown)[:, 1].detach().abs()[7:]
    exact = margin / torch.linalg.vector_norm(model.w.detach().flatten(), DUAL[norm])
    found = rows.broken_by[7:] == 1
    assert np.array_equal(np.isfinite(rows.distance[7:]), found)
    assert found.mean() > 0.9
    found &= margin.numpy() > 0.2
    ratio = rows.distance[7:][found] / exact.numpy()[found]
    assert ratio.min() > 1 - 1e-4
    assert np.median(ratio) < 1.02
    again = measure(model, images, choice, classes=2, device="cpu", scratch=tmp_path)
    assert np.array_equal(again.distance, rows.distance)


def test_a_killed_measurement_of_distances_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "EVALUATION_BATCH", 10)
    monkeypatch.setattr(measuring, "SAVE_SECONDS", -1.0)
    model, pixels, labels, _ = linear()
    images, choice, done = images_of(pixels, labels), whole("fmn", norm="L2", steps=10), []

    def measured(scratch: str, report: Any) -> Any:
        rows = measure(model, images, choice, classes=2, device="cpu", scratch=tmp_path / scratch, report=report)
        return rows.distance

    def kill(progress: Progress) -> None:
        if progress.done > 30:
            raise KilledError

    complete = measured("whole", lambda progress: None)
    with pytest.raises(KilledError):
        measured("part", kill)
    assert np.array_equal(measured("part", lambda progress: done.append(progress.done)), complete)
    assert min(done) > 30
    assert np.isfinite(complete).sum() > 60


class KilledError(Exception):
    """What kills a measurement."""
