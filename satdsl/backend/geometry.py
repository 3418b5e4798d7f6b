"""Move, mirror, turn and enlarge the images of a batch, bytes [n, c, h, w]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from satdsl.backend.images import to_bytes


def cropped(pixels: Tensor, top: Tensor, left: Tensor, padding: int) -> Tensor:
    """Pad [n, c, h, w] with `padding` zeros on each side and cut an h x w window out of each image.

    `top`, `left`: int64 [n] in 0 .. 2 * padding.
    """
    height, width = pixels.shape[2:]
    rows = top[:, None] + torch.arange(height, device=pixels.device)
    columns = left[:, None] + torch.arange(width, device=pixels.device)
    return _taken(F.pad(pixels, (padding,) * 4), rows, columns)


def flipped(pixels: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror, left to right, the images of [n, c, h, w] for which `mirrored` (bool [n]) is true."""
    height, width = pixels.shape[2:]
    rows = torch.arange(height, device=pixels.device).expand(len(pixels), -1)
    columns = torch.arange(width, device=pixels.device)
    return _taken(pixels, rows, torch.where(mirrored[:, None], columns.flip(0), columns))


def rotated(pixels: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn each image counter-clockwise about its centre: the nearest pixel, black where there is none.

    `cosine`, `sine`: float32 [n], of the angles. Every product and every sum is rounded to float32 by itself, so the
    result is the same on every CPU. torchvision's `rotate` (of a tensor, nearest neighbour) finds the same places by a
    matrix product, which some processors round once less; it may then take the neighbour of a pixel where a place is
    halfway between two, up to rounding.
    """
    n, channels, height, width = pixels.shape
    x, y = _from_centre(width, pixels.device), _from_centre(height, pixels.device)[:, None]
    cosine, sine = cosine.view(-1, 1, 1), sine.view(-1, 1, 1)
    column = _nearest(x * (cosine / (width / 2)) - y * (sine / (width / 2)), width)
    row = _nearest(x * (sine / (height / 2)) + y * (cosine / (height / 2)), height)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    places = row.mul_(width).add_(column).clamp_(0, height * width - 1).long().view(n, 1, -1)
    turned = pixels.flatten(2).gather(2, places.expand(-1, channels, -1)).view(pixels.shape)
    return turned * inside[:, None]


def enlarged(pixels: Tensor, box: Tensor) -> Tensor:
    """Scale a window of each image to the size of the whole, between its pixels by bilinear interpolation.

    `box`: float32 [n, 4], top, left, height and width in whole pixels, within the image. Pixels beside the window
    play no part, as in torchvision's `resized_crop`; antialiasing makes no difference where nothing is made smaller.
    """
    n, _, height, width = pixels.shape
    top, left, rows, columns = box[:, :, None].unbind(1)
    down, across = _spread(top, rows, height)[:, :, None], _spread(left, columns, width)[:, None, :]
    grid = torch.stack([across.expand(n, height, width), down.expand(n, height, width)], 3)
    return to_bytes(F.grid_sample(pixels.float(), grid, align_corners=False).round_())


def _taken(pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Take [n, c, h, w], the pixels in these rows (int64 [n, h]) and columns (int64 [n, w]) of [n, c, H, W]."""
    n, channels, _, width = pixels.shape
    places = (rows[:, :, None] * width + columns[:, None, :]).view(n, 1, -1)
    taken = pixels.flatten(2).gather(2, places.expand(-1, channels, -1))
    return taken.view(n, channels, rows.shape[1], columns.shape[1])


def _from_centre(size: int, device: torch.device) -> Tensor:
    """Return how far each of `size` pixels in a row is from their middle: float32 [size]."""
    return torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2


def _nearest(place: Tensor, size: int) -> Tensor:
    """Return which pixel, of `size` in a row, is at `place`, in place: -1 and 1 are the edges of the image."""
    return place.add_(1).mul_(size / 2).sub_(0.5).round_()


def _spread(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return `size` places at equal distances over `length` pixels from `start`.

    None is beyond the middle of the first or the last of these pixels.

    `start`, `length`: [n, 1]. Returns [n, size], -1 and 1 being the edges of the image.
    """
    place = (torch.arange(size, device=start.device) + 0.5) * (length / size)
    return (start + torch.minimum(place.clamp_(min=0.5), length - 0.5)) * (2 / size) - 1
