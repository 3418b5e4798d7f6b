"""The pictures of a report: its figures, training curves and example images, within what a page can carry."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from satdsl.engine.store import Store
from satdsl.ir.plan import Display, Plan
from satdsl.report import charts
from satdsl.report import example_images as stored
from satdsl.report.curves import Curve
from satdsl.report.example_images import Example, Picture
from satdsl.report.load_report import Report

CURVES = 3
"""Trainings of one name whose curves are drawn."""

MOST_CURVES = 20
"""Trainings whose curves are drawn on one page."""

EXAMPLE_BYTES = 3_000_000
"""Example images on one page, as they stand in it; those of further evaluations are left out."""


@dataclass(frozen=True)
class Drawn:
    """The curves of some trainings of one name, out of `of` that are stored."""

    training: str
    curves: tuple[tuple[str, Markup], ...]
    of: int


class Drawings:
    """Draws figures and curves, each once for as long as its numbers stay as they are: drawing is what costs."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, Markup | None]] = {}

    def figure(self, display: Display, report: Report, prefix: str) -> Markup | None:
        """A plot as SVG; None for a table.

        Raises:
            ReportError: the display chooses no result.
        """
        if display.kind == "rows":
            return None
        names = {one.name for one in (*display.results, *display.baselines)}
        numbers = [(one.result, one.point, one.value, one.n) for one in report.results if one.result in names]
        return self._once(
            prefix, (display, numbers), lambda: charts.svg(display, report.plan, report.results, prefix=prefix)
        )

    def curves(self, trained: Sequence[Curve]) -> Iterator[Drawn]:
        """The first few of each name, fewer where there are many names."""
        groups: dict[str, list[Curve]] = {}
        for curve in trained:
            groups.setdefault(curve.training, []).append(curve)
        each = max(min(CURVES, MOST_CURVES // max(len(groups), 1)), 1)
        for i, (name, group) in enumerate(groups.items()):
            shown = group[:each] if i < MOST_CURVES else []
            svgs = [(curve.name, self._curve(curve, f"t{i}-{k}")) for k, curve in enumerate(shown)]
            yield Drawn(name, tuple((named, svg) for named, svg in svgs if svg is not None), len(group))

    def _curve(self, curve: Curve, prefix: str) -> Markup | None:
        return self._once(prefix, curve.key, lambda: charts.curve_svg(curve, prefix=prefix))

    def _once(self, prefix: str, numbers: object, draw: Callable[[], str | None]) -> Markup | None:
        known, drawn = self._kept.get(prefix, (None, None))
        if known != numbers:
            svg = draw()
            drawn = None if svg is None else Markup(svg)
            self._kept[prefix] = numbers, drawn
        return drawn


def figure_files(report: Report, folder: Path) -> list[Mapping[str, Path]]:
    """Write every display's files beside the page: for each display its file of each format.

    Raises:
        OSError: the folder cannot be written.
    """
    return [one.paths for one in charts.figure_files(report, folder)]


def examples(plan: Plan, store: Store) -> tuple[list[Example], int]:
    """Example images, and of how many evaluations they are left out.

    One point of every result comes before a second of any.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
    """
    found = stored.examples(plan, store)
    turn: dict[str, int] = {}
    order = []
    for place, example in enumerate(found):
        turn[example.result] = turn.get(example.result, 0) + 1
        order.append((turn[example.result], place))
    kept, used = set(), 0
    for _, place in sorted(order):
        used += sum(_size(picture) for picture in found[place].pictures)
        if used > EXAMPLE_BYTES:
            break
        kept.add(place)
    return [example for place, example in enumerate(found) if place in kept], len(found) - len(kept)


def data_uri(png: bytes) -> str:
    """A PNG file as an address that holds it."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def _size(picture: Picture) -> int:
    return sum(len(png) for png in (picture.image, picture.adversarial, picture.difference)) * 4 // 3
