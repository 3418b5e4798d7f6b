"""Transfers that train the whole network are trainings: what they cost, which steps are equal, what fits."""

from __future__ import annotations

import pytest
from words import HEAD, codes_of, keys_by_label, passes_of, plan_of, step_called

from satdsl.check import check
from satdsl.ir.steps import Train
from satdsl.smoke import made_small

TARGET = HEAD + (
    "dataset e = synthetic(classes=4, shape=[1, 8, 8], train=120, val=40, holdout=20%)\n"
    "dataset colours = synthetic(classes=4, shape=[3, 8, 8], train=120, val=40)\n"
    "dataset large = synthetic(classes=4, shape=[1, 16, 16], train=120, val=40)\n"
    "recipe none = sgd(epochs=0)\n"
)
WHOLE = TARGET + (
    "transfer w = ref to e using r { train all; attack all with pgd7; select by robust accuracy under pgd7 at end }\n"
    "evaluate w { clean = clean accuracy on val }\n"
)
HEAD_ALONE = TARGET + "transfer w = ref to e using r\nevaluate w { clean = clean accuracy on val }\n"


def settings_of(text: str) -> Train:
    settings = step_called(plan_of(text), "train w").settings
    assert isinstance(settings, Train)
    return settings


def test_it_costs_what_a_training_on_the_target_does():
    trained = WHOLE.replace("transfer w = ref to e", "train w = m on e").replace("train all; ", "")
    assert passes_of(plan_of(WHOLE), "train w") == passes_of(plan_of(trained), "train w")


def test_images_are_normalised_as_those_that_the_body_was_trained_on():
    plan, settings = plan_of(WHOLE), settings_of(WHOLE)
    source = step_called(plan, "train ref").settings
    assert isinstance(source, Train)
    assert (settings.mean, settings.std) == (source.mean, source.std)
    assert settings.head is not None
    assert settings.head.name == "linear"
    again = WHOLE + "transfer v = w to d using r { train all }\nevaluate v { clean = clean accuracy on val }"
    later = step_called(plan_of(again), "train v").settings
    assert isinstance(later, Train)
    assert later.mean == source.mean


def test_train_head_is_what_is_meant_without_a_line():
    assert keys_by_label(HEAD_ALONE.replace("using r\n", "using r { train head }\n")) == keys_by_label(HEAD_ALONE)


def test_it_can_start_trainings_be_scored_and_be_transferred_again():
    more = (
        "split s of e { A = hardest 30% examples by entropy of w; B = rest }\n"
        "transfer x = w to s using r { train all; attack A with pgd7 }\n"
        "transfer y = x to d using r\n"
        "train z = m on e using r { start from x }\n"
        "evaluate y, z { clean = clean accuracy on val }\n"
        "evaluate x { a = clean accuracy on A_train }\n"
    )
    plan = plan_of(WHOLE + more)
    labels = [plan.labels[key] for _, key in sorted(step_called(plan, "train x").inputs)]
    assert labels == ["data e", "split s", "train w"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("train all; ", ""), "E538"),
        (("train all; ", "train head; "), "E538"),
        (("train all; ", "train all; train all; "), "E201"),
        (("using r { train all", "using none { train all"), "E513"),
        (("ref to e", "ref to colours"), "E506"),
        (("ref to e", "ref to large"), "E506"),
        (("attack all", "attack A"), "E206"),
    ],
)
def test_what_does_not_fit_is_a_finding(change, code):
    assert change[0] in WHOLE
    assert code in codes_of(WHOLE.replace(*change))


def test_a_head_of_two_layers_is_no_start_of_a_training():
    more = "train z = m on e using r { start from w }\nevaluate z { clean = clean accuracy on val }"
    assert "E515" not in codes_of(WHOLE + more)
    assert "E515" in codes_of(WHOLE.replace("train all;", "train all; head = mlp();") + more)


def test_a_line_that_begins_with_train_is_not_a_statement():
    in_lines = WHOLE.replace("{ train all; attack", "{\n  train all\n  attack")
    assert keys_by_label(in_lines) == keys_by_label(WHOLE)
    named = TARGET + "train all = m on d using r\nevaluate all { clean = clean accuracy on val }"
    assert set(codes_of(named)) <= {"E709"}, "nothing but `ref` goes unused"


def test_a_smoke_run_narrows_the_head():
    small, _ = made_small(check("spec.sat", WHOLE.replace("train all;", "train all; head = mlp(hidden=512);")))
    head = small.trainings["w"].table[()].head
    assert head is not None
    assert head["hidden"] < 512
