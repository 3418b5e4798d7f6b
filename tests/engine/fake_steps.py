"""A plan of made-up steps, a `perform` that writes real artifacts for them, and a program that runs it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from satdsl.artifacts.parquet import to_bytes
from satdsl.artifacts.schemas import ROWS
from satdsl.engine.execute import ExecutionContext, Perform
from satdsl.engine.executors import LocalExecutor
from satdsl.engine.open_store import open_store
from satdsl.engine.run import Outcome
from satdsl.engine.run import run as run_plan
from satdsl.engine.store import Store
from satdsl.ir.plan import Accuracy, Part, Plan, Result
from satdsl.ir.steps import CatalogCall, Data, Evaluate, Key, Step, SubsetTraining, Train
from satdsl.ir.work import Progress, Work

IMAGES = 40


def data_step(name: str = "digits") -> Step:
    return Step(Data(CatalogCall(name)))


def train_step(data: Step, seed: int) -> Step:
    training = Train(
        model=CatalogCall("small_cnn"),
        recipe=CatalogCall("sgd"),
        augment=(),
        holdout=None,
        subsets=(SubsetTraining(None, 1.0),),
        mean=(0.5,),
        std=(0.2,),
        seed=seed,
    )
    return Step(training, (("data", data.key),))


def evaluate_step(weights: Step, data: Step) -> Step:
    settings = Evaluate(attack=None, part="val", holdout=None)
    return Step(settings, (("weights", weights.key), ("data", data.key)))


@dataclass(frozen=True)
class Chain:
    """One network's steps."""

    train: Step
    evaluate: Step


@dataclass(frozen=True)
class Made:
    """A plan with `draws` networks, each trained and evaluated, and its steps by what they are."""

    plan: Plan
    data: Step
    chains: tuple[Chain, ...]


def make(draws: int = 3) -> Made:
    data = data_step()
    trains = [train_step(data, seed) for seed in range(draws)]
    chains = tuple(Chain(train, evaluate_step(train, data)) for train in trains)
    steps = [data, *(step for chain in chains for step in (chain.train, chain.evaluate))]
    labels = {data.key: "digits"}
    for draw, chain in enumerate(chains):
        labels[chain.train.key] = f"train net[draw={draw}]"
        labels[chain.evaluate.key] = f"evaluate net[draw={draw}]"
    part = Part("val", "val", data.key)
    results = tuple(
        Result("net.clean", (("draw", str(draw)),), Accuracy((chain.evaluate.key,)), part)
        for draw, chain in enumerate(chains)
    )
    return Made(Plan("made up", {step.key: step for step in steps}, labels, results), data, chains)


@dataclass
class Performer:
    """Writes artifacts that depend on nothing but the step; remembers what it performed.

    `before` is called first, with the step; `pause` is in seconds.
    """

    pause: float = 0.0
    before: Callable[[Step], None] = lambda step: None
    performed: list[Key] = field(default_factory=list)

    def __call__(self, step: Step, work: Work) -> None:
        self.performed.append(step.key)
        self.before(step)
        assert not list(work.out.iterdir())
        time.sleep(self.pause)
        work.report(Progress(1, 2, "half"))
        write_artifact(step, work.out)


def write_artifact(step: Step, out: Path) -> None:
    generator = np.random.default_rng(int(step.key[:8], 16))
    index = np.arange(IMAGES)
    if step.kind == "data":
        np.savez(out / "labels.npz", train=index % 10, train_index=index, val=index % 10, val_index=index)
        (out / "facts.json").write_text(json.dumps({"classes": [str(i) for i in range(10)]}))
    elif step.kind == "train":
        (out / "weights.safetensors").write_bytes(generator.bytes(5000))
        (out / "curves").mkdir()
        (out / "curves" / "loss.json").write_text("[1.0, 0.5]")
    else:
        correct = generator.random(IMAGES) < 0.7
        broken_by = np.where(correct, -1, 0).astype(np.int8)
        outcome = np.where(correct, "right", "wrong without attack")
        columns = {"index": index, "label": index % 10, "correct": correct, "broken_by": broken_by, "outcome": outcome}
        (out / "rows.parquet").write_bytes(to_bytes(ROWS, columns))
        (out / "facts.json").write_text(json.dumps({"attacks": [], "n": IMAGES, "warnings": []}))


def run(plan: Plan, store: Store, perform: Perform, **options: Any) -> Outcome:
    """Run a plan here, one step after the other."""
    return run_plan(plan, store, LocalExecutor(store, ExecutionContext(perform)), **options)


def same_artifacts(first: Store, second: Store, keys: Iterable[Key]) -> bool:
    """Whether both stores hold the same files for these steps."""
    return all(first.manifest(key).files == second.manifest(key).files for key in keys)


def main(root: str, log: str, draws: str, pause: str) -> int:
    """Run the plan; write one line to `log` for each step that begins: its key and who runs it."""

    def note(step: Step) -> None:
        with open(log, "a") as file:
            file.write(f"{step.key} {os.getpid()}\n")

    performer = Performer(pause=float(pause), before=note)
    outcome = run(make(int(draws)).plan, open_store(root), performer)
    print(len(outcome.finished), len(outcome.reused), len(outcome.left))
    return 130 if outcome.interrupted else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
