"""Text to tree: every form of the language, where each node stands, and what is said about text that cannot be read."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from satdsl.check.values import walk
from satdsl.findings import Finding, Source, Span
from satdsl.syntax import layout, messages, tree
from satdsl.syntax.read import _parser, read

ROOT = Path(__file__).parents[2]
SPECS = [
    path for folder in ("examples", "specs", "tests/specs/language") for path in sorted((ROOT / folder).glob("*.sat"))
]
BAD = sorted((ROOT / "tests/compiler/bad").glob("*.sat"))


def parsed(text: str) -> tuple[tree.Statement, ...]:
    file, findings = read(Source("spec.sat", text))
    assert findings == []
    return file.statements


def statement(text: str) -> Any:
    (only,) = parsed(text)
    return only


def findings_of(text: str) -> list[Finding]:
    return read(Source("spec.sat", text))[1]


def value(text: str) -> Any:
    return statement(f"param x = {text}").value


def subset(text: str) -> Any:
    return statement(f"split s of d {{ A = {text} }}").lines[0].subset


def measured(text: str) -> tree.Measured:
    found: tree.Measured = statement(f"evaluate t {{ m = {text} }}").lines[0].measured
    return found


def line(text: str) -> Any:
    return statement(f"train t = m on d using r {{ {text} }}").lines[0]


def brief(node: Any) -> Any:
    """A node as nested tuples: its class's name, then its fields."""
    if isinstance(node, (tree.Name, tree.Parameter)):
        return ("$" if isinstance(node, tree.Parameter) else "") + node.text
    if isinstance(node, tree.Number):
        return node.value
    if isinstance(node, tree.Percent):
        return f"{node.percents:g}%"
    if isinstance(node, tree.Text):
        return f'"{node.value}"'
    if is_dataclass(node):
        return (type(node).__name__, *(brief(getattr(node, f.name)) for f in fields(node) if f.name != "span"))
    return tuple(map(brief, node)) if isinstance(node, tuple) else node


# --- statements ---


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sat 1", ("Version", 1)),
        ('title "ESAT"', ("Title", '"ESAT"')),
        ('use "common.sat"', ("Use", '"common.sat"')),
        ("param eps = 0.5", ("Param", "eps", 0.5)),
        (
            "dataset d = CIFAR10(holdout=10%)",
            ("Declaration", "dataset", "d", ("Call", "CIFAR10", (("Argument", "holdout", "10%"),))),
        ),
        ("model m = small_cnn()", ("Declaration", "model", "m", ("Call", "small_cnn", ()))),
        (
            "attack a = fgsm(L2, 0.5)",
            ("Declaration", "attack", "a", ("Call", "fgsm", (("Argument", None, "L2"), ("Argument", None, 0.5)))),
        ),
        ("recipe r = sgd(epochs=3,)", ("Declaration", "recipe", "r", ("Call", "sgd", (("Argument", "epochs", 3),)))),
        ("train t = m on d using r", ("Train", "t", "m", "d", "r", (), None)),
        ("train t = m on d using r { }", ("Train", "t", "m", "d", "r", (), None)),
        ("train t = $m on $d using $r", ("Train", "t", "$m", "$d", "$r", (), None)),
        ("train t = m on s.A using r", ("Train", "t", "m", "s", "r", (), "A")),
        ("train t = m on s.$part using r", ("Train", "t", "m", "s", "r", (), "$part")),
        ("split s of d { }", ("Split", "s", "d", ())),
        ("split s of $d { A = rest }", ("Split", "s", "$d", (("SubsetLine", "A", ("NamedSubset", "rest")),))),
        ("transfer h = t to d using r", ("Transfer", "h", ("PointOf", "t", ()), "d", "r", ())),
        (
            "transfer h = t[share=50%] to d using r { head = mlp(hidden=512); seed = 1 }",
            (
                "Transfer",
                "h",
                ("PointOf", "t", (("Selector", "share", "50%"),)),
                "d",
                "r",
                (("HeadLine", ("Call", "mlp", (("Argument", "hidden", 512),))), ("SeedLine", 1)),
            ),
        ),
        (
            "transfer h = t to d using r { head = $head }",
            ("Transfer", "h", ("PointOf", "t", ()), "d", "r", (("HeadLine", "$head"),)),
        ),
        (
            "evaluate t { c = clean accuracy on val }",
            (
                "Evaluate",
                ("t",),
                (("MeasureLine", "c", ("Measured", ("CleanAccuracy",), (("PartName", None, "val"),), False), None),),
                None,
            ),
        ),
        ("evaluate t at end { }", ("Evaluate", ("t",), (), ("AtEnd",))),
        ("evaluate t every epoch { }", ("Evaluate", ("t",), (), ("EveryEpochs", None))),
        ("evaluate t every 2*$n epochs { }", ("Evaluate", ("t",), (), ("EveryEpochs", ("Binary", "*", 2, "$n")))),
        (
            'plot "P" = line(y=t.c)',
            ("Display", "plot", '"P"', ("Call", "line", (("Argument", "y", ("Reference", "t", "c", ())),))),
        ),
        (
            'table "T" = rows(t.c)',
            ("Display", "table", '"T"', ("Call", "rows", (("Argument", None, ("Reference", "t", "c", ())),))),
        ),
        (
            'expect "e": t.c[a=1, b=L2] > 50% and 1 < 2',
            (
                "Expect",
                '"e"',
                (
                    "Condition",
                    (
                        (
                            "Comparison",
                            ">",
                            ("Reference", "t", "c", (("Selector", "a", 1), ("Selector", "b", "L2"))),
                            "50%",
                        ),
                        ("Comparison", "<", 1, 2),
                    ),
                ),
                (),
            ),
        ),
    ],
)
def test_a_statement_is_read_as_what_it_is(text, wanted):
    assert brief(statement(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "order = [hardest, easiest]",
            (("order",), ("Listing", (("Item", None, "hardest"), ("Item", None, "easiest")))),
        ),
        ("share = 10%..90% step 10%", (("share",), ("Range", "10%", "90%", "10%"))),
        ("n = 0..9", (("n",), ("Range", 0, 9, None))),
        (
            "draw = 0..9 if $order == random else 0",
            (
                ("draw",),
                ("Conditional", ("Range", 0, 9, None), ("Condition", (("Comparison", "==", "$order", "random"),)), 0),
            ),
        ),
        ("c = classes of cifar10", (("c",), ("ClassesOf", "cifar10"))),
        (
            "w = [vanilla: 1, balanced: |B|/|A|]",
            (
                ("w",),
                (
                    "Listing",
                    (("Item", "vanilla", 1), ("Item", "balanced", ("Binary", "/", ("Size", "B"), ("Size", "A")))),
                ),
            ),
        ),
        (
            "(k, boost) = [(10, 2), (90, 10)]",
            (("k", "boost"), ("Listing", (("Item", None, ("Tuple", (10, 2))), ("Item", None, ("Tuple", (90, 10)))))),
        ),
        ("empty = []", (("empty",), ("Listing", ()))),
        ("one = 5", (("one",), 5)),
    ],
)
def test_an_axis_is_read_as_what_it_is(text, wanted):
    (axis,) = statement(f"sweep {{ {text} }}").lines
    assert brief(axis) == ("Axis", *wanted)


ENTROPY = ("ScoreOf", "entropy", ("PointOf", "ref", ()), None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("all", ("NamedSubset", "all")),
        ("mild", ("NamedSubset", "mild")),
        ("class cat", ("ClassSubset", ("cat",))),
        ("classes cat, dog", ("ClassSubset", ("cat", "dog"))),
        ("class 3", ("ClassSubset", (3,))),
        ('classes "Ankle boot", $c', ("ClassSubset", ('"Ankle boot"', "$c"))),
        ("hardest 30% examples by entropy of ref", ("Pick", "hardest", "30%", "examples", (ENTROPY,))),
        ("hardest 12.5% examples by entropy of ref", ("Pick", "hardest", "12.5%", "examples", (ENTROPY,))),
        ("hardest 1 example by entropy of ref", ("Pick", "hardest", 1, "examples", (ENTROPY,))),
        ("easiest 15000 examples by entropy of ref", ("Pick", "easiest", 15000, "examples", (ENTROPY,))),
        (
            "hardest 30% examples by snapshot-entropy of ref[seed=1]",
            (
                "Pick",
                "hardest",
                "30%",
                "examples",
                (("ScoreOf", "snapshot-entropy", ("PointOf", "ref", (("Selector", "seed", 1),)), None),),
            ),
        ),
        ("hardest 4 classes by entropy of ref", ("Pick", "hardest", 4, "classes", (ENTROPY,))),
        ("random 4 classes seed = 3", ("Pick", "random", 4, "classes", (("WithSeed", 3),))),
        ("random 30% examples", ("Pick", "random", "30%", "examples", ())),
        (
            "hardest 30% examples per class by entropy of ref",
            ("Pick", "hardest", "30%", "examples", (("PerClass",), ENTROPY)),
        ),
        (
            "hardest 30% examples of (classes cat, dog) by entropy of ref",
            ("Pick", "hardest", "30%", "examples", (("Within", ("ClassSubset", ("cat", "dog"))), ENTROPY)),
        ),
        (
            "hardest 30% examples of C by entropy of ref",
            ("Pick", "hardest", "30%", "examples", (("Within", ("NamedSubset", "C")), ENTROPY)),
        ),
        (
            "$order $share examples by $score of $model seed = $draw",
            (
                "Pick",
                "$order",
                "$share",
                "examples",
                (("ScoreOf", "$score", ("PointOf", "$model", ()), None), ("WithSeed", "$draw")),
            ),
        ),
        (
            "hardest (10%*$n) examples by entropy of ref",
            ("Pick", "hardest", ("Binary", "*", "10%", "$n"), "examples", (ENTROPY,)),
        ),
        (
            "examples where loss of ref[seed=1] under p7 > 1",
            ("WhereSubset", ("ScoreOf", "loss", ("PointOf", "ref", (("Selector", "seed", 1),)), "p7"), ">", 1),
        ),
        ("examples where entropy of ref > 0.5", ("WhereSubset", ENTROPY, ">", 0.5)),
        ('examples where scores in "f.npy" <= -1', ("WhereSubset", ("ScoresIn", '"f.npy"'), "<=", ("Negative", 1))),
        ('examples listed in "file.txt"', ("ListedSubset", '"file.txt"')),
        (
            'hardest 30% examples by scores in "file.npy"',
            ("Pick", "hardest", "30%", "examples", (("ScoresIn", '"file.npy"'),)),
        ),
        ("X + Y", ("CombinedSubset", "+", ("NamedSubset", "X"), ("NamedSubset", "Y"))),
        (
            "X - Y - Z",
            (
                "CombinedSubset",
                "-",
                ("CombinedSubset", "-", ("NamedSubset", "X"), ("NamedSubset", "Y")),
                ("NamedSubset", "Z"),
            ),
        ),
        (
            "X + Y & Z",
            (
                "CombinedSubset",
                "+",
                ("NamedSubset", "X"),
                ("CombinedSubset", "&", ("NamedSubset", "Y"), ("NamedSubset", "Z")),
            ),
        ),
        (
            "(X + Y) & Z",
            (
                "CombinedSubset",
                "&",
                ("CombinedSubset", "+", ("NamedSubset", "X"), ("NamedSubset", "Y")),
                ("NamedSubset", "Z"),
            ),
        ),
    ],
)
def test_a_subset_is_read_as_what_it_is(text, wanted):
    assert brief(subset(text)) == wanted


def test_a_weight_is_a_line_of_a_split():
    assert brief(statement("split s of d { weight A = 2*|B|/|A| }").lines) == (
        ("WeightLine", "A", ("Binary", "/", ("Binary", "*", 2, ("Size", "B")), ("Size", "A"))),
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("attack A with pgd7", ("AttackLine", "A", ("pgd7",), "strongest", None, None)),
        ("attack all with $adversary", ("AttackLine", "all", ("$adversary",), "strongest", None, None)),
        ("attack A with each of pgd7, l2", ("AttackLine", "A", ("pgd7", "l2"), "mean", None, None)),
        (
            "attack A with one, each until epoch 5",
            ("AttackLine", "A", ("one", "each"), "strongest", ("DuringEpochs", None, 5), None),
        ),
        (
            'attack A with scaled scaled by scores in "r.npy" from epoch 2',
            ("AttackLine", "A", ("scaled",), "strongest", ("DuringEpochs", 2, None), ("ScoresIn", '"r.npy"')),
        ),
        ("loss A = kl from epoch 2 until epoch 5", ("LossLine", "A", "kl", ("DuringEpochs", 2, 5))),
        ("select", ("SelectLine", None, None)),
        ("select by clean accuracy", ("SelectLine", ("CleanAccuracy",), None)),
        ("select by robust accuracy under aa", ("SelectLine", ("RobustAccuracy", (("Attacked", "aa", None),)), None)),
        ("select by clean accuracy after each lr drop", ("SelectLine", ("CleanAccuracy",), ("AfterDrops",))),
        ("select by clean accuracy at end", ("SelectLine", ("CleanAccuracy",), ("AtEnd",))),
        ("select by clean accuracy every epoch", ("SelectLine", ("CleanAccuracy",), ("EveryEpochs", None))),
        ("select by clean accuracy every 5 epochs", ("SelectLine", ("CleanAccuracy",), ("EveryEpochs", 5))),
        ("keep snapshots every epoch", ("KeepLine", "snapshots", ("EveryEpochs", None))),
        ("keep weights every 10 epochs", ("KeepLine", "weights", ("EveryEpochs", 10))),
        ("seed = $seed", ("SeedLine", "$seed")),
        ("start from other", ("StartLine", ("PointOf", "other", ()))),
        ("start from other[share=50%]", ("StartLine", ("PointOf", "other", (("Selector", "share", "50%"),)))),
    ],
)
def test_a_line_of_a_training_is_read_as_what_it_is(text, wanted):
    assert brief(line(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("clean accuracy on val", (("CleanAccuracy",), (("PartName", None, "val"),), False)),
        ("clean accuracy on val by class", (("CleanAccuracy",), (("PartName", None, "val"),), True)),
        (
            "robust accuracy under aa, pgd7 on A_val, svhn.val",
            (
                ("RobustAccuracy", (("Attacked", "aa", None), ("Attacked", "pgd7", None))),
                (("PartName", None, "A_val"), ("PartName", "svhn", "val")),
                False,
            ),
        ),
        (
            "robust accuracy under p made on t[a=1], $q made on $t on val",
            (
                (
                    "RobustAccuracy",
                    (
                        ("Attacked", "p", ("PointOf", "t", (("Selector", "a", 1),))),
                        ("Attacked", "$q", ("PointOf", "$t", ())),
                    ),
                ),
                (("PartName", None, "val"),),
                False,
            ),
        ),
        (
            "mean loss under $p on val",
            (("MeanScore", "loss", "$p"), (("PartName", None, "val"),), False),
        ),
        (
            "mean snapshot-entropy on train by class",
            (("MeanScore", "snapshot-entropy", None), (("PartName", None, "train"),), True),
        ),
        ("mean $score on train", (("MeanScore", "$score", None), (("PartName", None, "train"),), False)),
    ],
)
def test_a_measure_is_read_as_what_it_is(text, wanted):
    assert brief(measured(text)) == ("Measured", *wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.5", 0.5),
        ("5e-4", 5e-4),
        ("15000", 15000),
        ("30%", "30%"),
        ("12.5%", "12.5%"),
        ("0.1%", "0.1%"),
        ('"text # with ; and }"', '"text # with ; and }"'),
        ("true", "true"),
        ("8/255", ("Binary", "/", 8, 255)),
        ("1 + 2*3", ("Binary", "+", 1, ("Binary", "*", 2, 3))),
        ("(1 + 2)*3", ("Binary", "*", ("Binary", "+", 1, 2), 3)),
        ("1 - 2 - 3", ("Binary", "-", ("Binary", "-", 1, 2), 3)),
        ("-1 + --2", ("Binary", "+", ("Negative", 1), ("Negative", ("Negative", 2)))),
        ("|A|", ("Size", "A")),
        ("|train|", ("Size", "train")),
        ("classes(A)", ("Call", "classes", (("Argument", None, "A"),))),
        (
            "[a, [b], (c, d)]",
            (
                "Listing",
                (
                    ("Item", None, "a"),
                    ("Item", None, ("Listing", (("Item", None, "b"),))),
                    ("Item", None, ("Tuple", ("c", "d"))),
                ),
            ),
        ),
        ("[a, b,]", ("Listing", (("Item", None, "a"), ("Item", None, "b")))),
        (
            "step(at=[100, 150], factor=0.1)",
            (
                "Call",
                "step",
                (
                    ("Argument", "at", ("Listing", (("Item", None, 100), ("Item", None, 150)))),
                    ("Argument", "factor", 0.1),
                ),
            ),
        ),
        ("-1..1 step 0.5", ("Range", ("Negative", 1), 1, 0.5)),
        ("1..$n", ("Range", 1, "$n", None)),
        ("1.5..2", ("Range", 1.5, 2, None)),
        (
            "1 if $a >= 2 and $b != x else 3",
            ("Conditional", 1, ("Condition", (("Comparison", ">=", "$a", 2), ("Comparison", "!=", "$b", "x"))), 3),
        ),
    ],
)
def test_a_value_is_read_as_what_it_is(text, wanted):
    assert brief(value(text)) == wanted


def test_several_parts_and_attacks_are_kept_in_order():
    node = measured("robust accuracy under c, a, b on B_val, A_val, val")
    assert [part.part.text for part in node.parts] == ["B_val", "A_val", "val"]


# --- spans ---


def children(node: tree.Node) -> list[tree.Node]:
    return list(walk(tuple(getattr(node, f.name) for f in fields(node) if f.name != "span")))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_node_s_span_is_the_text_that_it_was_read_from(path):
    source = Source(str(path), path.read_text("utf-8"))
    file, findings = read(source)
    assert findings == []
    for node in walk(file.statements):
        text = node.span.text
        assert text == text.strip() != "", node
        match node:
            case tree.Name():
                assert text == node.text
            case tree.Parameter():
                assert text == f"${node.text}"
            case tree.Number():
                assert float(text) == node.value
            case tree.Percent():
                assert float(text.removesuffix("%")) == node.percents
                assert text.endswith("%")
            case tree.Text():
                assert text == f'"{node.value}"'
            case tree.Size():
                assert text == f"|{node.subset.text}|"
            case tree.Call():
                assert text.startswith(node.name.text)
                assert text.endswith(")")
            case tree.Listing():
                assert text[0] + text[-1] == "[]"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_what_a_node_consists_of_lies_inside_it_and_in_order(path):
    file, _ = read(Source(str(path), path.read_text("utf-8")))
    for node in walk(file.statements):
        for child in children(node):
            assert node.span.start <= child.span.start <= child.span.end <= node.span.end, (node, child)
    ends = [statement.span for statement in file.statements]
    assert all(before.end <= after.start for before, after in pairwise(ends))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_statement_s_span_read_again_gives_the_same_statement(path):
    file, _ = read(Source(str(path), path.read_text("utf-8")))
    for one in file.statements:
        assert statement(one.span.text) == one


def test_a_span_knows_its_line_and_column():
    nodes = parsed("sat 1\n\n  param x = 5\n")
    assert [node.span.place for node in nodes] == [(1, 1), (3, 3)]
    assert nodes[1].value.span.place == (3, 13)  # type: ignore[union-attr]


# --- words that are keywords elsewhere ---

SOFT = ["class", "classes", "examples", "example", "hardest", "easiest", "random", "weight"]
ONLY_HERE = [
    "on",
    "of",
    "by",
    "with",
    "using",
    "seed",
    "clean",
    "robust",
    "accuracy",
    "under",
    "mean",
    "select",
    "keep",
    "snapshots",
    "weights",
    "every",
    "epoch",
    "epochs",
    "start",
    "from",
    "after",
    "each",
    "lr",
    "drop",
    "at",
    "end",
    "head",
    "where",
    "listed",
    "in",
    "per",
    "scores",
    "if",
    "else",
    "and",
    "step",
    "to",
    "rest",
    "all",
    "none",
    "val",
]


NAMES = """
model NAME = small_cnn()
attack NAME = none()
param NAME = $NAME
train NAME = NAME on NAME using NAME { attack NAME with NAME; start from NAME }
split NAME of NAME { NAME = class NAME; weight NAME = |NAME| + classes(NAME) }
evaluate NAME { NAME = robust accuracy under NAME on NAME.NAME }
transfer NAME = NAME to NAME using NAME
table "t" = rows(NAME.NAME[NAME=NAME], NAME=NAME)
sweep { NAME = [NAME, NAME: 1] }
"""


@pytest.mark.parametrize("word", SOFT + ONLY_HERE)
def test_a_word_of_the_language_can_be_a_name(word):
    def names(name: str) -> list[str]:
        text = NAMES.replace("NAME", name)
        return [node.text for node in walk(parsed(text)) if isinstance(node, tree.Name)]

    assert names(word) == [word if text == "zebra" else text for text in names("zebra")]


@pytest.mark.parametrize("word", SOFT)
def test_a_soft_keyword_can_name_a_subset_in_an_expression(word):
    assert brief(subset(f"{word} + {word} & {word}")) == (
        "CombinedSubset",
        "+",
        ("NamedSubset", word),
        ("CombinedSubset", "&", ("NamedSubset", word), ("NamedSubset", word)),
    )


@pytest.mark.parametrize(
    "word", ["classical", "weighted", "example1", "bylaw", "seeds", "on_", "stepper", "ifs", "train1"]
)
def test_a_name_may_begin_with_a_keyword(word):
    assert value(word).text == word


def test_a_keyword_ends_at_a_word_boundary():
    assert findings_of("split s of d { A = hardest 30% examplesby entropy of ref }")
    assert findings_of("train t = m ond using r")


# --- lines ---


@pytest.mark.parametrize(
    "text",
    [
        "recipe r = sgd(\n  epochs=3,\n  lr=0.1\n)",
        "recipe r =\n  sgd(epochs=3, lr=0.1)",
        "recipe r\n= sgd(epochs=3,\n# why\nlr=0.1)",
        "recipe r = sgd(epochs=3, lr=\n\n0.1) # the end",
        "recipe r = sgd(epochs=3, lr=0.1);",
        "recipe r = sgd(epochs=3, lr=0.1) ;;\n;",
        "\trecipe\tr\t=\tsgd(epochs=3,\tlr=0.1)",
    ],
)
def test_line_breaks_in_brackets_and_around_operators_are_white_space(text):
    assert statement(text) == statement("recipe r = sgd(epochs=3, lr=0.1)")


@pytest.mark.parametrize(
    "text",
    [
        "train t = m on d using r { seed = 1; attack A with p }",
        "train t = m on d using r {\n  seed = 1\n  attack A with p\n}",
        "train t = m on d using r {\n\n  seed = 1;\n\n  ;attack A with p;\n\n}",
        "train t = m on d using r { # first\n  seed = 1 # second\n  # third\n  attack A with p } # fourth",
        "train t = m on d using r {\n  seed =\n 1\n  attack A with p }",
        "train t = m on d using r { seed = 1\nattack A with p\n;}",
    ],
)
def test_lines_of_a_block_end_at_a_newline_or_a_semicolon(text):
    assert statement(text) == statement("train t = m on d using r { seed = 1; attack A with p }")


def test_an_expression_goes_on_after_and_before_an_operator():
    long = 'expect "e":\n  t.c[a=1,\n b=2]\n  - u.c\n  >= 3%\n  and t.c <\n 4%\n'
    assert statement(long) == statement('expect "e": t.c[a=1, b=2] - u.c >= 3% and t.c < 4%')
    assert statement("param x = 1\n  if $a == 2\n  else\n 3") == statement("param x = 1 if $a == 2 else 3")


def test_statements_end_at_a_newline_or_a_semicolon():
    assert len(parsed('sat 1; title "a; b"; param x = 1\nparam y = 2;param z = 3')) == 5


WHOLE = "sat 1\nparam x = 5\nsplit s of d {\n  A = class 1 # one\n  B = rest\n}\n"


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n\n", "\n \t\n", " # said\n", " # said\r\n", " # said\r"])
def test_any_line_ending_is_a_line_ending(ending):
    assert parsed(WHOLE.replace("\n", ending)) == parsed(WHOLE)


def test_a_byte_order_mark_and_a_missing_last_newline_change_nothing():
    assert parsed("\ufeff" + WHOLE.rstrip("\n")) == parsed(WHOLE)
    assert parsed("param x = 5") == parsed("param x = 5\n")
    assert parsed("param x = 5 # said") == parsed("param x = 5\n")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_finding_s_line_is_counted_in_any_line_ending(ending):
    (finding,) = findings_of(ending.join(["sat 1", "", "# a comment", "param x ="]))
    assert finding.document()["line"] == 4


def test_text_without_statements_is_an_empty_file():
    for text in ("", "\n\n", "# only a comment", ";;", "\ufeff", " \t"):
        assert parsed(text) == ()


def test_a_comment_sign_inside_a_text_is_text():
    assert statement('title "#1" # one').text.value == "#1"


# --- what cannot be read ---


def test_several_mistakes_are_found_in_one_run():
    found = findings_of(
        "param = 5\nmodel m = \nsplit s of d { A 30%\n  B = rest\n  weight = 3 }\n"
        'train t = m\ntitle "x\ntrian u = m on d\n'
    )
    assert [finding.span.place[0] for finding in found] == [1, 2, 3, 5, 6, 7, 8]


def test_statements_beside_a_mistake_are_still_read():
    file, found = read(
        Source("spec.sat", "param a = 1\nparam b =\nparam c = 3\ntrain t = m on d using r { seed 1; attack A with p }")
    )
    assert len(found) == 2
    assert [type(one).__name__ for one in file.statements] == ["Param", "Param", "Train"]
    assert [type(one).__name__ for one in file.statements[2].lines] == ["AttackLine"]  # type: ignore[union-attr]


def test_a_bracket_left_open_does_not_swallow_the_next_statement():
    file, found = read(
        Source("spec.sat", "recipe r = sgd(epochs=3\nparam a = 1\nsplit s of d { A = rest\nparam b = 2\n")
    )
    assert [finding.code for finding in found] == ["E103", "E103"]
    assert [one.name.text for one in file.statements if isinstance(one, tree.Param)] == ["a", "b"]


def names_of_terminals() -> set[str]:
    return {terminal.name for terminal in _parser().terminals if not terminal.name.startswith("__IGNORE")}


def test_no_message_names_a_terminal():
    names = {name for name in names_of_terminals() if "_" in name or name.isupper()}
    for path in BAD:
        for finding in findings_of(path.read_text("utf-8")):
            words = set(re.findall(r"\b\w+\b", finding.message + finding.help)) - set(
                re.findall(r"\w+", path.read_text())
            )
            assert not words & (names | {name.strip("_") for name in names}), finding


def broken_statements() -> list[str]:
    """Every example of the messages, cut off after each of its words, and with each of them replaced."""
    found = []
    for example in messages.EXAMPLES.values():
        words = re.findall(r'"[^"]*"|\w+|\s+|.', example.partition("`")[0])
        for i in range(1, len(words)):
            found += ["".join(words[:i]), "".join([*words[:i], " ? ", *words[i + 1 :]])]
    return found


def test_no_message_about_a_broken_example_names_a_terminal_or_lists_more_than_four_things():
    names = {name for name in names_of_terminals() if name != "NAME"}
    seen = 0
    for text in broken_statements():
        for finding in findings_of(text):
            seen += 1
            assert not set(re.findall(r"\b[A-Z_]{2,}\d*\b", finding.message)) & names, finding
            assert not re.search(r"\b[A-Z]{3,}\b|__|\$END", finding.message.split("but here is")[0]), finding
            assert finding.message.split(", but")[0].count(",") <= 3, finding
            assert finding.help, finding
    assert seen > 100


def test_every_terminal_has_an_english_name():
    for name in names_of_terminals() | {"$END"}:
        english = messages.english(name)
        assert not re.search(r"[A-Z]{2}|_", english), name
        if name not in messages.ENGLISH:
            keyword = english.strip("`")
            assert name.startswith("_"), f"{name} is no keyword: it needs an entry in ENGLISH"
            assert keyword.isalpha()


def test_english_names_nothing_that_the_grammar_does_not_have():
    assert set(messages.ENGLISH) <= names_of_terminals() | {"$END"}
    assert {terminal for _, terminal in messages.MISSING} <= names_of_terminals()


def test_every_example_of_a_message_can_be_read():
    for construct, example in messages.EXAMPLES.items():
        block = {
            "sweep line": "sweep {{ {} }}",
            "train line": "train t = m on d using r {{ {} }}",
            "split line": "split s of d {{ {} }}",
            "transfer line": "transfer h = t to d using r {{ {} }}",
            "evaluate line": "evaluate t {{ {} }}",
        }.get(construct, "{}")
        for one in re.split("` or `|`, `", example):
            parsed(block.format(one))


def test_every_construct_has_an_example():
    constructs = {construct for construct, _ in messages.MISSING} | set(layout.RESERVED)
    assert constructs <= set(messages.EXAMPLES)


def test_a_message_says_what_is_missing_where_it_is_missing():
    (finding,) = findings_of("train t = m on d { seed = 1 }")
    assert finding.span == Span(finding.span.source, 17, 18)
    assert "using" in finding.message
    assert messages.EXAMPLES["train"] in finding.help


def test_a_word_that_could_only_be_a_name_is_not_said_to_be_missing():
    _, (finding,) = read(Source("a.sat", "split s of d { A = hardest 30% examples by el2n of\n B = rest }\n"))
    assert finding.message == "`itself`, a name or a parameter (`$name`) is expected, but the line ends here"
