"""The pages of findings: each code has one, and its examples do what they show."""

from __future__ import annotations

import importlib.util
import re
from collections import defaultdict
from difflib import unified_diff
from pathlib import Path

import pytest

from satdsl.catalog.pages import FAMILIES, MAIN, FindingExample, codes, page, pages
from satdsl.check import check
from satdsl.compile import check_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding, applied, parted

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "satdsl"


def findings_of(example: FindingExample, folder: Path) -> tuple[Finding, ...]:
    try:
        return check_file(example.written(folder), example.overrides).warnings
    except SpecError as error:
        return error.findings


def wrong_ones(code: str, folder: Path) -> list[Finding]:
    """What is found in the wrong example of a code, but for warnings that the right one accepts."""
    _, accepted = parted(findings_of(page(code).right, folder))
    return [one for one in findings_of(page(code).wrong, folder) if one.code not in {other.code for other in accepted}]


def raised_codes() -> set[str]:
    return set(re.findall(r'"(E\d{3})"', "".join(p.read_text("utf-8") for p in PACKAGE.rglob("*.py"))))


def test_every_code_that_can_be_raised_has_a_page_and_every_page_s_code_can_be_raised():
    assert set(codes()) == raised_codes()


@pytest.mark.parametrize("code", codes())
def test_the_wrong_example_gives_this_finding_and_no_other(code, tmp_path):
    found = wrong_ones(code, tmp_path)
    assert [finding.code for finding in found] == [code]
    assert found[0].severity in page(code).severity


@pytest.mark.parametrize("code", codes())
def test_the_right_example_gives_no_finding_and_differs_in_as_little_as_can_be(code, tmp_path):
    wrong, right = page(code).wrong, page(code).right
    assert parted(findings_of(right, tmp_path))[0] == []
    versions = [one.text + "".join(one.used.values()) for one in (wrong, right)]
    lines = list(unified_diff(*(version.splitlines() for version in versions), n=0, lineterm=""))[2:]
    assert 1 <= sum(line[0] in "+-" for line in lines) <= 4
    assert (wrong.present, wrong.overrides) == (right.present, right.overrides)


@pytest.mark.parametrize("code", codes())
def test_a_fix_makes_the_right_example_of_the_wrong_one(code, tmp_path):
    (finding,) = wrong_ones(code, tmp_path)
    if finding.fix is not None:
        assert applied(finding.fix, page(code).wrong.text) == page(code).right.text


def test_a_fifth_of_the_examples_can_be_fixed(tmp_path):
    found = []
    for code in codes():
        (tmp_path / code).mkdir()
        found += findings_of(page(code).wrong, tmp_path / code)
    assert sum(finding.fix is not None for finding in found) > len(codes()) / 5


def test_a_page_says_how_severe_its_finding_can_be(monkeypatch, tmp_path):
    bad = ROOT / "tests/compiler/bad"
    monkeypatch.chdir(bad)
    seen: dict[str, set[str]] = defaultdict(set)
    for path in bad.glob("*.sat"):
        try:
            found = check(path.name, path.read_text("utf-8")).warnings
        except SpecError as error:
            found = error.findings
        for finding in found:
            seen[finding.code].add(finding.severity)
    for finding in findings_of(page("E714").wrong, tmp_path):
        seen[finding.code].add(finding.severity)
    assert {code: set(page(code).severity.split(" or ")) for code in codes()} == seen


@pytest.mark.parametrize("code", codes())
def test_a_page_has_the_structure_that_its_readers_rely_on(code):
    one, family = page(code), FAMILIES[code[:2]]
    lines = one.text.splitlines()
    assert lines[0] == f"# {code}: {one.title}"
    assert lines[2].removeprefix(f"{one.severity} in ") in family
    assert re.findall(r"^## .*", one.text, re.MULTILINE) == ["## Wrong", "## Right"]
    assert len(one.about.split()) > 25
    assert len(one.title) <= 85
    assert all(len(line) <= 120 for line in lines)
    assert one.text.endswith("```\n")


def test_an_unknown_code_has_no_page():
    with pytest.raises(KeyError):
        page("E999")
    with pytest.raises(KeyError):
        page("../scores")
    assert list(pages()) == sorted(codes())


def test_an_example_s_own_file_is_not_one_that_it_uses():
    assert all(MAIN not in {*one.wrong.used, *one.right.used} for one in pages().values())


def test_the_index_in_the_manual_is_current():
    """`python tools/findings.py` writes it."""
    spec = importlib.util.spec_from_file_location("findings_tool", ROOT / "tools/findings.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert (ROOT / "docs/reference/findings.md").read_text("utf-8") == tool.written()
