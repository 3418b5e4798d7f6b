"""How many steps run at once on a machine: what it holds, what pays, and that no more run than are held."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from satdsl.engine.execute import ExecutionContext, Task
from satdsl.engine.executors import LocalExecutor, ProcessExecutor
from satdsl.engine.local_store import LocalStore
from satdsl.engine.parallel import choose, makespan
from satdsl.engine.run import run
from satdsl.ir.steps import Key, Step
from satdsl.ir.work import Load, Room, Work
from tests.engine.fake_steps import Made, Performer, make


def loads_of(made: Made, train: Load, evaluate: Load) -> dict[Key, Load]:
    kinds = {"data": Load(1, 0, 0.0), "train": train, "evaluate": evaluate}
    return {key: kinds[step.kind] for key, step in made.plan.steps.items()}


SHORT = Load(1, 10, 10.0)


def most(made: Made, room: Room, train: Load, evaluate: Load = SHORT, **options: bool) -> int:
    return choose(made.plan, made.plan.steps, loads_of(made, train, evaluate), room, **options).most


def test_independent_steps_fill_the_cores_but_not_more() -> None:
    long = Load(1, 10, 100.0)
    assert most(make(6), Room(cores=4), long) == 4
    assert most(make(2), Room(cores=4), long) == 2
    assert most(make(6), Room(cores=4), Load(2, 10, 100.0), Load(2, 10, 10.0)) == 2
    assert most(make(6), Room(cores=4), Load(4, 10, 100.0), Load(4, 10, 10.0)) == 1
    assert most(make(6), Room(cores=4, places=3), long) == 3
    assert most(make(6), Room(places=2), long) == 2


def test_no_more_run_than_memory_holds_and_one_does_in_any_case() -> None:
    assert most(make(6), Room(cores=4, memory=250), Load(1, 100, 100.0), Load(1, 100, 10.0)) == 2
    assert most(make(6), Room(cores=4, memory=50), Load(1, 100, 100.0), Load(1, 100, 10.0)) == 1


def test_what_is_quickly_done_or_never_at_once_stays_in_this_process() -> None:
    many, few, little = make(6), make(1), Load(1, 0, 0.5)
    small = choose(many.plan, many.plan.steps, loads_of(many, little, little), Room(4))
    assert (small.most, small.reason) == (1, "starting processes would take longer than they save")
    chain = choose(few.plan, few.plan.steps, loads_of(few, Load(1, 0, 900.0), SHORT), Room(4))
    assert (chain.most, chain.reason) == (1, "no two of them can run at the same time")
    assert most(many, Room(4), little, little, processes=True) == 4


@pytest.mark.parametrize(
    ("room", "reason"),
    [
        (Room(cores=2), "2 cores, and 1 thread a step"),
        (Room(cores=8, memory=2_500_000_000), "2.5 GB of memory are free, and a step takes up to 1.0 GB"),
        (Room(places=2, places_are="one on each GPU"), "one on each GPU"),
        (Room(cores=16), "no others of them can run at the same time"),
    ],
)
def test_the_reason_names_what_limits(room: Room, reason: str) -> None:
    made = make(4)
    loads = loads_of(made, Load(1, 10**9, 100.0), Load(1, 10**9, 10.0))
    assert choose(made.plan, made.plan.steps, loads, room).reason == reason


def test_a_schedule_ends_when_its_last_step_does() -> None:
    made = make(3)
    loads = loads_of(made, Load(1, 0, 10.0), Load(1, 0, 1.0))
    assert makespan(made.plan, made.plan.steps, loads, Room(places=1)) == (33.0, 1)
    assert makespan(made.plan, made.plan.steps, loads, Room(cores=3)) == (11.0, 3)
    # Two trainings, then the third beside the evaluations of those.
    assert makespan(made.plan, made.plan.steps, loads, Room(cores=2)) == (21.0, 2)


def waiting(step: Step, work: Work) -> None:
    """Takes its time."""
    time.sleep(20)


@pytest.mark.parametrize(("room", "fits"), [(Room(cores=4), True), (Room(cores=3), False), (Room(9, 15), False)])
def test_workers_take_no_more_steps_than_there_is_room_for(tmp_path: Path, room: Room, fits: bool) -> None:
    made, store = make(2), LocalStore(tmp_path / "store")
    loads = loads_of(made, Load(2, 10, 1.0), Load(1, 0, 0.0))
    one, other = (chain.train for chain in made.chains)
    with ProcessExecutor(store, ExecutionContext(waiting, tmp_path), ["cpu"] * 2, loads, room) as executor:
        assert executor.fits(one)
        executor.start(Task(one, "one", "new"))
        assert executor.free == 1
        assert executor.fits(other) is fits


class OneAtATime(LocalExecutor):
    """Has two places, and room for one step."""

    free = 2  # type: ignore[assignment]

    def fits(self, step: Step) -> bool:
        return not self._waiting


def test_a_step_without_room_waits_and_comes_next(tmp_path: Path) -> None:
    made, performed = make(3), Performer()
    store = LocalStore(tmp_path / "store")
    assert run(made.plan, store, OneAtATime(store, ExecutionContext(performed))).complete
    alone = Performer()
    other = LocalStore(tmp_path / "other")
    assert run(made.plan, other, LocalExecutor(other, ExecutionContext(alone))).complete
    assert performed.performed == alone.performed
