"""Sharpness-aware minimisation: the gradient of each step is that at the weights within `rho` at which the loss is
highest, to first order.
"""

from satdsl.catalog.argument import Argument
from satdsl.catalog.perturbations import PerturbationEntry

ENTRY = PerturbationEntry(
    "sam",
    __doc__,
    source="Foret et al., 2021 (equation 2, p = 2)",
    formula="w <- w - lr * d(w + rho * g / ||g||), of all weights w and their gradient g",
    arguments=(
        Argument("rho", "number", default=0.05, above=0).meaning("L2 length of the perturbation of all weights."),
    ),
    place=2,
)
