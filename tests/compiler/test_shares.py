"""Subsets by origin and shares of every batch: what is known, what it costs, which steps are equal, what is refused."""

from __future__ import annotations

import pytest
from words import codes_of, findings_of, keys_by_label, passes_of, plan_of, step_called

from satdsl.check import check
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Origin, Rest, Split, Train
from satdsl.show.text import sections
from satdsl.smoke import made_small

TEXT = """sat 1
dataset real = digits(limit=200, holdout=10%)
dataset extra = synthetic(classes=10, shape=[1, 8, 8], train=600)
dataset both = real + extra
model m = small_cnn()
attack pgd7 = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)
recipe r = sgd(epochs=4, batch=32)
split mixed of both { genuine = images of real; rest_of_it = rest; share genuine = 30% }
train t = m on mixed using r { attack genuine with pgd7 }
evaluate t { clean = clean accuracy on val }
"""
PLAIN = TEXT.replace("; share genuine = 30%", "")


def settings_of(text: str) -> Train:
    settings = step_called(plan_of(text), "train t").settings
    assert isinstance(settings, Train)
    return settings


def explained(plan: Plan) -> str:
    return "\n".join(repr(parts) for _, parts in sections(plan, dict.fromkeys(plan.steps, "new")))


def test_images_of_a_joined_data_set_are_those_of_its_dataset_indices():
    split = step_called(plan_of(TEXT), "split mixed")
    assert isinstance(split.settings, Split)
    assert split.settings.subsets == (Origin(0, 1437, "real"), Rest()), "1,437 before its limit"
    (facts,) = plan_of(TEXT).splits
    assert [(one.size, one.share) for one in facts.subsets] == [(200, 0.3), (600, 0.7)]
    second = plan_of(TEXT.replace("images of real; rest_of_it = rest", "rest; rest_of_it = images of extra"))
    assert [one.size for one in second.splits[0].subsets] == [200, 600]
    assert Origin(1437, 2037, "extra") in step_called(second, "split mixed").settings.subsets  # type: ignore[union-attr]


def test_parts_of_parts_and_all_parts_together():
    nested = TEXT.replace(
        "split mixed",
        "dataset third = synthetic(classes=10, shape=[1, 8, 8], train=40, seed=1)\ndataset all3 = both + third\n"
        "split s3 of all3 { A = images of extra; B = images of both - A; C = images of third }\n"
        "train t3 = m on s3 using r\nevaluate t3 { clean = clean accuracy on val }\nsplit mixed",
    )
    sizes = {facts.name: [one.size for one in facts.subsets] for facts in plan_of(nested).splits}
    assert sizes["s3"][0::2] == [600, 40]
    three = nested.replace("B = images of both - A", "B = images of real")
    assert {facts.name: [one.size for one in facts.subsets] for facts in plan_of(three).splits}["s3"] == [600, 200, 40]


def test_what_is_picked_from_one_of_them_leaves_a_known_rest():
    text = TEXT.replace("split mixed", "train ref = m on both using r\nsplit mixed").replace(
        "genuine = images of real",
        "genuine = images of real - hard; hard = hardest 20% examples of (images of real) by loss of ref",
    )
    (facts,) = plan_of(text).splits
    assert [one.size for one in facts.subsets] == [160, 40, 600]


def test_an_epoch_is_as_long_as_the_first_data_set_and_the_plan_counts_its_attacked_images():
    settings = settings_of(TEXT)
    assert settings.epoch_images == 200
    assert [one.share for one in settings.subsets] == [0.3, None]
    # 6 batches of 32 and one of 8: of each 30 % are attacked, 60 of 200 in all. Without shares 200 of 800 are.
    shared, plain = passes_of(plan_of(TEXT), "train t"), passes_of(plan_of(PLAIN), "train t")
    assert plain.forward_backward - shared.forward_backward == 4 * ((800 + 7 * 200) - (200 + 7 * 60))
    assert plain.forward == pytest.approx(shared.forward + 4 * (200 - 60)), (
        "the point that each attack ends in is looked at"
    )
    assert not shared.at_most


def test_a_share_of_a_plain_data_set_keeps_the_length_of_its_epochs():
    text = TEXT.replace("of both { genuine = images of real", "of extra { genuine = random 10% examples").replace(
        "extra = synthetic(", "extra = synthetic(val=10, "
    )
    settings = settings_of(text)
    assert settings.epoch_images is None
    assert "an epoch of 600 images, 19 batches" in explained(plan_of(text))


def test_only_the_training_knows_of_shares():
    keys, plain = keys_by_label(TEXT), keys_by_label(PLAIN)
    assert {label for label in keys if keys[label] != plain[label]} == {"train t", "evaluate t on val"}
    same = keys_by_label(TEXT.replace("30%", "100% - 70%"))
    assert same == keys
    other_way = keys_by_label(TEXT.replace("share genuine = 30%", "share rest_of_it = 70%; share genuine = 30%"))
    assert other_way["train t"] != keys["train t"], "sizes decide what is left, so it is not the same in all cases"


def test_explain_says_what_an_epoch_has_of_each_subset():
    page = explained(plan_of(TEXT))
    for words in ("200, 30% of each batch", "an epoch of 200 images, 7 batches", "'0.233'", "'70%'"):
        assert words in page


def test_sizes_that_scores_decide_leave_shares_known_and_costs_exact_where_they_can():
    scored = TEXT.replace("of both { genuine = images of real", "of real { genuine = examples where loss of ref > 2")
    scored = scored.replace("split mixed", "train ref = m on real using r\nsplit mixed")
    (facts,) = plan_of(scored).splits
    assert [(one.size, one.share) for one in facts.subsets] == [(None, 0.3), (None, 0.7)]
    assert not passes_of(plan_of(scored), "train t").at_most
    third = scored.replace("rest_of_it = rest", "easy = examples where loss of ref < 0.1; rest_of_it = rest")
    third = third.replace("attack genuine", "attack rest_of_it")
    assert [one.share for one in plan_of(third).splits[0].subsets] == [0.3, None, None]
    assert passes_of(plan_of(third), "train t").at_most


def test_along_a_sweep_shares_reach_from_none_to_all():
    swept = TEXT.replace("split mixed", "sweep { part = 0%..100% step 50% }\nsplit mixed").replace("30%", "$part")
    plan = plan_of(swept)
    shares = [[one.share for one in facts.subsets] for facts in plan.splits]
    assert shares == [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    assert len({key for _, key in plan.named["t"]}) == 3
    assert len({facts.key for facts in plan.splits}) == 1
    assert "'50%'" in explained(plan), "shares are those of each training, though all have one split"


def test_every_point_of_a_sweep_is_looked_at():
    swept = TEXT.replace("split mixed", "sweep { part = [50%, 0.1%] }\nsplit mixed").replace("30%", "$part")
    (found,) = (one for one in findings_of(swept) if one.severity == "error")
    assert (found.code, "0.1% of each batch is not one image" in found.message) == ("E545", True)


def test_a_small_run_has_images_of_every_origin():
    small = made_small(check("spec.sat", TEXT))[0]
    split = small.splits["mixed"].at({})
    assert all(size and size > 1 for size in split.sizes)
    assert split.shares == (0.3, None)


@pytest.mark.parametrize(
    ("given", "small"),
    [
        ("share genuine = 2%", (0.5, None)),
        ("share genuine = 98%", (0.5, None)),
        ("share genuine = 0%", (0.0, None)),
        ("share genuine = 100%", (1.0, None)),
        ("share genuine = 2%; share rest_of_it = 98%", (0.5, 0.5)),
    ],
)
def test_a_small_epoch_has_images_of_every_subset_that_has_a_share(given: str, small: tuple[float | None, ...]):
    experiment, plan = made_small(check("spec.sat", TEXT.replace("share genuine = 30%", given)))
    assert experiment.splits["mixed"].at({}).shares == small
    assert passes_of(plan, "train t").cost > 0


def test_a_single_step_attack_on_a_small_share_is_warned_of():
    fgsm = TEXT.replace("pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)", "fgsm(norm=Linf, eps=0.1)")
    assert "E608" not in codes_of(fgsm)
    assert "E608" in codes_of(fgsm.replace("30%", "10%")), "of the images that are seen, not of those that there are"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("share genuine = 30%; share rest_of_it = 60%", "E545"),
        ("share genuine = 101%", "E304"),
        ("share genuine = 0.5", "E301"),
        ("share genuine = 0.1%", "E545"),
        ("share genuine = 100%; weight genuine = 0", "E405"),
    ],
)
def test_shares_that_cannot_be_are_refused(line: str, code: str):
    assert code in codes_of(TEXT.replace("share genuine = 30%", line))


def test_the_bare_name_of_a_joined_data_set_is_mended():
    found = next(one for one in findings_of(TEXT.replace("images of real", "real")) if one.code == "E206")
    assert found.fix is not None
    assert [text for _, text in found.fix.edits] == ["images of real"]
