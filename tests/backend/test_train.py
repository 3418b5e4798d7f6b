"""Subset adversarial training: who is attacked, who weighs what, what is scored, kept and continued."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend import epoch as epochs
from satdsl.backend import inference, losses, optimisation, train, weights
from satdsl.backend.datasets import load
from satdsl.backend.epoch import cut
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import unit_scale
from satdsl.backend.models import Network, build
from satdsl.backend.recipes import Recipe, reduced
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.ir.steps import (
    Everything,
    Holdout,
    OfClasses,
    Rest,
    Selection,
    Split,
    SubsetTraining,
    WeightFormula,
)
from satdsl.ir.work import Progress, StepError

from .workshop import HOLDOUT, Workshop, call, columns_of, curves_of, document, pgd, sgd, training, weights_of


def digit_split(workshop: Workshop, data: Path) -> Path:
    return workshop.do(Split((OfClasses((0, 1, 2)), Rest()), HOLDOUT), data=data)


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


class Witness:
    """Stands in for an attack: adds a quarter to every image, and remembers whom."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []
        self.labels: list[Tensor] = []

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
        self.images.append(images.clone())
        self.labels.append(labels.clone())
        return images + 0.25


def test_only_the_attacked_subset_changes_in_a_batch(
    workshop: Workshop, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness, inputs, passed = Witness(), [], []
    monkeypatch.setattr(losses, "attack_of", lambda choice: witness)
    original = epochs.Epoch.inputs

    def remembered(self: epochs.Epoch) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in original(self):
            inputs.append((x.clone(), y.clone()))
            yield x, y

    monkeypatch.setattr(epochs.Epoch, "inputs", remembered)
    forward = Network.forward

    def seen(self: Network, x: Tensor) -> Tensor:
        if self.training and isinstance(x, Tensor):
            passed.append(x.detach().clone())
        return forward(self, x)

    monkeypatch.setattr(Network, "forward", seen)
    split = digit_split(workshop, few_digits)
    subsets = (SubsetTraining(pgd(), 1.0), SubsetTraining(None, 1.0))
    out = workshop.do(training(2, subsets=subsets), data=few_digits, split=split)

    attacked = document(split / "facts.json")["sizes"][0]
    assert 0 < attacked < 200
    assert sum(len(labels) for labels in witness.labels) == 2 * attacked
    assert all((labels < 3).all() for labels in witness.labels)
    assert [row["attacked"] for row in curves_of(out)] == [attacked, attacked]
    assert len(passed) == len(inputs) == 2 * math.ceil(200 / 32)
    for (x, y), mixed in zip(inputs, passed, strict=True):
        assert torch.equal(mixed[y >= 3], x[y >= 3])
        assert torch.equal(mixed[y < 3], x[y < 3] + 0.25)


def test_an_image_keeps_its_label_and_its_index_through_shuffling(few_digits: Path) -> None:
    images = load(call("digits", limit=200, limit_val=60), Path("nowhere")).train
    index = images.index.numpy()
    subset_of = np.full(index.max() + 1, -1, dtype=np.int64)
    subset_of[index] = images.labels.numpy() % 2
    members = epochs.SubsetAssignment(
        subset_of,
        np.where(subset_of == 1, 7, 3).astype(np.float32),
        (SubsetTraining(None, 3.0), SubsetTraining(None, 7.0)),
    )
    now = epochs.epoch(images, index, members, (), 32, seed=5, number=3, classes=10)
    labels = torch.cat([y for _, y in now.inputs()])
    pixels = torch.cat([x for x, _ in now.inputs()])
    assert torch.equal(labels % 2, torch.from_numpy(now.subsets))
    assert torch.equal(now.loss_weights, torch.where(labels % 2 == 1, 7.0, 3.0))
    assert torch.equal(pixels, unit_scale(images.pixels[now.order]))
    assert sorted(now.order.tolist()) == list(range(200))
    assert not torch.equal(now.order, epochs.epoch(images, index, members, (), 32, seed=5, number=4, classes=10).order)


def test_attack_all_attacks_every_image_and_none_attacks_none(workshop: Workshop, few_digits: Path) -> None:
    everything = workshop.do(training(1, subsets=(SubsetTraining(pgd(), 1.0),)), data=few_digits)
    nothing = workshop.do(training(1), data=few_digits)
    assert curves_of(everything)[0]["attacked"] == 200
    assert curves_of(nothing)[0]["attacked"] == 0


def test_both_reductions_agree_with_a_batch_computed_by_hand() -> None:
    losses, weight = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([3.0, 1.0, 0.5])
    assert float(reduced(losses, weight, "weighted_mean")) == pytest.approx((3 + 2 + 2) / 4.5)
    assert float(reduced(losses, weight, "mean")) == pytest.approx((3 + 2 + 2) / 3)
    assert float(reduced(losses, torch.zeros(3), "weighted_mean")) == 0


@pytest.mark.parametrize("reduction", ["weighted_mean", "mean"])
def test_one_epoch_of_one_batch_is_one_hand_written_step(workshop: Workshop, few_digits: Path, reduction: str) -> None:
    split = digit_split(workshop, few_digits)
    sizes = document(split / "facts.json")["sizes"]
    weight = WeightFormula(("*", 2, ("/", ("size", 1), ("size", 0))))
    out = workshop.do(
        training(
            1,
            recipe=sgd(1, batch=200, label_smoothing=0.1, reduction=reduction),
            augment=(),
            subsets=(SubsetTraining(None, weight), SubsetTraining(None, 1.0)),
            seed=9,
        ),
        data=few_digits,
        split=split,
    )
    images = load(call("digits", limit=200, limit_val=60), Path("nowhere")).train
    with weights.initial_weights(9):
        network = build(call("small_cnn", width=4), (1, 8, 8), 10, (0.3055,), (0.3761,))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    w = torch.where(images.labels < 3, 2 * sizes[1] / sizes[0], 1.0)
    losses = F.cross_entropy(network(unit_scale(images.pixels)), images.labels, reduction="none", label_smoothing=0.1)
    ((w * losses).sum() / (w.sum() if reduction == "weighted_mean" else 200)).backward()
    optimiser.step()
    learnt = weights_of(out)
    for name, tensor in network.state_dict().items():
        assert torch.allclose(learnt[name], tensor, atol=1e-5), name


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (WeightFormula(("-", 1, ("size", 0))), "a loss weight is -"),
        (WeightFormula(("/", 1, ("-", ("size", 0), ("size", 0)))), "divides by zero"),
        (-0.5, "a loss weight is -0.5"),
        (WeightFormula(("*", 0, ("classes", 0))), "loss weight 0"),
    ],
)
def test_a_loss_weight_that_is_no_weight_is_refused(
    workshop: Workshop, few_digits: Path, weight: Any, words: str
) -> None:
    with pytest.raises(StepError, match=words):
        workshop.do(training(1, subsets=(SubsetTraining(None, weight),)), data=few_digits)


def test_the_learning_rate_follows_the_schedule() -> None:
    def rates(**changed: Any) -> list[float]:
        recipe = Recipe.of(sgd(6, lr=1.0, **changed))
        return [recipe.learning_rate(epoch) for epoch in range(6)]

    assert rates() == [1] * 6
    assert rates(schedule=call("step", at=(2, 4), factor=0.1)) == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert rates(schedule=call("cosine")) == pytest.approx([(1 + math.cos(math.pi * t / 6)) / 2 for t in range(6)])
    assert rates(warmup=4) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert rates(warmup=2, schedule=call("step", at=(3,), factor=0.1)) == pytest.approx([0.5, 1, 1, 0.1, 0.1, 0.1])
    falling = [(1 + math.cos(math.pi * t / 4)) / 2 for t in range(4)]
    assert rates(warmup=2, schedule=call("cosine")) == pytest.approx([0.5, 1, *falling])


def test_a_cyclic_rate_rises_from_nothing_to_the_peak_and_falls_to_nothing_within_epochs_too() -> None:
    recipe = Recipe.of(sgd(10, lr=0.2, schedule=call("cyclic", peak=4)))
    expected = np.interp([0, 0.5, 1, 3.5, 4, 7, 9.75, 10], [0, 4, 10], [0, 0.2, 0])
    assert [recipe.learning_rate(t) for t in (0, 0.5, 1, 3.5, 4, 7, 9.75, 10)] == pytest.approx(expected)


def test_a_schedule_that_is_not_there_is_named() -> None:
    with pytest.raises(StepError, match="no schedule called triangular"):
        Recipe.of(sgd(1, schedule=call("triangular")))


def test_the_last_batch_is_kept_and_a_single_image_joins_the_one_before() -> None:
    assert [len(range(100)[batch]) for batch in cut(100, 30)] == [30, 30, 30, 10]
    assert [len(range(91)[batch]) for batch in cut(91, 30)] == [30, 30, 31]
    assert [len(range(60)[batch]) for batch in cut(60, 30)] == [30, 30]
    assert [len(range(1)[batch]) for batch in cut(1, 30)] == [1]


# --- snapshots ---------------------------------------------------------------------------------------


def test_snapshots_see_images_without_augmentation_in_evaluation_mode(workshop: Workshop, few_digits: Path) -> None:
    out = workshop.do(training(3, snapshots=(3,), keep_weights=(1, 3)), data=few_digits)
    images = load(call("digits", limit=200, limit_val=60), Path("nowhere")).train
    logits = weights.load(out)(unit_scale(images.pixels)).detach().double()
    found = columns_of(out, "scores")
    assert np.array_equal(found["index"], images.index.numpy())
    assert np.allclose(found["snapshot-entropy"], scipy_entropy(logits.softmax(1).numpy(), axis=1), atol=1e-5)
    assert same(weights.load_weights(out / "weights-epoch-3.safetensors"), weights_of(out))
    assert not same(weights.load_weights(out / "weights-epoch-1.safetensors"), weights_of(out))
    assert set(columns_of(workshop.do(training(1), data=few_digits), "scores")) == {"index"}


def test_attacks_draw_other_random_starts_in_every_epoch(
    workshop: Workshop, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts, original = [], train.train_epoch

    def watched(*arguments: Any) -> dict[str, Any]:
        (noise,) = (argument for argument in arguments if isinstance(argument, torch.Generator))
        starts.append(noise.get_state().numpy().tobytes())
        curves = original(*arguments)
        assert noise.get_state().numpy().tobytes() != starts[-1], "no attack drew from it"
        return curves

    monkeypatch.setattr(train, "train_epoch", watched)
    settings = training(3, subsets=(SubsetTraining(pgd(random_start="ball"), 1.0),))
    workshop.do(settings, data=few_digits)
    assert len(starts) == len(set(starts)) == 3
    first = starts.copy()
    workshop.do(settings, data=few_digits)
    assert starts[3:] == first


# --- the same bits -----------------------------------------------------------------------------------

FULL: dict[str, Any] = {
    "subsets": (SubsetTraining(pgd(random_start="ball"), 2.0), SubsetTraining(None, 1.0)),
    "select": Selection((pgd(),), (2, 4)),
    "snapshots": (1, 2, 3, 4),
    "keep_weights": (1, 4),
}
LATER: dict[str, Any] = {
    "recipe": sgd(4, ema=0.9, clip=1.0, precision="bf16", schedule=call("cyclic", peak=1.5)),
    "subsets": (SubsetTraining(pgd(), 2.0, call("trades", beta=3.0)), SubsetTraining(pgd(random_start="ball"), 1.0)),
    "select": Selection((pgd(),), (2, 4)),
    "snapshots": (2, 4),
    "keep_weights": (3,),
}


def outcome(folder: Path) -> tuple[Any, ...]:
    """Everything a training leaves, save the seconds it took."""
    curves = [{k: v for k, v in row.items() if k != "seconds"} for row in curves_of(folder)]
    scores = {name: values.tobytes() for name, values in columns_of(folder, "scores").items()}
    files = sorted(path.name for path in folder.iterdir())
    blobs = [path.read_bytes() for path in sorted(folder.glob("*.safetensors"))]
    return curves, scores, files, blobs, document(folder / "selection.json")


def test_a_training_is_the_same_bits_again_and_leaves_the_global_random_state_alone(
    workshop: Workshop, few_digits: Path
) -> None:
    split = digit_split(workshop, few_digits)
    outcomes = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
        outcomes.append(outcome(workshop.do(training(4, **FULL), data=few_digits, split=split)))
        after = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
        assert torch.equal(before[0], after[0])
        assert before[1:] == after[1:]
    assert outcomes[0] == outcomes[1]
    other = workshop.do(training(4, seed=1, **FULL), data=few_digits, split=split)
    assert outcome(other) != outcomes[0]


BESIDE = """
import sys
from pathlib import Path
from tests.backend.test_train import FULL
from tests.backend.workshop import Workshop, call, training
from satdsl.ir.steps import Data, OfClasses, Rest, Split
from tests.backend.workshop import HOLDOUT
workshop = Workshop(Path(sys.argv[1]))
data = workshop.do(Data(call("digits", limit=200, limit_val=60)))
split = workshop.do(Split((OfClasses((0, 1, 2)), Rest()), HOLDOUT), data=data)
print(workshop.do(training(4, **FULL), data=data, split=split))
"""


def test_two_trainings_side_by_side_give_the_bits_of_each_alone(
    workshop: Workshop, few_digits: Path, tmp_path: Path
) -> None:
    split = digit_split(workshop, few_digits)
    alone = outcome(workshop.do(training(4, **FULL), data=few_digits, split=split))
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    with subprocess.Popen(
        [sys.executable, "-c", BESIDE, str(tmp_path)], env=environment, stdout=subprocess.PIPE, text=True
    ) as beside:
        here = outcome(workshop.do(training(4, **FULL), data=few_digits, split=split))
        there, _ = beside.communicate(timeout=120)
    assert here == alone
    assert outcome(Path(there.strip())) == alone


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    ("settings", "moment"),
    [
        (FULL, "epoch 2 of 4"),
        (FULL, "epoch 3 of 4"),
        (FULL, "selecting by"),
        (LATER, "epoch 2 of 4"),
        (LATER, "selecting by"),
    ],
)
def test_a_killed_training_continues_with_the_same_bits(
    workshop: Workshop,
    few_digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    moment: str,
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    split = digit_split(workshop, few_digits)
    step = training(4, **settings)
    whole = outcome(workshop.do(step, data=few_digits, split=split))
    resumed_from: list[float] = []

    def kill(progress: Progress) -> None:
        if progress.note.startswith(moment) and progress.done > 0:
            raise KilledError

    with pytest.raises(KilledError):
        workshop.do(step, scratch=tmp_path, report=kill, data=few_digits, split=split)
    continued = workshop.do(
        step, scratch=tmp_path, report=lambda p: resumed_from.append(p.done), data=few_digits, split=split
    )
    assert min(resumed_from) >= 1, "it began anew"
    assert outcome(continued) == whole


def test_the_average_is_what_is_scored_selected_and_kept(
    workshop: Workshop, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    averages: list[dict[str, Tensor]] = []
    update = optimisation.ExponentialMovingAverage.update

    def seen(self: optimisation.ExponentialMovingAverage, network: nn.Module) -> None:
        update(self, network)
        averages.append({name: value.clone() for name, value in self.network.state_dict().items()})

    monkeypatch.setattr(optimisation.ExponentialMovingAverage, "update", seen)
    settings = training(2, recipe=sgd(2, ema=0.9), snapshots=(2,), keep_weights=(1,), select=Selection((), (2,)))
    out = workshop.do(settings, data=few_digits)
    per_epoch = math.ceil(200 / 32)
    assert len(averages) == 2 * per_epoch
    kept = load_file(out / "weights-epoch-1.safetensors")
    for name, value in weights_of(out).items():
        assert torch.equal(value, averages[-1][name])
        assert torch.equal(kept[name], averages[per_epoch - 1][name])
    images = load(call("digits", limit=200, limit_val=60), Path("nowhere")).train
    logits = inference.logits(weights.load(out), images, "cpu").double().numpy()
    assert columns_of(out, "scores")["snapshot-entropy"] == pytest.approx(scipy_entropy(softmax(logits, 1), axis=1))


@pytest.mark.parametrize(("holdout", "part", "n"), [(HOLDOUT, "hold-out", 10), (None, "train", 200)])
def test_an_attacked_training_is_probed_after_each_epoch(
    workshop: Workshop, few_digits: Path, holdout: Holdout | None, part: str, n: int
) -> None:
    subsets = (SubsetTraining(pgd(eps=0.05), 1.0),)
    out = workshop.do(training(2, subsets=subsets, holdout=holdout), data=few_digits)
    network = weights.load(out)
    looks = [row["probe"] for row in curves_of(out)]
    assert [(look["part"], look["n"]) for look in looks] == [(part, n)] * 2
    data = split_holdout(load(call("digits", limit=200, limit_val=60), Path("nowhere")), holdout)
    images = data.selection or data.train
    clean = float((inference.logits(network, images, "cpu").argmax(1) == images.labels).double().mean())
    assert looks[-1]["clean"] == pytest.approx(clean)
    assert 0 <= looks[-1]["robust"] <= looks[-1]["clean"]


def test_a_training_that_attacks_nothing_is_not_probed(reference: Path) -> None:
    assert all("probe" not in row for row in curves_of(reference))


def test_a_damaged_or_foreign_saved_state_is_not_continued(tmp_path: Path) -> None:
    TrainingCheckpoint(tmp_path, "one").save({"completed": 1})
    assert TrainingCheckpoint(tmp_path, "one").load("cpu") == {"completed": 1, "key": "one"}
    assert TrainingCheckpoint(tmp_path, "two").load("cpu") is None
    path = tmp_path / "training.pt"
    path.write_bytes(path.read_bytes()[:100])
    assert TrainingCheckpoint(tmp_path, "one").load("cpu") is None
    path.write_bytes(b"")
    assert TrainingCheckpoint(tmp_path, "one").load("cpu") is None


def test_a_training_can_start_from_the_weights_of_another(workshop: Workshop, few_digits: Path) -> None:
    first = workshop.do(training(1), data=few_digits)
    still = workshop.do(training(1, recipe=sgd(1, lr=1e-12), seed=3), data=few_digits, start=first)
    learnt, begun = weights_of(still), weights_of(first)
    assert all(torch.allclose(learnt[n], begun[n], atol=1e-6) for n in begun if "running" not in n and "num" not in n)
    with pytest.raises(StepError, match="do not fit"):
        workshop.do(training(1, model=call("small_cnn", width=5)), data=few_digits, start=first)


def test_a_loss_that_is_not_finite_stops_the_training(workshop: Workshop, few_digits: Path) -> None:
    with pytest.raises(StepError, match="batch 2 of 7 of epoch 1 the loss is NaN"):
        workshop.do(training(2, recipe=sgd(2, lr=1e30)), data=few_digits)


def test_a_split_of_other_images_is_refused(workshop: Workshop, few_digits: Path, digits: Path) -> None:
    split = workshop.do(Split((Everything(),), HOLDOUT), data=digits)
    with pytest.raises(StepError, match="other training images"):
        workshop.do(training(1), data=few_digits, split=split)


def test_four_epochs_read_digits(reference: Path) -> None:
    curves = curves_of(reference)
    assert curves[-1]["accuracy"] > 0.8
    assert curves[-1]["loss"] < curves[0]["loss"]
