"""Hold a matplotlib figure with the places that answer to a pointer, and share what all kinds of figures need."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from satdsl.report.charts.labels import number
from satdsl.report.charts.pdf_fonts import outlines_only
from satdsl.report.charts.theme import Theme

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

Kind = Literal["point", "published", "baseline", "epoch"]

Format = Literal["svg", "pdf", "png"]

_DPI = 72
"""Points per inch: places in a drawing are those in its SVG."""

_CHARACTER = 0.56
"""The mean width of a character of DejaVu Sans in font sizes, rounded up."""

SMALLEST = 4.0
"""The font size below which numbers in cells are left out; they are still said on hover."""

_HANDLE = 4.6
"""A legend's handle, its distance from the text, and the distance to the next column, in font sizes."""


@dataclass(frozen=True)
class HoverTarget:
    """A place that answers to a pointer: the box between two corners in `transform`, and `pad` points around it."""

    gid: str
    kind: Kind
    tooltip: str
    transform: Transform
    corners: tuple[tuple[float, float], tuple[float, float]]
    pad: float = 0.0
    series: str = ""
    x: str = ""


@dataclass
class Drawing:
    """A figure and its hover targets. An artist that is a target carries its `gid`; a target can be only a place."""

    figure: Figure
    theme: Theme
    targets: list[HoverTarget] = field(default_factory=list)

    def target(self, artist: Artist | None, kind: Kind, tooltip: str, transform: Transform, **more: Any) -> None:
        """Make an artist, or a place where nothing is drawn, a target; `more` are the other fields of `HoverTarget`."""
        gid = f"spot{len(self.targets)}"
        if artist is not None:
            artist.set_gid(gid)
        self.targets.append(HoverTarget(gid, kind, tooltip, transform, **more))

    def fix_layout(self) -> None:
        """Compute the layout once and keep it, so that places are known and each file shows the same."""
        for axes in self.figure.axes:
            for artist in (*axes.lines, *axes.patches, *axes.collections):
                artist.set_in_layout(False)
        engine = self.figure.get_layout_engine()
        if engine is not None:
            engine.execute(self.figure)
        self.figure.set_layout_engine("none")

    def to_bytes(self, format: Format) -> bytes:
        """Return the figure as a file without a date, PNG at the resolution of the style.

        The canvases are asked directly: `savefig` draws everything once more to find its layout.
        """
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.backends.backend_pdf import FigureCanvasPdf
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        out = io.BytesIO()
        match format:
            case "svg":
                svg: Any = FigureCanvasSVG(self.figure)
                svg.print_svg(out, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
            case "pdf":
                pdf: Any = FigureCanvasPdf(self.figure)
                with outlines_only():
                    pdf.print_pdf(out, metadata={"CreationDate": None, "Producer": None})
            case "png":
                png: Any = FigureCanvasAgg(self.figure)
                self.figure.dpi = mpl.rcParams["savefig.dpi"]
                png.print_png(out, metadata={"Software": None})
                self.figure.dpi = _DPI
        return out.getvalue()


def new_drawing(theme: Theme, height: float, title: str, entries: Sequence[str] = ()) -> Drawing:
    """Return an empty figure of `theme.width` inches with `height` inches for axes and their labels.

    Above them stands the title, broken into lines that fit, and below a legend of `entries`.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    size, weight = mpl.rcParams["axes.titlesize"], mpl.rcParams["axes.titleweight"]
    heading = wrapped(title, theme.width, size * 1.1) if theme.titled else ""
    lines = len(heading.splitlines()) * 1.3 * size
    rows = _legend_lines(entries, theme) * 1.55 * mpl.rcParams["legend.fontsize"]
    figure = Figure(figsize=(theme.width, height + (lines + rows) / 72), dpi=_DPI, facecolor=theme.paper)
    if heading:
        figure.suptitle(heading, fontsize=size, fontweight=weight)
    return Drawing(figure, theme)


def wrapped(text: str, width: float, size: float) -> str:
    """Break a text into lines of at most `width` inches at a font of `size` points."""
    return "\n".join(textwrap.wrap(clean(text), max(int(width * 72 / (size * _CHARACTER)), 10)))


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is, in points."""
    return len(text) * size * _CHARACTER


def printable(text: str) -> str:
    """Return a text without control characters, which neither XML nor a font has."""
    return "".join(c if c.isprintable() else " " for c in text)


def clean(text: str) -> str:
    """Return a printable label that matplotlib shows: it drops those that begin with `_`."""
    shown = printable(text)
    return f"\N{ZERO WIDTH SPACE}{shown}" if shown.startswith("_") else shown


def legend(drawing: Drawing, handles: Sequence[Artist]) -> None:
    """Draw the legend below the axes, in as many columns as fit, so that it never covers a value."""
    if handles:
        entries = [str(handle.get_label()) for handle in handles]
        columns, broken = legend_columns(entries, drawing.theme), [_entry(entry, drawing.theme) for entry in entries]
        drawing.figure.legend(list(handles), broken, loc="outside lower center", ncols=columns)


def _entry(entry: str, theme: Theme) -> str:
    """Break an entry of a legend that is wider than the figure."""
    import matplotlib as mpl

    size = mpl.rcParams["legend.fontsize"]
    room = theme.width - _HANDLE * size / 72
    return wrapped(entry, room, size) if text_width(entry, size) > room * 72 else entry


def _legend_lines(entries: Sequence[str], theme: Theme) -> int:
    """Return how many lines of text a legend has, one below the other."""
    columns = legend_columns(entries, theme)
    if columns > 1:
        return -(-len(entries) // columns)
    return sum(len(_entry(entry, theme).splitlines()) for entry in entries)


def legend_columns(entries: Sequence[str], theme: Theme) -> int:
    """Return the most columns of entries, filled one after the other, that fit into the figure's width."""
    import matplotlib as mpl

    size = mpl.rcParams["legend.fontsize"]
    for columns in range(len(entries), 1, -1):
        rows = -(-len(entries) // columns)
        widest = [max(entries[i : i + rows], key=len) for i in range(0, len(entries), rows)]
        room = sum(text_width(entry, size) + _HANDLE * size for entry in widest)
        if len(widest) == columns and room <= theme.width * 72:
            return columns
    return 1


def category_ticks(axes: Axes, places: Sequence[float], labels: Sequence[str], room: float) -> None:
    """Label places along x, which is `room` points wide: slanted if words are long, and not all if there are many."""
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
