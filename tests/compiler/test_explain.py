"""What `explain` prints, word for word, and that all its formats say the same."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from satdsl.cli import app
from satdsl.show import table as satdsl_table
from satdsl.show.terminal import Plain

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SPECS = {
    "digits": "examples/digits.sat",
    "first": "examples/first.sat",
    "fig6": "specs/fig6-esat.sat",
    "fig5": "specs/fig5-csat.sat",
    "paper": "specs/paper.sat",
}


def explain(*args: str) -> str:
    result = CliRunner().invoke(app, ["explain", *args, "--store", "no-such-store"])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("name", SPECS)
def test_the_page_is_as_it_was(name, golden):
    page = explain(SPECS[name])
    assert max(map(len, page.splitlines())) <= 80
    golden(HERE / "golden" / f"{name}.txt", "".join(f"{line.rstrip()}\n" for line in page.splitlines()))


def test_the_page_of_a_hundred_runs_groups_its_rows():
    page = explain("specs/fig6-esat.sat")
    assert len(page.splitlines()) < 120


def test_json_and_yaml_are_the_same_document():
    as_json = json.loads(explain("examples/digits.sat", "--format", "json"))
    assert as_json == yaml.safe_load(explain("examples/digits.sat", "--format", "yaml"))


def test_the_document_has_what_its_readers_need():
    document = json.loads(explain("examples/digits.sat", "--format", "json"))
    assert document["format_version"] == 1
    for step in document["steps"]:
        assert {"key", "kind", "settings", "inputs", "image_passes", "stored", "reason"} <= step.keys()
    for split in document["splits"]:
        for subset in split["subsets"].values():
            assert {"size", "classes", "weight"} <= subset.keys()
    keys = {step["key"] for step in document["steps"]}
    assert all(set(step["inputs"].values()) <= keys for step in document["steps"])
    assert all(set(result["steps"]) <= keys for result in document["results"])
    assert document["totals"]["steps"] == len(document["steps"])
    assert sum(step["image_passes"]["forward"] for step in document["steps"]) == pytest.approx(
        document["totals"]["image_passes"]["forward"], abs=len(keys)
    )


def test_steps_come_after_their_inputs():
    seen: set[str] = set()
    for step in json.loads(explain("specs/fig6-esat.sat", "--format", "json"))["steps"]:
        assert set(step["inputs"].values()) <= seen
        seen.add(step["key"])


@pytest.mark.parametrize(("format", "first"), [("mermaid", "flowchart LR"), ("dot", "digraph plan {")])
def test_graphs_have_every_step_and_every_edge(format, first):
    document = json.loads(explain("examples/digits.sat", "--format", "json"))
    graph = explain("examples/digits.sat", "--format", format)
    assert graph.startswith(first)
    edges = sum(len(set(step["inputs"].values())) for step in document["steps"])
    assert graph.count("->") == edges if format == "dot" else graph.count("-->") == edges
    assert all(step["label"] in graph for step in document["steps"])


def test_only_leaves_what_a_result_needs():
    document = json.loads(explain("examples/digits.sat", "--format", "json", "--only", "ref.clean"))
    assert [step["kind"] for step in document["steps"]] == ["data", "train", "evaluate"]
    assert [result["result"] for result in document["results"]] == ["ref.clean"]


def test_only_takes_a_point():
    document = json.loads(explain("specs/fig6-esat.sat", "--format", "json", "--only", "esat10_sat[order=hardest]"))
    trainings = [t for t in document["trainings"] if t["name"] == "esat10_sat"]
    assert len(trainings) == 9


def test_an_unknown_only_is_wrong_usage_with_a_hint():
    result = CliRunner().invoke(app, ["explain", "examples/digits.sat", "--only", "rfe.clean"])
    assert result.exit_code == 2
    assert "did you mean" in result.stderr


def test_set_changes_a_param(tmp_path):
    spec = tmp_path / "p.sat"
    spec.write_text(
        "sat 1\nparam width = 8\ndataset d = digits()\nmodel m = small_cnn(width=$width)\nrecipe r = sgd(epochs=1)\n"
        "train t = m on d using r\nevaluate t { clean = clean accuracy on val }\n"
    )
    widths = [
        json.loads(explain(str(spec), "--format", "json", *more))["steps"][1]["settings"]["model"]["width"]
        for more in ([], ["--set", "width=4"])
    ]
    assert widths == [8, 4]


@pytest.mark.parametrize("stage", ["ast", "experiment"])
def test_every_stage_can_be_shown(stage):
    assert "digits10" in explain("examples/digits.sat", "--stage", stage)


def test_a_table_is_laid_out_as_rich_does_it_and_brackets_are_text():
    def shown(table: RenderableType) -> list[str]:
        console = Console(width=60, file=io.StringIO())
        with console.capture() as capture:
            console.print(table)
        return [line.rstrip() for line in capture.get().splitlines()]

    heads = (("name", False), ("runs", True), ("at", False))
    rows = [("a[k=1]", "12", "[bold]ü"), ("精度", "1,000", ""), ("more", "", "")]
    ours = Plain(satdsl_table.Table([satdsl_table.Column(*head) for head in heads], rows))
    of_rich = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, is_number in heads:
        of_rich.add_column(name, justify="right" if is_number else "left")
    for row in rows:
        of_rich.add_row(*map(Text, row))
    assert shown(ours) == shown(of_rich)
    assert shown(ours)[1].split() == ["a[k=1]", "12", "[bold]ü"]


LONG = """sat 1
dataset handwritten_digits = digits()
model very_small_network = small_cnn()
attack projected_gradient_descent = pgd(norm=L2, eps=0.5, steps=7, step_size=0.1)
attack fast = fgsm(norm=Linf, eps=0.1)
recipe short = sgd(epochs=4)
sweep { share = [10%, 20%] }
train reference = very_small_network on handwritten_digits using short { keep snapshots every epoch }
split by_difficulty of handwritten_digits { A = hardest $share examples by snapshot-entropy of reference; B = rest }
train subsetAdversarialTrainingWithALongName = very_small_network on by_difficulty using short {
  attack A with projected_gradient_descent; loss A = trades(); attack B with fast
}
evaluate subsetAdversarialTrainingWithALongName { clean = clean accuracy on val }
"""


@pytest.mark.parametrize("width", [40, 50, 60, 80, 100])
def test_names_are_not_cut_to_shreds_and_columns_that_have_no_room_are_named(tmp_path, monkeypatch, width):
    spec = tmp_path / "long.sat"
    spec.write_text(LONG)
    monkeypatch.setenv("COLUMNS", str(width))
    page = explain(str(spec))
    table = page.partition("\nTrainings\n")[2].partition("\n\n")[0]
    heads = table.splitlines()[0]
    left_out = " ".join(table.partition("There is no room for ")[2].split())
    for head in ("epochs", "attacked with", "passes each"):
        assert (head in heads) != (f"`{head}`" in left_out)
    assert ("--format json" in left_out) == bool(left_out) == (width < 70)
    assert "subsetAdversa" in table
    assert all(len(line.rstrip()) <= width for line in table.splitlines())
