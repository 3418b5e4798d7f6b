"""The curve of robust accuracy from one run of an attack that looks for nearest images, beside AutoAttack at radii.

Of two networks, one trained without attacks and one trained with PGD, under L2 and Linf: by how much the curve lies
above AutoAttack (standard) at five radii, and what both cost. Run it with an interpreter that has satdsl:

    python benchmarks/nearest.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import timing
import workbench
from timing import Timed
from workbench import MEAN, STD, Workbench, call, stepped_sgd

from satdsl.artifacts.schemas import ROWS
from satdsl.backend.artifact_files import read_table
from satdsl.ir.steps import CatalogCall, Data, Evaluate, SubsetTraining, Train

QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""The radii are those beyond which so many of the distances that `fmn` finds do not lie."""

AIM = 5.0
"""By how many times a run of fmn-100 is to cost less than AutoAttack at five radii."""


@dataclass(frozen=True)
class Setting:
    """A network, the norm that it is attacked under, and what it is called."""

    network: str
    weights: Path
    norm: str

    def __str__(self) -> str:
        return f"{self.network}, {self.norm}"


def curves(norm: str) -> dict[str, CatalogCall]:
    """The attacks that look for the nearest image in a norm, by what tables call them."""
    found = {f"fmn-{steps}": call("fmn", norm=norm, steps=steps) for steps in (100, 1000)}
    if norm == "L2":
        found["ddn-100"] = call("ddn", steps=100)
    found["pdpgd-500"] = call("pdpgd", norm=norm, steps=500)
    return found


def trained(bench: Workbench, data: Path, options: argparse.Namespace) -> Iterator[Setting]:
    """The networks: without attacks, and with PGD under each norm."""
    gpu = options.device.startswith("cuda")
    model = call("preact_resnet18", width=64, layout="standard") if gpu else call("small_cnn", width=16)
    mean, std = (MEAN, STD) if gpu else ((0.3055,), (0.3761,))
    radii = {"L2": 0.5, "Linf": 8 / 255} if gpu else {"L2": 0.75, "Linf": 0.1}
    recipe = stepped_sgd(options.epochs)
    plain = bench.do(Train(model, recipe, (), None, (SubsetTraining(None, 1.0),), mean, std), data=data)
    for norm, eps in radii.items():
        yield Setting("trained without attacks", plain, norm)
        pgd = call("pgd", norm=norm, eps=eps, steps=7, step_size=eps / 5)
        subsets = (SubsetTraining(pgd, 1.0),)
        yield Setting("trained with PGD", bench.do(Train(model, recipe, (), None, subsets, mean, std), data=data), norm)


def distances(bench: Workbench, data: Path, weights: Path, attack: CatalogCall) -> np.ndarray:
    """How far the nearest adversarial image is that an attack finds of each image, float64 [n]."""
    out = bench.do(Evaluate(attack, "val", None), data=data, weights=weights)
    return read_table(out, ROWS)["distance"]


def standing(bench: Workbench, data: Path, weights: Path, norm: str, eps: float) -> np.ndarray:
    """Which images withstand AutoAttack, bool [n]."""
    attack = call("autoattack", norm=norm, eps=eps, version="standard", attacks=(), batch=500)
    return read_table(bench.do(Evaluate(attack, "val", None), data=data, weights=weights), ROWS)["correct"]


def radii_of(found: np.ndarray) -> tuple[float, ...]:
    """Five radii between which the distances of the images that are right without attack lie."""
    return tuple(float(f"{np.quantile(found[found > 0], share):.2g}") for share in QUANTILES)


# --- the comparison ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """What a setting gave: distances by attack, which images stand against AutoAttack at each radius, and seconds."""

    setting: Setting
    radii: tuple[float, ...]
    nearest: dict[str, Timed]
    at_radius: dict[float, Timed]

    def accuracy(self, name: str, radius: float) -> float:
        return float((self.nearest[name].outcome > radius).mean())

    def excess(self, name: str) -> list[float]:
        """By how many points the curve lies above AutoAttack at each radius."""
        found = [self.accuracy(name, radius) - float(self.at_radius[radius].outcome.mean()) for radius in self.radii]
        return [100 * points for points in found]

    def rows(self) -> Iterator[Sequence[object]]:
        for radius in self.radii:
            accuracies = [self.accuracy(name, radius) for name in self.nearest]
            theirs = float(self.at_radius[radius].outcome.mean())
            yield f"{radius:g}", *(f"{share:.1%}" for share in (theirs, *accuracies))

    def costs(self) -> Iterator[Sequence[object]]:
        whole = sum(one.median for one in self.at_radius.values())
        yield str(self.setting), "autoattack at five radii", f"{whole:.1f}", ""
        for name, one in self.nearest.items():
            yield "", name, f"{one.median:.1f}", f"{whole / one.median:.1f}"


def compared(bench: Workbench, data: Path, setting: Setting, options: argparse.Namespace) -> Comparison:
    """Run every attack that looks for nearest images once, and AutoAttack at five radii."""
    run, weights = options.stopwatch.run, setting.weights
    attacks = {
        name: run(partial(distances, bench, data, weights, attack)) for name, attack in curves(setting.norm).items()
    }
    nearest = timing.in_turns(attacks, options.rounds)
    radii = radii_of(nearest["fmn-1000"].outcome)
    at_radius = {
        radius: timing.in_turns(
            {f"autoattack {radius:g}": run(partial(standing, bench, data, weights, setting.norm, radius))}, 1
        )
        for radius in radii
    }
    return Comparison(setting, radii, nearest, {radius: next(iter(one.values())) for radius, one in at_radius.items()})


def most(comparisons: Sequence[Comparison], name: str) -> str:
    """The most and the mean points by which the curve of an attack lies above AutoAttack."""
    points = [point for one in comparisons if name in one.nearest for point in one.excess(name)]
    return f"{name}: {np.mean(points):+.1f} points on average, {max(points):+.1f} at most"


def page(comparisons: Sequence[Comparison], which: str, n: int, options: argparse.Namespace) -> Iterator[str]:
    yield from ("# The whole curve from one run", "")
    yield from timing.paragraph(f"""
        Written by `benchmarks/nearest.py`. Robust accuracy of two networks on {n} validation images of {which}: under
        AutoAttack (standard) at each of five radii, and as the share of images whose nearest adversarial image, as an
        attack finds it, lies beyond the radius. The radii are quantiles of the distances that fmn-1000 finds of the
        images that are right without attack, so that AutoAttack, which is stronger, leaves fewer.""")
    for one in comparisons:
        yield from (f"## {one.setting}", "")
        yield from timing.table(("eps", "autoattack", *one.nearest), one.rows())
        yield ""
    yield from ("## By how much the curve lies above AutoAttack", "")
    for name in ("fmn-100", "fmn-1000", "ddn-100", "pdpgd-500"):
        yield f"- {most(comparisons, name)}"
    yield ""
    yield from timing.paragraph("""
        An attack that looks for the nearest image spends nothing of its effort on a given radius. Where one curve is
        compared with another, both are too high; where a number at a radius is reported, measure it with AutoAttack.
        """)
    yield from (
        "## What they cost",
        "",
        *timing.paragraph(f"In {options.stopwatch.unit}, loading and storing included."),
    )
    yield from timing.table(
        ("network", "attack", "seconds", "times less than AutoAttack"),
        [row for one in comparisons for row in one.costs()],
    )
    whole = sum(timed.median for one in comparisons for timed in one.at_radius.values())
    ours = sum(one.nearest["fmn-100"].median for one in comparisons)
    yield ""
    ratio, verdict = whole / ours, "reached" if whole / ours >= AIM else "missed"
    yield f"fmn-100 costs **{ratio:.1f} times less** than AutoAttack at five radii; aim at least {AIM:g}: {verdict}."
    yield ""


def main() -> None:
    """Measure, print, and write the result page."""
    parser = workbench.arguments(
        "nearest", "A curve from one run of fmn, ddn or pdpgd beside AutoAttack at five radii."
    )
    parser.add_argument("--epochs", type=int, help="epochs of the trainings before it")
    options = workbench.parsed(
        parser, cpu={"rounds": 1, "images": 200, "epochs": 15}, gpu={"rounds": 1, "images": 1000, "epochs": 10}
    )
    load = timing.load_average()
    with workbench.workbench(options) as bench:
        if options.device.startswith("cuda"):
            data, which = bench.pictures(10_000, options.images)
        else:
            data = bench.do(Data(call("digits", limit_val=options.images)))
            which = "scikit-learn's handwritten digits"
        comparisons = [compared(bench, data, setting, options) for setting in trained(bench, data, options)]
    n = len(comparisons[0].nearest["fmn-100"].outcome)
    lines = [*page(comparisons, which, n, options), *timing.machine(options.device, ("pyautoattack",), load)]
    timing.publish(options.output, lines)


if __name__ == "__main__":
    main()
