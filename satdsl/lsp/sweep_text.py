"""Describe values over a sweep in a few words: `15,000`, or `144 to 1,293` with what they depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from satdsl.catalog import Entry, catalog
from satdsl.catalog.show import value as written
from satdsl.ir import batches
from satdsl.ir.experiment import SplitDefinition, SweepTable
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall, Pretrained

MOST_POINTS = 12
"""The number of points whose values are listed one by one."""

Labels = Mapping[str, str]


def number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def count(many: int, what: str, several: str = "") -> str:
    return f"{many:,} {what if many == 1 else several or what + 's'}"


def spread(values: Iterable[float | None]) -> str:
    """Return the one number of all points, or the least and the largest; nothing if none is known."""
    known = sorted({value for value in values if value is not None})
    if not known:
        return ""
    return number(known[0]) if len(known) == 1 else f"{number(known[0])} to {number(known[-1])}"


def along(points: Iterable[tuple[Labels, str]]) -> str:
    """Return the one text of all points, or a list of texts, each with the labels of the axes that it depends on."""
    found = list(points)
    texts = {text for _, text in found}
    if len(texts) <= 1:
        return next(iter(texts), "")
    axes = _deciding(found)
    rows: dict[str, str] = {}
    for labels, text in found:
        rows.setdefault(", ".join(f"{axis}={labels[axis]}" for axis in axes), text)
    lines = [f"{text} at {place}" for place, text in list(rows.items())[:MOST_POINTS]]
    return "; ".join(lines) + (f"; and {len(rows) - MOST_POINTS} more" if len(rows) > MOST_POINTS else "")


def _deciding(points: Sequence[tuple[Labels, str]]) -> list[str]:
    """Return the fewest axes whose labels still tell the texts apart, leaving out the first axes first."""
    axes = list(points[0][0])
    for axis in list(axes):
        fewer = [other for other in axes if other != axis]
        seen: dict[tuple[str, ...], str] = {}
        if all(seen.setdefault(tuple(labels[other] for other in fewer), text) == text for labels, text in points):
            axes = fewer
    return axes


def sizes(table: SweepTable[SplitDefinition], subset: str) -> list[tuple[Labels, int | None]]:
    """Return the number of examples of a subset at each point; None where it is known only after scoring."""
    return _of(table, subset, lambda split, i: split.sizes[i])


def classes(table: SweepTable[SplitDefinition], subset: str) -> list[tuple[Labels, tuple[int, ...] | None]]:
    """Return the numbers of the classes of a subset at each point; None where it is not known to have whole ones."""
    return _of(table, subset, lambda split, i: split.classes[i])


def weights(table: SweepTable[SplitDefinition], subset: str) -> list[tuple[Labels, float | None]]:
    """Return the loss weight of a subset at each point; None where it is known only after scoring."""

    def weight(split: SplitDefinition, i: int) -> float | None:
        found = split.weights[i]
        return found if isinstance(found, float | int) else None

    return _of(table, subset, weight)


def shares(table: SweepTable[SplitDefinition], subset: str) -> list[tuple[Labels, float | None]]:
    """Return how many percent of each batch are of a subset at each point; None where that is known only later."""

    def share(split: SplitDefinition, i: int) -> float | None:
        found = batches.known_fractions(split.shares, split.sizes)[i] if split.shared else None
        return None if found is None else 100 * found

    return _of(table, subset, share)


def _of(
    table: SweepTable[SplitDefinition], subset: str, what: Callable[[SplitDefinition, int], Any]
) -> list[tuple[Labels, Any]]:
    return [
        (labels, what(split, split.names.index(subset))) for labels, split in table.instances() if subset in split.names
    ]


def call(family: str, chosen: CatalogCall) -> str:
    """Return `pgd(norm=L2, eps=0.5, ...)` with every argument."""
    entry = catalog().entry_of(family, chosen)
    if entry is None:
        return chosen.name
    return f"{chosen.name}({', '.join(f'{name}={_argument(entry, name, value)}' for name, value in chosen.args)})"


def settings(family: str, chosen: CatalogCall) -> list[str]:
    """Return a line for each argument of a call, which says whether it has its default."""
    entry = catalog().entry_of(family, chosen)
    if entry is None:
        return []
    rows = []
    for name, value in chosen.args:
        known = entry.args.get(name)
        shown = _argument(entry, name, value)
        default = known is not None and not known.required and _argument(entry, name, known.default) == shown
        rows.append(f"{name} = {shown}{' (default)' * default}")
    return rows


def _argument(entry: Entry, name: str, value: Any) -> str:
    known = entry.args.get(name)
    if isinstance(value, CatalogCall):
        return call(known.family if known is not None else "", value)
    if isinstance(value, Pretrained):
        return f'"{value.path}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_argument(entry, name, one) for one in value)}]"
    return written(known, value) if known is not None else str(value)


def passes(found: Iterable[Passes]) -> str:
    """Return `2.2 M image passes`, or the least and the most that a point takes."""
    every = list(found)
    costs = sorted({round(one.cost) for one in every})
    if not costs:
        return ""
    shown = [_big(cost) for cost in (costs[0], costs[-1])]
    more = ", and what its functions do not say they take" if any(one.unknown for one in every) else ""
    return f"{shown[0] if shown[0] == shown[1] else ' to '.join(shown)} image passes{more}"


def _big(cost: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if cost >= size:
            return f"{cost / size:.3g} {letter}"
    return f"{cost:.0f}"
