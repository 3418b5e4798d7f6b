"""Check the shares that subsets have of every batch: `share real = 30%`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import percentage, remove_repeated
from satdsl.check.subset_facts import SubsetFacts
from satdsl.check.values import Environment, Num, Share, describe, evaluate
from satdsl.hints import listed, suggest
from satdsl.ir import batches
from satdsl.ir.experiment import Dataset, SplitDefinition
from satdsl.ir.steps import Weight
from satdsl.syntax import tree

TOGETHER = "the subsets of a split share every batch"


def shares(
    split: tree.Split, subsets: Mapping[str, SubsetFacts], at: Environment, where: str, findings: FindingCollector
) -> dict[str, float]:
    """Return the share of each subset that has one. `where` says at which point of the sweep, for messages."""
    found: dict[str, float] = {}
    lines = [line for line in split.lines if isinstance(line, tree.ShareLine)]
    for line in lines:
        name = line.subset.text
        if name not in subsets:
            help = suggest(name, subsets, line.subset.span, "its subsets are")
            findings.reject("E206", line.subset, f"split `{split.name.text}` has no subset `{name}`", help=help)
        if name in found:
            help = remove_repeated(line, split.lines, "keep one of them")
            findings.reject("E201", line, f"`{name}` already has a share", help=help)
        found[name] = _share(line.value, at, findings)
    if found:
        _add_up(lines, found, subsets, where, findings)
    return found


def _share(node: tree.Value, at: Environment, findings: FindingCollector) -> float:
    value, text = evaluate(node, at, findings), node.span.text
    match value:
        case Share(share) if 0 <= share <= 1:
            return batches.parts(share) / batches.PARTS
        case Share(share):
            message = f"a share of a batch must lie between 0% and 100%, but here it is {share * 100:g}%"
            findings.reject("E304", node, message, help="write a percentage in this range")
        case Num(number):
            help = percentage(node, number)
            findings.reject("E301", node, f"`{text}` is a number, and a share of a batch is a percentage", help=help)
    findings.reject("E301", node, f"`{text}` is {describe(value)}, not a share", help="write a percentage: `30%`")


def _add_up(
    lines: Sequence[tree.ShareLine],
    found: Mapping[str, float],
    subsets: Mapping[str, SubsetFacts],
    where: str,
    findings: FindingCollector,
) -> None:
    """Refuse shares that are more than a batch, or that leave a part of it to no subset."""
    total = sum(map(batches.parts, found.values()))
    others = [name for name in subsets if name not in found]
    added = " + ".join(f"{share * 100:.7g}%" for share in found.values())
    reason = f"{TOGETHER}: {added} = {total / batches.PARTS * 100:.7g}%" if len(found) > 1 else TOGETHER
    if total > batches.PARTS:
        findings.reject(
            "E545", lines[-1], f"the shares are more than a whole batch{where}", reason, "make them smaller"
        )
    if not others and total < batches.PARTS:
        message = (
            f"the shares leave {(batches.PARTS - total) / batches.PARTS * 100:.7g}% of each batch to no subset{where}"
        )
        help = "let them add up to 100%, or leave one of them out: that subset then has the rest"
        findings.reject("E545", lines[-1], message, reason, help)


def something_is_learned(
    split: tree.Split,
    shares: Mapping[str, float],
    subsets: Mapping[str, SubsetFacts],
    weights: Mapping[str, Weight],
    where: str,
    findings: FindingCollector,
) -> None:
    """Refuse batches of one class, or of images that all count for nothing."""
    full = sum(map(batches.parts, shares.values())) == batches.PARTS
    seen = [name for name in subsets if shares.get(name, 0.0 if full else 1.0) > 0]
    line = next(line for line in split.lines if isinstance(line, tree.ShareLine))
    if all(weights.get(name, 1.0) == 0 for name in seen):
        message = f"all that batches have is of {listed([f'`{name}`' for name in seen])}, whose loss weight is 0{where}"
        help = "give a subset with a weight a share above 0%"
        findings.reject("E405", line, message, "there is nothing to learn from", help)
    if len(seen) == 1 and subsets[seen[0]].class_count == 1:
        message = f"all that batches have is of `{seen[0]}`, which is one class{where}"
        reason = "a network that sees one class learns to name it without looking"
        findings.reject("E408", line, message, reason, "give a subset of other classes a share above 0%")


def of_whole_splits(node: tree.Node, part: str, split: SplitDefinition, findings: FindingCollector) -> None:
    """Refuse a training on one subset of a split whose subsets share the batches."""
    if not split.shared:
        return
    findings.reject(
        "E546",
        node,
        f"this training sees `{part}` alone, and the subsets of its split have shares of each batch",
        "a share mixes subsets in batches, so it means nothing for a training on one of them",
        "train on the whole split, or on a split of the same subsets without `share` lines",
    )


def seen(split: SplitDefinition, data: Dataset, batch: int) -> tuple[tuple[int | None, ...], int | None]:
    """Return how many images of each subset an epoch has, None where that is not known yet, and how many in all."""
    images = split.epoch_images(data) or data.train
    if not split.shared or images is None:
        return split.sizes, data.train
    return batches.of_epoch(split.shares, split.sizes, images, batch), images


def reached(node: tree.Node, split: SplitDefinition, data: Dataset, batch: int, findings: FindingCollector) -> None:
    """Refuse a share that is less than one image in an epoch: no image would ever be seen."""
    if not split.shared:
        return
    of_epoch, images = seen(split, data, batch)
    for name, share, count in zip(split.names, split.shares, of_epoch, strict=True):
        if share and count == 0:
            findings.reject(
                "E545",
                node,
                f"{share * 100:.7g}% of each batch is not one image of `{name}` in an epoch of {images or 0:,}",
                "each epoch has the shares anew, so no image of it would ever be trained on",
                f"give `{name}` a larger share, or write `share {name} = 0%`",
            )
