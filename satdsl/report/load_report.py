"""Everything that a store knows of a plan's outcome, read once for whoever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from satdsl.engine.store import Store
from satdsl.ir.plan import Plan
from satdsl.report.breakdown import Breakdown, breakdowns
from satdsl.report.claims import ClaimResult, verdicts
from satdsl.report.curves import Curve, curves
from satdsl.report.published import with_published
from satdsl.report.results import Measured, measured
from satdsl.report.warnings import Warned, warned


@dataclass(frozen=True)
class Report:
    """A plan with its results, the verdicts on its claims, what to beware of, the curves and what each attack broke."""

    plan: Plan
    results: Sequence[Measured] = ()
    verdicts: Sequence[ClaimResult] = ()
    warned: Sequence[Warned] = ()
    curves: Sequence[Curve] = ()
    breakdowns: Sequence[Breakdown] = ()


def gathered(plan: Plan, store: Store) -> Report:
    """What is stored of the plan; results that are not have no value, and trainings that are not no curve.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
        StoreError: the store cannot be read.
    """
    results = with_published(plan, measured(plan, store))
    trained = curves(plan, store)
    return Report(
        plan, results, verdicts(plan, results), warned(plan, store, trained), trained, breakdowns(plan, store)
    )
