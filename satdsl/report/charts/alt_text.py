"""Describe charts in a few sentences, for people who hear the page."""

from __future__ import annotations

from satdsl.report.charts.chart import Chart, Series
from satdsl.report.curves import Curve
from satdsl.report.number_text import amount


def chart_alt_text(chart: Chart) -> str:
    """Say what is drawn, how much of it is run, and where each series goes; the points have the numbers themselves."""
    marks = list(chart.marks)
    run = sum(mark.cell.value is not None for mark in marks)
    along = f" along {chart.x_label}" if chart.x_label else ""
    sentences = [f"{chart.noun} of {chart.y_label}{along}."]
    sentences.append(f"{run} of {len(marks)} values are run." if run < len(marks) else "")
    sentences += [_series(series) for series in chart.series]
    sentences.append(chart.spread)
    sentences += [f"Baseline {baseline.tooltip}." for baseline in chart.baselines]
    return " ".join(filter(None, sentences))


def curve_alt_text(curve: Curve) -> str:
    """Say how long the training went on, and where it ended."""
    last = curve.epochs[-1]
    right = f"{amount(last['accuracy'], 'share')} of the training images right" if "accuracy" in last else ""
    loss = f"loss {last['loss']:.3f}" if "loss" in last else ""
    ended = ", ".join(filter(None, (loss, right)))
    kept = f" The weights after epoch {curve.chosen} were kept."
    return f"{len(curve.epochs)} epochs" + (f"; the last with {ended}." if ended else ".") + kept


def _series(series: Series) -> str:
    run = [(mark.x, mark.cell.value, mark.cell.unit) for mark in series.marks if mark.cell.value is not None]
    if not run:
        return ""
    (first, start, unit), (last, end, _) = run[0], run[-1]
    low, high = (amount(pick(value for _, value, _ in run), unit) for pick in (min, max))
    at = f"{amount(start, unit)} at {first} to {amount(end, unit)} at {last}" if len(run) > 1 else amount(start, unit)
    return f"{series.name}: {at}" + (f", from {low} to {high} in all." if len(run) > 2 else ".")
