"""Compare two lists of results: the same results side by side, their differences, and how certain these are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from satdsl.report.csv_text import csv_text
from satdsl.report.number_text import digits_that_agree, images, name_at, signed
from satdsl.report.result_tables import measured_value
from satdsl.report.results import Measured
from satdsl.report.uncertainty import Estimate, half_width
from satdsl.show.table import Column, Row, Table, Value, numeric
from satdsl.show.terminal import WIDTH, ruled, text

FORMAT = 1
"""The version of the JSON document. Raise it when a reader of the old one would stumble."""

COLUMNS = (
    "result",
    "point",
    "value",
    "against",
    "difference",
    "half_width",
    "n",
    "of",
    "against_n",
    "against_of",
    "paired",
)


@dataclass(frozen=True)
class ResultPair:
    """A result that both have at the same point; `against` is the other's."""

    one: Measured
    against: Measured

    @property
    def difference(self) -> float | None:
        """The first minus the other; None where either is not run."""
        if self.one.value is None or self.against.value is None:
            return None
        return self.one.value - self.against.value

    @property
    def paired(self) -> bool:
        """Whether both are over the same images, so that they can be compared image by image."""
        one, other = self.one.sample, self.against.sample
        return one is not None and other is not None and one.images.identity == other.images.identity

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % interval around the difference; None where either is not run.

        Over the same images it is that of McNemar's test, else the variances add (see `estimate`). It is zero where
        both are read from the same steps. Each is one network: how another seed would differ is not in it.
        """
        if self.one.sample is None or self.against.sample is None or self.difference is None:
            return None
        if (self.one.source.measure, self.one.source.part) == (self.against.source.measure, self.against.source.part):
            return 0.0
        return half_width(Estimate(self.difference, {0: 1.0, 1: -1.0}), {0: self.one.sample, 1: self.against.sample})

    @property
    def record(self) -> dict[str, Any]:
        """Both values and their difference, as data."""
        return _record(self.one) | {
            "against": self.against.value,
            "difference": self.difference,
            "half_width": self.half_width,
            "against_n": self.against.n,
            "against_of": self.against.of,
            "paired": self.paired,
        }


@dataclass(frozen=True)
class ResultsComparison:
    """What both have, in the order of the first, and what only one has."""

    pairs: Sequence[ResultPair]
    only: Sequence[Measured]
    only_against: Sequence[Measured]

    @property
    def records(self) -> list[dict[str, Any]]:
        """All of it as data, each under the names in `COLUMNS` and with its part."""
        pairs = [pair.record for pair in self.pairs]
        against = (
            _record(one)
            | {
                "value": None,
                "n": None,
                "of": None,
                "against": one.value,
                "against_n": one.n,
                "against_of": one.of,
            }
            for one in self.only_against
        )
        return [*pairs, *map(_record, self.only), *against]


def compare_results(results: Sequence[Measured], against: Sequence[Measured]) -> ResultsComparison:
    """Put results that agree in name, point and unit beside each other.

    A point is compared by what it says of each axis, in whatever order the axes are declared.
    """
    others = {_identity(other): other for other in against}
    own = {_identity(one) for one in results}
    return ResultsComparison(
        [ResultPair(one, others[_identity(one)]) for one in results if _identity(one) in others],
        [one for one in results if _identity(one) not in others],
        [other for other in against if _identity(other) not in own],
    )


def _identity(one: Measured) -> tuple[str, frozenset[tuple[str, str]], str]:
    return one.result, frozenset(one.point), one.unit


# --- as text, CSV and JSON -----------------------------------------------------------------------


def to_text(found: ResultsComparison, names: Sequence[str], width: int = WIDTH) -> str:
    """Return what both have, and below it what only one of the two has; `names` are what the two are called."""
    heads = [f"value: {names[0]}", f"against: {names[1]}"]
    parts: list[RenderableType] = [Text("\n".join(heads))]
    parts.append(ruled(_table(found.pairs)) if found.pairs else Text("they have no result in common"))
    for name, only in zip(names, (found.only, found.only_against), strict=True):
        if only:
            lines = (f"  {name_at(one.result, one.point)}  {measured_side(one).text}" for one in only)
            parts.append(Group(Text(f"only in {name}:"), *map(Text, lines)))
    return "\n".join(text(part, width) for part in parts)


def _table(pairs: Sequence[ResultPair]) -> Table:
    rows: list[Row] = []
    for pair in pairs:
        one, difference, half = pair.one, pair.difference, pair.half_width
        more = 0
        if one.value is not None and pair.against.value is not None:
            more = digits_that_agree(one.value, pair.against.value, one.unit)
        shown = ("", "") if difference is None or half is None else signed(difference, half, one.unit, more)
        rows.append(
            (
                name_at(one.result, one.point),
                *(measured_side(side, more) for side in (one, pair.against)),
                Value(shown[0], difference),
                Value(f"±{shown[1]}" if shown[1] else "", half),
            )
        )
    return Table([Column("result"), *numeric("value", "against", "difference", "95 %")], rows)


def measured_side(one: Measured, more: int = 0) -> Value:
    """Return a value as people read it; with its number of images where not all are measured."""
    shown = measured_value(one.value, one.unit, more=more)
    return shown if one.prefix is None else Value(f"{shown.text} (n={images(one.n, one.of)})", one.value)


def to_csv(found: ResultsComparison) -> str:
    """Return a line for each result; what only one of the two has leaves the other's columns empty."""
    return csv_text(COLUMNS, found.records)


def to_json(found: ResultsComparison, titles: Sequence[str]) -> str:
    """Return one document: the results of both, and those that only one of the two has."""
    document = {
        "format_version": FORMAT,
        "title": titles[0],
        "against": titles[1],
        "results": [_document(pair.record) for pair in found.pairs],
        "only": [_document(_record(one)) for one in found.only],
        "only_against": [_document(_record(one)) for one in found.only_against],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _document(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in COLUMNS if name in record} | {"point": dict(record["point"])}


def _record(one: Measured) -> dict[str, Any]:
    return {"result": one.result, "point": one.point, "part": one.part, "value": one.value, "n": one.n, "of": one.of}
