"""A network and images to robust accuracies under AutoAttack (standard): satdsl beside `pyautoattack` called directly.

What is reported is robust accuracy on `val`, on the classes that were attacked in training and on the others, and by
class. One pass of satdsl serves all of it. Run it with an interpreter that has satdsl:

    python benchmarks/evaluation.py
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from functools import partial

import numpy as np
import timing
import torch
import workbench
from pyautoattack import AutoAttack
from timing import Ratio, Run, Timed
from torch import Tensor, nn
from workbench import MEAN, STD, Workbench, call, stepped_sgd

from satdsl.artifacts.schemas import ROWS
from satdsl.backend import weights
from satdsl.backend.artifact_files import read_table
from satdsl.ir.steps import CatalogCall, Data, Evaluate, OfClasses, Rest, Split, SubsetTraining, Train

ATTACKED = (3, 5, 2, 4, 0)
"""The classes of A: CIFAR-10's five hardest ones (for digits, any five)."""
BATCH = 500
AIM, AIM_ONE = 2.5, 1.2
IN_500 = 1
"""By how many of 500 images the robust accuracies may differ."""


class Setting:
    """What is attacked: images, a network trained on A and B, and the ball."""

    def __init__(self, bench: Workbench, options: argparse.Namespace) -> None:
        self.bench, self.options = bench, options
        if options.device.startswith("cuda"):
            self.data, self.which = bench.pictures(10_000, options.images)
            self.eps, model, mean, std = 0.5, call("preact_resnet18", width=64, layout="standard"), MEAN, STD
        else:
            self.data = bench.do(Data(call("digits", limit_val=options.images)))
            self.which, self.eps = "scikit-learn's handwritten digits", 0.75
            model, mean, std = call("small_cnn", width=16), (0.3055,), (0.3761,)
        split = bench.do(Split((OfClasses(tuple(sorted(ATTACKED))), Rest()), None), data=self.data)
        pgd = call(
            "pgd",
            norm="L2",
            eps=self.eps,
            steps=7,
            step_size=self.eps / 5,
            random_start="none",
            keep="best",
            restarts=1,
        )
        recipe = stepped_sgd(options.epochs)
        subsets = (SubsetTraining(pgd, 1.0), SubsetTraining(None, 1.0))
        self.weights = bench.do(Train(model, recipe, (), None, subsets, mean, std), data=self.data, split=split)

    @property
    def autoattack(self) -> CatalogCall:
        return call("autoattack", norm="L2", eps=self.eps, version="standard", attacks=(), batch=BATCH)

    def val(self) -> tuple[Tensor, Tensor]:
        """All validation images and their labels."""
        images = self.bench.loaded(self.data).val
        return next(images.batches(len(images), self.bench.device))


# --- who evaluates -------------------------------------------------------------------------------


def one_pass(setting: Setting) -> np.ndarray:
    """satdsl's `evaluate` step: which image withstands everything, bool [n]."""
    step = Evaluate(setting.autoattack, "val", None)
    out = setting.bench.do(step, data=setting.data, weights=setting.weights)
    return read_table(out, ROWS)["correct"]


def published(network: nn.Module, images: Tensor, labels: Tensor, eps: float, device: str) -> np.ndarray:
    """`pyautoattack` on these images: which withstand everything, bool [n]."""
    driver = AutoAttack(network, norm="L2", eps=eps, version="standard", seed=0, device=device)
    _, predicted = driver.run_standard_evaluation(images, labels, batch_size=BATCH)
    return (predicted == labels).cpu().numpy()


def by_part(setting: Setting) -> dict[str, Run]:
    """`pyautoattack` on each part, one call a part: all images, A's, B's, and each class's."""
    network = weights.load(setting.weights, setting.bench.device).to(memory_format=torch.contiguous_format)
    images, labels = setting.val()
    parts = {"val": torch.ones_like(labels, dtype=torch.bool)}
    parts["A_val"] = torch.isin(labels, torch.tensor(ATTACKED, device=labels.device))
    parts["B_val"] = ~parts["A_val"]
    parts |= {f"class {k}": labels == k for k in range(10)}
    run = setting.options.stopwatch.run
    return {
        name: run(partial(published, network, images[rows], labels[rows], setting.eps, setting.bench.device))
        for name, rows in parts.items()
    }


# --- the comparison ------------------------------------------------------------------------------


def summed(timed: Mapping[str, Timed], names: list[str]) -> Timed:
    """The seconds of several parts together, round by round."""
    rounds = zip(*(timed[name].seconds for name in names), strict=True)
    return Timed(f"pyautoattack on {_listed(names)}", tuple(sum(seconds) for seconds in rounds))


def _listed(names: list[str]) -> str:
    classes = sum(name.startswith("class ") for name in names)
    plain = [name for name in names if not name.startswith("class ")]
    return ", ".join(plain + ([f"{classes} classes"] if classes else []))


def check(standing: np.ndarray, theirs: np.ndarray) -> None:
    """The same robust accuracy, within one image in 500."""
    off = abs(int(standing.sum()) - int(theirs.sum()))
    if off > max(1, IN_500 * len(standing) // 500):
        raise SystemExit(f"{standing.sum()} images withstand satdsl's AutoAttack, {theirs.sum()} the published one")


def main() -> None:
    """Measure, print, and write the result page."""
    parser = workbench.arguments("evaluation", "Seconds of AutoAttack on every reported part: satdsl, pyautoattack.")
    parser.add_argument("--epochs", type=int, help="epochs of the training before it")
    options = workbench.parsed(
        parser,
        cpu={"rounds": 1, "images": None, "epochs": 15},
        gpu={"rounds": 2, "images": 1000, "epochs": 10},
    )
    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    load = timing.load_average()
    with workbench.workbench(options) as bench:
        setting = Setting(bench, options)
        parts = by_part(setting)
        timed = timing.in_turns({"satdsl": options.stopwatch.run(partial(one_pass, setting)), **parts}, options.rounds)
        eps, which = setting.eps, setting.which
    ours, one = timed["satdsl"], summed(timed, ["val"])
    three, all_parts = summed(timed, ["val", "A_val", "B_val"]), summed(timed, list(parts))
    check(ours.outcome, one_outcome := timed["val"].outcome)
    n = len(ours.outcome)
    same = int((ours.outcome == one_outcome).sum())
    timing.publish(
        options.output,
        [
            "# AutoAttack on every reported part",
            "",
            *timing.paragraph(f"""
                Written by `benchmarks/evaluation.py`. AutoAttack (standard, L2, eps {eps}) on {n} validation images of
                {which} and a network trained here on both subsets, five classes attacked and five not. In
                {options.stopwatch.unit}; {options.rounds} round{"s" if options.rounds > 1 else ""} in which everyone
                takes a turn. satdsl evaluates all images once, loading and storing included; parts and classes are
                looked up in its rows. `pyautoattack` is called once for each part, with the same batch size
                ({BATCH})."""),
            *timing.table(
                ("evaluation", "calls", "images", "seconds (median)", "range"),
                [
                    ("satdsl: val, A_val, B_val, 10 classes", 1, n, *timing.seconds(ours)),
                    ("pyautoattack: val", 1, n, *timing.seconds(one)),
                    ("pyautoattack: val, A_val, B_val", 3, 2 * n, *timing.seconds(three)),
                    ("pyautoattack: val, A_val, B_val, 10 classes", 13, 3 * n, *timing.seconds(all_parts)),
                ],
            ),
            "",
            "- " + timing.at_least("val, A_val, B_val: pyautoattack / satdsl", Ratio.of(three, ours), AIM),
            f"- by class as well: pyautoattack / satdsl: **{Ratio.of(all_parts, ours)}**.",
            "- " + timing.at_least("val alone: pyautoattack / satdsl", Ratio.of(one, ours), AIM_ONE),
            "",
            *timing.paragraph(f"""
                Robust accuracy on `val`: {ours.outcome.mean():.2%} by satdsl, {one_outcome.mean():.2%} by
                `pyautoattack`; the two agree on {same} of {n} images. The attacks draw random numbers for a batch as a
                whole, so an image may fare differently beside other images. Small parts cost more for each image,
                since much of the work around the network does not depend on how many there are."""),
            *timing.paragraph("""
                The paper's released evaluation attacks every image once and looks A and B up in the result, as satdsl
                does; it has no accuracy by class. Beside that code, the gain is that of `val` alone. Calling the
                published code once for each part is what its interface, which takes images and gives adversarial
                images, leads to."""),
            *timing.machine(options.device, ("pyautoattack",), load),
        ],
    )


if __name__ == "__main__":
    main()
