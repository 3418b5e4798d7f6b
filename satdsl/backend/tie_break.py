"""Rank by scores, and equal scores by a fixed draw: the order of a data set is often that of its classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from satdsl.ir import draws
from satdsl.ir.steps import TIE_SEED

NOTICED = 0.01
"""A larger share of a pick that the draw decides brings a warning."""


def hardest_first(scores: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return the places of `scores` [n] in descending order; equal ones as `items` (numbers, [n]) are drawn.

    There is one order of all items, so that what is easiest is what is hardest from behind, and a larger pick has all
    that a smaller one has.
    """
    order: np.ndarray = np.lexsort((drawn_numbers(items, TIE_SEED), -scores))
    return order


def drawn_numbers(items: np.ndarray, seed: int) -> np.ndarray:
    """Return the number that each item gets in a draw, uint64 [n]: by it `draws.order` sorts them."""
    start = np.uint64(draws.mix(seed & draws.MASK))
    numbers: np.ndarray = _mix(start + (items.astype(np.uint64) + np.uint64(1)) * np.uint64(draws.GOLDEN))
    return numbers


def _mix(z: np.ndarray) -> Any:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def decided_by_draw(ordered: np.ndarray, taken: int) -> tuple[int, int]:
    """Return how many of the first `taken` scores the draw chose, and how many equal scores it chose them from.

    Both are 0 where the last score taken is not equal to the first one left.
    """
    if not 0 < taken < len(ordered) or ordered[taken - 1] != ordered[taken]:
        return 0, 0
    equal = ordered == ordered[taken]
    return int(equal[:taken].sum()), int(equal.sum())
