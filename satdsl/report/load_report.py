"""Read everything that a store knows of a plan's outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from satdsl.engine.store import Store
from satdsl.ir.plan import Plan
from satdsl.report.attack_breakdown import AttackBreakdown, breakdowns
from satdsl.report.claims import ClaimResult, verdicts
from satdsl.report.curves import Curve, curves
from satdsl.report.figure import Figure
from satdsl.report.published_values import add_published_values
from satdsl.report.result_warnings import ResultWarning, result_warnings
from satdsl.report.results import Measured, measured


@dataclass(frozen=True)
class Report:
    """A plan with its results, the verdicts on its claims, what to beware of, the curves and what each attack broke."""

    plan: Plan
    results: Sequence[Measured] = ()
    verdicts: Sequence[ClaimResult] = ()
    warnings: Sequence[ResultWarning] = ()
    curves: Sequence[Curve] = ()
    breakdowns: Sequence[AttackBreakdown] = ()

    @cached_property
    def figures(self) -> list[Figure]:
        """The plots and tables of the plan, in its order."""
        return [Figure(display, self.plan, self.results) for display in self.plan.displays]


def load_report(plan: Plan, store: Store) -> Report:
    """Return what is stored of the plan; results that are not have no value, and trainings that are not no curve.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
        StoreError: the store cannot be read.
    """
    results = add_published_values(plan, measured(plan, store))
    trained = curves(plan, store)
    return Report(
        plan, results, verdicts(plan, results), result_warnings(plan, store, trained), trained, breakdowns(plan, store)
    )
