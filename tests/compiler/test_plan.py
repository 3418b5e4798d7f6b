"""Plans: which settings a step's key depends on, how large subsets are, how draws come out, and what steps cost."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from words import CLEAN, HEAD, SAT, SUBSET, codes_of, keys_by_label, keys_of, passes_of, plan_of, step_called

from satdsl.ir import draws
from satdsl.ir.plan import MeanScore, Passes, Plan, SubsetSummary
from satdsl.ir.steps import Data, Pick, Split, Train, WeightFormula
from satdsl.show.document import plan_document, totals

ROOT = Path(__file__).parents[2]
SPEC = (
    HEAD
    + """
title "Keys"
split s of d {
  A = hardest 30% examples by snapshot-entropy of ref
  B = rest
  weight A = 2
}
train sat = m on s using r {
  attack A with pgd7
  select by robust accuracy under pgd7
}
evaluate ref { clean = clean accuracy on val }
evaluate sat {
  clean = clean accuracy on val
  robust = robust accuracy under aa on val
  hard = clean accuracy on A_train
}
table "All" = rows(ref.clean, sat.clean, sat.robust, sat.hard)
"""
)
EVERY = {
    "data d",
    "train ref",
    "split s",
    "train sat",
    "evaluate ref on val",
    "evaluate sat on val",
    "evaluate sat under autoattack on val",
    "evaluate sat on train",
}
OF_SAT = {label for label in EVERY if " sat" in label}

fixed = settings(derandomize=True, database=None, deadline=None)


def changed(old: str, new: str, spec: str = SPEC) -> set[str]:
    """The steps whose keys change when `old` is written as `new`."""
    assert old in spec
    before, after = keys_by_label(spec), keys_by_label(spec.replace(old, new))
    assert before.keys() == after.keys()
    return {label for label in before if before[label] != after[label]}


def not_needed(plan: Plan) -> dict[str, str]:
    return dict.fromkeys(plan.steps, "new")


# --- what keys do not depend on ---


def test_the_spec_of_these_tests_has_these_steps():
    assert set(keys_by_label(SPEC)) == EVERY


NEW_NAMES = {"d": "numbers", "m": "cnn", "pgd7": "weak", "aa": "strong", "r": "rice", "ref": "teacher", "s": "halves"}


@pytest.mark.parametrize("old", [*NEW_NAMES, "A", "B", "sat", "clean"])
def test_a_key_does_not_depend_on_names(old):
    new = NEW_NAMES.get(old, f"other_{old}")
    if old in ("A", "B"):
        spec = re.sub(rf"\b{old}(?=\b|_train)", new, SPEC)
    elif old == "clean":
        spec = re.sub(r"\bclean(?= =)|(?<=\.)clean", new, SPEC)
    elif old == "sat":
        spec = re.sub(r"\bsat\b(?! 1)", new, SPEC)
    else:
        spec = re.sub(rf"\b{old}\b", new, SPEC)
    assert keys_of(spec) == keys_of(SPEC)


def test_a_key_does_not_depend_on_the_order_of_statements():
    statements = re.findall(r"(?ms)^\w.*?(?=^\w|\Z)", SPEC)
    assert len(statements) > 10
    assert keys_of("".join([statements[0], *reversed(statements[1:])])) == keys_of(SPEC)


def test_a_key_does_not_depend_on_the_order_of_lines():
    lines = "  A = hardest 30% examples by snapshot-entropy of ref\n  B = rest\n  weight A = 2\n"
    mixed = "  weight A = 2\n  B = rest\n  A = hardest 30% examples by snapshot-entropy of ref\n"
    spec = SPEC.replace(lines, mixed).replace(
        "  attack A with pgd7\n  select by robust accuracy under pgd7\n",
        "  select by robust accuracy under pgd7\n  attack A with pgd7\n",
    )
    assert spec.count(mixed) == 1
    assert keys_of(spec) == keys_of(SPEC)


def test_a_key_does_not_depend_on_the_order_of_subsets_with_several_rankings():
    other = "train other = m on d using r { keep snapshots every epoch; seed = 1 }\n"
    lines = ["A = hardest 10% examples by entropy of ref", "C = easiest 20% examples by loss of other", "B = rest"]
    keys = {
        keys_of(f"{HEAD}{other}split s of d {{ {'; '.join(order)} }}\n{SAT}{CLEAN}")
        for order in (lines, lines[::-1], [lines[1], lines[0], lines[2]])
    }
    assert len(keys) == 1


def test_a_key_does_not_depend_on_the_order_of_arguments_or_on_defaults_being_written():
    spec = SPEC.replace(
        "pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)",
        "pgd(steps=7, keep=best, eps=0.1, step_size=0.03, norm=Linf, restarts=1)",
    )
    assert keys_of(spec) == keys_of(SPEC)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('title "Keys"', 'title "Locks" # and a comment'),
        ('table "All"', 'table "Some"'),
        ("rows(ref.clean, sat.clean, sat.robust, sat.hard)", "rows(sat.hard)"),
        ("eps=0.1", "eps=1/10"),
        ("eps=0.1", "eps=0.10"),
        ("weight A = 2", "weight A = 2*|A|/|A|"),
        ("hardest 30% examples", "hardest 431 examples"),
        ("hardest 30% examples", "hardest (2*15%) examples"),
        ("digits(holdout=10%)", 'digits(holdout=10%, root="elsewhere")'),
        ("every epoch }", "every 1 epochs; seed = 0 }"),
    ],
)
def test_a_key_does_not_depend_on_how_it_is_written(old, new):
    assert changed(old, new) == set()


def test_a_key_does_not_depend_on_params():
    spec = SPEC.replace("title", "param eps = 0.5\ntitle").replace("eps=0.1", "eps=$eps")
    assert keys_of(spec, eps="0.1") == keys_of(SPEC)


def test_the_folder_of_the_data_is_remembered_but_not_part_of_the_key():
    plan = plan_of(SPEC.replace("digits(holdout=10%)", 'digits(holdout=10%, root="elsewhere")'))
    step = step_called(plan, "data d")
    assert isinstance(step.settings, Data)
    assert step.settings.root == str(Path("elsewhere").resolve())
    assert "elsewhere" not in json.dumps(step.settings_document)


def test_labels_follow_names_though_keys_do_not():
    renamed = plan_of(re.sub(r"\bref\b", "teacher", SPEC))
    assert "train teacher" in renamed.labels.values()


# --- what keys depend on ---


@pytest.mark.parametrize(
    ("old", "new", "steps"),
    [
        ("digits(", "MNIST(", EVERY),
        ("digits(", "digits(limit=500, ", EVERY),
        ("small_cnn()", "small_cnn(width=8)", EVERY - {"data d"}),
        ("epochs=10", "epochs=11", EVERY - {"data d"}),
        ("sgd(", "sgd(lr=0.2, ", EVERY - {"data d"}),
        ("sgd(", "sgd(batch=64, ", EVERY - {"data d"}),
        ("sgd(", "sgd(precision=bf16, ", EVERY - {"data d"}),
        ("sgd(", "sgd(reduction=mean, ", EVERY - {"data d"}),
        ("digits(", "digits(augment=[rotation(degrees=9)], ", EVERY - {"data d"}),
        ("every epoch }", "every epoch; seed = 1 }", EVERY - {"data d"}),
        ("every epoch }", "every 2 epochs }", EVERY - {"data d"}),
        ("steps=7", "steps=8", OF_SAT),
        ("pgd(norm=Linf, eps=0.1", "pgd(norm=Linf, eps=0.2", OF_SAT),
        ("step_size=0.03", "step_size=0.04", OF_SAT),
        ("hardest 30%", "hardest 31%", OF_SAT | {"split s"}),
        ("hardest 30%", "easiest 30%", OF_SAT | {"split s"}),
        ("by snapshot-entropy", "by snapshot-loss", OF_SAT | {"split s"}),
        ("hardest 30% examples", "hardest 30% examples per class", OF_SAT | {"split s"}),
        ("weight A = 2", "weight A = 3", OF_SAT),
        ("weight A = 2", "weight B = 2", OF_SAT),
        ("weight A = 2", "", OF_SAT),
        ("  attack A with", "  seed = 1; attack A with", OF_SAT),
        ("attack A with", "attack B with", OF_SAT),
        ("attack A with", "attack all with", OF_SAT),
        ("under pgd7\n}", "under pgd7 at end\n}", OF_SAT),
        ("select by robust accuracy under pgd7", "select by clean accuracy", OF_SAT),
        ("autoattack(norm=Linf, eps=0.1", "autoattack(norm=Linf, eps=0.2", {"evaluate sat under autoattack on val"}),
        ("A_train", "B_train", {"evaluate sat on train"}),
    ],
)
def test_a_setting_changes_the_keys_of_what_depends_on_it_and_of_nothing_else(old, new, steps):
    assert changed(old, new) == steps


def test_a_changed_hold_out_changes_what_selects_on_it_or_reports_beside_it():
    assert changed("holdout=10%", "holdout=20%") == OF_SAT | {"evaluate ref on val"}


def test_a_hold_out_from_the_training_images_changes_every_step_that_trains_or_splits():
    assert changed("holdout=10%", "holdout=10%, holdout_from=train") == EVERY - {"data d"}


def test_the_key_of_a_step_changes_with_the_key_of_every_input():
    plan = plan_of(SPEC)
    for step in plan.steps.values():
        for role, _ in step.inputs:
            inputs = tuple((name, "0" * 64 if name == role else key) for name, key in step.inputs)
            assert type(step)(step.settings, inputs).key != step.key


# --- equal steps ---


def test_equal_trainings_under_two_names_are_one_step():
    twin = (
        "train twin = m on d using r { keep snapshots every epoch }\nevaluate twin { clean = clean accuracy on val }\n"
    )
    assert keys_of(SPEC + twin) == keys_of(SPEC)
    plan = plan_of(SPEC + twin)
    assert plan.named["twin"][0][1] == plan.named["ref"][0][1]


def test_equal_declarations_under_other_names_make_equal_steps():
    again = SPEC + (
        "dataset d2 = digits(holdout=10%)\nmodel m2 = small_cnn()\n"
        "recipe r2 = sgd(epochs=10, schedule=step(at=[5, 8]))\n"
        "train ref2 = m2 on d2 using r2 { keep snapshots every epoch }\nevaluate ref2 { c = clean accuracy on val }\n"
        "split s2 of d2 { X = hardest 431 examples by snapshot-entropy of ref2; Y = rest; weight X = 2 }\n"
        "train sat2 = m2 on s2 using r2 { attack X with pgd7; select by robust accuracy under pgd7 }\n"
        "evaluate sat2 { c = clean accuracy on val }\n"
    )
    assert keys_of(again) == keys_of(SPEC)


def test_points_of_a_sweep_with_equal_settings_are_one_step():
    swept = SPEC.replace("title", "sweep { share = [30%, 10%+20%, 431] }\ntitle").replace("30% ex", "$share ex")
    assert keys_of(swept) == keys_of(SPEC)
    assert len(plan_of(swept).results) == 1 + 3 * 3


def test_the_reference_is_trained_once_for_all_points_of_a_sweep():
    spec = (
        HEAD
        + "sweep { order = [hardest, easiest, random]; share = 10%..90% step 10% }\n"
        + "split s of d { A = $order $share examples by snapshot-entropy of ref seed = 0; B = rest }\n"
        + SAT
        + CLEAN
    )
    kinds = [step.kind for step in plan_of(spec).steps.values()]
    assert kinds.count("train") == 27 + 1
    assert kinds.count("split") == 27


def test_a_random_pick_does_not_depend_on_the_reference():
    spec = (
        HEAD + "split s of d { A = random 30% examples by snapshot-entropy of ref seed = 3; B = rest }\n" + SAT + CLEAN
    )
    other = spec.replace("every epoch", "every epoch; seed = 5")
    assert keys_of(spec) == keys_of(other)
    assert keys_of(spec) == keys_of(spec.replace("by snapshot-entropy of ref ", ""))
    assert {step.kind for step in plan_of(spec).steps.values()} == {"data", "split", "train", "evaluate"}
    assert "train ref" not in keys_by_label(spec)


def test_a_random_pick_depends_on_its_seed_and_others_do_not():
    spec = HEAD + "split s of d { A = random 30% examples seed = 3; B = rest }\n" + SAT + CLEAN
    assert changed("seed = 3", "seed = 4", spec) == {label for label in keys_by_label(spec) if label != "data d"}
    assert changed("of ref\n", "of ref seed = 4\n") == set()


def test_a_score_of_finished_weights_is_a_step_and_a_snapshot_score_is_not():
    def kinds(score: str) -> list[str]:
        return [step.kind for step in plan_of(SPEC.replace("snapshot-entropy", score)).steps.values()]

    assert "score" in kinds("entropy")
    assert "score" not in kinds("snapshot-entropy")
    assert "score" not in kinds("forgetting")


def test_an_axis_may_be_of_scores():
    swept = (
        SPEC.replace("snapshot-entropy", "$score") + "sweep { score = [entropy, snapshot-loss, snapshot-entropy] }\n"
    )
    picked = swept + 'expect "x": sat.clean[score=snapshot-loss] > sat.clean[score=entropy]\n'
    assert keys_of(picked) == keys_of(swept) > keys_of(SPEC) | keys_of(SPEC.replace("snapshot-entropy", "entropy"))
    assert codes_of(swept.replace("snapshot-loss", "snapshot - loss")) == ["E301"]


def test_a_score_that_is_defined_over_snapshots_is_the_same_with_and_without_the_prefix():
    for score in ("aum", "forgetting", "vog"):
        one, twin = (SPEC.replace("snapshot-entropy", name) for name in (score, f"snapshot-{score}"))
        assert keys_of(one) == keys_of(twin)
        measured = one.replace("clean = clean accuracy on val }", f"clean = mean snapshot-{score} on train }}")
        assert {r.measure.score for r in plan_of(measured).results if isinstance(r.measure, MeanScore)} == {score}


def test_a_training_records_what_takes_a_gradient_only_when_asked():
    def recorded(spec: str) -> tuple[str, ...]:
        settings = step_called(plan_of(spec), "train ref").settings
        assert isinstance(settings, Train)
        return settings.scores

    assert recorded(SPEC) == ()
    assert recorded(SPEC.replace("snapshot-entropy", "grand")) == ()
    assert recorded(SPEC.replace("snapshot-entropy", "snapshot-grand")) == ("snapshot-grand",)
    measured = SPEC.replace("evaluate ref {", "evaluate ref { a = mean snapshot-vog on train; b = mean vog on train;")
    assert recorded(measured) == ("vog",)
    assert recorded(measured.replace("snapshot-entropy", "snapshot-grand")) == ("snapshot-grand", "vog")


def test_parts_of_the_same_images_are_measured_in_one_step():
    spec = (
        HEAD
        + "split s of d { A = classes 1, 2; B = rest }\n"
        + SAT
        + "evaluate sat { robust = robust accuracy under aa on A_val, B_val, val by class }\n"
    )
    evaluations = [step for step in plan_of(spec).shown.values() if step.kind == "evaluate"]
    assert len(evaluations) == 1


def test_an_unmeasured_training_is_no_step():
    assert "train full" not in keys_by_label(SPEC + "train full = m on d using r { attack all with pgd7 }\n")


def test_steps_come_after_their_inputs():
    seen: set[str] = set()
    for key, step in plan_of(SPEC).steps.items():
        assert {used for _, used in step.inputs} <= seen
        seen.add(key)


# --- sizes and weights ---


def subsets(text: str) -> dict[str, SubsetSummary]:
    facts = plan_of(text).splits[0]
    return {subset.name: subset for subset in facts.subsets}


def sizes(dataset: str, lines: str) -> dict[str, int | None]:
    spec = (
        HEAD.replace("digits(holdout=10%)", dataset)
        + f"split s of d {{ {lines} }}\ntrain sat = m on s using r\n"
        + CLEAN
    )
    return {name: subset.size for name, subset in subsets(spec).items()}


@settings(fixed, max_examples=60)
@given(
    st.integers(1, 999),
    st.sampled_from(["hardest", "easiest", "random"]),
    st.sampled_from([("CIFAR10()", 50_000), ("digits()", 1437), ("digits(limit=100)", 100)]),
)
def test_a_share_counts_its_part_of_the_training_set_and_the_rest_has_the_rest(permille, order, data):
    source, total = data
    share = f"{permille / 10:g}%"
    wanted = (permille * total + 500) // 1000
    if not 0 < wanted < total:
        assert "E404" in codes_of(
            f"{HEAD.replace('digits(holdout=10%)', source)}"
            f"split s of d {{ A = {order} {share} examples by snapshot-entropy of ref; B = rest }}"
        )
        return
    found = sizes(source, f"A = {order} {share} examples by snapshot-entropy of ref; B = rest")
    assert found == {"A": wanted, "B": total - wanted}


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("A = class 3; B = rest", (145, 1292)),
        ("A = classes 1, 2; B = rest", (288, 1149)),
        ("A = class 1 + class 2; B = rest", (288, 1149)),
        ("A = all - classes 1, 2; B = rest", (1149, 288)),
        ("A = classes 1, 2 & classes 2, 3; B = rest", (141, 1296)),
        ("A = hardest 10% examples per class by entropy of ref; B = rest", (143, 1294)),
        ("A = hardest 50% examples of (classes 1, 2) by entropy of ref; B = rest", (144, 1293)),
        ("A = random 2 classes seed = 0; B = rest", (141 + 142, 1154)),
        ("A = all", (1437,)),
        ("A = hardest 30% examples by loss of ref - class 1; B = rest", (None, None)),
        ("A = hardest 3 classes by entropy of ref; B = rest", (None, None)),
        ("A = examples where entropy of ref > 0.5; B = rest", (None, None)),
    ],
)
def test_each_form_of_a_subset_has_its_size(lines, wanted):
    assert tuple(sizes("digits()", lines).values()) == wanted


def test_a_hold_out_from_the_training_images_makes_the_training_set_smaller():
    # Of each class floor(n / 10 + 0.5) of the 144, 147, 141, 145, 142, 154, 142, 133, 137, 152 images are held out.
    held_out = 14 + 15 + 14 + 15 + 14 + 15 + 14 + 13 + 14 + 15
    found = sizes("digits(holdout=10%, holdout_from=train)", "A = random 10% examples seed = 1; B = rest")
    assert sum(found.values()) == 1437 - held_out


def weights(lines: str, axes: str = "") -> list[dict[str, float | None]]:
    spec = f"{HEAD}{axes}split s of d {{ {lines} }}\ntrain sat = m on s using r {{ attack A with pgd7 }}\n{CLEAN}"
    return [{subset.name: subset.weight for subset in facts.subsets} for facts in plan_of(spec).splits]


@pytest.mark.parametrize(
    ("weight", "wanted"),
    [
        ("1", 1),
        ("2*|B|/|A|", 2 * 1006 / 431),
        ("|train|/|A|", 1437 / 431),
        ("(|A| + |B|)/(2*|train|)", 0.5),
        ("|B| - |A|", 575),
        ("1 - -1", 2),
        ("0", 0),
        ("50%", 0.5),
    ],
)
def test_a_weight_is_computed_from_the_sizes(weight, wanted):
    (found,) = weights(f"A = hardest 30% examples by entropy of ref; B = rest; weight A = {weight}")
    assert found == {"A": pytest.approx(wanted), "B": 1}


def test_a_weight_is_computed_from_numbers_of_classes():
    (found,) = weights("A = classes 1, 2, 3; B = rest; weight A = classes(B)/classes(A); weight B = 3")
    assert found == {"A": pytest.approx(7 / 3), "B": 3}


def test_a_labelled_axis_weighs_with_the_sizes_of_its_split():
    found = weights(
        "A = hardest 30% examples by entropy of ref; B = rest; weight A = $w",
        "sweep { w = [vanilla: 1, balanced: |B|/|A|, over: 2*|B|/|A|] }\n",
    )
    assert [point["A"] for point in found] == [1, pytest.approx(1006 / 431), pytest.approx(2012 / 431)]


def test_sizes_and_weights_that_need_scores_are_known_after_scoring():
    spec = HEAD + "split s of d { A = examples where loss of ref > 1; B = rest; weight A = |B|/|A| }\n" + SAT + CLEAN
    found = subsets(spec)
    assert {(s.size, s.known) for s in found.values()} == {(None, "after scoring")}
    assert found["A"].weight is None
    assert found["B"].weight == 1
    settings_of_sat = step_called(plan_of(spec), "train sat").settings
    assert isinstance(settings_of_sat, Train)
    attacked = next(subset for subset in settings_of_sat.subsets if subset.attack is not None)
    assert isinstance(attacked.weight, WeightFormula)
    # `rest` comes last in canonical order, so that these are |A| and |B|.
    assert attacked.weight.value((100, 300), (0, 0)) == 3


def test_an_unknown_size_counts_as_all_in_the_costs_which_are_then_at_most():
    spec = HEAD + "split s of d { A = examples where loss of ref > 1; B = rest }\n" + SAT + CLEAN
    passes = passes_of(plan_of(spec), "train sat")
    assert passes.at_most
    assert passes.forward_backward == 10 * (1437 + 7 * 1437) + WATCHING.forward_backward


@pytest.mark.parametrize("share", ["0%", "0.01%"])
def test_a_share_that_comes_to_nothing_is_an_error(share):
    assert codes_of(f"{HEAD}split s of d {{ A = hardest {share} examples by entropy of ref; B = rest }}") == ["E404"]


def test_a_share_of_everything_leaves_no_rest():
    assert codes_of(f"{HEAD}split s of d {{ A = hardest 100% examples by entropy of ref; B = rest }}") == ["E404"]


def test_canonical_subsets_say_what_the_file_says():
    settings_of_s = step_called(plan_of(SPEC), "split s").settings
    assert isinstance(settings_of_s, Split)
    pick = settings_of_s.subsets[0]
    assert isinstance(pick, Pick)
    assert (pick.order, pick.amount, pick.unit) == ("hardest", 431, "examples")
    assert pick.ranking is not None
    assert pick.ranking.score == "snapshot-entropy"


# --- draws ---


@pytest.mark.parametrize(
    ("n", "seed", "first"),
    [
        (10, 0, [2, 4, 6, 8, 5]),
        (10, 1, [7, 4, 8, 1, 2]),
        (10, 2, [8, 0, 2, 9, 4]),
        (1437, 0, [410, 821, 1264, 366, 1352]),
        (1797, 0, [410, 821, 1264, 1720, 366]),
    ],
)
def test_draws_are_these_on_every_machine(n, seed, first):
    assert draws.order(n, seed)[:5] == first


def test_the_generator_is_splitmix64():
    # The first outputs of Vigna's splitmix64.c for seed 0.
    outputs = [draws.mix(i * draws.GOLDEN & draws.MASK) for i in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@settings(fixed, max_examples=60)
@given(st.integers(0, 300), st.integers(-(2**70), 2**70))
def test_a_draw_is_a_permutation(n, seed):
    assert sorted(draws.order(n, seed)) == list(range(n))


@settings(fixed, max_examples=60)
@given(st.integers(1, 200), st.integers(0, 200), st.integers(0, 2**64))
def test_a_draw_among_more_items_keeps_the_order_of_the_first_ones(n, more, seed):
    assert [i for i in draws.order(n + more, seed) if i < n] == draws.order(n, seed)


def test_draws_of_neighbouring_seeds_have_little_in_common():
    n, k = 1000, 100
    drawn = [set(draws.order(n, seed)[:k]) for seed in range(20)]
    shared = [len(a & b) for i, a in enumerate(drawn) for b in drawn[:i]]
    assert sum(shared) / len(shared) == pytest.approx(k * k / n, abs=1)


def test_seeds_are_taken_modulo_two_to_the_64():
    assert draws.order(50, 3) == draws.order(50, 3 + 2**64)
    assert draws.order(50, -1) == draws.order(50, 2**64 - 1)


@settings(fixed, max_examples=200)
@given(st.integers(0, 1000), st.integers(0, 5000))
def test_a_share_is_rounded_half_up_exactly(permille, n):
    assert draws.count(permille / 1000, n) == (permille * n * 2 + 1000) // 2000


# --- costs ---


def test_a_plain_training_costs_a_pass_over_every_image_in_every_epoch():
    plan = plan_of(SPEC.replace(" { keep snapshots every epoch }", "").replace("snapshot-entropy", "entropy"))
    assert passes_of(plan, "train ref") == Passes(0, 10 * 1437)


def test_snapshots_cost_a_forward_pass_over_every_image_each():
    assert passes_of(plan_of(SPEC), "train ref") == Passes(10 * 1437, 10 * 1437)
    every_third = plan_of(SPEC.replace("every epoch }", "every 3 epochs }"))
    assert passes_of(every_third, "train ref") == Passes(3 * 1437, 10 * 1437)


def test_a_score_that_takes_a_gradient_costs_a_backward_pass_over_every_image_too():
    recorded = SPEC.replace("snapshot-entropy", "snapshot-grand")
    tried = Passes(10 * 4, 10 * 9, at_most=True)  # three images in three ways, and how large a batch may be
    grand = Passes(10 * 1437, 10 * 1437) + tried
    assert passes_of(plan_of(recorded), "train ref") == Passes(10 * 1437, 10 * 1437) + grand
    both = recorded.replace("evaluate ref {", "evaluate ref { v = mean vog on train;")
    vog = Passes(10 * 1, 10 * 1437)
    assert passes_of(plan_of(both), "train ref") == Passes(10 * 1437, 10 * 1437) + grand + vog
    score = passes_of(plan_of(SPEC.replace("snapshot-entropy", "grand")), "score grand of ref")
    assert score == Passes(4 + 1437, 9 + 1437, at_most=True)
    assert passes_of(plan_of(SPEC.replace("snapshot-entropy", "el2n")), "score el2n of ref") == Passes(1437, 0)


@pytest.mark.parametrize(
    ("settings", "forward", "both"),
    [
        ("perturb=sam()", 0, 10),
        ("perturb=awp(warmup=4)", 0, 6),
        ("swa=7", 3, 0),
        ("swa=7, perturb=awp()", 3, 10),
    ],
)
def test_perturbed_and_averaged_weights_cost_further_passes_over_every_image(settings, forward, both):
    spec = SPEC.replace("sgd(epochs=10,", f"sgd(epochs=10, {settings},")
    assert passes_of(plan_of(spec), "train ref") == Passes((10 + forward) * 1437, (10 + both) * 1437)


def test_a_loss_on_two_images_passes_both_again_at_perturbed_weights():
    plain, perturbed = (
        passes_of(plan_of(f"{HEAD}recipe q = sgd(epochs=10{more})\n{TRADES_OF_A}{CLEAN}"), "train sat")
        for more in ("", ", perturb=sam()")
    )
    assert perturbed.forward_backward - plain.forward_backward == 10 * (1437 + 431)


TRADES_OF_A = f"{SUBSET}train sat = m on s using q {{ attack A with pgd7; loss A = trades() }}\n"


def training(attack: str, lines: str = "attack A with x") -> Passes:
    spec = f"{HEAD}{SUBSET}attack x = {attack}\ntrain sat = m on s using r {{ {lines} }}\n{CLEAN}"
    return passes_of(plan_of(spec), "train sat")


WATCHING = Passes(10 * 2 * 38, 10 * 10 * 38)
"""The probe after each of ten epochs: a clean pass, ten steps and a look at what came out, on the hold-out of 38."""


def test_attacking_a_subset_costs_its_steps_on_its_images():
    pgd = "pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7, keep={})"
    assert training(pgd.format("last")) == Passes(0, 10 * (1437 + 7 * 431)) + WATCHING
    assert training(pgd.format("best")) == Passes(10 * 431, 10 * (1437 + 7 * 431)) + WATCHING
    assert training(pgd.format("last"), "attack all with x") == Passes(0, 10 * 8 * 1437) + WATCHING
    assert training(pgd.format("last"), "attack B with x") == Passes(0, 10 * (1437 + 7 * 1006)) + WATCHING


def test_trades_also_predicts_the_clean_image_and_trains_on_both():
    pgd = "pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7, keep=last)"
    trades = training(pgd, "attack A with x; loss A = trades(beta=2)")
    assert trades == training(pgd) + Passes(10 * 431, 10 * 431)


def test_restarts_cost_their_number_of_times():
    pgd = "pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7, random_start=ball, restarts=3)"
    assert training(pgd) == Passes(10 * 3 * 431, 10 * (1437 + 3 * 7 * 431)) + WATCHING


def test_fgsm_costs_one_step():
    assert training("fgsm(norm=Linf, eps=0.1)") == Passes(0, 10 * (1437 + 431)) + WATCHING


def test_cross_entropy_is_what_a_subset_is_trained_with_unless_another_loss_is_named():
    spec = f"{HEAD}{SUBSET}attack x = fgsm(norm=Linf, eps=0.1)\ntrain sat = m on s using r {{ LINES }}\n{CLEAN}"
    keys = {
        lines: step_called(plan_of(spec.replace("LINES", lines)), "train sat").key
        for lines in (
            "attack A with x",
            "attack A with x; loss all = cross_entropy",
            "attack A with x; loss A = trades",
            "attack A with x; loss A = trades(beta=6)",
            "attack A with x; loss A = trades(beta=1)",
        )
    }
    plain, written, default, six, one = keys.values()
    assert plain == written
    assert default == six
    assert len({plain, six, one}) == 3


def test_the_least_likely_class_costs_a_pass_to_find():
    attack = "pgd(norm=Linf, eps=0.1, step_size=0.1, steps=7, keep=last, target={})"
    assert training(attack.format("least_likely")) == Passes(10 * 431, 10 * (1437 + 7 * 431)) + WATCHING
    assert training(attack.format("random")) == Passes(0, 10 * (1437 + 7 * 431)) + WATCHING
    assert training("fgsm(norm=Linf, eps=0.1, target=least_likely)") == Passes(10 * 431, 10 * (1437 + 431)) + WATCHING


def test_no_attack_costs_nothing():
    assert training("none()") == training("none()", "seed = 1") == Passes(0, 10 * 1437)


def test_selection_costs_its_attack_on_the_held_out_images_after_each_drop_and_at_the_end():
    plain = training("none()")
    held_out = 38
    assert training("none()", "select by clean accuracy") == plain + Passes(3 * held_out)
    assert training("none()", "select by clean accuracy at end") == plain + Passes(held_out)
    assert training("none()", "select by clean accuracy every 4 epochs") == plain + Passes(3 * held_out)
    # A clean pass, seven steps, a look at the last iterate, and whether the attack succeeded.
    attacked = Passes(3 * 3 * held_out, 3 * 7 * held_out, at_most=True)
    assert training("none()", "select by robust accuracy under pgd7") == plain + attacked


def test_a_measure_costs_a_pass_over_its_images():
    plan = plan_of(SPEC)
    assert passes_of(plan, "evaluate sat on val") == Passes(360 - 38)
    assert passes_of(plan, "evaluate sat on train") == Passes(431)


def test_attacked_measures_cost_the_attack_and_autoattack_at_most_its_budget():
    spec = SPEC.replace("under aa on val", "under aa, pgd7 on val")
    plan = plan_of(spec)
    images = 360 - 38
    assert passes_of(plan, "evaluate sat under pgd on val") == Passes(3 * images, (7 + 1) * images, at_most=True)
    # apgd-ce, then nine targets each of apgd-t and fab-t, then square, as published for ten classes and more.
    # Before each the published driver asks seven times whether the network fits, and it looks before and after.
    forward = 1 + 4 * (7 + 2) + 1 + (1 + 9 * 1) + (1 + 9 * 103) + 5003
    # And a look at the gradient of each image before any attack.
    backward = 101 + 9 * 101 + 9 * 100 + 1
    assert passes_of(plan, "evaluate sat under autoattack on val") == Passes(images * forward, images * backward, True)


@pytest.mark.parametrize(("augment", "rounds"), [("", 1), (", augment=[rotation(degrees=5)]", 10)])
def test_a_transfer_reads_its_images_once_unless_they_are_augmented(augment, rounds):
    spec = (
        HEAD
        + f"dataset target = digits(limit=500{augment})\n"
        + "transfer head = ref to target using r { head = linear() }\n"
        + "evaluate head { clean = clean accuracy on val }\n"
    )
    assert passes_of(plan_of(spec), "transfer head") == Passes(500 * rounds)


@pytest.mark.parametrize("path", ["examples/digits.sat", "specs/fig5-csat.sat", "specs/fig6-esat.sat"])
def test_a_plan_costs_no_more_than_its_alternatives(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = plan_of_file(path)
    found = totals(plan, not_needed(plan))
    against = found["against"]
    assert found["image_passes"]["cost"] <= against["every_row_separately"]["cost"]
    assert found["image_passes"]["cost"] <= against["full_adversarial_training"]["cost"]
    assert against["every_row_separately"]["ratio"] <= 1
    assert against["full_adversarial_training"]["ratio"] <= 1


def plan_of_file(path: str) -> Plan:
    from satdsl.compile import compile_file

    return compile_file(Path(path)).plan


def test_attacking_every_image_costs_what_full_adversarial_training_does():
    full = SPEC.replace("attack A with", "attack all with")
    plan = plan_of(full)
    key = step_called(plan, "train sat").key
    assert plan.attacked_whole[key] == plan.passes[key]
    subset = plan_of(SPEC)
    assert subset.attacked_whole[step_called(subset, "train sat").key] == plan.passes[key]


def test_what_is_left_to_run_costs_what_is_not_stored():
    plan = plan_of(SPEC)
    reasons = {key: "stored" if step.kind != "evaluate" else "new" for key, step in plan.steps.items()}
    document = plan_document(plan, reasons)
    left = [step for step in document["steps"] if not step["stored"]]
    assert document["totals"]["to_run"] == len(left) == 4
    assert document["totals"]["image_passes_to_run"]["forward"] == sum(s["image_passes"]["forward"] for s in left)


def test_a_separate_run_for_every_row_trains_the_reference_again():
    plan = plan_of(SPEC.replace("hardest 30%", "$o 30%") + "sweep { o = [hardest, easiest] }")
    found = totals(plan, not_needed(plan))
    rows = found["against"]["every_row_separately"]
    assert rows["rows"] == 3
    reference = passes_of(plan, "train ref").cost
    assert rows["cost"] == pytest.approx(found["image_passes"]["cost"] + 2 * reference, abs=5)


def test_a_separate_run_measures_every_part_of_a_line():
    """Parts over different images are evaluations of their own; parts of the same images are one."""
    both = SPEC.replace("clean accuracy on val", "clean accuracy on val, train")
    plan = plan_of(both)
    rows = totals(plan, not_needed(plan))["against"]["every_row_separately"]
    assert both != SPEC
    assert rows["kinds"]["evaluate"] >= sum(step.kind == "evaluate" for step in plan.shown.values())
