"""Learning curves of several trainings on the same axes: who is drawn together, means, bands, and the choice."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
from made_up_results import Study, study_in

from satdsl.ir.plan import GivenLabel
from satdsl.report.curves import Curve
from satdsl.report.drawing_cache import MOST_COMPARED, SHOWN_AT_FIRST, DrawingCache
from satdsl.report.learning_curves import curve_groups


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


def epochs(*losses: float) -> list[dict[str, Any]]:
    return [
        {"n": 10, "subsets": [], "attacked": 0, "seconds": 1.0, "epoch": i, "lr": 0.1, "loss": loss, "accuracy": 0.5}
        for i, loss in enumerate(losses, start=1)
    ]


def trained(study: Study, draw: int, rate: float, losses: tuple[float, ...], **at: str) -> Curve:
    step = study.training(epochs(*losses), seed=draw, lr=rate)
    return Curve("sat", tuple(at.items()), step.key, ("all",), epochs(*losses), len(losses))


def test_seeds_are_one_line_with_its_spread_and_other_settings_another(study: Study) -> None:
    curves = [
        trained(study, 1, 0.1, (3.0, 2.0, 1.0), seed="1", lr="0.1"),
        trained(study, 2, 0.1, (4.0, 2.0), seed="2", lr="0.1"),
        trained(study, 1, 0.2, (9.0, 8.0), seed="1", lr="0.2"),
    ]
    two, one = curve_groups(study.plan, curves)
    assert (two.title, one.title) == ("sat[lr=0.1], 2 seeds", "sat[seed=1, lr=0.2]")
    # Only the epochs that both have, since a mean over others would jump.
    assert [(at.epoch, at.mean, at.std) for at in two.lines["training loss"]] == [
        (1, 3.5, stdev([3, 4])),
        (2, 2.0, 0.0),
    ]
    assert [at.std for at in one.lines["training loss"]] == [None, None]
    assert "probe, robust accuracy" not in two.lines


def test_labels_stand_for_names(study: Study) -> None:
    curves = [trained(study, seed, 0.1, (3.0,), seed=str(seed), lr="0.1") for seed in (1, 2)]
    labels = (GivenLabel("weights", "sat", "half attacked"), GivenLabel("axis", "lr", "learning rate"))
    (one,) = curve_groups(replace(study.plan, given_labels=labels), curves)
    assert one.title == "half attacked (learning rate 0.1), 2 seeds"


def test_the_reader_chooses_and_each_choice_has_its_lines(study: Study) -> None:
    curves = [
        trained(study, seed, lr / 10, (3.0, float(lr * seed)), seed=str(seed), lr=str(lr))
        for lr in range(1, 9)
        for seed in (1, 2)
    ]
    found = DrawingCache().compared(study.plan, curves)
    assert found is not None
    assert [at_first for *_, at_first in found.choices] == [i < SHOWN_AT_FIRST for i in range(8)]
    assert len({(colour, dashes) for _, colour, dashes, _ in found.choices}) == 8
    ids = re.findall(r'id="lc-lines-(\d+)-(\d)-(mean|band)"', found.svg)
    assert sorted(ids) == sorted(
        (str(i), panel, kind)
        for i in range(8)
        for panel in "01"
        for kind in ("mean", "band")
        if panel == "0" or kind == "mean"
    )
    assert found.several_seeds


def test_one_training_alone_is_not_compared_and_of_very_many_the_first_are(study: Study) -> None:
    curves = [trained(study, 1, lr / 100, (3.0, 2.0), lr=str(lr)) for lr in range(1, MOST_COMPARED + 4)]
    assert DrawingCache().compared(study.plan, curves[:1]) is None
    found = DrawingCache().compared(study.plan, curves)
    assert found is not None
    assert (len(found.choices), found.left_out) == (MOST_COMPARED, 3)
    assert not found.several_seeds
