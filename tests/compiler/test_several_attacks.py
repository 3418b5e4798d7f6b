"""Several attacks on a subset and lines of some epochs: what is the same training, and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from words import CLEAN, codes_of, findings_of, passes_of, plan_of, step_called

from satdsl.check import check
from satdsl.ir.plan import Passes
from satdsl.ir.steps import SubsetTraining, Train
from satdsl.plan.saved import load, save
from satdsl.smoke import made_small

HEAD = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn()
attack linf = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=3, keep=last)
attack l2 = pgd(norm=L2, eps=0.5, step_size=0.25, steps=5)
attack plain = none()
recipe r = sgd(epochs=10)
split s of d { A = classes 0, 1, 2; B = rest }
"""
OF_A, IMAGES, EPOCHS = 432, 1437, 10


def trained(*lines: str) -> str:
    return f"{HEAD}train sat = m on s using r {{ {'; '.join(lines)} }}\n{CLEAN}"


def subset_of(text: str) -> SubsetTraining:
    settings = step_called(plan_of(text), "train sat").settings
    assert isinstance(settings, Train)
    return settings.subsets[0]


SAME = [
    (["attack A with linf, l2"], ["attack A with l2, linf"]),
    (["attack A with each of linf"], ["attack A with linf"]),
    (["attack A with linf until epoch 10"], ["attack A with linf"]),
    (["attack A with linf until epoch 4", "attack A with linf from epoch 5"], ["attack A with linf"]),
    (["attack A with l2 from epoch 5", "attack A with linf until epoch 4"],
     ["attack A with linf until epoch 4", "attack A with l2 from epoch 5 until epoch 10"]),
    (["attack A with linf from epoch 3"], ["attack A with plain until epoch 2", "attack A with linf from epoch 3"]),
    (["attack A with linf", "loss A = cross_entropy until epoch 3"], ["attack A with linf"]),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_training_is_one_step(one: list[str], other: list[str]) -> None:
    keys = [step_called(plan_of(trained(*lines)), "train sat").key for lines in (one, other)]
    assert keys[0] == keys[1]


def test_phases_begin_where_an_attack_or_a_loss_changes() -> None:
    lines = "attack A with linf from epoch 3", "attack B with l2", "loss A = trades(beta=1) from epoch 6 until epoch 8"
    assert [phase.first for phase in subset_of(trained(*lines)).phases] == [1, 3, 6, 9]


COSTS = [
    (["attack A with linf"], Passes(0, 3 * 10)),
    (["attack A with linf, l2"], Passes((0 + 1 + 2) * 10, (3 + 5) * 10)),
    (["attack A with linf, plain"], Passes(2 * 10, 3 * 10)),
    (["attack A with each of linf, l2"], Passes(1 * 10, (3 + 5 + 1) * 10)),
    (["attack A with each of linf, l2, plain"], Passes(1 * 10, (3 + 5 + 2) * 10)),
    (["attack A with one of linf, l2"], Passes(1 * 10, 5 * 10)),  # the costlier at most
    (["attack A with linf from epoch 8"], Passes(0, 3 * 3)),
    (["attack A with linf until epoch 4", "attack A with l2 from epoch 5"], Passes(1 * 6, 3 * 4 + 5 * 6)),
    (["attack A with linf", "loss A = trades from epoch 9"], Passes(2, 3 * 10 + 2)),
    (["attack A with each of linf, l2", "loss A = trades"], Passes((1 + 2) * 10, (3 + 5 + 2) * 10)),
]


@pytest.mark.parametrize(("lines", "beside"), COSTS)
def test_a_training_costs_what_its_attacks_do_in_their_epochs(lines: list[str], beside: Passes) -> None:
    """Beside the pass of each image and the probe: a look, and for each norm ten steps and another look."""
    plan = plan_of(trained(*lines))
    norms = len({attack["norm"] for attack in subset_of(trained(*lines)).every_attack})
    probe = Passes(1 + norms, 10 * norms).times(38 * EPOCHS)
    found = passes_of(plan, "train sat")
    expected = Passes(0, IMAGES * EPOCHS) + probe + beside.times(OF_A)
    assert found.forward == pytest.approx(expected.forward)
    assert found.forward_backward == pytest.approx(expected.forward_backward)


def test_a_saved_plan_has_several_attacks_and_phases(tmp_path: Path) -> None:
    plan = plan_of(trained("attack A with each of linf, plain until epoch 3", "attack A with linf, l2 from epoch 4"))
    save(plan, tmp_path / "plan.yaml")
    assert load(tmp_path / "plan.yaml") == plan


def test_a_smoke_run_has_the_first_and_the_last_of_the_phases() -> None:
    text = trained("attack A with linf, l2 until epoch 3", "attack A with one of linf, l2 from epoch 8",
                   "attack A with l2 from epoch 4 until epoch 7")  # fmt: skip
    small, _ = made_small(check("spec.sat", text, {}))
    (training,) = small.trainings["sat"].table.values()
    assert [phase.first for phase in training.changes[0]] == [2]
    assert all(attack["steps"] <= 2 for attack in training.every_attack)


def test_rules_hold_for_each_attack() -> None:
    assert "E607" in codes_of(
        trained("attack A with linf, aa").replace("recipe r", "attack aa = autoattack(norm=Linf, eps=0.1)\nrecipe r")
    )
    assert "E601" in codes_of(
        trained("attack A with one of linf, far").replace(
            "recipe r", "attack far = pgd(norm=L2, eps=100, step_size=20, steps=5)\nrecipe r"
        )
    )


def test_epochs_may_be_swept() -> None:
    text = trained("attack A with linf until epoch $switch", "attack A with l2 from epoch $switch + 1")
    plan = plan_of(text.replace("recipe r", "sweep { switch = [2, 5] }\nrecipe r"))
    found = [step.settings.subsets[0] for step in plan.steps.values() if isinstance(step.settings, Train)]
    assert [[phase.first for phase in subset.phases] for subset in found] == [[1, 3], [1, 6]]


def test_an_epoch_is_named_where_a_loss_has_nothing_to_look_at() -> None:
    (finding,) = [
        one for one in findings_of(trained("attack A with linf from epoch 3", "loss A = trades")) if one.code == "E530"
    ]
    assert "in epoch 1" in finding.message
