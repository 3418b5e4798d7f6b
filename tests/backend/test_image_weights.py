"""Loss weights by image are the weights of the sum that is minimised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from satdsl.backend.artifact_files import sha256
from satdsl.backend.datasets import load
from satdsl.backend.epoch import cut
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import unit_scale
from satdsl.backend.models import build
from satdsl.backend.randomness import Stream, generator, initial_weights
from satdsl.ir.steps import ImageWeights, OfClasses, Rest, Split, SubsetTraining, Train
from satdsl.ir.work import StepError

from .workshop import HOLDOUT, MEAN, STD, Workshop, call, sgd, training, weights_of

DATA = call("digits", limit=200, limit_val=60)
EPOCHS, SEED, WHOLE = 2, 4, 1437


def image_weights(folder: Path, numbers: np.ndarray) -> ImageWeights:
    path = folder / "weights.npy"
    np.save(path, numbers)
    return ImageWeights(sha256(path), str(path))


def settings(weight: ImageWeights, reduction: str = "mean") -> Train:
    subsets = (SubsetTraining(None, weight), SubsetTraining(None, 0.5))
    recipe = sgd(EPOCHS, reduction=reduction)
    return training(EPOCHS, subsets=subsets, recipe=recipe, augment=(), seed=SEED)


def by_hand(numbers: np.ndarray, reduction: str) -> dict[str, Tensor]:
    """The network after minimising the sum of weighted losses by torch alone; subset 1 weighs 0.5."""
    images = split_holdout(load(DATA, Path("no-data")), HOLDOUT).train
    first = torch.isin(images.labels, torch.tensor([0, 1, 2]))
    weights = torch.where(first, torch.from_numpy(numbers).float()[images.index], torch.tensor(0.5))
    with initial_weights(SEED):
        network = build(call("small_cnn", width=4), (1, 8, 8), 10, MEAN, STD)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    network.train()
    for number in range(EPOCHS):
        order = torch.randperm(len(images), generator=generator(SEED, Stream.ORDER, number))
        for batch in cut(len(images), 32):
            rows = order[batch]
            losses = F.cross_entropy(network(unit_scale(images.pixels[rows])), images.labels[rows], reduction="none")
            total = (weights[rows] * losses).sum()
            loss = total / (len(rows) if reduction == "mean" else weights[rows].sum())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.state_dict()


@pytest.mark.parametrize("reduction", ["mean", "weighted_mean"])
def test_each_loss_is_multiplied_by_the_number_in_the_file(
    workshop: Workshop, few_digits: Path, tmp_path: Path, reduction: str
) -> None:
    numbers = np.random.default_rng(0).random(WHOLE) * 3
    split = workshop.do(Split((OfClasses((0, 1, 2)), Rest()), HOLDOUT), data=few_digits)
    found = weights_of(workshop.do(settings(image_weights(tmp_path, numbers), reduction), data=few_digits, split=split))
    for name, of in by_hand(numbers, reduction).items():
        torch.testing.assert_close(found[name], of.contiguous(), rtol=1e-4, atol=1e-5, msg=name)


def test_equal_weights_are_the_weight_of_the_subset(workshop: Workshop, few_digits: Path, tmp_path: Path) -> None:
    by_image = settings(image_weights(tmp_path, np.full(WHOLE, 2.0)))
    subsets = (SubsetTraining(None, 2.0), SubsetTraining(None, 0.5))
    plain = training(EPOCHS, subsets=subsets, recipe=by_image.recipe, augment=(), seed=SEED)
    split = workshop.do(Split((OfClasses((0, 1, 2)), Rest()), HOLDOUT), data=few_digits)
    one, other = (weights_of(workshop.do(each, data=few_digits, split=split)) for each in (by_image, plain))
    assert all(torch.equal(one[name], of) for name, of in other.items())


@pytest.mark.parametrize(
    ("numbers", "reason"), [(np.full(WHOLE, -1.0), "loss weight -1"), (np.ones(5), "no number"), (np.zeros(WHOLE), "0")]
)
def test_a_file_without_fit_weights_ends_the_training(
    workshop: Workshop, few_digits: Path, tmp_path: Path, numbers: np.ndarray, reason: str
) -> None:
    alone = training(1, subsets=(SubsetTraining(None, image_weights(tmp_path, numbers)),))
    with pytest.raises(StepError, match=reason):
        workshop.do(alone, data=few_digits)
