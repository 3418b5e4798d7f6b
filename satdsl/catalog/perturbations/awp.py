"""Adversarial weight perturbation: the step is made at weights that raise the batch's loss, layer by layer. Biases and
batch norms are left alone.
"""

from satdsl.catalog.argument import Argument
from satdsl.catalog.perturbations import PerturbationEntry
from satdsl.catalog.registry import changed

ENTRY = PerturbationEntry(
    "awp",
    __doc__,
    source="Wu, Xia and Wang, 2020 (algorithm 1; the order of the released code)",
    formula="v = gamma * ||w|| * g / ||g||, w <- w + v - lr * d(w + v) - v, of each layer's weight w and gradient g",
    arguments=(
        Argument("gamma", "number", default=0.005, above=0, at_most=1).meaning(
            "Length of a layer's perturbation, as a share of its weight's; the released code has 0.005 with TRADES and "
            "0.01 with the cross-entropy."
        ),
        Argument("warmup", "int", default=0, unit="epochs", at_least=0).meaning(
            "Completed epochs before the first perturbation; 10 with TRADES in the released code."
        ),
    ),
    place=1,
    steps_there=True,
    begins=lambda call: int(call["warmup"]),
    shortened=lambda call, short: changed(call, warmup=min(call["warmup"], short - 1)),
)
