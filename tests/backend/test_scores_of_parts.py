"""Scores of validation images, of attacked images, and the spread of a probability, against values written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend import attacked_images, weights
from satdsl.backend.attacked_images import AttackedImages
from satdsl.backend.datasets import load
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import Images, unit_scale
from satdsl.ir.steps import CatalogCall, Score
from satdsl.ir.work import StepError

from .workshop import HOLDOUT, Workshop, call, columns_of, pgd, training

LINF = pgd(norm="Linf", eps=0.15, step_size=0.05, steps=4, keep="last")


@pytest.fixture
def network(workshop: Workshop, few_digits: Path) -> Path:
    return workshop.do(training(2), data=few_digits)


def images(part: str) -> Images:
    parts = split_holdout(load(call("digits", limit=200, limit_val=60), Path("nowhere")), HOLDOUT)
    return parts.val if part == "val" else parts.train


def attacked(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Four steps along the gradient's sign in a ball of 0.15 (Madry et al., 2018)."""
    start, x = x, x.clone()
    for _ in range(4):
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(x), y), x)
        x = torch.clamp(x.detach() + 0.05 * gradient.sign(), start - 0.15, start + 0.15).clamp(0, 1)
    return x


def by_hand(network: nn.Module, x: Tensor, y: Tensor) -> dict[str, np.ndarray]:
    z, rows = network(x).detach().double().numpy(), np.arange(len(y))
    p, label = softmax(z, axis=1), y.numpy()
    others = p.copy()
    others[rows, label] = -np.inf
    lengths = []
    for one, its in zip(x, y, strict=True):
        network.zero_grad()
        F.cross_entropy(network(one[None]), its[None]).backward()
        found = [weight.grad for weight in network.parameters() if weight.grad is not None]
        lengths.append(torch.cat([gradient.flatten() for gradient in found]).norm().item())
    return {
        "loss": -np.log(p[rows, label]),
        "entropy": -(p * np.log(p)).sum(1),
        "margin": others.max(1) - p[rows, label],
        "confidence": 1 - p[rows, label],
        "el2n": np.linalg.norm(p - np.eye(p.shape[1])[label], axis=1),
        "grand": np.array(lengths),
    }


@pytest.mark.parametrize("part", ["val", "train"])
@pytest.mark.parametrize("attack", [None, LINF], ids=["clean", "attacked"])
def test_scores_are_those_of_the_images_of_the_part(
    workshop: Workshop, few_digits: Path, network: Path, part: str, attack: CatalogCall | None
) -> None:
    of, own = images(part), weights.load(network)
    x, y = unit_scale(of.pixels), of.labels
    expected = by_hand(own, x if attack is None else attacked(own, x, y), y)
    for score, values in expected.items():
        settings = Score(score, HOLDOUT if part == "val" else None, part=part, attack=attack)  # type: ignore[arg-type]
        found = columns_of(workshop.do(settings, weights=network, data=few_digits), "scores")
        assert np.array_equal(found["index"], of.index.numpy())
        assert np.allclose(found[score], values, rtol=2e-3, atol=1e-4), score


def test_an_attacked_image_is_the_same_whatever_the_batch_that_is_asked_for(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacked_images, "EVALUATION_BATCH", 20)
    made = AttackedImages.of(images("val"), weights.load(network), pgd(random_start="ball", restarts=2))
    whole = torch.cat([x for x, _ in made.batches(500, "cpu")])
    for size in (1, 7, 20):
        batches = list(made.batches(size, "cpu"))
        assert max(len(x) for x, _ in batches) == size
        assert torch.equal(torch.cat([x for x, _ in batches]), whole)
        assert torch.equal(torch.cat([y for _, y in batches]), made.labels)
    with torch.inference_mode():
        assert torch.equal(torch.cat([x for x, _ in made.batches(500, "cpu")]), whole)
    plain = unit_scale(made.pixels)
    assert (whole - plain).flatten(1).norm(dim=1).max() <= 0.5 + 1e-5
    assert not torch.equal(whole, plain)


def test_an_ensemble_has_no_images_to_score(workshop: Workshop, few_digits: Path, network: Path) -> None:
    ensemble = call("autoattack", norm="Linf", eps=0.1, version="standard", attacks=(), batch=500)
    with pytest.raises(StepError, match="no images that could be scored"):
        workshop.do(Score("loss", None, attack=ensemble), weights=network, data=few_digits)


def test_the_spread_is_the_standard_deviation_of_the_labels_probability(workshop: Workshop, few_digits: Path) -> None:
    """Swayamdipta et al. (2020): the population's standard deviation over the epochs."""
    settings = training(3, snapshots=(1, 2, 3), keep_weights=(1, 2, 3), scores=("spread-confidence",))
    out = workshop.do(settings, data=few_digits)
    of, found = images("train"), []
    for epoch in (1, 2, 3):
        z = weights.load(out, epochs=epoch)(unit_scale(of.pixels)).detach().double().numpy()
        found.append(softmax(z, axis=1)[np.arange(len(of)), of.labels.numpy()])
    scores = columns_of(out, "scores")
    assert np.allclose(scores["spread-confidence"], np.std(found, axis=0), atol=1e-6)
    assert np.allclose(scores["snapshot-confidence"], 1 - np.mean(found, axis=0), atol=1e-6)
    plain = columns_of(workshop.do(training(3, snapshots=(1, 2, 3)), data=few_digits), "scores")
    assert "spread-confidence" not in plain
    assert all(np.array_equal(scores[name], column) for name, column in plain.items())
