"""Images made on one network and shown to another, against attacks written out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend import measure as measuring
from satdsl.backend import weights
from satdsl.backend.datasets import load
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import Images, unit_scale
from satdsl.ir.steps import CatalogCall, Evaluate
from satdsl.ir.work import StepError

from .workshop import HOLDOUT, Workshop, call, columns_of, document, pgd, training

LINF = pgd(norm="Linf", eps=0.15, step_size=0.05, steps=4, keep="last")


@pytest.fixture
def networks(workshop: Workshop, few_digits: Path) -> tuple[Path, Path]:
    """Two networks of other seeds."""
    return tuple(workshop.do(training(2, seed=seed), data=few_digits) for seed in (0, 1))  # type: ignore[return-value]


@pytest.fixture
def images() -> Images:
    return split_holdout(load(call("digits", limit=200, limit_val=60), Path("nowhere")), HOLDOUT).val


def ascent(network: nn.Module, x: Tensor, y: Tensor, aim: Tensor | None = None) -> Tensor:
    """Four steps along the gradient's sign in a ball of 0.15 (Madry et al., 2018); down at `aim` where it is given."""
    start, x = x, x.clone()
    for _ in range(4):
        x.requires_grad_()
        logits = network(x)
        loss = F.cross_entropy(logits, y) if aim is None else -F.cross_entropy(logits, aim)
        (gradient,) = torch.autograd.grad(loss, x)
        x = torch.clamp(x.detach() + 0.05 * gradient.sign(), start - 0.15, start + 0.15).clamp(0, 1)
    return x


def by_hand(target: Path, source: Path, images: Images, least_likely: bool = False) -> np.ndarray:
    """Return `broken_by` of the target under images that are made on the source."""
    shown, attacked = weights.load(target), weights.load(source)
    x, y = unit_scale(images.pixels), images.labels
    wrong = shown(x).argmax(1) != y
    aim = attacked(x).detach().scatter(1, y[:, None], torch.inf).argmin(1) if least_likely else None
    broken = shown(ascent(attacked, x, y, aim)).argmax(1) != y
    return torch.where(wrong, 0, torch.where(broken, 1, -1)).numpy()


def made_on(
    workshop: Workshop, data: Path, target: Path, source: Path, attack: CatalogCall = LINF, **settings: int
) -> Path:
    return workshop.do(Evaluate(attack, "val", HOLDOUT, **settings), weights=target, source=source, data=data)  # type: ignore[arg-type]


def test_rows_are_those_of_the_other_networks_images(
    workshop: Workshop, few_digits: Path, networks: tuple[Path, Path], images: Images
) -> None:
    target, source = networks
    out = made_on(workshop, few_digits, target, source)
    rows = columns_of(out, "rows")
    expected = by_hand(target, source, images)
    assert np.array_equal(rows["index"], images.index.numpy())
    assert np.array_equal(rows["broken_by"], expected)
    assert set(expected) == {-1, 0, 1}
    assert not np.array_equal(expected, by_hand(target, target, images))
    assert not np.array_equal(expected, by_hand(source, target, images))
    assert set(rows["outcome"]) == {"withstands", "wrong without attack", "broken by pgd made on another network"}
    assert document(out / "facts.json")["attacks"] == ["pgd made on another network"]
    assert document(out / "facts.json")["accuracy"] == pytest.approx((expected == -1).mean())


def test_targets_are_those_of_the_network_that_is_attacked(
    workshop: Workshop, few_digits: Path, networks: tuple[Path, Path], images: Images
) -> None:
    target, source = networks
    aimed = pgd(norm="Linf", eps=0.15, step_size=0.05, steps=4, keep="last", target="least_likely")
    rows = columns_of(made_on(workshop, few_digits, target, source, aimed), "rows")
    assert np.array_equal(rows["broken_by"], by_hand(target, source, images, least_likely=True))


def test_images_made_on_the_network_itself_are_the_plain_attack(
    workshop: Workshop, few_digits: Path, networks: tuple[Path, Path]
) -> None:
    random = pgd(random_start="ball", restarts=2)
    found = columns_of(made_on(workshop, few_digits, networks[0], networks[0], random), "rows")
    plain = workshop.do(Evaluate(random, "val", HOLDOUT), weights=networks[0], data=few_digits)
    assert np.array_equal(found["broken_by"], columns_of(plain, "rows")["broken_by"])


def test_the_images_may_be_made_on_the_weights_after_an_epoch(
    workshop: Workshop, few_digits: Path, networks: tuple[Path, Path]
) -> None:
    long = workshop.do(training(3, seed=1, keep_weights=(2,)), data=few_digits)
    found = columns_of(made_on(workshop, few_digits, networks[0], long, source_epoch=2), "rows")
    ended = columns_of(made_on(workshop, few_digits, *networks), "rows")
    assert np.array_equal(found["broken_by"], ended["broken_by"])


def test_an_interrupted_measure_goes_on_with_the_same_images(
    workshop: Workshop, few_digits: Path, networks: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(measuring, "EVALUATION_BATCH", 16)
    monkeypatch.setattr(measuring, "SAVE_SECONDS", 0.0)
    random, (target, source) = pgd(random_start="ball"), networks
    whole = columns_of(made_on(workshop, few_digits, target, source, random), "rows")
    count = 0

    def stop(progress: object) -> None:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt

    settings = Evaluate(random, "val", HOLDOUT)
    inputs = {"weights": target, "source": source, "data": few_digits}
    with pytest.raises(KeyboardInterrupt):
        workshop.do(settings, scratch=tmp_path, report=stop, **inputs)
    assert list(tmp_path.iterdir())
    resumed = columns_of(workshop.do(settings, scratch=tmp_path, **inputs), "rows")
    assert np.array_equal(resumed["broken_by"], whole["broken_by"])


def test_what_gradients_lack_is_said_of_the_network_that_was_attacked(
    workshop: Workshop, few_digits: Path, networks: tuple[Path, Path], images: Images, tmp_path: Path
) -> None:
    """A network whose logits are a million times as large has no gradient left where it is right (single precision)."""
    flat = tmp_path / "flat"
    flat.mkdir()
    stored = weights.stored(networks[1])
    (last,) = (name for name in stored if name.endswith("fc.weight"))
    weights.save_weights(flat / "weights.safetensors", stored | {last: stored[last] * 1e6})
    (flat / "model.json").write_text((networks[1] / "model.json").read_text("utf-8"), "utf-8")
    said = document(made_on(workshop, few_digits, networks[0], flat) / "facts.json")
    attacked, right = (weights.load(each)(unit_scale(images.pixels)).argmax(1) == images.labels for each in networks)
    assert said["zero_gradients"] == pytest.approx(float(right[attacked].float().mean()))
    assert said["zero_gradients"] > 0.05
    assert any(text.startswith("of the network that the images were made on: ") for text in said["warnings"])
    other = document(made_on(workshop, few_digits, flat, networks[0]) / "facts.json")
    assert other["zero_gradients"] == 0
    assert other["warnings"] == []


def test_an_ensemble_has_no_images_to_show(workshop: Workshop, few_digits: Path, networks: tuple[Path, Path]) -> None:
    ensemble = call("autoattack", norm="Linf", eps=0.1, version="standard", attacks=(), batch=500)
    with pytest.raises(StepError, match="no images that could be shown"):
        made_on(workshop, few_digits, *networks, ensemble)
