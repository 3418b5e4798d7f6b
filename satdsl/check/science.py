"""Check that an experiment is sound: ask the catalog's entries for their rules, and apply those that hold for all."""

from __future__ import annotations

import math
from typing import NoReturn

from satdsl.catalog import Entry
from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.augmentations import AugmentationEntry
from satdsl.catalog.losses import LossEntry
from satdsl.catalog.models import ModelEntry
from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import argument, eight_bit, with_argument
from satdsl.hints import Hint, write
from satdsl.ir.experiment import Dataset
from satdsl.ir.steps import CatalogCall
from satdsl.syntax import tree


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

    def with_list(self, name: str, text: str, help: str) -> Hint:
        *outer, last = name.split(".")
        node: tree.Node | None = self.node
        for step in outer:
            node = argument(node, step) if isinstance(node, tree.Call) else None
        given = argument(node, last, 0) if isinstance(node, tree.Call) else None
        return write(given.span, text, help) if isinstance(given, tree.Listing) else Hint(help)


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
        findings.error(
            "E601",
            node,
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
        AttackEntry.of(attack).fits(attack, data.facts, Site(node, findings))


def trained_with(node: tree.Node, attack: CatalogCall, findings: FindingCollector) -> None:
    """Refuse an attack that is made for evaluation alone."""
    refused = AttackEntry.of(attack).not_for_training
    if refused is not None:
        findings.error("E607", node, *refused, "train with `pgd` or `fgsm`")


def loss_fits_attack(
    node: tree.Node, loss: CatalogCall, subset: str, attack: CatalogCall | None, findings: FindingCollector
) -> None:
    """Check that a subset is attacked as its loss wants it."""
    LossEntry.of(loss).fits(loss, subset, attack, Site(node, findings))


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
