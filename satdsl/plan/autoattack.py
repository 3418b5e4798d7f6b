"""What AutoAttack is made of (Croce and Hein, 2020), for all who have to know: checker, costs, backend."""

from __future__ import annotations

from dataclasses import replace

from satdsl.ir.steps import CatalogCall
from satdsl.records import Record, record

VERSIONS = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "plus": ("apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"),
    "rand": ("apgd-ce", "apgd-dlr"),
}
"""The attacks of each published version, in order."""

FEWEST_CLASSES = {"apgd-dlr": 4, "apgd-t": 4}
"""The DLR loss compares the three largest logits (equation 6), its targeted form the four largest (7)."""


@record
class Effort(Record):
    """How hard its attacks try."""

    iterations: int
    """Of each attack but Square."""
    queries: int
    """Of Square."""
    targets: int
    """Classes that a targeted attack aims at."""
    restarts: int
    """Of the attacks that aim at no class."""
    samples: int
    """Gradients that a step of version `rand` takes the mean of."""

    def at_most(self, other: Effort) -> Effort:
        return Effort(*[min(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__])


def effort(choice: CatalogCall, classes: int) -> Effort:
    """How hard an `autoattack` entry tries: as published (Croce and Hein, 2020), or less where it is `shortened`."""
    version = choice.get("version", "standard")
    published = Effort(
        iterations=100,
        queries=5000,
        targets=min(9, classes - 1),
        restarts=5 if version in ("plus", "custom") else 1,
        samples=20 if version == "rand" else 1,
    )
    most = choice.get("at_most")
    return published if most is None else published.at_most(Effort(**dict(most.args)))


def shortened(choice: CatalogCall, most: Effort) -> CatalogCall:
    """An `autoattack` entry whose attacks try no harder than `most`. No specification can ask for it."""
    limits = CatalogCall("effort", tuple((name, getattr(most, name)) for name in most.__dataclass_fields__))
    return replace(choice, args=(*choice.args, ("at_most", limits)))


def attack_names(choice: CatalogCall) -> tuple[str, ...]:
    """The attacks that an `autoattack` entry runs, in order."""
    version = choice.get("version", "standard")
    return tuple(choice["attacks"]) if version == "custom" else VERSIONS[version]


def undefined_for(choice: CatalogCall, classes: int) -> list[str]:
    """Those of its attacks whose loss is undefined for so few classes."""
    return [name for name in attack_names(choice) if classes < FEWEST_CLASSES.get(name, 2)]
