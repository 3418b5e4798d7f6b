"""Measure what a plan's passes take here, where that is not known yet, and keep it: `explain --measure`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from satdsl.catalog import catalog
from satdsl.engine.execute import ExecutionContext, Perform
from satdsl.engine.executors import LocalExecutor
from satdsl.engine.open_store import open_store
from satdsl.engine.run import run
from satdsl.ir.plan import Piece, Plan
from satdsl.ir.steps import Data, Evaluate, Key, Step, SubsetTraining, Train
from satdsl.minutes.calibrations import START, STEP, Calibrations
from satdsl.minutes.estimate import piece_key

Measure = Callable[[Piece, Train | None, str], Sequence[float]]
"""Gives what a pass of a piece takes, on a device: `backend.calibration.seconds_per_pass`."""


def missing(plan: Plan, to_run: Iterable[Key], calibrations: Calibrations) -> dict[str, tuple[Piece, Train | None]]:
    """Return the pieces of steps that were not measured on this device, each kind once."""
    found: dict[str, tuple[Piece, Train | None]] = {}
    for key in to_run:
        settings = plan.steps[key].settings
        for piece in plan.pieces.get(key, ()):
            text = piece_key(plan, key, piece, calibrations)
            if not calibrations.get(text):
                found.setdefault(text, (piece, settings if isinstance(settings, Train) else None))
    return found


def measure(
    wanted: dict[str, tuple[Piece, Train | None]],
    calibrations: Calibrations,
    seconds_per_pass: Measure,
    perform: Perform,
    device: str,
    say: Callable[[str], None],
) -> None:
    """Measure pieces, and what is around them where that is not known; the calibrations are saved as it goes on."""
    if not calibrations.get(START):
        say("measuring how long a process takes to start")
        calibrations.add({START: [start_seconds()]})
    if not calibrations.get(STEP):
        say("measuring what a step takes around its passes")
        calibrations.add({STEP: step_seconds(perform, device)})
    for number, (text, (piece, training)) in enumerate(wanted.items(), 1):
        say(f"measuring {number} of {len(wanted)}: {words(piece)}")
        calibrations.add({text: seconds_per_pass(piece, training, device)})
        calibrations.save()
    calibrations.save()


def words(piece: Piece) -> str:
    """Return what is measured, in words."""
    what = {"train": "training", "forward": "predictions", "gradient": "gradients", "attack": ""}[piece.kind]
    attack = (piece.part or piece.attack.name) if piece.attack is not None else ""
    size = "x".join(map(str, piece.shape))
    return f"{attack or what}, {piece.model.name} on {size}, {piece.batch} at once"


def start_seconds() -> float:
    """Return how long a process takes to start that imports what steps need."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import satdsl.backend.train, satdsl.backend.evaluate"], check=True)
    return time.monotonic() - started


def step_seconds(perform: Perform, device: str) -> list[float]:
    """Return how long steps take that have next to no passes: reading, building, writing."""
    entries = catalog()
    data = Step(Data(entries.call("synthetic", ("classes", 2), ("train", 4), ("val", 4), ("shape", (1, 8, 8)))), ())
    recipe = entries.call("sgd", ("epochs", 1), ("batch", 4), ("lr", 0.01))
    model, inputs = entries.call("small_cnn", ("width", 4)), (("data", data.key),)
    plain = (SubsetTraining(None, 1.0),)
    trainings = [
        Step(Train(model, recipe, (), None, plain, mean=(0.5,), std=(0.25,), seed=seed), inputs) for seed in range(2)
    ]
    looks = [Step(Evaluate(None, "val", None), (("data", data.key), ("weights", one.key))) for one in trainings]
    steps = {step.key: step for step in (data, *trainings, *looks)}
    plan = Plan("", steps, dict.fromkeys(steps, "a step"))
    with TemporaryDirectory() as folder:
        store = open_store(folder)
        run(plan, store, LocalExecutor(store, ExecutionContext(perform, Path(folder), device)))
        # The first training and the first look find their code not loaded yet.
        return [store.manifest(step.key).seconds for step in (trainings[-1], looks[-1])]
