"""PGD and FGSM against closed forms and against their own promises."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import attack_of, loss_and_gradient, targeted
from satdsl.backend.attacks.pgd import pgd
from satdsl.backend.models import build
from satdsl.backend.objectives import cross_entropy
from satdsl.backend.registry import bound
from satdsl.ir.work import StepError

from .workshop import call


class Linear(nn.Module):
    """Two classes by the sign of w·x + b."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.w = nn.Parameter(torch.randn(1, 4, 4, generator=generator))
        self.b = nn.Parameter(-0.5 * self.w.detach().sum())

    def forward(self, x: Tensor) -> Tensor:
        margin = (x * self.w).sum((1, 2, 3)) + self.b
        return torch.stack((-margin, margin), 1)


class Counting(nn.Module):
    """Remembers the images of every pass, and in which mode it was."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: list[Tensor] = []
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        self.modes.append(self.training)
        logits: Tensor = self.network(x)
        return logits


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = build(call("small_cnn", width=4), (1, 8, 8), 5, (0.3,), (0.4,))
        net.train()
        for _ in range(3):
            net(torch.rand(32, 1, 8, 8))
    return net


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.rand((12, 1, 8, 8), generator=generator), torch.arange(12) % 5


@pytest.mark.parametrize(("norm", "dual"), [("L2", 2), ("Linf", 1)])
def test_pgd_reaches_the_exact_robust_accuracy_of_a_linear_model(norm: Any, dual: int) -> None:
    model = Linear()
    # Far enough from 0 and 1 that the clamp does not bind.
    x = 0.3 + 0.4 * torch.rand((400, 1, 4, 4), generator=torch.Generator().manual_seed(3))
    y = (model(x)[:, 1] > 0).long()
    margin = model(x)[:, 1].detach().abs()
    norm_of_w = float(torch.linalg.vector_norm(model.w.detach().flatten(), dual))
    eps = float(margin.median()) * 1.001 / norm_of_w
    exact = margin > eps * norm_of_w
    adversarial = pgd(model, x, y, norm=norm, eps=eps, steps=5, step_size=eps)
    standing = model(adversarial).argmax(1) == y
    assert int(exact.sum()) == 200
    assert torch.equal(standing, exact)


def test_pgd_reaches_the_exact_l1_robust_accuracy_of_a_linear_model_in_the_box() -> None:
    model = Linear()
    x = torch.rand((400, 1, 4, 4), generator=torch.Generator().manual_seed(3))
    margins = model(x)[:, 1].detach()
    y, eps = (margins > 0).long(), 0.6
    # The worst perturbation spends eps on the largest weights, each pixel as far as the box lets it go.
    w = model.w.detach().flatten()
    up = torch.where(margins > 0, -1.0, 1.0).view(-1, 1) * w > 0
    room = torch.where(up, 1 - x.flatten(1), x.flatten(1))[:, w.abs().argsort(descending=True)]
    spent = torch.minimum(room, (eps - (room.cumsum(1) - room)).clamp_min(0))
    worst = margins.abs() - (spent * w.abs().sort(descending=True).values).sum(1)
    assert (spent[:, 0] < eps - 0.1).sum() > 100, "the box never binds: the test shows nothing"
    adversarial = pgd(model, x, y, norm="L1", eps=eps, steps=60, step_size=eps / 20)
    left = torch.where(y == 1, 1, -1) * model(adversarial)[:, 1].detach()
    assert (left >= worst - 1e-5).all()
    assert float((left - worst).max()) < 0.02
    clear = worst.abs() > 0.02
    assert clear.sum() > 380
    assert torch.equal((model(adversarial).argmax(1) == y)[clear], worst[clear] > 0)
    assert 100 < int((worst > 0).sum()) < 300


@given(
    seed=st.integers(0, 10_000),
    norm=st.sampled_from(["L1", "L2", "Linf"]),
    start=st.sampled_from(["none", "sphere", "ball", "radial"]),
    eps=st.floats(0.001, 3),
    relative_step=st.floats(0.05, 4),
    steps=st.integers(0, 4),
    keep=st.sampled_from(["best", "last"]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_pgd_stays_in_the_ball_and_in_the_image_scale(
    seed: int, norm: Any, start: Any, eps: float, relative_step: float, steps: int, keep: Any
) -> None:
    generator = torch.Generator().manual_seed(seed)
    model = Linear()
    x = torch.rand((6, 1, 4, 4), generator=generator).mul(1.4).sub(0.2).clamp(0, 1)
    y = torch.randint(0, 2, (6,), generator=generator)
    adversarial = pgd(
        model,
        x,
        y,
        norm=norm,
        eps=eps,
        steps=steps,
        step_size=eps * relative_step,
        random_start=start,
        keep=keep,
        generator=generator,
    )
    order = {"L1": 1, "L2": 2, "Linf": torch.inf}[norm]
    distance = torch.linalg.vector_norm((adversarial - x).flatten(1), order, dim=1)
    assert float(distance.max()) <= eps * (1 + 1e-5) + 1e-6
    assert float(adversarial.min()) >= 0
    assert float(adversarial.max()) <= 1


def test_seven_steps_move_seven_times(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    counting = Counting(network)
    pgd(counting, *batch, norm="L2", eps=5.0, steps=7, step_size=0.05, keep="best")
    moves = [
        torch.linalg.vector_norm((b - a).flatten(1), dim=1)
        for a, b in zip(counting.seen, counting.seen[1:], strict=False)
    ]
    assert len(moves) == 7
    assert all(float(move.min()) > 0.03 for move in moves)


def test_the_best_iterate_has_the_highest_loss_of_all_with_start_and_last(
    network: nn.Module, batch: tuple[Tensor, Tensor]
) -> None:
    x, y = batch
    counting = Counting(network)
    # Steps far too long, so that the best iterate of an image can be any of them.
    best = pgd(counting, x, y, norm="L2", eps=3.0, steps=4, step_size=3.0, keep="best")
    network.eval()
    losses = torch.stack([F.cross_entropy(network(seen), y, reduction="none") for seen in counting.seen])
    which = losses.argmax(0)
    assert len(counting.seen) == 5
    assert torch.equal(best, torch.stack(counting.seen)[which, torch.arange(len(y))])
    assert (which == 4).any(), "the last iterate is never the best here: the test shows nothing"
    assert (which < 4).any(), "the last iterate is always the best here: the test shows nothing"


def test_the_start_counts_where_every_step_lowers_the_loss() -> None:
    class Peak(nn.Module):
        """The loss of class 0 is highest at 0.5, steep enough to overshoot."""

        def forward(self, x: Tensor) -> Tensor:
            wrong = 5 - 40 * (x.mean((1, 2, 3)) - 0.501).abs()
            return torch.stack((torch.zeros_like(wrong), wrong), 1)

    x = torch.full((2, 1, 2, 2), 0.5)
    adversarial = pgd(Peak(), x, torch.zeros(2, dtype=torch.long), norm="Linf", eps=0.3, steps=3, step_size=0.2)
    assert torch.equal(adversarial, x)


def test_the_last_iterate_is_the_last(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    x, y = batch
    first = pgd(network, x, y, norm="L2", eps=1.0, steps=1, step_size=0.2, keep="last")
    counting = Counting(network)
    pgd(counting, x, y, norm="L2", eps=1.0, steps=2, step_size=0.2, keep="last")
    assert torch.equal(counting.seen[1], first)


def test_more_restarts_never_lower_the_loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    x, y = batch
    losses = []
    for restarts in (1, 4):
        generator = torch.Generator().manual_seed(0)
        adversarial = pgd(
            network,
            x,
            y,
            norm="Linf",
            eps=0.2,
            steps=2,
            step_size=0.1,
            random_start="ball",
            restarts=restarts,
            generator=generator,
        )
        network.eval()
        losses.append(F.cross_entropy(network(adversarial), y, reduction="none").detach())
        network.train()
    assert (losses[1] >= losses[0]).all()
    assert (losses[1] > losses[0]).any()


def test_fgsm_is_one_step_of_eps_unless_told_otherwise(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    x, y = batch
    x = x * 0.5 + 0.25

    def moved(**settings: Any) -> Tensor:
        attack = attack_of(call("fgsm", norm="Linf", eps=0.1, **settings))
        assert attack is not None
        return (attack(network, x, y, torch.Generator()) - x).abs()

    assert float(moved().max()) == pytest.approx(0.1)
    assert float(moved(step_size=0.05).max()) == pytest.approx(0.05)
    assert torch.allclose(moved(step_size=0.125), moved())


@pytest.mark.parametrize("target", ["next", "random", "least_likely"])
def test_a_targeted_attack_raises_the_probability_of_its_target(
    network: nn.Module, batch: tuple[Tensor, Tensor], target: Any
) -> None:
    x, y = batch
    network.eval()
    clean = network(x).softmax(1).detach()
    share = torch.rand(12, generator=torch.Generator().manual_seed(7))
    expected = {
        "next": (y + 1) % 5,
        "random": (y + 1 + (share * 4).long()) % 5,
        "least_likely": clean.scatter(1, y.view(-1, 1), 2.0).argmin(1),
    }[target]
    assert (expected != y).all()
    counting = Counting(network)
    adversarial = pgd(
        counting,
        x,
        y,
        norm="L2",
        eps=2.0,
        steps=4,
        step_size=1.5,
        target=target,
        generator=torch.Generator().manual_seed(7),
    )
    assert len(counting.seen) == 5 + (target == "least_likely")
    losses = torch.stack([F.cross_entropy(network(seen), expected, reduction="none") for seen in counting.seen])
    found = F.cross_entropy(network(adversarial), expected, reduction="none")
    assert torch.allclose(found, losses.min(0).values)
    assert (found < losses[0]).sum() > 6
    assert network(adversarial).softmax(1)[range(12), expected].mean() > clean[range(12), expected].mean()


def test_a_random_target_is_any_wrong_class_and_never_the_label() -> None:
    labels = torch.arange(4).repeat(1000)
    lowered = targeted(
        lambda logits, aimed: aimed.float(),
        "random",
        nn.Identity(),
        labels,
        labels,
        torch.Generator().manual_seed(0),
    )
    aimed = -lowered(torch.zeros(4000, 4), labels).long()
    assert (aimed != labels).all()
    for label in range(4):
        counts = torch.bincount(aimed[labels == label], minlength=4)
        assert counts[counts > 0].min() > 270
        assert (counts > 0).sum() == 3


def test_the_divergence_is_raised_from_a_start_of_ones_own(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    x, y = batch
    network.eval()
    clean = network(x).detach().softmax(1)

    def divergence(logits: Tensor, probabilities: Tensor) -> Tensor:
        return F.kl_div(logits.log_softmax(1), probabilities, reduction="none").sum(1)

    _, gradient = loss_and_gradient(network, x, clean, divergence)
    start = x + 1e-3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    settings: dict[str, Any] = {"norm": "Linf", "eps": 0.1, "steps": 5, "step_size": 0.03, "objective": "kl"}
    counting = Counting(network)
    adversarial = pgd(counting, x, y, start=start, **settings)
    assert torch.equal(counting.seen[0], x), "the prediction that it moves away from"
    assert torch.equal(counting.seen[1], start.clamp(0, 1))
    assert float(gradient.abs().max()) < 1e-6, "at the image itself the divergence has no slope"
    assert (divergence(network(adversarial), clean) > 10 * divergence(network(start), clean)).all()
    far = pgd(counting, x, y, start=x + 1, **{**settings, "steps": 0})
    assert torch.allclose(far, (x + 0.1).clamp(0, 1))


def test_a_start_is_for_the_first_restart_alone(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    x, y = batch
    counting = Counting(network)
    generator = torch.Generator().manual_seed(0)
    settings: dict[str, Any] = {"norm": "Linf", "eps": 0.1, "steps": 1, "step_size": 0.1, "random_start": "ball"}
    pgd(counting, x, y, **settings, restarts=2, start=x + 0.05, generator=generator)
    first, _, second, _ = counting.seen
    assert torch.allclose(first, (x + 0.05).clamp(0, 1))
    assert not torch.allclose(second, first, atol=0.02)


def test_logits_in_bfloat16_are_compared_in_single_precision(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    class Rounded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = network(x).bfloat16()
            return logits

    x, y = batch
    network.eval()
    losses, gradient = loss_and_gradient(Rounded(), x, y)
    assert losses.dtype == gradient.dtype == torch.float32
    assert torch.equal(losses, cross_entropy(network(x).bfloat16().float(), y))


def test_fgsm_is_pgd_of_one_step(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    settings: dict[str, Any] = {"norm": "L1", "random_start": "ball", "target": "next"}
    once = attack_of(call("fgsm", eps=2.0, step_size=None, **settings))(
        network, *batch, torch.Generator().manual_seed(4)
    )
    expected = pgd(
        network, *batch, torch.Generator().manual_seed(4), eps=2.0, steps=1, step_size=2.0, keep="last", **settings
    )
    assert torch.equal(once, expected)


def test_an_attack_is_given_the_arguments_of_its_entry() -> None:
    assert bound("attack", call("pgd", norm="L2", eps=1.0, steps=7, step_size=0.25)).keywords == {
        "norm": "L2",
        "eps": 1.0,
        "steps": 7,
        "step_size": 0.25,
        "keep": "best",
        "random_start": "none",
        "restarts": 1,
        "target": "none",
        "objective": "ce",
        "mode": "eval",
    }


def test_the_network_is_attacked_in_evaluation_mode_and_left_as_it_was(
    network: nn.Module, batch: tuple[Tensor, Tensor]
) -> None:
    counting = Counting(network)
    modules = dict(counting.named_modules())
    modules["network.body.features.1"].eval()
    modules["network.body.fc"].weight.requires_grad_(False)  # type: ignore[union-attr]
    modes = {name: module.training for name, module in modules.items()}
    flags = {name: parameter.requires_grad for name, parameter in counting.named_parameters()}
    state = {name: tensor.clone() for name, tensor in counting.state_dict().items()}
    pgd(counting, *batch, norm="L2", eps=0.5, steps=3, step_size=0.2)
    assert counting.modes == [False] * 4
    assert {name: module.training for name, module in modules.items()} == modes
    assert {name: parameter.requires_grad for name, parameter in counting.named_parameters()} == flags
    assert all(parameter.grad is None for parameter in counting.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in counting.state_dict().items())


def test_a_network_that_fails_under_attack_is_left_as_it_was(batch: tuple[Tensor, Tensor]) -> None:
    class Failing(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise ArithmeticError

    failing = Failing(2, 2)
    with pytest.raises(ArithmeticError):
        pgd(failing, *batch, norm="L2", eps=0.5, steps=3, step_size=0.2)
    assert failing.training
    assert failing.weight.requires_grad


@pytest.fixture
def global_state() -> Iterator[None]:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
    yield
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # type: ignore[index]
    assert random.getstate() == before[2]


@pytest.mark.usefixtures("global_state")
def test_random_starts_leave_the_global_random_state_alone(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    def attacked(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return pgd(
            network,
            *batch,
            norm="L2",
            eps=0.5,
            steps=2,
            step_size=0.2,
            random_start="ball",
            generator=generator,
        )

    assert torch.equal(attacked(1), attacked(1))
    assert not torch.equal(attacked(1), attacked(2))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (call("small_cnn", width=4), (1, 8, 8)),
        (call("preact_resnet18", width=4, layout="sat"), (3, 16, 16)),
        (call("resnet18", stem="cifar"), (3, 16, 16)),
        (call("wide_resnet", depth=10, width=1), (3, 16, 16)),
    ],
)
def test_the_frozen_twin_computes_what_the_network_does_and_follows_its_weights(model: Any, shape: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(model, shape, 5, (0.5,) * shape[0], (0.25,) * shape[0])
        attack_copy = AttackCopy(network)
        x = torch.rand(8, *shape)
        for _ in range(2):
            network.train()
            network(x).square().mean().backward()
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
        network.zero_grad()
    copy = attack_copy.refresh()
    assert network.training
    assert not copy.training
    images = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(copy(images).sum(), images)
    assert gradient.is_contiguous()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.allclose(copy(x), network.eval()(x), rtol=1e-3, atol=1e-3)
    (expected,) = torch.autograd.grad(network(images).sum(), images)
    assert float((gradient - expected).norm()) < 5e-3 * float(expected.norm())  # a ReLU may fall the other way


@pytest.mark.parametrize(
    "body",
    [
        nn.Sequential(nn.Conv2d(2, 4, 3, bias=True), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4)),
        nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3, padding="same", groups=2), nn.BatchNorm2d(4), nn.Tanh()),
        nn.Sequential(nn.BatchNorm2d(2, affine=False), nn.ReLU(), nn.Conv2d(2, 2, 2, stride=2, dilation=2)),
        nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), nn.Conv2d(2, 2, 1)),
        nn.Sequential(*[nn.Conv2d(2, 2, 3, padding=1)] * 2, nn.BatchNorm2d(2)),
    ],
)
def test_whatever_way_layers_are_put_together_the_frozen_twin_computes_the_same(body: nn.Module) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for layer in body.modules():
            if isinstance(layer, nn.BatchNorm2d) and layer.affine:
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias)
        body.train()(torch.rand(16, 2, 8, 8))
        x = torch.rand(4, 2, 8, 8).requires_grad_()
    copy, network = AttackCopy(body).refresh(), body.eval()
    slopes = torch.linspace(-1, 1, network(x).numel()).view_as(network(x))
    (gradient,), (expected,) = (torch.autograd.grad(net(x), x, slopes) for net in (copy, network))
    assert torch.allclose(copy(x), network(x), atol=1e-5)
    assert torch.allclose(gradient, expected, atol=1e-5)


def test_the_frozen_twin_of_a_training_network_drops_nothing_out() -> None:
    class Dropping(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.5, self.training)

    x = torch.rand(3, 1, 2, 2)
    assert torch.equal(AttackCopy(Dropping().train()).refresh()(x), x)


def test_a_network_that_branches_on_values_is_frozen_without_folding() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.fc(x.flatten(1))
            return logits if logits.sum() > 0 else -logits

    network = Branching()
    x = torch.rand(3, 1, 2, 2)
    assert torch.equal(AttackCopy(network).refresh()(x), network(x))


def test_an_attack_that_cannot_be_trained_with_is_named() -> None:
    with pytest.raises(StepError, match="cannot be trained with"):
        attack_of(call("autoattack", norm="L2", eps=0.5))


def test_an_attack_that_this_version_has_not_is_named() -> None:
    with pytest.raises(StepError, match="no attack called mifgsm") as raised:
        attack_of(call("mifgsm", norm="L2", eps=0.5))
    assert "pgd" in raised.value.help
