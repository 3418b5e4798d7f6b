"""Fixes: changes of the text that certainly do what the author meant."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from satdsl.check import check
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding, applied
from satdsl.hints import closest, did_you_mean, suggest, typo_of

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.sat"))

BEFORE = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn()
attack p = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)
recipe r = sgd(epochs=10, schedule=step(at=[5]))
train t = m on d using r
evaluate t { clean = clean accuracy on val; robust = robust accuracy under p on val }
"""


def findings_of(text: str, name: str = "a.sat") -> tuple[Finding, ...]:
    try:
        return check(name, text).warnings
    except SpecError as error:
        return error.findings


def fixed(line: str) -> str:
    """`line`, at the end of a specification, with the only fix that there is made."""
    (fix,) = [finding.fix for finding in findings_of(BEFORE + line) if finding.fix is not None]
    return applied(fix, BEFORE + line).removeprefix(BEFORE)


def said(findings: tuple[Finding, ...]) -> Counter[tuple[str, str]]:
    return Counter((finding.code, finding.message) for finding in findings)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_fix_removes_its_finding_and_makes_no_mistake_elsewhere(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    text = path.read_text("utf-8")
    before = findings_of(text, path.name)
    for finding in before:
        if finding.fix is not None:
            changed = applied(finding.fix, text)
            after = findings_of(changed, path.name)
            assert said(after)[finding.code, finding.message] < said(before)[finding.code, finding.message]
            lines = {
                number
                for number, line in enumerate(changed.splitlines(), 1)
                if line not in text.splitlines() or len(changed.splitlines()) != len(text.splitlines())
            }
            new = said(tuple(f for f in after if f.severity == "error")) - said(before)
            assert {f.span.place[0] for f in after if (f.code, f.message) in new} <= lines, new


@pytest.mark.parametrize(
    "line",
    [
        "split s of d {\r\n  A = class 1\r\n  B = rest\r\nparam x = 1\r\n",
        "train u = m on d using r {\r\n  seed = 1\r\n}\r\nsplit s of d { A = hardest 30% examples by "
        "snapshot-entropy of u; B = rest }\r\n",
    ],
)
def test_a_line_that_a_fix_adds_ends_as_the_others_do(line):
    text = (BEFORE + line).replace("\r\n", "\n").replace("\n", "\r\n")
    fixes = [finding.fix for finding in findings_of(text) if finding.fix is not None]
    assert fixes
    for fix in fixes:
        changed = applied(fix, text)
        assert changed.count("\n") == changed.count("\r\n") > text.count("\r\n")


def test_many_of_the_bad_specifications_have_fixes(monkeypatch):
    monkeypatch.chdir(HERE / "bad")
    found = [finding for path in BAD for finding in findings_of(path.read_text("utf-8"), path.name)]
    assert sum(finding.fix is not None for finding in found) > 50


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("evaluate t { c2 = clean accuarcy on val }\n", "evaluate t { c2 = clean accuracy on val }\n"),
        ("evaluate t { c2 = clean accuracy val }\n", "evaluate t { c2 = clean accuracy on val }\n"),
        ("attack q = pgd(norm=Linf eps=0.1, step_size=0.03, steps=7)\n",
         "attack q = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)\n"),
        ("title \"one\nparam x = 1\n", "title \"one\"\nparam x = 1\n"),
        ("title \"one   \r\nparam x = 1\r\n", "title \"one\"   \r\nparam x = 1\r\n"),
        ("title Robust and small # so far\n", "title \"Robust and small\" # so far\n"),
        ("dataset e = digits(holdout=10%\nparam x = 1\n", "dataset e = digits(holdout=10%)\nparam x = 1\n"),
        ("split s of d {\n  A = class 1 # one\n  B = rest # all others\nparam x = 1\n",
         "split s of d {\n  A = class 1 # one\n  B = rest # all others\n}\nparam x = 1\n"),
        ("split s of d { A = class 1; B = rest\n", "split s of d { A = class 1; B = rest }\n"),
        ("split s of d { A = class 1; B = rest; weight A = 2; weight A = 2 }\n",
         "split s of d { A = class 1; B = rest; weight A = 2 }\n"),
        ("split s of d {\n  A = class 1\n  B = rest\n  weight A = 2\n  weight A = 2\n}\n",
         "split s of d {\n  A = class 1\n  B = rest\n  weight A = 2\n}\n"),
        ("model m = small_cnn()\n", ""),
        ("plot \"p\" = bars(y=t.clean, x=Class)\n", "plot \"p\" = bars(y=t.clean, x=class)\n"),
        ("attack q = pgd(norm=linf, eps=0.1, step_size=0.03, steps=7)\n",
         "attack q = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)\n"),
        ("attack q = pgd(norm=\"linf\", eps=0.1, step_size=0.03, steps=7)\n",
         "attack q = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)\n"),
        ("attack q = pgd(norm=Linf, eps=8, step_size=0.01, steps=7)\n",
         "attack q = pgd(norm=Linf, eps=8/255, step_size=0.01, steps=7)\n"),
        ("attack q = fgsm(Linf, 8, 10)\n", "attack q = fgsm(Linf, 8/255, 10/255)\n"),
        ("recipe q = sgd(epochs=10, nesterov=True)\n", "recipe q = sgd(epochs=10, nesterov=true)\n"),
        ("expect \"c\": t.clean > 0.9\n", "expect \"c\": t.clean > 90%\n"),
        ("published t.clean = 91.9\n", "published t.clean = 91.9%\n"),
    ],
)  # fmt: skip
def test_a_fix_is_what_a_reader_would_do(wrong, right):
    assert fixed(wrong) == right


@pytest.mark.parametrize(
    "line",
    [
        "train u = mm on d using r\n",
        'title "one # two\n',
        'table "All = rows(t.clean)\n',
        "attack q = pgd(norm=Linf, eps=8, step_size=0.5, steps=7)\n",
        "attack q = pgd(norm=L22, eps=0.1, step_size=0.03, steps=7)\n",
        "attack q = autoattack(norm=Linf, eps=0.1, version=plus, attacks=[square])\n",
        'expect "c": t.clean > 1\n',
        "param h = 0.1\ndataset e = digits(holdout=$h)\n",
        "param e = 8\nattack q = pgd(norm=Linf, eps=$e, step_size=2, steps=7)\n",
        "split s of d { A = class 1; B = rest; weight A = 2; weight A = 3 }\n",
        "model m = small_cnn(width=8)\n",
        "split s of d { A = hardest 30% by entropy of t; B = rest }\n",
        "evaluate t { c2 = accuracy on val }\n",
        "dataset e = digits(limit=[10)\n",
    ],
)
def test_where_more_than_one_thing_may_be_meant_there_is_no_fix(line):
    found = findings_of(BEFORE + line)
    assert found
    assert [finding.fix for finding in found if finding.fix is not None] == []


@pytest.mark.parametrize("line", ["keep snapshots", "seed = 1; keep snapshots", "# why\n keep snapshots\n"])
def test_nothing_is_added_to_a_block_of_which_a_line_cannot_be_read(line):
    split = "split s of d { A = hardest 9% examples by aum of u; B = rest }\n"
    found = findings_of(f"{BEFORE}train u = m on d using r {{ {line} }}\n{split}")
    assert [(finding.code, finding.fix) for finding in found] == [("E104", None)]


@pytest.mark.parametrize("line", ["sat 1\n// a comment\n", "sat one\n", "sat\n"])
def test_a_version_that_cannot_be_read_is_not_given_a_second_time(line):
    found = findings_of(line + "dataset d = digits(holdout=10%)\n")
    assert [finding.code for finding in found] == ["E104"]


def test_another_optimiser_is_no_slip_of_the_pen():
    (finding,) = (found for found in findings_of("sat 1\nrecipe r = radam(epochs=1)\n") if found.code == "E202")
    assert finding.fix is None


@pytest.mark.parametrize(("number", "said"), [("1", "`1%` or `100%`"), ("5000", "a share of the whole, such as `10%`")])
def test_a_number_that_is_no_share_is_not_said_to_be_a_percentage(number, said):
    (finding,) = (
        found for found in findings_of(f"sat 1\ndataset d = digits(holdout={number})\n") if found.code == "E301"
    )
    assert finding.help == f"write {said}"
    assert finding.fix is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("trian", "train"), ("tran", "train"), ("trains", "train"), ("traim", None), ("trasn", "train"),
        ("snapshot_entropy", "snapshot-entropy"), ("stepsize", "step_size"), ("linf", "Linf"), ("esat", None),
        ("pgd8", None), ("pgd", None), ("pdg7", "pgd7"), ("re", None), ("hardest", "hardest"), ("harder", None),
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_is_one_wrong_letter_and_never_another_name(written, meant):
    known = ["train", "snapshot-entropy", "step_size", "Linf", "csat", "pgd7", "ref", "hardest", "easiest"]
    assert typo_of(written, known) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("snapshot-entrpy", ["snapshot-entropy"]), ("parameter", ["param"]), ("aeroplane", ["airplane"]),
        ("harder", ["hardest"]), ("hard", ["hardest"]), ("fgms", ["fgsm"]), ("adam", ["adamw"]),
        ("wide_resnet28_10", ["wide_resnet"]), ("ranndom", ["random"]), ("cifar1000", ["cifar100"]),
        ("noise", []), ("import", []), ("apgd", []), ("resnet110", []), ("resnet", []), ("cifar11", []), ("lgd", []),
        ("25%", []), ("ce", []), ("robust", []), ("", []), ("x", []),
    ],
)  # fmt: skip
def test_only_a_name_that_is_near_is_suggested(written, meant):
    known = [
        "snapshot-entropy", "param", "plot", "airplane", "hardest", "none", "fgsm", "pgd", "sgd", "adamw", "resnet18",
        "resnet34", "resnet101", "wide_resnet", "random", "cifar10", "cifar100", "20%", "30%", "cross_entropy",
    ]  # fmt: skip
    assert closest(written, known) == meant


def test_where_no_name_is_near_those_that_there_are_are_listed():
    models = ["small_cnn", "resnet18", "resnet34", "wide_resnet"]
    assert str(suggest("resnet110", models)) == "you can use resnet18, resnet34"
    assert str(suggest("vgg", models)) == "you can use small_cnn, resnet18, resnet34, wide_resnet"
    assert str(suggest("vgg", [f"m{i}" for i in range(20)])).endswith("m10, m11, ...")
    assert not suggest("vgg", [])


@pytest.mark.parametrize(
    ("line", "help"),
    [
        ('import "common.sat"', 'write `use "common.sat"`'),
        ("let eps = 0.5", "write `param eps = 0.5`"),
        ("attack a = fab(norm=Linf, eps=0.1)", "it is one of the `attacks` of `autoattack`: write `autoattack(..., "
         "attacks=[fab])`"),
        ("model n = resnet110()", "you can use resnet18, resnet34, resnet50, resnet101, resnet152"),
    ],
)  # fmt: skip
def test_a_word_that_means_something_elsewhere_is_told_what_is_written_here(line, help):
    assert next(found.help for found in findings_of(BEFORE + line) if found.code in ("E101", "E202")).startswith(help)


def test_of_two_names_that_are_as_near_none_is_certain():
    assert typo_of("fulls", ["full", "fullsy"]) is None
    assert did_you_mean("fulls", ["full", "fullsy"]).text
    assert did_you_mean("nothing", ["full"]).text == ""


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        ("", " { keep snapshots every epoch }"),
        (" { seed = 1 }", " { seed = 1; keep snapshots every epoch }"),
        (" {\n  seed = 1 # one\n}", " {\n  seed = 1 # one\n  keep snapshots every epoch\n}"),
        (" {\n  seed = 1 }", " {\n  seed = 1\n  keep snapshots every epoch }"),
        (" { keep snapshots every 5 epochs }", None),
    ],
)
def test_snapshots_that_a_score_needs_are_kept_by_a_line_of_their_own(block, wanted):
    text = "train u = m on d using r" + block + "\n"
    split = "split s of d { A = hardest 9% examples by aum of u; B = rest }\n"
    if wanted is None:
        assert not [f for f in findings_of(BEFORE + text + split) if f.code == "E503"]
    else:
        assert fixed(text + split) == text.replace(block + "\n", wanted + "\n") + split
