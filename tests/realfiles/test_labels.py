"""Classes are matched and chosen by their names, never by a number that could mean another class."""

from __future__ import annotations

import pickle
import unicodedata
from argparse import Namespace
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import satdsl
from satdsl.backend.models import build
from satdsl.check import analyse
from satdsl.cli import app
from satdsl.findings import Finding, Source
from satdsl.ir.class_names import compare
from satdsl.ir.steps import CatalogCall
from satdsl.plan.expand import expand
from satdsl.stored_classes import stored_classes
from satdsl.weight_files.torch_files import LEGACY

COLOURS = {"cat": (200, 30, 30), "dog": (30, 200, 30), "fox": (30, 30, 200)}
PETS = tuple(COLOURS)
TO_TWELVE = {str(number): number for number in range(1, 13)}

STL10 = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
DIGITS_IN_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

HEAD = """sat 1
model net = small_cnn(width=8)
recipe r = sgd(epochs=4, batch=8, lr=0.05)
recipe none = sgd(epochs=0)
"""


def images(folder: Path, classes: Iterable[str] | dict[str, int], val: int = 1) -> str:
    """Make an image folder and return its name; classes with a number have so many training images, others two.

    An image has the colour of its class, whatever its folder's letters are, and noise of its own.
    """
    counts = classes if isinstance(classes, dict) else dict.fromkeys(classes, 2)
    for name, train in counts.items():
        colour = COLOURS.get(name.lower(), tuple(sha256(name.encode()).digest()[:3]))
        for part, count in (("train", train), ("val", val)):
            place = folder / part / name
            place.mkdir(parents=True)
            for i in range(count):
                seed = int.from_bytes(sha256(f"{folder.name} {part} {name} {i}".encode()).digest()[:4], "big")
                noise = np.random.default_rng(seed).integers(-25, 26, (8, 8, 3))
                Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(place / f"{i}.png")
    return folder.name


def findings(folder: Path, text: str) -> list[Finding]:
    """What is found in a specification about names of classes."""
    found = analyse(Source(str(folder / "x.sat"), HEAD + text)).findings
    mine = ("E201", "E204", "E209", "E211", "E212", "E301", "E506", "E526", "E527", "E528")
    return [one for one in found if one.code in mine]


def codes(folder: Path, text: str) -> list[str]:
    return [finding.code for finding in findings(folder, text)]


def measuring(trained: str, shown: str) -> str:
    return (
        f"dataset a = {trained}\ndataset b = {shown}\ntrain t = net on a using r\n"
        "evaluate t { own = clean accuracy on val; other = clean accuracy on b.val }\n"
    )


def starting(trained: str, shown: str) -> str:
    return (
        f"dataset a = {trained}\ndataset b = {shown}\ntrain t = net on a using r\n"
        "train u = net on b using r { start from t }\nevaluate u { own = clean accuracy on val }\n"
    )


def chosen(folder: Path, data: str, classes: str) -> tuple[tuple[str, ...] | None, int | None]:
    """The names and the size of `A = class ...` in the plan."""
    text = f"dataset a = {data}\nsplit s of a {{ A = class {classes}; B = rest }}\ntrain t = net on s using r\n"
    found = analyse(Source(str(folder / "x.sat"), f"{HEAD}{text}evaluate t {{ c = clean accuracy on val }}\n"))
    assert [one for one in found.findings if one.severity == "error"] == []
    (facts,) = expand(found.experiment).splits
    (subset,) = [one for one in facts.subsets if one.name == "A"]
    return subset.classes, subset.size


# --- two data sets -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [measuring, starting])
def test_the_same_classes_in_another_order_are_an_error_that_shows_them(tmp_path, text):
    images(tmp_path / "pets", PETS)
    images(tmp_path / "others", ["Fox", "cat", "dog"])
    (finding,) = findings(tmp_path, text('folder("pets", resize=8)', 'folder("others", resize=8)'))
    assert (finding.code, finding.severity) == ("E526", "error")
    assert "`b` and `a` have the same classes, but not in the same order" in finding.message
    assert "class 0 is `cat` in `a` and `Fox` in `b`; 1 is `dog` and `cat`; 2 is `fox` and `dog`" in finding.reason
    assert finding.help == "write `class_order=classes of a` in `dataset b`"


def test_a_transfer_may_go_to_the_same_classes_in_another_order(tmp_path):
    images(tmp_path / "pets", PETS)
    images(tmp_path / "others", ["Fox", "cat", "dog"])
    text = 'dataset a = folder("pets", resize=8)\ndataset b = folder("others", resize=8)\ntrain t = net on a using r\n'
    text += "transfer h = t to b using r\nevaluate h { new = clean accuracy on val; old = clean accuracy on a.val }\n"
    (finding,) = findings(tmp_path, text)
    assert finding.code == "E526"
    assert "class 0 is `Fox` in `b` and `cat` in `a`" in finding.reason
    assert codes(tmp_path, text.replace("; old = clean accuracy on a.val", "")) == []


@pytest.mark.parametrize(
    ("data", "folders"),
    [
        ("CIFAR10()", STL10),
        ("digits()", [str(number) for number in range(1, 11)]),
        (
            "FashionMNIST(resize=8)",
            ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle_boot"],
        ),
        ("CIFAR10()", ["airplane", "bird", "boat", "car", "cat", "deer", "dog", "frog", "horse", "truck"]),
    ],
)
def test_a_class_that_both_have_under_other_numbers_is_an_error(tmp_path, data, folders):
    images(tmp_path / "mine", folders)
    size = 8 if "8" in data or data == "digits()" else 32
    grey = data.startswith(("digits", "Fashion"))
    text = (
        measuring(f'folder("mine", resize={size})', data) if grey else measuring(data, f'folder("mine", resize={size})')
    )
    assert codes(tmp_path, text) == ["E526"]


def test_other_names_are_a_warning_that_shows_the_first(tmp_path):
    images(tmp_path / "pets", PETS)
    images(tmp_path / "birds", ["cat", "dog", "owl"])
    for text in (measuring, starting):
        (finding,) = findings(tmp_path, text('folder("pets", resize=8)', 'folder("birds", resize=8)'))
        assert (finding.code, finding.severity) == ("E527", "warning")
        assert finding.reason == "class 2 is `fox` in `a` and `owl` in `b`"


@pytest.mark.parametrize(
    ("trained", "shown", "said"),
    [
        ("digits()", "FashionMNIST(resize=8)", "the classes of `a` are only numbered"),
        ("CIFAR10()", "SVHN()", "the classes of `b` are only numbered"),
        ("CIFAR10()", "synthetic()", "0 is `airplane` in `a` and `0` in `b`; 1 is `automobile` and `1`"),
        ("CIFAR10()", 'folder("aeroplane", resize=32)', "class 0 is `airplane` in `a` and `aeroplane` in `b`"),
        ('folder("words", resize=8)', "digits()", "class 0 is `eight` in `a` and `0` in `b`"),
    ],
)
def test_names_that_cannot_be_compared_are_a_warning(tmp_path, trained, shown, said):
    images(
        tmp_path / "aeroplane",
        ["aeroplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    )
    images(tmp_path / "words", DIGITS_IN_WORDS)
    (finding,) = findings(tmp_path, measuring(trained, shown))
    assert finding.code == "E527"
    assert said in finding.reason


@pytest.mark.parametrize(
    ("trained", "shown"),
    [
        ("CIFAR10()", "CIFAR10(limit=1000, limit_val=500)"),
        ("CIFAR10(holdout=10%)", "CIFAR10(holdout=10%, augment=[flip()])"),
        ("digits()", "digits(holdout=10%)"),
        ("digits()", "MNIST(resize=8)"),
        ("SVHN(resize=8)", "digits()"),
        ("digits()", "synthetic(shape=[1, 8, 8])"),
        ('folder("pets", resize=8)', 'folder("copy", resize=8)'),
        ('folder("pets", resize=8)', 'folder("capitals", resize=8)'),
        ("CIFAR10()", 'folder("cifar", resize=32)'),
        ("CIFAR100()", 'folder("cifar100", resize=32)'),
        ("MNIST(resize=8)", "digits()"),
        ('folder("padded", resize=8)', 'folder("padded too", resize=8)'),
        ("ImageNet200()", 'folder("wnids")'),
    ],
)
def test_the_same_classes_in_the_same_order_are_no_finding(tmp_path, trained, shown):
    images(tmp_path / "pets", PETS)
    images(tmp_path / "copy", PETS)
    images(tmp_path / "capitals", ["Cat", "DOG", "_fox"])
    if "cifar" in shown:
        known = analyse(Source("x.sat", f"sat 1\ndataset d = {trained}\n")).experiment.datasets["d"].table[()].facts
        assert known is not None
        images(tmp_path / shown.partition('"')[2].partition('"')[0], [name.replace("_", " ") for name in known.classes])
    if "padded" in shown:
        images(tmp_path / "padded", ["01", "02", "03"])
        images(tmp_path / "padded too", ["1", "2", "3"])
    if "wnids" in shown:
        from satdsl.catalog.datasets import class_list

        images(tmp_path / "wnids", class_list("imagenet200_wnids.txt"))
    assert codes(tmp_path, measuring(trained, shown)) == []


def test_zero_padded_numbers_are_in_another_order_than_plain_ones(tmp_path):
    images(tmp_path / "padded", [f"{number:02}" for number in range(1, 13)])
    images(tmp_path / "plain", [str(number) for number in range(1, 13)])
    (finding,) = findings(tmp_path, measuring('folder("padded", resize=8)', 'folder("plain", resize=8)'))
    assert finding.code == "E526"
    assert "class 1 is `02` in `a` and `10` in `b`" in finding.reason


def test_another_number_of_classes_says_which_are_missing(tmp_path):
    images(tmp_path / "pets", PETS)
    images(tmp_path / "birds", ["cat", "dog", "owl", "tit"])
    (finding,) = findings(tmp_path, measuring('folder("pets", resize=8)', 'folder("birds", resize=8)'))
    assert finding.code == "E506"
    assert "`fox` is missing, and `owl`, `tit` are not known to the network" in finding.reason


def test_names_that_a_data_set_needs_to_tell_its_classes_apart_are_compared_exactly():
    assert compare(["Cat", "cat"], ["cat", "Cat"]).moved == (0, 1)
    assert compare(["0", "01", "1"], ["0", "01", "1"]).moved == ()
    assert compare(["Ankle boot"], ["ankle_boot"]).moved == ()
    assert compare(["कि", "की"], ["की", "कि"]).moved == (0, 1)


def test_weights_are_measured_right_on_other_folders_with_the_same_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / "pets", dict.fromkeys(PETS, 8), val=4)
    images(tmp_path / "copy", ["Cat", "dog", "fox"], val=4)
    images(tmp_path / "others", ["Fox", "cat", "dog"], val=4)
    text = HEAD.replace("epochs=4, batch=8, lr=0.05", "epochs=24, batch=8, lr=0.02") + (
        'dataset a = folder("pets", resize=8)\ndataset b = folder("copy", resize=8)\n'
        'dataset c = folder("others", resize=8, class_order=classes of a)\ntrain t = net on a using r\n'
        "evaluate t { own = clean accuracy on val, b.val; other = clean accuracy on c.val by class }\n"
        'table "x" = rows(t.own, t.other)\n'
    )
    (tmp_path / "x.sat").write_text(text, "utf-8")
    spec = satdsl.load("x.sat")
    spec.run(progress=False)
    assert [one.value for one in spec.measured] == [1.0] * 5
    assert [(dict(one.point).get("class"), one.n) for one in spec.measured[2:]] == [("cat", 4), ("dog", 4), ("Fox", 4)]


def test_classes_get_the_numbers_that_class_order_says(tmp_path):
    images(tmp_path / "n", TO_TWELVE)
    images(tmp_path / "pets", PETS)
    images(tmp_path / "others", {"Fox": 3, "cat": 4, "dog": 5})
    assert chosen(tmp_path, 'folder("n", resize=8, class_order=1..12)', '"2", "10"') == (("2", "10"), 12)
    assert chosen(tmp_path, 'folder("others", resize=8, class_order=[dog, "fox", cat])', "0, 2") == (("dog", "cat"), 9)
    text = 'dataset a = folder("pets", resize=8)\ndataset b = folder("others", resize=8, class_order={})\n'
    assert codes(tmp_path, text.format("classes of a")) == []
    assert codes(tmp_path, text.format("[dog, cat]")) == ["E212"]
    assert codes(tmp_path, text.format("[dog, cat, fox, Fox]")) == ["E201"]
    assert codes(tmp_path, text.format("[dog, cat, owl]")) == ["E204"]
    same = [
        analyse(Source(str(tmp_path / "x.sat"), f'sat 1\ndataset a = folder("pets"{order})\n')).experiment.datasets["a"]
        for order in ("", ", class_order=[cat, dog, fox]")
    ]
    assert same[0].table == same[1].table


# --- the choice of a class -----------------------------------------------------------------------


def test_a_number_that_is_the_name_of_another_class_is_an_error(tmp_path):
    images(tmp_path / "n", TO_TWELVE)
    text = 'dataset a = folder("n", resize=8)\nsplit s of a {{ A = class {}; B = rest }}\n'
    (finding,) = findings(tmp_path, text.format(2))
    assert finding.code == "E209"
    assert finding.reason.startswith("the class called `2` is number 4; number 2 is the class called `11`")
    assert finding.help == 'write `"2"` for the class of this name, or `"11"` for the class with this number'
    assert finding.fix is None
    (finding,) = findings(tmp_path, text.format(12))
    assert finding.code == "E209"
    assert finding.fix is not None
    assert finding.fix.edits[0][1] == '"12"'
    assert codes(tmp_path, text.format(0)) == ["E209"]
    assert codes(tmp_path, text.format(77)) == ["E204"]
    (finding,) = findings(tmp_path, text.format('"02"'))
    assert (finding.code, finding.help) == ("E204", 'did you mean `"2"`?')


def test_a_name_in_quotes_is_the_class_of_that_name(tmp_path):
    images(tmp_path / "n", TO_TWELVE)
    assert chosen(tmp_path, 'folder("n", resize=8)', '"2"') == (("2",), 2)
    assert chosen(tmp_path, 'folder("n", resize=8)', '"11", "3"') == (("11", "3"), 14)


def test_numbers_with_leading_zeros_are_names_of_their_own(tmp_path):
    images(tmp_path / "z", {"0": 3, "01": 4, "1": 5})
    text = 'dataset a = folder("z", resize=8)\nsplit s of a {{ A = class {}; B = rest }}\n'
    for number in ("1", "01", "2"):
        assert codes(tmp_path, text.format(number)) == ["E209"], number
    assert chosen(tmp_path, 'folder("z", resize=8)', "0") == (("0",), 3)
    assert chosen(tmp_path, 'folder("z", resize=8)', '"01"') == (("01",), 4)
    assert chosen(tmp_path, 'folder("z", resize=8)', '"1"') == (("1",), 5)


def test_numbers_stay_where_they_can_mean_one_class_only(tmp_path):
    images(tmp_path / "mixed", ["0", "1", "a", "b"])
    assert chosen(tmp_path, "CIFAR10()", "3") == (("cat",), 5000)
    assert chosen(tmp_path, "digits()", "3, 4") == (("3", "4"), 287)
    assert chosen(tmp_path, 'folder("mixed", resize=8)', "1, 3") == (("1", "b"), 4)


def test_brackets_and_for_all_choose_a_class_by_the_same_rule(tmp_path):
    images(tmp_path / "n", TO_TWELVE)
    text = (
        "dataset a = {}\ntrain t = net on a using r\nevaluate t {{ c = clean accuracy on val by class }}\n"
        'expect "x": {}\n'
    )
    n = 'folder("n", resize=8)'
    assert codes(tmp_path, text.format(n, "t.c[class=2] > 1%")) == ["E209"]
    assert codes(tmp_path, text.format(n, 't.c[class="2"] > 1%')) == []
    assert codes(tmp_path, text.format(n, "for all class in [1, 2]: t.c > 1%")) == ["E209"]
    assert codes(tmp_path, text.format(n, "for all class in 0..4: t.c > 1%")) == ["E209"]
    assert codes(tmp_path, text.format("digits()", "for all class in 0..4: t.c > 1%")) == []
    assert codes(tmp_path, text.format("CIFAR10()", "for all class in 0..4: t.c > 1%")) == []
    found = analyse(Source("x.sat", HEAD + text.format("CIFAR10()", "t.c[class=3] > t.c[class=dog]"))).experiment
    assert [dict(one.at) for one in (found.claims[0].comparisons[0].left, found.claims[0].comparisons[0].right)] == [
        {"class": "cat"},
        {"class": "dog"},
    ]


def test_a_number_is_no_class_of_results_on_data_sets_with_other_classes(tmp_path):
    images(tmp_path / "pets", PETS)
    images(tmp_path / "birds", ["cat", "dog", "owl"])
    text = (
        'dataset a = folder("pets", resize=8)\ndataset b = folder("birds", resize=8)\ntrain t = net on a using r\n'
        "evaluate t {{ c = clean accuracy on val, b.val by class }}\n"
        'expect "x": t.c[part=val, class={0}] > 1%\nexpect "y": for all class in [{0}]: t.c[part=val] > 1%\n'
    )
    assert codes(tmp_path, text.format("0")) == ["E527", "E209", "E209"]
    assert codes(tmp_path, text.format("cat")) == ["E527"]


def test_a_swept_class_is_chosen_by_the_same_rule(tmp_path):
    images(tmp_path / "n", TO_TWELVE)
    text = (
        'dataset a = folder("n", resize=8)\nsweep {{ k = {} }}\nsplit s of a {{ A = class $k; B = rest }}\n'
        "train t = net on s using r\nevaluate t {{ c = clean accuracy on val }}\n"
    )
    assert codes(tmp_path, text.format("[1, 2]")) == ["E209"]
    assert codes(tmp_path, text.format("0..3")) == ["E209"]
    found = analyse(Source(str(tmp_path / "x.sat"), HEAD + text.format("classes of a"))).experiment
    sizes = {dict(facts.point)["k"]: facts.subsets[0].size for facts in expand(found).splits}
    assert sizes == TO_TWELVE


def test_published_values_are_not_given_to_other_classes(tmp_path):
    images(tmp_path / "n", {"1": 1, "2": 1, "10": 1})
    text = (
        'dataset a = folder("n", resize=8)\ntrain t = net on a using r\n'
        "evaluate t {{ c = clean accuracy on val by class }}\npublished {}\n"
    )
    assert codes(tmp_path, text.format("for all class: t.c = [1%, 2%, 10%]")) == ["E211"]
    assert codes(tmp_path, text.format("t.c = [1%, 2%, 10%]")) == ["E211"]
    said = text.format('for all class in ["1", "2", "10"]: t.c = [1%, 2%, 10%]')
    assert codes(tmp_path, said) == []
    found = analyse(Source(str(tmp_path / "x.sat"), HEAD + said)).experiment.published
    assert {dict(one.at)["class"]: one.value for one in found} == {"1": 0.01, "2": 0.02, "10": 0.1}


ODD = ["rest", "all", "none", "class", "10%", "1.5", "ice cream", "hot-dog", "a,b", "by", "T-shirt", "café"]


@pytest.mark.parametrize("name", ODD)
def test_a_class_can_be_called_anything(tmp_path, name):
    images(tmp_path / "odd", {one: place + 1 for place, one in enumerate(ODD)})
    size = ODD.index(name) + 1
    assert chosen(tmp_path, 'folder("odd", resize=8)', f'"{name}"') == ((name,), size)
    if name.isidentifier():
        assert chosen(tmp_path, 'folder("odd", resize=8)', name) == ((name,), size)


@pytest.mark.parametrize(
    ("written", "code", "help"),
    [
        ("Rest", "E204", "did you mean `rest`?"),
        ("tshirt", "E204", 'did you mean `"T-shirt"`?'),
        ('"ice  cream"', "E204", 'did you mean `"ice cream"`?'),
        ("hot-dog", "E204", 'did you mean `"hot-dog"`?'),
        ("1.5", "E209", 'write `"1.5"`'),
    ],
)
def test_a_name_that_is_not_quite_right_gets_the_right_one(tmp_path, written, code, help):
    images(tmp_path / "odd", ODD)
    text = f'dataset a = folder("odd", resize=8)\nsplit s of a {{ A = class {written}; B = rest }}\n'
    (finding,) = findings(tmp_path, text)
    assert (finding.code, finding.help) == (code, help)


# --- Unicode -------------------------------------------------------------------------------------


def test_names_compare_composed_whatever_the_disk_and_the_file_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored, typed = unicodedata.normalize("NFD", "café"), unicodedata.normalize("NFC", "café")
    assert stored != typed
    images(tmp_path / "places", {stored: 3, "zoo": 4})
    for name in (stored, typed):
        assert chosen(tmp_path, 'folder("places", resize=8)', f'"{name}"') == ((typed,), 3)
    text = HEAD + (
        'dataset a = folder("places", resize=8)\ntrain t = net on a using r\n'
        f'evaluate t {{ c = clean accuracy on val by class }}\nexpect "x": t.c[class="{stored}"] >= 0%\n'
    )
    (tmp_path / "x.sat").write_text(text.replace("epochs=4", "epochs=1"), "utf-8")
    spec = satdsl.load("x.sat")
    spec.run(progress=False)
    assert [dict(one.point)["class"] for one in spec.measured] == [typed, "zoo"]
    stored_names = [path.read_text("utf-8") for path in (tmp_path / ".satdsl").rglob("*.json")]
    assert any("caf" in one for one in stored_names)
    assert not any(stored in one or "e\\u0301" in one for one in stored_names if "classes" in one)


def test_two_folders_of_one_name_are_an_error(tmp_path):
    images(tmp_path / "places", [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")])
    if len(list((tmp_path / "places/train").iterdir())) == 1:
        pytest.skip("this disk has one name for both")
    found = analyse(Source(str(tmp_path / "x.sat"), 'sat 1\ndataset a = folder("places", resize=8)\n')).findings
    assert [one.severity for one in found if "café" in one.message] == ["error"]


# --- what is shown -------------------------------------------------------------------------------


def test_explain_names_the_classes_of_a_subset_when_they_are_few(tmp_path):
    images(tmp_path / "n", TO_TWELVE)
    text = HEAD + (
        'dataset c = CIFAR10()\ndataset n = folder("n", resize=8)\nsplit s of c { A = classes 3, dog; B = rest }\n'
        'split z of n { A = classes "2", "3"; B = rest }\ntrain t = net on s using r\ntrain u = net on z using r\n'
        "evaluate t { v = clean accuracy on val }\nevaluate u { v = clean accuracy on val }\n"
    )
    (tmp_path / "x.sat").write_text(text, "utf-8")
    shown = str(satdsl.load(tmp_path / "x.sat", store=tmp_path / "store").explain())
    assert "10,000, cat, dog  40,000, 8 classes" in shown
    assert "5, classes 2, 3" in shown


# --- names in files of weights -------------------------------------------------------------------


def given(weights: str) -> str:
    return (
        'dataset a = folder("pets", resize=8)\n'
        f'model m = checkpoint("{weights}", arch=small_cnn(width=4))\n'
        "train t = m on a using none\nevaluate t { c = clean accuracy on val }\n"
    )


@pytest.mark.parametrize(
    ("stored", "code"),
    [
        ({"classes": ["cat", "dog", "fox"]}, []),
        ({"class_names": ("Cat", "DOG", "fox")}, []),
        ({"class_to_idx": {"fox": 2, "dog": 1, "cat": 0}}, []),
        ({"classes": ["0", "1", "2"]}, []),
        ({"classes": 3, "labels": ["cat", "cat", "dog", "fox"]}, []),
        ({"epoch": 3}, []),
        ({"classes": ["dog", "cat", "fox"]}, ["E528"]),
        ({"class_to_idx": {"fox": 0, "dog": 1, "cat": 2}}, ["E528"]),
        ({"meta": {"CLASSES": ("dog", "cat", "fox")}}, ["E528"]),
        ({"hyper_parameters": {"id2label": {"0": "fox", "1": "dog", "2": "cat"}}}, ["E528"]),
        ({"idx_to_class": {0: "fox", 1: "cat", 2: "dog"}}, ["E528"]),
        ({"args": Namespace(class_names=["dog", "cat", "fox"])}, ["E528"]),
        ({"classes": ["cat", "dog", "owl"]}, ["E528"]),
    ],
)
@pytest.mark.parametrize("new_format", [True, False])
def test_the_names_that_a_file_of_weights_holds_are_compared(tmp_path, stored, code, new_format):
    import torch

    images(tmp_path / "pets", PETS)
    weights = build(CatalogCall("small_cnn", (("width", 4),)), (3, 8, 8), 3, (0.5,) * 3, (0.25,) * 3).body.state_dict()
    torch.save({"state_dict": weights, **stored}, tmp_path / "w.pth", _use_new_zipfile_serialization=new_format)
    found = findings(tmp_path, given("w.pth"))
    assert [one.code for one in found] == code
    if code:
        assert [one.severity for one in found] == ["warning" if "owl" in str(stored) else "error"]
        assert "in `w.pth` and `" in found[0].reason


def test_reading_the_names_runs_nothing_that_a_file_asks_for(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "touched",)

    place = tmp_path / "w.pth"
    for protocol in (2, 4):
        content = {"classes": ["dog", "cat", "fox"], "evil": Evil()}
        before = (LEGACY, 1001, {"little_endian": True})  # as torch wrote before version 1.6
        place.write_bytes(b"".join(pickle.dumps(one, protocol) for one in (*before, content, [])))
        assert stored_classes(str(place), f"digest {protocol}") == (("dog", "cat", "fox"),)
    assert not (tmp_path / "touched").exists()
    for damaged in (b"", b"PK\x03\x04", b"\x80\x02c", b"version https://git-lfs", bytes(100)):
        place.write_bytes(damaged)
        assert stored_classes(str(place), repr(damaged)) == ()


def test_an_export_says_its_classes_in_order_and_is_read_by_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / "pets", PETS)
    text = HEAD + 'dataset a = folder("pets", resize=8, class_order=[fox, cat, dog])\ntrain t = net on a using r\n'
    (tmp_path / "x.sat").write_text(text + "evaluate t { c = clean accuracy on val }\n", "utf-8")
    assert CliRunner().invoke(app, ["run", "x.sat"]).exit_code == 0
    done = CliRunner().invoke(app, ["export", "x.sat", "t", "--format", "safetensors", "-o", "out"])
    assert done.exit_code == 0, done.output
    assert "['fox', 'cat', 'dog']" in (tmp_path / "out/model.py").read_text("utf-8").replace("(", "[").replace(")", "]")
    assert "0: fox, 1: cat, 2: dog" in (tmp_path / "out/README.md").read_text("utf-8")
    text = given("out/model.safetensors").replace("width=4", "width=8")
    (finding,) = findings(tmp_path, text)
    assert finding.code == "E528"
    assert finding.reason.startswith("class 0 is `fox` in `model.safetensors` and `cat` in `a`")
    assert codes(tmp_path, text.replace("resize=8", "resize=8, class_order=[fox, cat, dog]")) == []
