"""Training on a part: what it costs, which steps are equal, and what can be said of it."""

from __future__ import annotations

import pytest
from words import CLEAN, HEAD, SUBSET, codes_of, keys_by_label, passes_of, plan_of, step_called

from satdsl.check import check
from satdsl.ir.steps import SubsetTraining, Train
from satdsl.smoke import made_small

PART = HEAD + SUBSET + "train sat = m on s.A using r { attack A with pgd7 }\n" + CLEAN
WHOLE = PART.replace("s.A", "s")


def test_a_training_on_a_part_pays_for_its_images_alone():
    passes = passes_of(plan_of(PART), "train sat")
    images, watched, attack = 431, 38, 7
    epoch = images * (1 + attack) + watched * 10  # the probe for overfitting makes ten steps
    assert passes.forward_backward == 10 * epoch
    assert not passes.at_most


def test_a_part_whose_size_only_the_scores_tell_costs_at_most_the_whole():
    unknown = PART.replace("hardest 30% examples by snapshot-entropy of ref", "examples where entropy of ref > 0.5")
    attacked = WHOLE.replace("attack A", "attack all")
    bound, whole = (passes_of(plan_of(text), "train sat") for text in (unknown, attacked))
    assert bound.at_most
    assert bound.forward_backward == whole.forward_backward


def test_what_is_said_of_other_subsets_changes_nothing():
    other = PART.replace("B = rest", "B = rest; weight B = 3")
    assert keys_by_label(other) == keys_by_label(PART)
    settings = step_called(plan_of(PART), "train sat").settings
    assert isinstance(settings, Train)
    assert settings.part is not None
    assert [one for i, one in enumerate(settings.subsets) if i != settings.part] == [SubsetTraining(None, 0.0)]


def test_all_that_a_part_sees_is_the_part():
    assert keys_by_label(PART.replace("attack A", "attack all")) == keys_by_label(PART)


def test_the_only_subset_of_a_split_is_no_part():
    split = "split s of d { A = all }\n"
    assert keys_by_label(PART.replace(SUBSET, split)) == keys_by_label(WHOLE.replace(SUBSET, split))


def test_parts_are_other_steps_than_the_whole_and_than_each_other():
    keys = {keys_by_label(text.replace("attack A", "attack all"))["train sat"] for text in (PART, WHOLE)}
    keys.add(keys_by_label(PART.replace("s.A", "s.B").replace("attack A", "attack all"))["train sat"])
    assert len(keys) == 3


def test_a_sweep_goes_over_parts():
    text = PART.replace("s.A", "s.$which").replace("attack A", "attack all") + "sweep { which = [A, B] }"
    trained = [step.settings for step in plan_of(text).steps.values() if "split" in dict(step.inputs)]
    assert {settings.part for settings in trained if isinstance(settings, Train)} == {0, 1}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("on s.A", "on d.A"), "E206"),
        (("on s.A", "on s.X"), "E206"),
        (("attack A", "attack B"), "E536"),
        (("hardest 30% examples by snapshot-entropy of ref", "class 3"), "E408"),
        (("B = rest", "B = rest; weight A = 0; weight B = 1"), "E405"),
    ],
)
def test_what_cannot_be_trained_on_is_a_finding(change, code):
    assert change[0] in PART
    assert code in codes_of(PART.replace(*change))


def test_one_class_drawn_by_scores_is_found_at_every_draw():
    text = PART.replace("hardest 30% examples by snapshot-entropy of ref", "random $n classes seed = $draw")
    assert "E408" in codes_of(text + "sweep { n = [2, 1]; draw = 0..1 }")


def test_snapshots_of_a_part_rank_no_more_than_the_part():
    kept = "train p = m on s.A using r { keep snapshots every epoch }\n"
    ranked = "split t of d { A = hardest 30% examples by snapshot-entropy of p; B = rest }\n"
    assert "E537" in codes_of(PART + kept + ranked)
    assert "E537" not in codes_of(PART + kept + ranked.replace("snapshot-entropy", "entropy"))
    assert "E537" in codes_of(PART + kept + "evaluate p { x = mean forgetting on train }")
    assert "E537" not in codes_of(PART + kept + "evaluate p { x = mean forgetting on A_train }")


def test_a_smoke_run_of_a_part_has_batches_for_its_few_images():
    small, _ = made_small(check("spec.sat", PART))
    train = small.trainings["sat"].table[()]
    size = small.splits["s"].table[()].sizes[0]
    assert train.part == "A"
    assert size is not None
    assert train.recipe["batch"] <= size
