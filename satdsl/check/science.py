"""Check that an experiment is sound: ask the catalog's entries for their rules, and apply those that hold for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NoReturn

from satdsl.catalog import Entry
from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.augmentations import AugmentationEntry
from satdsl.catalog.losses import LossEntry
from satdsl.catalog.models import ModelEntry
from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import argument, eight_bit, with_argument
from satdsl.findings import Finding
from satdsl.hints import Hint, leave_out, listed, write
from satdsl.ir.draws import count
from satdsl.ir.experiment import Dataset
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import CatalogCall, Loss
from satdsl.syntax import tree

MOST_CLASSES = 5
"""Classes that a finding names."""


class Site:
    """The node of a call and the collector of its findings, as a rule of the catalog sees them (`CallSite`)."""

    def __init__(self, node: tree.Node, findings: FindingCollector, entry: Entry | None = None) -> None:
        self.node, self.findings, self.entry = node, findings, entry

    def error(self, code: str, message: str, reason: str = "", help: str | Hint = "", about: str = "") -> None:
        self.findings.error(code, self.node, message, reason, help, about=about)

    def reject(self, code: str, message: str, reason: str = "", help: str | Hint = "", about: str = "") -> NoReturn:
        self.findings.reject(code, self.node, message, reason, help, about=about)

    def warn(self, code: str, message: str, reason: str = "", help: str | Hint = "", about: str = "") -> None:
        self.findings.warn(code, self.node, message, reason, help, about=about)

    def gives(self, name: str) -> bool:
        order = list(self.entry.args) if self.entry is not None else []
        position = order.index(name) if name in order else None
        return isinstance(self.node, tree.Call) and argument(self.node, name, position) is not None

    def with_argument(self, text: str, help: str = "") -> Hint:
        return with_argument(self.node, text, help)

    def with_range(self, text: str, help: str) -> Hint:
        return write(self.node.span, text, help) if isinstance(self.node, tree.Range) else Hint(help)

    def with_list(self, name: str, text: str, help: str) -> Hint:
        *outer, last = name.split(".")
        node: tree.Node | None = self.node
        for step in outer:
            node = argument(node, step) if isinstance(node, tree.Call) else None
        given = argument(node, last, 0) if isinstance(node, tree.Call) else None
        return write(given.span, text, help) if isinstance(given, tree.Listing) else Hint(help)


class SharedSite(Site):
    """The site of findings about two things that meet at many places: each is made at the first of them."""

    def error(self, code: str, message: str, reason: str = "", help: str | Hint = "", about: str = "") -> None:
        self._once(code, message, reason, help, about, "error")

    def warn(self, code: str, message: str, reason: str = "", help: str | Hint = "", about: str = "") -> None:
        self._once(code, message, reason, help, about, "warning")

    def _once(
        self, code: str, message: str, reason: str, help: str | Hint, about: str, severity: Literal["error", "warning"]
    ) -> None:
        fix = help.fix if isinstance(help, Hint) else None
        self.findings.once(Finding(code, self.node.span, message, reason, str(help), severity, fix=fix), about)


def settings_fit(node: tree.Call, entry: Entry, call: CatalogCall, findings: FindingCollector) -> None:
    """Check the settings of a declared entry against each other, whatever it is used on."""
    if isinstance(entry, ModelEntry) and entry.from_file:
        call = call["arch"]
        entry = ModelEntry.of(call)
    radius_fits_box(node, call, entry, findings)
    for rule in entry.rules:
        rule(call, Site(node, findings, entry))


def radius_fits_box(node: tree.Call, call: CatalogCall, entry: Entry, findings: FindingCollector) -> None:
    """Refuse a radius that under Linf is larger than the box that every image lies in."""
    eps = call.get("eps")
    if call.get("norm") == "Linf" and eps is not None and eps > 1:
        help = eight_bit(node, eps, list(entry.args)) if eps <= 255 else "give a radius between 0 and 1"
        findings.error("E601", node, f"eps={eps:g} under Linf is larger than any image", "images are in [0, 1]", help)


def radius_fits_images(node: tree.Node, attack: CatalogCall, data: Dataset, findings: FindingCollector) -> None:
    """Refuse a radius beyond the diameter of the image box, which makes every image every other image."""
    eps, norm = attack.get("eps"), attack.get("norm")
    if eps is None or data.facts is None:
        return
    pixels = math.prod(data.facts.shape)
    limit = {"Linf": 1.0, "L2": math.sqrt(pixels), "L1": float(pixels)}[norm]
    if 0 < limit < eps and norm != "Linf":
        SharedSite(node, findings).error(
            "E601",
            f"eps={eps:g} under {norm} is larger than the image box, whose diameter is {limit:.4g}",
            "images are in [0, 1]",
            f"write `eps={eps:g}/255` if you mean eight-bit units",
        )


def augmentation_fits_images(
    node: tree.Node, change: CatalogCall, shape: tuple[int, int, int], findings: FindingCollector
) -> None:
    """Check that an augmentation keeps the size of the images and is defined for their channels."""
    AugmentationEntry.of(change).fits(change, shape, Site(node, findings))


def attack_fits_data(node: tree.Node, attack: CatalogCall, data: Dataset, findings: FindingCollector) -> None:
    """Check that a network of so many classes can be measured with an attack."""
    if data.facts is not None:
        AttackEntry.of(attack).fits(attack, data.facts, SharedSite(node, findings))


def classes_fit(node: tree.Node, data: Dataset, findings: FindingCollector) -> None:
    """Refuse data of a single class, and warn of classes that a part has no image of."""
    if data.facts is None:
        return
    names = data.facts.classes
    if len(names) == 1:
        _one_class(node, f"this data set has a single class, `{names[0]}`", findings)
    val = data.facts.val_counts
    if val is not None and data.holdout is not None and data.holdout.source == "val":
        val = tuple(n - count(data.holdout.share, n) for n in val)
    found = [
        _classes_without(part, names, counts)
        for part, counts, fewest in (("training", data.train_counts, 2), ("validation", val, 1))
        if counts is not None and fewest <= sum(n > 0 for n in counts) < len(names)
    ]
    if found:
        limited = data.source.get("limit") or data.source.get("limit_val")
        findings.warn(
            "E409",
            node,
            "; ".join(found),
            "a class that is not shown is not learned, and one that is not measured counts in no accuracy",
            f"a `limit` has to be at least the number of classes, {len(names)}, to leave an image of each"
            if limited
            else "give each class images in both parts, or take it out of both",
        )


def _classes_without(part: str, names: tuple[str, ...], counts: tuple[int, ...]) -> str:
    missing = [f"`{name}`" for name, n in zip(names, counts, strict=True) if not n]
    if len(missing) == 1:
        return f"class {missing[0]} has no {part} image"
    return f"{len(missing)} of {len(names)} classes have no {part} image: {listed(missing, MOST_CLASSES)}"


def classes_to_learn(node: tree.Node, name: str, data: Dataset, findings: FindingCollector) -> None:
    """Refuse to train where there are no images, or where they are known to be of one class."""
    if data.facts is not None and not data.facts.train:
        findings.reject(
            "E319",
            node,
            f"`{name}` has no training images",
            "it can be measured on, as `" + name + ".val`, and not be trained on",
            "train on another data set",
        )
    counts = data.train_counts
    if data.facts is not None and counts is not None and len(counts) > 1 and sum(n > 0 for n in counts) == 1:
        of = data.facts.classes[next(k for k, n in enumerate(counts) if n)]
        _one_class(node, f"all training images of `{name}` are of one class, `{of}`", findings)


def _one_class(node: tree.Node, message: str, findings: FindingCollector) -> NoReturn:
    findings.reject(
        "E408",
        node,
        message,
        "any network that always names it is right on every image, under every attack",
        "give images of two classes or more; a `limit` has to be as large as the number of classes",
    )


def batch_norm_fits(node: tree.Node, model: CatalogCall, batch: int, data: Dataset, findings: FindingCollector) -> None:
    """Refuse to train on batches of one image where a batch norm gets a single value of each."""
    shrunk = ModelEntry.of(model).shrunk(model)
    single = data.train == 1 or (batch == 1 and data.train != 2)  # a last single image joins the batch before it
    if data.facts is None or not shrunk or not single:
        return
    _, height, width = data.facts.shape
    if 0 < height <= shrunk and 0 < width <= shrunk:
        findings.error(
            "E612",
            node,
            f"`{model.name}` cannot be trained on one image of {height} x {width} at a time",
            "it shrinks the image to 1 x 1, so batch norm has a single value to take a variance of",
            "train with `batch=2` or more, on two images or more, or on larger images (`resize=32`)",
        )


def made_elsewhere(node: tree.Node, attack: CatalogCall, findings: FindingCollector) -> None:
    """Refuse attacks of which there are no images that could be shown to another network."""
    entry = AttackEntry.of(attack)
    if entry.clean:
        findings.reject(
            "E722",
            node,
            f"`{node.span.text}` leaves the images as they are, on whatever network",
            help="leave `made on` out, or measure `clean accuracy`",
        )
    if entry.ensemble:
        findings.reject(
            "E722",
            node,
            f"`{node.span.text}` makes no images to be shown to another network",
            f"{attack.name} ends at the first image that misleads its network, and leaves the others as they are",
            "use `pgd` with `keep=best` and several restarts, which goes on to the highest loss",
        )


def trained_with(node: tree.Node, attack: CatalogCall, findings: FindingCollector) -> None:
    """Refuse an attack that is made for evaluation alone."""
    refused = AttackEntry.of(attack).not_for_training
    if refused is not None:
        findings.error("E607", node, *refused, "train with `pgd` or `fgsm`")


def measured_with(node: tree.Node, attack: CatalogCall, findings: FindingCollector) -> None:
    """Refuse an attack that is made for training alone."""
    refused = AttackEntry.of(attack).not_for_measuring(attack)
    if refused is not None:
        findings.error("E614", node, *refused)


def loss_fits_attack(
    node: tree.Node, loss: CatalogCall, subset: str, attack: CatalogCall | None, findings: FindingCollector
) -> None:
    """Check that a subset is attacked as its loss wants it."""
    LossEntry.of(loss).fits(loss, subset, attack, Site(node, findings))


def mixed_once(augment: Sequence[tuple[tree.Node, CatalogCall]], findings: FindingCollector) -> None:
    """Refuse a second augmentation that mixes images."""
    mixing = [(node, change.name) for node, change in augment if AugmentationEntry.of(change).mixes]
    for node, name in mixing[1:]:
        findings.error(
            "E544",
            node,
            f"`{name}` mixes images that `{mixing[0][1]}` has mixed already",
            "a mixture of mixtures has more than the two labels that either says it has",
            "keep one of them" if node is mixing[0][0] else leave_out(node.span, "keep one of them"),
        )


def mixed_labels_are_attacked(node: tree.Node, attack: CatalogCall, data: Dataset, findings: FindingCollector) -> None:
    """Refuse an attack that asks for the one class of an image where images are mixed and have two."""
    entry = AttackEntry.of(attack)
    if not (entry.clean or entry.not_for_training or entry.of_mixed(attack)):
        help = "train with `pgd` or `fgsm` on the cross-entropy, without `target`, or without mixing"
        _two_labels(node, f"`{attack.name}` as it is here cannot attack", data, help, findings)


def mixed_labels_are_trained(node: tree.Node, loss: Loss, data: Dataset, findings: FindingCollector) -> None:
    """Refuse a loss that asks for the one class of an image where images are mixed and have two: any formula may."""
    if isinstance(loss, LossFormula) or not LossEntry.of(loss).of_mixed:
        help = "train with `cross_entropy` or `trades`, or without mixing"
        name = loss.text if isinstance(loss, LossFormula) else loss.name
        _two_labels(node, f"`{name}` is no loss for", data, help, findings)


def _two_labels(node: tree.Node, what: str, data: Dataset, help: str, findings: FindingCollector) -> None:
    mixing = next((change.name for change in data.augment if AugmentationEntry.of(change).mixes), None)
    if mixing is not None:
        message = f"{what} images that `{mixing}` has mixed"
        findings.error("E543", node, message, "a mixture has two labels, and this asks for one", help)


def small_share(node: tree.Node, attack: CatalogCall | None, share: float | None, findings: FindingCollector) -> None:
    """Warn of a single-step attack on a small part of the training set, which overfits catastrophically."""
    if attack is None or share is None or round(share, 2) > 0.1:
        return
    if AttackEntry.of(attack).single_step:
        findings.warn(
            "E608",
            node,
            f"{attack.name.upper()} on {share:.0%} of the training set",
            "the paper's authors report catastrophic overfitting for |A| of 10% and less",
            "use `pgd`, or attack a larger part of the training set",
        )
