"""How far adversarial training on CIFAR-10 comes in the time that is left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import timing
from workbench import MEAN, STD, call

from gpu_parts.common import Bench, Budget
from satdsl.artifacts.tables import read_curves
from satdsl.backend.evaluate import network_for
from satdsl.backend.measure import measure
from satdsl.ir.steps import Holdout, SubsetTraining, Train
from satdsl.ir.work import Progress

TITLE = "How far does CIFAR-10 come?"
MOST = 60
"""Epochs; more would not pay."""
FOR_MEASURING = 0.15
"""The share of the time that is left for measuring the network."""


def run(bench: Bench, budget: Budget) -> list[str]:
    """Train for as many epochs as fit, and measure; the page has each epoch as it is over."""
    whole = (64, 32) if bench.tiny else (50_000, 10_000)
    data, which = bench.bench.pictures(*whole)
    about = timing.paragraph(f"""
        {whole[0]:,} images of {which}; {_written(bench)}, in {"bf16" if bench.device.startswith("cuda") else "fp32"},
        batches of {32 if bench.tiny else 256}; PGD-7 in Linf, eps 8/255, steps of 2/255, from a random start; crop and
        flip; SGD of momentum 0.9, weight decay 5e-4, a cyclic rate up to 0.2.""")
    bench.page.put(TITLE, [*about, "An epoch is timed first."])
    seconds = second_of_two(bench, data)
    epochs = max(1, min(2 if bench.tiny else MOST, int(budget.left * (1 - FOR_MEASURING) / seconds)))
    if budget.left < seconds:
        bench.page.put(TITLE, [*about, f"No time was left: an epoch takes {seconds:.1f} seconds."])
        return []
    lines = [*about, f"An epoch takes {seconds:.1f} seconds, so there were {epochs}.", ""]
    said: list[str] = []

    def report(progress: Progress) -> None:
        if progress.note not in said[-1:]:
            said.append(progress.note)
            bench.page.put(TITLE, [*lines, f"- {progress.note}"])

    folder = bench.bench.do(settings(bench, epochs), report, data=data)
    rows = [
        [c["epoch"], f"{c['lr']:.3f}", f"{c['loss']:.3f}", f"{c['accuracy']:.1%}", robust(c), f"{c['seconds']:.1f}"]
        for c in read_curves(folder)
    ]
    head = ("epoch", "rate", "loss under attack", "accuracy under attack", "probe: robust", "seconds")
    lines += [*timing.table(head, rows), ""]
    bench.page.put(TITLE, lines)
    bench.page.put(TITLE, [*lines, *measured(bench, budget, data, folder)])
    return []


def settings(bench: Bench, epochs: int) -> Train:
    attack = call("pgd", norm="Linf", eps=8 / 255, steps=7, step_size=2 / 255, random_start="ball", keep="last")
    gpu = bench.device.startswith("cuda")
    schedule = call("cyclic", peak=max(1, epochs * 2 // 5)) if epochs > 1 else call("constant")
    recipe = call(
        "sgd",
        epochs=epochs,
        batch=32 if bench.tiny else 256,
        lr=0.2,
        momentum=0.9,
        weight_decay=5e-4,
        schedule=schedule,
        precision="bf16" if gpu else "fp32",
    )
    return Train(
        _model(bench),
        recipe,
        augment=(call("crop", padding=4), call("flip")),
        holdout=Holdout(0.1, "val"),
        mean=MEAN,
        std=STD,
        subsets=(SubsetTraining(attack, 1.0),),
    )


def _model(bench: Bench) -> Any:
    return call("small_cnn", width=4) if bench.tiny else call("preact_resnet18", width=64, layout="standard")


def _written(bench: Bench) -> str:
    model = _model(bench)
    return f"{model.name}({', '.join(f'{name}={value}' for name, value in model.args)})"


def second_of_two(bench: Bench, data: Path) -> float:
    """The seconds of an epoch that is not the first, in which kernels are chosen."""
    ends: dict[float, float] = {}

    def report(progress: Progress) -> None:
        if progress.done in (1, 2):
            ends.setdefault(progress.done, time.monotonic())

    bench.bench.do(settings(bench, 2), report, data=data)
    return ends[2] - ends[1]


def robust(curve: dict[str, Any]) -> str:
    return f"{curve['probe']['robust']:.1%}" if "probe" in curve else ""


def measured(bench: Bench, budget: Budget, data: Path, folder: Path) -> list[str]:
    """Accuracy on the validation images, clean and under PGD-20, as far as there is time."""
    loaded = bench.bench.loaded(data)
    network = network_for(loaded, folder, None, bench.device)
    attack = call("pgd", norm="Linf", eps=8 / 255, steps=20, step_size=2 / 255, random_start="ball")
    lines = []
    for name, choice in (("without attack", None), ("under PGD-20 (eps 8/255)", attack)):
        if budget.left <= 0:
            return [*lines, f"- Accuracy {name}: no time."]
        rows = measure(
            network, loaded.val, choice, classes=10, device=bench.device, scratch=bench.bench.root / f"val-{name[:5]}"
        )
        lines.append(f"- Accuracy {name}: {rows.accuracy:.2%} of {len(loaded.val):,} validation images.")
    return lines
