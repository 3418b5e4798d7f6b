"""State what is known of a subset before any score is taken: its size, its classes, and what it shares with others."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Literal

from satdsl.ir import draws, steps
from satdsl.records import Record, record

Unit = Literal["examples", "classes"]
Intervals = tuple[tuple[int, int], ...]


@record
class SubsetFacts(Record):
    """A subset's definition and what is known of it; None stands for what only the scores will tell.

    `classes` has the classes that it consists of, where it consists of whole ones; `unit` is "classes" there, and also
    where it is only known that they will be whole. `order` and `intervals` say which ranks a pick has in an order that
    other picks may share: one interval [start, end) of all ranks, or one for each class. For example, of 100 images
    `hardest 30 examples by loss of ref` has the interval [0, 30), and `easiest 80 examples by loss of ref` has
    [20, 100) in the same order, so that they share 10 images whatever the losses are.
    """

    definition: steps.Subset
    size: int | None
    classes: frozenset[int] | None = None
    class_count: int | None = None
    unit: Unit = "examples"
    order: Hashable = None
    intervals: Intervals = ()

    @property
    def is_rest(self) -> bool:
        """Whether it is what the other subsets of the split leave."""
        return isinstance(self.definition, steps.Rest)


def overlap(left: SubsetFacts, right: SubsetFacts, total: int | None) -> int | None:
    """Return how many examples two subsets share, None where that is not known before scoring.

    Of two subsets of whole classes it is the number of classes that they share.
    """
    if left.is_rest or right.is_rest or left.size == 0 or right.size == 0:
        return 0
    if left.classes is not None and right.classes is not None:
        return len(left.classes & right.classes)
    if left.order and left.order == right.order and len(left.intervals) == len(right.intervals):
        pairs = zip(left.intervals, right.intervals, strict=True)
        return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in pairs)
    if total is not None:
        drawn = [_drawn_examples(one.definition, total) for one in (left, right)]
        if drawn[0] is not None and drawn[1] is not None:
            return len(drawn[0] & drawn[1])
        if left.size is not None and right.size is not None and left.size + right.size > total:
            return left.size + right.size - total
    if isinstance(left.definition, steps.Everything):
        return right.size
    return left.size if isinstance(right.definition, steps.Everything) else None


@lru_cache(8)
def _drawn_examples(pick: steps.Subset, total: int) -> frozenset[int] | None:
    """Return the examples of a random draw from the whole training set, None where a subset is no such draw."""
    if not isinstance(pick, steps.Pick) or (pick.order, pick.unit) != ("random", "examples"):
        return None
    if pick.per_class or pick.within is not None or pick.seed is None or not isinstance(pick.amount, int):
        return None
    return frozenset(draws.order(total, pick.seed)[: pick.amount])


def order_of(pick: steps.Pick) -> Hashable:
    """Return what identifies the order that a pick takes its ranks from."""
    return pick.order == "random", pick.unit, pick.per_class, pick.within, pick.ranking, pick.seed
