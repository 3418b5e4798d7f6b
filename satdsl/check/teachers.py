"""Check the networks that a loss asks: `kl(teacher(clean), adversarial)`."""

from __future__ import annotations

from satdsl.check.collector import FindingCollector
from satdsl.ir.experiment import Dataset, PointRef
from satdsl.syntax import tree


def fits(node: tree.PointOf, reference: PointRef, taught: Dataset, data: Dataset, findings: FindingCollector) -> None:
    """Refuse a network of other classes or images than those that are trained on, or of one of its epochs."""
    name, reason, help = f"`{node.span.text}`", "its predictions are compared, class by class", ""
    if reference.epoch is not None:
        problem, reason = f"{name} is a network at one of its epochs", "a loss asks the weights that a training leaves"
        help = f"write `{node.name.span.text}`"
    elif taught.facts is None or data.facts is None:
        return
    elif len(taught.facts.classes) != len(data.facts.classes):
        problem = f"{name} knows {len(taught.facts.classes)} classes, but this data set has {len(data.facts.classes)}"
    elif taught.facts.shape != data.facts.shape:
        sizes = [" x ".join(map(str, of.shape)) for of in (taught.facts, data.facts)]
        problem, reason = f"{name} is trained on images of {sizes[0]}, these are {sizes[1]}", "it sees the same images"
    else:
        return
    findings.reject("E532", node, problem, reason, help or "ask a network that is trained on the same data set")
