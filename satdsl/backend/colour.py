"""Strengths of brightness, contrast, saturation and hue, and an order for each image, to images with other colours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from satdsl.backend.images import to_bytes

LUMA = (0.2989, 0.587, 0.114)
"""What red, green and blue add to a pixel's grey (ITU-R BT.601)."""

BLENDS = {"brightness": (0, 0), "contrast": (1, 0), "saturation": (0, 1)}
"""What each blends an image with: how much of its mean grey, and of each pixel's own grey; brightness with black."""


def scheduled(kinds: Sequence[str], amounts: Tensor, when: Tensor) -> tuple[Tensor, ...]:
    """What `jittered` takes, for changes of these kinds: `BLENDS`, of which `hue`, if any, comes last.

    `amounts`: float32 [n, kinds], the factor of a blend (1 changes nothing) or the shift of the hue in turns.
    `when`: [n, kinds], ascending in the order in which an image's changes are made.

    Returns (blends,), or with a hue (blends before it, shifts [n], blends after it). Blends are float32
    [n, passes, 3]: the weights of the image, of its mean grey, and of its grey. A pass that an image makes on the
    other side of its shift changes nothing on this side, so that all images shift together.
    """
    blends = [kind for kind in kinds if kind != "hue"]
    n, m = len(amounts), len(blends)
    factor = amounts[:, :m, None]
    greys = torch.tensor([BLENDS[kind] for kind in blends], dtype=amounts.dtype).view(1, m, 2)
    moments, order = when[:, :m].sort(1)
    weights = torch.cat([factor, (1 - factor) * greys], 2).gather(1, order[:, :, None].expand(-1, -1, 3))
    if m == len(kinds):
        return (weights,)
    early, nothing = (moments < when[:, m:])[:, :, None], torch.tensor([1.0, 0.0, 0.0]).expand(n, m, 3)
    return torch.where(early, weights, nothing), amounts[:, m], torch.where(early, nothing, weights)


def jittered(pixels: Tensor, before: Tensor, shift: Tensor | None = None, after: Tensor | None = None) -> Tensor:
    """Blend, shift the hue, blend: uint8 [n, 1 or 3, h, w] to the same, with what `scheduled` says.

    After each change the colours are cut to whole levels, as torchvision's `adjust_brightness`, ... do on tensors.
    """
    levels = _blended(pixels.float(), before)
    if shift is not None and after is not None:
        levels = _blended(_hue_shifted(levels, shift), after)
    return to_bytes(levels)


def _blended(levels: Tensor, weights: Tensor) -> Tensor:
    """The passes of `weights` [n, passes, 3] over [n, c, h, w], whole numbers 0 .. 255, in place."""
    for weight in weights.unbind(1):
        own, mean, own_grey = weight[:, :, None, None, None].unbind(1)
        grey = _grey(levels)
        other = grey.mean((1, 2, 3), keepdim=True) * mean + grey * own_grey
        levels = levels.mul_(own).add_(other).clamp_(0, 255).floor_()
    return levels


def _grey(levels: Tensor) -> Tensor:
    """Each pixel's grey, a whole number: [n, c, h, w] to [n, 1, h, w]."""
    if levels.shape[1] == 1:
        return levels
    red, green, blue = levels.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).floor_()[:, None]


def _hue_shifted(levels: Tensor, shift: Tensor) -> Tensor:
    """Turn the colours of [n, 3, h, w] by `shift` (float32 [n], in turns): to HSV, where only H moves, and back.

    A channel is V - C * max(0, min(k, 4 - k, 1)), where C = max - min, V = max, k = (o + 6 H) mod 6, and o is 5 for
    red, 3 for green, 1 for blue.
    """
    red, green, blue = levels.unbind(1)
    value = levels.amax(1)
    chroma = value - levels.amin(1)
    divisor = chroma.clamp(min=1)  # of a grey pixel, whose differences are all 0
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    offsets = torch.arange(5, 0, -2, device=levels.device).view(1, 3, 1, 1)
    k = offsets + (sixths + 6 * shift.view(-1, 1, 1))[:, None]
    k -= 6 * (k / 6).floor_()
    turned = value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp_(0, 1)
    return turned.mul_(255.999 / 255).floor_()  # torchvision's way from [0, 1] to bytes
