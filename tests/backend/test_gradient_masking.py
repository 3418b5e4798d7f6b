"""Signs that gradients mislead attacks: on networks that have them, and none on those that have not."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from satdsl.backend import weights
from satdsl.backend.attacks import autoattack as ours
from satdsl.backend.datasets import load
from satdsl.backend.gradient_masking import gradient_counts, reworded_warning, square_warnings
from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.models import Network
from satdsl.ir.steps import Evaluate

from .workshop import HOLDOUT, Workshop, arrays, call, document, pgd


def digits_of(n: int) -> Images:
    return load(call("digits"), Path("nowhere")).val.at(torch.arange(n))


def saturated(reference: Path, factor: float) -> Network:
    """The same predictions with so large logits that the softmax is 1 and 0 for most images."""
    network = weights.load(reference)
    with torch.no_grad():
        network.head.weight.mul_(factor)  # type: ignore[union-attr, operator]
        network.head.bias.mul_(factor)  # type: ignore[union-attr, operator]
    return network


def test_saturated_logits_leave_no_gradient(reference: Path) -> None:
    images = digits_of(120)
    assert gradient_counts(weights.load(reference), images, "cpu") == (0, 0)
    network = saturated(reference, 300)
    right = (logits(network, images, "cpu").argmax(1) == images.labels).nonzero()[:, 0]
    top = logits(network, images.at(right), "cpu").topk(2).values
    sure = int(((top[:, 0] - top[:, 1]) > 110).sum())  # exp(-104) is the least float32 above 0
    assert sure > 0.2 * len(right)
    assert gradient_counts(network, images.at(right), "cpu") == (pytest.approx(sure, abs=0.05 * len(right)), 0)
    assert gradient_counts(network, images.at(right[:0]), "cpu") == (0, 0)


def test_an_evaluation_without_gradients_warns_and_says_the_way_out(
    workshop: Workshop, digits: Path, reference: Path, tmp_path: Path
) -> None:
    masked = tmp_path / "masked"
    weights.save(masked, weights.describe(reference), saturated(reference, 300).state_dict())
    measured = Evaluate(pgd(eps=0.4), "val", HOLDOUT)
    out = workshop.do(measured, weights=masked, data=digits)
    facts = document(out / "facts.json")
    (warning,) = facts["warnings"]
    assert facts["zero_gradients"] > 0.2
    assert f"zero on {facts['zero_gradients']:.0%} of the images" in warning
    assert "measure with autoattack" in warning
    sound = document(workshop.do(measured, weights=reference, data=digits) / "facts.json")
    assert (sound["zero_gradients"], sound["warnings"]) == (0, [])
    # The warning is true: the same network, with its gradients, stands far less.
    assert facts["accuracy"] > sound["accuracy"] + 0.1
    assert "zero_gradients" not in document(
        workshop.do(Evaluate(None, "val", HOLDOUT), weights=masked, data=digits) / "facts.json"
    )


def broken(standing: int, square: int, others: int) -> np.ndarray:
    return np.array([-1] * standing + [3] * square + [1] * others + [0] * 5, dtype=np.int8)


def test_a_black_box_that_breaks_what_gradients_left_is_a_warning() -> None:
    attacks = ("apgd-ce", "apgd-t", "square")
    (warning,) = square_warnings(broken(standing=90, square=10, others=50), attacks)
    assert "broke 10 of the 100 images" in warning
    assert "adapted" in warning
    assert square_warnings(broken(standing=95, square=5, others=50), attacks) == []
    assert square_warnings(broken(standing=3, square=1, others=50), attacks) == []
    assert square_warnings(broken(standing=90, square=10, others=50), ("apgd-ce", "apgd-t", "fab-t")) == []
    assert square_warnings(np.array([-1, 1, 1, 1], dtype=np.int8), ("square", "apgd-ce")) == []


def test_what_the_published_code_logs_is_told_in_a_users_words(reference: Path, tmp_path: Path) -> None:
    class Moody(torch.nn.Module):
        """Answers differently every time, in probabilities."""

        def __init__(self) -> None:
            super().__init__()
            self.network = weights.load(reference)
            self.mood = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.mood += 1 if x.sum() > -1 else 0  # which cannot be traced
            answer: torch.Tensor = (self.network(x) * (1 + self.mood % 7)).softmax(1)
            return answer

    images = digits_of(4)
    choice = call("autoattack", norm="L2", eps=0.1, version="custom", attacks=("apgd-ce",), batch=500)
    _, warned = ours.autoattack(
        Moody(), images, choice, classes=10, standing=np.ones(4, dtype=bool), device="cpu", scratch=tmp_path
    )
    assert any("autoattack(version=rand)" in text for text in warned)
    assert any("probabilities, not logits" in text for text in warned)
    assert not any("flags_doc" in text for text in warned)
    assert reworded_warning("something new") == "something new"


def test_a_continued_autoattack_still_warns_of_what_it_met_before_the_kill(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    published, kill = ours.published, [True]

    def doubtful(*settings: Any) -> Any:
        driver = published(*settings)
        evaluate = driver.run_standard_evaluation

        def run(*batch: Any, **more: Any) -> Any:
            if driver.attacks_to_run == ["square"] and kill.pop():
                raise KilledError
            if driver.attacks_to_run == ["apgd-ce"]:
                logging.getLogger("auto-attack").warning("odd")
            return evaluate(*batch, **more)

        driver.run_standard_evaluation = run
        driver.square.n_queries = 10
        return driver

    monkeypatch.setattr(ours, "published", doubtful)
    choice = call("autoattack", norm="L2", eps=0.01, version="custom", attacks=("apgd-ce", "square"), batch=500)
    settings: dict[str, Any] = {"classes": 10, "standing": np.ones(3, dtype=bool), "device": "cpu"}
    network, images = weights.load(reference), digits_of(3)
    with pytest.raises(KilledError):
        ours.autoattack(network, images, choice, scratch=tmp_path, **settings)
    kill.append(False)
    assert ours.autoattack(network, images, choice, scratch=tmp_path, **settings)[1] == ["odd"]
    assert arrays(tmp_path / "autoattack.npz")["position"].tolist() == [3, 0]
