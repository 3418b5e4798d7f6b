"""What AutoAttack is made of (Croce and Hein, 2020), for all who have to know: checker, costs, backend."""

from __future__ import annotations

from satdsl.plan.steps import Choice

VERSIONS = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "plus": ("apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"),
    "rand": ("apgd-ce", "apgd-dlr"),
}
"""The attacks of each published version, in order."""

FEWEST_CLASSES = {"apgd-dlr": 4, "apgd-t": 4}
"""The DLR loss compares the three largest logits (equation 6), its targeted form the four largest (7)."""


def attack_names(choice: Choice) -> tuple[str, ...]:
    """The attacks that an `autoattack` entry runs, in order."""
    version = choice.get("version", "standard")
    return tuple(choice["attacks"]) if version == "custom" else VERSIONS[version]


def undefined_for(choice: Choice, classes: int) -> list[str]:
    """Those of its attacks whose loss is undefined for so few classes."""
    return [name for name in attack_names(choice) if classes < FEWEST_CLASSES.get(name, 2)]
