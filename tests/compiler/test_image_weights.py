"""Loss weights by image: what a file of them may have, and what of it is in the key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from words import codes_of, keys_by_label, plan_of, step_called

from satdsl.check import check
from satdsl.ir.steps import ImageWeights, Train
from satdsl.smoke import made_small

N = 6
SPEC = """sat 1
dataset d = synthetic(classes=2, shape=[1, 8, 8], train=6, val=4)
model m = small_cnn()
recipe r = sgd(epochs=2)
split s of d { A = class 0; B = rest; weight A = scores in "w.npy" }
train sat = m on s using r
evaluate sat { clean = clean accuracy on val }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", np.linspace(0, 2, N))
    return tmp_path


def weights_of(text: str) -> list[object]:
    settings = step_called(plan_of(text), "train sat").settings
    assert isinstance(settings, Train)
    return [subset.weight for subset in settings.subsets]


def test_the_numbers_are_in_the_key_and_the_path_is_not(folder: Path):
    before = keys_by_label(SPEC)
    (folder / "other.npy").write_bytes((folder / "w.npy").read_bytes())
    assert keys_by_label(SPEC.replace("w.npy", "other.npy")) == before
    np.save("w.npy", np.ones(N))
    after = keys_by_label(SPEC)
    assert {label for label in before if before[label] != after[label]} == {"train sat", "evaluate sat on val"}
    assert before["split s"] == after["split s"], "the split has the same images"


def test_a_plan_says_that_each_image_has_its_own():
    (split,) = plan_of(SPEC).splits
    assert [(one.weight, one.weighted_by_image, one.known) for one in split.subsets] == [
        (None, True, "now"),
        (1.0, False, "now"),
    ]
    assert any(isinstance(weight, ImageWeights) for weight in weights_of(SPEC))


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ([1, 1, 1, -1e-9, 1, 1], "E418"),
        ([1, 1, 1, np.inf, 1, 1], "E418"),
        ([1, np.nan, 1, 1, 1, 1], "E418"),
        ([1, 1, 1], "E413"),
        ([1] * 7, "E413"),
        ([[0, 1.0], [0, 1.0], [1, 1], [2, 1], [3, 1], [4, 1]], "E413"),
        ([[9, 1.0], [0, 1.0], [1, 1], [2, 1], [3, 1], [4, 1]], "E413"),
        (np.ones((6, 3)), "E413"),
    ],
)
def test_what_cannot_weigh_images_is_a_finding(numbers, code):
    np.save("w.npy", np.array(numbers, dtype=float))
    assert code in codes_of(SPEC)


def test_whole_numbers_from_0_are_weights_and_no_order():
    np.save("w.npy", np.arange(N))
    assert not {"E410", "E418"} & set(codes_of(SPEC))


def test_a_smoke_run_weighs_its_own_images_alike():
    small, _ = made_small(check("spec.sat", SPEC))
    assert small.splits["s"].table[()].weights == (1.0, 1.0)
