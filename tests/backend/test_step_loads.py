"""What the steps of plans take of a machine: estimates for each step of every specification, small runs included."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from satdsl import machine
from satdsl.backend.step_loads import PROCESS, loads, room_on
from satdsl.compile import compile_file
from satdsl.ir.plan import Plan
from satdsl.smoke import made_small

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "cores", lambda: 8)


def plans(name: str) -> list[Plan]:
    """The plan of a specification, and that of its smoke run."""
    compiled = compile_file(ROOT / name)
    return [compiled.plan, made_small(compiled.experiment)[1]]


@pytest.mark.parametrize(
    "name",
    [
        "examples/first.sat",
        "examples/digits.sat",
        "examples/cifar10-small.sat",
        "specs/fig6-esat.sat",
        "specs/fig8-transfer.sat",
    ],
)
def test_every_step_has_an_estimate(name: str) -> None:
    for plan in plans(name):
        found = loads(plan, plan.steps, "cpu")
        assert found.keys() == plan.steps.keys()
        for load in found.values():
            assert 1 <= load.threads <= 8
            assert load.memory >= PROCESS
            assert 0 < load.seconds < math.inf


def test_a_large_network_takes_threads_memory_and_time() -> None:
    small, large = plans("examples/first.sat")[0], plans("specs/fig6-esat.sat")[0]
    most = [max(loads(plan, plan.steps, "cpu").values(), key=lambda load: load.seconds) for plan in (small, large)]
    assert [load.threads for load in most] == [1, 8]
    assert most[1].memory > 4 * most[0].memory
    assert most[1].seconds > 1000 * most[0].seconds
    assert max(load.threads for load in loads(large, large.steps, "cuda").values()) == 1


def test_a_number_of_jobs_stands_above_the_estimate_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 10**9)
    assert (room_on("cpu", None).memory, room_on("cpu", None).places) == (10**9, None)
    assert (room_on("cpu", 4).memory, room_on("cpu", 4).places, room_on("cpu", 4).cores) == (None, 4, 8)
    assert (room_on("cuda", 4).places, room_on("cuda", 4).cores) == (4, None)
