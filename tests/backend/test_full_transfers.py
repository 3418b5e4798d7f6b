"""Transfers that train the whole network: the network of the source under a new head, trained as any other."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend import weights
from satdsl.backend.datasets import load
from satdsl.backend.epoch import cut
from satdsl.backend.images import unit_scale
from satdsl.backend.randomness import Stream, generator
from satdsl.ir.steps import Data, Head, SubsetTraining, Train

from .workshop import Workshop, call, curves_of, document, pgd, sgd, training, weights_of

TARGET = {"classes": 4, "shape": (1, 8, 8), "train": 70, "val": 20}
SEED = 5


@pytest.fixture(scope="module")
def target(workshop: Workshop) -> Path:
    return workshop.do(Data(call("synthetic", **TARGET, seed=0)))


@pytest.fixture(scope="module")
def source(workshop: Workshop, few_digits: Path) -> Path:
    return workshop.do(training(2), data=few_digits)


def whole(epochs: int = 2, **changed: object) -> Train:
    settings = training(epochs, augment=(), holdout=None, seed=SEED, head=call("linear"))
    return replace(settings, **changed)


def tuned_by_hand(source: Path, epochs: int) -> dict[str, Tensor]:
    """The network of `source` under a head that a transfer of this seed draws, trained by torch alone."""
    images = load(call("synthetic", **TARGET, seed=0), Path("no-data")).train
    network = copy.deepcopy(weights.load(source))
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator(SEED, Stream.INITIAL_WEIGHTS).get_state())
        network.replace_head(nn.Linear(network.feature_width, 4))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    network.train()
    for number in range(epochs):
        order = torch.randperm(len(images), generator=generator(SEED, Stream.ORDER, number))
        for batch in cut(len(images), 32):
            chosen = order[batch]
            loss = F.cross_entropy(network(unit_scale(images.pixels[chosen])), images.labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.state_dict()


def test_it_is_a_fine_tuning_written_by_hand(workshop: Workshop, source: Path, target: Path) -> None:
    found = weights_of(workshop.do(whole(), data=target, start=source))
    wanted = tuned_by_hand(source, 2)
    assert found.keys() == wanted.keys()
    for name, of in wanted.items():
        torch.testing.assert_close(found[name], of.contiguous(), rtol=1e-4, atol=1e-5, msg=name)
    before = weights_of(source)
    statistics = [name for name in before if name.endswith("running_mean")]
    assert statistics, "the network has batch norm"
    assert all(not torch.equal(found[name], before[name]) for name in statistics), "its statistics are trained"


def test_it_is_a_training_that_starts_from_a_transfer_of_no_epochs(
    workshop: Workshop, source: Path, target: Path
) -> None:
    new = workshop.do(Head(call("linear"), sgd(0), (), None, SEED), data=target, weights=source)
    attacked = (SubsetTraining(pgd(random_start="uniform"), 1.0),)
    in_two = workshop.do(whole(subsets=attacked, head=None), data=target, start=new)
    in_one = workshop.do(whole(subsets=attacked), data=target, start=source)
    assert all(torch.equal(weights_of(in_one)[name], of) for name, of in weights_of(in_two).items())


def test_another_head_and_grey_images_for_a_network_of_colours(workshop: Workshop, target: Path) -> None:
    colours = workshop.do(Data(call("synthetic", classes=3, shape=(3, 8, 8), train=40, val=10, seed=1)))
    three = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
    first = workshop.do(training(1, augment=(), holdout=None, **three), data=colours)
    attacked = (SubsetTraining(pgd(), 1.0),)
    out = workshop.do(whole(1, head=call("mlp", hidden=8), subsets=attacked), data=target, start=first)
    described = document(out / "model.json")
    assert described["repeat"] == 3
    assert described["mean"] == list(three["mean"]), "images are normalised as the body was trained"
    assert weights.load(out)(torch.rand(2, 1, 8, 8)).shape == (2, 4)
    assert curves_of(out)[0]["n"] == 70


def test_what_was_transferred_whole_can_be_transferred_again(
    workshop: Workshop, source: Path, target: Path, few_digits: Path
) -> None:
    there = workshop.do(whole(1, head=call("mlp", hidden=8)), data=target, start=source)
    back = workshop.do(whole(1), data=few_digits, start=there)
    assert weights.load(back)(torch.rand(2, 1, 8, 8)).shape == (2, 10)
