"""Short ways to write settings, to do a step, and to read what it left."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from satdsl.artifacts.schemas import ROWS, SCORES, SPLIT
from satdsl.artifacts.tables import read_curves
from satdsl.backend import perform, weights
from satdsl.backend.artifact_files import read_table
from satdsl.ir.steps import CatalogCall, Holdout, Settings, Step, SubsetTraining, Train
from satdsl.ir.work import Computation, Progress, Work

MEAN, STD = (0.3055,), (0.3761,)
HOLDOUT = Holdout(0.1, "val")


@contextmanager
def one_process_at_a_time() -> Iterator[None]:
    """Let the processes that run the tests do something in turns."""
    with Path(tempfile.gettempdir(), f"satdsl-tests-of-{os.getuid()}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def call(name: str, /, **args: Any) -> CatalogCall:
    return CatalogCall(name, tuple(args.items()))


def sgd(epochs: int, **changed: Any) -> CatalogCall:
    settings = {"batch": 32, "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "reduction": "weighted_mean"}
    return call("sgd", epochs=epochs, **(settings | changed))


def pgd(**changed: Any) -> CatalogCall:
    settings = {
        "norm": "L2",
        "eps": 0.5,
        "steps": 3,
        "step_size": 0.25,
        "random_start": "none",
        "keep": "best",
    }
    return call("pgd", **(settings | {"restarts": 1} | changed))


def training(epochs: int = 2, **changed: Any) -> Train:
    settings: dict[str, Any] = {
        "model": call("small_cnn", width=4),
        "recipe": sgd(epochs),
        "augment": (call("crop", padding=1),),
        "holdout": HOLDOUT,
        "subsets": (SubsetTraining(None, 1.0),),
        "mean": MEAN,
        "std": STD,
    }
    return Train(**(settings | changed))


class Workshop:
    """Does steps, each in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0

    def do(
        self,
        settings: Settings,
        *,
        scratch: Path | None = None,
        devices: int = 1,
        report: Callable[[Progress], None] = lambda progress: None,
        computed: Callable[[Computation], None] = lambda computation: None,
        **inputs: Path,
    ) -> Path:
        """The finished artifact's folder."""
        self.count += 1
        folder = self.root / str(self.count)
        (folder / "out").mkdir(parents=True)
        (folder / "scratch").mkdir()
        work = Work(
            inputs=inputs,
            out=folder / "out",
            scratch=scratch or folder / "scratch",
            data_root=self.root / "no-data",
            report=report,
            computed=computed,
            devices=devices,
        )
        perform(Step(settings, tuple((role, role) for role in inputs)), work)
        return folder / "out"


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def columns_of(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The table `rows`, `scores` or `split` of an artifact."""
    return read_table(folder, {form.name: form for form in (ROWS, SCORES, SPLIT)}[name])


def curves_of(folder: Path) -> list[dict[str, Any]]:
    """The curves of an artifact."""
    return read_curves(folder)


def document(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def weights_of(folder: Path) -> dict[str, Tensor]:
    return weights.load_weights(folder / "weights.safetensors")
