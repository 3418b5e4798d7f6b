"""Check subsets that are picked anew in training: `hardest 40% examples by loss of itself every 5 epochs`."""

from __future__ import annotations

from typing import NoReturn

from satdsl.catalog.scores import ScoreEntry
from satdsl.check.collector import FindingCollector
from satdsl.ir.experiment import SplitDefinition
from satdsl.syntax import tree

EXAMPLE = "hardest 40% examples by loss of itself every 5 epochs"


def score_fits(node: tree.ScoreOfItself, score: str, findings: FindingCollector) -> None:
    """Check that a score can be taken of a network that is being trained, by a forward pass."""
    entry = ScoreEntry.of(score)
    if entry.over_snapshots:
        help = f"write `{entry.of_weights} of itself`" if entry.of_weights else "write `loss of itself`"
        reason = "a pick is made by the weights as they are at that moment"
        findings.reject("E415", node.score, f"`{score}` is taken over the snapshots of a whole training", reason, help)
    if entry.gradient:
        reason = "each pick scores all training images, and this score takes a backward pass of its own for each"
        findings.reject("E415", node.score, f"`{score}` costs too much for picks", reason, "write `el2n of itself`")


def rhythm_fits(
    node: tree.Pick, anew: tree.Anew | None, own: bool, every: int, before: int | None, findings: FindingCollector
) -> None:
    """Check that a pick by `itself` (which it is if `own`) says how often it is made, and alike in the whole split."""
    if anew is None:
        help = f"say after how many epochs: `{EXAMPLE}`"
        findings.reject("E415", node, "this pick does not say when it is made", _CHANGES, help)
    if not own:
        reason = "only scores of the training that uses the split change while it goes on"
        help = f"leave `{anew.span.text}` out, or pick by a score `of itself`"
        findings.reject("E415", anew, "this pick would be the same every time", reason, help)
    if node.unit == "classes":
        reason = "how many images picked classes have is known only when they are picked"
        findings.reject("E415", node, "classes are not picked anew", reason, f"pick examples: `{EXAMPLE}`")
    if every == 0:
        findings.reject("E304", anew, "`every 0 epochs` is never reached", help="write 1 or more")
    if before not in (None, every):
        findings.reject(
            "E416",
            anew,
            f"another subset of this split is picked every {before} epochs",
            "the subsets of a split are picked together, so that each image is in one of them",
            f"write `every {before} epochs` in both",
        )


_CHANGES = "`itself` is the training that uses the split, whose scores change from epoch to epoch"


def of_unknown_size(node: tree.WhereSubset, findings: FindingCollector) -> NoReturn:
    """Refuse a threshold for scores that change: the size of its subset would, too."""
    reason = "how many images exceed a threshold would be another number at each pick, and so would weight and cost"
    findings.reject("E415", node, "a threshold has no fixed size", reason, f"pick a share: `{EXAMPLE}`")


def reached(node: tree.Node, on: str, split: SplitDefinition, epochs: int, findings: FindingCollector) -> None:
    """Refuse a training that ends before its subsets are picked for the first time."""
    if split.every is not None and 0 < epochs <= split.every:
        findings.reject(
            "E304",
            node,
            f"`{on}` is picked anew every {split.every} epochs, and this training has {epochs}",
            "until the first pick its subsets are a random draw",
            f"train longer, or pick more often, every {max(1, epochs // 2)} epochs",
        )


def not_finished(node: tree.Node, what: str, split: str, findings: FindingCollector) -> NoReturn:
    """Refuse what needs to know which images a subset has once and for all."""
    findings.reject(
        "E417",
        node,
        f"{what} needs the finished split, and `{split}` is picked anew while a network trains",
        "its subsets have other images after each pick",
        "measure on `val` or `train`, or use a split that stays",
    )
