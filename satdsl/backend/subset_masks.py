"""Pick the training images that the definitions of a split's subsets describe."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from satdsl.backend.rankings import class_order, listed_indices
from satdsl.backend.tie_break import NOTICED, decided_by_draw, drawn_numbers, hardest_first
from satdsl.ir import draws
from satdsl.ir.steps import (
    Combined,
    Everything,
    Listed,
    Nothing,
    OfClasses,
    Origin,
    Pick,
    Ranking,
    Rest,
    Subset,
    Where,
)
from satdsl.ir.work import StepError

COMPARISONS: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The images that subsets are picked from: their dataset `index` (ascending) and `labels`, int64 [n].

    `classes` is the number of classes, `complete` tells whether these are all the images of the data set (no limit,
    no hold-out), and `scores` returns the numbers of a ranking, float64 [n]. `warnings` takes what is to be said of the
    picks.
    """

    index: np.ndarray
    labels: np.ndarray
    classes: int
    complete: bool
    scores: Callable[[Ranking], np.ndarray]
    warnings: list[str] = field(default_factory=list)


def partition(subsets: Sequence[Subset], images: TrainingSet) -> np.ndarray:
    """Return the number of each image's subset, int16 [n].

    A subset that mentions `rest` is picked last. For example, of `A = classes cat`, `B = 10% examples of rest` and
    `C = rest - B` first A is picked, then `rest` is all that is not A, in the definitions of B and of C.

    Raises:
        StepError: Subsets overlap, leave images out, or are empty.
    """
    nothing = np.zeros(len(images.index), dtype=bool)
    masks = {i: subset_mask(subset, images, nothing) for i, subset in enumerate(subsets) if not mentions_rest(subset)}
    rest = ~np.logical_or.reduce([nothing, *masks.values()])
    masks |= {i: subset_mask(subset, images, rest) for i, subset in enumerate(subsets) if i not in masks}
    numbers = np.full(len(images.index), -1, dtype=np.int16)
    for i, mask in sorted(masks.items()):
        _check(i, mask, numbers, images, len(subsets))
        numbers[mask] = i
    if (numbers == -1).any():
        missed = images.index[numbers == -1]
        raise StepError(
            f"the {len(subsets)} subsets leave out {len(missed)} training images, the first of dataset index "
            f"{missed[0]}",
            "let one subset be `rest`",
        )
    return numbers


def _check(i: int, mask: np.ndarray, numbers: np.ndarray, images: TrainingSet, count: int) -> None:
    if not mask.any():
        raise StepError(f"subset {i + 1} of {count} is empty", "widen it, or leave it out")
    shared = mask & (numbers != -1)
    if shared.any():
        raise StepError(
            f"subsets {numbers[shared][0] + 1} and {i + 1} share {shared.sum()} images, the first of "
            f"dataset index {images.index[shared][0]}",
            "take one from the other with `-`",
        )


def mentions_rest(subset: Subset) -> bool:
    """Return whether a definition depends on what the other subsets leave."""
    if isinstance(subset, Combined):
        return mentions_rest(subset.left) or mentions_rest(subset.right)
    if isinstance(subset, Pick):
        return subset.within is not None and mentions_rest(subset.within)
    return isinstance(subset, Rest)


def subset_mask(subset: Subset, images: TrainingSet, rest: np.ndarray) -> np.ndarray:
    """Return which images a definition picks, bool [n]; `rest` is what the subsets that do not mention it leave."""
    n = len(images.index)
    match subset:
        case Everything():
            return np.ones(n, dtype=bool)
        case Nothing():
            return np.zeros(n, dtype=bool)
        case Rest():
            return rest
        case OfClasses():
            return np.isin(images.labels, subset.classes)
        case Where():
            compared: np.ndarray = COMPARISONS[subset.comparison](images.scores(subset.ranking), subset.threshold)
            return compared
        case Origin():
            return (images.index >= subset.start) & (images.index < subset.end)
        case Listed():
            return _listed(subset, images)
        case Combined():
            left, right = (subset_mask(side, images, rest) for side in (subset.left, subset.right))
            by_operator: dict[str, np.ndarray] = {"+": left | right, "-": left & ~right, "&": left & right}
            return by_operator[subset.operator]
        case Pick():
            among = np.ones(n, dtype=bool) if subset.within is None else subset_mask(subset.within, images, rest)
            return _classes(subset, images, among) if subset.unit == "classes" else _examples(subset, images, among)


def _listed(subset: Listed, images: TrainingSet) -> np.ndarray:
    indices = listed_indices(subset)
    strange = np.setdiff1d(indices, images.index)
    if images.complete and len(strange):
        raise StepError(f"{subset.path} lists dataset index {strange[0]}, which no training image has")
    return np.isin(images.index, indices)


def _examples(pick: Pick, images: TrainingSet, among: np.ndarray) -> np.ndarray:
    """Pick the first of the candidates in the pick's order; with `per_class`, the first of each class."""
    places = np.flatnonzero(among)
    ordered = places[_order(pick, images, places)]
    groups = [ordered]
    if pick.per_class:
        groups = [ordered[images.labels[ordered] == k] for k in np.unique(images.labels[ordered])]
    what = "images of a class" if pick.per_class else "images"
    chosen = [group[: amount(pick, len(group), what)] for group in groups]
    if pick.ranking is not None and pick.order != "random":
        scores = images.scores(pick.ranking)
        ties = [decided_by_draw(scores[group], len(taken)) for group, taken in zip(groups, chosen, strict=True)]
        _warn_of_ties(pick, ties, sum(map(len, chosen)), images)
    mask = np.zeros(len(images.index), dtype=bool)
    mask[np.concatenate([ordered[:0], *chosen])] = True
    return mask


def _order(pick: Pick, images: TrainingSet, places: np.ndarray) -> np.ndarray:
    """Return the order of the candidates at these places."""
    if pick.order == "random":
        assert pick.seed is not None
        return np.argsort(drawn_numbers(images.index[places], pick.seed))
    assert pick.ranking is not None
    order = hardest_first(images.scores(pick.ranking)[places], images.index[places])
    return order if pick.order == "hardest" else order[::-1]


def _classes(pick: Pick, images: TrainingSet, among: np.ndarray) -> np.ndarray:
    """Pick whole classes of the candidates: drawn, ranked by mean score, or in the order that a file lists."""
    candidates = np.unique(images.labels[among])
    if pick.order == "random":
        assert pick.seed is not None
        chosen = [k for k in draws.order(images.classes, pick.seed) if k in candidates]
        return among & np.isin(images.labels, chosen[: amount(pick, len(chosen), "classes")])
    assert pick.ranking is not None
    if pick.ranking.in_order:
        order = np.array([k for k in class_order(pick.ranking, images.classes) if k in candidates])
        means = -np.arange(len(order))
    else:
        means = _class_means(images.scores(pick.ranking)[among], images.labels[among], candidates)
        ranked = hardest_first(means, candidates)
        order, means = candidates[ranked], means[ranked]
    if pick.order == "easiest":
        order, means = order[::-1], means[::-1]
    taken = amount(pick, len(order), "classes")
    _warn_of_ties(pick, [decided_by_draw(means, taken)], taken, images)
    return among & np.isin(images.labels, order[:taken])


def _class_means(scores: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the mean score of each class, [classes]."""
    with np.errstate(invalid="ignore"):
        means = np.array([scores[labels == k].mean() for k in classes])
    if np.isnan(means).any():
        message = f"class {classes[np.isnan(means)][0]} has no mean score, since it has both inf and -inf"
        raise StepError(message, "rank classes by finite scores")
    return means


def _warn_of_ties(pick: Pick, ties: Sequence[tuple[int, int]], taken: int, images: TrainingSet) -> None:
    """Take note of a pick that equal scores leave to the draw by more than a hundredth."""
    drawn, equal = (sum(counts) for counts in zip(*ties, strict=True)) if ties else (0, 0)
    if drawn <= NOTICED * taken:
        return
    assert pick.ranking is not None
    share = f"{100 * pick.amount:.6g}%" if isinstance(pick.amount, float) else f"{pick.amount:,}"
    per_class, by = " per class" * pick.per_class, pick.ranking.score or "scores in a file"
    name = f"{pick.order} {share} {pick.unit}{per_class} by {by}"
    images.warnings.append(
        f"a draw decided {drawn:,} of the {taken:,} {pick.unit} of `{name}`: it chose them from {equal:,} of equal "
        f"{'mean ' * (pick.unit == 'classes')}score; it is the same draw in every run, but a finer score would say more"
    )


def amount(pick: Pick, n: int, what: str) -> int:
    """Return how many of n candidates a pick takes: its share of them, or its count.

    Raises:
        StepError: There are fewer candidates than the count.
    """
    if isinstance(pick.amount, float):
        return draws.count(pick.amount, n)
    if pick.amount > n:
        raise StepError(f"a subset asks for {pick.amount} of {n} {what}")
    return pick.amount
