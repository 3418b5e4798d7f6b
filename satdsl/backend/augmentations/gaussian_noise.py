"""Add normal numbers to images.

An epoch would have as many of them as its images have values. So one number is drawn for each image, and the image's
are computed from it and from their places when its batch is: by SplitMix64 (Steele et al., 2014), which gives uniform
numbers, and the inverse of the normal distribution function.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Generator, Tensor

from satdsl.backend.augmentations import AugmentationDraw, Shape
from satdsl.ir.draws import GOLDEN

BITS = 23
"""As many of a number's bits are used: with the half that is added they are exact in float32."""

_MIXED = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def gaussian_noise(n: int, shape: Shape, random: Generator, *, std: float) -> AugmentationDraw:
    """Draw the number of each image."""
    seeds = torch.randint(-(2**63), 2**63 - 1, (n,), generator=random)
    return AugmentationDraw(partial(noisy, std=std), (seeds,))


def noisy(pixels: Tensor, seeds: Tensor, *, std: float) -> Tensor:
    """Add N(0, std²), std in the scale [0, 1], to each value of uint8 [n, c, h, w]."""
    noise = normal(seeds, pixels[0].numel()).view_as(pixels)
    moved: Tensor = (pixels + 255 * std * noise).round_()
    return torch.clamp(moved, 0, 255).to(torch.uint8)


def normal(seeds: Tensor, count: int) -> Tensor:
    """Return `count` normal numbers for each seed, float32 [n, count], below 5.3 in size."""
    state = seeds.view(-1, 1) + torch.arange(1, count + 1, device=seeds.device) * _signed(GOLDEN)
    for shift, factor in _MIXED:
        state = (state ^ _shifted(state, shift)) * _signed(factor)
    uniform = (_shifted(state ^ _shifted(state, 31), 64 - BITS).float() + 0.5) / 2**BITS
    numbers: Tensor = torch.erfinv(2 * uniform - 1) * math.sqrt(2)
    return numbers


def _shifted(numbers: Tensor, places: int) -> Tensor:
    """Return int64 numbers, taken as unsigned ones, shifted to the right."""
    shifted: Tensor = (numbers >> places) & (2 ** (64 - places) - 1)
    return shifted


def _signed(number: int) -> int:
    """Return the int64 of the same bits."""
    return number - 2**64 if number >= 2**63 else number
