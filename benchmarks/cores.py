"""Runs of whole specifications: beside busy programs and alone, and several steps at once against one with all cores.

`examples/first.sat` runs alone and beside two programs that keep a core busy each. The demo, `examples/digits.sat`,
runs with `--jobs auto`, with `--jobs 1`, and as it would by one process whose every step has a thread for each core.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import timing
from timing import Ratio, Run, Timed
from workbench import arguments

ROOT = Path(__file__).resolve().parents[1]

SPECIFICATIONS = {"first": ROOT / "examples/first.sat", "digits": ROOT / "examples/digits.sat"}

ALL_CORES = """
import sys
from satdsl.backend import threads
threads.SHARE = 1
from satdsl.cli import main
sys.argv[0] = "satdsl"
main()
"""
"""satdsl with a rule by which every step takes all cores."""


def run(name: str, *options: str, busy: int = 0, all_cores: bool = False) -> Run:
    """A run of a specification into a store that is new."""
    program = ["-c", ALL_CORES] if all_cores else ["-m", "satdsl"]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}

    def once() -> tuple[float, Any]:
        with tempfile.TemporaryDirectory() as folder, timing.busy_programs(busy):
            command = [sys.executable, *program, "run", str(SPECIFICATIONS[name]), "--store", folder, *options]
            began = time.perf_counter()
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - began
            return seconds, done.stdout.split("report:")[0]

    return once


def main() -> None:
    parser = arguments("cores", __doc__ or "")
    parser.add_argument("--only", choices=("first", "digits"), help="one of the two parts")
    options = parser.parse_args()
    load, rounds, lines = timing.load_average(), options.rounds or 1, ["# Runs on a machine's cores", ""]
    lines += timing.paragraph(
        "Whole runs, from the command to the report, in wall-clock seconds, each into an empty store."
    )
    if options.only != "digits":
        lines += first(rounds)
    if options.only != "first":
        lines += demo(rounds)
    timing.publish(options.output, [*lines, *timing.machine("cpu", (), load)])


def first(rounds: int) -> list[str]:
    """`examples/first.sat`, and how much slower two busy programs make it."""
    found = timing.in_turns({"alone": run("first"), "beside two busy programs": run("first", busy=2)}, rounds)
    alone, beside = found.values()
    ratio = timing.at_most("Beside two busy programs over alone", Ratio.of(beside, alone), 2.5)
    return ["## `examples/first.sat`", "", *_table(found), "", ratio, ""]


def demo(rounds: int) -> list[str]:
    """`examples/digits.sat` in three ways, and whether two of them found the same numbers."""
    contestants = {
        "`--jobs auto`": run("digits"),
        "`--jobs 1`": run("digits", "--jobs", "1"),
        "one process, a thread for each core": run("digits", "--jobs", "1", all_cores=True),
    }
    found = timing.in_turns(contestants, rounds)
    auto, one, wide = found.values()
    ratios = [
        timing.at_least("One process with a thread for each core over `--jobs auto`", Ratio.of(wide, auto), 1.8),
        f"`--jobs 1` over `--jobs auto`: **{Ratio.of(one, auto)}**.",
    ]
    same = "the same numbers" if auto.outcome == one.outcome else "OTHER NUMBERS, which must not be"
    return ["## The demo", "", *_table(found), "", *ratios, f"`--jobs auto` and `--jobs 1` gave {same}.", ""]


def _table(found: dict[str, Timed]) -> list[str]:
    return timing.table(["run", "seconds", "range"], [(name, *timing.seconds(one)) for name, one in found.items()])


if __name__ == "__main__":
    main()
