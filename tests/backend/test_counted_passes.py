"""What a plan says a step costs is what it makes: exactly where it says so, and never more where it is a bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from satdsl.backend import perform
from satdsl.backend.attacks.autoattack import published
from satdsl.backend.counted_passes import counted
from satdsl.backend.evaluation_warnings import counted as noticed
from satdsl.backend.images import EVALUATION_BATCH, Images
from satdsl.backend.measure import measure
from satdsl.backend.models import Network
from satdsl.backend.nearest_images import FARTHER
from satdsl.backend.registry import entry_of
from satdsl.catalog import attacks, catalog
from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.attacks.autoattack import apgd_targets, effort
from satdsl.catalog.scores import ScoreEntry
from satdsl.compile import check_file
from satdsl.ir.plan import Passes, Plan
from satdsl.ir.steps import CatalogCall, Key
from satdsl.ir.work import Computation, Work
from satdsl.plan import cost
from satdsl.plan.expand import expand

HEAD = """sat 1
dataset d = synthetic(classes=10, shape=[3, 16, 16], train=50, val=40, seed=1, holdout=50%)
model m = small_cnn(width=4)
recipe r = sgd(epochs=2, batch=16, lr=0.01)
attack p = pgd(norm=Linf, eps=0.1, steps=2, step_size=0.1)
"""


def made(plan: Plan, folder: Path) -> dict[Key, Passes]:
    """The passes of each step of a plan, which are all run."""
    out: dict[Key, Path] = {}
    found: dict[Key, Passes] = {}
    for key, step in plan.steps.items():
        out[key], scratch = folder / key[:12], folder / f"{key[:12]}-scratch"
        out[key].mkdir(parents=True)
        scratch.mkdir()
        inputs = {role: out[of] for role, of in step.inputs}

        def computed(computation: Computation, key: Key = key) -> None:
            if computation.passes is not None:
                found[key] = computation.passes

        perform(step, Work(inputs, out[key], scratch, folder, computed=computed))
    return found


def compare(text: str, folder: Path) -> tuple[Plan, dict[Key, Passes]]:
    """Run what a specification says, and hold the passes of each step against its plan."""
    spec = folder / "x.sat"
    spec.write_text(HEAD + text)
    plan = expand(check_file(spec))
    found = made(plan, folder / "run")
    for key, planned in plan.passes.items():
        agree(planned, found[key], plan.labels[key])
    return plan, found


def agree(planned: Passes, found: Passes, label: str) -> None:
    assert found.forward <= planned.forward, label
    assert found.forward_backward <= planned.forward_backward, label
    if not planned.at_most:
        assert (found.forward, found.forward_backward) == (planned.forward, planned.forward_backward), label


TRAININGS = {
    "plain": "train t = m on d using r",
    "attacked": "train t = m on d using r { attack all with p; select by robust accuracy under p every epoch }",
    "part of it": "split s of d { A = random 30% examples; B = rest }\ntrain t = m on s using r { attack A with p }",
    "trades": "train t = m on d using r { attack all with p; loss all = trades }",
    "formula": "train t = m on d using r { attack all with p; loss all = ce(clean) + 2*kl(clean, adversarial) }",
    "teacher": "train q = m on d using r\n"
    "train t = m on d using r { attack all with p; loss all = ce(adversarial) + kl(q(clean), adversarial) }",
    "strongest": "attack n = noise(norm=Linf, eps=0.1)\ntrain t = m on d using r { attack all with p, n }",
    "each of": "attack n = noise(norm=Linf, eps=0.1)\ntrain t = m on d using r { attack all with each of p, n }",
    "one of": "attack n = noise(norm=Linf, eps=0.1)\ntrain t = m on d using r { attack all with one of p, n }",
    "snapshots": "train t = m on d using r { keep snapshots every epoch }",
    "gradients at snapshots": "train q = m on d using r { keep snapshots every epoch }\n"
    "split s of d { A = hardest 30% examples by snapshot-grand of q; B = rest }\n"
    "split v of d { A = hardest 30% examples by vog of q; B = rest }\ntrain u = m on v using r\n"
    "evaluate u { v = clean accuracy on val }\n"
    "train t = m on s using r { attack A with p }",
    "picked anew": "split s of d { A = hardest 30% examples by entropy of itself every 1 epochs; B = rest }\n"
    "train t = m on s using r { attack A with p }",
    "perturbed": "recipe w = sgd(epochs=3, batch=16, lr=0.01, perturb=awp(warmup=1))\n"
    "train t = m on d using w { attack all with p; loss all = trades }",
    "averaged": "recipe w = sgd(epochs=3, batch=16, lr=0.01, swa=1)\ntrain t = m on d using w { attack all with p }",
    "on a part": "split s of d { A = random 30% examples; B = rest }\ntrain t = m on s.A using r { attack A with p }",
    "transfer": "train q = m on d using r\ntransfer t = q to d using r { head = linear }",
    "whole transfer": "train q = m on d using r\n"
    "transfer t = q to d using r { head = linear; train all; attack all with p }",
    "shares of batches": "split s of d { A = random 30% examples; B = rest; share A = 40% }\n"
    "train t = m on s using r { attack A with p }",
    "clean selection": "train t = m on d using r { select by clean accuracy every epoch }",
    "epochs": "train t = m on d using r { attack all with p from epoch 2 }",
    "shares of joined data": "dataset more = synthetic(classes=10, shape=[3, 16, 16], train=70, seed=2)\n"
    "dataset both = d + more\nsplit s of both { A = images of more; B = rest; share A = 30% }\n"
    "recipe w = sgd(epochs=3, batch=16, lr=0.01, swa=1, perturb=awp(warmup=1))\n"
    "train t = m on s using w { attack A with p; loss A = trades; keep snapshots every epoch }",
    "shares of scarce picks": "split s of d {\n"
    "  A = hardest 10% examples by loss of itself every epoch\n  B = random 20% examples - A\n  C = rest\n"
    "  share A = 50%\n}\ntrain t = m on s using r { attack A with p }",
}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_makes_the_passes_of_its_plan(name: str, tmp_path: Path) -> None:
    compare(f"{TRAININGS[name]}\nevaluate t {{ v = clean accuracy on val }}\n", tmp_path)


SCORES = [name for name in catalog().names("score") if not ScoreEntry.of(name).over_snapshots]


def test_a_score_makes_the_passes_of_its_plan(tmp_path: Path) -> None:
    lines = [f"  v{i} = mean {name} on val" for i, name in enumerate(SCORES)]
    lines += [f"  w{i} = mean {name} under p on val" for i, name in enumerate(SCORES)]
    body = "\n".join(lines)
    compare(f"train t = m on d using r\nevaluate t {{\n{body}\n}}\n", tmp_path)


def test_grand_makes_more_passes_than_its_images_only_to_choose_its_way(tmp_path: Path) -> None:
    """Three images are put through by loop and by layers, and one to see how large a batch may be."""
    text = "train t = m on d using r\nevaluate t { v = mean grand on train }\n"
    plan, found = compare(text, tmp_path)
    (key,) = (key for key, step in plan.steps.items() if step.kind == "score")
    assert (found[key].forward, found[key].forward_backward) == (1, 50 + 6)
    assert plan.passes[key] == Passes(4 + 50, 9 + 50, at_most=True)


def test_as_many_images_are_attacked_together_as_plans_say() -> None:
    assert cost.AT_ONCE == EVALUATION_BATCH
    assert len(FARTHER) == attacks.MADE_LONGER


# --- measuring --------------------------------------------------------------------------------------


def withstanding(classes: int = 10, side: int = 16) -> Network:
    """A network that says class 0 of every image, and is hardly moved by its pixels."""
    torch.manual_seed(0)
    linear = nn.Linear(side * side, classes)
    with torch.no_grad():
        linear.weight.mul_(0.01)
        linear.bias.zero_()[0] = 5.0
    return Network(nn.Sequential(nn.Flatten(), linear), (0.0,), (1.0,), None).eval()


def measured(attack: CatalogCall, folder: Path, classes: int = 10) -> Passes:
    """The passes for three images of class 0, all of which withstand the attack."""
    network = withstanding(classes)
    images = Images(torch.randint(0, 256, (3, 1, 16, 16), dtype=torch.uint8), torch.zeros(3).long(), torch.arange(3))
    with counted() as found:
        rows = measure(network, images, attack, classes=classes, device="cpu", scratch=folder)
        noticed(network, images, rows, "cpu")
    assert entry_of(AttackEntry, attack).nearest is not None or rows.correct.all()
    return found.passes


def given(entry: AttackEntry, **more: Any) -> CatalogCall:
    """A call that hardly moves an image, with what the entry needs."""
    values = {"norm": "Linf", "eps": 1e-4, "steps": 3, "step_size": 1e-4, "draws": 2} | more
    needed = {name: value for name, value in values.items() if name in entry.args}
    return catalog().call(entry.name, *needed.items())


ATTACKS = [entry for entry in catalog().entries("attack") if isinstance(entry, AttackEntry)]


@pytest.mark.parametrize("entry", ATTACKS, ids=lambda entry: entry.name)
def test_an_attack_makes_the_passes_of_its_plan(entry: AttackEntry, tmp_path: Path) -> None:
    agree(cost.evaluation(call := entry.shortened(given(entry)), 10).times(3), measured(call, tmp_path), entry.name)


VARIANTS = {
    "pgd": ({"keep": "last"}, {"restarts": 2, "random_start": "ball"}, {"objective": "kl"}, {"target": "least_likely"}),
    "fgsm": ({"objective": "kl"}, {"target": "least_likely"}),
    "apgd": ({"targets": 3}, {"norm": "L1", "eps": 0.01}, {"restarts": 2, "samples": 2}),
    "square": ({"restarts": 2, "queries": 5},),
    "noise": ({"draws": 1},),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_an_attack_makes_them_whatever_its_arguments(name: str, tmp_path: Path) -> None:
    for number, more in enumerate(VARIANTS[name]):
        call = given(entry_named(name), **more)
        found = measured(call, tmp_path / str(number))
        planned = cost.evaluation(call, 10).times(3)
        agree(planned, found, str(more))
        assert (found.forward, found.forward_backward) == (planned.forward, planned.forward_backward), more


def entry_named(name: str) -> AttackEntry:
    (entry,) = (entry for entry in ATTACKS if entry.name == name)
    return entry


@pytest.mark.parametrize("norm", ["Linf", "L2", "L1"])
@pytest.mark.parametrize("version", ["standard", "plus", "rand"])
def test_what_withstands_autoattack_costs_exactly_what_is_planned(version: str, norm: str, tmp_path: Path) -> None:
    entry = entry_named("autoattack")
    call = entry.shortened(given(entry, version=version, norm=norm))
    planned, found = cost.evaluation(call, 10).times(3), measured(call, tmp_path)
    assert (found.forward, found.forward_backward) == (planned.forward, planned.forward_backward)


@pytest.mark.parametrize("norm", ["Linf", "L2", "L1"])
@pytest.mark.parametrize("version", ["standard", "plus", "rand"])
@pytest.mark.parametrize("classes", [4, 10, 100])
def test_autoattack_tries_as_hard_as_is_planned(version: str, norm: str, classes: int) -> None:
    call = given(entry_named("autoattack"), version=version, norm=norm)
    driver, tried = published(withstanding(classes), call, classes, "cpu"), effort(call, classes)
    assert driver.apgd.n_iter == driver.fab.n_iter == driver.apgd_targeted.n_iter == tried.iterations
    assert (driver.square.n_queries, driver.apgd.n_restarts) == (tried.queries, tried.restarts)
    assert driver.fab.n_target_classes == tried.targets
    assert driver.apgd_targeted.n_target_classes == apgd_targets(tried)
    assert (driver.apgd.eot_iter, driver.apgd.use_largereps) == (tried.samples, tried.starts == 3)
