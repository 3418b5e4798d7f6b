"""Data sets that are joined: whose images, labels and numbers they have, and what keys depend on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from satdsl.backend import perform
from satdsl.backend.artifact_files import read_arrays, read_json
from satdsl.compile import check_file
from satdsl.diagnostics import SpecError
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Data, Key
from satdsl.ir.work import Work
from satdsl.plan.expand import expand
from satdsl.smoke import made_small

MORE = """
model m = small_cnn(width=4)
recipe r = sgd(epochs=1)
train t = m on both using r
evaluate t { c = clean accuracy on val }
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "x.sat"
    file.write_text("sat 1\n" + text)
    return file


def parts(folder: Path) -> str:
    """Twelve images of two classes, and eight whose classes have the other order."""
    drawn = np.random.default_rng(0)
    for name, count in (("first", 12), ("second", 8)):
        np.save(folder / f"{name}_x.npy", drawn.integers(0, 256, (count, 1, 6, 6), dtype=np.uint8))
        np.save(folder / f"{name}_y.npy", np.arange(count) % 2)
    return (
        'dataset one = arrays(classes=[cat, dog], train_images="first_x.npy", train_labels="first_y.npy", limit=6,\n'
        '                     val_images="second_x.npy", val_labels="second_y.npy")\n'
        'dataset two = arrays(classes=[dog, cat], train_images="second_x.npy", train_labels="second_y.npy")\n'
        "dataset both = one + two\n"
    )


def plan_of(file: Path) -> Plan:
    return expand(check_file(file))


def data_done(plan: Plan, folder: Path) -> dict[Key, Path]:
    done: dict[Key, Path] = {}
    for key, step in plan.steps.items():
        if isinstance(step.settings, Data):
            out = folder / key[:12]
            out.mkdir(parents=True)
            perform(step, Work({role: done[of] for role, of in step.inputs}, out, out, folder))
            done[key] = out
    return done


def joined(plan: Plan) -> Key:
    return next(key for key, step in plan.steps.items() if step.kind == "data" and step.inputs)


def test_joined_images_are_those_of_each_part_under_the_names_of_their_classes(tmp_path: Path) -> None:
    file = written(tmp_path, parts(tmp_path) + MORE)
    plan = plan_of(file)
    facts = check_file(file).datasets["both"].table[()]
    folder = data_done(plan, tmp_path / "out")[joined(plan)]
    pixels, labels = np.load(folder / "train.npy"), read_arrays(folder / "labels.npz")
    first, second = np.load(tmp_path / "first_x.npy"), np.load(tmp_path / "second_x.npy")
    index = labels["train_index"]
    assert len(index) == facts.train == 6 + 8
    assert facts.whole == 12 + 8
    assert sorted(index) == list(index), "the second data set's numbers follow those of the whole first one"
    assert np.array_equal(pixels[:6], first[index[:6]])
    assert np.array_equal(pixels[6:], second)
    assert index[6:].tolist() == list(range(12, 20))
    assert labels["train"][:6].tolist() == (index[:6] % 2).tolist()
    assert labels["train"][6:].tolist() == [1, 0] * 4, "0 of the second is `dog`, which is 1 of the first"
    assert facts.train_counts == (7, 7) == tuple(np.bincount(labels["train"]))
    assert np.array_equal(np.load(folder / "val.npy"), second)
    assert labels["val"].tolist() == [0, 1] * 4
    assert read_json(folder / "facts.json")["classes"] == ["cat", "dog"]


def test_the_key_is_that_of_the_parts_and_not_of_their_names(tmp_path: Path) -> None:
    text = parts(tmp_path) + MORE
    key = joined(plan_of(written(tmp_path, text)))
    renamed = text.replace("two", "extra")
    assert joined(plan_of(written(tmp_path, renamed))) == key
    assert joined(plan_of(written(tmp_path, text.replace("limit=6", "limit=8")))) != key


def test_three_are_joined_also_of_one_that_is_joined_and_along_an_axis(tmp_path: Path) -> None:
    text = (
        "sweep { extra = [few, many] }\n"
        "dataset real = synthetic(classes=2, shape=[1, 8, 8], train=30, holdout=20%)\n"
        "dataset few = synthetic(classes=2, shape=[1, 8, 8], train=4, seed=1)\n"
        "dataset many = synthetic(classes=2, shape=[1, 8, 8], train=40, seed=2)\n"
        "dataset pair = real + $extra\ndataset both = pair + few\n"
    )
    experiment = check_file(written(tmp_path, text + MORE))
    sizes = {at: data.train for at, data in experiment.datasets["pair"].table.items()}
    assert sizes == {("few",): 34, ("many",): 70}
    assert experiment.datasets["pair"].table[("few",)].selection == 40
    small = made_small(experiment)[1]
    assert all(not step.inputs for step in small.steps.values() if step.kind == "data")


def test_images_that_selection_saw_are_not_reported_on_under_the_first_part_s_name(tmp_path: Path) -> None:
    text = (
        "dataset real = digits(holdout=20%)\ndataset whole = digits()\ndataset more = digits(limit=100)\n"
        "dataset both = real + more\nmodel m = small_cnn()\nrecipe r = sgd(epochs=1)\n"
        "train t = m on both using r { select by clean accuracy at end }\n"
        "evaluate t { c = clean accuracy on val, real.val, PART }\n"
    )
    check_file(written(tmp_path, text.replace(", PART", "")))
    with pytest.raises(SpecError) as caught:
        check_file(written(tmp_path, text.replace("PART", "whole.val")))
    assert [finding.code for finding in caught.value.findings] == ["E501"]
