"""Decide whether the claims of a plan hold, from its measured results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from operator import eq, ge, gt, le, lt, ne

from satdsl.ir.plan import Claim, Comparison, Plan, Point
from satdsl.report import number_text
from satdsl.report.expressions import Expressions
from satdsl.report.results import Measured, ReportError
from satdsl.report.uncertainty import Estimate, combined


class Verdict(Enum):
    """What the numbers say of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    TOO_CLOSE = "too close to call"
    NOT_RUN = "not run"
    SMOKE = "smoke"
    """Computed, from the numbers of a smoke run: no verdict."""


_BY_WEIGHT = (Verdict.FAILS, Verdict.TOO_CLOSE, Verdict.NOT_RUN, Verdict.HOLDS, Verdict.SMOKE)
"""The first of these that any of a claim's comparisons has is the verdict on the claim."""

_MOST_PLACES = 6
"""Points of a `for all` that are named one by one."""

_OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne}

_ROUNDING = 1e-12
"""A difference below this between numbers that nothing makes uncertain is none: 0.1 + 0.2 is 0.3."""


@dataclass(frozen=True)
class ComparisonResult:
    """One comparison: both sides, and half of the 95 % interval around left - right; None where not run.

    `figures` is for reading: `81.4 % >= 84.2 % - 4 %: difference +1.2 points, 95 % interval ±3.1`.
    """

    comparison: Comparison
    verdict: Verdict
    left: float | None
    right: float | None
    half_width: float | None
    figures: str

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
    def points(self) -> dict[Point, Verdict]:
        """The verdict at each point that `for all` goes over; empty without `for all`."""
        at: dict[Point, list[Verdict]] = {}
        for one in self.compared:
            if one.comparison.at:
                at.setdefault(one.comparison.at, []).append(one.verdict)
        return {point: _claim_verdict(verdicts) for point, verdicts in at.items()}

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
        return "\n".join(lines)


def _most_telling(comparisons: Sequence[ComparisonResult]) -> ComparisonResult:
    """The clearest failure; else the comparison that is nearest to one."""
    verdict = _claim_verdict(one.verdict for one in comparisons)
    found = [one for one in comparisons if one.verdict is verdict]

    def clearness(one: ComparisonResult) -> float:
        return abs(one.difference or 0) - (one.half_width or 0)

    return max(found, key=clearness) if verdict is Verdict.FAILS else min(found, key=clearness)


def _counted(points: Mapping[Point, Verdict]) -> str:
    """`holds at 7 of 9: too close to call at share=80%, 90%`; of a smoke run `computed at 2 of 2`."""
    by_verdict: dict[Verdict, list[Point]] = {verdict: [] for verdict in _BY_WEIGHT}
    for point, verdict in points.items():
        by_verdict[verdict].append(point)
    holds, computed = by_verdict.pop(Verdict.HOLDS), by_verdict.pop(Verdict.SMOKE)
    others = [f"{verdict.value} at {_places(at)}" for verdict, at in by_verdict.items() if at]
    word = "computed" if computed else "holds"
    if not others:
        return f"{word} at all {len(points)}"
    return f"{word} at {len(computed or holds)} of {len(points)}: {'; '.join(others)}"


def _places(points: Sequence[Point]) -> str:
    """`share=80%, 90%`; of many the first."""
    shown = [number_text.point_text(point) for point in points[:_MOST_PLACES]]
    if all(len(point) == 1 for point in points):
        shown = [shown[0], *(point[0][1] for point in points[1:_MOST_PLACES])]
    else:
        shown = [f"[{place}]" for place in shown]
    more = len(points) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def verdicts(plan: Plan, results: Sequence[Measured]) -> list[ClaimResult]:
    """Return the verdict on every claim of the plan, from the plan's `measured` results.

    Too close to call means that the difference lies within its 95 % interval, see `uncertainty`. A comparison of
    results that do not exist, such as those of a class that a part does not have, is not run.
    """
    expressions = Expressions(plan, results)
    found = []
    for claim in plan.claims:
        compared = [_compare(comparison, expressions) for comparison in claim.comparisons]
        verdict = _claim_verdict(one.verdict for one in compared)
        if plan.smoke:
            compared = [replace(one, verdict=_smoke_verdict(one.verdict)) for one in compared]
            verdict = _smoke_verdict(verdict)
        found.append(ClaimResult(claim, verdict, tuple(compared)))
    return found


def _smoke_verdict(verdict: Verdict) -> Verdict:
    """What a smoke run says: whether a verdict can be reached, and nothing else."""
    return verdict if verdict is Verdict.NOT_RUN else Verdict.SMOKE


def _claim_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on comparisons that are joined with `and`."""
    found = set(verdicts)
    return next(verdict for verdict in _BY_WEIGHT if verdict in found)


def _compare(comparison: Comparison, expressions: Expressions) -> ComparisonResult:
    """One comparison as far as it can be made; a result that does not exist is one that is not run."""
    try:
        return _made(comparison, expressions)
    except ReportError as error:
        figures = "; ".join(filter(None, (error.reason, error.help)))
        return ComparisonResult(comparison, Verdict.NOT_RUN, None, None, None, figures)


def _made(comparison: Comparison, expressions: Expressions) -> ComparisonResult:
    left, right = expressions.value(comparison.left), expressions.value(comparison.right)
    shown = number_text.compared(comparison, expressions)
    if left is None or right is None:
        return ComparisonResult(comparison, Verdict.NOT_RUN, _known(left), _known(right), None, shown)
    difference = combined(left.value - right.value, [(left, 1.0), (right, -1.0)])
    if math.isnan(difference.value):
        shown += ": undefined, a division by zero"
        return ComparisonResult(comparison, Verdict.TOO_CLOSE, _known(left), _known(right), None, shown)
    half = expressions.half_width(difference)
    unit = number_text.common_unit(comparison, expressions)
    shown += ": " + number_text.difference(difference.value, half, unit)
    verdict = _verdict(comparison.operator, difference.value, half)
    return ComparisonResult(comparison, verdict, left.value, right.value, half, shown)


def _known(side: Estimate | None) -> float | None:
    return None if side is None or math.isnan(side.value) else side.value


def _verdict(operator: str, difference: float, half: float) -> Verdict:
    if half > 0 and abs(difference) <= half:
        return Verdict.TOO_CLOSE
    if half == 0 and abs(difference) < _ROUNDING:
        difference = 0.0
    return Verdict.HOLDS if _OPERATORS[operator](difference, 0) else Verdict.FAILS
