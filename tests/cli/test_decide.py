"""`satdsl run --decide` from the command line: what it runs, says and leaves, and what goes on from there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from satdsl.compile import compile_file
from satdsl.engine.local_store import LocalStore
from satdsl.ir import blocks
from satdsl.ir.plan import Plan
from tests.command_line import go_somewhere_empty, satdsl

SPEC = """sat 1
title "Decide"
dataset digits10 = digits(limit=300, limit_val=150)
model   cnn      = small_cnn(width=4)
attack  strong   = autoattack(norm=L2, eps=3, version=custom, attacks=[apgd-ce])
recipe  short    = sgd(epochs=1, batch=32, lr=0.1)
train one = cnn on digits10 using short
train two = cnn on digits10 using short { seed = 1 }
evaluate one {
  clean  = clean accuracy on val
  robust = robust accuracy under strong on val
  digit  = robust accuracy under strong on val by class
}
evaluate two { robust = robust accuracy under strong on val }
table "Accuracy" = rows(one.clean, one.robust)
plot  "By class" = bars(y=one.digit, x=class)
"""
CLAIM = 'expect "nothing stands in so large a ball": one.robust < 50%\n'


@pytest.fixture(autouse=True)
def somewhere_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_somewhere_empty(tmp_path, monkeypatch, columns=300)
    monkeypatch.setattr(blocks, "ENOUGH", 1.0)  # so small a network would be measured in one piece


def spec(text: str) -> Plan:
    Path("a.sat").write_text(text, "utf-8")
    return compile_file(Path("a.sat")).plan


def blocks_of(plan: Plan, name: str) -> list[bool]:
    (key,) = next(result for result in plan.results if result.name == name).measure.evaluations
    return [LocalStore(Path(".satdsl")).has(block) for block in plan.steps[key].blocks]


def test_a_run_stops_at_its_verdict_and_another_goes_on_from_there() -> None:
    plan = spec(SPEC + CLAIM)
    decided = satdsl("run", "a.sat", "--decide", "--strict")
    assert decided.exit_code == 0, decided.output
    stored = blocks_of(plan, "one.robust")
    assert stored[0]
    assert not all(stored)
    assert not any(blocks_of(plan, "two.robust"))
    n = sum(stored) * 150 // len(stored)
    assert f"decided on {n} of 150 images" in decided.output
    assert "1 of 1 claims is decided" in decided.output
    assert f"(n={n} of 150)" in decided.output

    shown = json.loads(satdsl("results", "a.sat", "--format", "json").output)
    by_name = {one["result"]: one for one in shown["results"] if not one["point"]}
    assert (by_name["one.robust"]["n"], by_name["one.robust"]["of"]) == (n, 150)
    assert (by_name["one.clean"]["n"], by_name["one.clean"]["of"]) == (150, 150)
    assert by_name["two.robust"]["value"] is None
    assert shown["claims"][0]["decided_on"] == {"n": n, "of": 150}
    assert sum(one["n"] for one in shown["results"] if "class" in one["point"]) == n

    figures = Path(".satdsl/reports/a/figures")
    assert f"(n={n} of 150)" in (figures / "accuracy.tex").read_text("utf-8")
    assert f",{n},150," in (figures / "accuracy.csv").read_text("utf-8")
    page = Path(".satdsl/reports/a/report.html").read_text("utf-8")
    assert f"decided on {n} of 150 images" in page
    assert "Decided on some of the images" in page

    again = satdsl("run", "a.sat", "--decide")
    assert "nothing to run" in again.output
    whole = satdsl("run", "a.sat")
    assert whole.exit_code == 0
    assert all(blocks_of(plan, "one.robust"))
    assert "of 150" not in whole.output
    assert json.loads(satdsl("results", "a.sat", "--format", "json").output)["claims"][0]["decided_on"] is None


def test_a_damaged_block_is_measured_again() -> None:
    plan = spec(SPEC + CLAIM)
    assert satdsl("run", "a.sat", "--decide").exit_code == 0
    (key,) = plan.results[1].measure.evaluations
    table = LocalStore(Path(".satdsl")).folder(plan.steps[key].blocks[0]) / "rows.parquet"
    table.chmod(0o644)
    table.write_bytes(table.read_bytes()[:-1] + b"!")
    again = satdsl("run", "a.sat", "--decide")
    assert again.exit_code == 0
    assert "damaged" in again.output
    assert "decided on" in again.output


@pytest.mark.parametrize(
    ("options", "text", "words"),
    [
        (["--smoke"], SPEC + CLAIM, "a smoke run says nothing about them"),
        (["--budget", "1h"], SPEC + CLAIM, "--budget and --decide cannot be given together"),
        ([], SPEC, "--decide runs what claims need, and there is none here"),
        (["--only", "two"], SPEC + CLAIM, "there is none here"),
    ],
)
def test_decide_is_refused_where_there_is_nothing_to_decide(options: list[str], text: str, words: str) -> None:
    spec(text)
    refused = satdsl("run", "a.sat", "--decide", *options)
    assert refused.exit_code == 2
    assert words in refused.output
    assert not Path(".satdsl/artifacts").exists()


def test_a_claim_that_needs_all_images_is_named() -> None:
    spec(SPEC + 'expect "a ratio": one.robust / two.robust < 2\n')
    explained = satdsl("explain", "a.sat").output
    assert "run --decide" not in explained
    spec(SPEC + CLAIM)
    assert "1 of 1 claims may need no more than the first blocks of images" in " ".join(
        satdsl("explain", "a.sat").output.split()
    )
