"""Variance of gradients; how much the right logit's gradient with respect to the pixels varies over training."""

from satdsl.catalog.scores import ScoreEntry
from satdsl.ir.plan import Passes

ENTRY = ScoreEntry(
    "vog",
    __doc__,
    formula="mean over pixels i of sqrt(1/T sum_t (g_i(t) - mean_t g_i(t))^2), g_i(t) = d z_y(t) / dx_i",
    source="Agarwal, D'souza and Hooker, 2022 (there also standardised within each class)",
    place=9,
    over_snapshots=True,
    gradient=True,
    beside=Passes(1),
    one_is_too_few="the score is how much a gradient varies between snapshots: 0 for every image with only one",
)
