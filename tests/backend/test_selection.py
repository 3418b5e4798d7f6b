"""Which checkpoint of a training is kept: that which measuring all of them in full on the hold-out would choose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from satdsl.backend import measure as measuring
from satdsl.backend import model_selection, weights
from satdsl.backend.candidate_race import Race
from satdsl.backend.counted_passes import counted
from satdsl.backend.datasets import load
from satdsl.backend.evaluation_checkpoint import EvaluationCheckpoint, Pause
from satdsl.backend.holdout import DataParts, split_holdout
from satdsl.backend.measure import measure
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.catalog.attacks.autoattack import shortened
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall, Holdout, Selection, SubsetTraining, Train
from satdsl.ir.work import Progress, StepError
from satdsl.plan import cost

from .workshop import Workshop, call, document, pgd, sgd, training, weights_of

HALF = Holdout(0.5, "val")
AUTOATTACK = shortened(call("autoattack", norm="L2", eps=0.3, batch=8))
RULES = {
    "pgd": (pgd(eps=0.3),),
    "autoattack": (AUTOATTACK,),
    "both": (pgd(eps=0.3), AUTOATTACK),
    "clean": (),
}


def step(attacks: tuple[CatalogCall, ...], epochs: int = 4) -> Train:
    every = tuple(range(1, epochs + 1))
    recipe = sgd(epochs, lr=0.3)
    subsets = (SubsetTraining(pgd(eps=0.3), 1.0),)
    rule = Selection(attacks, every)
    return training(epochs, recipe=recipe, subsets=subsets, holdout=HALF, select=rule, keep_weights=every)


@pytest.fixture(scope="module")
def parts() -> DataParts:
    return split_holdout(load(call("digits", limit=200, limit_val=60), Path("nowhere")), HALF)


def in_full(out: Path, rule: tuple[CatalogCall, ...], parts: DataParts, scratch: Path) -> dict[int, float]:
    """The share of the hold-out that withstands all attacks, of every candidate, each measured by itself."""
    values, images = {}, parts.selection
    assert images is not None
    for epoch in document(out / "selection.json")["candidates"]:
        network = weights.load(out, epochs=epoch["epoch"])
        right = np.ones(len(images), dtype=bool)
        for k, attack in enumerate(rule or (None,)):
            place = scratch / f"{epoch['epoch']}-{k}"
            right &= measure(network, images, attack, classes=10, device="cpu", scratch=place).correct
        values[epoch["epoch"]] = float(right.mean())
    return values


def outcome(folder: Path) -> Any:
    return weights_of(folder), document(folder / "selection.json")


def same(left: Any, right: Any) -> bool:
    alike = all(torch.equal(left[0][name], right[0][name]) for name in left[0] | right[0])
    return alike and left[1] == right[1]


@pytest.mark.parametrize("name", RULES)
def test_the_kept_epoch_is_that_of_measuring_every_candidate_in_full(
    workshop: Workshop, few_digits: Path, parts: DataParts, tmp_path: Path, name: str
) -> None:
    out = workshop.do(step(RULES[name]), data=few_digits)
    found = document(out / "selection.json")
    with counted() as every:
        values = in_full(out, RULES[name], parts, tmp_path)
    assert found["chosen"] == max(values, key=lambda epoch: values[epoch]), "of equals the first"
    kept = weights.load_weights(out / f"weights-epoch-{found['chosen']}.safetensors")
    assert all(torch.equal(kept[n], tensor) for n, tensor in weights_of(out).items())
    for one in found["candidates"]:
        value = values[one["epoch"]]
        assert one["value"] >= value if one.get("at_most") else one["value"] == value
    assert found["n"] == 30
    planned, made = cost.robust(RULES[name], 10).times(4 * 30), Passes(**found["passes"])
    assert made.forward_backward <= every.passes.forward_backward <= planned.forward_backward
    assert 4 * 30 <= made.forward <= every.passes.forward <= planned.forward
    exact = [one["epoch"] for one in found["candidates"] if not one.get("at_most")]
    assert found["chosen"] in exact
    assert (len(exact) < 4) == bool(RULES[name]), "and not all of them were attacked to the end"


def test_selection_sees_the_holdout_only(
    workshop: Workshop, few_digits: Path, parts: DataParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []
    for name in ("measure", "logits"):
        original = getattr(model_selection, name)

        def watched(network: Any, images: Any, *rest: Any, original: Any = original, **more: Any) -> Any:
            seen.append(set(images.index.tolist()))
            return original(network, images, *rest, **more)

        monkeypatch.setattr(model_selection, name, watched)
    workshop.do(step(RULES["pgd"], 2), data=few_digits)
    assert parts.selection is not None
    assert len(seen) >= 3
    assert all(indices == set(parts.selection.index.tolist()) for indices in seen)


def test_selecting_without_a_holdout_is_refused(workshop: Workshop, few_digits: Path) -> None:
    with pytest.raises(StepError, match="no hold-out"):
        workshop.do(training(1, holdout=None, select=Selection((), (1,))), data=few_digits)


def folders(scratch: Path) -> list[str]:
    return sorted(path.name for path in (scratch / "selection").glob("*"))


def test_a_small_pool_of_candidates_chooses_the_same_and_keeps_no_more_weights_than_fit(
    workshop: Workshop, few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = outcome(workshop.do(step(RULES["autoattack"]), data=few_digits))
    monkeypatch.setattr(model_selection, "Race", partial(Race, 2))
    most = 0

    def look(progress: Progress) -> None:
        nonlocal most
        most = max(most, len(folders(tmp_path)))

    small = outcome(workshop.do(step(RULES["autoattack"]), data=few_digits, scratch=tmp_path, report=look))
    assert same((small[0], small[1]["chosen"]), (whole[0], whole[1]["chosen"]))
    assert most == 2
    assert folders(tmp_path) == [f"epoch-{small[1]['chosen']}"]


class KilledError(Exception):
    pass


def killed_at(note: str, count: int) -> Callable[[Progress], None]:
    """Kills a training at the `count`-th time that it reports such a thing."""
    times = 0

    def report(progress: Progress) -> None:
        nonlocal times
        times += note in progress.note
        if times == count:
            raise KilledError

    return report


@pytest.mark.parametrize(
    ("most", "note", "count"), [(2, "square", 1), (8, "fab-t", 3), (8, "selecting", 1), (2, "apgd-t", 4)]
)
def test_a_killed_race_goes_on_from_where_it_was(
    workshop: Workshop,
    few_digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    note: str,
    count: int,
) -> None:
    monkeypatch.setattr("satdsl.backend.attacks.autoattack.REPORT_SECONDS", 0)
    monkeypatch.setattr(model_selection, "Race", partial(Race, most))
    settings = step(RULES["both"], 3)
    made = batches(monkeypatch)
    whole = outcome(workshop.do(settings, data=few_digits))
    needed = made.copy()
    made.clear()
    with pytest.raises(KilledError):
        workshop.do(settings, data=few_digits, scratch=tmp_path, report=killed_at(note, count))
    continued = outcome(workshop.do(settings, data=few_digits, scratch=tmp_path))
    assert same(continued, whole)
    assert len(needed) <= len(made) <= len(needed) + 1, "no batch is attacked twice but the one that was killed"


def batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What is attacked from now on: batches of positions."""
    made: list[tuple[str, int]] = []
    original = EvaluationCheckpoint.batches

    def counted(self: EvaluationCheckpoint, *args: Any) -> Any:
        for batch in original(self, *args):
            made.append((str(self.path), self.start))
            yield batch

    monkeypatch.setattr(EvaluationCheckpoint, "batches", counted)
    monkeypatch.setattr(measuring, "SAVE_SECONDS", -1.0)
    return made


def test_a_training_that_is_killed_with_candidates_waiting_keeps_them(
    workshop: Workshop, few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    settings = step(RULES["pgd"])
    whole = outcome(workshop.do(settings, data=few_digits))
    with pytest.raises(KilledError):
        workshop.do(settings, data=few_digits, scratch=tmp_path, report=killed_at("epoch 4 of 4", 1))
    waiting = folders(tmp_path)
    assert "epoch-3" in waiting
    epochs: list[float] = []
    continued = workshop.do(settings, data=few_digits, scratch=tmp_path, report=lambda p: epochs.append(p.done))
    assert min(epochs) >= 3
    assert same(outcome(continued), whole)


def test_a_training_whose_candidates_are_lost_begins_anew(
    workshop: Workshop, few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    settings = step(RULES["pgd"], 3)
    whole = outcome(workshop.do(settings, data=few_digits))
    with pytest.raises(KilledError):
        workshop.do(settings, data=few_digits, scratch=tmp_path, report=killed_at("epoch 3 of 3", 1))
    (tmp_path / "selection" / folders(tmp_path)[0] / "weights.safetensors").unlink()
    assert same(outcome(workshop.do(settings, data=few_digits, scratch=tmp_path)), whole)


@pytest.mark.parametrize("name", ["pgd", "autoattack"])
def test_a_measurement_that_pauses_before_every_batch_comes_to_the_same_rows(
    reference: Path, digits: Path, parts: DataParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(measuring, "EVALUATION_BATCH", 8)
    images, network = parts.selection, weights.load(reference)
    assert images is not None
    given: dict[str, Any] = {"classes": 10, "device": "cpu"}
    whole = measure(network, images, RULES[name][0], **given, scratch=tmp_path / "whole")

    class EverySecond(Pause):
        asked = 0

        def due(self) -> bool:
            self.asked += 1
            return self.asked % 2 == 1

    pause, turns = EverySecond(), 0
    while True:
        rows = measure(network, images, RULES[name][0], **given, scratch=tmp_path / "turns", pause=pause)
        turns += 1
        assert pause.state is not None
        if not pause.state.paused:
            break
        assert (rows.broken_by[rows.broken_by != -1] == whole.broken_by[rows.broken_by != -1]).all()
    assert turns > 2
    assert (rows.broken_by == whole.broken_by).all()
    assert whole.examples is not None
    assert rows.examples is not None
    assert np.array_equal(rows.examples.perturbation, whole.examples.perturbation)
    assert rows.warnings == whole.warnings
