"""How long steps take on several workers: the bounds that any order has, and a plan that was reckoned by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satdsl.minutes.schedule import chain_seconds, makespan

Steps = tuple[dict[int, float], dict[int, list[int]]]


@st.composite
def dags(draw: st.DrawFn) -> Steps:
    """Steps 0, 1, ..., each of which needs some that come before it."""
    count = draw(st.integers(1, 12))
    seconds = {step: float(draw(st.integers(0, 20))) for step in range(count)}
    inputs = {step: draw(st.lists(st.integers(0, step - 1), max_size=3)) if step else [] for step in range(count)}
    return seconds, inputs


@given(dags(), st.integers(1, 5))
def test_it_lies_between_what_no_order_beats_and_grahams_bound(steps: Steps, workers: int) -> None:
    seconds, inputs = steps
    users: dict[int, list[int]] = {step: [] for step in seconds}
    for step, needed in inputs.items():
        for one in needed:
            users[one].append(step)
    least = max(sum(seconds.values()) / workers, *chain_seconds(seconds, users).values())
    found = makespan(seconds, inputs, workers)
    assert least - 1e-9 <= found <= (2 - 1 / workers) * least + 1e-9


@given(dags())
def test_one_worker_takes_the_sum(steps: Steps) -> None:
    assert makespan(*steps, 1) == pytest.approx(sum(steps[0].values()))


def test_the_longest_chain_goes_first() -> None:
    """On two workers: `a` (1) then `b` (5) beside `c` and `d` (2 each), and `e` (1) which needs both chains."""
    seconds = {"c": 2.0, "d": 2.0, "a": 1.0, "b": 5.0, "e": 1.0}
    inputs = {"b": ["a"], "e": ["b", "d"]}
    assert makespan(seconds, inputs, 2) == 7
    assert makespan(seconds, inputs, 2, rank=lambda step: {"c": 2, "d": 1}.get(step, 0)) == 9


def test_what_is_no_step_of_it_is_there_already() -> None:
    assert makespan({"a": 3.0}, {"a": ["stored"]}, 2) == 3
    assert makespan({}, {}, 2) == 0
