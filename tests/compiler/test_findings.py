"""Every kind of finding, each shown by a bad specification with the exact answer beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from satdsl.check import check
from satdsl.diagnostics import SpecError, rendered
from satdsl.findings import Finding, Source, Span

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.sat"))
PACKAGE = Path(__file__).parents[2] / "satdsl"


def findings_of(path: Path) -> tuple[Finding, ...]:
    try:
        return check(path.name, path.read_text("utf-8")).warnings
    except SpecError as error:
        return error.findings


ONLY_WITH_SET = {"E714"}
"""No file alone gives these: tests/compiler/test_sweeps.py has them."""


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_specification_gets_the_exact_answer(path, golden, monkeypatch):
    monkeypatch.chdir(path.parent)
    found = findings_of(path)
    assert path.stem[:4] in {finding.code for finding in found}
    text = rendered(found).plain.replace(str(path.parent), "<here>")
    golden(path.with_suffix(".txt"), text + "\n")


def test_every_code_in_the_source_has_a_bad_specification():
    source = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    shown = {path.stem[:4] for path in BAD} | ONLY_WITH_SET
    assert set(re.findall(r'"(E\d{3})"', source)) == shown


def test_every_error_and_every_warning_says_more_than_what_is_wrong(monkeypatch):
    monkeypatch.chdir(HERE / "bad")
    for path in BAD:
        for finding in findings_of(path):
            assert finding.reason or finding.help, finding
            assert finding.span.start < finding.span.end <= len(finding.span.source.text) + 1


def test_forty_mistakes_give_forty_findings():
    lines = [f"train t{i} = nowhere{i} on d using r" for i in range(40)]
    text = "\n".join(["sat 1", "dataset d = digits()", "recipe r = sgd(epochs=3)", *lines])
    with pytest.raises(SpecError) as raised:
        check("forty.sat", text)
    assert len([f for f in raised.value.findings if f.code == "E203"]) == 40


def test_more_findings_than_are_shown_are_counted():
    lines = [f"train t{i} = nowhere on d using r" for i in range(130)]
    with pytest.raises(SpecError) as raised:
        check("many.sat", "\n".join(["sat 1", "dataset d = digits()", "recipe r = sgd(epochs=3)", *lines]))
    text = rendered(raised.value.findings).plain
    assert "and 30 more findings" in text
    assert text.endswith("130 errors")


@pytest.mark.parametrize(
    ("before", "after", "marks"),
    [(50, 80, ""), (200, 0, "left"), (180, 180, "left right"), (0, 200, "right")],
)
def test_a_long_line_says_where_it_is_cut(before, after, marks):
    source = Source("long.sat", "b" * before + "x" * 20 + "a" * after)
    finding = Finding("E101", Span(source, before, before + 20), "wrong")
    _, _, line, underline, *_ = rendered([finding]).plain.splitlines()
    text = line.removeprefix("  1 | ")
    assert text.startswith("...") == ("left" in marks)
    assert text.endswith("...") == ("right" in marks)
    place = underline.index("^")
    assert line[place : place + 20] == "x" * 20
    assert underline.count("^") == 20
    assert len(text.strip(".")) == min(before + 20 + after, 200)
