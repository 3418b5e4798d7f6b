"""Distances and whole curves in a plan: one evaluation for all of them, an axis `eps`, and words for people."""

from __future__ import annotations

from pathlib import Path

import pytest
from words import codes_of, plan_of

from satdsl.check import check
from satdsl.ir.plan import Accuracy, Distance
from satdsl.ir.steps import Evaluate
from satdsl.plan.saved import load, save
from satdsl.show.text import attack_text
from satdsl.smoke import made_small

BEFORE = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn()
recipe r = sgd(epochs=10)
attack near = fmn(norm=L2)
attack far = ddn(steps=50)
attack box = fmn(norm=Linf)
split s of d { A = class 3, 5; B = rest }
train t = m on s using r
"""


def measured(*lines: str, more: str = "") -> str:
    return f"{BEFORE}evaluate t {{ {'; '.join(lines)} }}\n{more}"


def test_one_evaluation_serves_all_radii_distances_parts_and_classes() -> None:
    plan = plan_of(
        measured(
            "curve = robust accuracy under near at 0..2 step 0.5 on val",
            "one = robust accuracy under near at 0.3 on A_val",
            "middle = median distance under near on val by class",
            "mean = mean distance under near on A_val",
        )
    )
    (step,) = [step for step in plan.steps.values() if isinstance(step.settings, Evaluate)]
    assert all(result.measure.steps == (step.key,) for result in plan.results)
    curve = [result for result in plan.results if result.name == "t.curve"]
    assert [dict(result.point)["eps"] for result in curve] == ["0", "0.5", "1", "1.5", "2"]
    assert [result.measure.radius for result in curve if isinstance(result.measure, Accuracy)] == [0, 0.5, 1, 1.5, 2]
    assert [one.measure for one in plan.results[-2:]] == [
        Distance((step.key,), (step.settings.attack,), statistic) for statistic in ("median", "mean")
    ]
    one = plan.results[len(curve)]
    assert one.point == ()
    assert isinstance(one.measure, Accuracy)
    assert one.measure.radius == 0.3


@pytest.mark.parametrize(
    ("written", "labels", "radii"),
    [
        ("[0, 2/255, e8: 8/255]", ["0", "2/255", "e8"], [0, 2 / 255, 8 / 255]),
        ("0/255..4/255 step 2/255", ["0/255", "2/255", "4/255"], [0, 2 / 255, 4 / 255]),
        ("0.1..0.3 step 0.1", ["0.1", "0.2", "0.3"], [0.1, 0.2, 0.3]),
        ("[0..1, 2.5]", ["0", "1", "2.5"], [0, 1, 2.5]),
    ],
)
def test_radii_have_the_labels_that_are_written(written: str, labels: list[str], radii: list[float]) -> None:
    plan = plan_of(measured(f"curve = robust accuracy under near at {written} on val"))
    assert [dict(result.point)["eps"] for result in plan.results] == labels
    found = [result.measure.radius for result in plan.results if isinstance(result.measure, Accuracy)]
    assert found == pytest.approx(radii, abs=1e-12)


def test_a_radius_may_be_an_axis_of_the_sweep() -> None:
    text = BEFORE + "sweep { eps = [0.5, 1] }\nevaluate t { robust = robust accuracy under near at $eps on val }\n"
    plan = plan_of(text)
    assert [
        (result.point, result.measure.radius) for result in plan.results if isinstance(result.measure, Accuracy)
    ] == [
        ((("eps", "0.5"),), 0.5),
        ((("eps", "1"),), 1.0),
    ]
    assert sum(isinstance(step.settings, Evaluate) for step in plan.steps.values()) == 1


SHOWN = """
plot "a" = line(x=eps, y=t.curve)
table "b" = rows(t.curve[eps=0.5], t.middle)
expect "c": for all eps in [0.5, 1]: t.curve > 10%
expect "d": t.curve[eps=0.5] > mean(t.curve) and t.middle > 0.1
published "e" t.curve = [90%, 50%, 20%]
published "f" t.middle = 0.7
"""


def test_the_axis_of_radii_is_drawn_picked_gone_over_and_published() -> None:
    text = measured(
        "curve = robust accuracy under near, far at [0, 0.5, 1] on val", "middle = median distance under near on val",
        more=SHOWN,
    )  # fmt: skip
    plan = plan_of(text)
    assert plan.displays[0].x == "eps"
    assert [comparison.at for comparison in plan.claims[0].comparisons] == [(("eps", "0.5"),), (("eps", "1"),)]
    assert [one.at for one in plan.published] == [(("eps", label),) for label in ("0", "0.5", "1")] + [()]
    small = made_small(check("spec.sat", text))[1]
    assert len(small.results) == len(plan.results)
    assert small.displays == plan.displays
    assert len(small.claims) == 2


def test_a_saved_plan_keeps_radii_and_distances(tmp_path: Path) -> None:
    plan = plan_of(
        measured("curve = robust accuracy under near at [0, 1] on val", "d = mean distance under near, far on val")
    )
    save(plan, tmp_path / "plan.yaml")
    assert load(tmp_path / "plan.yaml").results == plan.results


def test_attacks_are_named_in_short_by_what_tells_them_apart() -> None:
    text = measured("d = median distance under near, far on val", "l = median distance under box on val")
    text += "attack ap = apgd(norm=Linf, eps=0.1, objective=dlr, targets=9)\n"
    text += "attack plain = apgd(norm=L2, eps=1)\n"
    text += "evaluate t { a = robust accuracy under ap, plain on val }\n"
    found = [attack_text(attack) for result in plan_of(text).results for attack in result.measure.attacks]
    assert found == ["fmn-100 L2", "ddn-50", "fmn-100 Linf", "apgd-100 Linf 0.1 dlr, 9 targets", "apgd-100 L2 1"]


@pytest.mark.parametrize(
    ("measure", "codes"),
    [
        ("robust accuracy under near at 0..2 step 0.5 on val", []),
        ("robust accuracy under near at [0.25, 0.75] on val", []),
        ("robust accuracy under near at 2 on val", ["E609"]),
        ("robust accuracy under box at 0.1 on val", ["E609"]),
        ("median distance under far on val", []),
    ],
)
def test_a_curve_over_the_radius_of_a_training_measures_under_its_threat_model(measure: str, codes: list[str]) -> None:
    text = BEFORE.replace(
        "train t = m on s", "attack pgd7 = pgd(norm=L2, eps=0.5, steps=7, step_size=0.1)\ntrain t = m on d"
    )
    text = text.replace("using r\n", "using r { attack all with pgd7 }\n")
    assert [code for code in codes_of(f"{text}evaluate t {{ r = {measure} }}\n") if code == "E609"] == codes
