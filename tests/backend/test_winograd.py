"""Winograd convolutions against direct ones in double precision."""

from __future__ import annotations

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


def test_it_rounds_no_more_than_the_direct_sum_does() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((16, 256, 8, 8), generator=generator)
    weight = torch.randn((256, 256, 3, 3), generator=generator) / 48
    kernel = torch.empty(4, 4, 256, 256)
    transform(weight, kernel)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    error = (Convolved.apply(x, kernel, None) - exact).abs().max()
    assert error < 2 * (F.conv2d(x, weight, padding=1) - exact).abs().max()


def test_it_is_for_even_images_in_single_precision_and_many_of_them() -> None:
    assert pays(torch.zeros(8, 128, 8, 8))
    assert not pays(torch.zeros(1, 128, 8, 8))
    assert not pays(torch.zeros(8, 128, 7, 8))
    assert not pays(torch.zeros(8, 128, 8, 8, dtype=torch.bfloat16))
    assert not pays(torch.zeros(8, 128, 8, 8, device="meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(torch.zeros(8, 128, 8, 8))
