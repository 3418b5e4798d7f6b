"""An evaluation in blocks that is killed, and finished by other workers: the same bits, and no block done twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from satdsl.compile import compile_file
from satdsl.engine.local_store import LocalStore
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key
from tests.faults.killed_runs import NEVER, End, Life, Mortals

NET = """from torch import nn

import satdsl.plugin as sat


@sat.model
def flat(classes: int, channels: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, classes))
"""

SPEC = """sat 1
title "Blocks"
use "net.py"

dataset d = digits(limit=100, limit_val=150)
model   m = flat()
attack  aa = autoattack(norm=L2, eps=0.5, version=custom, attacks=[apgd-ce, square], batch=30)
recipe  r = sgd(epochs=2, batch=50, lr=0.1, momentum=0.9)
train   t = m on d using r
evaluate t { robust = robust accuracy under aa on val }

table "All" = rows(t.robust)
"""


@pytest.fixture
def mortals(tmp_path: Path) -> Iterator[Mortals]:
    (tmp_path / "net.py").write_text(NET, "utf-8")  # nobody knows how large a network of one's own is
    (tmp_path / "spec.sat").write_text(SPEC, "utf-8")
    found = Mortals(tmp_path)
    yield found
    found.end()


def run(mortals: Mortals, folder: Path, store: str, end: End = NEVER, jobs: int = 1) -> Life:
    options = ["--store", str(folder / store), "--device", "cpu", "--log-format", "json", "--jobs", str(jobs)]
    return mortals.live(["run", str(folder / "spec.sat"), *options], folder / store, end)


def digests(plan: Plan, store: LocalStore) -> dict[str, object]:
    return {plan.labels[key]: store.manifest(key).files for key, step in plan.steps.items() if step.kind == "evaluate"}


def started(life: Life) -> list[Key]:
    return [event["key"] for event in life.events if event["event"] == "step-started"]


@pytest.mark.slow
def test_blocks_give_the_same_bits_after_a_kill_and_side_by_side(mortals: Mortals, tmp_path: Path) -> None:
    plan = compile_file(tmp_path / "spec.sat").plan
    first, second, third = plan.evaluation_of
    whole = run(mortals, tmp_path, "whole")
    assert whole.code == 0
    passes = sum((deed.what, deed.key) == ("pass", second) for deed in whole.deeds)
    assert passes > 100

    # Killed in the midst of the second block's attacks: the first is there, and the second goes on.
    killed = run(mortals, tmp_path, "killed", End(passes, second))
    assert killed.killed
    store = LocalStore(tmp_path / "killed")
    assert store.has(first)
    assert not store.has(second)
    assert store.unfinished() >= {second}

    again = run(mortals, tmp_path, "killed", jobs=2)
    assert again.code == 0
    assert set(started(again)) == {second, third, plan.evaluation_of[first]}
    store.refresh()
    assert digests(plan, store) == digests(plan, LocalStore(tmp_path / "whole"))
    # The second block had saved a batch of its attacks, which are not made again.
    assert store.manifest(second).continued
