"""Choose colours, markers, dashes and hatches by what they mean, the same in every figure.

The colours of one group, with those of the baselines, are told apart with each kind of colour blindness (at least 15
in CIE 1976 L*a*b* after the simulation of Machado et al., IEEE TVCG 15, 2009), and stand out 3 to 1 from white and
from a dark page (WCAG 2.2, 1.4.11). Markers, dashes and hatches tell them apart in black and white.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from satdsl.report.charts.chart import Baseline, Series

Dashes = tuple[float, ...]
"""Lengths of ink and gap in line widths; empty for a solid line."""

HARDEST, EASIEST, RANDOM = "#C20AA3", "#1F8A46", "#3D5CF5"
SUBSET_A, SUBSET_B, WHOLE = "#CC0022", "#6688CC", "#7A3DF5"
FULL, CLEAN = "#E07B00", "#808080"
"""The baselines: full adversarial training is orange, training without attacks grey."""

CYCLE = ("#0099E6", "#AC6039", "#00806A", "#AD1FAD", "#998000", "#7733FF")

SEQUENTIAL = "YlGnBu"
"""The colours of cells by their value: light to dark in grey as well."""

ORDERS = {"hardest": HARDEST, "easiest": EASIEST, "random": RANDOM}
PARTS = {
    **dict.fromkeys(("A", "A_val", "A_train"), SUBSET_A),
    **dict.fromkeys(("B", "B_val", "B_train"), SUBSET_B),
    **dict.fromkeys(("val", "train", "all"), WHOLE),
}
FIXED = (ORDERS, PARTS)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES: tuple[Dashes, ...] = ((), (5, 1.6), (1.4, 1.4), (6, 1.6, 1.4, 1.6), (3, 1.2))
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "||||", "++++", "----")


@dataclass(frozen=True)
class Style:
    colour: str
    marker: str
    dashes: Dashes
    hatch: str


def series_styles(series: Sequence[Series]) -> list[Style]:
    """Return a style for each series.

    Where series differ along several axes, one of these gives the colours, the others the form.
    Fixed colours go first: those of the orders of difficulty, then those of subsets, then the others in a cycle.
    """
    coloured = _coloured_axis(series)
    own = [dict(one.labels).get(coloured, "") for one in series]
    forms = [tuple(item for item in one.labels if item[0] != coloured) for one in series]
    colours = colours_of(own)
    several = len(set(forms)) > 1
    ranks = {form: rank for rank, form in enumerate(dict.fromkeys(forms if several else own))}
    keys = forms if several else own
    return [_form(colours[label], ranks[key]) for label, key in zip(own, keys, strict=True)]


def colours_of(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour for each label: its fixed one, else the next of the cycle."""
    found = {label: fixed for label in labels if (fixed := _fixed_colour(label)) is not None}
    for place, label in enumerate(label for label in dict.fromkeys(labels) if label not in found):
        found[label] = CYCLE[place % len(CYCLE)]
    return found


def have_fixed_colours(labels: Sequence[str]) -> bool:
    """Return whether every label has a fixed colour."""
    return all(_fixed_colour(label) is not None for label in labels)


def baseline_styles(baselines: Sequence[Baseline]) -> list[Style]:
    """Return a style for each baseline: orange where all images were attacked, grey where none was.

    Dashes tell lines of the same colour apart.
    """
    found: list[Style] = []
    for baseline in baselines:
        colour = {"all": FULL, "none": CLEAN}.get(baseline.attacked, CYCLE[1])
        again = sum(style.colour == colour for style in found)
        dashes = DASHES[1 + again % (len(DASHES) - 1)]
        found.append(Style(colour, "", dashes, ""))
    return found


def _form(colour: str, rank: int) -> Style:
    return Style(
        colour,
        MARKERS[(rank + rank // len(MARKERS)) % len(MARKERS)],
        DASHES[rank % len(DASHES)],
        HATCHES[rank % len(HATCHES)],
    )


def _coloured_axis(series: Sequence[Series]) -> str:
    """Return the axis with the most labels that have fixed colours; the first one if several have as many."""
    labels: dict[str, set[str]] = {}
    for one in series:
        for axis, label in one.labels:
            labels.setdefault(axis, set()).add(label)
    if not labels:
        return ""
    return max(labels, key=lambda axis: [len(labels[axis] & known.keys()) for known in FIXED] + [len(labels[axis]) > 1])


def _fixed_colour(label: str) -> str | None:
    return next((known[label] for known in FIXED if label in known), None)
