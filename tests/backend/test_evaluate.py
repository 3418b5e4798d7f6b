"""Measures: rows per image, AutoAttack's parity with its authors' driver, scores, transfer."""

from __future__ import annotations

import logging
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyautoattack import AutoAttack, checks
from scipy.stats import entropy as scipy_entropy
from torch import Tensor

from satdsl.backend import measure as measuring
from satdsl.backend import weights
from satdsl.backend.attacks import autoattack as ours
from satdsl.backend.datasets import load
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import Images, unit_scale
from satdsl.backend.inference import logits
from satdsl.backend.models import Network, build
from satdsl.backend.randomness import global_state_preserved
from satdsl.ir.steps import Data, Evaluate, Head, Holdout, OfClasses, Pick, Rest, Score, Split
from satdsl.ir.work import Progress, StepError

from .workshop import HOLDOUT, Workshop, call, columns_of, document, pgd, sgd, training


def autoattack(**changed: Any) -> Any:
    settings = {"norm": "L2", "eps": 0.3, "version": "standard", "attacks": (), "batch": 500}
    return call("autoattack", **(settings | changed))


def some_digits(n: int) -> Images:
    return load(call("digits"), Path("nowhere")).val.at(torch.arange(n))


def standing(network: Network, images: Images) -> np.ndarray:
    right: np.ndarray = (logits(network, images, "cpu").argmax(1) == images.labels).numpy()
    return right


def attacked(network: Network, images: Images, attack: Any, scratch: Path, **changed: Any) -> np.ndarray:
    settings: dict[str, Any] = {"classes": 10, "device": "cpu", "scratch": scratch}
    return ours.autoattack(network, images, attack, standing=standing(network, images), **(settings | changed))[0]


# --- AutoAttack --------------------------------------------------------------------------------------


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attack takes a tenth of its iterations, or less."""
    published = ours.published
    monkeypatch.setattr(ours, "published", lambda *settings: shortened(published(*settings)))


def shortened(driver: AutoAttack) -> AutoAttack:
    driver.square.n_queries = 100
    driver.apgd.n_iter = driver.apgd_targeted.n_iter = driver.fab.n_iter = 10
    driver.apgd.n_iter_orig = driver.apgd_targeted.n_iter_orig = 10
    return driver


def assert_parity(reference: Path, scratch: Path, attack: Any, n: int, driver: AutoAttack) -> None:
    network, images = weights.load(reference), some_digits(n)
    broken_by = attacked(network, images, attack, scratch)
    x, y = unit_scale(images.pixels), images.labels
    _, predicted = driver.run_standard_evaluation(x, y, batch_size=attack["batch"])
    robust = (predicted == y).numpy()
    assert 0 < robust.sum() < standing(network, images).sum()
    assert (broken_by == -1).sum() == robust.sum()
    assert np.array_equal(broken_by == -1, robust)


def test_standard_autoattack_breaks_the_images_that_its_authors_driver_breaks(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the number of queries of the last attack is lower than published, for the time that they take.
    def fewer_queries(driver: AutoAttack) -> AutoAttack:
        driver.square.n_queries = 500
        return driver

    published = ours.published
    monkeypatch.setattr(ours, "published", lambda *settings: fewer_queries(published(*settings)))
    driver = fewer_queries(AutoAttack(weights.load(reference), norm="L2", eps=0.35, seed=0, version="standard"))
    with global_state_preserved():
        assert_parity(reference, tmp_path, autoattack(eps=0.35), 12, driver)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("norm", "eps", "version"),
    [("Linf", 0.06, "standard"), ("L2", 0.3, "plus"), ("L1", 0.9, "standard"), ("L2", 0.3, "rand")],
)
def test_autoattack_in_batches_breaks_the_images_that_its_authors_driver_breaks(
    reference: Path, tmp_path: Path, norm: str, eps: float, version: str
) -> None:
    attack = autoattack(norm=norm, eps=eps, version=version, batch=9)
    driver = shortened(AutoAttack(weights.load(reference), norm=norm, eps=eps, seed=0, version=version))
    with global_state_preserved():
        assert_parity(reference, tmp_path, attack, 16, driver)


def of_fewer_classes(reference: Path, classes: int) -> tuple[Network, Images]:
    """The network and 24 images of the first classes alone."""
    network, images = weights.load(reference), load(call("digits"), Path("nowhere")).val
    whole = network.head
    assert isinstance(whole, torch.nn.Linear)
    head = torch.nn.Linear(whole.in_features, classes)
    with torch.no_grad():
        head.weight.copy_(whole.weight[:classes])
        head.bias.copy_(whole.bias[:classes])
    network.replace_head(head)
    return network, images.at((images.labels < classes).nonzero()[:24, 0])


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("classes", "names"),
    [(3, ("apgd-ce", "fab-t", "square")), (5, ("apgd-ce", "apgd-t", "fab-t", "square"))],
)
def test_on_few_classes_each_attack_breaks_what_its_authors_code_breaks_with_all_wrong_classes_as_targets(
    reference: Path, tmp_path: Path, classes: int, names: tuple[str, ...]
) -> None:
    network, images = of_fewer_classes(reference, classes)
    attack = autoattack(norm="Linf", eps=0.13, version="custom", attacks=names)
    broken_by = attacked(network, images, attack, tmp_path, classes=classes)
    driver = shortened(AutoAttack(network.eval(), norm="Linf", eps=0.13, seed=0, version="custom", attacks=list(names)))
    driver.apgd_targeted.n_target_classes = driver.fab.n_target_classes = classes - 1
    x, y = unit_scale(images.pixels), images.labels
    expected = np.where(standing(network, images), -1, 0)
    with global_state_preserved():
        for k, name in enumerate(names, 1):
            driver.attacks_to_run = [name]
            left = np.flatnonzero(expected == -1)
            _, predicted = driver.run_standard_evaluation(x[left], y[left], batch_size=500)
            expected[left[(predicted != y[left]).numpy()]] = k
    assert np.array_equal(broken_by, expected)
    assert {-1, 1} < set(expected.tolist()), "one attack does all: the test shows little"


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_autoattack_works_on_few_classes(tmp_path: Path, classes: int) -> None:
    with weights.initial_weights(0):
        network = build(call("small_cnn", width=2), (1, 8, 8), classes, (0.3,), (0.4,)).eval()
    few = some_digits(6)
    images = Images(few.pixels, logits(network, few, "cpu").argmax(1), few.index)
    custom = autoattack(version="custom", attacks=("apgd-ce", "fab-t", "square"), eps=0.01)
    found = attacked(network, images, custom, tmp_path / "custom", classes=classes)
    assert set(found.tolist()) <= {-1, 1, 2, 3}
    if classes >= 4:
        driver = ours.published(network, autoattack(), classes, "cpu")
        assert driver.apgd_targeted.n_target_classes == driver.fab.n_target_classes == classes - 1
        assert set(attacked(network, images, autoattack(eps=1e-3), tmp_path / "s", classes=classes)) == {-1}
    else:
        for version in ("standard", "plus", "rand"):
            with pytest.raises(StepError, match="undefined") as caught:
                attacked(network, images, autoattack(version=version), tmp_path / "s", classes=classes)
            assert "custom" in caught.value.help


def test_autoattack_leaves_random_states_tracing_logging_and_the_network_as_they_were(
    reference: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, images = weights.load(reference).train(), some_digits(3)
    modes = [module.training for module in network.modules()]
    flags = [parameter.requires_grad for parameter in network.parameters()]
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
    caplog.clear()
    monkeypatch.setattr(checks, "check_randomized", lambda *given, logger, **more: logger.warning("odd"))
    handlers = list(logging.getLogger("auto-attack").handlers)

    def trace(frame: Any, event: str, argument: Any) -> None:
        return None

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        _, warned = ours.autoattack(
            network,
            images,
            autoattack(version="custom", attacks=("apgd-ce",)),
            classes=10,
            standing=np.ones(3, dtype=bool),
            device="cpu",
            scratch=tmp_path,
        )
        assert sys.gettrace() is trace
    finally:
        sys.settrace(previous)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1].tobytes(), random.getstate()) == before[1:]  # type: ignore[index]
    assert logging.getLogger("auto-attack").handlers == handlers
    assert [module.training for module in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == flags
    assert warned == ["odd"]
    assert caplog.records == []
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


class KilledError(Exception):
    pass


@pytest.mark.usefixtures("short")
def test_a_killed_autoattack_goes_on_where_it_was(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, images = weights.load(reference), some_digits(20)
    attack = autoattack(version="custom", attacks=("apgd-ce", "fab-t", "square"), eps=0.15, batch=3)
    whole = attacked(network, images, attack, tmp_path / "whole")
    first: list[Progress] = []
    second: list[Progress] = []
    monkeypatch.setattr(ours, "REPORT_SECONDS", -1.0)

    def kill(progress: Progress) -> None:
        first.append(progress)
        began = next((p.done for p in first if p.note.startswith("fab-t")), progress.done)
        if progress.done > began + 0.6 * 9 * 10 * 4:  # of nine targets, ten iterations, four passes' worth each
            raise KilledError

    with pytest.raises(KilledError):
        attacked(network, images, attack, tmp_path / "part", report=kill)
    again = attacked(network, images, attack, tmp_path / "part", report=second.append)
    assert np.array_equal(again, whole)
    assert set(whole.tolist()) >= {-1, 1}
    begun = min(p.done for p in first if p.note.startswith("fab-t"))
    assert first[-1].note.startswith("fab-t")
    assert begun + 1 < second[0].done <= first[-1].done, "it did not go on after the last finished batch"


@pytest.mark.usefixtures("short")
def test_autoattacks_progress_only_goes_forward_to_the_end(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "REPORT_SECONDS", -1.0)
    shares: list[float] = []
    attack = autoattack(version="custom", attacks=("apgd-ce", "apgd-t"), eps=0.05, batch=3)
    attacked(
        weights.load(reference),
        some_digits(6),
        attack,
        tmp_path,
        report=lambda p: shares.append(p.done / p.total),
    )
    assert shares == sorted(shares)
    assert shares[0] < 0.01
    assert 0.98 < shares[-1] <= 1


# --- rows --------------------------------------------------------------------------------------------


def test_rows_tell_wrong_from_broken_from_standing(workshop: Workshop, digits: Path, reference: Path) -> None:
    clean = workshop.do(Evaluate(None, "val", HOLDOUT), weights=reference, data=digits)
    robust = workshop.do(Evaluate(pgd(eps=0.4), "val", HOLDOUT), weights=reference, data=digits)
    rows, under = columns_of(clean, "rows"), columns_of(robust, "rows")
    images = split_holdout(load(call("digits"), Path("nowhere")), HOLDOUT).val
    right = standing(weights.load(reference), images)
    assert np.array_equal(rows["index"], images.index.numpy())
    assert np.array_equal(rows["label"], images.labels.numpy())
    assert np.array_equal(rows["correct"], right)
    assert np.array_equal(rows["broken_by"], np.where(right, -1, 0))
    assert np.array_equal(under["broken_by"] == 0, ~right)
    assert np.array_equal(under["correct"], under["broken_by"] == -1)
    assert {-1, 0, 1} == set(under["broken_by"].tolist())
    facts = document(robust / "facts.json")
    assert facts["n"] == len(images) == 322
    assert facts["attacks"] == ["pgd"]
    assert facts["clean"] == right.mean()
    assert facts["accuracy"] == under["correct"].mean()


def test_a_killed_measurement_goes_on_where_it_was(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "EVALUATION_BATCH", 10)
    monkeypatch.setattr(measuring, "SAVE_SECONDS", -1.0)
    network, images, done = weights.load(reference), some_digits(40), []
    attack = pgd(random_start="ball", eps=0.4)

    def measured(scratch: str, report: Any) -> np.ndarray:
        return measuring.measure(
            network, images, attack, classes=10, device="cpu", scratch=tmp_path / scratch, report=report
        ).broken_by

    def kill(progress: Progress) -> None:
        if progress.done > 20:
            raise KilledError

    def interrupt(progress: Progress) -> None:
        if progress.done == 20:
            raise KeyboardInterrupt

    whole = measured("whole", lambda progress: None)
    with pytest.raises(KilledError):
        measured("part", kill)
    assert np.array_equal(measured("part", lambda p: done.append(p.done)), whole)
    assert min(done) > 20

    monkeypatch.setattr(measuring, "SAVE_SECONDS", 100.0)  # an interrupt has its batches saved in any case
    done.clear()
    with pytest.raises(KeyboardInterrupt):
        measured("interrupted", interrupt)
    assert np.array_equal(measured("interrupted", lambda p: done.append(p.done)), whole)
    assert min(done) > 20


def test_parts_of_a_split_are_measured_by_class_and_by_table(workshop: Workshop, digits: Path, reference: Path) -> None:
    by_class = workshop.do(Split((OfClasses((1, 4)), Rest()), HOLDOUT), data=digits)
    by_draw = workshop.do(Split((Pick("random", 0.2, "examples", seed=1), Rest()), HOLDOUT), data=digits)

    def rows(part: Any, split: Path) -> dict[str, np.ndarray]:
        settings = Evaluate(None, part, HOLDOUT, subsets=(0,))
        return columns_of(workshop.do(settings, weights=reference, data=digits, split=split), "rows")

    assert set(rows("val", by_class)["label"].tolist()) == {1, 4}
    table = columns_of(by_draw, "split")
    assert np.array_equal(rows("train", by_draw)["index"], table["index"][table["subset"] == 0])
    with pytest.raises(StepError, match="whole classes"):
        rows("val", by_draw)


def test_a_network_for_other_images_is_refused(workshop: Workshop, reference: Path) -> None:
    data = workshop.do(Data(call("synthetic", classes=4, shape=(1, 8, 8), train=8, val=8, seed=0)))
    with pytest.raises(StepError, match="the data set has 1x8x8 and 4"):
        workshop.do(Evaluate(None, "val", None), weights=reference, data=data)


# --- scores ------------------------------------------------------------------------------------------


def test_scores_of_finished_weights_agree_with_scipy(workshop: Workshop, digits: Path, reference: Path) -> None:
    images = split_holdout(load(call("digits"), Path("nowhere")), Holdout(0.1, "train")).train
    p = logits(weights.load(reference), images, "cpu").double().softmax(1).numpy()
    expected = {
        "entropy": scipy_entropy(p, axis=1),
        "loss": -np.log(p[np.arange(len(p)), images.labels]),
        "confidence": 1 - p[np.arange(len(p)), images.labels],
    }
    for score, values in expected.items():
        out = workshop.do(Score(score, Holdout(0.1, "train")), weights=reference, data=digits)
        found = columns_of(out, "scores")
        assert np.array_equal(found["index"], images.index.numpy())
        assert np.allclose(found[score], values, atol=1e-9)
    for score in ("forgetting", "aum", "vog"):
        with pytest.raises(StepError, match=score):
            workshop.do(Score(score, None), weights=reference, data=digits)


# --- transfer ----------------------------------------------------------------------------------------


def frozen_part(folder: Path) -> dict[str, Tensor]:
    stored = weights.load_weights(folder / "weights.safetensors")
    return {name: tensor for name, tensor in stored.items() if not name.startswith("body.fc")}


@pytest.mark.parametrize("head", [call("linear"), call("mlp", hidden=16)])
@pytest.mark.parametrize("augment", [(), (call("crop", padding=1),)])
def test_a_transfer_freezes_everything_but_the_head_bit_for_bit(
    workshop: Workshop, few_digits: Path, reference: Path, head: Any, augment: Any
) -> None:
    settings = Head(head, sgd(20, lr=0.2), augment, HOLDOUT, seed=1)
    out = workshop.do(settings, weights=reference, data=few_digits)
    before, after = frozen_part(reference), frozen_part(out)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    evaluated = workshop.do(Evaluate(None, "val", HOLDOUT), weights=out, data=few_digits)
    assert document(evaluated / "facts.json")["accuracy"] > 0.6
    again = workshop.do(settings, weights=reference, data=few_digits)
    assert (again / "weights.safetensors").read_bytes() == (out / "weights.safetensors").read_bytes()


def test_grey_images_are_repeated_for_a_network_that_takes_colour(workshop: Workshop, few_digits: Path) -> None:
    colour = workshop.do(Data(call("synthetic", classes=3, shape=(3, 8, 8), train=60, val=30, seed=0)))
    source = workshop.do(training(1, mean=(0.5,) * 3, std=(0.2,) * 3, holdout=None), data=colour)
    out = workshop.do(Head(call("linear"), sgd(2), (), None), weights=source, data=few_digits)
    assert document(out / "model.json")["repeat"] == 3
    workshop.do(Evaluate(None, "val", None), weights=out, data=few_digits)
    grey = workshop.do(training(1, holdout=None), data=few_digits)
    with pytest.raises(StepError, match="channels"):
        workshop.do(Head(call("linear"), sgd(2), (), None), weights=grey, data=colour)


def test_a_killed_transfer_continues_with_the_same_bits(
    workshop: Workshop, few_digits: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from satdsl.backend.training_checkpoint import TrainingCheckpoint

    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    settings = Head(call("mlp", hidden=8), sgd(5), (call("crop", padding=1),), HOLDOUT)
    whole = workshop.do(settings, weights=reference, data=few_digits)

    def kill(progress: Progress) -> None:
        if progress.done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        workshop.do(settings, scratch=tmp_path, report=kill, weights=reference, data=few_digits)
    epochs: list[float] = []
    continued = workshop.do(
        settings, scratch=tmp_path, report=lambda p: epochs.append(p.done), weights=reference, data=few_digits
    )
    assert epochs[0] == 3
    assert (continued / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
