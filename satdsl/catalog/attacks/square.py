"""Random search with squares of noise, which sees the network's answers and no gradient."""

from itertools import count

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import EPS, NORM, AttackEntry
from satdsl.catalog.registry import CallSite, at_most
from satdsl.ir.experiment import DatasetFacts
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall

REASON = "it begins with a grid of windows, which on images of this size reaches beyond their edge"


def cannot_attack(norm: str, height: int, width: int) -> bool:
    """Return whether its published code fails on images of this size, under L2 and L1.

    There Square begins by laying a grid of windows over the image. Their side is a fifth of the height, and the grid
    starts in the same place in both directions. It must not reach beyond the image: on 32 x 32 it is 5 x 5 windows of
    6 pixels, starting at 1; on 24 x 24 it is 6 x 6 windows of 4, starting at 2. A height or width of 0 is not known.
    """
    if norm == "Linf" or not height or not width:
        return False
    side = height // 5
    start = (height - 5 * side) // 2
    # Windows of a single pixel may lie outside: there torch adds them to nothing.
    return side == 0 or (side > 1 and any(n >= side and start + n // side * side > n for n in (height, width)))


def next_size(norm: str, height: int, width: int) -> int:
    """Return the next larger side of a square image that it can attack."""
    return next(n for n in count(max(height, width)) if not cannot_attack(norm, n, n))


def problem(call: CatalogCall, height: int, width: int) -> str:
    """Say what is wrong where it `cannot_attack`."""
    return f"square cannot attack images of {height} x {width} under {call['norm']}"


def way_out(call: CatalogCall, height: int, width: int) -> str:
    """Return what to do then."""
    return f"give the data set `resize={next_size(call['norm'], height, width)}`, or attack with `apgd`"


def fits(call: CatalogCall, data: DatasetFacts, site: CallSite) -> None:
    """Refuse images that its published code fails on."""
    _, height, width = data.shape
    if cannot_attack(call["norm"], height, width):
        site.error("E611", problem(call, height, width), REASON, way_out(call, height, width))


ENTRY = AttackEntry(
    "square",
    __doc__,
    source="Andriushchenko et al., 2020; under L1, Croce and Hein, 2021",
    arguments=(
        NORM,
        EPS,
        Argument("queries", "int", default=5000, unit="forward passes", at_least=1).meaning(
            "Squares that are tried on each image; it stops at the first success. They shrink as the queries are spent."
        ),
        Argument("p_init", "share", default=0.8, above=0, at_most=1).meaning(
            "Share of the image's pixels that the first squares change (the paper and AutoAttack take 80%)."
        ),
        Argument("restarts", "int", default=1, at_least=1).meaning(
            "Searches from other random starts, on the images that are not broken yet."
        ),
    ),
    place=3.2,
    passes=lambda call: Passes(1, at_most=True) + Passes(call["queries"] + 2).times(call["restarts"]),
    fits=fits,
    shortened=at_most(queries=5, restarts=2),
    short="at most 5 queries",
    not_for_training=(
        "Square is made for evaluation, not for training",
        "it takes thousands of passes per image, and gives no image where it has no success",
    ),
    strength=0,
)
