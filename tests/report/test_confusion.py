"""Confusion matrices: what is predicted for which class, without attack and under it, of the images of a part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from whole_runs import ran

from satdsl.backend import datasets, weights
from satdsl.backend.artifact_files import read_arrays, write_arrays
from satdsl.backend.evaluation_checkpoint import EvaluationCheckpoint
from satdsl.engine.local_store import LocalStore
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Data
from satdsl.report.artifact_reader import ArtifactReader
from satdsl.report.confusion import MOST_CLASSES, OTHERS, Confusion, confusions
from satdsl.report.drawing_cache import DrawingCache

SPEC = """sat 1
dataset d = digits(limit=200, limit_val=100)
model m = small_cnn(width=4)
attack p = pgd(norm=L2, eps=0.5, step_size=0.25, steps=3)
attack aa = autoattack(norm=L2, eps=0.3, version=custom, attacks=[apgd-ce])
recipe r = sgd(epochs=3, batch=32, lr=0.1)
split s of d { A = classes 0, 1, 2; B = rest }
train t = m on s using r
evaluate t {
  clean = clean accuracy on val
  robust = robust accuracy under p on A_val, val
  strong = robust accuracy under aa on val
}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, LocalStore]:
    return ran(SPEC, tmp_path_factory.mktemp("confusion"))


def test_without_attack_it_is_what_the_network_says(finished: tuple[Plan, LocalStore]) -> None:
    plan, store = finished
    (clean,) = [one for one in confusions(plan, store) if one.result == "t.clean"]
    data = next(step.settings for step in plan.steps.values() if isinstance(step.settings, Data))
    train = next(key for key, step in plan.steps.items() if step.kind == "train")
    images = datasets.load(data.source, Path()).val
    network = weights.load(store.folder(train), "cpu").eval()
    with torch.inference_mode():
        predicted = network(images.pixels.float() / 255).argmax(1).numpy()
    wanted = np.zeros((10, 10), int)
    np.add.at(wanted, (images.labels.numpy(), predicted), 1)
    assert np.array_equal(clean.counts, wanted)


def test_under_attack_its_diagonal_is_what_withstands(finished: tuple[Plan, LocalStore]) -> None:
    plan, store = finished
    found = {(one.result, one.part): one for one in confusions(plan, store)}
    assert found.keys() == {("t.clean", "val"), ("t.robust", "A_val"), ("t.robust", "val"), ("t.strong", "val")}
    artifacts = ArtifactReader(store)
    for result in plan.results:
        one = found[result.name, result.part.name]
        standing = artifacts.correct(result.measure.evaluations[0])
        own = np.isin(standing.label, [0, 1, 2]) if result.part.name == "A_val" else np.full(len(standing.index), True)
        assert np.diag(one.counts).sum() == standing.values[own].sum()
        assert one.counts.sum() == own.sum()
    assert found["t.robust", "A_val"].shown[0] == ("0", "1", "2")
    assert np.diag(found["t.robust", "val"].counts).sum() < np.diag(found["t.clean", "val"].counts).sum()


def test_of_many_classes_those_with_the_most_errors_are_drawn() -> None:
    counts = np.diag(np.full(50, 10))
    counts[:25, 49] = np.arange(25)
    down, across, shown = Confusion("t.clean", (), "val", "", tuple(f"c{i}" for i in range(50)), counts).shown
    assert down == tuple(f"c{i}" for i in range(25 - MOST_CLASSES, 25))
    assert across == (*down, OTHERS)
    assert shown[:, -1].tolist() == list(range(25 - MOST_CLASSES, 25))
    assert shown.sum() == counts[25 - MOST_CLASSES : 25].sum()


def test_the_page_says_what_each_cell_is(finished: tuple[Plan, LocalStore]) -> None:
    found = confusions(*finished)
    drawn = list(DrawingCache().confusions(found))
    assert len(drawn) == len(found)
    one, svg = drawn[0]
    right, of = one.counts[3, 3], one.counts[3].sum()
    assert f"3 predicted as 3: {right} of {of} ({right / of:.1%})" in svg


@pytest.mark.parametrize("old", [False, True])
def test_what_is_predicted_under_attack_goes_on_after_an_interruption_unless_an_old_version_began(
    tmp_path: Path, old: bool
) -> None:
    """By hand: of the classes 0 to 3 the second and the last are taken for 3 and 2; the last after the interruption."""
    path, standing = tmp_path / "attacked.npz", np.array([True, True, False, True])
    pixels, labels = torch.zeros(4, 1, 1, 1), torch.tensor([0, 1, 2, 3])
    first = EvaluationCheckpoint.load(path, standing, None, misled=np.full(4, -1, np.int64))
    first.record(torch.tensor([0, 1]), pixels[:2], labels[:2], pixels[:2], torch.tensor([0, 3]))
    first.save()
    if old:
        write_arrays(path, {name: array for name, array in read_arrays(path).items() if name != "misled"})
    misled = np.full(4, -1, np.int64)
    second = EvaluationCheckpoint.load(path, standing, None, misled=misled)
    second.record(torch.tensor([3]), pixels[3:], labels[3:], pixels[3:], torch.tensor([2]))
    assert second.broken_by.tolist() == [-1, 1, 0, 1]
    assert misled.tolist() == [-1, -1 if old else 3, -1, 2]
