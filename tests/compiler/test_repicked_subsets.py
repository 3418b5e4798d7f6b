"""Subsets that are picked anew while a network trains: what is known of them, what they cost, which steps are equal."""

from __future__ import annotations

import pytest
from words import CLEAN, HEAD, codes_of, keys_by_label, passes_of, plan_of, step_called

from satdsl.check import check
from satdsl.ir.steps import ITSELF, Pick, Ranking, Repicking, Rest, Split, Train
from satdsl.smoke import made_small

ANEW = (
    HEAD
    + "split s of d { A = hardest 40% examples by loss of itself every 3 epochs; B = rest; weight A = |B|/|A| }\n"
    + "train sat = m on s using r { attack A with pgd7 }\n"
    + CLEAN
)
STAYS = ANEW.replace("loss of itself every 3 epochs", "loss of ref")


def settings_of(text: str) -> Train:
    settings = step_called(plan_of(text), "train sat").settings
    assert isinstance(settings, Train)
    return settings


def test_sizes_and_weights_are_known_and_each_pick_costs_a_forward_pass_of_all_images():
    anew, stays = (passes_of(plan_of(text), "train sat") for text in (ANEW, STAYS))
    assert anew.forward_backward == stays.forward_backward
    assert anew.forward - stays.forward == 1437 * 3, "before epochs 4, 7 and 10"
    assert not anew.at_most
    (split,) = plan_of(ANEW).splits
    assert [(one.size, one.anew) for one in split.subsets] == [(575, 3), (862, None)]
    assert split.subsets[0].weight == pytest.approx(862 / 575)


def test_the_training_has_the_picks_and_the_split_has_the_draw_that_it_begins_with():
    plan, settings = plan_of(ANEW), settings_of(ANEW)
    pick = Pick("hardest", 575, "examples", ranking=Ranking("loss", ITSELF))
    assert settings.repick == Repicking((pick, Rest()), 3)
    split = step_called(plan, "split s")
    assert isinstance(split.settings, Split)
    assert split.settings.subsets == (pick, Rest())
    assert [role for role, _ in split.inputs] == ["data"]


def test_how_often_is_in_the_key_of_the_training_alone():
    often = keys_by_label(ANEW.replace("every 3", "every 2"))
    seldom = keys_by_label(ANEW)
    assert {label for label in seldom if seldom[label] != often[label]} == {"train sat", "evaluate sat on val"}


def test_given_weights_are_ranked_by_before_the_first_epoch():
    started = ANEW.replace("{ attack A", "{ start from ref; attack A")
    repick = settings_of(started).repick
    assert repick is not None
    assert repick.at_start
    more = passes_of(plan_of(started), "train sat").forward - passes_of(plan_of(ANEW), "train sat").forward
    assert more == 1437


def test_a_pick_may_be_taken_from_what_another_network_ranks():
    within = ANEW.replace("40% examples by", "40% examples of (hardest 50% examples by entropy of ref) by")
    step = step_called(plan_of(within), "train sat")
    assert [role for role, _ in step.inputs] == ["data", "ranking0", "split"]


def test_a_random_order_in_a_sweep_is_a_split_that_stays():
    swept = ANEW.replace("hardest", "$order") + "sweep { order = [hardest, random] }"
    trained = [step.settings for step in plan_of(swept).steps.values() if "split" in dict(step.inputs)]
    assert [one.repick is None for one in trained if isinstance(one, Train)] == [False, True]


def test_a_part_that_is_picked_anew_is_paid_for_by_its_size_and_scores_all_images():
    alone = ANEW.replace("on s using r { attack A", "on s.A using r { keep snapshots every epoch; attack A")
    whole = ANEW.replace("using r { attack A", "using r { keep snapshots every epoch; attack A")
    saved = passes_of(plan_of(whole), "train sat").cost - passes_of(plan_of(alone), "train sat").cost
    assert saved >= 10 * 862
    assert "E537" not in codes_of(alone + "evaluate sat { m = mean snapshot-loss on train }".replace("sat {", "sat {"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ((" every 3 epochs", ""), "E415"),
        (("of itself", "of ref"), "E415"),
        (("loss of", "aum of"), "E415"),
        (("loss of", "grand of"), "E415"),
        (("40% examples", "4 classes"), "E415"),
        (("hardest 40% examples by loss of itself every 3 epochs", "examples where loss of itself > 1"), "E415"),
        (("B = rest", "B = easiest 9% examples by loss of itself every 2 epochs; C = rest"), "E416"),
        (("|B|/|A|", "classes(A)"), "E417"),
        (("on val", "on A_train"), "E417"),
        (("on val", "on A_val"), "E406"),
        (("every 3 epochs", "every 10 epochs"), "E304"),
        (("every 3 epochs", "every 0 epochs"), "E304"),
    ],
)
def test_what_cannot_be_picked_or_asked_is_a_finding(change, code):
    assert change[0] in ANEW
    assert code in codes_of(ANEW.replace(*change))


def test_a_smoke_run_picks_after_its_first_epoch():
    small, plan = made_small(check("spec.sat", ANEW))
    assert small.splits["s"].table[()].every == 1
    repicks = [step.settings.repick for step in plan.steps.values() if isinstance(step.settings, Train)]
    assert any(repick is not None and repick.every == 1 for repick in repicks)
