"""Decide whether the claims of a plan hold, from its measured results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from operator import eq, ge, gt, le, lt, ne

from satdsl.ir.claim_needs import why_in_full
from satdsl.ir.plan import Claim, Comparison, Plan, Point
from satdsl.report import number_text
from satdsl.report.early_looks import ERROR, Look, look
from satdsl.report.expressions import Expressions, NoImagesError
from satdsl.report.results import Measured, ReportError
from satdsl.report.uncertainty import Estimate, combined


class Verdict(Enum):
    """What the numbers say of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    TOO_CLOSE = "too close to call"
    UNDECIDED = "not decided yet"
    """Some of the images are measured, and they do not tell yet what all of them will say."""
    NOT_RUN = "not run"
    NO_IMAGES = "no images"
    """Of one class in a `for all class` only: it has no image in the part, and is left out."""
    SMOKE = "smoke"
    """Computed, from the numbers of a smoke run: no verdict."""


_BY_WEIGHT = (
    Verdict.FAILS,
    Verdict.UNDECIDED,
    Verdict.TOO_CLOSE,
    Verdict.NOT_RUN,
    Verdict.HOLDS,
    Verdict.SMOKE,
    Verdict.NO_IMAGES,
)
"""The first of these that any of a claim's comparisons has is the verdict on the claim."""

_MOST_PLACES = 6
"""Points of a `for all` that are named one by one."""

_OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne}

_ROUNDING = 1e-12
"""A difference below this between numbers that nothing makes uncertain is none: 0.1 + 0.2 is 0.3."""


_JUDGED = (Verdict.HOLDS, Verdict.FAILS, Verdict.TOO_CLOSE, Verdict.NO_IMAGES)
"""What further images change nothing about."""


@dataclass(frozen=True)
class ComparisonResult:
    """One comparison: both sides, and half of the 95 % interval around left - right; None where not run.

    `figures` is for reading: `81.4 % >= 84.2 % - 4 %: difference +1.2 points, 95 % interval ±3.1`. `look` is there
    where not all images are measured: the verdict then is on what all of them will say, and there is no `half_width`.
    """

    comparison: Comparison
    verdict: Verdict
    left: float | None
    right: float | None
    half_width: float | None
    figures: str
    look: Look | None = None

    @property
    def difference(self) -> float | None:
        """Left minus right."""
        return None if self.left is None or self.right is None else self.left - self.right


@dataclass(frozen=True)
class ClaimResult:
    """A claim with the verdict on it, and the comparisons that it rests on."""

    claim: Claim
    verdict: Verdict
    compared: tuple[ComparisonResult, ...]

    @property
    def decided(self) -> bool:
        """Whether no further image can change the verdict, but for the small probability that is allowed for."""
        return self.verdict is Verdict.FAILS or all(one.verdict in _JUDGED for one in self.compared)

    @property
    def early(self) -> str:
        """`decided on 1,500 of 9,000 images`; empty where all are measured, or it is not decided."""
        on = self.decided_on
        return f"decided on {on[0]:,} of {on[1]:,} images" if on is not None else ""

    @property
    def decided_on(self) -> tuple[int, int] | None:
        """How many of how many images the verdict rests on; None where on all, or it is not decided."""
        looks = [one.look for one in self.compared if one.look is not None and one.verdict is self.verdict]
        if not self.decided or not looks:
            return None
        last = max(looks, key=lambda look: look.n / look.of)
        return last.n, last.of

    @property
    def points(self) -> dict[Point, Verdict]:
        """The verdict at each point that `for all` goes over; empty without `for all`."""
        at: dict[Point, list[Verdict]] = {}
        for one in self.compared:
            if one.comparison.at:
                at.setdefault(one.comparison.at, []).append(one.verdict)
        return {point: _weightiest(verdicts) for point, verdicts in at.items()}

    @property
    def figures(self) -> str:
        """Every comparison's figures, one a line; those of `for all` in short, with the point that says the most.

        `compared` has them all.
        """
        lines = [one.figures for one in self.compared if not one.comparison.at]
        there = [one for one in self.compared if one.comparison.at]
        if there:
            telling = _most_telling(there)
            lines += [_counted(self.points), f"{number_text.point_text(telling.comparison.at)}: {telling.figures}"]
        return "\n".join([*lines, *[self.early] * (len(self.compared) > 1 and bool(self.early))])


def _most_telling(comparisons: Sequence[ComparisonResult]) -> ComparisonResult:
    """Return the clearest failure; else the comparison that is nearest to one."""
    verdict = _weightiest(one.verdict for one in comparisons)
    found = [one for one in comparisons if one.verdict is verdict]

    def clearness(one: ComparisonResult) -> float:
        if one.look is not None:
            low, high = one.look.difference.low, one.look.difference.high
            return abs(low + high) / 2 - (high - low) / 2
        return abs(one.difference or 0) - (one.half_width or 0)

    return max(found, key=clearness) if verdict is Verdict.FAILS else min(found, key=clearness)


def _counted(points: Mapping[Point, Verdict]) -> str:
    """Return `holds at 7 of 9: too close to call at share=80%, 90%`; of a smoke run `computed at 2 of 2`.

    Classes without images do not count: `holds at all 3; no images at class=dog`.
    """
    at: dict[Verdict, list[Point]] = {verdict: [] for verdict in _BY_WEIGHT}
    for point, verdict in points.items():
        at[verdict].append(point)
    holds, computed, absent = (at.pop(one) for one in (Verdict.HOLDS, Verdict.SMOKE, Verdict.NO_IMAGES))
    others = [f"{verdict.value} at {_places(there)}" for verdict, there in at.items() if there]
    left_out = [f"{Verdict.NO_IMAGES.value} at {_places(absent)}"] if absent else []
    judged, word = len(points) - len(absent), "computed" if computed else "holds"
    if others:
        return f"{word} at {len(computed or holds)} of {judged}: {'; '.join(others + left_out)}"
    return "; ".join([f"{word} at all {judged}", *left_out] if judged else left_out)


def _places(points: Sequence[Point]) -> str:
    """Return `share=80%, 90%`; only the first of many."""
    shown = [number_text.point_text(point) for point in points[:_MOST_PLACES]]
    if all(len(point) == 1 for point in points):
        shown = [shown[0], *(point[0][1] for point in points[1:_MOST_PLACES])]
    else:
        shown = [f"[{place}]" for place in shown]
    more = len(points) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def verdicts(plan: Plan, results: Sequence[Measured]) -> list[ClaimResult]:
    """Return the verdict on every claim of the plan, from the plan's `measured` results.

    Too close to call means that the difference lies within its 95 % interval, see `uncertainty`. Where not all images
    are measured, the verdict is the one that all of them will give, as far as it is known with 95 % for each claim
    (`early_looks`). A comparison of results that do not exist is not run. `for all class` leaves out the classes that
    have no image in a part: which classes those are may be known only after the run, as in `A = hardest 3 classes by
    ...`.
    """
    expressions = Expressions(plan, results)
    found = []
    for claim in plan.claims:
        error = ERROR / max(len(claim.comparisons), 1)
        compared = tuple(_compare(comparison, expressions, error) for comparison in claim.comparisons)
        verdict = _weightiest(one.verdict for one in compared)
        found.append(ClaimResult(claim, Verdict.NOT_RUN if verdict is Verdict.NO_IMAGES else verdict, compared))
    return [_without_verdict(one) for one in found] if plan.smoke else found


def _without_verdict(result: ClaimResult) -> ClaimResult:
    """Return what a smoke run says of a claim: whether it can be computed, and nothing else."""

    def smoke(verdict: Verdict) -> Verdict:
        return verdict if verdict in (Verdict.NOT_RUN, Verdict.NO_IMAGES) else Verdict.SMOKE

    compared = tuple(replace(one, verdict=smoke(one.verdict)) for one in result.compared)
    return replace(result, verdict=smoke(result.verdict), compared=compared)


def _weightiest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on comparisons that are joined with `and`."""
    found = set(verdicts)
    return next(verdict for verdict in _BY_WEIGHT if verdict in found)


def _compare(comparison: Comparison, expressions: Expressions, error: float) -> ComparisonResult:
    """Compare as far as it can be done; a result that does not exist is one that is not run."""
    try:
        return _judge(comparison, expressions, error)
    except ReportError as error:
        figures = "; ".join(filter(None, (error.reason, error.help)))
        left_out = isinstance(error, NoImagesError) and "class" in dict(comparison.at)
        verdict = Verdict.NO_IMAGES if left_out else Verdict.NOT_RUN
        return ComparisonResult(comparison, verdict, None, None, None, figures)


def _judge(comparison: Comparison, expressions: Expressions, error: float) -> ComparisonResult:
    left, right = expressions.value(comparison.left), expressions.value(comparison.right)
    apart = None if left is None or right is None else left.value - right.value
    shown, more = number_text.compared(comparison, expressions, apart)
    if left is None or right is None:
        return ComparisonResult(comparison, Verdict.NOT_RUN, _known(left), _known(right), None, shown)
    difference = combined(left.value - right.value, [(left, 1.0), (right, -1.0)])
    if not math.isfinite(difference.value):
        shown += ": undefined, a division by zero"
        return ComparisonResult(comparison, Verdict.TOO_CLOSE, _known(left), _known(right), None, shown)
    unit = number_text.common_unit(comparison, expressions)
    if expressions.on_some_images(difference):
        return _judge_early(comparison, difference, expressions, error, (left.value, right.value), shown, more)
    half = expressions.half_width(difference)
    shown += ": " + number_text.difference(difference.value, half, unit, more)
    verdict = _verdict(comparison.operator, difference.value, half)
    return ComparisonResult(comparison, verdict, left.value, right.value, half, shown)


def _judge_early(
    comparison: Comparison,
    difference: Estimate,
    expressions: Expressions,
    error: float,
    sides: tuple[float, float],
    shown: str,
    more: int,
) -> ComparisonResult:
    """Judge from the images that are measured what all of them will say."""
    seen = look(difference, expressions.results, error)
    unit = number_text.common_unit(comparison, expressions)
    reason = why_in_full(comparison)
    if reason:
        shown += f": not decided yet on {seen.n:,} of {seen.of:,} images, since {reason}"
        return ComparisonResult(comparison, Verdict.UNDECIDED, *sides, None, shown)
    sign = seen.sign
    verdict = Verdict.UNDECIDED if sign is None else _verdict(comparison.operator, sign, 0.5)
    ends = (number_text.signed(end, 0.0, unit)[0] for end in (seen.difference.low, seen.difference.high))
    shown += f": difference {number_text.signed(difference.value, 0.0, unit, more)[0]}, "
    shown += f"{'not decided yet' if sign is None else 'decided'} on {seen.n:,} of {seen.of:,} images "
    shown += f"(on all: {' .. '.join(ends)})"
    return ComparisonResult(comparison, verdict, *sides, None, shown, seen)


def _known(side: Estimate | None) -> float | None:
    return None if side is None or not math.isfinite(side.value) else side.value


def _verdict(operator: str, difference: float, half: float) -> Verdict:
    if not math.isfinite(half) or (half > 0 and abs(difference) <= half):
        return Verdict.TOO_CLOSE
    if half == 0 and abs(difference) < _ROUNDING:
        difference = 0.0
    return Verdict.HOLDS if _OPERATORS[operator](difference, 0) else Verdict.FAILS
