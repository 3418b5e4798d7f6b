"""Attacks made on another network: which steps they are, and that what is the same is one step."""

from __future__ import annotations

from words import codes_of, keys_of, passes_of, plan_of

from satdsl.check import check
from satdsl.ir.plan import Accuracy, Plan
from satdsl.smoke import made_small

HEAD = """sat 1
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=40, holdout=25%)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
attack q = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=3)
recipe r = sgd(epochs=10, batch=32)
train ref = m on d using r
train sat = m on d using r { attack all with p }
"""
WHITE = "evaluate sat { white = robust accuracy under p on val }\n"


def inputs(plan: Plan, name: str, place: int = 0) -> dict[str, str]:
    measures = [result.measure for result in plan.results if result.name == name]
    assert isinstance(measures[0], Accuracy)
    return dict(plan.steps[measures[0].evaluations[place]].inputs)


def trained(plan: Plan, name: str) -> str:
    return plan.named[name][0][1]


def test_the_source_is_an_input_beside_the_network_that_is_measured():
    plan = plan_of(HEAD + WHITE + "evaluate sat { black = robust accuracy under p made on ref on val }")
    assert inputs(plan, "sat.black")["source"] == trained(plan, "ref")
    assert inputs(plan, "sat.black")["weights"] == trained(plan, "sat")
    assert "source" not in inputs(plan, "sat.white")
    assert "evaluate sat under pgd made on ref on val" in plan.labels.values()
    costs = [passes_of(plan, f"evaluate sat under pgd {made}on val") for made in ("", "made on ref ")]
    assert costs[0] == costs[1]


def test_each_attack_has_its_own_source_and_all_together_are_the_worst_case():
    text = "evaluate sat { all = robust accuracy under p made on ref, p, q made on ref[epoch=4] on val }"
    plan = plan_of(HEAD + text)
    (measure,) = (result.measure for result in plan.results)
    assert isinstance(measure, Accuracy)
    assert measure.made_on == ("ref", "", "ref[epoch=4]")
    assert [attack["steps"] for attack in measure.attacks] == [2, 2, 3]
    assert len(set(measure.evaluations)) == 3
    assert plan.steps[measure.evaluations[2]].settings.source_epoch == 4  # type: ignore[union-attr]
    assert plan.steps[trained(plan, "ref")].settings.keep_weights == (4,)  # type: ignore[union-attr]
    assert inputs(plan, "sat.all", 1).keys() == {"data", "weights"}


def test_what_is_made_on_the_network_itself_is_the_plain_step():
    assert keys_of(HEAD + WHITE) == keys_of(HEAD + WHITE.replace("under p", "under p made on sat"))
    assert "E720" in codes_of(HEAD + WHITE.replace("under p", "under p made on sat"))
    again = "train same = m on d using r { attack all with p }\n"
    assert keys_of(HEAD + WHITE) == keys_of(HEAD + again + WHITE.replace("under p", "under p made on same"))


def test_the_weights_after_another_epoch_are_another_network():
    text = HEAD + "evaluate sat every 5 epochs { e = robust accuracy under p made on sat[epoch=5] on val }"
    plan = plan_of(text)
    first, last = (plan.steps[result.measure.steps[0]] for result in plan.results)
    assert "source" not in dict(first.inputs)
    assert dict(last.inputs)["source"] == trained(plan, "sat")
    assert (last.settings.epoch, last.settings.source_epoch) == (None, 5)  # type: ignore[union-attr]
    assert "E723" not in codes_of(text)
    assert "E723" in codes_of(text.replace("[epoch=5]", "[epoch=4]"))


def test_a_table_of_all_networks_against_all_has_the_plain_attack_on_its_diagonal():
    text = (
        HEAD
        + "sweep { source = [ref, sat] }\n"
        + (
            "evaluate ref, sat { moved = robust accuracy under q made on $source on val }\n"
            'table "all" = rows(ref.moved, sat.moved)'
        )
    )
    plan = plan_of(text)
    assert [dict(result.point) for result in plan.results] == [{"source": "ref"}, {"source": "sat"}] * 2
    sources = ["source" in dict(plan.steps[result.measure.steps[0]].inputs) for result in plan.results]
    assert sources == [False, True, True, False]
    assert "E720" not in codes_of(text)
    assert "E723" not in codes_of(text)


def test_axes_of_the_source_are_axes_of_the_result_unless_they_are_picked():
    swept = (
        HEAD.replace("train ref = m on d using r", "train ref = m on d using r { seed = $n }") + "sweep { n = 0..2 }\n"
    )
    every = plan_of(swept + "evaluate sat { b = robust accuracy under p made on ref on val }")
    assert [dict(result.point) for result in every.results] == [{"n": "0"}, {"n": "1"}, {"n": "2"}]
    assert (
        len({inputs["source"] for inputs in (dict(every.steps[r.measure.steps[0]].inputs) for r in every.results)}) == 3
    )
    one = plan_of(swept + "evaluate sat { b = robust accuracy under p made on ref[n=1] on val }")
    assert [dict(result.point) for result in one.results] == [{}]
    assert dict(one.steps[one.results[0].measure.steps[0]].inputs)["source"] == dict(one.named["ref"])[(("n", "1"),)]


def test_parts_of_one_measure_are_measured_together_and_those_of_another_source_apart():
    split = "split s of d { A = classes 0, 1; B = rest }\ntrain two = m on s using r { attack A with p }\n"
    text = (
        HEAD
        + split
        + ("evaluate two { a = robust accuracy under p made on ref on A_val; b = robust accuracy under p on B_val }")
    )
    plan = plan_of(text)
    settings = [plan.steps[result.measure.steps[0]].settings for result in plan.results]
    assert all(one.subsets is not None and len(one.subsets) == 1 for one in settings)  # type: ignore[union-attr]


def test_a_transfer_may_be_attacked_in_the_place_of_another_network():
    moved = "transfer moved = sat to d using r\n"
    plan = plan_of(HEAD + moved + "evaluate sat { b = robust accuracy under p made on moved on val }")
    assert inputs(plan, "sat.b")["source"] == trained(plan, "moved")


def test_a_smoke_run_shows_the_other_networks_images_too():
    text = HEAD + WHITE + "evaluate sat { b = robust accuracy under p made on ref[epoch=7] on val }"
    _, plan = made_small(check("spec.sat", text))
    step = plan.steps[next(result for result in plan.results if result.name == "sat.b").measure.steps[0]]
    assert step.settings.source_epoch == 2  # type: ignore[union-attr]
    assert dict(step.inputs)["source"] == trained(plan, "ref")


def test_settings_without_another_network_have_nothing_of_it_in_their_keys():
    for step in plan_of(HEAD + WHITE).steps.values():
        assert "source_epoch" not in step.key_settings
