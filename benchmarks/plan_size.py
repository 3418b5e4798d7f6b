"""The paper's specifications to a figure: what one plan of all of them runs, and what its figures ask for one by one.

    python benchmarks/plan_size.py docs/images/plan-size.svg

Without sharing, every figure's file is run for itself, and in it every network at every point of the sweep: each trains
its own references and sources, and every line of `evaluate` makes its own passes. `satdsl explain FIGURE --format json`
has these numbers as `totals.against.every_row_separately`; they are added up here. With sharing is the plan of
`specs/paper.sat`. Image passes are in forward-and-backward passes, a forward pass alone counting a third.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from satdsl.compile import compile_file
from satdsl.show.document import totals
from satdsl.show.numbers import big

SPECS = Path(__file__).resolve().parents[1] / "specs"
COLOURS = {"without": "#b8b8b8", "with": "#2f6f9f"}


def totals_of(path: Path) -> dict[str, Any]:
    plan = compile_file(path).plan
    return totals(plan, dict.fromkeys(plan.steps, "new"))


def sizes() -> dict[str, tuple[float, float]]:
    """Of trainings, evaluations and image passes: how many without sharing, how many with."""
    figures = [*sorted(SPECS.glob("fig*.sat")), SPECS / "supplement.sat"]
    alone = [totals_of(path)["against"]["every_row_separately"] for path in figures]
    paper = totals_of(SPECS / "paper.sat")
    kinds = {"trainings": ("train",), "new heads": ("head",), "evaluations": ("evaluate",)}
    counts = {
        name: (
            sum(one["kinds"].get(kind, 0) for one in alone for kind in of),
            sum(paper["kinds"].get(kind, 0) for kind in of),
        )
        for name, of in kinds.items()
    }
    return counts | {"image passes": (sum(one["cost"] for one in alone), paper["image_passes"]["cost"])}


def drawn(found: dict[str, tuple[float, float]]) -> Figure:
    """A pair of bars each, in per cent of what runs without sharing, with the numbers beside them."""
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.add_subplot()
    for row, (without, shared) in enumerate(found.values()):
        first, second = ("each figure for itself", "one plan") if row == 0 else (None, None)
        axes.barh(row - 0.19, 100, 0.34, color=COLOURS["without"], label=first)
        axes.barh(row + 0.19, 100 * shared / without, 0.34, color=COLOURS["with"], label=second)
        axes.text(101, row - 0.19, big(without), va="center", fontsize=9)
        axes.text(100 * shared / without + 1, row + 0.19, big(shared), va="center", fontsize=9)
    axes.set_yticks(range(len(found)), list(found))
    axes.invert_yaxis()
    axes.set_xlim(0, 114)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(left=False)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    return figure


def main() -> None:
    mpl.rcParams["svg.hashsalt"] = "plan-size"
    mpl.rcParams["font.family"] = "sans-serif"
    found = sizes()
    for name, (without, shared) in found.items():
        print(f"{name:14} {big(without):>10} {big(shared):>10}  {shared / without:.0%}")
    if len(sys.argv) > 1:
        drawn(found).savefig(sys.argv[1], metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    main()
