"""The mean of a difficulty score over images."""

from satdsl.catalog.measures import MeasureEntry, Planner
from satdsl.ir.experiment import Measure
from satdsl.ir.plan import MeanScore
from satdsl.syntax import tree


def planned(measure: Measure, planner: Planner) -> MeanScore:
    """Read the mean of the scores that a step recorded."""
    assert measure.score is not None
    attack = measure.attacks[0] if measure.attacks else None
    return MeanScore(measure.score, planner.score(measure.score, attack, measure.own_score), measure.attacks)


ENTRY = MeasureEntry(
    "mean score",
    __doc__,
    place=3,
    node=tree.MeanScore,
    planned=planned,
    share=False,
    score=lambda node: node.score,
    attacks=lambda node: (node.attack,) if node.attack is not None else (),
)
