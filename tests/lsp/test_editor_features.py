"""What the language server answers, asked over its standard input and output as an editor asks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from lsp_client import ROOT, Editor, Refused

from satdsl.check import check
from satdsl.diagnostics import SpecError
from satdsl.findings import Source
from satdsl.format import formatted
from satdsl.plan.expand import expand

URI = "file:///somewhere/spec.sat"
DIGITS = (ROOT / "examples" / "digits.sat").read_text("utf-8")
CIFAR = """sat 1
dataset c10 = CIFAR10(holdout=10%)
model net = preact_resnet18()
attack pgd7 = pgd(norm=L2, eps=0.5, step_size=0.1, steps=7)
recipe rice = sgd(epochs=200, batch=128, lr=0.1, schedule=step(at=[100, 150]))
train ref = net on c10 using rice { keep snapshots every epoch }
sweep {
  share = 10%..90% step 10%
  w     = [plain: 1, balanced: |B|/|A|]
}
split esat of c10 { A = hardest $share examples by snapshot-entropy of ref; B = rest; weight A = $w }
split third of c10 {
  A = hardest 30% examples by snapshot-entropy of ref
  B = rest
  weight A = 2*|B|/|A|
}
train sat = net on esat using rice { attack A with pgd7; select by robust accuracy under pgd7 }
train other = net on third using rice { attack A with pgd7; select by robust accuracy under pgd7 }
evaluate sat { robust = robust accuracy under pgd7 on val }
evaluate other { robust = robust accuracy under pgd7 on val }
plot "robust" = line(y=sat.robust, x=$share, series=$w, baselines=[other.robust])
expect "half is enough": sat.robust[share=50%, w=balanced] > 50%
label sat "hardest first"
label $share "share attacked"
label [w=balanced] "as many of each"
"""


def opened(editor: Editor, text: str, uri: str = URI) -> list[dict[str, object]]:
    editor.open(uri, text)
    return editor.diagnostics(uri)


def hover(editor: Editor, before: str, into: str = "") -> str:
    """The text beside a place: behind `before`, at the end of `into`."""
    text = editor.texts[URI]
    found = editor.at("hover", URI, text.index(before + into) + len(before))
    return found["contents"]["value"] if found else ""


def completions(editor: Editor, text: str, uri: str = URI) -> list[str]:
    """What is offered at the `¦` of a text."""
    offset = text.index("¦")
    editor.open(uri, text.replace("¦", ""))
    return [item["label"] for item in editor.at("completion", uri, offset)]


# --- diagnostics ---------------------------------------------------------------------------------


def test_a_fine_specification_has_no_diagnostics(editor):
    assert opened(editor, CIFAR) == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "compiler" / "bad").glob("*.sat")), ids=lambda path: path.stem
)
def test_diagnostics_are_the_findings_of_check(editor, path):
    text = path.read_text("utf-8")
    try:
        findings = check(str(path), text).warnings
    except SpecError as error:
        findings = error.findings
    here = [finding for finding in findings if finding.span.source.path == str(path)]
    found = opened(editor, text, path.as_uri())
    own = [one for one in found if " or in a file that it uses: " not in one["message"]]
    assert [(one["code"], one["severity"]) for one in own] == [
        (finding.code, {"error": 1, "warning": 2}[finding.severity]) for finding in here
    ]
    for one, finding in zip(own, here, strict=True):
        assert one["message"].startswith(finding.message)
        assert finding.reason in one["message"]
        assert finding.help in one["message"]
        assert editor.text_of(path.as_uri(), one["range"]) == finding.span.text
        assert len(one.get("relatedInformation") or ()) == len(finding.related)
        assert bool(one.get("tags")) == (finding.code in ("E707", "E708", "E709"))
        assert one["codeDescription"]["href"].endswith(f"/{one['code']}.md")


def test_a_related_place_is_where_it_says(editor):
    (found,) = opened(editor, "sat 1\nmodel m = small_cnn()\nmodel m = small_cnn(width=2)\n")
    (related,) = found["relatedInformation"]
    assert related["location"]["uri"] == URI
    assert related["location"]["range"]["start"]["line"] == 1
    assert "first declared" in related["message"]


def test_columns_count_utf_16_units(editor):
    text = 'sat 1\nplot "😀 Größe 😀" = lime(y=sat.x)\n'
    found = opened(editor, text)
    wrong = next(one for one in found if one["code"] == "E202")
    assert wrong["range"]["start"]["character"] == len('plot "😀 Größe 😀" = '.encode("utf-16-le")) // 2
    assert editor.text_of(URI, wrong["range"]) == "lime"
    start = text.index("lime")
    editor.change(URI, start, start + 4, "line")
    assert not [one for one in editor.diagnostics(URI) if one["code"] == "E202"]
    editor.change(URI, text.index("Größe"), text.index("Größe") + 5, "Maß 😀")
    assert editor.texts[URI].splitlines()[1] == 'plot "😀 Maß 😀 😀" = line(y=sat.x)'
    assert editor.at("hover", URI, editor.texts[URI].index("line") + 1)["contents"]["value"].startswith(
        "```\nline(y, x"
    )


@pytest.mark.parametrize(("encoding", "width"), [("utf-8", 4), ("utf-32", 1)])
def test_other_units_are_used_where_the_editor_asks_for_them(encoding, width):
    editor = Editor(encodings=[encoding, "utf-16"])
    assert editor.capabilities["positionEncoding"] == encoding
    editor.open(URI, '# é\nplot "😀" = lime()\n')
    wrong = next(one for one in editor.diagnostics(URI) if one["code"] == "E202")
    assert wrong["range"]["start"] == {"line": 1, "character": len('plot "" = ') + width}
    assert editor.stop() == b""


# --- completion ----------------------------------------------------------------------------------

RANDOM = "sat 1\ndataset d = CIFAR10(holdout=10%)\nmodel m = small_cnn()\nmodel wide = small_cnn(width=64)\n" + (
    "attack a = pgd(norm=L2, eps=0.5, step_size=0.1, steps=7)\nrecipe r = sgd(epochs=3)\nparam radius = 0.5\n"
    "train t = m on d using r { keep snapshots every epoch }\nevaluate t { clean = clean accuracy on val }\n"
    "split s of d { A = classes cat, dog; B = rest }\ntrain u = m on s using r { attack A with a }\n"
    "evaluate u { robust = robust accuracy under a on A_val, val }\n"
    "sweep { order = [hardest, easiest]; k = 1..3 }\n"
)


@pytest.mark.parametrize(
    ("typed", "there", "not_there"),
    [
        ("tr¦", ["train", "transfer"], ["t", "small_cnn"]),
        ("train x = ¦", ["m", "wide", "$order"], ["d", "r", "t", "train"]),
        ("train x = m on ¦", ["d", "s"], ["m", "t"]),
        ("train x = m ¦", ["on"], ["d", "using"]),
        ("train x = m on s using ¦", ["r"], ["m", "s"]),
        ("train x = m on s using r { ¦", ["attack", "keep", "loss", "seed", "select", "start"], ["head", "train"]),
        ("train x = m on s using r {\n  attack ¦\n}", ["A", "B", "all"], ["a", "C"]),
        ("train x = m on s using r {\n  attack A ¦\n}", ["with"], ["a"]),
        ("train x = m on s using r {\n  attack A with a\n  select by robust accuracy under ¦", ["a"], ["A", "r"]),
        ("train x = m on s using r { loss A = ¦", ["trades", "cross_entropy"], ["pgd"]),
        ("train x = m on s using r { loss A = trades(¦", ["beta="], ["A"]),
        ("train x = m on s using r { start from ¦", ["t", "u"], ["m"]),
        ("train x = m on s using r { keep ¦", ["snapshots", "weights"], ["epochs"]),
        ("train x = m on s using r { keep snapshots every ¦", ["epoch"], ["snapshots"]),
        ("train x = m on s using r { select by clean accuracy ¦", ["after", "at", "every"], ["a"]),
        ("split x of ¦", ["d"], ["s", "m"]),
        (
            "split x of d { A = ¦",
            ["hardest", "class", "all", "rest", "examples", "images of"],
            ["A", "weight", "share", "$k"],
        ),
        ("split x of d { A = class cat; B = A + ¦", ["A", "class", "hardest"], ["B"]),
        ("split x of d { A = class c¦", ["cat", "dog", "airplane"], ["A"]),
        ("split x of d { A = classes cat, ¦", ["dog", "truck"], ["A"]),
        ("split x of d { A = hardest ¦", ["$k"], ["m"]),
        ("split x of d { A = hardest 30% ¦", ["examples", "classes"], ["by"]),
        ("split x of d { A = hardest 30% examples ¦", ["by", "per", "of", "seed"], ["A"]),
        ("split x of d { A = hardest 30% examples by ¦", ["entropy", "snapshot-entropy", "scores"], ["t"]),
        ("split x of d { A = hardest 30% examples by snapshot-en¦", ["snapshot-entropy"], ["t"]),
        ("split x of d { A = hardest 30% examples by entropy of ¦", ["t", "u"], ["m", "s"]),
        ("split x of d { A = class cat; B = rest; ¦", ["weight", "share"], ["attack"]),
        ("split x of d { A = class cat; B = rest; share ¦", ["A", "B"], ["share"]),
        ("split x of d { A = class cat; B = rest; weight ¦", ["A", "B"], ["weight"]),
        ("split x of d { A = class cat; B = rest; weight A = 2*|¦", ["A", "B", "train"], ["cat"]),
        ("transfer x = ¦", ["t", "u"], ["m"]),
        ("transfer x = t to d using r { head = ¦", ["mlp", "linear"], ["t"]),
        ("evaluate ¦", ["t", "u"], ["m", "s"]),
        ("label ¦", ["t", "u", "$k"], ["m", "s"]),
        ("evaluate u { x = ¦", ["clean", "robust", "mean"], ["a"]),
        ("evaluate u { x = clean accuracy on ¦", ["val", "train", "A_val", "B_train", "d.val"], ["a"]),
        ("evaluate t { x = clean accuracy on val ¦", ["by class"], ["val"]),
        ("evaluate t { x = mean ¦", ["entropy"], ["t"]),
        ("dataset x = ¦", ["CIFAR10", "digits", "folder"], ["pgd"]),
        ("dataset x = CIFAR10(holdout=10%, ¦", ["augment=", "limit="], ["holdout="]),
        ("dataset x = CIFAR10(augment=[flip, ¦", ["crop", "rotation"], ["augment="]),
        ("dataset x = CIFAR10(augment=[crop(¦", ["padding="], ["augment="]),
        ("attack x = ¦", ["pgd", "autoattack", "none"], ["a"]),
        ("attack x = pgd(¦", ["norm=", "eps="], ["beta="]),
        ("attack x = pgd(norm=¦", ["Linf", "L2", "L1"], ["eps="]),
        ("attack x = pgd(norm=L2, eps=¦", ["$radius"], ["norm=", "L2"]),
        ("attack x = pgd(norm=L2, eps=$radius, ¦", ["steps=", "step_size="], ["norm=", "eps="]),
        ("recipe x = sgd(epochs=3, schedule=¦", ["step", "cosine"], ["epochs="]),
        ("attack x = PGD(epsilon=0.5, ¦", ["norm=", "step_size="], ["eps="]),
        ("recipe x = SGD(epochs=3, scheduler=¦", ["step", "cosine"], ["epochs="]),
        ("recipe x = sgd(epochs=3, schedule=step(¦", ["at=", "factor="], ["epochs="]),
        ("recipe x = sgd(epochs=3, nesterov=¦", ["true", "false"], ["$order="]),
        ('plot "x" = ¦', ["line", "bars", "heatmap"], ["rows"]),
        ('plot "x" = line(y=¦', ["t.clean", "u.robust"], ["y="]),
        ('plot "x" = line(y=u.¦', ["robust"], ["clean", "u.robust"]),
        ('plot "x" = line(y=[t.clean, u.¦', ["robust"], ["clean"]),
        ('plot "x" = line(y=u.robust, x=¦', ["$order", "$k", "part"], ["u.robust"]),
        ('expect "x": ¦', ["u.robust", "mean", "for"], ["m"]),
        ('expect "x": for all ¦', ["order", "k"], ["$order"]),
        ('expect "x": for all order in ¦', ["hardest", "easiest"], ["u.robust"]),
        ('expect "x": for all order in [hardest, ¦', ["easiest"], ["order", "k", "u.robust"]),
        ('expect "x": for all order in [hardest], ¦', ["k"], ["easiest"]),
        ("published for all k in [1, ¦", ["2", "3"], ["order", "t.clean"]),
        ('expect "x": for all order in [hardest]: ¦', ["u.robust", "max"], ["order", "easiest"]),
        ('expect "x": u.robust[¦', ["part"], ["k"]),
        ('expect "x": u.robust[part=¦', ["A_val", "val"], ["B_val"]),
        ("sweep { x = 1 if $order == ¦", ["hardest", "easiest"], ["random"]),
        ("sweep { x = classes of ¦", ["d"], ["s"]),
        ('title "tr¦', [], ["train"]),
        ("# tr¦", [], ["train"]),
    ],
)
def test_what_is_offered_is_what_can_stand_there(editor, typed, there, not_there):
    found = completions(editor, RANDOM + typed)
    assert [word for word in there if word not in found] == []
    assert [word for word in not_there if word in found] == []


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("attack x = pgd(¦", ["norm=", "eps=", "steps="]),
        ("dataset x = CIFAR10(¦", ["augment=", "holdout="]),
        ("attack x = pgd(norm=¦", ["Linf", "L2", "L1"]),
        ('plot "x" = line(¦', ["t.clean", "u.robust", "y="]),
        ("train x = m on s using r { keep snapshots every ¦", ["epoch", "$radius"]),
    ],
)
def test_what_is_mostly_written_there_is_offered_first(editor, typed, first):
    assert completions(editor, RANDOM + typed)[: len(first)] == first


def test_labels_of_an_axis_are_offered_in_brackets(editor):
    assert completions(editor, f'{CIFAR}expect "x": sat.robust[w=¦') == ["plain", "balanced"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("train x = net on c10 using rice { start from ref[¦", ["epoch"]),
        ("train x = net on c10 using rice { start from sat[¦", ["epoch", "share", "w"]),
        ("evaluate ref { x = robust accuracy under pgd7 made on ¦", ["other", "sat"]),
        ("evaluate ref { x = robust accuracy under ¦", ["pgd7"]),
        ("evaluate ref ¦", ["at", "every"]),
        ("split x of c10 { A = hardest 3% examples by loss of ref under ¦", ["pgd7"]),
    ],
)
def test_epochs_and_other_networks_are_offered(editor, typed, offered):
    assert set(offered) <= set(completions(editor, CIFAR + typed))


def test_completion_goes_on_before_what_cannot_be_read(editor):
    assert "m" in completions(editor, RANDOM + "train x = ¦\nsplit what is this\nplot plot plot\n")


def test_a_completion_replaces_what_was_typed_and_tells_about_itself(editor):
    text = RANDOM + "attack x = pgd(norm=L2, e¦, steps=3)"
    offset = text.index("¦")
    editor.open(URI, text.replace("¦", ""))
    eps = next(item for item in editor.at("completion", URI, offset) if item["label"] == "eps=")
    assert editor.text_of(URI, eps["textEdit"]["range"]) == "e"
    assert eps["detail"] == "number, above 0 (image scale [0, 1]); required"
    assert "Radius" in eps["documentation"]["value"]


def test_a_call_is_completed_with_its_brackets_where_the_editor_can_do_that():
    editor = Editor(snippets=True)
    editor.open(URI, "attack a = ")
    pgd = next(item for item in editor.at("completion", URI, 11) if item["label"] == "pgd")
    assert (pgd["textEdit"]["newText"], pgd["insertTextFormat"]) == ("pgd($0)", 2)
    assert editor.stop() == b""


def test_files_are_offered_in_quotes(editor, tmp_path):
    for name in ("common.sat", "other.sat", "scores.npy", "readme.md"):
        (tmp_path / name).write_text("sat 1\n")
    (tmp_path / "parts").mkdir()
    uri = (tmp_path / "main.sat").as_uri()
    assert completions(editor, 'use "¦', uri) == ["common.sat", "other.sat", "parts"]
    assert completions(editor, 'split s of d { A = examples listed in "¦', uri) == ["parts", "scores.npy"]


# --- hover ---------------------------------------------------------------------------------------


def test_hover_has_the_values_that_the_compiler_settled(editor):
    opened(editor, CIFAR)
    assert "`|A|` = 15,000" in hover(editor, "weight A = 2*|B|/|", "A|\n")
    assert "loss weight of `A` = 4.667" in hover(editor, "weight A = 2", "*")
    assert "step_size = 0.1" in hover(editor, "attack ", "pgd7 =")
    assert "random_start = none (default)" in hover(editor, "attack ", "pgd7 =")
    assert "9 values\n\n10%, 20%" in hover(editor, "  sh", "are = 10%")
    assert "10 classes: airplane" in hover(editor, "dataset ", "c10")
    assert "50,000 for training, 9,000 for reporting, 1,000 for selection" in hover(editor, "dataset ", "c10")
    assert "**B**: 35,000 examples, weight 1" in hover(editor, "split ", "third")
    assert "5,000 to 45,000 examples" in hover(editor, "split ", "esat")
    assert "18 values, over `share`, `w`" in hover(editor, "y=sat.", "robust")
    assert "stands for `|B|/|A|`" in hover(editor, "w=", "balanced")
    assert 'called "as many of each" in tables and figures' in hover(editor, "w=", "balanced]")
    assert 'called "hardest first" in tables' in hover(editor, "line(y=", "sat.")
    assert "Norm that bounds" in hover(editor, "pgd(", "norm")
    assert "Projected gradient ascent" in hover(editor, "= ", "pgd(")
    assert "Mean of entropy" in hover(editor, "by ", "snapshot-entropy")
    assert "train sat = resnet" in hover(editor, "", "train ref")
    assert hover(editor, "sat", " 1\n") == "`sat 1`"


def test_hover_on_a_subset_names_its_classes(editor):
    opened(editor, RANDOM)
    assert "classes: cat, dog\n" in hover(editor, "split s of d { ", "A")
    assert "classes: airplane, automobile, bird, deer" in hover(editor, "cat, dog; ", "B")


def test_hover_on_a_part_tells_which_images_it_has(editor):
    text = RANDOM + "dataset e = SVHN()\nevaluate t { far = clean accuracy on e.val }\n"
    opened(editor, text)
    assert (
        hover(editor, "evaluate t { clean = clean accuracy on ", "v")
        == "part **val**: validation images, 9,000 of them"
    )
    assert hover(editor, "clean accuracy on e.", "v") == "part **val**: validation images, 26,032 of them"
    of_subset = hover(editor, "robust accuracy under a on A_", "v")
    assert of_subset.startswith("part **A_val**: validation images of its classes")
    assert "`|A|` = 10,000" in of_subset


def test_hover_on_a_training_has_its_cost(editor):
    opened(editor, CIFAR)
    text = hover(editor, "train ", "other")
    assert "200 epochs" in text
    assert "attacked with: pgd" in text
    plan = expand(check("spec.sat", CIFAR))
    ((_, key),) = plan.named["other"]
    assert f"costs {plan.passes[key].cost / 1e6:.3g} M image passes" in text
    assert "18 points, over `$share`, `$w`" in hover(editor, "train ", "sat")


def test_sizes_stay_while_another_statement_is_being_typed(editor):
    opened(editor, CIFAR)
    editor.change(URI, CIFAR.index("train sat"), CIFAR.index("train sat"), "attack x = pgd(norm=\n")
    assert editor.diagnostics(URI) != []
    assert "`|A|` = 15,000" in hover(editor, "weight A = 2*|B|/|", "A|\n")
    place = editor.texts[URI].index("keep snapshots")
    editor.change(URI, place, place + 4, "kep")  # what the split depends on is broken now
    assert "`|A|` = 15,000" in hover(editor, "weight A = 2*|B|/|", "A|\n")
    labels = [hint["label"] for hint in editor.of("inlayHint", URI, range=editor.whole(URI))]
    assert "= 4.667" in labels


# --- places --------------------------------------------------------------------------------------


def places(editor, found, uri=URI):
    return [editor.text_of(uri, one["range"]) for one in found]


@pytest.mark.parametrize(
    ("before", "name", "declared"),
    [
        ("train sat = ", "net", "model net"),
        ("on ", "esat", "split esat"),
        ("attack A with ", "pgd7", "attack pgd7"),
        ("attack ", "A with", "  A ="),
        ("|B|/|", "A|\n}", "  A ="),
        ("y=sat.", "robust", "{ robust"),
        ("x=$", "share", "  share"),
        ("w=", "balanced]", "plain: 1, balanced"),
        ("entropy of ", "ref; B", "train ref"),
        ("label ", "sat", "train sat"),
        ("label $", "share", "  share"),
    ],
)
def test_a_name_leads_to_where_it_is_declared(editor, before, name, declared):
    opened(editor, CIFAR)
    (found,) = editor.at("definition", URI, CIFAR.index(before + name) + len(before))
    line = CIFAR.splitlines()[found["range"]["start"]["line"]]
    assert declared in line[: found["range"]["end"]["character"]] or declared.strip() in line
    assert editor.text_of(URI, found["range"]) == declared.split()[-1].removesuffix(" =") or "=" in declared


def test_references_are_all_of_them_and_no_others(editor):
    opened(editor, CIFAR)
    at = CIFAR.index("pgd7")
    found = editor.at("references", URI, at, context={"includeDeclaration": True})
    assert places(editor, found) == ["pgd7"] * CIFAR.count("pgd7")
    found = editor.at("references", URI, CIFAR.index("third of"), context={"includeDeclaration": False})
    assert [one["range"]["start"]["line"] for one in found] == [CIFAR[: CIFAR.index("on third")].count("\n")]
    marks = editor.at("documentHighlight", URI, at)
    assert len(marks) == CIFAR.count("pgd7")


def test_a_subset_of_one_split_is_not_that_of_another(editor):
    opened(editor, CIFAR)
    found = editor.at("references", URI, CIFAR.index("|A|\n}") + 1, context={"includeDeclaration": True})
    lines = {CIFAR.splitlines()[one["range"]["start"]["line"]].split()[0] for one in found}
    assert lines == {"A", "weight", "train"}
    assert len(found) == 4


def renamed(editor, before, name, new, uri=URI):
    text = editor.texts[uri]
    edit = editor.at("rename", uri, text.index(before + name) + len(before), newName=new)
    for changed, edits in edit["changes"].items():
        for one in sorted(edits, key=lambda e: editor.offset(changed, e["range"]["start"]), reverse=True):
            place = editor.offset(changed, one["range"]["start"]), editor.offset(changed, one["range"]["end"])
            editor.change(changed, *place, one["newText"])
    return editor.texts[uri]


@pytest.mark.parametrize(
    ("before", "name", "new"),
    [
        ("model ", "net", "resnet"),
        ("train ", "sat", "half"),
        ("split ", "third", "thirty"),
        ("attack ", "pgd7", "inner"),
        ("  ", "share", "part_of"),
        ("sat.", "robust", "accuracy"),
        ("w=", "balanced", "even"),
        ("recipe ", "rice", "random"),
        ("dataset ", "c10", "sat_10"),
    ],
)
def test_renaming_keeps_what_the_file_means(editor, before, name, new):
    assert opened(editor, CIFAR) == []
    text = renamed(editor, before, name, new)
    assert editor.diagnostics(URI) == []
    assert text != CIFAR
    one, other = (check("spec.sat", each) for each in (CIFAR, text))
    assert len(one.measured) == len(other.measured)
    assert text.count(new) >= 2


def test_a_subset_is_renamed_in_its_parts_too(editor):
    text = RANDOM + 'expect "x": u.robust[part=A_val] > 1%\nexpect "y": u.robust[part=val] > 1%\n'
    opened(editor, text)
    text = renamed(editor, "split s of d { ", "A", "cats")
    assert "attack cats with a" in text
    assert "on cats_val, val" in text
    assert "[part=cats_val]" in text
    assert not [one for one in editor.diagnostics(URI) if one["severity"] == 1]


SEVERAL = RANDOM.replace(
    "evaluate t { clean = clean accuracy on val }",
    "train v = m on s using r\nevaluate t, v { clean = clean accuracy on val, train }",
)


def test_results_of_several_networks_are_renamed_together_and_each_is_found(editor):
    text = SEVERAL + 'expect "x": t.clean[part=val] > 1%\nexpect "y": v.clean[part=val] > 1%\n'
    opened(editor, text)
    for name in ("t", "v"):
        (found,) = editor.at("definition", URI, text.index(f": {name}.clean") + len(": t.c"))
        assert found["range"]["start"]["line"] == text[: text.index("evaluate t, v")].count("\n")
        assert f"result **{name}.clean**: clean accuracy on val" in hover(editor, f": {name}.", "clean")
    text = renamed(editor, ": v.", "clean", "plain")
    assert "{ plain = clean accuracy" in text
    assert "t.plain[part" in text
    assert "v.plain[part" in text
    assert not [one for one in editor.diagnostics(URI) if one["severity"] == 1]


def test_what_several_networks_can_be_measured_on_is_what_each_of_them_has(editor):
    for names, subsets in (("u, v", True), ("t, v", False)):
        offered = completions(editor, f"{SEVERAL}evaluate {names} {{ x = clean accuracy on ¦")
        assert ("A_val" in offered) == subsets
        assert "val" in offered
    assert "v" in completions(editor, f"{SEVERAL}evaluate u, ¦")


def test_a_model_that_an_axis_names_is_renamed_there_too(editor):
    text = RANDOM.replace("k = 1..3", "net = [m, wide]") + (
        "train x = $net on d using r\nevaluate x { clean = clean accuracy on val }\n"
        'expect "x": x.clean[net=wide] > 1%\n'
    )
    opened(editor, text)
    text = renamed(editor, "model ", "wide", "broad")
    assert "[m, broad]" in text
    assert "[net=broad]" in text
    assert not [one for one in editor.diagnostics(URI) if one["severity"] == 1]


@pytest.mark.parametrize(
    ("before", "name", "new", "why"),
    [
        ("model ", "net", "c10", "taken: it is defined in line 2"),
        ("model ", "net", "train", "begins a statement"),
        ("model ", "net", "a b", "no name"),
        ("model ", "net", "", "no name"),
        ("model ", "net", "3d", "no name"),
        ("  ", "share", "w", "taken"),
        ("weight ", "A = 2", "rest", "already has a meaning in every split"),
        ("weight ", "A = 2", "B", "taken"),
        ("weight ", "A = $w", "C", "also stands for `A` of `third`"),
        ("norm=", "L2", "x", "only what a file defines"),
    ],
)
def test_a_rename_that_would_change_the_meaning_is_refused_with_a_reason(editor, before, name, new, why):
    text = CIFAR.replace("weight A = 2*|B|/|A|", "weight A = 2*$w") if "$w" in name else CIFAR
    opened(editor, text)
    with pytest.raises(Refused, match=why.replace("$", r"\$")):
        renamed(editor, before, name, new)


def test_what_can_be_renamed_is_said_before(editor):
    opened(editor, CIFAR)
    found = editor.at("prepareRename", URI, CIFAR.index("$share") + 2)
    assert found["placeholder"] == "share"
    with pytest.raises(Refused, match="only what a file defines"):
        editor.at("prepareRename", URI, CIFAR.index("CIFAR10") + 2)


# --- a whole file --------------------------------------------------------------------------------


def test_the_outline_has_every_declaration(editor):
    opened(editor, CIFAR)
    found = editor.of("documentSymbol", URI)
    assert [one["name"] for one in found][:6] == ["c10", "net", "pgd7", "rice", "ref", "sweep"]
    split = next(one for one in found if one["name"] == "third")
    assert [one["name"] for one in split["children"]] == ["A", "B"]
    for one in found:
        assert one["range"]["start"]["line"] <= one["selectionRange"]["start"]["line"]


def test_blocks_and_comments_fold(editor):
    text = "# one\n# two\n" + CIFAR
    opened(editor, text)
    folds = [(one["startLine"], one["endLine"], one["kind"]) for one in editor.of("foldingRange", URI)]
    lines = text.splitlines()
    assert (0, 1, "comment") in folds
    for start in ("sweep {", "split third"):
        first = next(i for i, line in enumerate(lines) if line.startswith(start))
        assert (first, lines.index("}", first), "region") in folds


def test_colours_follow_what_names_stand_for(editor):
    text = 'sat 1\n# 😀 note\nmodel all = small_cnn(width=8)\nplot "😀" = line(y=all.x, x=$k) # end\n'
    opened(editor, text)
    legend = editor.capabilities["semanticTokensProvider"]["legend"]["tokenTypes"]
    data = editor.of("semanticTokens/full", URI)["data"]
    found, line, column = [], 0, 0
    for i in range(0, len(data), 5):
        line, column = line + data[i], data[i + 1] + (0 if data[i] else column)
        place = {"start": {"line": line, "character": column}, "end": {"line": line, "character": column + data[i + 2]}}
        found.append((editor.text_of(URI, place), legend[data[i + 3]], data[i + 4]))
    assert found == [
        ("sat", "keyword", 0),
        ("1", "number", 0),
        ("# 😀 note", "comment", 0),
        ("model", "keyword", 0),
        ("all", "variable", 1),
        ("=", "operator", 0),
        ("small_cnn", "function", 0),
        ("width", "property", 0),
        ("=", "operator", 0),
        ("8", "number", 0),
        ("plot", "keyword", 0),
        ('"😀"', "string", 0),
        ("=", "operator", 0),
        ("line", "function", 0),
        ("y", "property", 0),
        ("=", "operator", 0),
        ("all", "variable", 0),
        ("x", "property", 0),
        ("x", "property", 0),
        ("=", "operator", 0),
        ("$k", "parameter", 0),
        ("# end", "comment", 0),
    ]


def test_sizes_weights_and_numbers_of_points_stand_beside_the_lines(editor):
    opened(editor, CIFAR)
    lines = CIFAR.splitlines()
    found = {}
    for hint in editor.of("inlayHint", URI, range=editor.whole(URI)):
        found.setdefault(lines[hint["position"]["line"]].strip(), []).append(hint["label"])
    assert found["sweep {"] == ["18 points"]
    assert found["share = 10%..90% step 10%"] == ["9 values"]
    assert found["A = hardest 30% examples by snapshot-entropy of ref"] == ["15,000 examples"]
    assert found["weight A = 2*|B|/|A|"] == ["= 4.667"]
    assert "5,000 to 45,000 examples" in found[next(line for line in lines if line.startswith("split esat"))]
    assert found[next(line for line in lines if line.startswith("train sat"))] == ["18 points"]


def test_shares_of_joined_data_sets_are_known_to_the_editor(editor):
    text = (
        "sat 1\nparam part = 30%\ndataset few = digits(limit=200)\n"
        "dataset more = synthetic(classes=10, shape=[1, 8, 8], train=600)\ndataset both = few + more\n"
        "split s of both { A = images of few; B = rest; share A = $part }\n"
    )
    assert opened(editor, text) == []
    assert "30 % of each batch is of `A`" in hover(editor, "share A ", "= ")
    assert "**B**: 600 examples, weight 1, 70 % of each batch" in hover(editor, "split ", "s of")
    labels = [hint["label"] for hint in editor.of("inlayHint", URI, range=editor.whole(URI))]
    assert labels == ["200 examples", "600 examples", "= 30 %"]
    offered = completions(editor, text.replace("images of few", "images of ¦"))
    assert {"few", "more"} <= set(offered)
    assert not {"both", "A", "s"} & set(offered)


def test_signature_help_shows_the_argument_that_is_being_written(editor):
    opened(editor, "sat 1\nattack a = pgd(norm=L2, eps=")
    found = editor.at("signatureHelp", URI, len(editor.texts[URI]))
    (signature,) = found["signatures"]
    assert signature["label"].startswith("pgd(norm, eps, steps, step_size, ")
    assert signature["parameters"][found["activeParameter"]]["label"] == "eps"


def test_formatting_is_that_of_fmt(editor):
    text = CIFAR.replace("  share =", "      share  =")
    opened(editor, text)
    changes = editor.of("formatting", URI, options={"tabSize": 2, "insertSpaces": True})
    assert sum(one["newText"].count("\n") for one in changes) < text.count("\n")  # not the whole file
    for one in reversed(changes):
        editor.change(URI, *(editor.offset(URI, one["range"][end]) for end in ("start", "end")), one["newText"])
    assert editor.texts[URI] == formatted(Source("spec.sat", text))
    assert editor.of("formatting", URI, options={"tabSize": 2, "insertSpaces": True}) == []
    editor.write(URI, "trian x = (")
    assert editor.of("formatting", URI, options={"tabSize": 2, "insertSpaces": True}) is None


# --- starting and failing ------------------------------------------------------------------------

FAILING = """
from satdsl.lsp import diagnostics, hover
def broken(*anything):
    raise RuntimeError("a mistake in satdsl")
hover.hover = diagnostics.diagnostics = broken
from satdsl.lsp.server import serve
serve()
"""


def test_a_mistake_in_satdsl_is_logged_and_the_server_lives_on():
    editor = Editor(command=("-c", FAILING))
    editor.open(URI, CIFAR)
    assert editor.diagnostics(URI) == []
    assert editor.at("hover", URI, 3) is None
    assert len(editor.of("documentSymbol", URI)) > 5
    assert [line.partition(" failed")[0] for line in editor.log] == [f"checking {URI}", "textDocument/hover"]
    assert all("RuntimeError: a mistake in satdsl" in line for line in editor.log)
    assert editor.stop() == b""


def test_without_pygls_the_command_says_how_to_install_it():
    program = (
        "import sys; sys.modules['pygls'] = None; from satdsl.cli import main; sys.argv = ['satdsl', 'lsp']; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "pip install 'satdsl[lsp]'" in done.stderr


def test_the_server_never_imports_torch_and_opens_no_socket():
    program = (
        "import socket, sys\n"
        "def refuse(*anything, **more): raise AssertionError('a socket')\n"
        "socket.socket.bind = socket.socket.listen = refuse\n"
        "import satdsl.lsp.server as s\n"
        "d = s.server.open.open('file:///a.sat', sys.stdin.read()); s.server.open.snapshot(d).symbols\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input=CIFAR, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_request_that_cannot_be_read_is_refused_and_nothing_waits():
    editor = Editor()
    with pytest.raises(Refused):
        editor.request("textDocument/hover", {"textDocument": {"uri": URI}})
    editor.open(URI, "sat 1\n")
    assert editor.diagnostics(URI) == []
    editor.request("shutdown", None)
    with pytest.raises(Refused, match="the server has been shut down"):
        editor.of("documentSymbol", URI)
    editor.notify("exit", None)
    assert editor.process.wait(60) == 0


def test_quick_fixes_are_given_only_where_the_editor_asks_for_such(editor):
    opened(editor, "sat 1\nmodel m = smal_cnn()\n")
    given = {
        kind: editor.of("codeAction", URI, range=editor.whole(URI), context={"diagnostics": [], "only": [kind]})
        for kind in ("quickfix", "", "source.fixAll", "refactor")
    }
    assert {kind: len(actions) for kind, actions in given.items()} == {
        "quickfix": 1,
        "": 1,
        "source.fixAll": 0,
        "refactor": 0,
    }


def test_a_request_about_a_file_that_is_not_open_is_answered_with_nothing(editor):
    elsewhere = "file:///somewhere/else.sat"
    editor.texts[elsewhere] = ""
    assert not editor.at("hover", elsewhere, 0)
    assert not editor.at("completion", elsewhere, 0)
    assert not editor.of("documentSymbol", elsewhere)
    assert json.dumps(editor.of("semanticTokens/full", elsewhere)) == '{"data": []}'


# --- warnings that the file accepts ---

WEAK = "sat 1\nmodel m = small_cnn()\nattack w = pgd(norm=L2, eps=0.5, step_size=0.01, steps=7)\n"


def test_a_warning_can_be_accepted_by_a_quick_fix_that_leaves_a_place_for_the_reason(editor):
    opened(editor, WEAK)
    (action,) = editor.of("codeAction", URI, range=editor.whole(URI), context={"diagnostics": []})
    assert action["title"] == "accept E602 here, for a reason"
    ((change,),) = action["edit"]["changes"].values()
    assert change["newText"] == "# sat: allow E602 because ...\n"
    assert change["range"]["start"] == change["range"]["end"] == {"line": 2, "character": 0}


def test_an_accepted_warning_is_a_hint_and_its_comment_says_what_it_accepts(editor):
    text = WEAK.replace("attack", "# sat: allow E602 because it is weak on purpose\nattack")
    (one,) = opened(editor, text)
    assert (one["code"], one["severity"]) == ("E602", 4)
    assert one["message"].splitlines()[1] == "accepted: it is weak on purpose"
    assert editor.of("codeAction", URI, range=editor.whole(URI), context={"diagnostics": []}) == []
    shown = hover(editor, "# sat: al")
    assert shown.startswith("accepts, because it is weak on purpose\n")
    assert "E602, line 4: 7 steps of 0.01 reach 0.07" in shown
    place = text.index("step_size=0.01") + len("step_size=0.01")
    editor.change(URI, place - 4, place, "0.1")
    assert [one["code"] for one in editor.diagnostics(URI)] == ["E109"]
    assert "accepts nothing" in hover(editor, "# sat: al")
