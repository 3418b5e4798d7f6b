"""Draw a training's loss, accuracy and learning rate, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from satdsl.artifacts.epochs import probed
from satdsl.report.charts.alt_text import curve_alt_text
from satdsl.report.charts.drawing import Drawing, clean, legend, new_drawing
from satdsl.report.charts.inline_svg import inline_svg
from satdsl.report.charts.palette import DASHES, RANDOM, Dashes, colours_of
from satdsl.report.charts.theme import PAGE_THEME, Theme, themed
from satdsl.report.curves import Curve, finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

MOST_TARGETS = 60
"""The most epochs that answer to a pointer: of more, these are evenly spaced, with the last and the chosen one."""


@dataclass(frozen=True)
class _Line:
    """One quantity over the epochs, None where it was not measured; accuracies in percent."""

    name: str
    colour: str
    dashes: Dashes
    values: tuple[float | None, ...]


def curve_svg(curve: Curve, *, prefix: str) -> str:
    """Return the figure as an `<svg>` element whose ids begin with `prefix`; each epoch is of class `epoch`."""
    with themed(PAGE_THEME):
        drawing = _draw(curve, PAGE_THEME)
        label = f"Training of {curve.name}"
        return inline_svg(drawing, prefix=prefix, label=label, description=curve_alt_text(curve))


def _draw(curve: Curve, theme: Theme) -> Drawing:
    """Draw loss above, accuracy in the middle, learning rate below; mark the epoch that was chosen."""
    epochs = [int(epoch["epoch"]) for epoch in curve.epochs]
    losses, accuracies = _of_subsets(curve, "loss", 1.0), [*_of_subsets(curve, "accuracy", 100.0), *_of_probe(curve)]
    rate = _Line("learning rate", theme.ink, (), tuple(finite(epoch.get("lr")) for epoch in curve.epochs))
    handles = [_handle(line) for line in accuracies]
    drawing = new_drawing(theme, theme.width * 0.85, curve.name, [str(handle.get_label()) for handle in handles])
    top, middle, bottom = drawing.figure.subplots(3, 1, sharex=True, height_ratios=(5, 6, 2))
    for axes, words, lines in ((top, "loss", losses), (middle, "accuracy (%)", accuracies), (bottom, "lr", [rate])):
        axes.set_ylabel(words)
        for line in lines:
            ys = [math.nan if value is None else value for value in line.values]
            style: Any = (0, line.dashes) if line.dashes else "-"
            alone = {"marker": "o"} if len(epochs) == 1 else {}
            form: Any = {"drawstyle": "steps-mid"} if line is rate else {}
            axes.plot(epochs, ys, color=line.colour, linestyle=style, **alone, **form)
        if curve.chosen != epochs[-1]:
            axes.axvline(curve.chosen, color=theme.ink, linewidth=0.6, linestyle=(0, (1, 2)))
    _rates(bottom, rate)
    bottom.set_xlabel("epoch" if curve.chosen == epochs[-1] else f"epoch ({curve.chosen} was chosen)")
    bottom.xaxis.get_major_locator().set_params(integer=True)
    legend(drawing, handles)
    _add_targets(curve, drawing, middle, epochs)
    drawing.fix_layout()
    return drawing


def _handle(line: _Line) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=line.colour, linestyle=(0, line.dashes) if line.dashes else "-", label=clean(line.name))


def _of_subsets(curve: Curve, what: str, scale: float) -> list[_Line]:
    colours = colours_of(curve.subsets)
    found = []
    for place, name in enumerate(curve.subsets):
        parts = [epoch["subsets"][place] for epoch in curve.epochs]
        attacked = any("attack_success" in part for part in parts)
        values = [finite(part.get(what), scale) if part["n"] else None for part in parts]
        said = f"{name} (attacked)" if attacked else name
        found.append(_Line(said, colours[name], DASHES[place % len(DASHES)], tuple(values)))
    return found


def _of_probe(curve: Curve) -> Iterator[_Line]:
    probes = [epoch.get("probe", {}) for epoch in curve.epochs]
    part = next((probe["part"] for probe in probes if probe), None)
    if not part:
        return
    clean = tuple(finite(probe.get("clean"), 100.0) for probe in probes)
    yield _Line(f"{part}, clean", RANDOM, DASHES[2], clean)
    found = [probed(probe) if probe else {} for probe in probes]
    for place, name in enumerate(dict.fromkeys(name for one in found for name in one)):
        values = tuple(finite(one.get(name), 100.0) for one in found)
        dashes = DASHES[(3 + place) % len(DASHES)]
        yield _Line(f"{part}, robust{name.removeprefix(part)}", RANDOM, dashes, values)


def _rates(axes: Axes, rate: _Line) -> None:
    """Set ticks at the highest and the lowest rate, on a logarithmic scale if these are a decade apart or more."""
    known = [value for value in rate.values if value is not None]
    if not known:
        return
    low, high = min(known), max(known)
    if low > 0 and high >= 10 * low:
        axes.set_yscale("log")
        axes.minorticks_off()
    ends = [low, high] if high > low else [high]
    axes.set_yticks(ends, [f"{value:.3g}" for value in ends])


def _add_targets(curve: Curve, drawing: Drawing, axes: Axes, epochs: Sequence[int]) -> None:
    """Add a strip for each epoch, through all three panels, that says the numbers of that epoch."""
    from matplotlib.transforms import blended_transform_factory

    strip = blended_transform_factory(axes.transData, drawing.figure.transFigure)
    step = max(1, -(-len(epochs) // MOST_TARGETS))
    for epoch, document in zip(epochs, curve.epochs, strict=True):
        if epoch % step and epoch not in (epochs[0], epochs[-1], curve.chosen):
            continue
        corners = ((epoch - step / 2, 0.0), (epoch + step / 2, 1.0))
        drawing.target(None, "epoch", _tooltip(curve, document), strip, corners=corners, x=str(epoch))


def _tooltip(curve: Curve, epoch: dict[str, Any]) -> str:
    """Return `epoch 12 (chosen): A loss 1.234, 45.6 % right; hold-out clean 71.2 %, robust 41.0 %; ...`."""
    chosen = " (chosen)" if epoch["epoch"] == curve.chosen else ""
    parts = [
        f"{name} loss {part['loss']:.3f}, {100 * part['accuracy']:.1f} % right"
        for name, part in zip(curve.subsets, epoch["subsets"], strict=True)
        if part["n"]
    ]
    if probe := epoch.get("probe"):
        parts.append(f"{probe['part']} clean {100 * probe['clean']:.1f} %, robust {100 * probe['robust']:.1f} %")
    parts.append(f"learning rate {epoch['lr']:.3g}")
    return f"epoch {epoch['epoch']}{chosen}: {'; '.join(parts)}"
