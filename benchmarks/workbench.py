"""Settings to finished steps in a temporary folder; and the images, CIFAR-10 where it is there."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from timing import CLOCKS, RESULTS, Stopwatch

from satdsl.backend import datasets, perform
from satdsl.backend.device import choose_device
from satdsl.backend.images import DataSet
from satdsl.ir.steps import CatalogCall, Data, Settings, Step
from satdsl.ir.work import Progress, Work

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""CIFAR-10's, used for synthetic images as well."""


Report = Callable[[Progress], None]


def call(name: str, /, **args: Any) -> CatalogCall:
    """A catalog entry with its arguments."""
    return CatalogCall(name, tuple(args.items()))


def stepped_sgd(epochs: int, reduction: str = "weighted_mean") -> CatalogCall:
    """The recipe by which benchmarks train a small network: one drop of the learning rate, after two thirds."""
    return call(
        "sgd",
        epochs=epochs,
        batch=64,
        lr=0.05,
        momentum=0.9,
        weight_decay=5e-4,
        schedule=call("step", at=(epochs * 2 // 3,), factor=0.1),
        reduction=reduction,
    )


class Workbench:
    """Does steps, each in a folder of its own below `root`."""

    def __init__(self, root: Path, data_root: Path, device: str) -> None:
        self.root, self.data_root, self.device = root, data_root, device
        self.count = 0

    def do(
        self, settings: Settings, report: Callable[[Progress], None] = lambda progress: None, **inputs: Path
    ) -> Path:
        """The finished artifact's folder."""
        self.count += 1
        work = self.work(self.root / str(self.count), report, **inputs)
        perform(Step(settings, tuple((role, role) for role in inputs)), work)
        return work.out

    def work(self, folder: Path, report: Report, **inputs: Path) -> Work:
        for name in ("out", "scratch"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        return Work(
            inputs=inputs,
            out=folder / "out",
            scratch=folder / "scratch",
            data_root=self.data_root,
            device=self.device,
            report=report,
        )

    def pictures(self, train: int, val: int) -> tuple[Path, str]:
        """The data artifact of 32x32 colour images in ten classes, and which images they are."""
        cifar = call("CIFAR10", limit=train, limit_val=val)
        if datasets.locate(cifar, self.data_root)[0]:
            return self.do(Data(cifar)), "CIFAR-10"
        synthetic = call("synthetic", classes=10, shape=(3, 32, 32), train=train, val=val)
        return self.do(Data(synthetic)), "synthetic 3x32x32 patterns of ten classes (CIFAR-10 was not there)"

    def loaded(self, data: Path) -> DataSet:
        """The images of a data artifact."""
        return datasets.input_dataset(self.work(self.root / "loaded", lambda progress: None, data=data))


@contextmanager
def workbench(options: argparse.Namespace) -> Iterator[Workbench]:
    """A workbench in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Workbench(Path(folder), options.data_root, options.device)


def arguments(name: str, does: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=does)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0")
    parser.add_argument("--rounds", type=int, help="rounds that count")
    parser.add_argument("--batch", type=int, nargs="+", help="images in a batch")
    parser.add_argument("--images", type=int, help="images in all")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="the folder that CIFAR-10 lies in")
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: for one thread on a machine that others use as well"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / f"{name}.md", help="where the result page goes")
    return parser


def parsed(parser: argparse.ArgumentParser, cpu: dict[str, Any], gpu: dict[str, Any]) -> argparse.Namespace:
    """The options, with the device's own defaults for what was not given, and the `stopwatch`."""
    options = parser.parse_args()
    options.device = choose_device(options.device)
    for option, value in (gpu if options.device.startswith("cuda") else cpu).items():
        if getattr(options, option) is None:
            setattr(options, option, value)
    options.stopwatch = Stopwatch(options.device, options.clock)
    return options
