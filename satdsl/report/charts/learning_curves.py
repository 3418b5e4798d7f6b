"""Draw the learning curves of several trainings on the same axes, the mean and the spread of their seeds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from satdsl.report.charts.drawing import Drawing, new_drawing
from satdsl.report.charts.inline_svg import inline_svg
from satdsl.report.charts.palette import CYCLE, DASHES
from satdsl.report.charts.theme import PAGE_THEME, Theme, themed
from satdsl.report.learning_curves import QUANTITIES, CurveGroup, Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = 1.35
"""The height of the axes of one quantity, in inches."""

REACH = 5.0
"""How near to the end of a line a pointer has to be to be told its value, in points."""


def style_of(place: int) -> tuple[str, str]:
    """Return the colour of the n-th training's lines, and their dashes as SVG and CSS write them."""
    return CYCLE[place % len(CYCLE)], " ".join(map(str, _dashes(place)))


def _dashes(place: int) -> tuple[float, ...]:
    return DASHES[place // len(CYCLE) % len(DASHES)]


def learning_curves_svg(groups: Sequence[CurveGroup], *, prefix: str) -> str:
    """Return the figure as an `<svg>` element; the lines of group i have ids that begin with `PREFIX-lines-i-`.

    What tells their values is of the series `lines-i`.
    """
    with themed(PAGE_THEME):
        drawing = _draw(groups, PAGE_THEME)
        return inline_svg(drawing, prefix=prefix, label="Learning curves", description=_alt_text(groups))


def _draw(groups: Sequence[CurveGroup], theme: Theme) -> Drawing:
    shown = [one for one in QUANTITIES if any(one.name in group.lines for group in groups)]
    drawing = new_drawing(theme, PANEL * len(shown) + 0.3, "Learning curves")
    panels = drawing.figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (axes, quantity) in enumerate(zip(panels, shown, strict=True)):
        axes.set_ylabel(_words(quantity))
        for place, group in enumerate(groups):
            _add_line(drawing, axes, group, quantity, panel, place)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    drawing.fix_layout()
    return drawing


def _words(quantity: Quantity) -> str:
    name, unit = quantity.name.replace(", ", ",\n"), quantity.unit
    return f"{name} ({unit})" if unit else name


def _add_line(drawing: Drawing, axes: Axes, group: CurveGroup, quantity: Quantity, panel: int, place: int) -> None:
    line = group.lines.get(quantity.name, ())
    if not line:
        return
    colour, dashes, gid = style_of(place)[0], _dashes(place), f"lines-{place}-{panel}"
    epochs, means = [at.epoch for at in line], [at.mean for at in line]
    style: Any = (0, dashes) if dashes else "-"
    alone: Any = {"marker": "o"} if len(line) == 1 else {}
    axes.plot(epochs, means, color=colour, linestyle=style, gid=f"{gid}-mean", **alone)
    if any(at.std for at in line):
        ends = [(at.mean - (at.std or 0.0), at.mean + (at.std or 0.0)) for at in line]
        low, high = zip(*ends, strict=True)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0, gid=f"{gid}-band")
    last = line[-1]
    spread = f" ± {last.std:.3g}" if last.std is not None else ""
    told = (
        f"{group.title}: {quantity.name} {last.mean:.4g}{spread} {quantity.unit}".rstrip()
        + f" after epoch {last.epoch}"
    )
    corner = (last.epoch, last.mean)
    more = {"corners": (corner, corner), "pad": REACH, "series": f"lines-{place}", "x": str(last.epoch)}
    drawing.target(None, "epoch", told, axes.transData, **more)


def _alt_text(groups: Sequence[CurveGroup]) -> str:
    """Say how many trainings are drawn, and where each ended."""
    ends = chain.from_iterable(
        (
            f"{group.title}: {name} {line[-1].mean:.4g} after epoch {line[-1].epoch}."
            for name, line in group.lines.items()
        )
        for group in groups
    )
    return " ".join((f"Lines of {len(groups)} trainings over their epochs.", *ends))
