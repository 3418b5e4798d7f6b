from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from satdsl.compile import compile_file
from satdsl.engine.execute import ExecutionContext
from satdsl.engine.executors import LocalExecutor
from satdsl.engine.local_store import LocalStore
from satdsl.engine.run import run
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Step
from satdsl.ir.work import Work
from satdsl.report.curves import MOST_EPOCHS, Curve, columns_in_words, curve_table, curves, to_csv, to_json
from satdsl.show.terminal import ruled, text

SPEC = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn(4)
attack p = pgd(norm=L2, eps=0.5, steps=2, step_size=0.3)
recipe r = sgd(epochs=2, lr=0.1)
split s of d { zeros = rest; ones = classes 1, 7 }
train ref = m on d using r
train sat = m on s using r { attack ones with p }
evaluate ref { c = clean accuracy on val }
evaluate sat { c = clean accuracy on val }
"""
"""Names in an order that is not that of the step, in which `rest` comes last."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, LocalStore]:
    from satdsl.backend import perform

    folder = tmp_path_factory.mktemp("curves")
    (folder / "a.sat").write_text(SPEC, "utf-8")
    plan = compile_file(folder / "a.sat").plan
    store = LocalStore(folder / "store")

    def trained(step: Step, work: Work) -> None:
        if step.kind == "evaluate":
            raise RuntimeError("not wanted here")
        perform(step, work)

    wanted = [key for points in plan.named.values() for _, key in points]
    run(plan, store, LocalExecutor(store, ExecutionContext(trained, folder)), wanted=wanted)
    return plan, store


def test_subsets_are_told_by_the_names_of_the_file(stored: tuple[Plan, LocalStore]) -> None:
    ref, sat = curves(*stored)
    assert ref.subsets == ("all",)
    attacked = dict(zip(sat.subsets, sat.epochs[-1]["subsets"], strict=True))
    assert attacked["ones"]["n"] == 147 + 133
    assert "attack_success" in attacked["ones"]
    assert "attack_success" not in attacked["zeros"]


def test_csv_has_a_line_for_each_epoch_and_part(stored: tuple[Plan, LocalStore]) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(curves(*stored)))))
    parts = [row["part"] for row in rows if row["training"] == "sat" and row["epoch"] == "2"]
    assert sorted(parts) == ["all", "ones", "probe hold-out", "zeros"]
    assert [row["part"] for row in rows if row["training"] == "ref"] == ["all", "all"]
    both = {row["part"]: row for row in rows if row["training"] == "sat" and row["epoch"] == "2"}
    n = {part: int(row["n"]) for part, row in both.items()}
    mean = sum(n[part] * float(both[part]["accuracy"]) for part in ("ones", "zeros")) / n["all"]
    assert float(both["all"]["accuracy"]) == pytest.approx(mean)
    assert all(float(row["images_per_second"]) > 0 for row in rows)


def test_json_names_the_subsets(stored: tuple[Plan, LocalStore]) -> None:
    document = json.loads(to_json(curves(*stored)))
    sat = next(training for training in document["trainings"] if training["training"] == "sat")
    assert set(sat["epochs"][0]["subsets"]) == {"ones", "zeros"}


def test_the_table_fits_a_terminal(stored: tuple[Plan, LocalStore]) -> None:
    for curve in curves(*stored):
        lines = text(ruled(curve_table(curve), compact=True)).splitlines()
        assert max(map(len, lines)) <= 80
        assert not any("…" in line for line in lines)
        assert len(lines) >= 2 + len(curve.epochs)


def curve(robust: list[float], chosen: int | None = None) -> Curve:
    epochs: list[dict[str, Any]] = [
        {
            "epoch": number,
            "lr": 0.1,
            "n": 10,
            "seconds": 1.0,
            "subsets": [{"n": 10, "loss": 1.0, "accuracy": 0.5}],
            "probe": {"part": "hold-out", "n": 256, "clean": 0.9, "robust": value},
        }
        for number, value in enumerate(robust, start=1)
    ]
    return Curve("a", (), "key", ("all",), epochs, chosen or len(epochs))


@pytest.mark.parametrize(
    ("robust", "epoch"),
    [
        ([0.1, 0.3, 0.45, 0.02, 0.01], 4),
        ([0.3, 0.45, 0.4, 0.3, 0.25], 5),
        ([0.1, 0.3, 0.45, 0.4, 0.26], None),
        ([0.0, 0.0], None),
    ],
)
def test_a_drop_of_twenty_points_is_found_at_its_epoch(robust: list[float], epoch: int | None) -> None:
    drop = curve(robust).drop
    assert (drop and drop["epoch"]) == epoch


def test_a_long_training_is_shown_in_part_with_its_last_and_its_chosen_epoch() -> None:
    lines = text(ruled(curve_table(curve([0.3] * 200, chosen=101)), compact=True)).splitlines()
    numbers = [line.split()[0] for line in lines[4:] if re.match(r" *\*?\d+ +0\.1", line)]
    said = " ".join(" ".join(lines).split())
    assert f"{len(numbers)} of 200 epochs have a row: {MOST_EPOCHS} evenly spaced and the chosen one; " in said
    assert "--format csv has all" in said
    assert MOST_EPOCHS <= len(numbers) <= MOST_EPOCHS + 1
    assert numbers[0] == "1"
    assert "*101" in numbers
    assert numbers[-1] == "200"


SELECTION = {
    "measure": "robust accuracy under autoattack",
    "candidates": [
        {"epoch": 2, "value": 0.412, "at_most": True},
        {"epoch": 101, "value": 0.4},
        {"epoch": 140, "value": 0.39, "at_most": True},
    ],
    "n": 500,
    "passes": {"forward": 1000, "forward_backward": 2000},
}


def test_the_table_shows_a_bound_as_one_beside_the_value_of_the_chosen_epoch() -> None:
    shown = replace(curve([0.3] * 200, chosen=101), selection=SELECTION)
    lines = text(ruled(curve_table(shown), compact=True)).splitlines()
    of = {line.split()[0]: line for line in lines if line.split()}
    assert "≤ 41.2" in of["2"]
    assert "40.0" in of["*101"]
    assert "≤" not in of["*101"]
    assert "≤ 39.0" in of["140"]
    note = " ".join(" ".join(lines).split())
    assert "hold-out: robust accuracy under autoattack in %, of the epochs to choose from" in note
    assert "≤: not attacked to the end, since it could not win any more" in note
    assert json.loads(to_json([shown]))["trainings"][0]["selection"] == SELECTION


def test_the_columns_are_told_in_words_as_far_as_they_are_there(stored: tuple[Plan, LocalStore]) -> None:
    ref, sat = curves(*stored)
    said = "\n".join(columns_in_words([ref, sat]))
    assert "probe: % right after the epoch, clean and under a short PGD, of 38 images of the hold-out" in said
    assert "fooled: " in said
    assert "*:" not in said
    assert "*: the epoch that was chosen" in "\n".join(columns_in_words([curve([0.3] * 3, chosen=2)]))
    plain = "\n".join(columns_in_words([ref]))
    assert "probe" not in plain
    assert "fooled" not in plain
    assert "epochs have a row" not in text(ruled(curve_table(ref), compact=True))


def test_a_table_without_bounds_does_not_speak_of_them() -> None:
    whole = SELECTION | {"candidates": [{"epoch": 2, "value": 0.4}]}
    lines = text(ruled(curve_table(replace(curve([0.3] * 3, chosen=2), selection=whole)), compact=True))
    assert "hold-out: robust accuracy" in lines
    assert "≤" not in lines
    assert "hold-out:" not in text(ruled(curve_table(curve([0.3] * 3)), compact=True))


def test_a_training_that_is_not_stored_has_no_curve(stored: tuple[Plan, LocalStore], tmp_path: Path) -> None:
    assert curves(stored[0], LocalStore(tmp_path)) == []
