"""`explain` says how long a plan takes here, and `run --budget` does what fits into a time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from satdsl.backend import calibration
from satdsl.cli.minutes import parse_duration, parse_price
from satdsl.ir.minutes import Price
from satdsl.minutes import measuring
from tests.command_line import go_somewhere_empty, satdsl

SPEC = """sat 1
dataset d = synthetic(classes=3, shape=[1, 8, 8], train=60, val=30, holdout=20%)
model m = small_cnn(width=4)
recipe r = sgd(epochs=2, batch=20, lr=0.1)
attack p = pgd(norm=Linf, eps=0.1, steps=2, step_size=0.1)
train a = m on d using r
train b = m on d using r { attack all with p }
evaluate a { clean = clean accuracy on val; robust = robust accuracy under p on val }
evaluate b { clean = clean accuracy on val; robust = robust accuracy under p on val }
expect "b withstands more": b.robust >= a.robust
expect "a sees": a.clean >= 0%
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_somewhere_empty(tmp_path, monkeypatch, columns=80)
    monkeypatch.setenv("SATDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "LONG", 0.02)
    monkeypatch.setattr(measuring, "start_seconds", lambda: 1.5)
    Path("x.sat").write_text(SPEC)


def time_section(*options: str) -> str:
    shown = satdsl("explain", "x.sat", "--device", "cpu", *options).stdout
    assert max(map(len, shown.splitlines())) <= 80
    return " ".join(shown.partition("\nTime\n")[2].split())


def test_it_says_that_it_does_not_know_yet_and_how_to_get_to_know() -> None:
    assert time_section().startswith("not known yet: ")
    assert "`satdsl explain FILE --measure` tries a batch of each network and attack" in time_section()


def test_what_was_measured_once_is_known_from_then_on() -> None:
    measured = time_section("--measure")
    assert "8 from measured batches" in measured or "from measured batches" in measured
    assert "one after the other" in measured
    again = time_section()
    assert again == measured


def test_what_a_run_took_is_what_the_next_one_takes() -> None:
    assert satdsl("run", "x.sat", "--device", "cpu").exit_code == 0
    Path("x.sat").write_text(SPEC.replace("eps=0.1", "eps=0.12"))
    shown = time_section()
    assert "from stored steps like them" in shown
    assert "under attack there stand as many as of 1 stored network like it" in shown


def test_json_has_the_seconds_of_each_step() -> None:
    found = json.loads(satdsl("explain", "x.sat", "--device", "cpu", "--measure", "--format", "json").stdout)
    assert found["time"]["workers"][0]["workers"] == 1
    assert found["time"]["steps_without_a_known_time"] == 0
    trainings = [step for step in found["steps"] if step["kind"] == "train"]
    assert all(step["seconds"]["source"] == "measured" and step["seconds"]["expected"] > 0 for step in trainings)


def test_a_price_and_a_power_are_reckoned_with() -> None:
    shown = time_section("--measure", "--price", "3600/gpu-hour", "--watts", "100", "--jobs", "3")
    assert re.search(r"[\d.]+ in money: 3600 per gpu-hour, while a step holds a GPU", shown)
    assert "kWh, if the machine draws 100 W until the last step ends" in shown
    assert "3 at once" in shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1d", 86_400), ("5min", 300)],
)
def test_times_are_written_as_usual(text: str, seconds: float) -> None:
    assert parse_duration(text, "--budget") == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "-1h", "0s", "1h30", "m30"])
def test_other_texts_are_no_times(text: str) -> None:
    result = satdsl("run", "x.sat", "--budget", text)
    assert result.exit_code == 2
    assert "write it as in --budget 1h30m, 30m or 90s" in result.stderr


@pytest.mark.parametrize("text", ["2.5", "x/gpu-hour", "2.5/hour", "-1/cpu-hour", "2/tpu-hour", "nan/cpu-hour"])
def test_other_texts_are_no_prices(text: str) -> None:
    result = satdsl("explain", "x.sat", "--price", text)
    assert result.exit_code == 2
    assert "write it as in --price 2.5/gpu-hour or --price 0.05/cpu-hour" in result.stderr


def test_a_price_is_of_a_gpu_or_a_core() -> None:
    assert parse_price("2.5/gpu-hour", None) == Price(2.5, "gpu")
    assert parse_price("0.05/cpu-hour", 300.0) == Price(0.05, "cpu", 300.0)


def test_a_budget_that_is_enough_changes_nothing() -> None:
    result = satdsl("run", "x.sat", "--device", "cpu", "--budget", "10m")
    assert result.exit_code == 0
    assert "budget: 10 min; the time of 7 of 7 steps is not known" in " ".join(result.stderr.split())


def test_a_budget_that_is_not_enough_says_what_is_left() -> None:
    """Nothing is begun that is expected to take longer: with hours for a pass, only what makes none is run."""
    satdsl("explain", "x.sat", "--device", "cpu", "--measure")
    (file,) = Path("cache/times").iterdir()
    kept = json.loads(file.read_text())
    kept["seconds"] = {key: [1.0] if key.startswith("{") else [0.01] for key in kept["seconds"]}
    file.write_text(json.dumps(kept))
    result = satdsl("run", "x.sat", "--device", "cpu", "--budget", "20s")
    said = " ".join(result.stderr.split())
    assert result.exit_code == 0
    assert re.search(r"budget: 20 s; all steps take \d+ min \d+ s, one after the other", said)
    assert "the time is over: 6 steps are left" in said
    assert "0 of 2 claims are decided" in said
    assert "go on with: satdsl run x.sat" in said
