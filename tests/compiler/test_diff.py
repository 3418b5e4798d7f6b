"""What `satdsl diff` says of two specifications: every change once, and the steps that it makes new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from satdsl.cli import app
from satdsl.compile import compile_file
from satdsl.engine.local_store import LocalStore

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
DIGITS = (ROOT / "examples/digits.sat").read_text("utf-8")

CHANGES = [
    ('title "Subset adversarial training on handwritten digits"', 'title "A variant"'),
    ("lr=0.05", "lr=0.1"),
    ("steps=7)", "steps=10)"),
    ("digits(holdout=20%)", "digits(holdout=20%, limit=1000)"),
    ("order = [hardest, easiest, random]", "order = [hardest, easiest]"),
    ("$order 30% examples by snapshot-entropy of ref seed = 0", "$order 40% examples by snapshot-loss of ref"),
    ("  B = rest\n}\ntrain sat ", "  B = rest\n  weight A = 2*|B|/|A|\n}\ntrain sat "),
    ("hardest 5 classes by", "hardest 4 classes by"),
    ("0.5*(full", "0.6*(full"),
    ("evaluate full { clean", "evaluate full { clear"),
    ("full.clean", "full.clear"),
    (", baselines=[full.robust, ref.robust]", ", baselines=[full.robust]"),
    (
        'plot "Difficulty of the digits"           = bars(y=ref.entropy, x=class)\n',
        'table "Difficulty" = rows(ref.entropy)\n',
    ),
]
ADDED = """
train other = cnn on digits10 using short { seed = 1 }
evaluate other { clean = clean accuracy on val; robust = robust accuracy under quick on val }
expect "a second seed does as well": other.clean > 50%
"""


@pytest.fixture(autouse=True)
def somewhere_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("SATDSL_STORE", raising=False)
    changed = DIGITS
    for before, after in CHANGES:
        assert before in changed, before
        changed = changed.replace(before, after)
    Path("before.sat").write_text(DIGITS, "utf-8")
    Path("after.sat").write_text(changed + ADDED, "utf-8")


def diff(*args: str) -> str:
    result = CliRunner().invoke(app, ["diff", *args])
    assert result.exit_code == 0, result.output
    return "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines())


def document(*args: str) -> Any:
    return json.loads(diff(*args, "--format", "json"))


def variant(before: str, after: str, name: str = "variant.sat", text: str = DIGITS) -> str:
    assert before in text
    Path(name).write_text(text.replace(before, after), "utf-8")
    return name


def settings(section: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(change["setting"], change["from"], change["to"]) for change in section["changed"]]


def test_the_page_of_many_changes(golden: Any) -> None:
    page = diff("before.sat", "after.sat")
    assert max(map(len, page.splitlines())) <= 80
    golden(HERE / "golden/diff.txt", page)


def test_the_page_of_two_experiments_that_share_their_references(golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = diff("tests/compiler/diff/classes.sat", "tests/compiler/diff/examples.sat")
    assert max(map(len, page.splitlines())) <= 80
    golden(HERE / "golden/diff-sweep.txt", page)


def test_a_file_and_itself_are_the_same_plan() -> None:
    assert diff("before.sat", "before.sat") == (
        "before.sat -> before.sat\nthe same plan\nto run for before.sat: 23 of 23 steps, 7.93 M image passes\n"
    )
    assert document("before.sat", "before.sat")["same"] is True


def test_what_does_not_change_a_plan_is_no_change() -> None:
    lines = DIGITS.splitlines(keepends=True)
    moved = "".join([*lines[:4], "# A remark.\n\n", lines[5].replace("cnn", "cnn  "), lines[4], *lines[6:]])
    Path("moved.sat").write_text(moved, "utf-8")
    assert document("before.sat", "moved.sat")["same"] is True


def test_a_renamed_training_is_added_and_removed_but_its_steps_are_shared() -> None:
    found = document("before.sat", variant("class_sat", "renamed"))
    assert found["same"] is False
    assert [entry["name"] for entry in found["trainings"]["added"]] == ["renamed"]
    assert [entry["name"] for entry in found["trainings"]["removed"]] == ["class_sat"]
    assert (found["steps"]["only_in_first"], found["steps"]["only_in_second"]) == ([], [])


def test_a_change_that_all_runs_have_in_common_is_said_once() -> None:
    found = document("before.sat", variant("lr=0.05", "lr=0.1"))
    (change,) = found["trainings"]["changed"]
    assert (change["setting"], change["from"], change["to"]) == ("recipe lr", "0.05", "0.1")
    assert [(one["name"], len(one["points"]), one["of"]) for one in change["at"]] == [
        ("ref", 1, 1),
        ("full", 1, 1),
        ("sat", 3, 3),
        ("class_sat", 1, 1),
    ]
    assert "results" in found
    assert "changed" not in found["results"]


def test_a_change_at_some_points_names_them() -> None:
    file = variant("evaluate full", "param more = 0\nevaluate full")
    by_axis = variant("seed = 0", "seed = 1", "seeds.sat")
    found = document(file, by_axis)
    (change,) = found["splits"]["changed"]
    assert change["at"] == [{"name": "esat", "at": {"order": ["random"]}, "points": [{"order": "random"}], "of": 3}]
    assert (change["from"], change["to"]) == ("random 431 examples seed = 0", "random 431 examples seed = 1")


MEASURED = """sat 1
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=40, holdout=25%)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
recipe r = sgd(epochs=4, batch=32)
train ref = m on d using r { select by clean accuracy every epoch }
split s of d { A = hardest 20% examples by loss of ref[epoch=2] under p; B = rest }
train sat = m on s using r { attack A with p }
evaluate ref at end { robust = robust accuracy under p on val }
evaluate sat { moved = robust accuracy under p made on ref on val }
"""


@pytest.mark.parametrize(
    ("before", "after", "section", "expected"),
    [
        (
            "hardest 20%",
            "hardest 25%",
            "splits",
            (
                "A",
                "hardest 13 examples by loss of ref[epoch=2] under pgd",
                "hardest 16 examples by loss of ref[epoch=2] under pgd",
            ),
        ),
        ("ref at end", "ref", "results", ("weights after epoch", "4", "none")),
        ("made on ref", "made on ref[epoch=3]", "results", ("made on", "ref", "ref[epoch=3]")),
    ],
)
def test_epochs_and_other_networks_are_told_as_they_are_written(
    before: str, after: str, section: str, expected: tuple[str, str, str]
) -> None:
    Path("old.sat").write_text(MEASURED, "utf-8")
    found = document("old.sat", variant(before, after, text=MEASURED))
    assert expected in settings(found[section])


def test_what_is_made_again_says_from_what() -> None:
    found = document("before.sat", variant("holdout=20%)", "holdout=20%, limit=1000)"))
    assert settings(found["data_sets"]) == [("limit", "none", "1000")]
    remade = {tuple(one["because"]): [at["name"] for at in one["at"]] for one in found["trainings"]["remade"]}
    assert remade["data digits10",] == ["ref", "full"]
    assert remade["data digits10", "split esat"] == ["sat"]
    assert "changed" not in found["trainings"]


@pytest.mark.parametrize(
    ("before", "after", "section", "expected"),
    [
        ("small_cnn(width=16)", "preact_resnet18(width=8)", "trainings", ("model",)),
        ("select by robust accuracy under quick }\n\nsweep", "}\n\nsweep", "trainings", ("select",)),
        ("step(at=[10, 13], factor=0.1)", "step(at=[10], factor=0.1)", "trainings", ("recipe schedule at",)),
        ("keep snapshots every epoch", "keep snapshots every 5 epochs", "trainings", ("snapshots",)),
        ("aa    = autoattack(norm=L2, eps=$eps)", "aa = fgsm(norm=L2, eps=$eps)", "results", ("under",)),
        ("robust accuracy under aa on A_val, B_val, val", "robust accuracy under aa on B_val, val", "results", ()),
        ("on train by class", "on train", "results", ("by class",)),
        ("hardest 5 classes by snapshot-entropy of ref", "classes 0, 1", "splits", ("A", "B")),
    ],
)  # fmt: skip
def test_every_kind_of_change_is_found_where_it_is(
    before: str, after: str, section: str, expected: tuple[str, ...]
) -> None:
    text = DIGITS.replace('plot "Difficulty of the digits"           = bars(y=ref.entropy, x=class)\n', "")
    Path("old.sat").write_text(text, "utf-8")
    found = document("old.sat", variant(before, after, text=text))
    named = [change["setting"] for change in found[section].get("changed", ())]
    assert {setting.replace("|", "") for setting in named if not setting.startswith("select ")} >= set(expected)
    assert (found[section].get("removed") is not None) == (not expected)


def test_an_axis_that_only_one_has_is_left_out_where_points_are_compared() -> None:
    text = variant("sweep {", "sweep { width = [16, 32] }\nsweep {", text=DIGITS.replace("width=16", "width=$width"))
    text = Path(text).read_text().partition("table")[0]
    Path("wider.sat").write_text(text, "utf-8")
    found = document("before.sat", "wider.sat")
    assert found["axes"]["added"] == [{"name": "width", "values": "[16, 32]"}]
    (change,) = found["trainings"]["changed"]
    assert (change["setting"], change["from"], change["to"]) == ("model width", "16", "32")
    assert {one["name"]: len(one["points"]) for one in change["at"]} == {"ref": 1, "full": 1, "sat": 3, "class_sat": 1}
    assert {point["width"] for one in change["at"] for point in one["points"]} == {"32"}


def test_steps_add_up_and_say_what_is_stored() -> None:
    plans = [compile_file(Path(name)).plan for name in ("before.sat", "after.sat")]
    store = LocalStore(Path("store"))
    stored = [step for key, step in plans[1].steps.items() if step.kind == "data" and key not in plans[0].steps]
    for step in stored:
        (store.begin(step.key) / "facts.json").write_text("{}")
        store.commit(step, "data", seconds=0, continued=False, device="cpu")
    found = document("before.sat", "after.sat", "--store", "store")["steps"]
    assert found["shared"] == len(plans[0].shown.keys() & plans[1].steps.keys()) == sum(found["shared_kinds"].values())
    assert [step["key"] for step in found["only_in_first"]] == [k for k in plans[0].steps if k not in plans[1].steps]
    assert [step["key"] for step in found["only_in_second"]] == [k for k in plans[1].steps if k not in plans[0].steps]
    assert {step["key"] for step in found["only_in_second"] if step["reason"] == "stored"} == {s.key for s in stored}
    assert (found["second"]["steps"], found["second"]["stored"]) == (len(plans[1].shown), len(stored))


def test_one_file_can_be_compared_with_other_values_for_its_params() -> None:
    found = document("before.sat", "before.sat", "--against-set", "eps=0.5")
    assert ("under eps", "0.75", "0.5") in settings(found["results"])
    assert document("before.sat", "before.sat", "--against-set", "eps=0.5", "--set", "eps=0.5")["same"] is True


def test_a_mistake_in_either_file_is_shown_and_named() -> None:
    Path("wrong.sat").write_text("sat 1\ndataset d = digit()\n", "utf-8")
    for files in (["before.sat", "wrong.sat"], ["wrong.sat", "before.sat"]):
        result = CliRunner().invoke(app, ["diff", *files])
        assert (result.exit_code, "wrong.sat:2:13" in result.output) == (1, True)
    result = CliRunner().invoke(app, ["diff", "before.sat", "before.sat", "--against-set", "eps"])
    assert result.exit_code == 2
    assert "--against-set takes NAME=VALUE" in result.output
