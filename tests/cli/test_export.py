"""`satdsl export`, and a network's way out of one specification and into another."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from satdsl.cli import app
from satdsl.report import model_card

SPEC = """sat 1
title "Two orders"
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=40)
dataset other = synthetic(classes=3, shape=[1, 8, 8], train=30, val=20)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
recipe r = sgd(epochs=1, batch=32)
sweep { order = [hardest, random]; share = [30%, 60%] }
train ref = m on d using r { keep snapshots every epoch }
split s of d { A = $order $share examples by snapshot-entropy of ref; B = rest; weight A = |B|/|A| }
train sat = m on s using r { attack A with p }
transfer moved = sat to other using r { head = mlp(hidden=6) }
train lonely = m on d using r
evaluate sat { clean = clean accuracy on val; robust = robust accuracy under p on val }
evaluate moved { clean = clean accuracy on other.val }
table "All" = rows(sat.clean, sat.robust, moved.clean)
"""
POINT = "sat[order=hardest, share=30%]"


def satdsl(*args: str) -> Result:
    result = CliRunner().invoke(app, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a specification, some of it run: the point above, and a transfer from it."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "spec.sat").write_text(SPEC, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = satdsl("run", "spec.sat", "--only", POINT, "--only", "moved[order=hardest, share=30%]")
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(autouse=True)
def there(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.delenv("SATDSL_STORE", raising=False)


def exported(out: Path, *args: str, model: str = POINT) -> Result:
    return satdsl("export", "spec.sat", model, "-o", str(out), *args)


def document(folder: Path) -> dict:
    return json.loads((folder / "model.json").read_text("utf-8"))


# --- the folder ---


@pytest.mark.parametrize(
    ("form", "files"),
    [("torch", {"model.pt2"}), ("safetensors", {"model.safetensors", "model.py"}), ("onnx", {"model.onnx"})],
)
def test_the_code_in_the_card_runs_in_the_folder(tmp_path: Path, form: str, files: set[str]) -> None:
    result = exported(tmp_path / "out", "--format", form)
    assert (result.exit_code, result.stdout) == (0, f"{POINT}: {tmp_path / 'out'}\n"), result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == files | {"README.md", "model.json"}
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "out/README.md").read_text("utf-8"), re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "out", capture_output=True, text=True, timeout=200
    )
    assert re.search(r"\[\d,? \d,? \d,? \d\]", ran.stdout), ran.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_the_card_says_what_was_trained_and_measured(tmp_path: Path) -> None:
    assert exported(tmp_path / "out", "--format", "safetensors").exit_code == 0
    stored = json.loads(satdsl("results", "spec.sat", "--only", POINT, "--format", "json").stdout)["results"]
    found = document(tmp_path / "out")
    assert [(one["result"], one["value"], one["n"], one["interval"]) for one in found["results"]] == [
        (one["result"], one["value"], one["n"], one["interval"]) for one in stored
    ]
    assert [one["result"] for one in stored] == ["sat.clean", "sat.robust"]
    assert found["key"] in {path.name for path in Path(".satdsl/artifacts").glob("*/*")}
    assert found["training"]["settings"]["recipe"]["epochs"] == 1
    subsets = [(one["name"], one["size"], one["attack"] is not None) for one in found["training"]["subsets"]]
    assert subsets == [("A", 19, True), ("B", 45, False)]
    assert found["training"]["subsets"][0]["weight"] == pytest.approx(45 / 19)
    text = (tmp_path / "out/README.md").read_text("utf-8").replace("\nspecification", " specification")
    for words in (
        "# sat[order=hardest, share=30%]",
        "the specification `spec.sat` (Two orders)",
        "train sat = m on s using r { attack A with p }",
        "`small_cnn(width=4, activation=relu",
        "float32 [n, 1, 8, 8], pixels in [0, 1]",
        "0: 0, 1: 1, 2: 2, 3: 3",
        "| A | 19 | `pgd(norm=Linf, eps=0.1, steps=",
        "| B | 45 | not attacked | 1 |",
        f"| `{POINT.replace('sat', 'sat.robust', 1)}` | val |",
        found["key"],
        "torch 2.",
    ):
        assert words in text, words


def test_the_card_has_the_weight_and_the_share_of_its_training_where_others_have_the_same_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.sat").write_text(
        "sat 1\nsweep { w = [1, 3]; part = [50%, 30%] }\n"
        "dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=40)\nmodel m = small_cnn(width=4)\n"
        "recipe r = sgd(epochs=1, batch=32)\n"
        "split s of d { A = class 1; B = rest; weight A = $w; share A = $part }\ntrain t = m on s using r\n"
        "evaluate t { clean = clean accuracy on val }\n",
        "utf-8",
    )
    point = "t[w=3, part=30%]"
    assert satdsl("run", "spec.sat", "--only", point).exit_code == 0
    assert exported(tmp_path / "out", "--format", "safetensors", model=point).exit_code == 0
    subsets = [
        (one["name"], one["weight"], one.get("share")) for one in document(tmp_path / "out")["training"]["subsets"]
    ]
    assert subsets == [("A", 3.0, 0.3), ("B", 1.0, None)]
    assert "| A | 16, 30 % of each batch | not attacked | 3 |" in (tmp_path / "out/README.md").read_text("utf-8")


def test_the_card_of_a_transfer_says_what_came_before_and_what_is_not_measured(tmp_path: Path) -> None:
    spec = tmp_path / "more.sat"
    spec.write_text(SPEC + "evaluate moved { again = robust accuracy under p on other.val }\n", "utf-8")
    model = "moved[order=hardest, share=30%]"
    assert satdsl("export", str(spec), model, "-o", str(tmp_path / "out")).exit_code == 0
    text = (tmp_path / "out/README.md").read_text("utf-8")
    assert "last layer replaced by `mlp(hidden=6)`" in text
    assert "### Before: train sat[order=hardest, share=30%]" in text
    assert f"| `{model.replace('moved', 'moved.again')}` | other.val | not measured |  |  |" in text
    assert "logits [n, 3]" in text


# --- what is refused ---


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("sta", 2, "no training or transfer is called `sta`; did you mean `sat`?"),
        ("lonely", 2, "nothing in the specification uses `lonely`"),
        ("sat", 2, "`sat` still varies with order (hardest, random); share (30%, 60%); pick one: 'sat[order=hardest, "),
        ("sat[order=random]", 2, "still varies with share (30%, 60%); pick one: 'sat[order=random, share=30%]'"),
        ("sat[ordre=random]", 2, "`sat` does not depend on an axis `ordre`; did you mean `order`?"),
        ("ref[order=random]", 2, "`ref` does not depend on an axis `order`; it depends on no axis"),
        ("sat[order=hardset]", 2, "axis `order` has no value `hardset`; did you mean `hardest`?"),
        (
            "sat[order=random, share=30%]",
            3,
            "is not trained yet; run it: satdsl run spec.sat --only 'sat[order=random, share=30%]'",
        ),
    ],
)
def test_a_network_that_is_not_there_is_named_with_the_way_out(
    tmp_path: Path, model: str, code: int, words: str
) -> None:
    result = exported(tmp_path / "out", model=model)
    assert result.exit_code == code
    assert words in result.stderr.replace("\nhelp: ", "; ")
    assert not (tmp_path / "out").exists()


def test_an_export_is_overwritten_only_by_force_and_nothing_else_ever_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert exported(out).exit_code == 0
    before = document(out)
    assert exported(out, "--format", "safetensors").exit_code == 2
    assert document(out) == before
    assert exported(out, "--format", "safetensors", "--force").exit_code == 0
    assert not (out / "model.pt2").exists()
    (out / "thesis.tex").write_text("years of work")
    result = exported(out, "--force")
    assert result.exit_code == 2
    assert "holds other files (thesis.tex)" in result.stderr
    assert (out / "thesis.tex").read_text() == "years of work"
    assert exported(out / "thesis.tex").exit_code == 2


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    assert exported(out).exit_code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_card, "write", full)
    result = exported(out, "--format", "safetensors", "--force")
    assert result.exit_code == 3
    assert "cannot be written: No space left on device" in result.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_damaged_network_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(".satdsl", tmp_path / "kept")
    assert exported(tmp_path / "whole", "--store", str(tmp_path / "kept"), "--format", "safetensors").exit_code == 0
    key = document(tmp_path / "whole")["key"]
    weights = tmp_path / "kept/artifacts" / key[:2] / key / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    result = exported(tmp_path / "out", "--store", str(tmp_path / "kept"))
    assert result.exit_code == 3
    assert "is damaged" in result.stderr
    assert f"--store {tmp_path / 'kept'}" in result.stderr


# --- and into another specification ---


def test_an_exported_network_measured_through_a_checkpoint_gives_the_same_results(tmp_path: Path) -> None:
    """Out of one specification and into a second one, which trains nothing."""
    common = """sat 1
dataset d = digits(limit=200, limit_val=100)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=3)
"""
    measures = "evaluate net { clean = clean accuracy on val by class; robust = robust accuracy under p on val }\n"
    first, second = tmp_path / "first.sat", tmp_path / "second.sat"
    first.write_text(common + "recipe r = sgd(epochs=2, batch=32)\ntrain net = m on d using r\n" + measures, "utf-8")
    second.write_text(
        common
        + 'model made = checkpoint("net/model.safetensors", arch=small_cnn(width=4))\n'
        + "recipe nothing = sgd(epochs=0)\ntrain net = made on d using nothing\n"
        + measures,
        "utf-8",
    )
    store = ("--store", str(tmp_path / "kept"))
    assert satdsl("run", str(first), *store).exit_code == 0
    out = ("-o", str(tmp_path / "net"), "--format", "safetensors")
    assert satdsl("export", str(first), "net", *out, *store).exit_code == 0
    explained = satdsl("explain", str(second), *store)
    assert "small_cnn, pretrained" in explained.stdout
    assert "to run: 3 of 4 steps" in explained.stdout
    ran = satdsl("run", str(second), *store)
    assert ran.exit_code == 0, ran.output
    results = [satdsl("results", str(spec), "--format", "csv", *store).stdout for spec in (first, second)]
    assert results[0] == results[1]
    assert results[0].count("\n") == 12
    assert satdsl("export", str(second), "net", "-o", str(tmp_path / "again"), *store).exit_code == 0
    assert "weights from a file, SHA-256" in (tmp_path / "again/README.md").read_text("utf-8")
    others = {name: tensor + 1 for name, tensor in load_file(tmp_path / "net/model.safetensors").items()}
    save_file(others, tmp_path / "net/model.safetensors")
    assert satdsl("check", str(second)).exit_code == 0
    assert "to run: 3 of 4 steps" in satdsl("explain", str(second), *store).stdout


# --- the weights after an epoch ----------------------------------------------------------------------


def test_the_weights_after_an_epoch_are_exported_with_their_own_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = SPEC.partition("sweep {")[0].replace("epochs=1", "epochs=3") + (
        "train ref = m on d using r { keep weights every epoch }\n"
        "evaluate ref every 2 epochs { clean = clean accuracy on val }\n"
        "evaluate ref { final = clean accuracy on val }\n"
    )
    (tmp_path / "spec.sat").write_text(text, "utf-8")
    assert satdsl("run", "spec.sat").exit_code == 0
    shown = {}
    for model in ("ref", "ref[epoch=2]", "ref[epoch=3]", "ref[epoch=1]"):
        result = satdsl("export", "spec.sat", model, "-o", model, "--format", "safetensors")
        assert result.exit_code == 0, result.output
        card = document(tmp_path / model)
        shown[model] = card["training"]["selection"]["chosen"], [one["result"] for one in card["results"]]
    assert shown["ref[epoch=2]"] == (2, ["ref.clean"])
    assert shown["ref[epoch=1]"] == (1, [])
    assert shown["ref[epoch=3]"] == shown["ref"] == (3, ["ref.clean", "ref.final"])
    assert "those after epoch 2 of 3" in (tmp_path / "ref[epoch=2]/README.md").read_text("utf-8")
    key = document(tmp_path / "ref")["key"]
    (stored,) = tmp_path.glob(f"**/{key}/weights-epoch-2.safetensors")
    exported, kept = load_file(tmp_path / "ref[epoch=2]/model.safetensors"), load_file(stored)
    assert exported.keys() == kept.keys()
    assert all(exported[name].equal(kept[name]) for name in kept)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("ref[epoch=1, order=hardest]", "does not depend on an axis `order`"),
        ("sat[order=hardest, share=30%, epoch=7]", "keeps no weights of an epoch 7"),
        ("moved[order=hardest, share=30%, epoch=1]", "is a transfer"),
    ],
)
def test_an_epoch_that_is_not_kept_is_told(tmp_path, model, said):
    result = exported(tmp_path / "out", model=model)
    assert result.exit_code != 0
    assert said in result.output
