"""Example images of a store: which evaluations, what is said of each image, and the pixels of the pictures."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from whole_runs import ran

from satdsl.engine.local_store import LocalStore
from satdsl.engine.store import Store
from satdsl.ir.plan import Plan
from satdsl.report.artifact_reader import ReportError
from satdsl.report.example_images import Example, examples, png

SPEC = """sat 1
dataset small = digits(limit=300, limit_val=60)
model m = small_cnn(width=4)
sweep { eps = [0.1, 0.3, 0.5, 0.7, 0.9] }
attack p = pgd(norm=L2, eps=$eps, step_size=0.2, steps=5)
recipe r = sgd(epochs=4, batch=32, lr=0.1)
train t = m on small using r
evaluate t {
  clean = clean accuracy on val
  robust = robust accuracy under p on val
  same = robust accuracy under p on val
}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, LocalStore]:
    return ran(SPEC, tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def found(finished: tuple[Plan, Store]) -> list[Example]:
    return examples(*finished)


def pixels(file: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(file))
    assert image.format == "PNG"
    return np.asarray(image)


def test_a_sweep_is_shown_at_a_few_points_evenly_spaced(found: list[Example], finished: tuple[Plan, Store]) -> None:
    assert [(one.result, dict(one.point)) for one in found] == [
        ("t.robust", {"eps": "0.1"}),
        ("t.robust", {"eps": "0.5"}),
        ("t.robust", {"eps": "0.9"}),
    ]
    assert len(examples(*finished, points=100)) == 5


def test_an_example_says_where_it_is_from_and_what_became_of_each_image(found: list[Example]) -> None:
    attacks = [f"pgd-5 L2 {eps}" for eps in (0.1, 0.5, 0.9)]
    assert [(one.dataset, one.attack) for one in found] == [("small", attack) for attack in attacks]
    outcomes = set()
    for picture in (picture for one in found for picture in one.pictures):
        outcomes.add(picture.outcome)
        assert picture.label in "0123456789"
        assert (picture.outcome == "wrong without attack") == (picture.predicted != picture.label)
        assert (picture.outcome == "withstands") == (picture.attacked == picture.label)
    assert {"withstands", "broken by pgd"} <= outcomes


def test_pictures_are_the_images_themselves_with_differences_magnified_around_grey(
    found: list[Example], finished: tuple[Plan, Store]
) -> None:
    _, store = finished
    for one in found:
        with np.load(store.folder(one.key) / "examples.npz") as stored:
            kept = {name: stored[name] for name in stored.files}
        assert [picture.index for picture in one.pictures] == kept["index"].tolist()
        for i, picture in enumerate(one.pictures):
            change = kept["perturbation"][i, 0].astype(np.float64)
            assert np.array_equal(pixels(picture.image), kept["pixels"][i, 0])
            assert np.abs(pixels(picture.adversarial) - (kept["pixels"][i, 0] + 255 * change)).max() <= 0.75
            magnified = np.clip(127.5 + 255 * one.factor * change, 0, 255)
            assert np.abs(pixels(picture.difference) - magnified).max() <= 0.75
    assert [one.factor for one in found] == sorted((one.factor for one in found), reverse=True)
    assert found[0].factor > found[-1].factor


def test_colour_images_keep_their_channels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)
    assert np.array_equal(pixels(png(image)), image.transpose(1, 2, 0))


def test_what_is_not_stored_or_older_than_examples_has_none(
    finished: tuple[Plan, Store], found: list[Example], tmp_path: Path
) -> None:
    plan, store = finished
    assert examples(plan, LocalStore(tmp_path / "empty")) == []
    shutil.copytree(store.root, tmp_path / "store")
    copy = LocalStore(tmp_path / "store")
    forget_examples(copy, found[0].key)
    assert [one.key for one in examples(plan, copy)] == [one.key for one in found[1:]]


def forget_examples(store: Store, key: str) -> None:
    """As an artifact of a version without examples."""
    place = store.folder(key)
    (place / "examples.npz").unlink()
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["files"] = [file for file in manifest["files"] if file["path"] != "examples.npz"]
    (place / "manifest.json").write_text(json.dumps(manifest))


def test_a_file_that_holds_something_else_is_named(finished: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, store = finished
    shutil.copytree(store.root, tmp_path / "store")
    copy = LocalStore(tmp_path / "store")
    key = next(iter(examples(plan, copy))).key
    np.savez(copy.folder(key) / "examples.npz", index=np.arange(3))
    with pytest.raises(ReportError, match=r"examples\.npz"):
        examples(plan, Resized(copy.root))


class Resized(LocalStore):
    """A store that takes its files as they are."""

    def fetch(self, key: str) -> Path:
        return self.folder(key)


PARTS = """sat 1
dataset small = digits(limit=200, limit_val=60)
model m = small_cnn(width=4)
attack p = fgsm(norm=L2, eps=0.5)
recipe r = sgd(epochs=1, batch=32, lr=0.1)
split s of small { A = classes 0, 1, 2, 3, 4; B = rest }
train t = m on s using r { attack A with p }
evaluate t { PART }
"""


@pytest.mark.parametrize(
    ("part", "result", "classes"),
    [
        ("inA = robust accuracy under p on A_val", "t.inA", "01234"),
        # One evaluation measures the images of both.
        ("inA = robust accuracy under p on A_val; inB = robust accuracy under p on B_val", "t.inA", "01234"),
        ("inA = robust accuracy under p on A_val; all = robust accuracy under p on val", "t.all", "0123456789"),
    ],
)
def test_examples_are_of_the_images_that_the_result_is_over(
    finished: tuple[Plan, LocalStore], tmp_path: Path, part: str, result: str, classes: str
) -> None:
    (one,) = examples(*ran(PARTS.replace("PART", part), tmp_path, finished[1]))
    assert one.result == result
    assert one.pictures
    assert {picture.label for picture in one.pictures} <= set(classes)
