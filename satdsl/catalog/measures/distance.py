"""Describe distances: how far the nearest adversarial image is that some attacks find."""

from satdsl.catalog.measures import MeasureEntry, Planner
from satdsl.ir.experiment import Measure
from satdsl.ir.plan import Distance
from satdsl.syntax import tree


def median(measure: Measure, planner: Planner) -> Distance:
    """Read the distance that half of the images are beyond."""
    return Distance(tuple(map(planner.evaluation, measure.attacks)), measure.attacks, "median")


def mean(measure: Measure, planner: Planner) -> Distance:
    """Read the mean of the distances, which has no value where nothing was found for an image."""
    return Distance(tuple(map(planner.evaluation, measure.attacks)), measure.attacks, "mean")


ENTRIES = (
    MeasureEntry(
        "median distance",
        "The median over images of how far the nearest adversarial image is that some attacks find.",
        place=2.2,
        node=tree.MedianDistance,
        planned=median,
        share=False,
        attacks=lambda node: node.attacks,
        nearest=True,
    ),
    MeasureEntry(
        "mean distance",
        "The mean over images of how far the nearest adversarial image is that some attacks find.",
        place=2.3,
        node=tree.MeanDistance,
        planned=mean,
        share=False,
        attacks=lambda node: node.attacks,
        nearest=True,
    ),
)
