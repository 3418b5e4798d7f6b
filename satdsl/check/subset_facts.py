"""What is known of a subset before scoring: its size, its classes, its ranks in an order, and whom it overlaps."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

from satdsl.ir import draws, steps
from satdsl.records import Record, record

Intervals = tuple[tuple[int, int], ...]


@record
class SubsetFacts(Record):
    """What is known of a subset before scoring.

    `classes` where it consists of whole, known classes; `unit` "classes" where it consists of whole classes, known or
    not. `ranking` and `intervals` place a pick in an order that others may share: ranks [start, end) in all, or class
    by class.
    """

    definition: steps.Subset
    size: int | None
    classes: frozenset[int] | None = None
    class_count: int | None = None
    unit: Literal["examples", "classes"] = "examples"
    ranking: Hashable = None
    intervals: Intervals = ()


def overlap(left: SubsetFacts, right: SubsetFacts, total: int | None) -> int | None:
    """How many examples two subsets share, as far as that can be known before scoring (None where it cannot)."""
    if isinstance(left.definition, steps.Rest) or isinstance(right.definition, steps.Rest):
        return 0
    if left.size == 0 or right.size == 0:
        return 0
    if left.classes is not None and right.classes is not None:
        return len(left.classes & right.classes)
    if left.ranking and left.ranking == right.ranking and len(left.intervals) == len(right.intervals):
        pairs = zip(left.intervals, right.intervals, strict=True)
        return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in pairs)
    if (drawn := _both_drawn(left.definition, right.definition, total)) is not None:
        return drawn
    if left.size is not None and right.size is not None and total is not None and left.size + right.size > total:
        return left.size + right.size - total
    if isinstance(left.definition, steps.Everything):
        return right.size
    return left.size if isinstance(right.definition, steps.Everything) else None


def _both_drawn(left: steps.Subset, right: steps.Subset, total: int | None) -> int | None:
    """How many examples two draws with different seeds share."""
    sets = []
    for pick in (left, right):
        if not isinstance(pick, steps.Pick) or pick.order != "random" or pick.unit != "examples" or total is None:
            return None
        if pick.per_class or pick.within is not None or pick.seed is None or not isinstance(pick.amount, int):
            return None
        sets.append(frozenset(draws.order(total, pick.seed)[: pick.amount]))
    return len(sets[0] & sets[1])


def ranking_name(pick: steps.Pick) -> Hashable:
    """What order a pick takes its ranks from: picks with the same one can be compared."""
    return pick.order == "random", pick.unit, pick.per_class, pick.within, pick.ranking, pick.seed
