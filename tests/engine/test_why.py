"""Why a step is not stored: the nearest one that is, what differs, and which line of the specification sets it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from satdsl.compile import compile_file, origins
from satdsl.engine import why
from satdsl.engine.local_store import LocalStore
from satdsl.engine.staleness import reasons
from satdsl.engine.stored_steps import StoredSteps
from satdsl.ir import blocks, steps
from satdsl.ir.named_step import step_called
from satdsl.ir.plan import Plan
from satdsl.show import text as explained
from satdsl.show.terminal import text
from satdsl.show.why_text import page
from tests.command_line import go_somewhere_empty, satdsl

SPEC = """sat 1
param wd = 5e-4
sweep { share = [30%, 50%] }
dataset d = synthetic(classes=3, shape=[1, 8, 8], train=60, val=30, holdout=10%)
model m = small_cnn(width=4)
attack e8 = pgd(norm=Linf, eps=8/255, step_size=2/255, steps=7)
recipe r = sgd(epochs=4, weight_decay=$wd, schedule=step(at=[2]))
train ref = m on d using r { keep snapshots every epoch }
split s of d {
  A = hardest $share examples by snapshot-entropy of ref
  B = rest
  weight A = scores in "w.npy"
}
train sat = m on s using r {
  attack A with e8
  seed = 1
}
evaluate sat { robust = robust accuracy under e8 on val }
"""
SAT, ROBUST = "train sat[share=30%]", "evaluate sat[share=30%] under pgd on val"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    go_somewhere_empty(tmp_path, monkeypatch, 80)
    np.save("w.npy", np.linspace(1, 2, 60))
    return tmp_path


def plan_of(spec: str, overrides: Mapping[str, str] | None = None) -> Plan:
    Path("paper.sat").write_text(spec, "utf-8")
    return compile_file(Path("paper.sat"), overrides).plan


def put(store: LocalStore, plan: Plan, *labels: str) -> None:
    """Store the steps of these labels, or all."""
    for key, step in plan.steps.items():
        if not labels or plan.labels[key] in labels:
            (store.begin(key) / "numbers").write_bytes(b"numbers")
            store.commit(step, plan.labels[key], seconds=1.5, continued=False, device="cpu")


@pytest.fixture
def store(folder: Path) -> LocalStore:
    """A store with all of `SPEC`."""
    store = LocalStore(folder / ".satdsl")
    put(store, plan_of(SPEC))
    store.refresh()
    return store


def key_of(plan: Plan, label: str) -> str:
    return next(key for key, called in plan.labels.items() if called == label)


def said(spec: str, label: str, store: LocalStore, overrides: Mapping[str, str] | None = None) -> dict[str, Any]:
    plan = plan_of(spec, overrides)
    found = origins(Path("paper.sat"), plan, overrides)

    def origin(key: str, path: tuple[str | int, ...]) -> Mapping[str, Any] | None:
        place = found.of(key, path)
        return None if place is None else place.document

    return why.why_document(plan, store, key_of(plan, label), origin)


def changes(document: Mapping[str, Any], number: int = 0) -> list[tuple[str, str, str]]:
    return [(one["setting"], one["from"], one["to"]) for one in document["compared"][number]["settings"]]


def test_another_number_of_subsets_is_said_in_words(store: LocalStore) -> None:
    lines = "attack all with e8 until epoch 2\n  loss all = trades(beta=2) until epoch 2"
    spec = SPEC.replace("train sat = m on s", "train sat = m on d").replace("attack A with e8", lines)
    document = said(spec, "train sat", store)
    found = {setting: (before, after) for setting, before, after in changes(document)}
    pgd = "pgd(eps=0.0313725, norm=Linf, step_size=0.00784314, steps=7)"
    assert found["subsets"][1] == f"{pgd} (trades(beta=2)), from epoch 3: clean"
    assert found["subsets"][0].endswith("; clean")
    plan = plan_of(SPEC.replace("\n  B = rest", "\n  C = class 0 - A\n  B = rest"))
    assert why.because(plan, reasons(plan, store), store)[key_of(plan, SAT)] == "other subsets"


@pytest.mark.parametrize(
    ("was", "now", "label", "wanted", "line"),
    [
        ("wd = 5e-4", "wd = 1e-4", SAT, ("recipe weight_decay", "0.0005", "0.0001"), "param wd = 1e-4"),
        ("epochs=4, ", "epochs=4, momentum=0.5, ", SAT, ("recipe momentum", "0.9", "0.5"), "recipe r ="),
        ("seed = 1", "seed = 2", SAT, ("seed", "1", "2"), "seed = 2"),
        ("at=[2]", "at=[3]", SAT, ("recipe schedule at", "[2]", "[3]"), "recipe r ="),
        ("eps=8/255", "eps=4/255", ROBUST, ("attack eps", "0.0313725", "0.0156863"), "attack e8 ="),
        ("steps=7", "steps=9", SAT, ("A attack steps", "7", "9"), "attack e8 ="),
        ("width=4", "width=5", SAT, ("model width", "4", "5"), "model m ="),
        ("val=30,", "val=31,", "data d", ("val", "30", "31"), "dataset d ="),
        ("by snapshot-entropy of", "by snapshot-loss of", "split s[share=30%]",
         ("A ranking score", "snapshot-entropy", "snapshot-loss"), "A = hardest"),
        ("attack A with e8", "attack A with e8\n  loss A = trades(beta=2)", SAT,
         ("A loss", "the default", "trades(beta=2)"), "loss A ="),
    ],
)  # fmt: skip
def test_a_value_that_differs_is_said_with_the_line_that_sets_it(
    store: LocalStore, was: str, now: str, label: str, wanted: tuple[str, str, str], line: str
) -> None:
    assert was in SPEC
    document = said(SPEC.replace(was, now), label, store)
    setting, before, after = wanted
    found = {(one[0], one[1].replace("none", "the default"), one[2]) for one in changes(document)}
    assert (setting, before, after) in found
    origin = next(one["origin"] for one in document["compared"][0]["settings"] if one["setting"] == setting)
    assert line in origin["text"]
    assert SPEC.replace(was, now).splitlines()[origin["line"] - 1].strip() == origin["text"]
    assert origin["default_of"] is None


def test_what_a_default_sets_says_so(store: LocalStore) -> None:
    document = said(SPEC.replace("weight_decay=$wd, ", "").replace("param wd = 5e-4\n", ""), SAT, store)
    (setting,) = document["compared"][0]["settings"]
    assert (setting["from"], setting["to"]) == ("0.0005", "0")
    assert setting["origin"]["default_of"] == "sgd"
    assert setting["origin"]["text"].startswith("recipe r =")


def test_a_value_of_the_command_line_says_so(store: LocalStore) -> None:
    (setting,) = said(SPEC, SAT, store, {"wd": "1e-3"})["compared"][0]["settings"]
    assert (setting["to"], setting["origin"]) == (
        "0.001",
        {"file": "--set", "line": None, "text": "wd = 1e-3", "default_of": None},
    )


def test_a_file_that_changed_is_named(store: LocalStore) -> None:
    np.save("w.npy", np.ones(60))
    document = said(SPEC, SAT, store)
    ((setting, before, after),) = changes(document)
    assert setting == "A weight w.npy"
    assert before.startswith("SHA-256 ")
    assert after != before
    assert document["compared"][0]["settings"][0]["origin"]["text"] == 'weight A = scores in "w.npy"'


def test_the_share_of_batches_is_set_where_the_split_says_it(store: LocalStore) -> None:
    spec = SPEC.replace('  weight A = scores in "w.npy"\n', '  weight A = scores in "w.npy"\n  share A = 50%\n')
    (setting,) = said(spec, SAT, store)["compared"][0]["settings"]
    assert (setting["setting"], setting["to"]) == ("A share", "0.5")
    assert setting["origin"]["text"] == "share A = 50%"


def test_it_follows_the_inputs_down_to_what_differs_in_itself(store: LocalStore) -> None:
    """Another hold-out changes the data for every step; another recipe of `ref` alone comes down through the split."""
    spec = SPEC.replace("train ref = m on d using r", "recipe q = sgd(epochs=5)\ntrain ref = m on d using q")
    document = said(spec, ROBUST, store)
    assert [one["step"]["label"] for one in document["compared"]] == [ROBUST, SAT, "split s[share=30%]", "train ref"]
    assert [len(one["settings"]) for one in document["compared"][:3]] == [0, 0, 0]
    assert document["compared"][0]["inputs"] == [{"role": "weights", "from": SAT, "to": SAT}]
    assert ("recipe epochs", "4", "5") in changes(document, 3)
    assert "is stored" not in text(page(document))


def test_the_nearest_is_the_one_with_the_fewest_differences(store: LocalStore) -> None:
    put(store, plan_of(SPEC.replace("seed = 1", "seed = 2").replace("wd = 5e-4", "wd = 1e-4")))
    store.refresh()
    document = said(SPEC.replace("seed = 1", "seed = 2"), SAT, store)
    assert changes(document) in ([("seed", "1", "2")], [("recipe weight_decay", "0.0001", "0.0005")])
    document = said(SPEC.replace("seed = 1", "seed = 2").replace("steps=7", "steps=8"), SAT, store)
    assert len(changes(document)) == 2


def test_an_evaluation_is_near_the_one_whose_network_is_near(store: LocalStore) -> None:
    """All evaluations have the same settings: only what they are made from tells which one is meant."""
    document = said(SPEC.replace("seed = 1", "seed = 3"), "evaluate sat[share=50%] under pgd on val", store)
    assert document["compared"][0]["nearest"]["label"] == "evaluate sat[share=50%] under pgd on val"
    assert changes(document, 1) == [("seed", "1", "3")]


@pytest.mark.parametrize("share", ["30%", "50%"])
def test_a_network_of_another_name_is_near_by_what_it_is_made_from(store: LocalStore, share: str) -> None:
    spec = SPEC.replace("train sat", "train other").replace("evaluate sat", "evaluate other")
    document = said(spec.replace("seed = 1", "seed = 3"), f"evaluate other[share={share}] under pgd on val", store)
    assert document["compared"][0]["nearest"]["label"] == f"evaluate sat[share={share}] under pgd on val"


def test_an_input_is_compared_with_what_the_stored_step_was_made_from(store: LocalStore) -> None:
    """There is a nearer training, but no evaluation of it: the story is that of the one evaluation that is stored."""
    other = plan_of(SPEC.replace("seed = 1", "seed = 2").replace("wd = 5e-4", "wd = 1e-4"))
    put(store, other, "train ref", "split s[share=30%]", SAT)
    store.refresh()
    spec = SPEC.replace("seed = 1", "seed = 2").replace("wd = 5e-4", "wd = 2e-4")
    assert len(changes(said(spec, SAT, store))) == 1
    assert len(changes(said(spec, ROBUST, store), 1)) == 2


def test_an_evaluation_in_blocks_is_one_step(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "ENOUGH", 1.0)  # so small a network would be measured in one piece
    spec = SPEC.replace("classes=3", "classes=4").replace("val=30", "val=3000").replace("under e8 on", "under aa on")
    spec = spec.replace("recipe r", "attack aa = autoattack(norm=Linf, eps=8/255)\nrecipe r")
    put(store, plan_of(spec))
    store.refresh()
    plan = plan_of(spec.replace("seed = 1", "seed = 2"))
    block, whole = next(iter(plan.evaluation_of.items()))
    assert step_called(plan, block) == whole == step_called(plan, plan.labels[whole])
    document = said(spec.replace("seed = 1", "seed = 2"), plan.labels[whole], store)
    assert [one["role"] for one in document["compared"][0]["inputs"]] == ["weights"]
    assert changes(document, 1) == [("seed", "1", "2")]
    assert len(document["compared"]) == 2
    assert document["compared"][0]["stored_of_kind"] == 4
    assert set(why.because(plan, reasons(plan, store), store).values()) == {"seed 2, was 1"}


def test_a_stored_step_says_when_and_by_which_version(store: LocalStore) -> None:
    document = said(SPEC, SAT, store)
    assert document["step"]["reason"] == "stored"
    assert document["compared"] == []
    shown = text(page(document))
    assert shown.startswith("train sat[share=30%] is stored\n  finished 20")
    assert "by satdsl " in shown
    assert "in 1.5 s" in shown


def test_of_a_damaged_step_the_damage_is_said(store: LocalStore) -> None:
    (store.folder(key_of(plan_of(SPEC), SAT)) / "numbers").unlink()
    document = said(SPEC, SAT, store)
    assert text(page(document)) == (
        "train sat[share=30%] has to run again: what is stored of it is damaged\n  numbers is missing\n"
    )


def test_where_nothing_of_its_kind_is_stored_it_says_so(folder: Path) -> None:
    store = LocalStore(folder / "empty")
    assert "no trainings are stored" in text(page(said(SPEC, SAT, store)))
    put(store, plan_of(SPEC), "data d")
    store.refresh()
    document = said(SPEC, SAT, store)
    assert document["compared"][0]["nearest"] is None
    assert len(document["compared"]) == 1
    assert text(page(document)) == (
        "train sat[share=30%] has to run: nothing like it is stored\n  no trainings are stored\n"
    )


def test_another_version_of_the_code_is_said(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "VERSIONS", newer := {**steps.VERSIONS, "train": steps.VERSIONS["train"] + 1})
    monkeypatch.setattr(steps, "VERSIONS", newer)
    monkeypatch.setattr("satdsl.engine.manifest.VERSIONS", newer)
    document = said(SPEC, SAT, store)
    assert document["compared"][0]["code"] == {"from": newer["train"] - 1, "to": newer["train"]}
    assert changes(document) == []
    assert f"version {newer['train']} of the code of trainings, was {newer['train'] - 1}" in text(page(document))


def test_damaged_and_newer_manifests_are_left_out_and_counted(store: LocalStore) -> None:
    plan = plan_of(SPEC)
    for label, change in (("train ref", None), ("train sat[share=50%]", {"format": 99}), (SAT, {"settings": 3})):
        path = store.folder(key_of(plan, label)) / "manifest.json"
        content = json.loads(path.read_text("utf-8"))
        path.write_text("{" if change is None else json.dumps(content | change, indent=1), "utf-8")
    document = said(SPEC.replace("seed = 1", "seed = 2"), SAT, store)
    assert (len(document["left_out"]["damaged"]), len(document["left_out"]["newer"])) == (2, 1)
    shown = text(page(document))
    assert "none of the trainings that are stored can be read" in shown
    assert "left out: 2 stored steps whose manifest cannot be read" in shown
    assert "left out: 1 stored step that a newer satdsl wrote" in shown


def test_a_stored_step_that_is_gone_is_named_by_its_key(store: LocalStore) -> None:
    plan = plan_of(SPEC)
    for label in (SAT, "train sat[share=50%]"):
        store.remove(key_of(plan, label))
    store.refresh()
    document = said(SPEC.replace("seed = 1", "seed = 2"), ROBUST, store)
    assert "no longer stored" in document["compared"][0]["inputs"][0]["from"]
    assert document["compared"][1]["nearest"]["label"] == "train ref"


def test_the_page_is_readable(store: LocalStore, golden: Any) -> None:
    spec = SPEC.replace("seed = 1", "seed = 2").replace("weight_decay=$wd, ", "").replace("param wd = 5e-4\n", "")
    document = said(spec, ROBUST, store)
    for one in document["compared"]:
        one["nearest"] |= {"finished": "2026-11-30T20:22:24+00:00", "satdsl": "0.1.0", "key": "0123456789abcdef"}
    shown = text(page(document))
    assert max(map(len, shown.splitlines())) <= 80
    golden(Path(__file__).parent / "golden" / "why.txt", shown)


# --- explain -----------------------------------------------------------------------------------------


def test_explain_says_in_short_what_differs(store: LocalStore) -> None:
    plan = plan_of(SPEC.replace("seed = 1", "seed = 2").replace("wd = 5e-4", "wd = 1e-4"))
    found = why.because(plan, state := reasons(plan, store), store)
    assert {plan.labels[key]: words for key, words in found.items()} == {
        "train ref": "weight_decay 0.0001, was 0.0005",
        "train sat[share=30%]": "weight_decay 0.0001, was 0.0005; seed 2, was 1",
        "train sat[share=50%]": "weight_decay 0.0001, was 0.0005; seed 2, was 1",
    }
    shown = text(explained.page(plan, state, found))
    assert "train sat (2)  weight_decay 0.0001, was 0.0005; seed 2, was 1" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_explain_says_nothing_where_nothing_is_stored(folder: Path) -> None:
    plan, empty = plan_of(SPEC), LocalStore(folder / "empty")
    assert why.because(plan, reasons(plan, empty), empty) == {}


def test_explain_says_nothing_of_points_of_the_sweep_that_are_only_new(folder: Path) -> None:
    half = LocalStore(folder / "half")
    put(half, plan := plan_of(SPEC), "data d", "train ref", "split s[share=30%]", SAT)
    half.refresh()
    assert why.because(plan, reasons(plan, half), half) == {}


def test_explain_compares_with_a_bounded_number_of_steps(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(SPEC.replace("wd = 5e-4", "wd = 1e-4"))
    monkeypatch.setattr(why, "MOST_COMPARED", 1)
    assert len(why.because(plan, reasons(plan, store), store)) == 1


def test_a_label_is_found_in_the_text_of_a_manifest_as_it_is_in_the_manifest(store: LocalStore) -> None:
    stored = StoredSteps(store)
    for kind in steps.VERSIONS:
        whole = [found.label for key in sorted(store.keys()) if (found := store.manifest(key)).kind == kind]
        assert sorted(found.label for found in stored.of_kind(kind)) == sorted(whole)
        assert all(stored.count(kind, label) for label in whole)


# --- the command -------------------------------------------------------------------------------------


def test_a_step_is_named_by_its_label_or_by_how_its_key_begins(store: LocalStore) -> None:
    plan = plan_of(SPEC.replace("seed = 1", "seed = 2"))
    key = key_of(plan, SAT)
    results = [satdsl("why", "paper.sat", *words) for words in ([SAT], SAT.split(), ["sat[share=30%]"], [key[:12]])]
    assert [result.exit_code for result in results] == [0] * 4
    assert len({result.stdout for result in results}) == 1
    assert "- seed: 2, was 1" in results[0].stdout
    document = json.loads(satdsl("why", "paper.sat", key[:12], "--format", "json").stdout)
    assert document["step"]["label"] == SAT
    assert document["compared"][0]["settings"][0]["origin"]["line"] == 16


@pytest.mark.parametrize(
    ("step", "words"),
    [("sat", "can be 2 steps"), ("train sat", "train sat[share=50%]"), ("train seat[share=30%]", "did you mean")],
)
def test_a_step_that_is_none_or_several_is_refused(store: LocalStore, step: str, words: str) -> None:
    plan_of(SPEC)
    result = satdsl("why", "paper.sat", step)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


def test_a_saved_plan_has_no_lines_to_name(store: LocalStore) -> None:
    plan_of(SPEC.replace("seed = 1", "seed = 2"))
    assert satdsl("explain", "paper.sat", "--save", "plan.yaml").exit_code == 0
    shown = satdsl("why", "plan.yaml", SAT).stdout
    assert "- seed: 2, was 1" in shown
    assert "paper.sat" not in shown
