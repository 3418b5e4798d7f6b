"""Numbers as people read them: what is shown of two values agrees with what is shown of their difference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_up_results import at, rows, study_in

from satdsl.ir.plan import Arithmetic
from satdsl.report.claims import verdicts
from satdsl.report.number_text import amount, digits_that_agree, signed
from satdsl.report.results import Unit, measured
from satdsl.report.results_comparison import compare_results, to_text


def number(text: str) -> float:
    return float(text.split()[0])


@given(st.integers(1, 10_000), st.data())
def test_shares_and_their_difference_agree_as_they_are_shown(n: int, data: st.DataObject) -> None:
    left, right = (data.draw(st.integers(0, n)) / n for _ in range(2))
    more = digits_that_agree(left, right, "share")
    assume(not more)
    shown = [amount(side, "share", more) for side in (left, right)]
    assert f"{number(shown[0]) - number(shown[1]):+.{1 + more}f}".replace("-0.0", "+0.0") == signed(
        left - right, 0.0, "share", more
    )[0].split()[0].replace("-0.0", "+0.0")


@pytest.mark.parametrize(
    ("left", "right", "unit", "more"),
    [
        (0.366, 0.390, "share", 0),
        (0.0496, 0.0172, "share", 1),  # 5.0 % and 1.7 %, and 3.2 points between them
        (0.5, 0.5, "share", 0),
        (1.2345, 1.2346, "score", 1),  # 1.234 and 1.235, and 0.0001 between them
        (0.2806, 0.1062, "score", 0),
    ],
)
def test_a_digit_more_is_shown_only_where_it_is_needed(left: float, right: float, unit: Unit, more: int) -> None:
    assert digits_that_agree(left, right, unit) == more


def test_claims_and_comparisons_show_as_many_digits_as_agree(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    # 4.96 % and 1.72 %: with one digit they would be 3.3 points apart, and they are 3.24 apart.
    study.accuracy("a.acc", study.evaluation(rows(496, 9504)))
    study.accuracy("b.acc", study.evaluation(rows(172, 9828), lr=0.2))
    study.claim(at("a.acc"), ">", at("b.acc"))
    study.claim(Arithmetic("+", at("a.acc"), at("b.acc")), ">", at("b.acc"))
    results = measured(study.plan, study.store)
    for claim in verdicts(study.plan, results):
        sides, found = claim.compared[0].figures.split(": difference ")
        left, right = (sum(map(float, re.findall(r"[\d.]+", side))) for side in sides.split(" > "))
        digits = len(found.split()[0].partition(".")[2])
        assert f"{left - right:+.{digits}f}" == found.split()[0]
    other = study_in(tmp_path / "other")
    other.accuracy("a.acc", other.evaluation(rows(172, 9828)))
    text = to_text(compare_results(results[:1], measured(other.plan, other.store)), ["one", "other"])
    assert re.search(r"a\.acc +4\.96 % +1\.72 % +\+3\.24 points", text)
