"""Compute 3x3 convolutions with fewer multiplications: F(2x2, 3x3) of Lavin and Gray, 2016, for CPUs and float32.

Each 2x2 block of the output takes 16 multiplications for every pair of channels instead of 36. The transforms cost
memory traffic, so it pays where there are many channels.

It rounds less than a running sum, which adds the 9 c products of an output one after the other. For independent inputs
and weights with mean 0 and variance 1, let r be the standard deviation of one relative rounding error:

- A partial sum of k products has variance k, so n roundings of a running sum add up to a variance of r^2 n^2 / 2. That
  is 81 r^2 c^2 / 2 for the direct sum, where n = 9 c.
- An output of Winograd's adds 9 of 16 running sums of c products. The variance of a product is that of an entry of
  B^T d B, which is 4, times that of an entry of G g G^T. The latter are the products of two of 1, 3/4 and 3/4, which
  add up to (5/2)^2 over the nine. Together: 25 r^2 c^2 / 2.

So the standard deviation of its error is 5/9 of a running sum's. Libraries add in blocks, which rounds less, here as in
direct convolutions; which of the two is more exact then depends on the processor, by a factor of two or three.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHANNELS = 128
"""From so many channels on the transforms cost less than the multiplications that they save."""

BLOCKS = 512
"""Output blocks worked on at once: enough rows for the matrix products, little enough for the cache."""

FLIPPED = (3, 1, 2, 0)
"""Where each row of the transformed kernel goes when the kernel is turned around, as its gradient needs it."""


FEWEST = 128
"""With fewer blocks in a batch the kernels, which are larger than the direct ones, are not worth fetching."""


def pays(x: Tensor) -> bool:
    """Whether images [n, c, h, w], with `CHANNELS` or more, are of a kind that is convolved faster so."""
    n, _, height, width = x.shape
    exact = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    even = height % 2 == width % 2 == 0
    return exact and even and x.device.type == "cpu" and n * height * width >= 4 * FEWEST


def transform(weight: Tensor, out: Tensor) -> None:
    """The kernel [k, c, 3, 3] as G g G^T into `out` [4, 4, k, c]."""
    rows = weight.new_empty((4, 3, *weight.shape[:2]))
    _kernel_rows(weight.permute(2, 3, 0, 1), rows)
    _kernel_rows(rows.transpose(0, 1), out.transpose(0, 1))


def _kernel_rows(given: Tensor, out: Tensor) -> None:
    out[0], out[3] = given[0], given[2]
    ends, middle = (given[0] + given[2]).div_(2), given[1] / 2
    torch.add(ends, middle, out=out[1])
    torch.sub(ends, middle, out=out[2])


class Convolved(torch.autograd.Function):
    """`F.conv2d(x, weight, bias, padding=1)` from the weight's `transform` [4, 4, k, c]; differentiable once, by x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(kernel)
        return _convolved(x, kernel.flatten(0, 1).transpose(1, 2), (0, 1, 2, 3), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (kernel,) = ctx.saved_tensors
        return _convolved(gradient, kernel.flatten(0, 1), FLIPPED, None), None, None


def _convolved(x: Tensor, kernel: Tensor, places: tuple[int, ...], bias: Tensor | None) -> Tensor:
    """`kernel` is [16, c, k]; row i of a transformed block stands at `places[i]`."""
    n, channels, height, width = x.shape
    out = torch.empty((n, kernel.shape[2], height, width), memory_format=torch.channels_last)
    size = max(1, BLOCKS * 4 // (height * width))
    work = _Workspace(min(n, size), height, width, channels, kernel.shape[2])
    pixels, results = x.permute(0, 2, 3, 1), out.permute(0, 2, 3, 1)
    for start in range(0, n, size):
        images = pixels[start : start + size]
        if len(images) < len(work.padded):
            work = _Workspace(len(images), height, width, channels, kernel.shape[2])
        work.take_in(images, places)
        torch.bmm(work.blocks.view(16, -1, channels), kernel, out=work.products.view(16, -1, kernel.shape[2]))
        work.give_out(results[start : start + size], places, bias)
    return out


class _Workspace:
    """Memory for the steps of one chunk of images: padded, by rows, by blocks, multiplied; channels come last."""

    def __init__(self, n: int, height: int, width: int, channels: int, outputs: int) -> None:
        rows, columns = height // 2, width // 2
        self.padded = torch.zeros(n, height + 2, width + 2, channels)
        self.by_rows = torch.empty(4, n, rows, width + 2, channels)
        self.blocks = torch.empty(4, 4, n, rows, columns, channels)
        self.products = torch.empty(4, 4, n, rows, columns, outputs)

    def take_in(self, images: Tensor, places: tuple[int, ...]) -> None:
        """B^T d B of each 4x4 block d."""
        self.padded[:, 1:-1, 1:-1] = images
        height, width = self.by_rows.shape[2] * 2, self.blocks.shape[4] * 2
        _transform([self.padded[:, i : i + height : 2] for i in range(4)], [self.by_rows[p] for p in places])
        _transform([self.by_rows[:, :, :, i : i + width : 2] for i in range(4)], [self.blocks[:, p] for p in places])

    def give_out(self, results: Tensor, places: tuple[int, ...], bias: Tensor | None) -> None:
        """A^T m A of each product m, a 2x2 block of the result, plus the bias."""
        for i, rows in enumerate(_inverted(*(self.products[p] for p in places))):
            for j, block in enumerate(_inverted(*(rows[p] for p in places))):
                results[:, i::2, j::2] = block if bias is None else block.add_(bias)


def _transform(given: list[Tensor], out: list[Tensor]) -> None:
    torch.sub(given[0], given[2], out=out[0])
    torch.add(given[1], given[2], out=out[1])
    torch.sub(given[2], given[1], out=out[2])
    torch.sub(given[1], given[3], out=out[3])


def _inverted(first: Tensor, second: Tensor, third: Tensor, fourth: Tensor) -> tuple[Tensor, Tensor]:
    return (first + second).add_(third), (second - third).sub_(fourth)
