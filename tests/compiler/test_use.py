"""`use`: several figures in one plan, each file with a part of what they share."""

from __future__ import annotations

from pathlib import Path

import pytest
from words import HEAD, SUBSET

from satdsl.compile import compile_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding
from satdsl.ir.plan import Plan

COMMON = (
    HEAD
    + """train spare = m on d using r
sweep { share = 10%..30% step 10%; spare_axis = 1..3 }
evaluate ref { clean = clean accuracy on val; robust = robust accuracy under pgd7 on val }
"""
)
FIGURE = """sat 1
title "figure NAME"
use "common.sat"
train NAME = m on d using r { seed = SEED }
evaluate NAME { clean = clean accuracy on val }
table "NAME" = rows(NAME.clean)
expect "NAME learns": NAME.clean > 50%
published NAME.clean = 90%
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "common.sat").write_text(COMMON)
    for seed, name in enumerate(["a", "b"], 1):
        (tmp_path / f"{name}.sat").write_text(FIGURE.replace("NAME", name).replace("SEED", str(seed)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(text: str, name: str = "main.sat") -> Plan:
    Path(name).write_text(text)
    return compile_file(Path(name)).plan


def findings_of(text: str) -> tuple[Finding, ...]:
    Path("main.sat").write_text(text)
    try:
        return compile_file(Path("main.sat")).experiment.warnings
    except SpecError as error:
        return error.findings


@pytest.mark.usefixtures("folder")
def test_a_paper_has_the_displays_claims_and_published_values_of_its_figures_and_its_own_title():
    plan = plan_of('sat 1\ntitle "paper"\nuse "a.sat"\nuse "b.sat"\n')
    assert plan.title == "paper"
    assert [display.title for display in plan.displays] == ["a", "b"]
    assert [claim.text for claim in plan.claims] == ["a learns", "b learns"]
    assert [one.result for one in plan.published] == ["a.clean", "b.clean"]
    assert plan.files == ("main.sat", "a.sat", "common.sat", "b.sat")
    assert {result.file for result in plan.results} == {"a.sat", "b.sat"}


@pytest.mark.usefixtures("folder")
def test_what_a_used_file_offers_beyond_the_need_is_neither_doubted_nor_planned():
    assert findings_of('sat 1\nuse "a.sat"\nuse "b.sat"\n') == ()
    plan = plan_of('sat 1\nuse "a.sat"\n')
    assert [result.name for result in plan.results] == ["a.clean"]
    assert not [label for label in plan.labels.values() if "ref" in label or "spare" in label]
    assert plan.axes == {}


@pytest.mark.usefixtures("folder")
def test_the_same_in_the_main_file_is_doubted():
    Path("main.sat").write_text(COMMON + 'table "t" = rows(ref.clean)\n')
    codes = sorted(finding.code for finding in compile_file(Path("main.sat")).experiment.warnings)
    assert codes == ["E707", "E707", "E708", "E709"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "asks", ['table "t" = rows(ref.robust)', 'expect "e": ref.robust > 1%', "published ref.robust = 40%"]
)
def test_what_a_used_file_measures_is_planned_where_it_is_asked_for(asks: str):
    plan = plan_of(f'sat 1\nuse "a.sat"\nuse "common.sat"\n{asks}\n')
    assert [result.name for result in plan.results] == ["ref.robust", "a.clean"]


@pytest.mark.usefixtures("folder")
def test_where_nothing_is_shown_all_that_used_files_measure_is_planned():
    assert {result.name for result in plan_of('sat 1\nuse "common.sat"\n').results} == {"ref.clean", "ref.robust"}


@pytest.mark.usefixtures("folder")
def test_a_measure_that_the_main_file_repeats_is_its_own():
    repeated = "evaluate ref { clean = clean accuracy on val }\n"
    for text in (f'sat 1\nuse "a.sat"\n{repeated}', f'sat 1\n{repeated}use "a.sat"\n'):
        plan = plan_of(text)
        assert {result.name for result in plan.results} == {"a.clean", "ref.clean"}


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_used_by_several_and_under_several_names_is_read_once(folder: Path):
    (folder / "link.sat").symlink_to("common.sat")
    (folder / "sub").mkdir()
    plan = plan_of('sat 1\nuse "a.sat"\nuse "sub/../common.sat"\nuse "link.sat"\nuse "b.sat"\n')
    assert plan.files == ("main.sat", "a.sat", "common.sat", "b.sat")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("values", ["10%..30% step 10%", "[10%, 20%, 30%]", "[10%..20% step 10%, 30%]"])
def test_an_axis_of_two_files_with_the_same_values_is_one(values: str):
    sat = f"{SUBSET.replace('30%', '$share')}train sat = m on s using r\nevaluate sat {{ c = clean accuracy on val }}\n"
    plan = plan_of(f'sat 1\nuse "common.sat"\nsweep {{ share = {values} }}\n{sat}table "t" = rows(sat.c)\n')
    assert plan.axes == {"share": ("10%", "20%", "30%")}
    assert len(plan.results) == 3


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("values", ["10%..40% step 10%", "[30%, 20%, 10%]", "[a: 10%, b: 20%, c: 30%]"])
def test_an_axis_of_two_files_with_other_values_is_an_error_that_names_both_places(values: str):
    (found,) = findings_of(f'sat 1\nuse "common.sat"\nsweep {{ share = {values} }}\n')
    assert (found.code, found.message) == ("E201", "`$share` has other values in another file")
    ((first, note),) = found.related
    assert (first.source.path, found.span.source.path) == ("common.sat", "main.sat")
    assert note == "first declared in line 9 of common.sat"


@pytest.mark.usefixtures("folder")
def test_a_name_with_two_meanings_in_two_files_is_an_error_that_names_both_places():
    (found,) = findings_of('sat 1\nuse "common.sat"\nmodel m = small_cnn(width=8)\n')
    assert found.message == "`m` is declared twice"
    assert found.related[0][1] == "first declared in line 3 of common.sat"


@pytest.mark.usefixtures("folder")
def test_the_same_published_line_in_two_files_counts_once_and_another_value_is_an_error():
    line = "published a.clean = 90%\n"
    assert [one.value for one in plan_of(f'sat 1\nuse "a.sat"\n{line}').published] == [0.9]
    codes = [finding.code for finding in findings_of('sat 1\nuse "a.sat"\npublished a.clean = 91%\n')]
    assert codes == ["E712"]
