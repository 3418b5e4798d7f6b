"""Tell what the numbers of a file say about the training images: scores, an order with the hardest first, or a list.

The checker and the split step read files with the same functions, so that they refuse the same files.
"""

from __future__ import annotations

import re

import numpy as np

from satdsl.errors import UserError
from satdsl.number_files import NumberTable

FORMS = (
    "a file of scores has one score for every training image of the whole data set, in its order and before any "
    "`limit` or hold-out, or two columns: dataset index (from 0) and score"
)
WEIGHT_FORMS = (
    "a file of weights has one for every training image of the whole data set, in its order and before any `limit` or "
    "hold-out, or two columns: dataset index (from 0) and weight"
)
FACTOR_FORMS = WEIGHT_FORMS.replace("weights", "factors").replace("weight", "factor")
FACTOR = (
    "a factor multiplies the radius and the step size of an attack for one image, from 0, which leaves it clean, to 1, "
    "the whole radius"
)
ORDER_FORMS = (
    "a ranking lists the dataset indices (from 0) of all training images of the whole data set, hardest first and "
    "before any `limit` or hold-out"
)
NO_SCORES = (
    "write `by ranking in` if it lists the images, hardest first (`np.argsort(ranks)` does so where it has ranks and 0 "
    "is the hardest); if the numbers are scores indeed, larger for harder, save two columns: dataset index and score"
)
OR_SCORES = "if these are scores, larger for harder, write `by scores in`"
CLASS_FORMS = (
    "to rank classes, list the number of each class once, hardest first; a file of scores ranks them by their mean"
)

_INDEX = re.compile(r"((dataset|data|image|img|sample|example|train)[ _-]?)?(index|indices|idx|ids?|no|number)|i")
_RANK = re.compile(r".*rank(s|ing)?|place|position|order")


class UnfitNumbers(UserError):
    """The numbers of a file do not say what they are read as; `code` is that of the finding.

    `scores` is true where they can be nothing but scores.
    """

    def __init__(self, code: str, reason: str, help: str, scores: bool = False) -> None:
        super().__init__(reason, help)
        self.code, self.scores = code, scores

    def __reduce__(self) -> tuple[type[UnfitNumbers], tuple[str, str, str, bool]]:
        return UnfitNumbers, (self.code, self.reason, self.help, self.scores)


def scores_of(table: NumberTable, name: str, n: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return (dataset indices, scores) from rows of (index, score), or from scores in dataset order.

    `n` is the number of training images of the whole data set, None where it is not known.

    Raises:
        UnfitNumbers: There is no telling the scores from an order (E410), or they belong to other images (E413).
    """
    numbers = table.numbers
    if numbers.ndim == 1:
        if (first := _counts_from(numbers)) is not None:
            raise UnfitNumbers("E410", f"{name} {_each_once(first, len(numbers))}, as an order or ranks do", NO_SCORES)
        if n is not None and len(numbers) > n:
            raise UnfitNumbers("E413", f"{name} has {len(numbers)} numbers, but there are {n} training images", FORMS)
        if n is not None and len(numbers) < n:
            raise UnfitNumbers("E413", _missing(name, "number", n - len(numbers), n, len(numbers)), FORMS)
        return np.arange(len(numbers)), numbers
    if numbers.ndim != 2 or (numbers.shape[1] != 2 and len(numbers)):
        raise UnfitNumbers("E413", f"{name} has shape {numbers.shape}, not [n] or [n, 2]", FORMS)
    at = _index_column(table.names)
    numbers = numbers.reshape(-1, 2)
    value = table.names[1 - at].lower() if len(table.names) == 2 else "score"
    no_score = not re.search("[a-z]", value) or _INDEX.fullmatch(value) or _RANK.fullmatch(value)
    if no_score and (first := _counts_from(numbers[:, 1 - at])) is not None:
        what = f"column `{value}`" if value else "second column"
        once = _each_once(first, len(numbers))
        help = f"{NO_SCORES}, the latter named `score`"
        raise UnfitNumbers("E410", f"the {what} of {name} {once}, as an order or ranks do", help)
    indices = to_indices(numbers[:, at], name, "E413")
    reject_duplicates(indices, name, "E413")
    reject_strangers(indices, n, f"{name} scores", "E413", FORMS)
    return indices, numbers[:, 1 - at]


def order_of(table: NumberTable, name: str, n: int | None) -> np.ndarray:
    """Return the dataset indices that a file lists, hardest first, int64.

    Two columns named as index and rank say it, too: the lowest rank is the hardest.

    Raises:
        UnfitNumbers: The file has no order (E411), or one of other images, or names one twice (E412).
    """
    listed = _listed(table, name)
    indices = to_indices(listed, name, "E411")
    if (first := _counts_from(indices)) == 1:
        message = f"{name} {_each_once(first, len(indices))}, but dataset indices count from 0"
        raise UnfitNumbers("E412", message, "subtract 1 from each")
    reject_duplicates(indices, name, "E412", f"name each image once; {OR_SCORES}")
    reject_strangers(indices, n, f"{name} lists", "E412", ORDER_FORMS)
    return indices


def class_order(table: NumberTable, name: str, classes: int) -> list[int]:
    """Return the class numbers that a file lists, hardest first.

    Raises:
        UnfitNumbers: It does not list each class once (E412), or lists none (E411).
    """
    listed = to_indices(_listed(table, name), name, "E411")
    if len(listed) != classes:
        raise UnfitNumbers("E412", f"{name} lists {len(listed)} numbers, but there are {classes} classes", CLASS_FORMS)
    if _counts_from(listed) != 0:
        message = f"{name} does not list each class of 0 ... {classes - 1} once"
        raise UnfitNumbers("E412", message, CLASS_FORMS)
    return [int(k) for k in listed]


def list_of(table: NumberTable, name: str, n: int | None) -> np.ndarray:
    """Return the dataset indices in a file, in whatever order, int64.

    Raises:
        UnfitNumbers: A number is no dataset index, comes twice, or is that of no image (E412).
    """
    indices = to_indices(table.numbers.reshape(-1), name, "E412")
    reject_duplicates(indices, name, "E412")
    help = "indices count from 0, in the whole data set, before any `limit` or hold-out"
    reject_strangers(indices, n, f"{name} lists", "E412", help)
    return indices


def image_scores(table: NumberTable, name: str, n: int | None, index: np.ndarray, in_order: bool) -> np.ndarray:
    """Return the score of each image in `index`, float64 [n]; in an order it is the place, counted from the end.

    Raises:
        UnfitNumbers: The file is not what it is read as, or lacks an image (see `order_of`, `scores_of`, `of_images`).
    """
    if in_order:
        of = order_of(table, name, n)
        return of_images(of, -np.arange(len(of)), index, name, "place", ORDER_FORMS)
    of, scores = scores_of(table, name, n)
    return of_images(of, scores, index, name, "number", FORMS)


def image_weights(table: NumberTable, name: str, n: int | None, index: np.ndarray) -> np.ndarray:
    """Return the loss weight of each image in `index`, float64 [n]: rows of (index, weight), or in dataset order.

    Raises:
        UnfitNumbers: A weight is negative or not finite (E418), or they belong to other images (E413).
    """
    of, weights = _by_image(table, name, n, "weighs", WEIGHT_FORMS)
    odd = ~np.isfinite(weights) | (weights < 0)
    if odd.any():
        first = of[odd][0]
        raise UnfitNumbers(
            "E418",
            f"{name} has the loss weight {weights[odd][0]:g}, of the image of dataset index {first}",
            "a loss weight is a finite number that is at least 0; an image of weight 0 is seen, and not learned from",
        )
    return of_images(of, weights, index, name, "number", WEIGHT_FORMS)


def image_factors(table: NumberTable, name: str, n: int | None, index: np.ndarray) -> np.ndarray:
    """Return the factor of each image in `index`, float64 [n]: rows of (index, factor), or in dataset order.

    Raises:
        UnfitNumbers: A factor is not in [0, 1], or all of them are 0 (E419), or they belong to other images (E413).
    """
    of, factors = _by_image(table, name, n, "scales", FACTOR_FORMS)
    if (first := _counts_from(factors)) is not None and len(factors) + first > 2:
        reason = f"{name} {_each_once(first, len(factors))}, as an order or ranks do"
        raise UnfitNumbers("E419", reason, f"{FACTOR}; of ranks, save `ranks / (n - 1)` or what else you mean")
    odd = ~((factors >= 0) & (factors <= 1))
    if odd.any():
        reason = f"{name} has the factor {factors[odd][0]:g}, of the image of dataset index {of[odd][0]}"
        raise UnfitNumbers("E419", reason, f"{FACTOR}; divide radii by the `eps` of the attack")
    if len(factors) and not factors.any():
        raise UnfitNumbers("E419", f"{name} has the factor 0 for every image, so nothing would be attacked", FACTOR)
    return of_images(of, factors, index, name, "number", FACTOR_FORMS)


def _by_image(table: NumberTable, name: str, n: int | None, does: str, forms: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (dataset indices, numbers) from rows of (index, number), or from numbers in dataset order."""
    numbers = table.numbers
    if numbers.ndim == 1:
        if n is not None and len(numbers) != n:
            reason = f"{name} has {len(numbers)} numbers, but there are {n} training images"
            raise UnfitNumbers("E413", reason, forms)
        return np.arange(len(numbers)), numbers
    if numbers.ndim != 2 or numbers.shape[1] != 2:
        raise UnfitNumbers("E413", f"{name} has shape {numbers.shape}, not [n] or [n, 2]", forms)
    at = _index_column(table.names)
    indices = to_indices(numbers[:, at], name, "E413")
    reject_duplicates(indices, name, "E413")
    reject_strangers(indices, n, f"{name} {does}", "E413", forms)
    return indices, numbers[:, 1 - at]


def of_images(of: np.ndarray, values: np.ndarray, index: np.ndarray, name: str, what: str, forms: str) -> np.ndarray:
    """Return the value of each image in `index`, float64 [n]; `of` has the images that the `values` are of.

    Raises:
        UnfitNumbers: An image has no value (E413, or E412 for its place in an order), or NaN (E413).
    """
    order = np.argsort(of, kind="stable")
    places = np.searchsorted(of, index, sorter=order)
    known = places < len(of)
    known[known] = of[order[places[known]]] == index[known]
    if not known.all():
        missing = _missing(name, what, int((~known).sum()), len(index), index[~known][0])
        if what == "place":
            raise UnfitNumbers("E412", missing, f"{forms}; for a list of some write `examples listed in`")
        raise UnfitNumbers("E413", missing, forms)
    found: np.ndarray = values[order[places]].astype(np.float64)
    if np.isnan(found).any():
        nan = index[np.isnan(found)]
        raise UnfitNumbers(
            "E413",
            f"{name} is NaN for {len(nan)} of {len(index)} training images, the first of dataset index {nan[0]}",
            "give every image a number to be ranked by",
        )
    return found


def to_indices(numbers: np.ndarray, name: str, code: str) -> np.ndarray:
    """Convert numbers to dataset indices, int64; raise UnfitNumbers for one that is none."""
    with np.errstate(invalid="ignore"):
        indices = numbers.astype(np.int64)
    odd = (indices != numbers) | (indices < 0)
    if odd.any():
        help = "indices are whole numbers and count from 0"
        if code == "E411":
            help += f"; {OR_SCORES}"
        scores = code == "E411" and bool(np.isfinite(numbers).all()) and bool((indices != numbers).any())
        raise UnfitNumbers(code, f"{name} lists {numbers[odd][0]:g}, which is no dataset index", help, scores)
    return indices


def reject_duplicates(indices: np.ndarray, name: str, code: str, help: str = "name each image once") -> None:
    """Raise UnfitNumbers for a dataset index that comes twice."""
    values, counts = np.unique(indices, return_counts=True)
    if (counts > 1).any():
        raise UnfitNumbers(code, f"{name} lists dataset index {values[counts > 1][0]} twice", help)


def reject_strangers(indices: np.ndarray, n: int | None, whose: str, code: str, help: str) -> None:
    """Raise UnfitNumbers for a dataset index that none of `n` images has, if their number is known."""
    if n is not None and (indices >= n).any():
        strange = indices[indices >= n][0]
        message = f"{whose} dataset index {strange}, but there are {n} training images, 0 to {n - 1}"
        raise UnfitNumbers(code, message, help)


def _listed(table: NumberTable, name: str) -> np.ndarray:
    """Return the numbers that a file lists one after the other."""
    numbers, names = table.numbers, [column.lower() for column in table.names]
    if numbers.ndim == 1:
        listed: np.ndarray = numbers
        return listed
    if numbers.ndim == 2 and numbers.shape[1] == 2 and len(names) == 2:
        by_index, by_rank = ([bool(kind.fullmatch(column)) for column in names] for kind in (_INDEX, _RANK))
        if by_index != by_rank and sum(by_index) == sum(by_rank) == 1:
            ranks = numbers[:, by_rank.index(True)]
            if len(np.unique(ranks)) != len(ranks):
                raise UnfitNumbers("E411", f"{name} gives two images one rank", "give each image a rank of its own")
            ranked: np.ndarray = numbers[np.argsort(ranks), by_index.index(True)]
            return ranked
        if not names[0] and by_index[1] and np.array_equal(numbers[:, 0], np.arange(len(numbers))):
            numbered_by_pandas: np.ndarray = numbers[:, 1]
            return numbered_by_pandas
    help = f"{ORDER_FORMS}: one column, or two that are called index and rank; for scores write `by scores in`"
    raise UnfitNumbers("E411", f"{name} has shape {numbers.shape}, not [n]", help)


def _index_column(names: tuple[str, ...]) -> int:
    """Return which of two columns has the dataset indices: the one that is called so, or else the first."""
    called = [bool(_INDEX.fullmatch(column.lower())) for column in names]
    return 1 if called == [False, True] and names[0] else 0


def _counts_from(numbers: np.ndarray) -> int | None:
    """Return 0 or 1 if the numbers are 0 ... n-1 or 1 ... n in some order, else None."""
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        return None
    first = int(numbers.min())
    in_order = np.array_equal(np.sort(numbers), np.arange(first, first + len(numbers)))
    return first if first in (0, 1) and in_order else None


def _each_once(first: int, n: int) -> str:
    return f"has each of {first} ... {first + n - 1} once"


def _missing(name: str, what: str, count: int, of: int, first: int) -> str:
    return f"{name} has no {what} for {count} of {of} training images, the first of dataset index {first}"
