"""Describe one argument of a catalog entry: its type, unit, range and default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from satdsl.records import Record, record

TYPES = (
    "number",
    "int",
    "share",
    "bool",
    "text",
    "word",
    "class",
    "call",
    "settings",
    "range",
    "results",
    "axis",
    "image",
    "loss",
)
"""What an argument can be. `share` is a percentage, held as a fraction. `class` is the name of a class of the data set.
`call` is a catalog entry of `Argument.family`; a default of this type is an entry's name, taken with its own defaults.
`settings` are values by name, each an argument of `Argument.entries`: `(images="x.npy", logits="y.npy")`. `range`
is one of whole numbers, `0..9`, held as its two ends. `results` and `axis` appear in plots and tables only; `image`
and `loss` (a formula) in terms of losses only."""


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()


@record
class Argument(Record):
    """One argument of an entry: its type and unit, the range it must lie in, its default, a line of help.

    The default of a `number` or `share` is a float, since 1 and 1.0 would give a step two keys.
    """

    name: str
    type: str
    help: str = ""
    default: Any = REQUIRED
    many: bool = False
    """A list of values of `type`; a single value stands for a list of one."""
    choices: tuple[str, ...] = ()
    family: str = ""
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    length: int | None = None
    within: float | None = None
    """A value may have a tolerance, `79% ± 0.5%`, and is then a pair; this is the tolerance of one that has none."""
    entries: tuple[Argument, ...] = ()
    """What `settings` consist of."""
    optional: bool = False
    """May also be `none`, meaning absent."""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def meaning(self, help: str) -> Argument:
        """Return the same argument with its line of help."""
        return replace(self, help=help)
