"""Formatting changes nothing but the layout: tree, comments and plan stay, and a second time changes nothing at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written import specification

from satdsl.check import check
from satdsl.diagnostics import SpecError
from satdsl.findings import Source
from satdsl.format import formatted, laid_out
from satdsl.plan.expand import expand
from satdsl.syntax.read import read
from tests.oddities import ODD, fuzz

ROOT = Path(__file__).parents[2]
FOLDERS = ("specs", "examples", "tests/specs/language", "tests/compiler/bad", "satdsl/templates")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.sat"))]
COMPILED = [path for path in FILES if "bad" not in path.parts and path.stem not in ("paper", "fig5-csat", "fig6-esat")]
READ = [path for path in FILES if not read(Source(str(path), path.read_text("utf-8")))[1]]
SMALL = [text for path in FILES if len(text := path.read_text("utf-8")) < 1500]
JUNK = [*ODD, ";", "\n", ","]

many = settings(fuzz, suppress_health_check=list(HealthCheck))


def comments(text: str) -> list[str]:
    """Every comment of a text, in order; texts in quotes are none."""
    return [piece.rstrip() for piece in re.findall(r'"[^"\n]*"|(#[^\n\r]*)', text) if piece]


def stays_the_same(text: str) -> None:
    file, findings = read(Source("spec.sat", text))
    assert findings == []
    new = laid_out(text, file)
    again, problems = read(Source("spec.sat", new))
    assert problems == []
    assert again == file, "trees compare without their places"
    assert comments(new) == comments(text)
    assert laid_out(new, again) == new
    assert formatted(Source("spec.sat", text)) == new
    assert "\r" not in re.sub(r'"[^"\n]*"', "", new)
    assert "\n\n\n" not in new
    assert not any(line != line.rstrip() for line in new.split("\n"))


def syntax_findings(text: str) -> set[str]:
    """The codes of what keeps a text from being formatted; where nothing does, it stays the same."""
    try:
        formatted(Source("spec.sat", text))
    except SpecError as error:
        return {finding.code for finding in error.findings}
    stays_the_same(text)
    return set()


@pytest.mark.parametrize("path", READ, ids=lambda path: path.stem)
def test_the_tree_and_the_comments_of_a_file_stay_the_same(path):
    stays_the_same(path.read_text("utf-8"))


@settings(many, max_examples=60)
@given(st.integers(0, 2**32))
def test_the_tree_and_the_comments_of_any_specification_stay_the_same(seed):
    text = specification(seed)
    if not read(Source("spec.sat", text))[1]:
        stays_the_same(text)


def test_nearly_all_written_specifications_can_be_read_and_have_every_statement():
    texts = [specification(seed) for seed in range(80)]
    assert sum(not read(Source("spec.sat", text))[1] for text in texts) > 70
    words = {word for text in texts for word in re.findall(r"(?m)^\w+", text)}
    assert {
        "sat",
        "title",
        "use",
        "param",
        "dataset",
        "sweep",
        "train",
        "split",
        "evaluate",
        "expect",
        "published",
    } <= words


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.stem)
def test_the_plan_of_a_file_stays_the_same(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    text = path.read_text("utf-8")
    squeezed = re.sub(r"(?m)^(?!.*#)(.*?) +(=) +", r"\1\2", text)
    plan, after = (expand(check(path.name, version)) for version in (text, formatted(Source(path.name, squeezed))))
    assert list(plan.steps) == list(after.steps)
    assert plan.named == after.named


@settings(many, max_examples=100)
@given(st.data())
def test_broken_text_gets_findings_and_nothing_else(data):
    text = data.draw(st.sampled_from(SMALL))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 3))
        text = text[:place] + data.draw(st.sampled_from(["", *JUNK])) + text[place + gone :]
    assert syntax_findings(text) <= {"E101", "E102", "E103", "E104"}


@settings(many, max_examples=40)
@given(st.text(max_size=60))
def test_any_text_is_laid_out_or_gets_findings(text):
    assert syntax_findings(text) <= {"E101", "E102", "E103", "E104"}
