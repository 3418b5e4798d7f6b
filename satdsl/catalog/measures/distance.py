"""Describe distances: how far the nearest adversarial image is that some attacks find."""

from functools import partial
from typing import Literal

from satdsl.catalog.measures import MeasureEntry, Planner
from satdsl.ir.experiment import Measure
from satdsl.ir.plan import Distance
from satdsl.syntax import tree


def distance(statistic: Literal["median", "mean"], measure: Measure, planner: Planner) -> Distance:
    """Read the distance that half of the images are beyond, or their mean distance.

    The mean has no value where nothing was found for an image.
    """
    return Distance(tuple(map(planner.evaluation, measure.attacks)), measure.attacks, statistic)


def entry(statistic: Literal["median", "mean"], node: type[tree.Measure], place: float) -> MeasureEntry:
    """Return the measure that is one number of the distances."""
    return MeasureEntry(
        f"{statistic} distance",
        f"The {statistic} over images of how far the nearest adversarial image is that some attacks find.",
        place=place,
        node=node,
        planned=partial(distance, statistic),
        share=False,
        attacks=lambda node: node.attacks,
        nearest=True,
    )


ENTRIES = (entry("median", tree.MedianDistance, 2.2), entry("mean", tree.MeanDistance, 2.3))
