"""Training on a part of a data set: nothing of the other images is in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from satdsl.backend import datasets
from satdsl.backend.images import DataSet
from satdsl.ir.steps import OfClasses, Rest, Split, SubsetTraining, WeightFormula
from satdsl.ir.work import Work

from .workshop import HOLDOUT, Workshop, columns_of, curves_of, pgd, sgd, training, weights_of

UNSEEN = SubsetTraining(None, 0.0)
CLASSES = (1, 4, 6, 7)


def split_of(workshop: Workshop, data: Path) -> Path:
    return workshop.do(Split((OfClasses(CLASSES), Rest()), HOLDOUT), data=data)


def test_a_training_on_a_part_is_that_on_a_data_set_of_these_images_alone(
    workshop: Workshop, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacked, epochs = SubsetTraining(pgd(random_start="uniform"), 1.0), 2
    recorded = {"recipe": sgd(epochs), "snapshots": (1, 2), "seed": 3}
    settings = training(subsets=(attacked, UNSEEN), part=0, **recorded)
    part = workshop.do(settings, data=few_digits, split=split_of(workshop, few_digits))

    whole = datasets.input_dataset

    def only_these(work: Work) -> DataSet:
        data = whole(work)
        return replace(data, train=data.train.at(torch.isin(data.train.labels, torch.tensor(CLASSES))))

    monkeypatch.setattr(datasets, "input_dataset", only_these)
    alone = workshop.do(training(subsets=(attacked,), **recorded), data=few_digits)

    found, wanted = weights_of(part), weights_of(alone)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted), "batch norm's statistics are among them"
    scores, these = columns_of(part, "scores"), columns_of(alone, "scores")
    assert all(np.array_equal(scores[name], these[name]) for name in these)


def test_an_epoch_of_a_part_has_its_images_alone(workshop: Workshop, few_digits: Path) -> None:
    split = split_of(workshop, few_digits)
    members = int((columns_of(split, "split")["subset"] == 0).sum())
    settings = training(1, subsets=(SubsetTraining(None, 2.0), UNSEEN), part=0)
    (epoch,) = curves_of(workshop.do(settings, data=few_digits, split=split))
    assert epoch["n"] == members < 200
    assert [part["n"] for part in epoch["subsets"]] == [members, 0]


def test_the_sizes_in_a_weight_are_those_of_the_whole_split(workshop: Workshop, few_digits: Path) -> None:
    split = split_of(workshop, few_digits)
    sizes = np.bincount(columns_of(split, "split")["subset"])
    ratio = WeightFormula(("/", ("size", 1), ("size", 0)))
    by_formula, by_number = (
        workshop.do(training(1, subsets=(SubsetTraining(None, weight), UNSEEN), part=0), data=few_digits, split=split)
        for weight in (ratio, float(sizes[1] / sizes[0]))
    )
    assert all(torch.equal(weights_of(by_formula)[name], of) for name, of in weights_of(by_number).items())


def test_the_last_subset_can_be_the_part(workshop: Workshop, few_digits: Path) -> None:
    split = split_of(workshop, few_digits)
    settings = training(1, subsets=(UNSEEN, SubsetTraining(None, 1.0)), part=1)
    found = columns_of(workshop.do(replace(settings, snapshots=(1,)), data=few_digits, split=split), "scores")
    table = columns_of(split, "split")
    assert np.array_equal(found["index"], table["index"][table["subset"] == 1])
