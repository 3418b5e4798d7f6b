"""A matplotlib figure with the places that answer to a pointer, and what all kinds of figures share."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from satdsl.report.charts.look import Look
from satdsl.report.charts.words import number

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

Kind = Literal["point", "published", "baseline", "epoch"]

_CHARACTER = 0.56
"""The mean width of a character of DejaVu Sans in font sizes, rounded up."""


@dataclass(frozen=True)
class Spot:
    """A place that answers to a pointer: the box between two corners in `transform`, and `pad` points around it."""

    gid: str
    kind: Kind
    says: str
    transform: Transform
    corners: tuple[tuple[float, float], tuple[float, float]]
    pad: float = 0.0
    series: str = ""
    x: str = ""


@dataclass
class Drawing:
    """A figure and its spots. Every artist of a spot carries its `gid`."""

    figure: Figure
    look: Look
    spots: list[Spot] = field(default_factory=list)

    def spot(self, artist: Artist, kind: Kind, says: str, transform: Transform, **more: Any) -> None:
        """Make an artist a spot; `more` are the further fields of `Spot`."""
        gid = f"spot{len(self.spots)}"
        artist.set_gid(gid)
        self.spots.append(Spot(gid, kind, says, transform, **more))

    def laid_out(self) -> None:
        """Work the layout out once and keep it, so that places are known and each file shows the same."""
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")


def new_drawing(look: Look, height: float, title: str) -> Drawing:
    """An empty figure of `look.width` by `height` inches, its title broken into lines that fit."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(look.width, height), dpi=72)
    if look.titled and title:
        size, weight = mpl.rcParams["axes.titlesize"], mpl.rcParams["axes.titleweight"]
        figure.suptitle(wrapped(title, look.width, size * 1.1), fontsize=size, fontweight=weight)
    return Drawing(figure, look)


def wrapped(text: str, width: float, size: float) -> str:
    """`text` in lines of at most `width` inches at a font of `size` points."""
    return "\n".join(textwrap.wrap(clean(text), max(int(width * 72 / (size * _CHARACTER)), 10)))


def text_width(text: str, size: float) -> float:
    """About how wide a text is, in points."""
    return len(text) * size * _CHARACTER


def clean(text: str) -> str:
    """Without what neither XML nor a font can show, and not hidden by matplotlib, which drops labels with a `_`."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return f"\N{ZERO WIDTH SPACE}{shown}" if shown.startswith("_") else shown


def legend(drawing: Drawing, handles: Sequence[Artist]) -> None:
    """Below the axes, in as many columns as fit, so that it never covers a value."""
    import matplotlib as mpl

    if not handles:
        return
    size = mpl.rcParams["legend.fontsize"]
    widest = max(text_width(str(handle.get_label()), size) for handle in handles) + 5 * size
    columns = max(1, min(len(handles), int(drawing.look.width * 72 / widest)))
    # Fill the rows evenly: four entries in columns of three would leave one alone.
    columns = -(-len(handles) // -(-len(handles) // columns))
    drawing.figure.legend(handles=list(handles), loc="outside lower center", ncols=columns)


def category_ticks(axes: Axes, places: Sequence[float], labels: Sequence[str], room: float) -> None:
    """Label places along x, which is `room` points wide: slanted where words are long, not all where there are many."""
    import matplotlib as mpl

    size = mpl.rcParams["xtick.labelsize"]
    names = [clean(label) for label in labels]
    unit = room / max(max(places, default=0) - min(places, default=0), 1)
    widest = max((text_width(name, size) for name in names), default=0) + 0.8 * size
    slanted = widest > room / max(len(names), 1) and any(number(name) is None for name in names)
    kept: list[int] = []
    for i in sorted(range(len(names)), key=lambda i: places[i]):
        if not kept or (places[i] - places[kept[-1]]) * unit >= (1.3 * size if slanted else widest):
            kept.append(i)
    axes.set_xticks([places[i] for i in kept], [names[i] for i in kept])
    if slanted:
        axes.tick_params(axis="x", labelrotation=40)
        for label in axes.get_xticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")
