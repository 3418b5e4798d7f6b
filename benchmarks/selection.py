"""The candidates of a training to the one that is kept: a race under AutoAttack beside attacking all of them in full.

One adversarial training on digits keeps its weights after several epochs. The epochs that a specification would choose
from are measured in full, one by one, and then race as a training lets them. Passes are counted as they are made. Run
it with an interpreter that has satdsl:

    python benchmarks/selection.py
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import timing
import workbench
from timing import Ratio, Timed
from workbench import MEAN, STD, Workbench, call

from satdsl.backend import weights
from satdsl.backend.counted_passes import counted
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import Images
from satdsl.backend.measure import measure
from satdsl.backend.model_selection import ModelSelection
from satdsl.ir.plan import Passes, added
from satdsl.ir.steps import CatalogCall, Data, Holdout, Selection, SubsetTraining, Train
from satdsl.plan import cost

AIM = 2.0
"""By how many times a race of three candidates is to make fewer passes."""


@dataclass(frozen=True)
class Found:
    """The epoch that is chosen, what is known of each candidate, and the passes that were made."""

    chosen: int
    known: Mapping[int, str]
    passes: Passes


@dataclass(frozen=True)
class Case:
    """The epochs to choose from, and in how many batches the hold-out is attacked."""

    name: str
    epochs: Sequence[int]
    batches: int

    def __str__(self) -> str:
        return f"{self.name}, {self.batches} batch{'es' * (self.batches > 1)}"


@dataclass(frozen=True)
class Setting:
    """The weights that a training kept, and the hold-out."""

    trained: Path
    images: Images
    eps: float
    device: str
    which: str

    def attack(self, case: Case) -> CatalogCall:
        """The attack to choose by."""
        return call("autoattack", norm="L2", eps=self.eps, batch=math.ceil(len(self.images) / case.batches))


def setting(bench: Workbench, options: argparse.Namespace, epochs: Sequence[int]) -> Setting:
    """Train a network that keeps the weights of all `epochs`."""
    gpu = options.device.startswith("cuda")
    if gpu:
        data, which = bench.pictures(10_000, 2 * options.images)
        model, eps, mean, std = call("preact_resnet18", width=64, layout="standard"), 0.5, MEAN, STD
    else:
        data, which = bench.do(Data(call("digits"))), "scikit-learn's handwritten digits"
        model, eps, mean, std = call("small_cnn", width=16), 0.75, (0.3055,), (0.3761,)
    pgd = call("pgd", norm="L2", eps=eps, steps=7, step_size=eps / 5, random_start="none", keep="best", restarts=1)
    last = max(epochs)
    schedule = call("step", at=drops(last), factor=0.1)
    recipe = call("sgd", epochs=last, batch=64, lr=0.05, momentum=0.9, weight_decay=5e-4, schedule=schedule)
    holdout = Holdout(0.5 if gpu else options.images / 360, "val")
    settings = Train(model, recipe, (), holdout, (SubsetTraining(pgd, 1.0),), mean, std, keep_weights=tuple(epochs))
    images = split_holdout(bench.loaded(data), holdout).selection
    assert images is not None
    return Setting(bench.do(settings, data=data), images, eps, bench.device, which)


def drops(epochs: int) -> tuple[int, int]:
    """When the learning rate falls: after two and five sixths of the training."""
    return 2 * epochs // 3, 5 * epochs // 6


def in_full(given: Setting, case: Case) -> Found:
    """Attack every candidate to the end, and keep the first of the best."""
    values: dict[int, int] = {}
    with counted() as made, tempfile.TemporaryDirectory() as scratch:
        for epoch in case.epochs:
            network = weights.load(given.trained, given.device, epoch)
            place = Path(scratch, str(epoch))
            rows = measure(network, given.images, given.attack(case), classes=10, device=given.device, scratch=place)
            values[epoch] = int(rows.correct.sum())
    n = len(given.images)
    known = {epoch: f"{value / n:.2%}" for epoch, value in values.items()}
    return Found(max(case.epochs, key=lambda epoch: values[epoch]), known, made.passes)


def raced(given: Setting, case: Case) -> Found:
    """Let them race as a training does."""
    rule = Selection((given.attack(case),), tuple(case.epochs))
    with tempfile.TemporaryDirectory() as scratch:
        best = ModelSelection(rule, given.images, classes=10, device=given.device, folder=Path(scratch))
        for epoch in case.epochs:
            network = weights.load(given.trained, given.device, epoch)
            best.enter(epoch, network)
            if best.is_full:
                best.decide(network)
        best.decide(network)
        found = best.document(max(case.epochs))
    known = {
        one["epoch"]: "at most " * one.get("at_most", False) + f"{one['value']:.2%}" for one in found["candidates"]
    }
    return Found(found["chosen"], known, added(list(best.passes.values())))


def rows(cases: Sequence[Case], timed: Mapping[str, Timed]) -> list[tuple[object, ...]]:
    """What each way of choosing cost, and what it chose."""
    listed = []
    for case in cases:
        for way in WAYS:
            of = timed[f"{case}, {way}"]
            cells = len(case.epochs), of.outcome.chosen, f"{of.outcome.passes.cost:,.0f}", timing.seconds(of)[0]
            listed.append((f"{case}, {way}", *cells))
    return listed


WAYS = {"in full": in_full, "raced": raced}


def fewer(case: Case, timed: Mapping[str, Timed]) -> Ratio:
    """By how many times a race makes fewer passes; it has to choose the same epoch."""
    full, race = (timed[f"{case}, {way}"].outcome for way in WAYS)
    if full.chosen != race.chosen:
        raise SystemExit(f"{case}: the race chose epoch {race.chosen}, measuring in full {full.chosen}")
    return Ratio((full.passes.cost / race.passes.cost,))


def main() -> None:
    """Measure, print, and write the result page."""
    parser = workbench.arguments("selection", "Passes of choosing a checkpoint under AutoAttack: in full, and raced.")
    parser.add_argument("--epochs", type=int, help="epochs of the training before it")
    options = workbench.parsed(
        parser, cpu={"rounds": 1, "images": 72, "epochs": 18}, gpu={"rounds": 1, "images": 1000, "epochs": 18}
    )
    load = timing.load_average()
    first, second = drops(options.epochs)
    of_drops, often = (first + 1, second + 1, options.epochs), tuple(range(2, options.epochs + 1, 2))
    three = [Case("after each drop and at the end", of_drops, batches) for batches in (1, 2)]
    cases = [*three, Case("every 2 epochs", often, 2)]
    with workbench.workbench(options) as bench:
        given = setting(bench, options, sorted({*of_drops, *often}))
        works = {
            f"{case}, {way}": options.stopwatch.run(partial(choose, given, case))
            for case in cases
            for way, choose in WAYS.items()
        }
        timed = timing.in_turns(works, options.rounds)
    ratios = {str(case): fewer(case, timed) for case in cases}
    planned = cost.selecting(Selection((given.attack(three[0]),), of_drops), len(given.images), 10)
    full, race = (timed[f"{three[0]}, {way}"].outcome for way in WAYS)
    timing.publish(
        options.output,
        [
            "# Choosing a checkpoint",
            "",
            *timing.paragraph(f"""
                Written by `benchmarks/selection.py`. A network that is trained with PGD-7 on {given.which} for
                {options.epochs} epochs, with drops of the learning rate after {first} and {second}; the weights to keep
                are those that withstand AutoAttack (standard, L2, eps {given.eps}) best on a hold-out of
                {len(given.images)} images, attacked in one batch, or in two as 1,000 images are in batches of 500.
                *In full* attacks every candidate to the end; *raced* is what a training does, and chose the same epoch
                each time. Passes are forward-and-backward passes of an image, a forward pass alone counting a third,
                counted as they are made. In {options.stopwatch.unit}; {options.rounds}
                round{"s" * (options.rounds > 1)}."""),
            *timing.table(("choosing", "candidates", "chosen epoch", "passes", "seconds"), rows(cases, timed)),
            "",
            *[f"- {timing.at_least(f'{case}: passes in full / raced', ratios[str(case)], AIM)}" for case in cases],
            "",
            *timing.paragraph(f"""
                For the {len(of_drops)} candidates `explain` says at most {planned.most.cost:,.0f} passes, and
                {planned.first_decide.cost:,.0f} if the first attacks decide; images that are wrong without attack, or
                broken, cost less. Robust accuracy of each, in full: {_listed(full.known)}. What the race knows:
                {_listed(race.known)}. How much a race saves depends on the candidates: the winner is attacked to the
                end, and the others for as long as more of their images stand than of the winner's in the end. Where
                APGD-CE leaves enough of them they are attacked by the targeted APGD, too, a quarter of all passes; and
                what is attacked in more batches can be left sooner."""),
            *timing.machine(options.device, ("pyautoattack",), load),
        ],
    )


def _listed(known: Mapping[int, str]) -> str:
    return ", ".join(f"epoch {epoch} {value}" for epoch, value in known.items())


if __name__ == "__main__":
    main()
