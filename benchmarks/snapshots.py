"""Snapshot entropy over all epochs: accumulated while the network trains, and from a checkpoint of every epoch.

Both sides train the same network in the same way, so that their weights are the same bits, and score the same images
with them on the same device. The usual way keeps a checkpoint after every epoch and afterwards reads each again and
puts the training images through it, unaugmented, as a torchvision data set with a DataLoader gives them:

    python benchmarks/snapshots.py --width 64 --images 10000
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as transforms

from satdsl.artifacts.schemas import SCORES
from satdsl.backend import datasets, perform, weights
from satdsl.backend.artifact_files import read_table
from satdsl.backend.images import EVALUATION_BATCH, Images, unit_scale
from satdsl.backend.snapshot_scores import SnapshotScores
from satdsl.ir.steps import CatalogCall, Data, Step, SubsetTraining, Train
from satdsl.ir.work import Work

OUTPUT = Path(__file__).resolve().parent / "results" / "snapshots.md"
AIM = 1.5


@dataclass
class Measured:
    """One way in one round: the seconds that scoring took, those of everything, and what came out."""

    scoring: float
    whole: float
    entropies: np.ndarray
    bytes: int = 0


@dataclass
class Clock:
    """Adds up the seconds of what runs inside `running`."""

    device: str
    seconds: float = 0.0
    starts: list[float] = field(default_factory=list)

    def now(self) -> float:
        """CPU seconds of this process on a CPU, where other programs disturb the wall clock; else wall-clock ones."""
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def running(self) -> Iterator[None]:
        began = self.now()
        yield
        self.seconds += self.now() - began

    @contextmanager
    def around(self, owner: Any, name: str) -> Iterator[None]:
        """Inside, every call of `owner.name` counts."""
        original: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any) -> Any:
            with self.running():
                return original(*args)

        setattr(owner, name, timed)
        try:
            yield
        finally:
            setattr(owner, name, original)


class AsFiles(Dataset[tuple[torch.Tensor, int]]):
    """Training images as torchvision's CIFAR10 gives them: an array to a PIL image to a tensor, one by one."""

    def __init__(self, images: Images) -> None:
        self.pixels = images.pixels.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = images.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return transforms.to_tensor(Image.fromarray(self.pixels[i])), self.labels[i]


# --- the two ways --------------------------------------------------------------------------------


def training(options: argparse.Namespace, **kept: tuple[int, ...]) -> Train:
    recipe = {"epochs": options.epochs, "batch": 128, "lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4}
    return Train(
        model=CatalogCall("small_cnn", (("width", options.width),)),
        recipe=CatalogCall("sgd", (*recipe.items(), ("reduction", "weighted_mean"))),
        augment=(CatalogCall("crop", (("padding", 4),)), CatalogCall("flip", ())),
        holdout=None,
        subsets=(SubsetTraining(None, 1.0),),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        **kept,
    )


def accumulated(options: argparse.Namespace, data: Path, folder: Path) -> Measured:
    """satdsl's way: a training that keeps snapshots every epoch."""
    scoring, whole = Clock(options.device), Clock(options.device)
    settings = training(options, snapshots=tuple(range(1, options.epochs + 1)))
    with whole.running(), scoring.around(SnapshotScores, "add"):
        out = do(settings, folder, options.device, data=data)
    scores = read_table(out, SCORES)["snapshot-entropy"]
    return Measured(scoring.seconds, whole.seconds, scores, checkpoints(folder))


def from_checkpoints(
    options: argparse.Namespace, data: Path, folder: Path, batches: Callable[[Images], Any]
) -> Measured:
    """The usual way: a checkpoint an epoch, and then a pass over the training images with each."""
    scoring, whole = Clock(options.device), Clock(options.device)
    settings = training(options, keep_weights=tuple(range(1, options.epochs + 1)))
    with whole.running():
        with scoring.around(weights, "save_weights"):
            out = do(settings, folder, options.device, data=data)
        with scoring.running():
            network = weights.load(out, options.device)
            images = datasets.input_dataset(Work({"data": data}, out, out, out)).train
            total = torch.zeros(len(images), dtype=torch.float64)
            for epoch in range(1, options.epochs + 1):
                network.load_state_dict(weights.load_weights(out / f"weights-epoch-{epoch}.safetensors"))
                total += entropies(network, batches(images), options.device)
    return Measured(scoring.seconds, whole.seconds, (total / options.epochs).numpy(), checkpoints(folder))


@torch.inference_mode()
def entropies(network: nn.Module, batches: Any, device: str) -> torch.Tensor:
    """Of each image's softmax, in nats, float64 [n]."""
    found = []
    for x, _ in batches:
        log_p = F.log_softmax(network(x.to(device)).double(), dim=1)
        found.append(-(log_p.exp() * log_p).sum(1))
    return torch.cat(found).cpu()


def by_loader(options: argparse.Namespace) -> Callable[[Images], Any]:
    return lambda images: DataLoader(AsFiles(images), batch_size=EVALUATION_BATCH, num_workers=options.workers)


def by_slices(images: Images) -> Any:
    """A careful script's batches: all images one tensor in memory, cut into slices."""
    return zip(unit_scale(images.pixels).split(EVALUATION_BATCH), images.labels.split(EVALUATION_BATCH), strict=True)


def do(settings: Data | Train, folder: Path, device: str, **inputs: Path) -> Path:
    """Do a step; its artifact's folder."""
    (folder / "out").mkdir(parents=True)
    work = Work(inputs, folder / "out", folder / "scratch", folder, device)
    perform(Step(settings, tuple((role, role) for role in inputs)), work)
    return folder / "out"


def checkpoints(folder: Path) -> int:
    """Bytes of the weights that were kept beside the finished ones, in the artifact alone."""
    return sum(file.stat().st_size for file in (folder / "out").glob("weights-epoch-*"))


# --- the report ----------------------------------------------------------------------------------

OURS, USUAL, CAREFUL = "satdsl, accumulated", "checkpoints, DataLoader", "checkpoints, one tensor in memory"


def agreement(ours: np.ndarray, usual: np.ndarray) -> str:
    """How much two rankings of the same images agree."""
    n = len(ours)
    ranks = [np.argsort(np.argsort(scores, kind="stable")) for scores in (ours, usual)]
    hardest = [set(np.flatnonzero(rank >= n - int(0.3 * n + 0.5))) for rank in ranks]
    shared = len(hardest[0] & hardest[1]) / len(hardest[0])
    return (
        f"Spearman's correlation {np.corrcoef(*ranks)[0, 1]:.6f}, {shared:.1%} of the hardest 30 % in common, "
        f"entropies at most {np.abs(ours - usual).max():.1e} nats apart"
    )


def report(options: argparse.Namespace, rounds: dict[str, list[Measured]], load: float, parameters: int) -> str:
    """The whole result page."""
    ours = rounds[OURS]
    lines = ["| way | scoring s | range | everything s | checkpoints MB | scoring, against satdsl |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    ratios = {}
    for name, measured in rounds.items():
        scoring = [m.scoring for m in measured]
        ratios[name] = statistics.median([a.scoring / b.scoring for a, b in zip(measured, ours, strict=True)])
        lines.append(
            f"| {name} | {statistics.median(scoring):.2f} | {min(scoring):.2f} to {max(scoring):.2f} "
            f"| {statistics.median([m.whole for m in measured]):.2f} | {measured[0].bytes / 1e6:.1f} "
            f"| {'' if name == OURS else f'{ratios[name]:.2f} x'} |"
        )
    reached = ratios[USUAL] >= AIM and not ours[0].bytes
    verdict = "reached" if reached else f"missed by {AIM - ratios[USUAL]:.2f}"
    place = "CPU seconds of the process, one thread" if options.device == "cpu" else "wall-clock seconds"
    intro = textwrap.fill(
        "Written by `benchmarks/snapshots.py`. Snapshot entropy of "
        f"{options.images:,} synthetic 3x32x32 training images over {options.epochs} epochs of a small_cnn of width "
        f"{options.width} ({parameters:,} parameters) on `{options.device}`; {place}, medians of {options.rounds} "
        f"rounds in turns. Batches of {EVALUATION_BATCH} everywhere; the DataLoader has {options.workers} workers.",
        100,
    )
    notes = textwrap.fill(
        "*Scoring* is what the scores cost beyond training: here the passes while training; there writing the "
        "checkpoints, reading them again and the passes. *Everything* is the training with it. The usual way makes "
        "each image a PIL image and that a tensor, as torchvision's CIFAR10 does; the careful one has all images in "
        "memory as one tensor. The forward passes are the same in all three, so the ratio falls with the size of "
        "the network: what is saved is reading images one by one, and the disk. satdsl's passes give all its "
        "forward scores (entropy, loss, margin, confidence, EL2N, AUM, forgetting), the other two the entropy.",
        100,
    )
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    busy = ": other programs were running, so take the figures as rough" if load > 0.25 else ""
    return "\n".join(
        [
            "# Snapshot entropy",
            "",
            intro,
            "",
            *lines,
            "",
            f"Scoring, checkpoints with a DataLoader over satdsl: **{ratios[USUAL]:.2f}**; aim at least {AIM} and no "
            f"checkpoint on disk: {verdict}.",
            f"The rankings: {agreement(ours[-1].entropies, rounds[USUAL][-1].entropies)}.",
            "",
            notes,
            "",
            f"{os.cpu_count()} cores; {versions}. Load average when it began: {load:.1f}{busy}.",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write the result page."""
    parser = argparse.ArgumentParser(description="Snapshot entropy: accumulated, and from a checkpoint an epoch.")
    parser.add_argument("--images", type=int, default=2_500)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--width", type=int, default=16, help="of the small_cnn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="of the DataLoader")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the result page goes")
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    load = os.getloadavg()[0]
    source = {"classes": 10, "shape": (3, 32, 32), "train": options.images, "val": 100}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = do(Data(CatalogCall("synthetic", tuple(source.items()))), folder / "data", "cpu")
        rounds: dict[str, list[Measured]] = {OURS: [], USUAL: [], CAREFUL: []}
        for i in range(options.rounds + 1):
            found = {
                OURS: accumulated(options, data, folder / f"{i}-ours"),
                USUAL: from_checkpoints(options, data, folder / f"{i}-usual", by_loader(options)),
                CAREFUL: from_checkpoints(options, data, folder / f"{i}-careful", by_slices),
            }
            for name, measured in found.items():
                print(f"round {i}: {name} {measured.scoring:.2f} of {measured.whole:.2f} s", file=sys.stderr)
                if i:  # the first warms caches
                    rounds[name].append(measured)
        network = weights.load(folder / "1-ours" / "out")
    page = report(options, rounds, load, sum(p.numel() for p in network.parameters()))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(page, "utf-8")
    print(page)


if __name__ == "__main__":
    main()
