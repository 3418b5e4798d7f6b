"""The geometry of attacks: projections against independent solvers, directions and starts against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyautoattack.autopgd_base import L1_projection
from scipy.optimize import brentq
from scipy.stats import beta
from torch import Tensor

from satdsl.backend.norm_balls import SPARSITY, Ball, pgd_step, project, random_start, steepest_ascent

ORDER = {"L1": 1, "L2": 2, "Linf": torch.inf}
NORMS = ["L1", "L2", "Linf"]


def radii(points: Tensor, x: Tensor, norm: str) -> Tensor:
    return torch.linalg.vector_norm((points - x).flatten(1), ORDER[norm], dim=1)


def images(seed: int, *shape: int) -> Tensor:
    """Some of their pixels lie at 0 and 1."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).mul(1.4).sub(0.2).clamp(0, 1)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1000 + seed))


# --- the way back into the ball ----------------------------------------------------------------------


def nearest_by_search(perturbation: np.ndarray, image: np.ndarray, eps: float) -> np.ndarray:
    """The point of the L1 ball and the box nearest to a perturbation, its multiplier found by Brent's method."""

    def at(threshold: float) -> np.ndarray:
        smaller = np.sign(perturbation) * np.maximum(np.abs(perturbation) - threshold, 0)
        inside: np.ndarray = np.clip(smaller, -image, 1 - image)
        return inside

    def excess(threshold: float) -> float:
        return float(np.abs(at(threshold)).sum() - eps)

    if excess(0) <= 0:
        return at(0)
    return at(brentq(excess, 0, np.abs(perturbation).max(), xtol=1e-14))


@pytest.mark.parametrize("eps", [0.01, 0.5, 3.0, 9.0, 200.0])
@pytest.mark.parametrize("size", [0.02, 1.0])
def test_the_l1_projection_is_the_nearest_point_of_ball_and_box(eps: float, size: float) -> None:
    x, w = images(1, 20, 3, 6, 6), size * noise(1, 20, 3, 6, 6)
    w[0, 0] = 0.0
    w[1] = 0.25  # equal sizes
    found = (project(x + w, x, Ball("L1", eps)) - x).double()
    for i in range(len(x)):
        wanted, image = (x + w - x)[i].double().numpy(), x[i].double().numpy()
        assert np.abs(found[i].numpy() - nearest_by_search(wanted, image, eps)).max() < 2e-6


@pytest.mark.parametrize("eps", [0.5, 12.0, 400.0])
def test_the_l1_projection_agrees_with_that_of_autoattack(eps: float) -> None:
    x, w = images(2, 8, 3, 16, 16), 0.3 * noise(2, 8, 3, 16, 16)
    assert torch.allclose(project(x + w, x, Ball("L1", eps)), x + w + L1_projection(x, w, eps), atol=1e-4)


@given(
    seed=st.integers(0, 10_000),
    norm=st.sampled_from(NORMS),
    eps=st.floats(1e-3, 20),
    size=st.floats(1e-4, 10),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_whatever_is_brought_back_lies_in_the_ball_and_in_the_image_scale(
    seed: int, norm: Any, eps: float, size: float
) -> None:
    x = images(seed, 4, 1, 5, 5)
    ball, points = Ball(norm, eps), x + size * noise(seed, 4, 1, 5, 5)
    found = project(points, x, ball)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert float(radii(found, x, norm).max()) <= eps * (1 + 1e-5) + 1e-6
    assert torch.allclose(project(found, x, ball), found, atol=2e-6)


# --- directions --------------------------------------------------------------------------------------


def test_an_l2_step_follows_gradients_too_small_to_square() -> None:
    gradient = torch.tensor([[[[3e-30, 4e-30]]], [[[0.0, 0.0]]]])
    direction = steepest_ascent(gradient, torch.zeros_like(gradient), "L2")
    assert torch.allclose(direction, torch.tensor([[[[0.6, 0.8]]], [[[0.0, 0.0]]]]))


@pytest.mark.parametrize("norm", NORMS)
def test_a_direction_has_length_one_in_its_norm_and_none_without_gradient(norm: Any) -> None:
    gradient = noise(3, 6, 3, 10, 10)
    gradient[5] = 0
    direction = steepest_ascent(gradient, torch.full_like(gradient, 0.5), norm)
    lengths = radii(direction, torch.zeros_like(direction), norm)
    assert torch.allclose(lengths, torch.tensor([1.0] * 5 + [0.0]), atol=1e-6)


def test_an_l1_step_moves_the_values_with_the_largest_gradients_that_can_still_move() -> None:
    gradient, x = noise(4, 5, 3, 20, 20), images(4, 5, 3, 20, 20)
    direction = steepest_ascent(gradient, x, "L1").flatten(1)
    count = round(SPARSITY * 1200)
    assert count == 12
    for slopes, pixels, step in zip(gradient.flatten(1), x.flatten(1), direction, strict=True):
        stuck = ((pixels == 0) & (slopes < 0)) | ((pixels == 1) & (slopes > 0))
        assert stuck.any()
        free = slopes.abs().where(~stuck, torch.tensor(0.0))
        expected = torch.zeros(1200)
        chosen = free.argsort(descending=True)[:count]
        expected[chosen] = slopes[chosen].sign() / count
        assert torch.allclose(step, expected)


def test_an_l1_step_of_a_small_image_moves_its_steepest_pixel() -> None:
    gradient = torch.tensor([[[[0.3, -2.0], [1.0, 0.1]]], [[[0.3, -2.0], [1.0, 0.1]]]])
    x = torch.tensor([[[[0.5, 0.5], [0.5, 0.5]]], [[[0.5, 0.0], [0.5, 0.5]]]])
    found = pgd_step(x, gradient, x, Ball("L1", 1.0), 0.25) - x
    assert torch.allclose(found, torch.tensor([[[[0, -0.25], [0, 0]]], [[[0, 0], [0.25, 0]]]]))


# --- starts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_a_random_start_lies_where_its_name_says(norm: Any) -> None:
    x = torch.full((4000, 1, 3, 3), 0.5)

    def radius(start: Any) -> Tensor:
        return radii(random_start(x, Ball(norm, 0.2), start, torch.Generator().manual_seed(0)), x, norm)

    assert torch.equal(radius("none"), torch.zeros(4000))
    assert torch.allclose(radius("sphere"), torch.tensor(0.2), atol=1e-6)
    # Uniform by volume in 9 dimensions: the radius has the distribution U^(1/9), mean 0.9.
    assert float(radius("ball").mean()) == pytest.approx(0.2 * 0.9, abs=0.003)
    assert float(radius("radial").mean()) == pytest.approx(0.1, abs=0.003)


@pytest.mark.parametrize(
    ("norm", "share"),
    [
        ("L1", 0.5**8),  # the first of nine shares of one, uniform among such: Beta(1, 8)
        ("L2", beta.sf(0.5**2, 0.5, 4)),  # its square: Beta(1/2, 4)
        ("Linf", 1 / 9 + 8 / 9 * 0.5),  # the face's own value, or one of the others, uniform
    ],
)
def test_a_start_on_the_sphere_is_uniform_on_it(norm: Any, share: float) -> None:
    x = torch.full((40_000, 1, 3, 3), 0.5)
    first = (random_start(x, Ball(norm, 0.2), "sphere", torch.Generator().manual_seed(1)) - x)[:, 0, 0, 0] / 0.2
    assert float(first.mean()) == pytest.approx(0, abs=0.01)
    assert float((first.abs() > 0.5).float().mean()) == pytest.approx(share, abs=4 * (share / 40_000) ** 0.5)
