"""Describe the terms that a loss can be written with, image by image: `ce(clean) + 6*kl(clean, adversarial)`.

In the formulas y is the label, z(x) the logits of an image in the pass that trains (of another network, in evaluation
mode), p(x) = softmax(z(x)).
"""

from __future__ import annotations

from typing import ClassVar

from satdsl.catalog.argument import Argument
from satdsl.catalog.registry import Entry
from satdsl.records import record


@record
class LossTermEntry(Entry):
    """A term of the catalog."""

    family: ClassVar[str] = "term"

    constant: bool = False
    """Whether no gradient goes through it, so that it trains nothing by itself."""


X = Argument("x", "image").meaning("Prediction for `clean` or `adversarial`, or another network's: `ref(clean)`.")
Y = Argument("y", "image").meaning("Prediction to compare with.")

ENTRIES = (
    LossTermEntry(
        "ce",
        "The cross-entropy, with the recipe's label smoothing.",
        formula="-ln p_y(x)",
        source="Goodfellow, Shlens and Szegedy, 2015 (of clean and adversarial images, half and half)",
        arguments=(X,),
        place=1,
    ),
    LossTermEntry(
        "bce",
        "The boosted cross-entropy: the cross-entropy, and how much the most probable wrong class has.",
        formula="-ln p_y(x) - ln(1 - max_{k != y} p_k(x))",
        source="Wang et al., 2020 (MART)",
        arguments=(X,),
        place=2,
    ),
    LossTermEntry(
        "kl",
        "How far the second prediction is from the first, the Kullback-Leibler divergence in nats.",
        formula="KL(p(x) || p(y))",
        source="Zhang et al., 2019 (TRADES), and Wang et al., 2020 (MART), as kl(clean, adversarial)",
        arguments=(X, Y),
        place=3,
    ),
    LossTermEntry(
        "l2",
        "The squared Euclidean distance of two predictions' logits, summed over the classes.",
        formula="sum_k (z_k(x) - z_k(y))^2",
        source="Kannan, Kurakin and Goodfellow, 2018 (adversarial logit pairing), who take the mean over the classes",
        arguments=(X, Y),
        place=4,
    ),
    LossTermEntry("p", "The probability of the label.", formula="p_y(x)", arguments=(X,), place=5),
    LossTermEntry(
        "margin",
        "How far the most probable wrong class is ahead of the right one; in [-1, 1].",
        formula="max_{k != y} p_k(x) - p_y(x)",
        arguments=(X,),
        place=6,
    ),
    LossTermEntry(
        "fixed",
        "The value of a term or formula that no gradient goes through, as a weight that is not trained itself.",
        arguments=(Argument("x", "loss").meaning("Any formula: `fixed(1 - p(clean))`."),),
        place=7,
        constant=True,
    ),
)
