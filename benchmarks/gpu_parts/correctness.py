"""Is what the device computes right? Attacks, a training and AutoAttack against the CPU's; and does a batch wait?"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import timing
import torch
from workbench import MEAN, STD, call

from gpu_parts.common import Bench, Budget
from satdsl.artifacts.tables import read_curves
from satdsl.backend.attacks import attack_of
from satdsl.backend.evaluate import network_for
from satdsl.backend.images import DataSet, Images
from satdsl.backend.measure import Rows, measure
from satdsl.backend.randomness import Stream, generator
from satdsl.catalog import Argument, catalog
from satdsl.catalog.attacks import AttackEntry
from satdsl.ir.steps import CatalogCall, SubsetTraining, Train
from satdsl.ir.work import StepError

TITLE = "Is it right?"
NORMS = {"Linf": 2 / 255, "L2": 0.25, "L1": 4.0}
PUBLISHED = "pyautoattack"
UNLIKE = 0.02
"""The share of images whose verdicts may differ, by rounding, under an attack that draws nothing."""
LOSS = 0.02
"""By what part the loss of a first epoch may differ: rounding, which a training amplifies, and other random draws."""


def run(bench: Bench, budget: Budget) -> list[str]:
    """Write the section, line by line, and return what is wrong."""
    images, epochs = (16, 3) if bench.tiny else (512, 3)
    data, which = bench.bench.pictures(8 * images, 2 * images)
    bench.page.put(TITLE, timing.paragraph(f"The images are {which}."))
    folder = bench.bench.do(training(epochs, bench), data=data)
    loaded = bench.bench.loaded(data)
    judged = judged_images(loaded, images)
    wrong = [*_attacks(bench, budget, loaded, judged, folder)]
    for part in (_ensembles, _trainings, _waits):
        if budget.left > 0:
            wrong += part(bench, budget, loaded, judged, folder, data)
        else:
            _add(bench, f"- Not done for lack of time: {part.__name__.strip('_')}.")
    return wrong


def judged_images(data: DataSet, count: int) -> Images:
    """The first validation images."""
    return data.val.at(torch.arange(min(count, len(data.val))))


def training(epochs: int, bench: Bench, batch: int = 64) -> Train:
    """A training of a small network that withstands a little, without random draws but for the order."""
    attack = call("pgd", norm="Linf", eps=2 / 255, steps=2, step_size=1.5 / 255, random_start="none", keep="last")
    recipe = call("sgd", epochs=epochs, batch=batch, lr=0.05, momentum=0.9)
    model = call("small_cnn", width=4 if bench.tiny else 32)
    return Train(model, recipe, augment=(), holdout=None, mean=MEAN, std=STD, subsets=(SubsetTraining(attack, 1.0),))


# --- attacks -----------------------------------------------------------------------------------------


def _attacks(bench: Bench, budget: Budget, data: DataSet, images: Images, folder: Path) -> Iterator[str]:
    """Compare the verdicts of every attack of the catalog that makes images."""
    head = ["attack", "images that withstand it, here", "on the CPU", "verdicts that differ", "draws"]
    rows: list[list[object]] = []
    lines, left_out = bench.page.of(TITLE), []
    for entry in catalog().entries("attack"):
        if not isinstance(entry, AttackEntry) or entry.ensemble or entry.clean:
            continue
        for chosen in [*calls(entry)][: 1 if bench.tiny else None]:
            name = shown(chosen)
            if budget.left <= 0:
                left_out.append(f"{name} (no time)")
                continue
            try:
                draws = is_random(chosen)
                here, there = on_both(bench, data, images, folder, chosen)
            except ModuleNotFoundError as error:
                left_out.append(f"{name} ({error.name} is not installed)")
                continue
            except StepError as error:
                left_out.append(f"{name} ({error.reason})")
                continue
            unlike = int((here.correct != there.correct).sum())
            rows.append([name, int(here.correct.sum()), int(there.correct.sum()), unlike, "yes" if draws else "no"])
            bench.page.put(TITLE, [*lines, *timing.table(head, rows), ""])
            if not agree(here, there, draws):
                yield f"{name} leaves {rows[-1][1]} of {len(images)} images here and {rows[-1][2]} on the CPU"
    if left_out:
        _add(bench, f"- Left out: {'; '.join(left_out)}.")


def calls(entry: AttackEntry) -> Iterator[CatalogCall]:
    """Calls of an attack, one for each norm, with what it needs."""
    norms = entry.args["norm"].choices if "norm" in entry.args else ("L2",)
    for norm in norms:
        given = {arg.name: _value(arg, norm) for arg in entry.args.values() if arg.required or arg.name in LESS}
        yield CatalogCall(entry.name, tuple(given.items()))


LESS = {"queries": 100, "steps": 10}
"""What is tried less than the default says."""


def _value(arg: Argument, norm: str) -> Any:
    known = {"norm": norm, "eps": NORMS[norm], "step_size": NORMS[norm] / 4, **LESS}
    if arg.name in known:
        return known[arg.name]
    if arg.choices:
        return arg.choices[0]
    low = arg.at_least if arg.at_least is not None else (arg.above or 0) + 0.1
    return max(1, round(low)) if arg.type == "int" else low


def shown(chosen: CatalogCall) -> str:
    return f"{chosen.name}, {chosen['norm']}" if any(name == "norm" for name, _ in chosen.args) else chosen.name


def is_random(chosen: CatalogCall) -> bool:
    """Whether an attack draws random numbers."""
    drawn = generator(0, Stream.EVALUATION)
    before = drawn.get_state()
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4))
    attack_of(chosen)(network, torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), drawn)
    return not torch.equal(before, drawn.get_state())


def on_both(bench: Bench, data: DataSet, images: Images, folder: Path, chosen: CatalogCall) -> tuple[Rows, Rows]:
    """Which images withstand an attack on the device, and on the CPU."""
    here, there = (verdicts(bench, data, images, folder, chosen, device) for device in (bench.device, "cpu"))
    return here, there


def verdicts(bench: Bench, data: DataSet, images: Images, folder: Path, chosen: CatalogCall, device: str) -> Rows:
    """Which images withstand an attack on a device."""
    network = network_for(data, folder, None, device)
    place = bench.bench.root / "verdicts" / f"{len(list(bench.bench.root.glob('verdicts/*')))}"
    return measure(network, images, chosen, classes=len(data.classes), device=device, scratch=place)


def agree(here: Rows, there: Rows, draws: bool) -> bool:
    """Whether two devices' verdicts are the same: but for a few images, or on average where numbers are drawn."""
    gained = int((here.correct & ~there.correct).sum())
    lost = int((there.correct & ~here.correct).sum())
    if draws:
        return abs(gained - lost) <= 3 * np.sqrt(gained + lost) + 1
    return gained + lost <= max(2, UNLIKE * len(here.correct))


def _add(bench: Bench, line: str) -> None:
    lines = bench.page.of(TITLE)
    bench.page.put(TITLE, [*lines, line] if lines[-1:] == [""] else [*lines[:-1], lines[-1], line])


# --- AutoAttack, a training, waits ---------------------------------------------------------------------


def _ensembles(bench: Bench, budget: Budget, data: DataSet, images: Images, folder: Path, artifact: Path) -> list[str]:
    wrong = []
    few = images.at(torch.arange(min(len(images), 16 if bench.tiny else 200)))
    for entry in catalog().entries("attack"):
        if not isinstance(entry, AttackEntry) or not entry.ensemble:
            continue
        if find_spec(PUBLISHED) is None:
            _add(bench, f"- {entry.name} was left out: {PUBLISHED} is not installed.")
            continue
        limits = {"iterations": 20, "queries": 300, "targets": 3, "restarts": 1, "samples": 1}
        limits |= {"iterations": 2, "queries": 4, "targets": 1} if bench.tiny else {}
        effort = CatalogCall("effort", tuple(limits.items()))
        chosen = call(entry.name, norm="Linf", eps=NORMS["Linf"], at_most=effort)
        here, there = on_both(bench, data, few, folder, chosen)
        unlike = int((here.broken_by != there.broken_by).sum())
        _add(
            bench,
            f"- {entry.name}, shortened, on {len(few)} images: {int(here.correct.sum())} withstand it here, "
            f"{int(there.correct.sum())} on the CPU; {unlike} verdicts differ.",
        )
        if not agree(here, there, True):
            wrong.append(f"{entry.name} gives other verdicts here than on the CPU")
    return wrong


def _trainings(bench: Bench, budget: Budget, data: DataSet, images: Images, folder: Path, artifact: Path) -> list[str]:
    settings = training(2, bench)
    curves = [read_curves(made.do(settings, data=artifact)) for made in (bench.bench, bench.on_cpu)]
    losses = [[epoch["loss"] for epoch in one] for one in curves]
    text = " and ".join(", ".join(f"{loss:.4f}" for loss in one) for one in losses)
    _add(bench, f"- The losses of two epochs, here and on the CPU: {text}.")
    if abs(losses[0][0] - losses[1][0]) > LOSS * losses[1][0]:
        return [f"the loss of the first epoch is {losses[0][0]:.4f} here and {losses[1][0]:.4f} on the CPU"]
    return []


def _waits(bench: Bench, budget: Budget, data: DataSet, images: Images, folder: Path, artifact: Path) -> list[str]:
    """Count what the driver says was waited for in trainings of fewer and of more batches."""
    if not bench.device.startswith("cuda"):
        _add(bench, "- Whether a batch waits for the device is seen on a GPU only.")
        return []
    found = [waits(bench, training(1, bench, batch), artifact) for batch in (512, 128)]
    _add(bench, f"- An epoch in batches of 512 is waited for {found[0]} times, in batches of 128 {found[1]} times.")
    return [] if found[1] <= found[0] else ["batches wait for the device"]


def waits(bench: Bench, settings: Train, artifact: Path) -> int:
    """How often a training makes the host wait for the device."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            bench.bench.do(settings, data=artifact)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in said)
