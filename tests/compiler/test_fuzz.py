"""Whatever is typed, checking answers with findings: it never raises anything else, and every finding can be shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satdsl.check import check
from satdsl.diagnostics import SpecError, rendered
from satdsl.findings import Finding
from satdsl.plan.expand import expand
from tests.oddities import ODD, fuzz

ROOT = Path(__file__).parents[2]
SPECS = [
    path
    for folder in ("examples", "specs", "tests/compiler/bad", "tests/specs/language")
    for path in sorted((ROOT / folder).glob("*.sat"))
]
TEXTS = [(str(path), path.read_text("utf-8")) for path in SPECS]
SMALL = [(path, text) for path, text in TEXTS if len(text) < 1500]
WORDS = sorted({word for _, text in TEXTS for word in re.findall(r'"[^"\n]*"|[$\w.%]+|[^\w\s]', text)})
JUNK = [*ODD, "1e9", "0"]
HEAD = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn()
recipe r = sgd(epochs=3)
train t = m on d using r
evaluate t { c = clean accuracy on val }
"""


def findings_of(path: str, text: str) -> tuple[Finding, ...]:
    """Check a text, and expand it if it is fine."""
    try:
        experiment = check(path, text)
    except SpecError as error:
        return error.findings
    expand(experiment)
    return experiment.warnings


def answers_well(path: str, text: str) -> None:
    found = findings_of(path, text)
    assert {finding.severity for finding in found} <= {"error", "warning"}
    for finding in found:
        spans = [finding.span, *(span for span, _ in finding.related)]
        assert all(0 <= span.start <= span.end <= len(span.source.text) for span in spans), finding
        assert finding.document()["line"] >= 1
    assert rendered(found).plain


@st.composite
def edited(draw: st.DrawFn, unit: str) -> tuple[str, str]:
    """A specification of the repository with one to four random edits: characters, tokens or lines."""
    path, text = draw(st.sampled_from(TEXTS if unit == "line" else SMALL))
    pieces = re.findall({"character": r"(?s).", "token": r"\s+|\w+|.", "line": r"[^\n]*\n|[^\n]+"}[unit], text)
    for _ in range(draw(st.integers(1, 4))):
        if not pieces:
            break
        i, j = (draw(st.integers(0, len(pieces) - 1)) for _ in range(2))
        match draw(st.sampled_from(["delete", "double", "swap", "insert", "replace"])):
            case "delete":
                del pieces[i : i + draw(st.integers(1, 3))]
            case "double":
                pieces.insert(j, pieces[i])
            case "swap":
                pieces[i], pieces[j] = pieces[j], pieces[i]
            case "insert":
                pieces.insert(i, draw(st.sampled_from(JUNK + WORDS)))
            case "replace":
                pieces[i] = draw(st.sampled_from(WORDS))
    return path, "".join(pieces)


@settings(fuzz, max_examples=150)
@given(edited("character"))
def test_edited_characters_get_an_answer(spec):
    answers_well(*spec)


@settings(fuzz, max_examples=200)
@given(edited("token"))
def test_edited_tokens_get_an_answer(spec):
    answers_well(*spec)


@settings(fuzz, max_examples=80)
@given(edited("line"))
def test_edited_lines_get_an_answer(spec):
    answers_well(*spec)


@settings(fuzz, max_examples=120)
@given(st.text(max_size=80))
def test_any_text_gets_an_answer(text):
    answers_well("any.sat", text)


@settings(fuzz, max_examples=150)
@given(st.lists(st.sampled_from(JUNK + WORDS + ["\n", ";"]), max_size=40).map(" ".join))
def test_any_sequence_of_the_language_s_words_gets_an_answer(text):
    answers_well("any.sat", text)


@settings(fuzz, max_examples=60)
@given(st.data())
def test_a_file_cut_off_anywhere_gets_an_answer(data):
    path, text = data.draw(st.sampled_from(SMALL))
    answers_well(path, text[: data.draw(st.integers(0, len(text)))])


@pytest.mark.parametrize(
    "text", ["", "\n", "#", "# only a comment", ";", "\ufeff", "\r", "sat 1", "sat 1\n\n\n;;", "\0"]
)
def test_next_to_nothing_gets_an_answer(text):
    answers_well("empty.sat", text)


@pytest.mark.parametrize(
    "text",
    [
        "train u = m on d using r { seed = 1e999 }",
        "recipe q = sgd(epochs=1e999)",
        "recipe q = sgd(epochs=3, lr=1e999)\ntrain u = m on d using q\nevaluate u { c = clean accuracy on val }",
        "split s of d { A = hardest 1e999 examples by entropy of t; B = rest }",
        "split s of d { A = class 1e999; B = rest }",
        "split s of d { A = class 1; B = rest; weight A = 1e999 }",
        "split s of d { A = examples where entropy of t > 1e999; B = rest }\n"
        "train u = m on s using r\nevaluate u { c = clean accuracy on val }",
        "sweep { a = 0..1e999 }",
        "sweep { a = 0..1 step 1e999 }",
        "param a = 1e308*1e10 - 1e308*1e10\ntrain u = m on d using r { seed = $a }",
    ],
)
def test_numbers_beyond_floating_point_get_an_answer(text):
    answers_well("huge.sat", HEAD + text)


@pytest.mark.parametrize(
    "value",
    ["(" * 2000 + "1" + ")" * 2000, "-" * 2000 + "1", "1+" * 2000 + "1", "f(" * 500 + ")" * 500, "[" * 500 + "]" * 500],
    ids=["brackets", "signs", "sum", "calls", "lists"],
)
def test_deep_nesting_gets_an_answer(value):
    answers_well("deep.sat", f"{HEAD}param a = {value}")


@pytest.mark.parametrize(
    "text",
    [
        'use "{}"',
        'dataset e = folder("{}")',
        'split s of d {{ A = examples listed in "{}.txt"; B = rest }}',
        'split s of d {{ A = hardest 30% examples by scores in "{}.npy"; B = rest }}',
    ],
)
@pytest.mark.parametrize("path", ["a" * 300, "a/" * 3000, "\0", "/", ".", "", "\\", "~"])
def test_any_path_gets_an_answer(text, path):
    answers_well("paths.sat", HEAD + text.format(path))
