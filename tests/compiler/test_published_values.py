"""`published`: which results its values are for."""

from __future__ import annotations

import json
import os

import pytest
from words import CLEAN, HEAD, SAT, codes_of, plan_of

from satdsl.ir.part_of_plan import only
from satdsl.ir.plan import Published
from satdsl.show.document import plan_document

SWEEP = "sweep { order = [hardest, random]; share = 10%..30% step 10%; draw = 0..1 if $order == random else 0 }\n"
SPLIT = "split s of d { A = $order $share examples by snapshot-entropy of ref seed = $draw; B = rest }\n"
BY_CLASS = "evaluate ref { by_class = clean accuracy on val by class; hard = mean snapshot-entropy on train }\n"
SHOWN = 'table "t" = rows(sat.clean, ref.by_class, ref.hard)\n'
SPEC = HEAD + SWEEP + SPLIT + SAT + CLEAN + BY_CLASS + SHOWN


def values(line: str, **overrides: str) -> dict[str, float]:
    """Each published value by the place that it is for."""
    plan = plan_of(SPEC + line, **overrides)
    return {" ".join(label for _, label in one.at): one.value for one in plan.published}


def test_a_list_runs_along_the_axis_that_is_left_open_in_its_declared_order():
    found = values("published sat.clean[order=hardest] = [91.9%, 91.2%, 90.5%]")
    assert found == {"hardest 10%": 0.919, "hardest 20%": 0.912, "hardest 30%": 0.905}


def test_a_mean_has_one_value_or_one_at_each_point_of_for_all():
    assert values("published mean(sat.clean[order=random, share=10%]) = 80%") == {"random 10%": 0.8}
    found = values("published for all share: mean(sat.clean[order=random]) = [80%, 81%, 82%]")
    assert found == {"random 10%": 0.8, "random 20%": 0.81, "random 30%": 0.82}


def test_for_all_restricts_a_list_to_some_values_in_the_order_in_which_they_are_written():
    found = values("published for all share in [30%, 10%]: sat.clean[order=hardest] = [80%, 70%]")
    assert found == {"hardest 30%": 0.8, "hardest 10%": 0.7}


def test_class_is_an_axis_in_the_order_of_the_data_set():
    found = values(f"published ref.by_class = [{', '.join(f'{90 + i}%' for i in range(10))}]")
    assert found == {str(i): pytest.approx(0.9 + i / 100) for i in range(10)}
    assert values("published for all class in [3, 1]: ref.by_class = [30%, 10%]") == {"3": 0.3, "1": 0.1}


def test_part_is_an_axis_too():
    head = HEAD + "split c of d { A = class 3; B = rest }\ntrain t = m on c using r { attack A with pgd7 }\n"
    text = head + 'evaluate t { clean = clean accuracy on A_val, B_val }\ntable "t" = rows(t.clean)\n'
    plan = plan_of(text + "published t.clean = [90%, 80%]")
    assert [(one.at, one.value) for one in plan.published] == [
        ((("part", "A_val"),), 0.9),
        ((("part", "B_val"),), 0.8),
    ]


def test_of_axes_that_move_together_one_settles_the_others():
    text = HEAD + "sweep { (a, b) = [(1, 2), (3, 4)] }\ntrain t = m on d using r { seed = $a + $b }\n"
    text += 'evaluate t { clean = clean accuracy on val }\ntable "t" = rows(t.clean)\n'
    plan = plan_of(text + "published t.clean = [90%, 80%]")
    assert [(one.at, one.value) for one in plan.published] == [((("a", "1"),), 0.9), ((("a", "3"),), 0.8)]


def test_an_axis_that_set_gives_one_value_takes_a_list_of_one():
    assert values("published for all share: mean(sat.clean) = [80%]", share="[20%]") == {"20%": 0.8}
    assert values("published for all share in [20%]: mean(sat.clean) = [80%]", share="[20%]") == {"20%": 0.8}


def test_scores_take_plain_numbers_and_values_may_be_computed():
    assert values("published ref.hard = 1.5") == {"": 1.5}
    assert values("published ref.hard = -1.5") == {"": -1.5}
    assert values("param x = 2%\npublished sat.clean[order=hardest] = [$x, 2 * $x, 60% - $x]") == {
        "hardest 10%": 0.02,
        "hardest 20%": 0.04,
        "hardest 30%": 0.58,
    }


def test_the_source_and_the_place_are_kept():
    plan = plan_of(SPEC + 'published "figure 6" ref.hard = 1.5')
    line = SPEC.count("\n") + 1
    assert plan.published == (Published("ref.hard", (), 1.5, "figure 6", "spec.sat", line),)


def test_a_statement_that_spans_lines_and_a_result_called_published_are_fine():
    text = SPEC.replace("sat { clean =", "sat { published = clean accuracy on val\n clean =")
    text += 'table "u" = rows(sat.published)\n'
    assert codes_of(text + 'published "figure\t6" sat.published[order=hardest] =\n [1%,\n 2%, 3%]') == []


def test_what_is_published_changes_no_step_and_stands_in_the_document():
    plan = plan_of(SPEC + 'published "figure 6" mean(sat.clean[order=random, share=10%]) = 80%')
    assert plan.steps.keys() == plan_of(SPEC).steps.keys()
    document = json.loads(json.dumps(plan_document(plan, dict.fromkeys(plan.steps, "new"))))
    assert document["published"] == [
        {
            "result": "sat.clean",
            "at": {"order": "random", "share": "10%"},
            "value": 0.8,
            "source": "figure 6",
            "file": "spec.sat",
            "line": SPEC.count("\n") + 1,
        }
    ]


def test_a_part_of_a_plan_has_what_is_published_for_it():
    plan = plan_of(
        SPEC + "published ref.hard = 1.5\npublished for all share: mean(sat.clean[order=random]) = [1%, 2%, 3%]"
    )
    assert [one.result for one in only(plan, ["ref.hard"]).published] == ["ref.hard"]
    assert [dict(one.at)["share"] for one in only(plan, ["sat[share=20%]"]).published] == ["20%"]


def test_results_and_displays_know_their_lines():
    plan = plan_of(SPEC)
    lines = SPEC.split("\n")
    assert {lines[r.line - 1].split()[1] for r in plan.results if r.name.startswith("sat.")} == {"sat"}
    assert all(r.name.partition(".")[0] in lines[r.line - 1] for r in plan.results)
    assert [lines[d.line - 1] for d in plan.displays] == [SHOWN.strip()]
    assert {os.path.basename(r.file) for r in plan.results} == {"spec.sat"}
