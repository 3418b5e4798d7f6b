"""Say how an epoch is cut into batches, and how many images of each subset a batch has: `share real = 30%`.

Where subsets have shares, every batch has its share of each, rounded up or down: of a batch of 128 images 38 or 39 are
from a subset with 30 %. What rounding takes from a subset in one batch it gets in a later one, so that an epoch has the
shares up to an image or so. Subsets without a share fill the rest of a batch in proportion to their sizes.

That is the mixing of real and generated images of Carmon et al. (2019) and Gowal et al. (2021). Their released code
rounds the generated images of a batch down, always, and draws these with replacement (`SemiSupervisedSampler`, kept in
wzekai99/DM-Improves-AT, `core/data/semisup.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

PARTS = 10**9
"""A share is a whole number of so many parts: 100 % - 90 % is 10 %, whatever binary fractions say."""


def ends(n: int, batch: int) -> list[int]:
    """Return where the batches of n images end. The last can be smaller; a single image joins the one before."""
    found = [*range(batch, n, batch), n]
    if len(found) > 1 and found[-1] - found[-2] == 1:
        del found[-2]
    return found


def lengths(n: int, batch: int) -> list[int]:
    """Return how many images each batch of n images has."""
    found = ends(n, batch)
    return [end - start for start, end in zip([0, *found], found, strict=False)]


def parts(share: float) -> int:
    """Return a share in parts, of which the whole has `PARTS`."""
    return round(share * PARTS)


def fractions(shares: Sequence[float | None], sizes: Sequence[int]) -> list[Fraction]:
    """Return how much of each batch each subset has; those without a share have the rest by their sizes."""
    given = [None if share is None else Fraction(parts(share), PARTS) for share in shares]
    left = 1 - sum((share for share in given if share is not None), Fraction())
    others = sum(size for share, size in zip(given, sizes, strict=True) if share is None)
    return [left * size / others if share is None else share for share, size in zip(given, sizes, strict=True)]


def counts(wanted: Sequence[Fraction], batches: Sequence[int]) -> list[list[int]]:
    """Return for each batch, of so many images, how many are of each subset.

    Each number is the subset's fraction of the batch, rounded down or up: up for those to which earlier batches owe
    most.
    """
    whole = lcm(*(fraction.denominator for fraction in wanted))
    each = [fraction.numerator * (whole // fraction.denominator) for fraction in wanted]
    owed = [0] * len(each)
    found = []
    for images in batches:
        given = [part * images // whole for part in each]
        owed = [debt + part * images - whole * had for debt, part, had in zip(owed, each, given, strict=True)]
        rounded = [s for s, part in enumerate(each) if part * images % whole]
        for s in sorted(rounded, key=lambda s: (-owed[s], s))[: images - sum(given)]:
            given[s] += 1
            owed[s] -= whole
        found.append(given)
    return found


def known_fractions(shares: Sequence[float | None], sizes: Sequence[int | None]) -> list[float | None]:
    """Return how much of each batch each subset has, None where that depends on sizes not known yet."""
    known, found = _settled(shares, sizes), fractions(shares, [size or 1 for size in sizes])
    return [float(part) if known or share is not None else None for share, part in zip(shares, found, strict=True)]


def of_epoch(
    shares: Sequence[float | None], sizes: Sequence[int | None], images: int, batch: int
) -> tuple[int | None, ...]:
    """Return how many of an epoch's images are of each subset, None where that depends on sizes not known yet."""
    of_batches = counts(fractions(shares, [size or 1 for size in sizes]), lengths(images, batch))
    totals, known = [sum(column) for column in zip(*of_batches, strict=True)], _settled(shares, sizes)
    return tuple(total if known or share is not None else None for share, total in zip(shares, totals, strict=True))


def _settled(shares: Sequence[float | None], sizes: Sequence[int | None]) -> bool:
    """Return whether the sizes are known of those that have the rest by their sizes; a single one has all of it."""
    others = [size for share, size in zip(shares, sizes, strict=True) if share is None]
    return len(others) <= 1 or None not in others
