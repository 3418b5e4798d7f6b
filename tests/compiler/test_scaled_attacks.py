"""A radius for each image: what a file of factors may have, what is in the key, and where it is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from words import codes_of, keys_by_label, plan_of, step_called

from satdsl.check import check
from satdsl.ir.plan import Plan
from satdsl.ir.steps import ScaledAttacks, SeveralAttacks, Train, unscaled
from satdsl.plan.saved import UnusablePlan, load, save
from satdsl.show.diff import diff_document
from satdsl.smoke import made_small

N = 6
SPEC = """sat 1
dataset d = synthetic(classes=2, shape=[1, 8, 8], train=6, val=4)
model m = small_cnn()
attack e8 = pgd(norm=Linf, eps=8/255, step_size=2/255, steps=7)
attack l2 = pgd(norm=L2, eps=0.5, step_size=0.1, steps=7)
attack plain = none()
recipe r = sgd(epochs=4)
split s of d { A = class 0; B = rest }
train sat = m on s using r { attack A with e8 scaled by scores in "r.npy" }
evaluate sat { robust = robust accuracy under e8 on val }
"""
LINE = 'attack A with e8 scaled by scores in "r.npy"'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("r.npy", np.linspace(0, 1, N))
    return tmp_path


def trained(line: str) -> str:
    return SPEC.replace(LINE, line)


def choices_of(plan: Plan) -> list[object]:
    settings = step_called(plan, "train sat").settings
    assert isinstance(settings, Train)
    return [phase.attack for subset in settings.subsets for phase in subset.phases]


def test_the_numbers_are_in_the_key_and_the_path_is_not(folder: Path):
    before = keys_by_label(SPEC)
    (folder / "other.npy").write_bytes((folder / "r.npy").read_bytes())
    assert keys_by_label(SPEC.replace("r.npy", "other.npy")) == before
    np.save("r.npy", np.ones(N))
    after = keys_by_label(SPEC)
    assert {label for label in before if before[label] == after[label]} == {"data d", "split s"}
    assert keys_by_label(trained("attack A with e8"))["train sat"] not in (before["train sat"], after["train sat"])


def test_phases_and_several_attacks_are_scaled():
    plan = plan_of(
        trained(
            'attack A with each of e8, l2, plain scaled by scores in "r.npy" until epoch 2\n'
            'attack A with e8 from epoch 3\nattack B with plain, l2 scaled by scores in "r.npy"'
        )
    )
    found = [choice for choice in choices_of(plan) if choice is not None]
    scaled = [choice for choice in found if isinstance(choice, ScaledAttacks)]
    assert (len(found), len(scaled)) == (3, 2)
    assert all(isinstance(choice.attacks, SeveralAttacks) for choice in scaled)


def test_a_comparison_of_plans_says_by_what_it_is_scaled():
    plans = plan_of(trained("attack A with e8")), plan_of(SPEC)
    document = diff_document(*plans, dict.fromkeys(plans[1].steps, "new"))
    assert "scaled by scores in a file of SHA-256" in str(document["trainings"])


def test_it_costs_what_the_attack_costs():
    costs = [plan_of(trained(line)).passes for line in (LINE, "attack A with e8")]
    assert list(costs[0].values()) == list(costs[1].values())


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ([1, 1, 1, -1e-9, 1, 1], "E419"),
        ([1, 1, 1, 1.0001, 1, 1], "E419"),
        ([1, np.nan, 1, 1, 1, 1], "E419"),
        ([0, 0, 0, 0, 0, 0], "E419"),
        ([3, 1, 2, 0, 5, 4], "E419"),
        ([3, 1, 2, 6, 5, 4], "E419"),
        ([8 / 255, 0, 2 / 255, 0, 0, 0], "E419"),
        ([1, 1, 1], "E413"),
        ([1] * 7, "E413"),
        ([[0, 1.0], [0, 1.0], [1, 1], [2, 1], [3, 1], [4, 1]], "E413"),
        ([[9, 1.0], [0, 1.0], [1, 1], [2, 1], [3, 1], [4, 1]], "E413"),
        (np.ones((6, 3)), "E413"),
    ],
)
def test_what_cannot_scale_radii_is_a_finding(numbers, code):
    np.save("r.npy", np.array(numbers, dtype=float))
    assert codes_of(SPEC) == [code]


@pytest.mark.parametrize("numbers", [[1, 0, 1, 0, 1, 1], [0.5, 0.2, 0, 0.1, 0.3, 0.4], [1] * 6])
def test_factors_are_no_finding(numbers):
    np.save("r.npy", np.array(numbers, dtype=float))
    assert codes_of(SPEC) == []


def test_two_images_with_0_and_1_are_no_order():
    np.save("r.npy", np.array([0.0, 1.0]))
    assert codes_of(SPEC.replace("train=6", "train=2")) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('loss A = trades(beta=6) scaled by scores in "r.npy"', "weight A = scores in"),
        ('attack A with e8; select by robust accuracy under e8 scaled by scores in "r.npy"', "one radius for all"),
        ('attack A with e8 until epoch 2 scaled by scores in "r.npy"', 'scaled by scores in "radii.npy" until'),
        ('attack A with e8 scaled by ranking in "r.npy"', 'scaled by scores in "radii.npy"'),
        ("attack A with e8 scaled by 0.5", 'scaled by scores in "radii.npy"'),
    ],
)
def test_where_it_cannot_stand_the_finding_says_where_it_can(line, said):
    from satdsl.diagnostics import SpecError

    with pytest.raises(SpecError) as error:
        check("spec.sat", trained(line))
    (finding,) = error.value.findings
    assert finding.code == "E104"
    assert said in str(finding.help)


def test_a_smoke_run_attacks_its_own_images_at_the_whole_radius():
    small, _ = made_small(check("spec.sat", SPEC))
    (train,) = small.trainings["sat"].table.values()
    assert train.attacks[0] == unscaled(train.attacks[0])
    assert train.attacks[0] is not None


def test_a_saved_plan_runs_with_the_same_file_and_no_other(folder: Path):
    plan = plan_of(SPEC)
    save(plan, folder / "plan.yaml")
    assert load(folder / "plan.yaml").steps == plan.steps
    np.save("r.npy", np.ones(N))
    with pytest.raises(UnusablePlan, match=r"r\.npy is not what it was"):
        load(folder / "plan.yaml")
