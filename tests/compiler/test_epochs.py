"""Results over the epochs of a training: which steps they are, what they ask of the training, what a smoke run does."""

from __future__ import annotations

from typing import Any

import pytest
from words import codes_of, findings_of, keys_by_label, keys_of, plan_of, step_called

from satdsl.check import check
from satdsl.ir.plan import Plan
from satdsl.smoke import made_small

HEAD = """sat 1
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=40, holdout=25%)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
recipe r = sgd(epochs=10, batch=32)
"""
REF = "train ref = m on d using r\n"
CHOSEN = "train ref = m on d using r { select by clean accuracy every 2 epochs }\n"
FINAL = "evaluate ref { final = clean accuracy on val }\n"


def kept(plan: Plan, label: str = "train ref") -> Any:
    return step_called(plan, label).settings.keep_weights  # type: ignore[union-attr]


def points(plan: Plan, name: str) -> list[dict[str, str]]:
    return [dict(result.point) for result in plan.results if result.name == name]


def weights(plan: Plan, name: str) -> list[int | None]:
    return [plan.epoch_of(result) for result in plan.results if result.name == name]


def test_every_n_epochs_ends_with_the_last_epoch_whether_n_divides_or_not():
    for n, epochs in ((3, "3 6 9 10"), (5, "5 10"), (10, "10")):
        plan = plan_of(f"{HEAD}{REF}evaluate ref every {n} epochs {{ clean = clean accuracy on val }}")
        assert points(plan, "ref.clean") == [{"epoch": number} for number in epochs.split()]
    every = plan_of(HEAD + REF + "evaluate ref every epoch { clean = clean accuracy on val }")
    assert points(every, "ref.clean") == [{"epoch": str(number)} for number in range(1, 11)]


def test_a_training_keeps_what_is_measured_of_it_and_its_own_last_weights_need_no_keeping():
    plan = plan_of(HEAD + REF + FINAL + "evaluate ref every 5 epochs { clean = clean accuracy on val }")
    assert kept(plan) == (5,)
    assert weights(plan, "ref.clean") == [5, None]
    (first, last), (final,) = (
        [r.measure.steps for r in plan.results if r.name == f"ref.{n}"] for n in ("clean", "final")
    )
    assert last == final != first


def test_the_end_of_a_training_that_selects_is_a_step_of_its_own():
    plan = plan_of(HEAD + CHOSEN + FINAL + "evaluate ref at end { last = clean accuracy on val }")
    assert kept(plan) == (10,)
    assert weights(plan, "ref.last") == [10]
    assert weights(plan, "ref.final") == [None]
    assert points(plan, "ref.last") == [{}]


def test_at_end_of_a_training_that_selects_nothing_is_the_same_plan():
    assert keys_of(HEAD + REF + "evaluate ref at end { last = clean accuracy on val }") == keys_of(HEAD + REF + FINAL)
    assert "E720" in codes_of(HEAD + REF + "evaluate ref at end { last = clean accuracy on val }")
    assert "E720" not in codes_of(HEAD + CHOSEN + "evaluate ref at end { last = clean accuracy on val }")
    both = "train other = m on d using r\nevaluate ref, other at end { last = clean accuracy on val }"
    assert "E720" not in codes_of(HEAD + CHOSEN + both)
    assert codes_of(HEAD + REF + both) == ["E720"]


def test_what_is_kept_anyway_makes_no_other_training():
    written = HEAD + REF.replace("\n", " { keep weights every epoch }\n") + FINAL
    assert keys_of(written) < keys_of(written + "evaluate ref every 5 epochs { clean = clean accuracy on val }")


def test_a_training_is_kept_at_the_points_only_that_are_asked_for():
    text = HEAD.replace("epochs=10", "epochs=10, weight_decay=$wd") + "sweep { wd = [none: 0, some: 1e-4] }\n" + REF
    later = "train later = m on d using plain { start from ref[wd=some, epoch=4] }\nrecipe plain = sgd(epochs=2)\n"
    plan = plan_of(text + later + FINAL + "evaluate later { clean = clean accuracy on val }")
    assert kept(plan, "train ref[wd=none]") == ()
    assert kept(plan, "train ref[wd=some]") == (4,)
    assert step_called(plan, "train later").settings.start_epoch == 4  # type: ignore[union-attr]


def test_an_epoch_is_named_wherever_a_training_is():
    plan = plan_of(
        HEAD
        + CHOSEN
        + "transfer moved = ref[epoch=3] to d using r\n"
        + "split s of d { A = hardest 50% examples by loss of ref[epoch=7]; B = rest }\n"
        + "train sat = m on s using r { attack A with p }\n"
        + "evaluate moved { clean = clean accuracy on val }\nevaluate sat { clean = clean accuracy on val }"
    )
    assert kept(plan) == (3, 7)
    assert step_called(plan, "transfer moved").settings.epoch == 3  # type: ignore[union-attr]
    assert step_called(plan, "score loss of ref[epoch=7]").settings.epoch == 7  # type: ignore[union-attr]


def test_the_last_epoch_by_number_is_the_training_itself():
    started = "train sat = m on d using r { start from ref%s }\nevaluate sat { clean = clean accuracy on val }"
    assert keys_of(HEAD + REF + started % "[epoch=10]") == keys_of(HEAD + REF + started % "")
    assert keys_of(HEAD + CHOSEN + started % "[epoch=10]") != keys_of(HEAD + CHOSEN + started % "")


def test_what_a_used_file_measures_over_epochs_keeps_its_training_the_same(tmp_path):
    (tmp_path / "a.sat").write_text(
        HEAD + REF + "evaluate ref every 5 epochs { clean = clean accuracy on val }", "utf-8"
    )
    (tmp_path / "b.sat").write_text('sat 1\nuse "a.sat"\nevaluate ref { final = clean accuracy on val }', "utf-8")
    trained = []
    for name in ("a.sat", "b.sat"):
        path = tmp_path / name
        from satdsl.plan.expand import expand

        plan = expand(check(str(path), path.read_text("utf-8")))
        trained += [key for key, step in plan.steps.items() if step.kind == "train"]
    assert len(set(trained)) == 1


def test_epochs_follow_the_recipe_of_each_point_of_a_sweep():
    text = HEAD.replace("epochs=10", "epochs=$n") + "sweep { n = [2, 5] }\n" + REF
    plan = plan_of(text + "evaluate ref every 2 epochs { clean = clean accuracy on val }")
    found = [(point["n"], point["epoch"]) for point in points(plan, "ref.clean")]
    assert found == [("2", "2"), ("5", "2"), ("5", "4"), ("5", "5")]


SHOWN = "evaluate ref every 4 epochs { clean = clean accuracy on val }\n"


@pytest.mark.parametrize(
    "line",
    [
        'plot "x" = line(y=ref.clean, x=epoch)',
        'table "x" = rows(ref.clean, by=[epoch])',
        'table "x" = rows(ref.clean[epoch=4], ref.clean[epoch=10])',
        'expect "x": for all epoch: ref.clean > 10%',
        'expect "x": for all epoch in [4, 8]: ref.clean[epoch=10] > ref.clean',
        'expect "x": mean(ref.clean) > max(ref.clean) - 10%',
        "published ref.clean = [10%, 20%, 30%]",
        "published for all epoch in [10, 4]: ref.clean = [30%, 10%]",
        "published ref.clean[epoch=8] = 20%",
    ],
)
def test_results_over_epochs_are_shown_claimed_and_published_along_their_axis(line):
    table = 'table "all" = rows(ref.clean)\n'
    assert codes_of(HEAD + REF + SHOWN + table + line) == []


def test_a_claim_for_all_epochs_compares_at_each():
    plan = plan_of(HEAD + REF + SHOWN + 'expect "x": for all epoch: ref.clean[epoch=10] >= ref.clean')
    assert [comparison.at for comparison in plan.claims[0].comparisons] == [
        (("epoch", "4"),),
        (("epoch", "8"),),
        (("epoch", "10"),),
    ]


def test_the_axis_is_written_without_a_dollar():
    assert codes_of(HEAD + REF + SHOWN + 'plot "x" = line(y=ref.clean, x=$epoch)') == ["E203"]


def test_an_edit_of_the_epochs_is_no_other_line_that_was_seen_before():
    from satdsl.check import analyse
    from satdsl.check.definition_cache import DefinitionCache
    from satdsl.findings import Source

    cache = DefinitionCache()
    for n, count in ((5, 2), (2, 5), (1, 10)):
        text = HEAD + REF + f"evaluate ref every {n} epochs {{ clean = clean accuracy on val }}"
        assert len(analyse(Source("spec.sat", text), cache=cache).results["ref.clean"].points) == count


def test_each_epoch_costs_its_own_measuring_and_no_other_training():
    once = plan_of(HEAD + REF + FINAL)
    often = plan_of(HEAD + REF + "evaluate ref every 2 epochs { clean = clean accuracy on val }")
    assert sum(step.kind == "train" for step in often.steps.values()) == 1
    costs = [
        sum(plan.passes[k].forward for k, s in plan.steps.items() if s.kind == "evaluate") for plan in (once, often)
    ]
    assert costs[1] == 5 * costs[0] > 0


def test_a_smoke_run_reads_each_place_on_the_axis_from_an_epoch_that_it_has():
    text = (
        HEAD.replace("epochs=10", "epochs=200")
        + CHOSEN
        + "recipe s = sgd(epochs=3)\ntrain later = m on d using s { start from ref[epoch=150] }\n"
        + "evaluate ref every 40 epochs { clean = clean accuracy on val }\n"
        + "evaluate ref at end { last = clean accuracy on val }\nevaluate later { clean = clean accuracy on val }\n"
        + 'expect "x": ref.clean[epoch=120] > 10%\n'
        + 'table "x" = rows(ref.clean, ref.last, later.clean)'
    )
    _, plan = made_small(check("spec.sat", text))
    assert [point["epoch"] for point in points(plan, "ref.clean")] == ["40", "80", "120", "160", "200"]
    assert weights(plan, "ref.clean") == [1, 1, 2, 2, 2]
    assert weights(plan, "ref.last") == [2]
    assert kept(plan) == (1, 2)
    assert step_called(plan, "train later").settings.start_epoch == 2  # type: ignore[union-attr]
    assert len(plan.claims[0].comparisons) == 1
    assert any("over epochs" in sentence for sentence in plan.smoke)


def test_a_line_that_cannot_be_read_leaves_the_epochs_of_its_block():
    text = HEAD + REF + "evaluate ref every 5 epochs {\n  clean = clean accuracy on val\n  robust = robust on val\n}\n"
    assert codes_of(text + 'expect "x": ref.clean[epoch=5] > 10%') == ["E104"]


def test_keys_of_what_names_no_epoch_have_nothing_of_it():
    for step in plan_of(HEAD + REF + FINAL).steps.values():
        assert "epoch" not in step.key_settings
        assert "start_epoch" not in step.key_settings
    assert keys_by_label(HEAD + REF + FINAL)


def test_several_networks_are_measured_over_their_own_epochs():
    other = "recipe short = sgd(epochs=4, batch=32)\ntrain other = m on d using short\n"
    plan = plan_of(HEAD + REF + other + "evaluate ref, other every 3 epochs { clean = clean accuracy on val }")
    assert [point["epoch"] for point in points(plan, "ref.clean")] == ["3", "6", "9", "10"]
    assert [point["epoch"] for point in points(plan, "other.clean")] == ["3", "4"]


def test_a_result_without_epochs_is_told_how_to_get_them():
    (finding,) = findings_of(HEAD + REF + FINAL + 'expect "x": ref.final[epoch=5] > 10%')
    assert finding.code == "E701"
    assert finding.help == "measure it over epochs: `evaluate ref every 10 epochs { ... }`"
