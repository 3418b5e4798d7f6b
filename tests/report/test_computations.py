"""What a report says where steps of one plan were computed in ways that round differently."""

from __future__ import annotations

from satdsl.ir.steps import Key
from satdsl.ir.work import Computation
from satdsl.report.computations import differences
from tests.engine.fake_steps import make

MADE = make(3)


def computed(threads: int = 1, processor: str = "Brand 9") -> Computation:
    return Computation(threads, None, processor)


def alike() -> dict[Key, Computation]:
    """Every step computed in one way, the data by one thread, which trainings need not be."""
    found = {key: computed(4 if step.kind == "train" else 2) for key, step in MADE.plan.steps.items()}
    return found | {MADE.data.key: computed()}


def test_steps_of_other_kinds_may_have_other_threads() -> None:
    assert differences(MADE.plan, alike()) == ()
    assert differences(MADE.plan, {}) == ()


def test_other_threads_for_the_same_network_are_said_with_the_steps() -> None:
    (said,) = differences(MADE.plan, alike() | {MADE.chains[1].train.key: computed(8)})
    assert said == (
        "Steps with the same network were computed with other numbers of threads "
        "(4: train net[draw=0], train net[draw=2]; 8: train net[draw=1])."
    )


def test_other_processors_are_said_with_the_steps_but_not_that_of_the_data() -> None:
    odd = {MADE.chains[2].evaluate.key: computed(2, "Brand 10"), MADE.data.key: computed(1, "Brand 11")}
    (said,) = differences(MADE.plan, alike() | odd)
    assert said.startswith("Steps were computed on processors that round differently (Brand 9: train net[draw=0], ")
    assert said.endswith("and 1 more; Brand 10: evaluate net[draw=2]).")
