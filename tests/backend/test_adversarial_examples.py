"""What an evaluation keeps of a few images: the same under every attack, and what the attack made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from satdsl.backend import measure as measuring
from satdsl.backend import weights
from satdsl.backend.adversarial_examples import COUNT
from satdsl.backend.attacks import autoattack as ours
from satdsl.backend.images import Images
from satdsl.ir.steps import CatalogCall, Evaluate
from satdsl.ir.work import Progress

from .test_evaluate import KilledError, autoattack, shortened, some_digits
from .workshop import HOLDOUT, Workshop, arrays, columns_of, document, pgd


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    published = ours.published
    monkeypatch.setattr(ours, "published", lambda *settings: shortened(published(*settings)))


def measured(
    network: torch.nn.Module,
    images: Images,
    attack: CatalogCall | None,
    scratch: Path,
    report: Any = lambda progress: None,
) -> measuring.Rows:
    return measuring.measure(network, images, attack, classes=10, device="cpu", scratch=scratch, report=report)


def predicted(network: Any, images: np.ndarray) -> np.ndarray:
    """By a pass of its own over images in [0, 1]."""
    with torch.no_grad():
        found: np.ndarray = network.eval()(torch.from_numpy(images.astype(np.float32))).argmax(1).numpy()
    return found


ATTACKS = [
    pgd(eps=0.4),
    pgd(eps=0.4, random_start="ball", keep="last"),
    CatalogCall("fgsm", (("norm", "Linf"), ("eps", 0.1), ("random_start", "ball"), ("step_size", None))),
    autoattack(eps=0.3, batch=20),
    autoattack(eps=0.3, version="plus"),
    autoattack(norm="Linf", eps=0.06, version="rand"),
    autoattack(eps=0.6, version="custom", attacks=("square",)),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.name}-{attack.get('version', '')}")
def test_examples_show_the_adversarial_images_that_the_rows_speak_of(
    workshop: Workshop, few_digits: Path, reference: Path, attack: CatalogCall
) -> None:
    out = workshop.do(Evaluate(attack, "val", HOLDOUT), weights=reference, data=few_digits)
    rows, kept = columns_of(out, "rows"), arrays(out / "examples.npz")
    places = np.searchsorted(rows["index"], kept["index"])
    broken_by = rows["broken_by"][places]
    assert places.tolist() == np.linspace(0, len(rows["index"]) - 1, COUNT).round().tolist()
    assert np.array_equal(kept["label"], rows["label"][places])
    assert (kept["pixels"].dtype, kept["perturbation"].dtype) == (np.uint8, np.float16)

    network, clean = weights.load(reference), kept["pixels"] / 255
    adversarial = clean + kept["perturbation"].astype(np.float64)
    assert np.array_equal(kept["predicted"], predicted(network, clean))
    assert np.array_equal(kept["predicted"] != kept["label"], broken_by == 0)
    assert np.array_equal(kept["attacked"] == kept["label"], broken_by == -1)
    untouched = broken_by <= 0 if attack.name == "autoattack" else broken_by == 0
    moved = kept["perturbation"].astype(np.float64).reshape(len(places), -1)
    assert np.array_equal((moved == 0).all(1), untouched)
    size = np.abs(moved).max(1) if attack["norm"] == "Linf" else np.linalg.norm(moved, axis=1)
    assert (size <= attack["eps"] * 1.002).all()
    assert adversarial.min() > -1e-3
    assert adversarial.max() < 1 + 1e-3
    # Half precision hardly moves an image; at most one of six may lie on the edge between two classes.
    assert (predicted(network, adversarial) == kept["attacked"]).sum() >= COUNT - 1
    assert (broken_by > 0).any(), "the attack breaks none of them: the test shows little"


def test_every_attack_is_shown_on_the_same_images(workshop: Workshop, few_digits: Path, reference: Path) -> None:
    pixels = [
        arrays(workshop.do(Evaluate(attack, "val", HOLDOUT), weights=reference, data=few_digits) / "examples.npz")
        for attack in (pgd(eps=0.1), pgd(eps=0.5))
    ]
    assert np.array_equal(pixels[0]["pixels"], pixels[1]["pixels"])


def test_clean_accuracy_has_no_examples(workshop: Workshop, few_digits: Path, reference: Path) -> None:
    out = workshop.do(Evaluate(None, "val", HOLDOUT), weights=reference, data=few_digits)
    assert sorted(path.name for path in out.iterdir()) == ["facts.json", "rows.parquet"]


def test_fewer_images_than_examples_are_all_shown(reference: Path, tmp_path: Path) -> None:
    found = measured(weights.load(reference), some_digits(3), pgd(eps=0.4), tmp_path).examples
    assert found is not None
    assert found.rows.tolist() == [0, 1, 2]


def test_examples_cost_no_pass(reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, images, passes = weights.load(reference), some_digits(12), []
    refresh = measuring.AttackCopy.refresh

    def counting(frozen: measuring.AttackCopy) -> torch.nn.Module:
        attacked = refresh(frozen)
        attacked.register_forward_hook(lambda module, args, output: passes.append(len(args[0])))
        return attacked

    monkeypatch.setattr(measuring.AttackCopy, "refresh", counting)
    found = measured(network, images, pgd(eps=0.4, steps=3, keep="last"), tmp_path)
    assert sum(passes) == (found.broken_by != 0).sum() * (3 + 1)


@pytest.mark.parametrize(
    "attack",
    [pgd(random_start="ball", eps=0.4), autoattack(version="custom", attacks=("apgd-ce", "square"), eps=0.2, batch=10)],
    ids=["pgd", "autoattack"],
)
def test_a_killed_evaluation_ends_with_the_examples_of_one_that_was_not(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: CatalogCall
) -> None:
    monkeypatch.setattr(measuring, "EVALUATION_BATCH", 10)
    monkeypatch.setattr(measuring, "SAVE_SECONDS", -1.0)
    monkeypatch.setattr(ours, "REPORT_SECONDS", -1.0)
    network, images = weights.load(reference), some_digits(40)

    def kill(progress: Progress) -> None:
        if progress.done > 0.6 * progress.total:
            raise KilledError

    whole = measured(network, images, attack, tmp_path / "whole")
    with pytest.raises(KilledError):
        measured(network, images, attack, tmp_path / "part", kill)
    (saved,) = (tmp_path / "part").iterdir()
    assert (arrays(saved)["perturbation"] != 0).any(), "nothing was kept before the kill: the test shows little"
    again = measured(network, images, attack, tmp_path / "part")
    assert whole.examples is not None
    assert again.examples is not None
    assert np.array_equal(again.broken_by, whole.broken_by)
    assert np.array_equal(again.examples.perturbation, whole.examples.perturbation)
    assert np.array_equal(again.examples.attacked, whole.examples.attacked)


def test_examples_leave_the_rows_as_they_were(workshop: Workshop, few_digits: Path, reference: Path) -> None:
    out = workshop.do(Evaluate(pgd(eps=0.4), "val", HOLDOUT), weights=reference, data=few_digits)
    assert sorted(columns_of(out, "rows")) == sorted(
        ["attacked", "broken_by", "correct", "index", "label", "outcome", "predicted"]
    )
    assert "examples" not in document(out / "facts.json")
