"""Subsets picked anew while a network trains: by which scores, when, on several devices, and after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from satdsl.backend import train, weights
from satdsl.backend.datasets import load
from satdsl.backend.distributed import ProcessGroup
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import unit_scale
from satdsl.backend.repicked_subsets import Repicker
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.ir.steps import Combined, Pick, Ranking, Repicking, Rest, Split, SubsetTraining, Train
from satdsl.ir.work import Progress, Work

from .workshop import HOLDOUT, Workshop, call, columns_of, curves_of, pgd, training, weights_of

AMOUNT, EPOCHS = 60, 5
ITSELF = Ranking("loss", "itself")
SUBSETS = (Pick("hardest", AMOUNT, "examples", ranking=ITSELF), Rest())
DATA = call("digits", limit=200, limit_val=60)


def split_of(workshop: Workshop, data: Path) -> Path:
    return workshop.do(Split(SUBSETS, HOLDOUT), data=data)


def settings(epochs: int = EPOCHS, **changed: Any) -> Train:
    subsets = (SubsetTraining(pgd(random_start="uniform"), 2.0), SubsetTraining(None, 1.0))
    return training(epochs, **({"subsets": subsets, "repick": Repicking(SUBSETS, 2)} | changed))


@pytest.fixture
def trained_with(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The dataset indices of subset 0 in each epoch that is drawn."""
    seen: list[np.ndarray] = []
    original = train.epoch

    def remembered(images: Any, index: Any, assignment: Any, *rest: Any, **named: Any) -> Any:
        seen.append(index[assignment.subset_of[index] == 0])
        return original(images, index, assignment, *rest, **named)

    monkeypatch.setattr(train, "epoch", remembered)
    return seen


def hardest(folder: Path, epoch: int, amount: int) -> np.ndarray:
    """The images of largest loss after an epoch, computed from the kept weights by torch alone."""
    images = split_holdout(load(DATA, Path("no-data")), HOLDOUT).train
    network = weights.load(folder, epochs=epoch)
    with torch.no_grad():
        losses = F.cross_entropy(network(unit_scale(images.pixels)), images.labels, reduction="none")
    return np.sort(images.index.numpy()[losses.argsort(descending=True)[:amount].numpy()])


def test_a_pick_has_the_images_that_the_weights_of_that_moment_find_hardest(
    workshop: Workshop, few_digits: Path, trained_with: list[np.ndarray]
) -> None:
    split = split_of(workshop, few_digits)
    done = workshop.do(settings(keep_weights=(2, 4)), data=few_digits, split=split)
    first = columns_of(split, "split")
    drawn = first["index"][first["subset"] == 0]
    assert len(drawn) == AMOUNT
    assert all(np.array_equal(found, drawn) for found in trained_with[:2]), "until the first pick it is the draw"
    for epochs, found in ((2, trained_with[2:4]), (4, trained_with[4:])):
        assert all(np.array_equal(np.sort(one), hardest(done, epochs, AMOUNT)) for one in found)
    assert not np.array_equal(trained_with[2], trained_with[4])


def test_given_weights_pick_before_the_first_epoch(
    workshop: Workshop, few_digits: Path, trained_with: list[np.ndarray]
) -> None:
    start = workshop.do(training(2, keep_weights=(2,)), data=few_digits)
    del trained_with[:]
    again = settings(1, repick=Repicking(SUBSETS, 2, at_start=True))
    workshop.do(again, data=few_digits, split=split_of(workshop, few_digits), start=start)
    assert np.array_equal(np.sort(trained_with[0]), hardest(start, 2, AMOUNT))


def test_a_training_on_a_part_that_is_picked_anew_sees_that_part_alone(
    workshop: Workshop, few_digits: Path, trained_with: list[np.ndarray]
) -> None:
    alone = settings(part=0, snapshots=(EPOCHS,), keep_weights=(4,))
    done = workshop.do(alone, data=few_digits, split=split_of(workshop, few_digits))
    assert [epoch["n"] for epoch in curves_of(done)] == [AMOUNT] * EPOCHS
    assert np.array_equal(np.sort(trained_with[4]), hardest(done, 4, AMOUNT))
    assert len(columns_of(done, "scores")["index"]) == 200, "snapshots score all images, since the part changes"


def test_a_killed_training_goes_on_with_the_same_picks(
    workshop: Workshop, few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    split = split_of(workshop, few_digits)
    whole = weights_of(workshop.do(settings(), data=few_digits, split=split))

    class KilledError(Exception):
        pass

    for epoch in (4, 5):  # in the middle of the time between two picks, and right after the second

        def kill(progress: Progress, moment: str = f"epoch {epoch} of 5") -> None:
            if progress.note.startswith(moment):
                raise KilledError

        scratch = tmp_path / str(epoch)
        scratch.mkdir()
        with pytest.raises(KilledError):
            workshop.do(settings(), scratch=scratch, report=kill, data=few_digits, split=split)
        went_on = weights_of(workshop.do(settings(), scratch=scratch, data=few_digits, split=split))
        assert all(torch.equal(went_on[name], of) for name, of in whole.items())


def test_hardest_and_easiest_stay_apart_in_the_draw_and_in_every_pick(workshop: Workshop, few_digits: Path) -> None:
    easiest = Pick("easiest", 0.3, "examples", True, ranking=ITSELF)
    hardest_half = Pick("hardest", 0.5, "examples", True, ranking=ITSELF)
    subsets = (easiest, hardest_half, Combined("-", Rest(), easiest))
    split = workshop.do(Split(subsets, HOLDOUT), data=few_digits)
    ways = (SubsetTraining(None, 1.0),) * 3
    changed = settings(2, subsets=ways, repick=Repicking(subsets, 1))
    epochs = curves_of(workshop.do(changed, data=few_digits, split=split))
    assert len({tuple(part["n"] for part in epoch["subsets"]) for epoch in epochs}) == 1


class Ranks(ProcessGroup):
    """Three ranks of one process; what rank 0 has picked is in `sent`."""

    sent: ClassVar[list[torch.Tensor]] = []

    def from_main(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.is_main:
            self.sent.append(tensor.clone())
        return self.sent[-1]


def test_every_rank_takes_the_picks_of_rank_0(workshop: Workshop, tmp_path: Path) -> None:
    images = split_holdout(load(DATA, Path("no-data")), HOLDOUT).train
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
    work = Work(inputs={}, out=tmp_path, scratch=tmp_path, data_root=tmp_path, report=lambda progress: None)
    settings = Repicking(SUBSETS, 2)
    picked = [Repicker(settings, images, 10, False, work, Ranks(rank, 3)).pick(network) for rank in range(3)]
    assert int((picked[0] == 0).sum()) == AMOUNT
    assert len(Ranks.sent) == 1, "rank 0 alone scores"
    assert all(torch.equal(one, picked[0]) for one in picked)
