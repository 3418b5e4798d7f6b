"""Scores of validation images and of attacked images in plans: which steps they are, and what they cost."""

from __future__ import annotations

from words import codes_of, keys_of, passes_of, plan_of, step_called

from satdsl.check import check
from satdsl.ir.plan import MeanScore, Passes
from satdsl.ir.steps import Score, Train
from satdsl.smoke import made_small

HEAD = """sat 1
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=40, holdout=25%)
dataset other = synthetic(classes=4, shape=[1, 8, 8], train=32, val=20)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
attack q = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=9)
attack none_at_all = none()
recipe r = sgd(epochs=4, batch=32)
train ref = m on d using r { keep snapshots every epoch }
"""
RANKED = "train sat = m on s using r\nevaluate sat { clean = clean accuracy on val }\n"


def scored(text: str) -> list[Score]:
    return [step.settings for step in plan_of(HEAD + text).steps.values() if isinstance(step.settings, Score)]


def test_a_score_of_validation_images_is_a_step_of_its_own_over_the_images_that_are_reported_on():
    train, val = scored("evaluate ref { a = mean loss on train; b = mean loss on val }")
    assert (train.part, train.holdout) == ("train", None)
    assert val.part == "val"
    assert val.holdout is not None
    plan = plan_of(HEAD + "evaluate ref { a = mean loss on train; b = mean loss on val }")
    assert passes_of(plan, "score loss of ref") == Passes(64)
    assert passes_of(plan, "score loss of ref on val") == Passes(28)


def test_scores_of_the_training_images_keep_their_keys():
    (train,) = scored("evaluate ref { a = mean loss on train }")
    plan = plan_of(HEAD + "evaluate ref { a = mean loss on train }")
    assert train == Score("loss", None)
    assert {"part", "attack", "epoch"}.isdisjoint(step_called(plan, "score loss of ref").key_settings)


def test_a_score_may_be_of_another_data_sets_images():
    found = scored("evaluate ref { a = mean loss on other.val, other.train, val }")
    assert [one.part for one in found] == ["val", "train", "val"]
    plan = plan_of(HEAD + "evaluate ref { a = mean loss on other.val, val }")
    inputs = [dict(plan.steps[result.measure.steps[0]].inputs)["data"] for result in plan.results]
    assert len(set(inputs)) == 2


def test_an_attacked_score_names_its_attack_and_pays_for_it():
    text = "evaluate ref { a = mean loss on val; b = mean loss under q on val; c = mean grand under p on val }"
    plan = plan_of(HEAD + text)
    measures = [result.measure for result in plan.results if isinstance(result.measure, MeanScore)]
    assert [[attack["steps"] for attack in measure.attacks] for measure in measures] == [[], [9], [2]]
    clean, loss, grand = (plan.passes[result.measure.steps[0]] for result in plan.results)
    assert clean == Passes(28)
    assert loss.forward_backward >= 9 * 28
    assert loss.forward >= 28
    assert grand.forward_backward >= 3 * 28
    assert keys_of(HEAD + "evaluate ref { a = mean loss under none_at_all on val }") == keys_of(
        HEAD + "evaluate ref { a = mean loss on val }"
    )


def test_no_image_is_measured_for_the_sake_of_an_attacked_score():
    """What is asked of A alone stays a measure of A alone."""
    split = "split s of d { A = classes 0, 1; B = rest }\ntrain sat = m on s using r { attack A with p }\n"
    text = HEAD + split + "evaluate sat { a = robust accuracy under p on A_val }\n"
    alone, beside = plan_of(text), plan_of(text + "evaluate sat { b = mean loss under p on val }")
    assert {key for key, step in alone.steps.items() if step.kind == "evaluate"} == {
        key for key, step in beside.steps.items() if step.kind == "evaluate"
    }


def test_an_image_may_be_ranked_by_what_an_attack_makes_of_it():
    split = "split s of d { A = hardest 30% examples by loss of ref under p; B = examples where loss of ref > 1 - A }\n"
    split = split.replace(" - A", "").replace("B = examples", "B = (examples").replace("> 1", "> 1) - A; C = rest")
    plan = plan_of(HEAD + split + RANKED)
    step = step_called(plan, "split s")
    made = {plan.labels[key] for role, key in step.inputs if role.startswith("ranking")}
    assert made == {"score loss of ref", "score loss of ref under pgd"}


def test_axes_of_the_attack_are_axes_of_the_split():
    text = "sweep { with = [p, q] }\nsplit s of d { A = hardest 30% examples by loss of ref under $with; B = rest }\n"
    plan = plan_of(HEAD + text + RANKED)
    assert [dict(result.point) for result in plan.results] == [{"with": "p"}, {"with": "q"}]
    assert sum(step.kind == "split" for step in plan.steps.values()) == 2


def test_the_spread_is_recorded_where_it_is_asked_for_and_costs_no_backward_pass():
    plain = plan_of(HEAD + "evaluate ref { a = mean snapshot-loss on train }")
    asked = plan_of(HEAD + "evaluate ref { a = mean spread-confidence on train }")
    (before,), (after,) = (
        [step for step in plan.steps.values() if isinstance(step.settings, Train)] for plan in (plain, asked)
    )
    assert before.settings.scores == ()  # type: ignore[union-attr]
    assert after.settings.scores == ("spread-confidence",)  # type: ignore[union-attr]
    assert plain.passes[before.key] == asked.passes[after.key]
    assert codes_of(HEAD + "evaluate ref { a = mean spread-confidence on train }") == []


def test_a_smoke_run_takes_the_same_scores_with_fewer_steps():
    text = (
        HEAD
        + "split s of d { A = hardest 30% examples by loss of ref under q; B = rest }\n"
        + RANKED
        + "evaluate ref { a = mean loss under q on val; b = mean loss on val; c = mean spread-confidence on train }"
    )
    _, plan = made_small(check("spec.sat", text))
    found = [step.settings for step in plan.steps.values() if isinstance(step.settings, Score)]
    assert sorted((one.part, one.attack is not None) for one in found) == [
        ("train", True),
        ("val", False),
        ("val", True),
    ]
    assert all(one.attack is None or one.attack["steps"] < 9 for one in found)
