"""Results of two specifications beside each other: what is matched, the difference, and how certain it is."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from made_up_results import Study, rows, study_in
from typer.testing import CliRunner

from satdsl.cli import app
from satdsl.report.intervals import Z
from satdsl.report.results import Measured, measured
from satdsl.report.results_comparison import compare_results, to_csv, to_json, to_text


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


def results(study: Study) -> list[Measured]:
    found = measured(study.plan, study.store)
    study.results.clear()
    return found


def pair(study: Study, first: object, second: object, **changed: object):  # type: ignore[no-untyped-def]
    """The result `net.robust` of two networks, the second one trained otherwise."""
    study.accuracy("net.robust", study.evaluation(first))
    one = results(study)
    study.accuracy("net.robust", study.evaluation(second, lr=0.2, **changed))  # type: ignore[arg-type]
    (found,) = compare_results(one, results(study)).pairs
    return found


def test_over_the_same_images_the_interval_is_mcnemars(study: Study) -> None:
    n, only_first, only_second = 10_000, 300, 200
    first = np.arange(n) < 6000
    second = first.copy()
    second[:only_first] = False
    second[6000 : 6000 + only_second] = True
    found = pair(study, first, second)
    variance = (only_first + only_second - (only_first - only_second) ** 2 / n) / n**2
    assert found.paired
    assert found.difference == pytest.approx((only_first - only_second) / n)
    assert found.half_width == pytest.approx(Z * math.sqrt(variance), rel=0.02)


def test_over_other_images_the_variances_add(study: Study) -> None:
    found = pair(study, rows(6000, 4000), rows(5000, 5000), data="svhn")
    assert not found.paired
    assert found.difference == pytest.approx(0.1)
    assert found.half_width == pytest.approx(Z * math.sqrt((0.24 + 0.25) / 10_000), rel=0.02)


def test_two_networks_that_agree_on_every_image_may_still_differ(study: Study) -> None:
    found = pair(study, rows(60, 40), rows(60, 40))
    assert found.difference == 0
    assert found.half_width > 0.01


def test_a_result_of_the_same_steps_differs_by_nothing_for_certain(study: Study) -> None:
    study.accuracy("net.robust", study.evaluation(rows(60, 40)))
    (found,) = compare_results(found := measured(study.plan, study.store), found).pairs
    assert (found.difference, found.half_width) == (0, 0)


def test_points_agree_in_whatever_order_their_axes_are_declared(study: Study) -> None:
    step = study.evaluation(rows(3, 1))
    study.accuracy("sat.robust", step, at=(("order", "hardest"), ("share", "30%")))
    study.accuracy("sat.robust", step, at=(("order", "hardest"), ("share", "40%")))
    one = results(study)
    study.accuracy("sat.robust", step, at=(("share", "30%"), ("order", "hardest")))
    study.accuracy("sat.clean", step)
    found = compare_results(one, results(study))
    assert [pair.one.point for pair in found.pairs] == [(("order", "hardest"), ("share", "30%"))]
    assert [one.point[1] for one in found.only] == [("share", "40%")]
    assert [one.result for one in found.only_against] == ["sat.clean"]


def test_a_name_that_means_a_score_in_one_and_an_accuracy_in_the_other_is_not_compared(study: Study) -> None:
    study.accuracy("net.x", study.evaluation(rows(3, 1)))
    one = results(study)
    study.mean_score("net.x", study.scored([0.1, 0.2]))
    found = compare_results(one, results(study))
    assert (len(found.pairs), len(found.only), len(found.only_against)) == (0, 1, 1)
    assert "they have no result in common" in to_text(found, ("a.sat", "b.sat"))


@pytest.fixture
def both(study: Study) -> tuple[list[Measured], list[Measured]]:
    study.accuracy("net.clean", study.evaluation(rows(90, 10)))
    study.accuracy("net.robust", study.evaluation(None, attack="pgd"))
    study.accuracy("net.more", study.evaluation(rows(3, 1), data="svhn"), at=(("share", "30%"),))
    one = results(study)
    study.accuracy("net.clean", study.evaluation(rows(80, 20), lr=0.2))
    study.accuracy("net.robust", study.evaluation(rows(50, 50), attack="pgd", lr=0.2))
    study.accuracy("net.less", study.evaluation(rows(1, 3), data="svhn"))
    return one, results(study)


def test_the_text_has_both_values_and_then_what_only_one_has(both: tuple[list[Measured], list[Measured]]) -> None:
    assert to_text(compare_results(*both), ("a.sat", "b.sat")) == (
        "value: a.sat\n"
        "against: b.sat\n"
        "\n"
        "result         value   against     difference   95 %\n"
        "────────────────────────────────────────────────────\n"
        "net.clean     90.0 %    80.0 %   +10.0 points   ±7.0\n"
        "net.robust   not run    50.0 %\n"
        "\n"
        "only in a.sat:\n"
        "  net.more[share=30%]  75.0 %\n"
        "\n"
        "only in b.sat:\n"
        "  net.less  25.0 %\n"
    )


def test_csv_and_json_have_the_same_numbers(both: tuple[list[Measured], list[Measured]]) -> None:
    found = compare_results(*both)
    document = json.loads(to_json(found, ("A", "B")))
    lines = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert (document["format_version"], document["title"], document["against"]) == (1, "A", "B")
    clean, robust = document["results"]
    assert (clean["value"], clean["against"], clean["n"], clean["paired"]) == (0.9, 0.8, 100, True)
    assert robust["difference"] is robust["half_width"] is robust["value"] is None
    assert document["only"] == [{"result": "net.more", "point": {"share": "30%"}, "value": 0.75, "n": 4, "of": 4}]
    assert document["only_against"] == [{"result": "net.less", "point": {}, "value": 0.25, "n": 4, "of": 4}]
    assert float(lines[0]["half_width"]) == clean["half_width"]
    assert [line["result"] for line in lines] == ["net.clean", "net.robust", "net.more", "net.less"]
    assert (lines[2]["point"], lines[2]["value"], lines[2]["against"]) == ("share=30%", "0.75", "")
    assert (lines[3]["value"], lines[3]["against"], lines[3]["against_n"]) == ("", "0.25", "4")


def test_scores_are_compared_in_their_own_unit(study: Study) -> None:
    study.mean_score("net.entropy", study.scored(np.linspace(0, 1, 100)))
    one = results(study)
    other = [replace(two, source=replace(two.source, measure=replace(two.source.measure, of="f" * 64))) for two in one]
    (found,) = compare_results(one, other).pairs
    assert found.half_width == pytest.approx(0.038, rel=0.1)  # of the images added at either extreme
    assert "points" not in to_text(compare_results(one, other), ("a", "b"))


# --- the command ---------------------------------------------------------------------------------

SPEC = """sat 1
param width = 2
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=32)
model m = small_cnn(width=$width)
recipe r = sgd(epochs=1, batch=32)
train t = m on d using r
evaluate t { clean = clean accuracy on val }
"""


def satdsl(*args: str) -> Result:
    result = CliRunner().invoke(app, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_one_file_is_compared_with_itself_at_another_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SATDSL_STORE", raising=False)
    Path("spec.sat").write_text(SPEC)
    for width in ("2", "3"):
        assert satdsl("run", "spec.sat", "--set", f"width={width}").exit_code == 0
    found = satdsl("results", "spec.sat", "--against", "spec.sat", "--against-set", "width=3", "--format", "json")
    (clean,) = json.loads(found.stdout)["results"]
    values = [
        json.loads(satdsl("results", "spec.sat", "--set", f"width={width}", "--format", "json").stdout)["results"][0]
        for width in ("2", "3")
    ]
    assert (clean["value"], clean["against"]) == (values[0]["value"], values[1]["value"])
    assert clean["paired"]
    assert clean["half_width"] > 0
    text = satdsl("results", "spec.sat", "--against", "spec.sat", "--against-set", "width=3").stdout
    assert text.startswith("value: spec.sat\nagainst: spec.sat width=3\n")
    alone = satdsl("results", "spec.sat", "--against-set", "width=3")
    assert (alone.exit_code, "--against names" in alone.stderr) == (2, True)
