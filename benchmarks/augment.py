"""A batch of images to CPU seconds: satdsl's augmentation beside torchvision's transforms, applied image by image.

Everything runs on one thread of this process, in turns, so that what else the machine does hits all alike; the median
counts. Both sides draw their random numbers anew for every batch and give one tensor of bytes.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor
from torchvision import transforms as v1
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from satdsl.backend.augmentations import apply_augmentations, draw_augmentations
from satdsl.ir.steps import CatalogCall

OUTPUT = Path(__file__).resolve().parent / "results" / "augment.md"


@dataclass(frozen=True)
class Case:
    """A recipe of augmentations, in the words of satdsl and of torchvision, for batches of `batch` square images."""

    name: str
    size: int
    batch: int
    ours: tuple[CatalogCall, ...]
    theirs: Callable[[Any], list[Any]]


@dataclass(frozen=True)
class Measured:
    """What did the work of a case, and the CPU seconds of each of its batches."""

    case: Case
    tool: str
    seconds: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Images a second, in the median."""
        return self.case.batch / statistics.median(self.seconds)


def call(name: str, **args: Any) -> CatalogCall:
    return CatalogCall(name, tuple(args.items()))


def jitter(strength: float, hue: float = 0.0) -> CatalogCall:
    return call("color_jitter", brightness=strength, contrast=strength, saturation=strength, hue=hue)


CASES = (
    Case(
        "CIFAR, as in the paper: crop, flip, color_jitter 0.25, rotation 2",
        32,
        128,
        (call("crop", padding=4), call("flip"), jitter(0.25), call("rotation", degrees=2)),
        lambda v: [v.RandomCrop(32, 4), v.RandomHorizontalFlip(), v.ColorJitter(0.25, 0.25, 0.25), v.RandomRotation(2)],
    ),
    Case(
        "the same with hue 0.1",
        32,
        128,
        (call("crop", padding=4), call("flip"), jitter(0.25, 0.1), call("rotation", degrees=2)),
        lambda v: [
            v.RandomCrop(32, 4),
            v.RandomHorizontalFlip(),
            v.ColorJitter(0.25, 0.25, 0.25, 0.1),
            v.RandomRotation(2),
        ],
    ),
    Case(
        "ImageNet, as in the paper: resized_crop, flip, color_jitter 0.1, rotation 2",
        224,
        32,
        (call("resized_crop", size=224), call("flip"), jitter(0.1), call("rotation", degrees=2)),
        lambda v: [
            v.RandomResizedCrop(224, antialias=True),
            v.RandomHorizontalFlip(),
            v.ColorJitter(0.1, 0.1, 0.1),
            v.RandomRotation(2),
        ],
    ),
)


def images(case: Case) -> Tensor:
    """Smooth random images: uint8 [batch, 3, size, size]."""
    coarse = torch.rand((case.batch, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, (case.size, case.size), mode="bicubic")
    return (smooth.clamp(0, 1) * 255).to(torch.uint8)


def tools(case: Case) -> dict[str, Callable[[], Tensor]]:
    """What each tool does to one batch."""
    pixels, random = images(case), torch.Generator().manual_seed(0)
    pictures = [to_pil_image(image) for image in pixels]
    on_pictures = v1.Compose([*case.theirs(v1), v1.PILToTensor()])
    on_tensors = v2.Compose(case.theirs(v2))

    def ours() -> Tensor:
        return apply_augmentations(
            pixels, draw_augmentations(case.ours, case.batch, pixels.shape[1:], random), slice(0, case.batch)
        )

    return {
        "satdsl": ours,
        "torchvision transforms, PIL images": lambda: torch.stack([on_pictures(picture) for picture in pictures]),
        "torchvision transforms.v2, tensors": lambda: torch.stack([on_tensors(image) for image in pixels]),
    }


def measure(case: Case, repeats: int) -> list[Measured]:
    """Every tool in turns: once to warm up, then `repeats` times for the record."""
    work = tools(case)
    seconds: dict[str, list[float]] = {tool: [] for tool in work}
    for _ in range(repeats + 1):
        for tool, once in work.items():
            began = time.process_time()
            changed = once()
            seconds[tool].append(time.process_time() - began)
            assert changed.shape == (case.batch, 3, case.size, case.size)
            assert changed.dtype == torch.uint8
    return [Measured(case, tool, tuple(taken[1:])) for tool, taken in seconds.items()]


# --- the report ----------------------------------------------------------------------------------


def table(measured: Sequence[Measured]) -> list[str]:
    """The measurements of one case as a Markdown table."""
    ours = measured[0].rate
    lines = ["| tool | images a second | ms a batch (median) | range | against satdsl |", "|---|---:|---:|---:|---:|"]
    for m in measured:
        batch = [1000 * taken for taken in m.seconds]
        ratio = "" if m is measured[0] else f"{ours / m.rate:.1f} x the time"
        spread = f"{min(batch):.1f} to {max(batch):.1f}"
        lines.append(f"| {m.tool} | {m.rate:,.0f} | {statistics.median(batch):.1f} | {spread} | {ratio} |")
    return lines


def report(measured: Sequence[Sequence[Measured]], load: float, repeats: int) -> str:
    """The whole result page."""
    sections = [
        [f"## {of_case[0].case.name}", "", f"{of_case[0].case.batch} images a batch.", "", *table(of_case), ""]
        for of_case in measured
    ]
    lines = [
        "# Augmenting a batch",
        "",
        "Written by `benchmarks/augment.py`. CPU time of one thread for one batch of bytes, random numbers included;",
        f"the median of {repeats} batches, the tools taking turns in one process. satdsl changes a batch at once,",
        "torchvision image by image, as in a data loader (given a batch, it would change all its images alike).",
        "",
        *[line for section in sections for line in section],
        f"{os.cpu_count()} cores, one used; Python {platform.python_version()}, torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}.",
        f"Load average when it began: {load:.1f}"
        + (": other programs were running, so take the figures as rough." if load > 0.25 else "."),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write the result page."""
    parser = argparse.ArgumentParser(description="CPU time of augmenting a batch: satdsl, torchvision.")
    parser.add_argument("--repeats", type=int, default=15, help="batches of each tool that count")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the result page goes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    measured = []
    for case in CASES:
        print(case.name, file=sys.stderr)
        measured.append(measure(case, options.repeats))
    page = report(measured, load, options.repeats)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(page, "utf-8")
    print(page)


if __name__ == "__main__":
    main()
