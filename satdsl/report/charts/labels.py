"""Write the words of a chart: what its axes are, and what each value says on hover."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence

from satdsl.ir.plan import SubsetSummary
from satdsl.report.charts.roles import Trainings, TrainingSplit
from satdsl.report.number_text import NOT_RUN, amount, bare_amount, images
from satdsl.report.pivot import MEASURE, WEIGHTS, Cell

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(%?)", re.IGNORECASE)


def number(label: str) -> float | None:
    """Return a label as a number, `30%` as 0.3; None where it is none."""
    if not _NUMBER.fullmatch(label):
        return None
    value = float(label.removesuffix("%"))
    return (value / 100 if label.endswith("%") else value) if math.isfinite(value) else None


def y_axis_label(cells: Sequence[Cell]) -> str:
    """Return what the values are: `robust accuracy on val (%)`, `mean entropy on train`."""
    behind = [measured for cell in cells for measured in cell.measured]
    kinds = dict.fromkeys(measured.source.measure.words for measured in behind)
    parts = dict.fromkeys(measured.part for measured in behind)
    units = {measured.unit for measured in behind}
    if len(units) > 1:
        return "value"
    kind = next(iter(kinds)) if len(kinds) == 1 else "accuracy" if units == {"share"} else "mean score"
    on = f" on {next(iter(parts))}" if len(parts) == 1 else ""
    return f"{kind}{on}" + (" (%)" if units == {"share"} else "")


def x_axis_label(axis: str, cells: Sequence[Cell], trainings: Trainings) -> str:
    """Return what an axis stands for: `share of the examples that are attacked` where its labels are that, or its name.

    Which it is, is read off the sizes of the subsets that the trainings attack, not off the axis's name.
    """
    plain = {WEIGHTS: "", MEASURE: ""}.get(axis, axis.replace("_", " "))
    places = [
        (label, trainings.split(measured))
        for cell in cells
        for measured in cell.measured
        if (label := dict(measured.point).get(axis)) is not None
    ]
    labels = {label for label, _ in places}
    if not places or any(split is None or not split.attacked for _, split in places):
        return plain
    known = [(label, split) for label, split in places if split is not None]
    if all(_classes(split.attacked) == (label,) for label, split in known):
        return "class that is attacked"
    if len(labels) > 1:
        for size, things in ((_class_count, "classes"), (_size, "examples")):
            for words, fits in _SIZE_LABELS.items():
                if all(fits(label, split, size) for label, split in known):
                    return words.format(things)
    return plain


_SizeOf = Callable[[SubsetSummary], int | None]


def _size(subset: SubsetSummary) -> int | None:
    return subset.size


def _class_count(subset: SubsetSummary) -> int | None:
    return subset.class_count


def _classes(subsets: Iterable[SubsetSummary]) -> tuple[str, ...] | None:
    names = [subset.classes for subset in subsets]
    return None if None in names else tuple(name for classes in names for name in classes or ())


def _sizes(split: TrainingSplit, size: _SizeOf) -> tuple[int, int] | None:
    """Return how many are attacked, and of how many."""
    attacked, every = ([size(subset) for subset in subsets] for subsets in (split.attacked, split.subsets))
    if None in every:
        return None
    return sum(n or 0 for n in attacked), sum(n or 0 for n in every)


def _is_share(label: str, split: TrainingSplit, size: _SizeOf, *, whole: float = 1.0) -> bool:
    value, sizes = number(label), _sizes(split, size)
    if value is None or sizes is None:
        return False
    attacked, every = sizes
    return abs(value / whole * every - attacked) <= 0.5 + 1e-6


def _is_tenths(label: str, split: TrainingSplit, size: _SizeOf) -> bool:
    return not label.endswith("%") and _is_share(label, split, size, whole=10.0)


def _is_count(label: str, split: TrainingSplit, size: _SizeOf) -> bool:
    sizes = _sizes(split, size)
    return sizes is not None and not label.endswith("%") and number(label) == sizes[0]


_SIZE_LABELS = {
    "number of {} that are attacked": _is_count,
    "share of the {} that are attacked": _is_share,
    "tenths of the {} that are attacked": _is_tenths,
}


def tooltip(place: str, cell: Cell, *, attacked: bool = False) -> str:
    """Return `hardest, share=30%: 63.3 % ± 0.4 (10 draws, n=9,000); published 63.3 %`, in the digits of the tables."""
    text = f"{place}: {_value(cell)}"
    if attacked:
        text += "; attacked"
    return text if cell.published is None else f"{text}; {_published(cell)}"


def published_tooltip(place: str, cell: Cell) -> str:
    """Return `hardest, share=30%: published 63.3 %`."""
    return f"{place}: {_published(cell)}"


def _published(cell: Cell) -> str:
    return "" if cell.published is None else f"published {amount(cell.published, cell.unit)}"


def _value(cell: Cell) -> str:
    if cell.value is None:
        return NOT_RUN
    shown = amount(cell.value, cell.unit)
    if cell.std is not None:
        shown += f" ± {bare_amount(cell.std, cell.unit)}"
    facts = []
    if cell.over < cell.of:
        facts.append(f"{cell.over} of {cell.of} draws")
    elif cell.of > 1:
        facts.append(f"{cell.over} draws")
    if cell.n:
        facts.append(f"n={images(*(cell.partial or (cell.n, cell.n)))}")
    if cell.interval is not None:
        low, high = (bare_amount(end, cell.unit) for end in (cell.interval.low, cell.interval.high))
        facts.append(f"95 % interval {low} .. {high}")
    return f"{shown} ({', '.join(facts)})" if facts else shown
