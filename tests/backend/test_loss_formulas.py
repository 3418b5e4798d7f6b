"""Losses that are written as formulas, against numpy in double precision and against what their papers released."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend.losses import SubsetTerm, subset_method, train_pass
from satdsl.backend.recipes import Recipe
from satdsl.backend.registry import bound
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import Data, OfClasses, Rest, Split, SubsetTraining, Train
from satdsl.ir.work import Progress, StepError
from tests.backend import workshop as w
from tests.backend.test_losses import Plain, batch
from tests.backend.workshop import HOLDOUT, Workshop, call, sgd, training

C, A = "clean", "adversarial"
ONE_MINUS_P = ("-", 1.0, ("p", C))
MART = LossFormula(("+", ("bce", A), ("*", 5.0, ("*", ("kl", C, A), ONE_MINUS_P))))
TRADES = LossFormula(("+", ("ce", C), ("*", 6.0, ("kl", C, A))))

ROWS = torch.tensor([1, 4, 5, 9])


@pytest.fixture
def plain() -> Plain:
    torch.manual_seed(0)
    return Plain()


class Scene:
    """Twelve images, of which those at ROWS are attacked, and what a network in double precision says of them."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.x, self.y = batch()
        self.moved = (self.x[ROWS] + 0.1).clamp(0, 1)
        with torch.no_grad():
            self.clean, self.adversarial = (network(x).double().numpy() for x in (self.x[ROWS], self.moved))
        self.labels = self.y[ROWS].numpy()

    def losses(self, formula: LossFormula, smoothing: float = 0.0) -> Tensor:
        """The losses of the attacked images, as a training makes them."""
        method = subset_method(w.pgd(), formula, smoothing)
        assert method.loss is not None
        x = self.x.clone()
        if not method.both:
            x[ROWS] = self.moved
        term = SubsetTerm(ROWS, self.moved if method.both else None, method.loss)
        return train_pass(self.network, x, self.y, [term], Recipe.of(sgd(1, label_smoothing=smoothing))).losses[ROWS]

    def of_label(self, values: np.ndarray) -> np.ndarray:
        return values[np.arange(len(ROWS)), self.labels]

    def best_wrong(self, values: np.ndarray) -> np.ndarray:
        others = values.copy()
        others[np.arange(len(ROWS)), self.labels] = -np.inf
        return others.max(1)


def mart(s: Scene) -> np.ndarray:
    """Equation 11 of Wang et al., 2020, with lambda = 5."""
    p, q = softmax(s.clean, 1), softmax(s.adversarial, 1)
    boosted = -np.log(s.of_label(q)) - np.log(1 - s.best_wrong(q))
    return boosted + 5 * rel_entr(p, q).sum(1) * (1 - s.of_label(p))


def distilled(s: Scene) -> np.ndarray:
    return -s.of_label(log_softmax(s.adversarial, 1)) / (1 + s.of_label(softmax(s.clean, 1)))


EXPECTED: list[tuple[str, Any, Callable[[Scene], np.ndarray]]] = [
    ("mart", MART.formula, mart),
    (
        "trades",
        TRADES.formula,
        lambda s: (
            -s.of_label(log_softmax(s.clean, 1)) + 6 * rel_entr(softmax(s.clean, 1), softmax(s.adversarial, 1)).sum(1)
        ),
    ),
    (
        "logit pairing (Kannan et al., 2018)",
        ("+", ("ce", A), ("*", 0.05, ("l2", C, A))),
        lambda s: -s.of_label(log_softmax(s.adversarial, 1)) + 0.05 * ((s.clean - s.adversarial) ** 2).sum(1),
    ),
    (
        "half and half (Goodfellow et al., 2015)",
        ("+", ("*", 0.5, ("ce", C)), ("*", 0.5, ("ce", A))),
        lambda s: -(s.of_label(log_softmax(s.clean, 1)) + s.of_label(log_softmax(s.adversarial, 1))) / 2,
    ),
    (
        "a margin",
        ("-", ("margin", A), ("-", ("margin", C))),
        lambda s: sum(s.best_wrong(q) - s.of_label(q) for q in (softmax(s.adversarial, 1), softmax(s.clean, 1))),
    ),
    ("a quotient", ("/", ("ce", A), ("+", 1.0, ("fixed", ("p", C)))), distilled),
]


@pytest.mark.parametrize(("formula", "expected"), [case[1:] for case in EXPECTED], ids=[case[0] for case in EXPECTED])
def test_a_formula_is_what_is_computed_by_hand(
    plain: Plain, formula: Any, expected: Callable[[Scene], np.ndarray]
) -> None:
    scene = Scene(plain)
    found = scene.losses(LossFormula(formula))
    assert found.detach().numpy() == pytest.approx(expected(scene), rel=1e-4)


def released_mart(clean: Tensor, adversarial: Tensor, y: Tensor, weight: float) -> Tensor:
    """What YisenWang/MART, mart.py, minimises of a batch: constants keep its logarithms finite, the mean is taken."""
    q, p = adversarial.softmax(1), clean.softmax(1)
    first, second = q.topk(2).indices.T
    wrong = torch.where(first == y, second, first)
    boosted = F.cross_entropy(adversarial, y) - torch.log(1.0001 - q + 1e-12).gather(1, wrong[:, None]).mean()
    divergence = (p * (p.log() - torch.log(q + 1e-12))).sum(1)
    return boosted + weight * (divergence * (1.0000001 - p.gather(1, y[:, None]).squeeze(1))).mean()


def test_mart_has_the_loss_and_the_gradients_of_the_released_code(plain: Plain) -> None:
    """Its constants change the loss by 1e-4 at most where wrong classes are as likely as here."""
    scene = Scene(plain)
    found = scene.losses(MART).mean()
    expected = released_mart(plain(scene.x)[ROWS], plain(scene.moved), scene.y[ROWS], 5.0)
    assert found.item() == pytest.approx(expected.item(), abs=2e-3)
    ours = torch.autograd.grad(found, list(plain.parameters()))
    theirs = torch.autograd.grad(expected, list(plain.parameters()))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=2e-3 * float(other.abs().max()))


def test_no_gradient_goes_through_what_is_fixed(plain: Plain) -> None:
    scene = Scene(plain)
    whole = LossFormula(("*", ("ce", A), ("fixed", ONE_MINUS_P)))
    weight = 1 - scene.of_label(softmax(scene.clean, 1))
    ours = torch.autograd.grad(scene.losses(whole).sum(), list(plain.parameters()))
    weighted = torch.from_numpy(weight).float() * F.cross_entropy(plain(scene.moved), scene.y[ROWS], reduction="none")
    for one, other in zip(ours, torch.autograd.grad(weighted.sum(), list(plain.parameters())), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_trades_as_a_formula_has_the_bits_of_trades_by_name(plain: Plain) -> None:
    scene = Scene(plain)
    term = SubsetTerm(ROWS, scene.moved, bound("loss", call("trades", beta=6.0)))
    named = train_pass(plain, scene.x, scene.y, [term], Recipe.of(sgd(1, label_smoothing=0.1))).losses[ROWS]
    assert torch.equal(scene.losses(TRADES, smoothing=0.1), named)


def test_label_smoothing_is_for_the_cross_entropies_of_a_formula(plain: Plain) -> None:
    scene = Scene(plain)
    half = LossFormula(("+", ("*", 0.5, ("ce", C)), ("*", 0.5, ("ce", A))))
    with torch.no_grad():
        expected = sum(
            0.5 * F.cross_entropy(plain(x), scene.y[ROWS], reduction="none", label_smoothing=0.2)
            for x in (scene.x[ROWS], scene.moved)
        )
    assert torch.allclose(scene.losses(half, 0.2), torch.as_tensor(expected), atol=1e-5)
    assert torch.equal(scene.losses(LossFormula(("bce", A)), 0.2), scene.losses(LossFormula(("bce", A))))


def test_the_boosted_cross_entropy_is_finite_where_a_wrong_class_has_everything() -> None:
    loss = subset_method(w.pgd(), LossFormula(("bce", A))).loss
    assert loss is not None
    logits = torch.tensor([[200.0, 0.0, -200.0]], requires_grad=True)
    value = loss(torch.zeros(1), logits, None, torch.tensor([1]))
    value.sum().backward()  # type: ignore[no-untyped-call]
    assert value.item() == pytest.approx(400)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_formula_of_one_image_makes_no_pass_for_the_other() -> None:
    assert not subset_method(w.pgd(), LossFormula(("bce", A))).both
    assert subset_method(w.pgd(), MART).both
    with pytest.raises(StepError, match="needs an attack"):
        subset_method(None, MART)


# --- in a training -----------------------------------------------------------------------------------


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def images(workshop: Workshop) -> Path:
    return workshop.do(Data(call("synthetic", classes=3, shape=(1, 8, 8), train=60, val=30, seed=0)))


@pytest.fixture(scope="module")
def split(workshop: Workshop, images: Path) -> Path:
    return workshop.do(Split((OfClasses((0, 1)), Rest()), HOLDOUT), data=images)


def with_loss(formula: Any) -> Train:
    subsets = (
        SubsetTraining(w.pgd(steps=1), 1.0, LossFormula(formula)),
        SubsetTraining(None, 1.0, LossFormula(("+", ("bce", C), ("margin", C)))),
    )
    return training(3, subsets=subsets, augment=(), mean=(0.5,), std=(0.25,))


def test_a_killed_training_with_formulas_continues_with_the_same_bits(
    workshop: Workshop, images: Path, split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    settings = with_loss(MART.formula)
    whole = (workshop.do(settings, data=images, split=split) / "weights.safetensors").read_bytes()

    def kill(progress: Progress) -> None:
        if progress.note.startswith("epoch 2 of 3"):
            raise KilledError

    with pytest.raises(KilledError):
        workshop.do(settings, scratch=tmp_path, report=kill, data=images, split=split)
    continued = workshop.do(settings, scratch=tmp_path, data=images, split=split)
    assert (continued / "weights.safetensors").read_bytes() == whole


def test_a_loss_that_divides_by_zero_is_named(workshop: Workshop, images: Path, split: Path) -> None:
    formula = ("/", ("ce", A), ("-", ("p", C), ("p", C)))
    with pytest.raises(StepError, match=r"ce\(adversarial\)/\(p\(clean\) - p\(clean\)\) is NaN or infinite") as refused:
        workshop.do(with_loss(formula), data=images, split=split)
    assert "it divides by p(clean) - p(clean)" in str(refused.value.help)
