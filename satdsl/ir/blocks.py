"""Divide the images of an evaluation into blocks: balanced samples of them, the same in every run.

The images are put into one order, of which each block has a stretch. Any of its beginnings has of each class the share
that all images have, rounded down or up. Within a class the order is drawn, by the images' dataset indices alone, so
that other classes and other images change nothing about which of two images of a class comes first.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from satdsl.ir.draws import drawn
from satdsl.ir.steps import BLOCK_SEED, Block

FEWEST = 50
"""Images of a block at least."""

ENOUGH = 2.7e9
"""What the images of a block have to come to at least, each with the network's weights times its pixels.

AutoAttack makes about 8,000 passes of a block whatever is in it, with work around each pass that does not depend on how
many images there are. On a CPU and for a network of 24,000 weights that is as much as the passes of 200 images of 8 x 8
pixels, or of 10 of 32 x 32 (`benchmarks/results/blocks.md`). With twelve times as many the cost of a second block is a
tenth, and of an evaluation that is long enough to be shared, a few per cent.
"""

SHARED = 8
"""So many workers can share an evaluation of images enough."""

MOST = 20
"""Blocks of an evaluation at most. Each is a step, and a twentieth of the images is soon done again after a kill."""


def number(images: int, batch: int, work: float = math.inf) -> int:
    """Return into how many blocks an evaluation of so many images is divided, `batch` of which are attacked at once.

    Of many images a block is a batch, or several; of fewer it is less, so that workers can share them. `work` is what
    an image is to the network, in weights times pixels: of a small network on small images a block has to be large.
    """
    fewest = max(FEWEST, math.ceil(ENOUGH / work))
    return max(1, min(images // fewest, max(SHARED, -(-images // batch)), MOST))


def size(images: int, block: Block) -> int:
    """Return how many of so many images a block has."""
    first, end = _stretch(images, block)
    return end - first


def members(labels: Sequence[int], indices: Sequence[int], block: Block) -> list[int]:
    """Return the positions, ascending, of the images in a block. They have these labels and dataset indices."""
    first, end = _stretch(len(labels), block)
    return sorted(order(labels, indices)[first:end])


def _stretch(images: int, block: Block) -> tuple[int, int]:
    return block.index * images // block.count, (block.index + 1) * images // block.count


def order(labels: Sequence[int], indices: Sequence[int]) -> list[int]:
    """Return the positions of images in the order in which blocks take them.

    Of n images, m of which are of a class, the first k have floor(k m / n) or ceil(k m / n) of the class. That holds if
    its r-th image, counted from 0, comes at place floor(r n / m) at the earliest and before place ceil((r + 1) n / m);
    to take of those that may come the one that has to come first keeps to all of these windows (Baruah, Cohen, Plaxton
    and Varvel, "Proportionate progress", Algorithmica 1996, section 2).
    """
    n = len(labels)
    of_class: dict[int, list[int]] = {klass: [] for klass in drawn(set(labels), BLOCK_SEED)}
    positions = {index: position for position, index in enumerate(indices)}
    for index in drawn(positions, BLOCK_SEED):
        of_class[labels[positions[index]]].append(positions[index])
    members = list(of_class.values())
    # (first place, class, how many came before), then (end of the window, class, how many came before).
    waiting = [(0, klass, 0) for klass in range(len(members))]
    due: list[tuple[int, int, int]] = []
    found = []
    for place in range(n):
        while waiting and waiting[0][0] <= place:
            _, klass, before = heapq.heappop(waiting)
            heapq.heappush(due, (-(-(before + 1) * n // len(members[klass])), klass, before))
        _, klass, before = heapq.heappop(due)
        found.append(members[klass][before])
        if before + 1 < len(members[klass]):
            heapq.heappush(waiting, ((before + 1) * n // len(members[klass]), klass, before + 1))
    return found
