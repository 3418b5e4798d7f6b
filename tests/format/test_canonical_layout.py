"""What the formatter makes of a text, rule by rule; and the files of the repository, which are in its layout."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from satdsl.diagnostics import SpecError
from satdsl.findings import Source
from satdsl.format import edits, formatted
from satdsl.format import laid_out as laid_out_unchecked
from satdsl.syntax.read import read

ROOT = Path(__file__).parents[2]
OURS = [path for folder in ("specs", "examples", "satdsl/templates") for path in sorted((ROOT / folder).rglob("*.sat"))]
RULES = (ROOT / "docs/reference/format.md").read_text("utf-8")
BLOCKS = re.findall(r"```(sat|text)[^\n]*\n(.*?)```", RULES, re.DOTALL)
PAIRS = [
    (before, after) for (kind, before), (following, after) in pairwise(BLOCKS) if (kind, following) == ("text", "sat")
]


def laid_out(text: str) -> str:
    return formatted(Source("spec.sat", text))


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_the_repository_s_own_files_are_in_the_canonical_layout(path):
    text = path.read_text("utf-8")
    assert laid_out(text) == text
    assert edits(Source(str(path), text)) == ()


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "sat"])
def test_the_manual_s_examples_are_in_the_canonical_layout(text):
    assert laid_out(text) == text


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_the_manual_says_what_becomes_of_a_text(before, after):
    assert before != after
    assert laid_out(before) == after


def test_the_manual_has_an_example_for_each_rule():
    assert len(PAIRS) >= 6
    assert all(f"\n## {rule}\n" in RULES for rule in ("Alignment", "Long lines", "Blocks", "Comments", "Spaces"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("\n\n", ""),
        ("# alone", "# alone\n"),
        ("sat 1", "sat 1\n"),
        ('\ufeffsat 1\r\ntitle   "t"\r\n\r\n\r\n\r\nuse "u"\r', 'sat 1\ntitle "t"\n\nuse "u"\n'),
        ('sat 1; title "t"; ; use "u"  ;', 'sat 1\ntitle "t"\nuse "u"\n'),
        ("param  x=-1+2 *-3", "param x = -1 + 2*-3\n"),
        ("param x = 0 .. 9  step 1", "param x = 0..9 step 1\n"),
        ("param x = |A|*( 2+ 1 )/| B |", "param x = |A|*(2 + 1)/|B|\n"),
        ("param x = [ snapshot-entropy,a - b,a-b , w:1 , ]", "param x = [snapshot-entropy, a - b, a-b, w: 1]\n"),
        ("param x = sat.c-sat.d[ k = 3 ]", "param x = sat.c - sat.d[k=3]\n"),
        ("param x = 5E-4", "param x = 5E-4\n"),
        ("param x = $a if $b==1 and $c<2 else 1", "param x = $a if $b == 1 and $c < 2 else 1\n"),
        ("model m = f ( g (a = 1) )", "model m = f(g(a=1))\n"),
        ("split s of d{A=all-B;B=class 1}", "split s of d { A = all - B; B = class 1 }\n"),
        ("sweep {\n}", "sweep { }\n"),
        ("train t = m on d using r { # why\n}", "train t = m on d using r {  # why\n}\n"),
        ("evaluate t { c = clean accuracy on val by  class }", "evaluate t { c = clean accuracy on val by class }\n"),
        ('expect "e" : for all k in[1]: a>b', 'expect "e": for all k in [1]: a > b\n'),
        ("published a.b=3", "published a.b = 3\n"),
    ],
)
def test_a_text_is_laid_out_like_this(before, after):
    assert laid_out(before) == after
    assert laid_out(after) == after


def test_a_line_that_a_newline_would_carry_on_keeps_its_semicolon():
    text = "split s of d {\n  A = rest; and = none\n}\n"
    assert laid_out(text) == "split s of d {\n  A   = rest;\n  and = none\n}\n"


@pytest.mark.parametrize("length", range(70, 100, 3))
def test_no_line_begins_with_what_would_begin_a_statement(length):
    text = f"evaluate t {{\n  {'c' * length} = clean accuracy on val, train by class\n}}\n"
    file, _ = read(Source("spec.sat", text))
    found = laid_out_unchecked(text, file)
    assert read(Source("spec.sat", found)) == (file, []), "a line `train by class` would begin a training"


def test_a_one_line_block_is_kept_where_it_fits_and_broken_where_not():
    lines = "attack all with p; select by robust accuracy under p"
    for name, fits in (("t", True), ("t" * 60, False)):
        text = f"train {name} = m on d using r {{ {lines} }}\n"
        assert laid_out(text) == (
            text if fits else text.replace("{ ", "{\n  ").replace("; ", "\n  ").replace(" }", "\n}")
        )


def test_far_apart_lines_are_not_aligned():
    near = 'table "a"    = rows(t.a)\ntable "abcd" = rows(t.b)\n'
    assert laid_out(near) == near
    far = f'table "a" = rows(t.a)\ntable "{"a" * 40}" = rows(t.b)\n'
    assert laid_out(far) == far


def test_what_cannot_be_read_raises_its_syntax_findings_alone():
    with pytest.raises(SpecError) as raised:
        laid_out("sat 1\nmodel m = nowhere()\ntrian t\nmodel n = f(")
    assert {finding.code for finding in raised.value.findings} == {"E101", "E103"}
    assert laid_out("model m = nowhere()") == "model m = nowhere()\n"


def test_edits_are_the_lines_that_change_and_make_the_canonical_text():
    text = 'sat 1\r\n\n\nparam   x=1\n# fine\nparam y = [1,\n2]\n# fine\nuse  "u"'
    source = Source("spec.sat", text)
    found = edits(source)
    assert len(found) == 4
    new = text
    for span, replacement in sorted(found, key=lambda edit: edit[0].start, reverse=True):
        new = new[: span.start] + replacement + new[span.end :]
    assert new == formatted(source)


def test_a_long_subset_breaks_at_what_binds_loosest():
    classes = ", ".join(f'"class {number}"' for number in range(9))
    text = laid_out(f"split s of d {{\n  A = classes {classes} + random 5% examples - B\n  B = rest\n}}\n")
    assert text.splitlines()[1:3] == [f"  A = classes {classes} +", "      random 5% examples - B"]
