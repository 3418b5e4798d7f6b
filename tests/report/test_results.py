from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_results import Study, at, rows, study_in
from scipy.stats import binomtest
from scipy.stats import t as student_t

from satdsl.ir.plan import Part
from satdsl.report.attack_breakdown import breakdowns
from satdsl.report.claims import verdicts
from satdsl.report.intervals import wilson
from satdsl.report.load_report import Report
from satdsl.report.result_formats import to_csv, to_json, to_text
from satdsl.report.results import Measured, ReportError, measured
from satdsl.report.uncertainty import Estimate, Spread, half_width


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


def only(study: Study) -> Measured:
    (found,) = measured(study.plan, study.store)
    return found


# --- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 10, 360, 10_000])
def test_the_interval_of_a_share_is_wilsons(n: int) -> None:
    for successes in sorted({0, 1, n // 3, n // 2, n - 1, n}):
        expected = binomtest(successes, n).proportion_ci(method="wilson")
        found = wilson(successes, n)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_multiplier_for_few_draws_is_students() -> None:
    for degrees in (1, 2, 3, 4, 9, 30, 1000):
        found = half_width(Estimate(0.0, draws=(Spread(4.0, degrees),)), {})
        assert found == pytest.approx(2 * student_t.ppf(0.975, degrees), rel=1e-9)
    # The degrees of freedom of Welch and Satterthwaite: between those of the two.
    both = half_width(Estimate(0.0, draws=(Spread(1.0, 2), Spread(1.0, 3))), {})
    assert both == pytest.approx(2**0.5 * student_t.ppf(0.975, 4 / (1 / 2 + 1 / 3)), rel=1e-9)


# --- values --------------------------------------------------------------------------------------


def test_an_accuracy_is_the_share_of_right_images(study: Study) -> None:
    study.accuracy("net.clean", study.evaluation(rows(30, 10)))
    found = only(study)
    assert (found.result, found.point, found.value, found.n) == ("net.clean", (), 0.75, 40)
    assert found.interval == wilson(30, 40)


def test_over_several_attacks_an_image_counts_if_it_stands_all_of_them(study: Study) -> None:
    first = study.evaluation([1, 1, 0, 0], index=[7, 3, 5, 9], attack="pgd")
    second = study.evaluation([1, 1, 0, 0], index=[3, 5, 7, 9], attack="fgsm")
    study.accuracy("net.robust", first, second)
    found = only(study)
    assert found.value == 0.25
    assert found.sample is not None
    assert found.sample.images.index.tolist() == [3, 5, 7, 9]
    assert found.sample.values.tolist() == [True, False, False, False]


def test_a_subset_of_classes_is_measured_on_the_images_of_those_classes(study: Study) -> None:
    split = study.split([0, 0, 1], classes=[[0, 2], [1]])
    evaluation = study.evaluation([1, 0, 0, 0, 1], label=[0, 1, 1, 2, 2])
    val = study.val(evaluation)
    study.accuracy("net.a", evaluation, part=replace(val, name="A_val", split=split.key, subset=0))
    study.accuracy("net.b", evaluation, part=replace(val, name="B_val", split=split.key, subset=1))
    a, b = measured(study.plan, study.store)
    assert (a.value, a.n) == (2 / 3, 3)
    assert (b.value, b.n) == (0.0, 2)


def test_a_subset_of_examples_is_measured_on_its_training_images(study: Study) -> None:
    split = study.split([0, 1, 1, 0, 1], classes=[None, None])
    evaluation = study.evaluation([0, 1, 1, 1, 0], index=[4, 3, 2, 1, 0])
    train = Part("A_train", "train", dict(evaluation.inputs)["data"], split.key, 1)
    study.accuracy("net.a", evaluation, part=train)
    found = only(study)
    assert (found.value, found.n) == (2 / 3, 3)
    assert found.sample is not None
    assert found.sample.images.index.tolist() == [1, 2, 4]


def test_a_subset_of_examples_has_no_validation_images(study: Study) -> None:
    split = study.split([0, 1], classes=[None, None])
    evaluation = study.evaluation([1, 0])
    part = replace(study.val(evaluation), name="A_val", split=split.key, subset=0)
    study.accuracy("net.a", evaluation, part=part)
    with pytest.raises(ReportError, match="A_val does not exist: its split is not by whole classes"):
        measured(study.plan, study.store)


def test_by_class_there_is_one_value_for_each_class_with_images(study: Study) -> None:
    study.accuracy("net.clean", study.evaluation([1, 1, 0, 1], label=[0, 2, 0, 0]), by_class=True)
    found = measured(study.plan, study.store)
    assert [(one.point, one.value, one.n) for one in found] == [
        ((("class", "cat"),), 2 / 3, 3),
        ((("class", "ship"),), 1.0, 1),
    ]


def test_a_result_over_several_parts_says_which(study: Study) -> None:
    evaluation = study.evaluation(rows(3, 1))
    val = study.val(evaluation)
    study.accuracy("net.clean", evaluation)
    study.accuracy("net.clean", evaluation, part=replace(val, name="svhn.val"))
    study.accuracy("net.robust", evaluation)
    points = [one.point for one in measured(study.plan, study.store)]
    assert points == [(("part", "val"),), (("part", "svhn.val"),), ()]


def test_a_mean_score_has_the_standard_error_of_a_mean(study: Study) -> None:
    values = np.array([0.1, 0.7, 0.4, 2.0])
    study.mean_score("ref.hardness", study.scored(values))
    found = only(study)
    assert found.value == pytest.approx(values.mean())
    half = 1.959964 * values.std(ddof=1) / 2
    assert found.interval is not None
    assert found.interval.low == pytest.approx(values.mean() - half)


def test_a_measure_of_one_s_own_is_a_mean_over_images_with_its_standard_error(study: Study) -> None:
    values = np.array([0.1, 0.7, 0.4, 2.0])
    study.own_mean("net.steep", study.measured_by("slope", values, label=[0, 1, 0, 1]), by_class=True)
    study.own_mean("net.all", study.measured_by("tilt", values))
    *classes, whole = measured(study.plan, study.store)
    assert [one.value for one in classes if one.n] == pytest.approx([0.25, 1.35])
    half = 1.959964 * values.std(ddof=1) / 2
    assert whole.interval.low == pytest.approx(values.mean() - half)


def test_a_measure_of_truth_values_is_a_share_with_its_interval(study: Study) -> None:
    study.own_mean("net.moved", study.measured_by("flips", [0, 1, 1, 0, 1]), share=True)
    study.accuracy("net.clean", study.evaluation([0, 1, 1, 0, 1]))
    moved, clean = measured(study.plan, study.store)
    assert (moved.value, moved.interval) == (clean.value, clean.interval)


def test_a_single_image_gives_a_mean_score_no_interval(study: Study) -> None:
    study.mean_score("ref.hardness", study.scored([0.5]))
    assert only(study).interval is None


def test_a_score_by_class_takes_its_labels_from_the_data(study: Study) -> None:
    study.data(train=[0, 1, 0, 2])
    study.mean_score("ref.hardness", study.scored([4.0, 2.0, 1.0], index=[2, 1, 0]), by_class=True)
    found = measured(study.plan, study.store)
    assert [(dict(one.point)["class"], one.value) for one in found] == [("cat", 2.5), ("dog", 2.0)]


def test_what_is_not_run_has_no_value(study: Study) -> None:
    study.accuracy("net.clean", study.evaluation(None))
    study.accuracy("net.by_class", study.evaluation(None), by_class=True)
    found = measured(study.plan, study.store)
    assert [(one.value, one.n, one.interval) for one in found] == [(None, 0, None)] * 4
    assert [one.point for one in found[1:]] == [(("class", name),) for name in ("cat", "dog", "ship")]


def test_a_worst_case_with_one_attack_missing_is_not_run(study: Study) -> None:
    study.accuracy("net.robust", study.evaluation(rows(3, 1)), study.evaluation(None, attack="pgd"))
    assert only(study).value is None


def test_a_damaged_artifact_gives_no_value(study: Study) -> None:
    evaluation = study.evaluation(rows(3, 1))
    study.accuracy("net.clean", evaluation)
    (study.store.folder(evaluation.key) / "rows.parquet").write_bytes(b"")
    assert only(study).value is None


def test_a_part_without_images_has_no_value(study: Study) -> None:
    split = study.split([0, 1], classes=[[0], [1]])
    evaluation = study.evaluation([1, 0], label=[0, 0])
    part = replace(study.val(evaluation), name="B_val", split=split.key, subset=1)
    study.accuracy("net.b", evaluation, part=part)
    assert (only(study).value, only(study).n) == (None, 0)


def test_evaluations_over_different_images_have_no_worst_case(study: Study) -> None:
    first = study.evaluation([1, 1], index=[0, 1])
    study.accuracy("net.robust", first, study.evaluation([1, 1], index=[0, 2], attack="pgd"))
    with pytest.raises(ReportError, match=r"behind net\.robust are over different images"):
        measured(study.plan, study.store)


def test_two_rows_for_one_image_are_an_error(study: Study) -> None:
    study.accuracy("net.clean", study.evaluation([1, 1], index=[4, 4]))
    with pytest.raises(ReportError, match="two rows for one image"):
        measured(study.plan, study.store)


def test_a_score_that_the_artifact_lacks_is_an_error_that_names_it(study: Study) -> None:
    study.mean_score("ref.hardness", study.scored([1.0], score="entropy"))
    wrong = replace(study.results[0].measure, score="el2n")
    study.results[0] = replace(study.results[0], measure=wrong)
    with pytest.raises(ReportError, match=r"scores\.parquet does not hold index, el2n \(it has no column el2n\)"):
        measured(study.plan, study.store)


def test_results_over_the_same_images_share_them(study: Study) -> None:
    study.accuracy("net.clean", study.evaluation(rows(3, 1)))
    study.accuracy("net.robust", study.evaluation(rows(1, 3), attack="pgd"))
    study.accuracy("other.clean", study.evaluation(rows(1, 3), data="svhn"))
    first, second, third = (one.sample for one in measured(study.plan, study.store))
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.images is second.images
    assert first.images.identity != third.images.identity


# --- export --------------------------------------------------------------------------------------


@pytest.fixture
def two_results(study: Study) -> Study:
    point = (("order", "hardest"), ("share", "30%"))
    study.accuracy("sat.robust", study.evaluation(rows(3, 1)), at=point)
    study.accuracy("sat.clean", study.evaluation(None, attack="pgd"))
    return study


def test_csv_has_a_line_for_each_result_with_the_ends_of_its_interval(two_results: Study) -> None:
    results = measured(two_results.plan, two_results.store)
    lines = list(csv.DictReader(io.StringIO(to_csv(results))))
    assert lines[0]["point"] == "order=hardest, share=30%"
    assert (float(lines[0]["value"]), lines[0]["n"]) == (0.75, "4")
    assert lines[0]["interval"] == f"{wilson(3, 4).low}..{wilson(3, 4).high}"
    assert list(lines[1].values()) == ["sat.clean", "", "", "0", "0", "", ""]


def test_json_has_results_and_verdicts(two_results: Study) -> None:
    two_results.claim(at("sat.robust"), ">", 0.05)
    two_results.claim(at("sat.clean"), ">", 0.1)
    results = measured(two_results.plan, two_results.store)
    document = json.loads(to_json(Report(two_results.plan, results, verdicts(two_results.plan, results))))
    assert document["format_version"] == 1
    assert document["title"] == "made up"
    assert document["results"][0]["point"] == {"order": "hardest", "share": "30%"}
    assert document["results"][1] == {
        "result": "sat.clean", "point": {}, "value": None, "n": 0, "of": 0, "interval": None, "published": None
    }  # fmt: skip
    assert [claim["verdict"] for claim in document["claims"]] == ["holds", "not run"]
    assert document["claims"][0]["comparisons"][0]["difference"] == pytest.approx(0.7)
    assert (document["claims"][0]["file"], document["claims"][0]["line"]) == ("made_up.sat", 7)


def test_a_division_by_zero_can_be_written_as_json(study: Study) -> None:
    from satdsl.ir.plan import Arithmetic

    study.accuracy("net.robust", study.evaluation(rows(0, 4)))
    study.claim(Arithmetic("/", at("net.robust"), at("net.robust")), ">", 0.1)
    results = measured(study.plan, study.store)
    document = json.loads(to_json(Report(study.plan, results, verdicts(study.plan, results))))
    assert document["claims"][0]["comparisons"][0]["left"] is None


def test_results_as_text_fit_80_columns(two_results: Study) -> None:
    assert to_text(Report(two_results.plan, measured(two_results.plan, two_results.store))) == (
        "result                                   value   n    95 % interval\n"
        "───────────────────────────────────────────────────────────────────\n"
        "sat.robust[order=hardest, share=30%]    75.0 %   4   30.1 .. 95.4 %\n"
        "sat.clean                              not run\n"
    )


def test_what_each_attack_of_an_ensemble_broke_stands_below_the_results(study: Study) -> None:
    broken_by = [-1, -1, 0, 1, 1, 1, 2, 2, -1, 1]
    ensemble = study.evaluation(
        np.equal(broken_by, -1), attack="autoattack", attacks=["apgd-ce", "square"], broken_by=broken_by
    )
    study.accuracy("sat.clean", study.evaluation(rows(9, 1)))
    study.accuracy("sat.robust", ensemble, at=(("share", "30%"),))
    study.accuracy("sat.again", ensemble)
    study.accuracy("sat.missing", study.evaluation(None, attack="pgd"))
    found = breakdowns(study.plan, study.store)
    results = measured(study.plan, study.store)
    line = "sat.robust[share=30%]: wrong without attack 10.0 %, then broken by apgd-ce 40.0 %, square 20.0 %"
    assert to_text(Report(study.plan, results, breakdowns=found), width=120).splitlines()[-1] == line
    (broken,) = json.loads(to_json(Report(study.plan, results, breakdowns=found)))["broken"]
    assert broken == {
        "result": "sat.robust",
        "point": {"share": "30%"},
        "wrong": 0.1,
        "by": {"apgd-ce": 0.4, "square": 0.2},
    }
