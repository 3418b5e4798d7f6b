"""A trained network to a new head, 40 epochs: satdsl's `head` step beside a loop that computes features every epoch.

Run it with an interpreter that has satdsl:

    python benchmarks/transfer.py
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import timing
import torch
import workbench
from timing import Ratio
from torch import nn
from torch.nn import functional as F
from workbench import MEAN, STD, Workbench, call

from satdsl.artifacts.tables import read_curves
from satdsl.backend import weights
from satdsl.ir.steps import CatalogCall, Head, SubsetTraining, Train

EPOCHS, HIDDEN, AIM = 40, 512, 20.0
SGD = {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}
TOLERANCE = 0.05
"""By how much of it the mean losses of the last epochs may differ: their order and first weights do."""
MODELS = {
    "resnet18": call("resnet18", stem="cifar"),
    "resnet50": call("resnet50", stem="cifar"),
}


def recipe(epochs: int, batch: int) -> CatalogCall:
    return call("sgd", epochs=epochs, batch=batch, **SGD, reduction="weighted_mean")


def source(bench: Workbench, data: Path, options: argparse.Namespace) -> Path:
    """A network that was trained for an epoch."""
    subsets = (SubsetTraining(None, 1.0),)
    return bench.do(Train(MODELS[options.model], recipe(1, 32), (), None, subsets, MEAN, STD), data=data)


def head_step(bench: Workbench, trained: Path, data: Path, batch: int) -> float:
    """The whole step, files included; the mean training loss of its last epoch."""
    settings = Head(call("mlp", hidden=HIDDEN), recipe(EPOCHS, batch), (), None)
    return float(read_curves(bench.do(settings, weights=trained, data=data))[-1]["loss"])


def loop(bench: Workbench, trained: Path, data: Path, batch: int) -> float:
    """The same training as a plain loop: frozen network, new head, images in memory; the last epoch's mean loss."""
    device = bench.device
    images = bench.loaded(data).train
    x, y = next(images.batches(len(images), device))
    network = weights.load(trained, device).requires_grad_(False)
    width = network.feature_width
    network.replace_head(nn.Identity())
    random = torch.Generator().manual_seed(0)
    head = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)).to(device)
    optimiser = torch.optim.SGD(head.parameters(), **SGD)
    total = torch.zeros((), device=device)
    for _ in range(EPOCHS):
        total.zero_()
        for rows in torch.randperm(len(y), generator=random).to(device).split(batch):
            with torch.no_grad():
                features = network(x[rows])
            loss = F.cross_entropy(head(features), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(rows)
    return float(total) / len(y)


def main() -> None:
    """Measure, print, and write the result page."""
    parser = workbench.arguments("transfer", "Seconds of training a new head on frozen features.")
    parser.add_argument("--model", choices=MODELS, help="the network whose features are used")
    options = workbench.parsed(
        parser,
        cpu={"rounds": 2, "batch": [128], "images": 128, "model": "resnet18"},
        gpu={"rounds": 3, "batch": [128], "images": 10_000, "model": "resnet50"},
    )
    load, batch, run = timing.load_average(), options.batch[0], options.stopwatch.run
    with workbench.workbench(options) as bench:
        data, which = bench.pictures(options.images, 10)
        trained = source(bench, data, options)
        ours, theirs = (run(partial(work, bench, trained, data, batch)) for work in (head_step, loop))
        ours()
        timed = timing.in_turns({"satdsl, head step": ours, "features in every epoch": theirs}, options.rounds)
    step, every = timed.values()
    if abs(step.outcome - every.outcome) > TOLERANCE * every.outcome:
        raise SystemExit(f"mean losses of {step.outcome:.3f} and {every.outcome:.3f}: not the same work")
    timing.publish(
        options.output,
        [
            "# Transfer: a new head on frozen features",
            "",
            *timing.paragraph(f"""
                Written by `benchmarks/transfer.py`. {EPOCHS} epochs of an MLP of {HIDDEN} hidden units on the frozen
                features of {options.model}; {options.images:,} images of {which}, no augmentation, batches of {batch}.
                In {options.stopwatch.unit}; {options.rounds} rounds in turns after a warm-up. The step is
                timed as a whole: it loads the network, computes each image's features once, trains, and writes the
                artifact. The other is a plain loop with images in memory, which runs the frozen network in every
                epoch."""),
            *timing.table(
                ("training", "seconds (median)", "range", "mean loss of the last epoch"),
                ((entry.name, *timing.seconds(entry), f"{entry.outcome:.4f}") for entry in timed.values()),
            ),
            "",
            "- " + timing.at_least("features in every epoch / satdsl", Ratio.of(every, step), AIM),
            "",
            *timing.machine(options.device, (), load),
        ],
    )


if __name__ == "__main__":
    main()
