"""One evaluation under AutoAttack on one worker and on two; and what dividing it costs, of which networks.

    python benchmarks/blocks.py

Workers: `satdsl run` on a store in which all but the evaluation is there, timed from the start of its first block to
the end of the step that puts them together. Sizes: the same evaluation of a small network in one piece and in blocks.
Passes: what each of AutoAttack's attacks costs on batches of three sizes that withstand it, as a fixed part and a part
for each image; the rule of `satdsl/ir/blocks.py` rests on these. The last two are in CPU time of this process (on a GPU
in wall-clock time), and can be had on a machine that others use; `--no-workers` leaves the first out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timing
import torch
import workbench
from timing import Ratio, Run, Stopwatch, Timed
from workbench import Workbench, call, stepped_sgd

from satdsl.artifacts.schemas import ROWS
from satdsl.backend.artifact_files import read_table
from satdsl.backend.attacks.autoattack import autoattack
from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.models import Network, build
from satdsl.compile import compile_file
from satdsl.engine.local_store import LocalStore
from satdsl.ir import blocks
from satdsl.ir.steps import Block, CatalogCall, Data, Evaluate, SubsetTraining, Train
from satdsl.plan import cost

AIM = 1.8
EPS = 0.75
COUNTS = (1, 3, 6)
"""Into how many blocks the same evaluation is divided: of digits 360, 120 and 60 images."""

NETWORKS = (
    (call("small_cnn", width=16), (1, 8, 8), (25, 100, 300)),
    (call("small_cnn", width=16), (3, 32, 32), (10, 50, 100)),
    (call("small_cnn", width=32), (1, 28, 28), (10, 50, 100)),
    (call("preact_resnet18", width=16, layout="standard"), (3, 32, 32), (5, 10, 20)),
)
"""Networks with their images, and the sizes of batches that each attack is timed on."""

EFFORT = {"iterations": 10, "queries": 100, "targets": 2, "restarts": 1, "samples": 1, "starts": 1}
"""How hard attacks try that are timed: the published ones try 10, 50 or 4.5 times as long."""

SPEC = """sat 1
title "One evaluation"
dataset d = {dataset}
model   m = small_cnn(width=128)
attack  pgd7 = pgd(norm=L2, eps={eps}, step_size={eps}/5, steps=7)
attack  aa = autoattack(norm=L2, eps={eps})
recipe  r = sgd(epochs={epochs}, batch=64, lr=0.05, schedule=step(at=[{drop}]))
train   t = m on d using r {{ attack all with pgd7 }}
evaluate t {{ robust = robust accuracy under aa on val }}
table "All" = rows(t.robust)
"""


# --- workers -------------------------------------------------------------------------------------


class Evaluation:
    """A specification with one evaluation, and a store that has all that it needs."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.device, self.count = folder, options.device, 0
        self.file, self.ready = folder / "one.sat", folder / "ready"
        limit = "" if options.images is None else f"limit_val={options.images}"
        settings = {"dataset": f"digits({limit})", "eps": EPS, "epochs": options.epochs}
        self.file.write_text(SPEC.format(**settings, drop=options.epochs * 2 // 3), "utf-8")
        self.plan = compile_file(self.file).plan
        self._satdsl("run", str(self.file), "--only", "t", "--store", str(self.ready), "--device", self.device)
        store = LocalStore(self.ready)
        for key, step in self.plan.steps.items():
            if step.kind == "evaluate" and store.has(key):
                store.remove(key)

    def on(self, workers: int) -> tuple[float, tuple[bytes, float]]:
        """Seconds on so many workers; the rows, and the seconds before the first block began."""
        self.count += 1
        place = self.folder / str(self.count)
        shutil.copytree(self.ready, place)
        began = time.time()
        options = ["--store", str(place), "--device", self.device, "--jobs", str(workers), "--log-format", "json"]
        lines = self._satdsl("run", str(self.file), *options).splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        at = {name: [_seconds(one) for one in events if one["event"] == name] for name in ("step-started", "run-ended")}
        key = next(key for key, step in self.plan.shown.items() if step.kind == "evaluate")
        rows = (LocalStore(place).fetch(key) / ROWS.file).read_bytes()
        first = min(at["step-started"])
        return max(at["run-ended"]) - first, (rows, first - began)

    def _satdsl(self, *arguments: str) -> str:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "satdsl", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stderr


def _seconds(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


# --- sizes ---------------------------------------------------------------------------------------


class Sizes:
    """The same evaluation in this process, in one piece and in blocks."""

    def __init__(self, bench: Workbench, options: argparse.Namespace) -> None:
        self.bench = bench
        limit = {} if options.images is None else {"limit_val": options.images}
        self.data = bench.do(Data(call("digits", **limit)))
        pgd = call(
            "pgd",
            norm="L2",
            eps=EPS,
            steps=7,
            step_size=EPS / 5,
            random_start="none",
            keep="best",
            restarts=1,
        )
        recipe = stepped_sgd(options.epochs, "mean")
        settings = Train(
            call("small_cnn", width=16), recipe, (), None, (SubsetTraining(pgd, 1.0),), (0.3055,), (0.3761,)
        )
        self.weights = bench.do(settings, data=self.data)
        self.images = len(bench.loaded(self.data).val)

    @property
    def autoattack(self) -> CatalogCall:
        return call("autoattack", norm="L2", eps=EPS, version="standard", attacks=(), batch=500)

    def measured(self, count: int) -> np.ndarray:
        """Which images withstand everything, bool [n] by index: in one piece, or block by block and put together."""
        inputs = {"data": self.data, "weights": self.weights}
        whole = Evaluate(self.autoattack, "val", None)
        if count == 1:
            return read_table(self.bench.do(whole, **inputs), ROWS)["correct"]
        made = {
            f"block{index}": self.bench.do(Evaluate(self.autoattack, "val", None, block=Block(index, count)), **inputs)
            for index in range(count)
        }
        return read_table(self.bench.do(whole, **inputs, **made), ROWS)["correct"]

    def runs(self, options: argparse.Namespace) -> dict[str, Run]:
        return {str(count): options.stopwatch.run(partial(self.measured, count)) for count in COUNTS}


# --- passes --------------------------------------------------------------------------------------


def pass_costs(options: argparse.Namespace, folder: Path) -> Iterator[tuple[object, ...]]:
    """Rows: network, images, attack, milliseconds of a pass for all images together and for each, and their ratio."""
    for model, shape, sizes in NETWORKS:
        torch.manual_seed(0)
        network = build(model, shape, 10, (0.5,) * shape[0], (0.25,) * shape[0]).to(options.device).eval()
        for part, passes in (("apgd-t", 20), ("fab-t", 20), ("square", 100)):
            seconds = [_least(network, part, n, shape, options, folder) for n in sizes]
            each, fixed = np.polyfit(sizes, seconds, 1) * 1000 / passes
            work = cost.work(model, shape, 10)
            name = f"{model.name}({model.get('width')}), {'x'.join(map(str, shape))}"
            yield name, f"{work / 1e6:.3g} M", part, f"{fixed:.2f}", f"{each:.3f}", f"{max(fixed, 0) / each:.0f}"


def _least(
    network: Network, part: str, n: int, shape: tuple[int, ...], options: argparse.Namespace, folder: Path
) -> float:
    """The least seconds of three on n images that all withstand."""
    pixels = torch.randint(0, 256, (n, *shape), dtype=torch.uint8)
    images = Images(pixels, torch.zeros(n, dtype=torch.int64), torch.arange(n))
    images = Images(pixels, logits(network, images, options.device).argmax(1).cpu(), images.index)
    tried = CatalogCall("effort", tuple(EFFORT.items()))
    attack = call("autoattack", norm="L2", eps=1e-3, version="custom", attacks=(part,), batch=500, at_most=tried)
    found = []
    for again in range(3):
        scratch = folder / f"{part}-{n}-{again}-{len(shape)}-{time.monotonic_ns()}"
        work = partial(
            autoattack,
            network,
            images,
            attack,
            classes=10,
            standing=np.ones(n, bool),
            device=options.device,
            scratch=scratch,
        )
        found.append(options.stopwatch.run(work)()[0])
    return min(found)


def of_passes(options: argparse.Namespace, folder: Path) -> list[str]:
    return [
        *timing.paragraph(f"""
            What a pass of a batch costs that withstands the attack, with the work around it: a part for all images
            together and a part for each, fitted to batches of three sizes, in milliseconds
            ({options.stopwatch.unit}). The last column is how many images the first part is worth. `weights x pixels`
            is what `satdsl/ir/blocks.py` goes by: a block has at least 50 images, and at least
            {blocks.ENOUGH / 1e9:g} G divided by that."""),
        *timing.table(
            ("network, images", "weights x pixels", "attack", "for all", "for each", "worth images"),
            pass_costs(options, folder),
        ),
        "",
    ]


# --- the page ------------------------------------------------------------------------------------


def of_workers(options: argparse.Namespace, folder: Path) -> list[str]:
    evaluation = Evaluation(folder, options)
    timed = timing.in_turns({"1": partial(evaluation.on, 1), "2": partial(evaluation.on, 2)}, options.rounds)
    one, two = timed["1"], timed["2"]
    if one.outcome[0] != two.outcome[0]:
        raise SystemExit("two workers did not find the same rows as one")
    count = len(evaluation.plan.evaluation_of)
    return [
        *timing.paragraph(f"""
            `small_cnn(width=128)` on one worker and on two, in wall-clock seconds, one thread for each worker,
            {options.rounds} rounds in turns: `satdsl run` on a store that has everything but the evaluation, which is
            planned in {count} blocks. From the start of the first block until all is stored. The rows are the same,
            byte for byte."""),
        *timing.table(
            ("workers", "seconds (median)", "range", "before the first block began"),
            [(name, *timing.seconds(found), f"{found.outcome[1]:.1f}") for name, found in timed.items()],
        ),
        "",
        "- " + timing.at_least("one worker / two workers", Ratio.of(one, two), AIM),
        "",
    ]


def of_sizes(options: argparse.Namespace, sizes: Sizes, timed: Mapping[str, Timed]) -> list[str]:
    whole = timed["1"]
    rows: list[Sequence[object]] = []
    for name, found in timed.items():
        same = int((found.outcome == whole.outcome).sum())
        robust = f"{found.outcome.mean():.2%}"
        cells = f"{sizes.images / int(name):.0f}", *timing.seconds(found), Ratio.of(found, whole), robust, same
        rows.append((name, *cells))
    return [
        *timing.paragraph(f"""
            `small_cnn(width=16)` in one process, in {options.stopwatch.unit}, loading and storing included: of all
            there is to attack, what has the shortest passes, so that whatever a block costs besides shows most. Its
            evaluation is planned in one piece. Blocks draw other random numbers than one piece, so single images may
            fare differently."""),
        *timing.table(
            ("blocks", "images each", "seconds (median)", "range", "over one piece", "robust", "the same images"), rows
        ),
        "",
    ]


def main() -> None:
    """Measure, print, and write the result page."""
    parser = workbench.arguments("blocks", "Seconds of one evaluation: on 1 and 2 workers, in blocks of other sizes.")
    parser.add_argument("--epochs", type=int, help="epochs of the training before it")
    parser.add_argument("--no-workers", action="store_true", help="leave the workers out, where others use the machine")
    usual = {"rounds": 2, "images": None, "epochs": 15}
    options = workbench.parsed(parser, cpu=usual, gpu=usual)
    options.stopwatch = Stopwatch(options.device, "wall" if options.device.startswith("cuda") else "cpu")
    load, lines = timing.load_average(), []
    with tempfile.TemporaryDirectory() as folder:
        if not options.no_workers:
            lines = of_workers(options, Path(folder))
        passes = of_passes(options, Path(folder))
        with workbench.workbench(options) as bench:
            sizes = Sizes(bench, options)
            timed = timing.in_turns(sizes.runs(options), options.rounds)
    timing.publish(
        options.output,
        [
            "# An evaluation in blocks",
            "",
            *timing.paragraph(f"""
                Written by `benchmarks/blocks.py`. AutoAttack (standard, L2, eps {EPS}) on {sizes.images} of
                scikit-learn's handwritten digits and networks trained here by PGD-7."""),
            *lines,
            *of_sizes(options, sizes, timed),
            *passes,
            *timing.machine(options.device, ("pyautoattack",), load),
        ],
    )


if __name__ == "__main__":
    main()
