"""An epoch of adversarial training to seconds: of all examples and of a subset, and beside a plain PyTorch script.

The recipe is the paper's: PGD-7 in L2, crop, flip, colour jitter, rotation, SGD with momentum and weight decay. Run it
with an interpreter that has satdsl[bench]:

    python benchmarks/epoch.py
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timing
import torch
import torchattacks
import workbench
from PIL import Image
from timing import Ratio, Run, Stopwatch, Timed
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from workbench import MEAN, STD, Workbench, call

from satdsl.artifacts.tables import read_curves
from satdsl.backend.models import build
from satdsl.ir.steps import CatalogCall, Holdout, Pick, Rest, Split, SubsetTraining, Train
from satdsl.ir.work import Progress, StepError

EPS, STEP_SIZE, STEPS, SHARE = 0.5, 0.1, 7, 0.3
IDEAL = (SHARE * (STEPS + 1) + 1 - SHARE) / (STEPS + 1)
"""The share of full adversarial training's passes that SAT makes, all passes counted alike."""
HOLDOUT = Holdout(0.5, "val")
"""All ten validation images, one a class. satdsl looks after each epoch how robust the network is on some images of the
hold-out; beside the few images of a benchmark's epoch the usual number of them would weigh as it never does."""
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
CHANGES: Mapping[str, tuple[CatalogCall, Any]] = {
    "crop": (call("crop", padding=4), transforms.RandomCrop(32, padding=4)),
    "flip": (call("flip"), transforms.RandomHorizontalFlip()),
    "color_jitter": (
        call("color_jitter", brightness=0.25, contrast=0.25, saturation=0.25, hue=0.0),
        transforms.ColorJitter(0.25, 0.25, 0.25),
    ),
    "rotation": (call("rotation", degrees=2), transforms.RandomRotation(2)),
}
"""Each augmentation, as satdsl and as torchvision have it."""
MODELS = {
    "preact_resnet18-16": call("preact_resnet18", width=16, layout="standard"),
    "preact_resnet18-sat": call("preact_resnet18", width=64, layout="sat"),
    "resnet18": call("resnet18", stem="cifar"),
}
FULL, FULL_BEST, SAT = "satdsl, full AT, keep=last", "satdsl, full AT, keep=best", "satdsl, SAT at 30 %, keep=best"
CLEAN, FULL_BF16 = "satdsl, no attack", "satdsl, full AT, keep=last, bf16"
PLAIN = "plain PyTorch script, full AT"
AIM, AIM_BF16, AIM_SHARE = 1.5, 2.5, 1.08
TOLERANCE = 0.1
"""By how much the mean losses of two second epochs may differ: their random numbers do."""


# --- satdsl --------------------------------------------------------------------------------------


def attack(keep: str) -> CatalogCall:
    settings = {"norm": "L2", "eps": EPS, "steps": STEPS, "step_size": STEP_SIZE, "keep": keep}
    return call("pgd", **settings, random_start="none", restarts=1)


def training(options: argparse.Namespace, subsets: Sequence[CatalogCall | None], precision: str = "fp32") -> Train:
    """Two epochs, with an attack (or none) for each subset."""
    recipe = call("sgd", epochs=2, batch=options.batch[0], **SGD, precision=precision, reduction="weighted_mean")
    return Train(
        model=MODELS[options.model],
        recipe=recipe,
        augment=tuple(CHANGES[name][0] for name in options.augment),
        holdout=HOLDOUT,
        subsets=tuple(SubsetTraining(attack, 1.0) for attack in subsets),
        mean=MEAN,
        std=STD,
    )


def second_epoch(
    bench: Workbench, stopwatch: Stopwatch, settings: Train, inputs: Mapping[str, Path]
) -> tuple[float, float]:
    """The seconds from the end of a new training's first epoch to that of its second, and its mean loss."""
    ends: dict[float, float] = {}

    def report(progress: Progress) -> None:
        if progress.done in (1, 2):
            ends.setdefault(progress.done, stopwatch.now())

    out = bench.do(settings, report, **inputs)
    return ends[2] - ends[1], read_curves(out)[1]["loss"]


def ours(bench: Workbench, data: Path, options: argparse.Namespace) -> dict[str, Run]:
    split = bench.do(Split((Pick("random", SHARE, "examples", seed=0), Rest()), HOLDOUT), data=data)
    last, best = attack("last"), attack("best")
    whole, halves = {"data": data}, {"data": data, "split": split}
    return {
        FULL: partial(second_epoch, bench, options.stopwatch, training(options, [last]), whole),
        FULL_BEST: partial(second_epoch, bench, options.stopwatch, training(options, [best]), whole),
        SAT: partial(second_epoch, bench, options.stopwatch, training(options, [best, None]), halves),
        CLEAN: partial(second_epoch, bench, options.stopwatch, training(options, [None]), whole),
    }


def bf16(bench: Workbench, data: Path, options: argparse.Namespace) -> Run | str:
    """The epoch in bf16, or why there is none."""
    if not timing.has_bf16(options.device):
        return "this processor has no bf16 instructions (avx512_bf16, amx_bf16)"
    settings = training(options, [attack("last")], "bf16")
    try:
        second_epoch(bench, options.stopwatch, settings, {"data": data})
    except StepError as error:
        return error.reason
    return partial(second_epoch, bench, options.stopwatch, settings, {"data": data})


# --- a plain script ------------------------------------------------------------------------------


class Pictures(Dataset):  # type: ignore[type-arg]
    """Images in memory, given as torchvision's CIFAR10 gives them."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, transform: Any) -> None:
        self.pixels, self.labels, self.transform = pixels, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.pixels[i])), int(self.labels[i])


class PlainScript:
    """Full adversarial training with torchvision's transforms, a DataLoader and torchattacks."""

    def __init__(self, bench: Workbench, data: Path, options: argparse.Namespace) -> None:
        images = bench.loaded(data).train
        x, y = next(images.batches(len(images), "cpu"))
        self.options, self.device = options, options.device
        self.pixels, self.labels = (x * 255).round().byte().permute(0, 2, 3, 1).numpy(), y.numpy()
        self.workers = min(8, cores())

    def __call__(self) -> tuple[float, float]:
        """The seconds of a new training's second epoch, and its mean loss."""
        torch.manual_seed(0)
        network = build(MODELS[self.options.model], (3, 32, 32), 10, MEAN, STD).to(self.device)
        pgd = torchattacks.PGDL2(network, eps=EPS, alpha=STEP_SIZE, steps=STEPS, random_start=False)
        optimiser = torch.optim.SGD(network.parameters(), **SGD)
        changes = [CHANGES[name][1] for name in self.options.augment]
        loader = DataLoader(
            Pictures(self.pixels, self.labels, transforms.Compose([*changes, transforms.ToTensor()])),
            batch_size=self.options.batch[0],
            shuffle=True,
            num_workers=self.workers,
            persistent_workers=True,
            pin_memory=self.device.startswith("cuda"),
        )
        for _ in range(2):
            began, total = self.options.stopwatch.now(), torch.zeros((), device=self.device)
            network.train()
            for images, labels in loader:
                images = images.to(self.device, non_blocking=True)
                labels = labels.to(self.device, non_blocking=True)
                adversarial = pgd(images, labels)
                loss = F.cross_entropy(network(adversarial), labels)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total += loss.detach() * len(labels)
            spent = self.options.stopwatch.now() - began
        return spent, float(total) / len(self.labels)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- the comparison ------------------------------------------------------------------------------


def verdicts(timed: Mapping[str, Timed], lacking: str | None) -> list[str]:
    """Measured against aims, a list item each."""
    share = Ratio.of(timed[SAT], timed[FULL_BEST])
    payable = [
        sat / (clean + SHARE * (full - clean))
        for sat, clean, full in zip(*(timed[name].seconds for name in (SAT, CLEAN, FULL_BEST)), strict=True)
    ]
    lines = [
        timing.at_most(f"{SAT} / {FULL_BEST}, over the ideal {IDEAL:.4f}", share.over(IDEAL), AIM_SHARE),
        f"{SAT} / ({CLEAN} + 30 % of what the attack adds): **{Ratio(tuple(payable))}**.",
        timing.at_least(f"{PLAIN} / {FULL}", Ratio.of(timed[PLAIN], timed[FULL]), AIM),
    ]
    if FULL_BF16 in timed:
        lines.append(timing.at_least(f"{PLAIN} / {FULL_BF16}", Ratio.of(timed[PLAIN], timed[FULL_BF16]), AIM_BF16))
    if lacking:
        lines.append(f"bf16 was not measured: {lacking}.")
    return [f"- {line}" for line in lines]


def check(timed: Mapping[str, Timed]) -> None:
    """The script and satdsl must learn alike."""
    theirs, ours = timed[PLAIN].outcome, timed[FULL].outcome
    if abs(theirs - ours) > TOLERANCE * theirs:
        raise SystemExit(f"the mean loss is {theirs:.3f} in the script and {ours:.3f} in satdsl: not the same work")


def main() -> None:
    """Measure, print, and write the result page."""
    parser = workbench.arguments("epoch", "Seconds of an epoch of adversarial training.")
    parser.add_argument("--model", choices=MODELS, help="the network that is trained")
    parser.add_argument("--augment", nargs="*", choices=CHANGES, default=list(CHANGES), help="in this order")
    options = workbench.parsed(
        parser,
        cpu={"rounds": 3, "batch": [128], "images": 384, "model": "preact_resnet18-16"},
        gpu={"rounds": 3, "batch": [128], "images": 12_800, "model": "preact_resnet18-sat"},
    )
    load = timing.load_average()
    with workbench.workbench(options) as bench:
        data, which = bench.pictures(options.images, 10)
        contestants, script = ours(bench, data, options), PlainScript(bench, data, options)
        in_bf16 = bf16(bench, data, options)
        if not isinstance(in_bf16, str):
            contestants[FULL_BF16] = in_bf16
        timed = timing.in_turns({**contestants, PLAIN: script}, options.rounds)
    check(timed)
    timing.publish(
        options.output,
        [
            "# An epoch of adversarial training",
            "",
            *timing.paragraph(f"""
                Written by `benchmarks/epoch.py`. {options.images:,} images of {which}, in batches of
                {options.batch[0]}; the network is {_written(MODELS[options.model])}. PGD of seven steps of 0.1 in the
                L2 ball of radius 0.5; augmentation: {", ".join(options.augment) or "none"}; SGD of momentum 0.9 and
                weight decay 5e-4; fp32 unless it says bf16. Everyone starts anew in each of {options.rounds} rounds,
                takes turns, and trains two epochs, of which the second counts: {options.stopwatch.unit}, all that lies
                between the ends of two epochs included."""),
            *timing.table(
                ("epoch", "seconds (median)", "range", "images/s", "mean training loss"),
                (
                    (
                        name,
                        *timing.seconds(entry),
                        f"{options.images / entry.median:.1f}",
                        f"{entry.outcome:.3f}",
                    )
                    for name, entry in timed.items()
                ),
            ),
            "",
            *verdicts(timed, in_bf16 if isinstance(in_bf16, str) else None),
            "",
            *timing.paragraph(f"""
                The ideal share counts passes: eight for an attacked image, one for a clean one. But they do not cost
                alike: a pass of the attack has no gradient by the weights and no batch statistics, `keep=best` adds a
                forward pass to the seven, and the training pass is paid for every image. The line below it therefore
                compares SAT with what full AT and training without attack, both measured, say it should cost.
                The script is torchvision's transforms on PIL images in a DataLoader of {script.workers} workers that
                stay alive, torchattacks' PGDL2 (which keeps the last iterate, and switches the network to evaluation
                mode and back) and torch's SGD. The losses differ by their random numbers only. What
                satdsl does between epochs is included; it looks at the hold-out, which has ten images here."""),
            *timing.machine(options.device, ("torchvision", "torchattacks"), load),
        ],
    )


def _written(model: CatalogCall) -> str:
    return f"{model.name}({', '.join(f'{name}={value}' for name, value in model.args)})"


if __name__ == "__main__":
    main()
