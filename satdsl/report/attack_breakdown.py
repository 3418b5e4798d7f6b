"""Find what each attack of an ensemble did: the share of images that it was the first to break."""

from __future__ import annotations

from dataclasses import dataclass

from satdsl.engine.store import Store
from satdsl.ir.plan import Plan, Point
from satdsl.report.artifact_reader import ArtifactReader, NotStored
from satdsl.report.number_text import amount


@dataclass(frozen=True)
class AttackBreakdown:
    """Of the images of an evaluation behind `result`: the share wrong without attack, and that broken by each attack.

    An image counts for the attack that broke it first; the rest stands.
    """

    result: str
    point: Point
    wrong: float
    broken: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        """`wrong without attack 5.2 %, then broken by apgd-ce 41.0 %, apgd-t 3.1 %, fab-t 0.0 %`."""
        attacks = ", ".join(f"{attack} {amount(share, 'share')}" for attack, share in self.broken)
        return f"wrong without attack {amount(self.wrong, 'share')}, then broken by {attacks}"


def breakdowns(plan: Plan, store: Store) -> list[AttackBreakdown]:
    """Return a breakdown of each finished evaluation by several attacks, in the order of the results.

    It is over all images of the evaluation.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
    """
    artifacts, found = ArtifactReader(store), {}
    for result in plan.results:
        for key in result.measure.evaluations:
            if key in found:
                continue
            try:
                attacks, broken_by = artifacts.broken_by(key)
            except NotStored:
                continue
            if len(attacks) > 1:
                shares = [float((broken_by == k).mean()) for k in range(len(attacks) + 1)]
                broken = tuple(zip(attacks, shares[1:], strict=True))
                found[key] = AttackBreakdown(result.name, result.point, shares[0], broken)
    return list(found.values())
