"""APGD, Square and noise by themselves: against closed forms, the published driver, and their own promises."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from pyautoattack import AutoAttack
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.backend.attacks import attack_of
from satdsl.backend.attacks.apgd import _Published, _targets, apgd
from satdsl.backend.objectives import lead_of_wrong
from satdsl.catalog import catalog
from satdsl.catalog.attacks import AttackEntry
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

from .test_attacks import Counting, Linear

ORDERS = {"Linf": torch.inf, "L2": 2, "L1": 1}


def whole(name: str, **args: Any) -> CatalogCall:
    """A call with its defaults, as the checker gives it."""
    entry = catalog().find("attack", name)
    assert entry is not None
    return CatalogCall(name, tuple((entry.defaults | args).items()), entry.defaults)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A network that gives some random images to each of its classes, with margins of all sizes."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = nn.Sequential(nn.Flatten(), nn.Linear(100, 16), nn.ReLU(), nn.Linear(16, 5))
        with torch.no_grad():
            layers[3].weight.mul_(3)
            layers[3].bias.sub_(layers(torch.rand(500, 1, 10, 10)).mean(0))
    return layers.eval()


@pytest.fixture(scope="module")
def batch(network: nn.Module) -> tuple[Tensor, Tensor]:
    """Images with the classes that the network gives them."""
    images = torch.rand((24, 1, 10, 10), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return images, network(images).argmax(1)


EVERY = [
    *(whole("apgd", norm=norm, eps=eps, steps=6) for norm, eps in (("Linf", 0.05), ("L2", 0.6), ("L1", 4.0))),
    whole("apgd", norm="Linf", eps=0.05, steps=4, objective="dlr", targets=2, restarts=2),
    whole("apgd", norm="L2", eps=0.3, steps=4, objective="cw", samples=2),
    whole("apgd", norm="L1", eps=2.0, steps=3, objective="ce", targets=3),
    *(whole("square", norm=norm, eps=eps, queries=20) for norm, eps in (("Linf", 0.1), ("L2", 1.0), ("L1", 8.0))),
    whole("square", norm="Linf", eps=0.05, queries=5, restarts=3),
    *(whole("noise", norm=norm, eps=0.5, draws=4) for norm in ("Linf", "L2", "L1")),
    whole("noise", norm="L2", eps=0.5, draws=1, distribution="sphere"),
]


def told(choice: CatalogCall) -> str:
    return " ".join([choice.name, *(str(value) for _, value in choice.args)])


@pytest.mark.parametrize("choice", EVERY, ids=told)
def test_an_attack_stays_in_its_ball_and_is_drawn_anew_from_its_seed_alone(
    network: nn.Module, batch: tuple[Tensor, Tensor], choice: CatalogCall
) -> None:
    images, labels = batch
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
    counting = Counting(network)

    def attacked(seed: int) -> Tensor:
        return attack_of(choice)(counting, images, labels, torch.Generator().manual_seed(seed))

    found = attacked(1)
    passes = AttackEntry.of(choice).passes(choice)
    lengths = torch.linalg.vector_norm((found - images).flatten(1), ORDERS[choice["norm"]], dim=1)
    assert float(lengths.max()) <= choice["eps"] * (1 + 1e-5) + 1e-6
    assert float(lengths.max()) > 0
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert found.shape == images.shape
    assert found.dtype == torch.float32
    assert sum(len(seen) for seen in counting.seen) <= (passes.forward + passes.forward_backward) * len(images)
    assert torch.equal(found, attacked(1))
    assert not torch.equal(found, attacked(2))
    assert not found.requires_grad
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # type: ignore[index]
    assert random.getstate() == before[2]


@pytest.mark.parametrize(
    "choice",
    [
        whole("apgd", norm="Linf", eps=1e-4, steps=5),
        whole("apgd", norm="L1", eps=1e-3, steps=5, objective="cw", targets=2, restarts=2, samples=3),
        whole("apgd", norm="L2", eps=1e-4, steps=5, objective="dlr", targets=3),
        whole("square", norm="L2", eps=1e-4, queries=7, restarts=2),
        whole("noise", norm="L2", eps=1e-4, draws=3),
    ],
    ids=told,
)
def test_an_image_that_withstands_costs_the_passes_that_the_catalog_says(
    network: nn.Module, batch: tuple[Tensor, Tensor], choice: CatalogCall
) -> None:
    images, labels = batch[0][:3], batch[1][:3]
    counting = Counting(network)
    found = attack_of(choice)(counting, images, labels, torch.Generator().manual_seed(0))
    assert torch.equal(network(found).argmax(1), labels)
    passes = AttackEntry.of(choice).passes(choice)
    assert sum(len(seen) for seen in counting.seen) == 3 * (passes.forward + passes.forward_backward)


@pytest.mark.parametrize(("norm", "dual"), [("L2", 2), ("Linf", 1)])
@pytest.mark.parametrize(("objective", "targets"), [("ce", 0), ("cw", 0), ("cw", 1), ("ce", 1)])
def test_apgd_reaches_the_exact_robust_accuracy_of_a_linear_model(
    norm: Any, dual: int, objective: Any, targets: int
) -> None:
    model = Linear()
    x = 0.3 + 0.4 * torch.rand((200, 1, 4, 4), generator=torch.Generator().manual_seed(3))
    margin = model(x)[:, 1].detach()
    y, length = (margin > 0).long(), float(torch.linalg.vector_norm(model.w.detach().flatten(), dual))
    eps = float(margin.abs().median()) * 1.01 / length
    found = apgd(model, x, y, norm=norm, eps=eps, steps=20, objective=objective, targets=targets)
    exact = margin.abs() > eps * length
    clear = (margin.abs() / (eps * length) - 1).abs() > 0.01
    assert 80 < int(exact.sum()) < 120
    assert clear.sum() > 190
    assert torch.equal((model(found).argmax(1) == y)[clear], exact[clear])


@pytest.mark.parametrize(("norm", "eps"), [("Linf", 0.01), ("L2", 0.1), ("L1", 0.5)])
@pytest.mark.parametrize(("part", "settings"), [("apgd-ce", {}), ("apgd-t", {"objective": "dlr", "targets": 4})])
def test_apgd_breaks_what_the_published_driver_breaks_with_it(
    network: nn.Module, batch: tuple[Tensor, Tensor], norm: Any, eps: float, part: Any, settings: dict[str, Any]
) -> None:
    images, labels = batch
    driver = AutoAttack(network, norm=norm, eps=eps, seed=0, version="custom", attacks=[part])
    driver.verbose = False
    for attack in (driver.apgd, driver.apgd_targeted):
        attack.n_iter = attack.n_iter_orig = 20
        attack.n_iter_2, attack.n_iter_min, attack.size_decr, attack.n_restarts = 4, 1, 1, 1
        attack.use_largereps = norm == "L1"
    driver.apgd_targeted.n_target_classes = 4
    published, _ = driver.run_standard_evaluation(images, labels, batch_size=len(images))
    ours = apgd(network, images, labels, norm=norm, eps=eps, steps=20, **settings)
    broken = [network(each).argmax(1) != labels for each in (published, ours)]
    assert 3 < int(broken[0].sum()) < 21
    assert int((broken[0] != broken[1]).sum()) <= 1  # the starts are drawn from other seeds


@pytest.mark.parametrize("target", [None, 2])
@pytest.mark.parametrize("objective", ["ce", "cw", "dlr"])
def test_what_apgd_raises_is_the_formula_of_the_published_code(objective: Any, target: int | None) -> None:
    logits = torch.randn((40, 5), generator=torch.Generator().manual_seed(0))
    labels = torch.where(torch.arange(40) % 5 == 2, 4, torch.arange(40) % 5)
    attack = _Published(nn.Identity(), objective, "Linf", 0.1, 5, 1)
    attack.y_target = None if target is None else torch.full((40,), target)
    found = attack.dlr_loss_targeted(logits, labels)
    theirs: Any = APGDAttack_targeted(nn.Identity(), eps=0.1)
    theirs.y_target = attack.y_target
    own = logits[torch.arange(40), labels]
    others = logits.masked_fill(F.one_hot(labels, 5).bool(), -torch.inf)
    expected = {
        ("ce", None): F.cross_entropy(logits, labels, reduction="none"),
        ("ce", 2): logits.log_softmax(1)[:, 2],
        ("cw", None): others.max(1).values - own,
        ("cw", 2): logits[:, 2] - own,
        ("dlr", None): APGDAttack(nn.Identity(), eps=0.1).dlr_loss(logits, labels),
        ("dlr", 2): theirs.dlr_loss_targeted(logits, labels) if target is not None else None,
    }[objective, target]
    assert torch.allclose(found, expected)
    if objective == "cw" and target is None:
        assert torch.equal(found > 0, logits.argmax(1) != labels)


def test_targets_are_the_wrong_classes_of_the_largest_logits() -> None:
    logits = torch.tensor([[3.0, 5.0, 1.0, 2.0], [0.0, 1.0, 2.0, 9.0]])

    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return logits[: len(x)] + 0 * x.sum((1, 2, 3)).view(-1, 1)

    images = torch.zeros(2, 1, 2, 2)
    aimed = [t.tolist() for t in _targets(Fixed(), images, torch.tensor([1, 2]), 9) if t is not None]
    assert aimed == [[0, 3], [3, 1], [2, 0]]


@pytest.mark.parametrize(("classes", "targets"), [(2, 0), (3, 1), (3, 0)])
def test_a_loss_that_is_undefined_for_so_few_classes_is_named(classes: int, targets: int) -> None:
    class Few(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((1, 2, 3)).view(-1, 1) * torch.arange(classes)

    images, labels = torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.long)
    with pytest.raises(StepError, match=f"undefined for {classes} classes"):
        apgd(Few(), images, labels, norm="Linf", eps=0.1, steps=2, objective="dlr", targets=targets)


def test_square_on_a_size_that_its_published_code_fails_on_is_named(network: nn.Module) -> None:
    images, labels = torch.rand(2, 1, 12, 12), torch.zeros(2, dtype=torch.long)
    with pytest.raises(StepError, match="square cannot attack images of 12 x 12 under L2: it begins with a grid"):
        attack_of(whole("square", norm="L2", eps=0.5, queries=3))(network, images, labels)


def test_square_gives_back_an_image_that_it_does_not_break(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    images, labels = batch
    found = attack_of(whole("square", norm="Linf", eps=0.06, queries=60))(network, images, labels)
    broken = network(found).argmax(1) != labels
    assert 0 < int(broken.sum()) < len(images)
    assert torch.equal(found[~broken], images[~broken])


def test_noise_is_the_draw_that_the_label_leads_least_at(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    images, labels = batch
    counting = Counting(network)
    found = attack_of(whole("noise", norm="Linf", eps=0.05, draws=8))(counting, images, labels, torch.Generator())
    leads = torch.stack([lead_of_wrong(network(seen), labels) for seen in counting.seen])
    assert len(counting.seen) == 8
    assert torch.equal(lead_of_wrong(network(found), labels), leads.max(0).values)
    assert torch.equal(network(found).argmax(1) != labels, (leads > 0).any(0))
    assert 0 < int((leads > 0).any(0).sum()) < len(images)
