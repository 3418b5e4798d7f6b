"""Winograd convolutions against direct ones in double precision."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional as F

from satdsl.backend.winograd import BLOCKS, Convolved, pays, transform


@pytest.mark.parametrize(
    ("n", "channels", "outputs", "height", "width"),
    [(5, 3, 7, 8, 8), (2, 8, 4, 6, 10), (1, 1, 1, 2, 2), (37, 4, 4, 16, 8), (4 * BLOCKS + 3, 2, 3, 2, 2)],
)
def test_it_computes_what_the_direct_sum_does_as_does_its_gradient(
    n: int, channels: int, outputs: int, height: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(n)
    x = torch.randn((n, channels, height, width), generator=generator).requires_grad_()
    weight = torch.randn((outputs, channels, 3, 3), generator=generator)
    bias = torch.randn(outputs, generator=generator)
    slopes = torch.randn((n, outputs, height, width), generator=generator)
    kernel = torch.empty(4, 4, outputs, channels)
    transform(weight, kernel)
    direct = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    (expected,) = torch.autograd.grad(direct, x, slopes.double())
    found = Convolved.apply(x, kernel, bias)
    (gradient,) = torch.autograd.grad(found, x, slopes)
    assert torch.allclose(found.double(), direct, atol=1e-4)
    assert torch.allclose(gradient, expected, atol=1e-4)
    assert torch.allclose(Convolved.apply(x, kernel, None).double(), direct - bias.view(-1, 1, 1), atol=1e-4)


def test_it_rounds_less_than_adding_one_product_after_the_other() -> None:
    """A running sum is rounded in the same way on every processor. In theory our error is at most 5/9 of it.

    The theory (in `winograd`) leaves out that the transforms round too, which adds some hundredths. Pixels at the
    border are left out here, since they add up fewer products.
    """
    generator = torch.Generator().manual_seed(0)
    channels = 256
    x = torch.randn((2, channels, 8, 8), generator=generator)
    weight = torch.randn((128, channels, 3, 3), generator=generator)
    kernel = torch.empty(4, 4, 128, channels)
    transform(weight, kernel)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    padded, running = F.pad(x, (1, 1, 1, 1)), torch.zeros(exact.shape)
    for row, column, channel in itertools.product(range(3), range(3), range(channels)):
        image = padded[:, channel, None, row : row + 8, column : column + 8]
        running += image * weight[:, channel, row, column, None, None]

    def error(found: torch.Tensor) -> float:
        return float((found - exact)[:, :, 1:-1, 1:-1].square().mean().sqrt())

    assert error(Convolved.apply(x, kernel, None)) < 0.6 * error(running)


def test_it_is_for_even_images_in_single_precision_and_many_of_them() -> None:
    assert pays(torch.zeros(8, 128, 8, 8))
    assert not pays(torch.zeros(1, 128, 8, 8))
    assert not pays(torch.zeros(8, 128, 7, 8))
    assert not pays(torch.zeros(8, 128, 8, 8, dtype=torch.bfloat16))
    assert not pays(torch.zeros(8, 128, 8, 8, device="meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(torch.zeros(8, 128, 8, 8))
