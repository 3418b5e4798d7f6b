"""Times as people read them, and what they cost."""

from __future__ import annotations

import pytest

from satdsl.ir.minutes import Minutes, Price, Seconds, StepTime
from satdsl.ir.plan import Passes
from satdsl.show.minutes import bill, duration, spread


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3599.7, "1 h"),
        (5400, "1 h 30 min"),
        (47.99 * 3600, "47 h 59 min"),
        (50 * 3600, "2 days 2 h"),
    ],
)
def test_a_time_is_said_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_spread_that_nobody_sees_is_not_shown() -> None:
    assert spread(Seconds(60, 59.9, 60.1)) == ""
    assert spread(Seconds(60, 50, 70)) == "50 s to 1 min 10 s"


def minutes(price: Price) -> Minutes:
    """Two steps of half an hour each, which take three quarters of an hour on two workers of four cores."""
    step = StepTime(Seconds(1800, 1800, 1800), "measured", Passes(1))
    return Minutes("4 cores", 4, {"a": step, "b": step, "c": None}, {1: Seconds(3600), 2: Seconds(2700)}, price=price)


def test_a_gpu_is_paid_while_a_step_holds_it_and_cores_until_the_end() -> None:
    assert bill(minutes(Price(2.5, "gpu"))) == {"hours": 1.0, "money": 2.5, "kwh": None}
    assert bill(minutes(Price(0.1, "cpu"))) == {"hours": 3.0, "money": 0.3, "kwh": None}


def test_energy_is_the_stated_power_until_the_end() -> None:
    assert bill(minutes(Price(watts=200)))["kwh"] == 0.15
    assert bill(minutes(Price())) == {}
