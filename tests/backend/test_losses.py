from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend.attacks import Attack
from satdsl.backend.attacks.pgd import pgd
from satdsl.backend.losses import SubsetTerm, subset_method, train_pass
from satdsl.backend.models import Network, build
from satdsl.backend.objectives import kl_divergence
from satdsl.backend.recipes import Recipe
from satdsl.backend.registry import bound
from satdsl.ir.steps import CatalogCall, OfClasses, Rest, Selection, Split, SubsetTraining
from satdsl.ir.work import StepError
from tests.backend import workshop as w
from tests.backend.workshop import HOLDOUT, Workshop, call, document, sgd, training

TRADES = call("trades", beta=6.0)


class Plain(nn.Module):
    """A smooth network without batch norm, so that a pass over one image depends on no other."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 20), nn.Softplus(), nn.Linear(20, 5))

    def forward(self, x: Tensor) -> Tensor:
        return 4 * self.layers(x)


def trades_attack(choice: CatalogCall) -> Attack:
    """TRADES' inner maximisation with an attack."""
    (attack,) = subset_method(choice, TRADES).attacks
    assert attack is not None
    return attack


@pytest.fixture
def plain() -> Plain:
    torch.manual_seed(0)
    return Plain()


def term(rows: Tensor, moved: Tensor, beta: float) -> SubsetTerm:
    """TRADES on the images at `rows`, which were moved to `moved`."""
    return SubsetTerm(rows, (moved,), bound("loss", call("trades", beta=beta)), both=True)


def batch(n: int = 12) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(1)
    return torch.rand((n, 3, 4, 4), generator=drawn), torch.randint(0, 5, (n,), generator=drawn)


def test_the_divergence_is_that_of_scipy_also_where_probabilities_vanish() -> None:
    drawn = np.random.default_rng(0)
    of, logits = drawn.normal(size=(2, 8, 5)) * 5
    of[0] = [0, 500, -500, 0, 0]
    found = kl_divergence(torch.from_numpy(logits), torch.from_numpy(log_softmax(of, 1)))
    expected = rel_entr(softmax(of, 1), softmax(logits, 1)).sum(1)
    assert found.numpy() == pytest.approx(expected)


def test_gradients_stay_finite_where_a_probability_is_zero() -> None:
    of, logits = torch.tensor([[0.0, 500.0, -500.0]], requires_grad=True), torch.zeros((1, 3), requires_grad=True)
    kl_divergence(logits, F.log_softmax(of, 1)).sum().backward()  # type: ignore[no-untyped-call]
    assert of.grad is not None
    assert logits.grad is not None
    assert of.grad.isfinite().all()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_inner_maximisation_is_the_published_one(plain: Plain, norm: str) -> None:
    """Algorithm 1 of Zhang et al., 2019, written out: sign or normalised steps, projected, from x + 0.001 N(0, 1).

    The first gradient is the difference of two predictions that differ by some 1e-3, so rounding of logits by 1e-7
    turns it by some 1e-4. An L2 step scales it up to 0.2, and with it the error, to a few 1e-5 in a pixel.
    """
    x, y = batch()
    eps, step_size, steps = (0.05, 0.02, 5) if norm == "Linf" else (0.5, 0.2, 5)
    attack = trades_attack(
        w.pgd(norm=norm, eps=eps, step_size=step_size, steps=steps, keep="last", random_start="none")
    )
    found = attack(plain, x, y, torch.Generator().manual_seed(3))
    with torch.no_grad():
        clean = plain(x).softmax(1)
    moved = (x + 0.001 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 1)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.kl_div(plain(moved).log_softmax(1), clean, reduction="sum"), moved)
        with torch.no_grad():
            if norm == "Linf":
                delta = (moved + step_size * gradient.sign() - x).clamp(-eps, eps)
            else:
                length = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                delta = moved + step_size * gradient / length - x
                delta *= (eps / delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp_max(1)
            moved = (x + delta).clamp(0, 1)
    assert torch.allclose(found, moved, rtol=0, atol=1e-4)


def test_it_moves_predictions_farther_than_attacking_the_label_does(plain: Plain) -> None:
    x, y = batch()
    choice = w.pgd(eps=0.5, step_size=0.2, steps=10, keep="best")
    away = trades_attack(choice)(plain, x, y, torch.Generator().manual_seed(0))
    wrong = pgd(plain, x, y, norm="L2", eps=0.5, step_size=0.2, steps=10)
    with torch.no_grad():
        clean = F.log_softmax(plain(x), 1)
        assert kl_divergence(plain(away), clean).mean() > kl_divergence(plain(wrong), clean).mean()
    assert ((away - x).flatten(1).norm(dim=1) <= 0.5 + 1e-5).all()


def test_a_batch_with_trades_has_the_published_loss(plain: Plain) -> None:
    x, y = batch()
    rows = torch.tensor([1, 4, 5, 9])
    moved = (x[rows] + 0.1).clamp(0, 1)
    found = train_pass(plain, x, y, [term(rows, moved, 6.0)], Recipe.of(sgd(1))).losses.detach().numpy()
    with torch.no_grad():
        clean, adversarial = plain(x).double().numpy(), plain(moved).double().numpy()
    expected = -log_softmax(clean, 1)[np.arange(12), y.numpy()]
    expected[rows.numpy()] += 6 * rel_entr(softmax(clean[rows.numpy()], 1), softmax(adversarial, 1)).sum(1)
    assert found == pytest.approx(expected, rel=1e-4)


def test_both_predictions_are_pulled_together(plain: Plain) -> None:
    """The gradient goes through the clean prediction too, as in the published code."""
    x, y = batch(4)
    rows = torch.arange(4)
    moved = (x + 0.1).clamp(0, 1)
    train_pass(plain, x, y, [term(rows, moved, 2.0)], Recipe.of(sgd(1))).losses.sum().backward()  # type: ignore[no-untyped-call]
    found = [parameter.grad.clone() for parameter in plain.parameters() if parameter.grad is not None]
    plain.zero_grad()
    clean = plain(x)
    kl = F.kl_div(plain(moved).log_softmax(1), clean.softmax(1), reduction="sum")
    (F.cross_entropy(clean, y, reduction="sum") + 2 * kl).backward()  # type: ignore[no-untyped-call]
    assert found
    for grad, parameter in zip(found, plain.parameters(), strict=True):
        assert parameter.grad is not None
        assert torch.allclose(grad, parameter.grad, atol=1e-4)


def test_label_smoothing_smooths_the_clean_target_only(plain: Plain) -> None:
    x, y = batch(4)
    moved = [term(torch.arange(4), (x + 0.1).clamp(0, 1), 2.0)]
    smooth, sharp = (
        train_pass(plain, x, y, moved, Recipe.of(sgd(1, label_smoothing=amount))).losses for amount in (0.1, 0.0)
    )
    with torch.no_grad():
        difference = F.cross_entropy(plain(x), y, reduction="none", label_smoothing=0.1) - F.cross_entropy(
            plain(x), y, reduction="none"
        )
    assert torch.allclose(smooth - sharp, difference, atol=1e-5)


def test_a_loss_needs_its_attack_and_a_name_that_is_known() -> None:
    nothing = subset_method(None, None)
    assert (nothing.attacks, nothing.loss) == ((None,), None)
    assert subset_method(w.pgd(), TRADES).loss.keywords == {"beta": 6.0}  # type: ignore[union-attr]
    with pytest.raises(StepError, match="needs an attack"):
        subset_method(None, TRADES)
    with pytest.raises(StepError, match="no loss called mart"):
        subset_method(w.pgd(), call("mart"))


def test_trades_on_a_subset_leaves_the_others_as_they_are(
    workshop: Workshop, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[int] = []
    forward = Network.forward

    def seen(self: Network, x: Tensor) -> Tensor:
        if self.training and isinstance(x, Tensor):
            passed.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(Network, "forward", seen)
    split = workshop.do(Split((OfClasses((0, 1, 2)), Rest()), HOLDOUT), data=few_digits)
    subsets = (SubsetTraining(w.pgd(), 1.0, TRADES), SubsetTraining(None, 1.0))
    out = workshop.do(training(2, subsets=subsets), data=few_digits, split=split)
    attacked = document(split / "facts.json")["sizes"][0]
    assert sum(passed) == 2 * (200 + attacked)
    for row in w.curves_of(out):
        assert row["attacked"] == row["subsets"][0]["n"] == attacked
        assert row["subsets"][0]["attack_success"] >= 0
        assert "attack_success" not in row["subsets"][1]


def test_trades_weighs_robustness_with_beta(workshop: Workshop, few_digits: Path) -> None:
    """More beta, closer predictions under attack; the clean ones become less sure."""

    def learnt(beta: float) -> tuple[float, float]:
        subsets = (SubsetTraining(w.pgd(steps=4), 1.0, call("trades", beta=beta)),)
        out = workshop.do(training(6, subsets=subsets), data=few_digits)
        last = w.curves_of(out)[-1]
        return last["subsets"][0]["attack_success"] - (1 - last["accuracy"]), last["accuracy"]

    (lost, clean), (lost_more, clean_more) = learnt(20.0), learnt(0.01)
    assert lost < lost_more
    assert clean < clean_more


def weights_after(network: nn.Module, choice: Any, losses: list[float]) -> list[dict[str, Tensor]]:
    from satdsl.backend.optimisation import Optimisation

    optimisation, seen = Optimisation(network, Recipe.of(choice)), []
    x, y = batch()
    for scale in losses:
        optimisation.step(lambda scale=scale: (None, scale * F.cross_entropy(network(x), y)), 0.5)
        seen.append({name: value.clone() for name, value in optimisation.network.state_dict().items()})
    seen.append({name: value.clone() for name, value in optimisation.result.state_dict().items()})
    return seen


def test_the_average_of_weights_is_the_recurrence_written_out() -> None:
    torch.manual_seed(0)
    network = build(call("small_cnn", width=2), (3, 4, 4), 5, (0.5,) * 3, (0.5,) * 3).train()
    average = {name: value.clone() for name, value in network.state_dict().items()}
    *steps, found = weights_after(network, sgd(1, ema=0.9), [1.0] * 5)
    for step in steps:
        for name, value in step.items():
            average[name] = 0.9 * average[name] + 0.1 * value if value.is_floating_point() else value
    assert any("running_mean" in name for name in found)
    for name, value in found.items():
        assert torch.allclose(value, average[name], atol=1e-6), name
    assert not torch.equal(found["body.fc.weight"], steps[-1]["body.fc.weight"])


def test_a_gradient_is_as_long_as_clip_allows(plain: Plain) -> None:
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    still = {"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0}
    long, *_ = weights_after(plain, sgd(1, clip=0.01, **still), [100.0])
    step = math.sqrt(sum(float((long[name] - before[name]).square().sum()) for name in before))
    assert step == pytest.approx(0.01, rel=1e-3)
    plain.load_state_dict(before)
    short, *_ = weights_after(plain, sgd(1, clip=1e6, **still), [1.0])
    plain.load_state_dict(before)
    free, *_ = weights_after(plain, sgd(1, **still), [1.0])
    assert all(torch.equal(short[name], free[name]) for name in before)


def test_in_bf16_passes_are_short_and_weights_and_measures_are_not(
    workshop: Workshop, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from satdsl.backend import measure, model_selection

    formats: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    convolved = nn.Conv2d.forward

    def seen(self: nn.Conv2d, x: Tensor) -> Tensor:
        result = convolved(self, x)
        formats[measuring].add(result.dtype)
        return result

    measuring = False
    measured = measure.logits

    def watched(*args: Any) -> Tensor:
        nonlocal measuring
        measuring = True
        try:
            return measured(*args)
        finally:
            measuring = False

    monkeypatch.setattr(nn.Conv2d, "forward", seen)
    monkeypatch.setattr(measure, "logits", watched)
    monkeypatch.setattr(model_selection, "logits", watched)
    subsets = (SubsetTraining(w.pgd(), 1.0),)
    selected = Selection((), (1,))
    settings = training(1, recipe=sgd(1, precision="bf16"), subsets=subsets, select=selected)
    out = workshop.do(settings, data=few_digits)
    assert torch.bfloat16 in formats[False]
    assert formats[True] == {torch.float32}
    assert {value.dtype for value in w.weights_of(out).values()} == {torch.float32, torch.int64}


def test_bf16_learns_nearly_what_fp32_does(workshop: Workshop, digits: Path) -> None:
    outs = [workshop.do(training(2, recipe=sgd(2, precision=p)), data=digits) for p in ("fp32", "bf16")]
    runs = [w.curves_of(out)[-1] for out in outs]
    assert runs[0]["loss"] != runs[1]["loss"]
    assert runs[1]["loss"] == pytest.approx(runs[0]["loss"], abs=0.1)
    assert runs[1]["accuracy"] == pytest.approx(runs[0]["accuracy"], abs=0.05)
