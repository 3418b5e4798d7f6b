"""How near the times that `explain` says come to the truth: predict, run, and compare.

    python benchmarks/minutes.py [SPECIFICATION ...] [--jobs N] [--data DIR] [--set NAME=VALUE]

Of each specification (the demo, the first example and the small CIFAR-10, where nothing is named) three things are
printed, in a store and a cache of their own:

1. What measured batches say before anything ran (`--measure`), once with every image standing under attack, and once
   with as many as then stood: the first is an upper bound, the second tells how good the measured times are by
   themselves. Both beside what the run took.
2. What the stored steps then say of the same specification with every seed and radius a little changed
   (`--changed EPS`), beside what that run took.

The ratio is that of the prediction to the truth: 1.00 is exact, and 0.75 to 1.25 is the aim. Run it on a machine that
does nothing else.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from satdsl.backend import perform
from satdsl.backend.calibration import seconds_per_pass
from satdsl.backend.device import choose_device
from satdsl.cli.execution import ExecutionOptions, ExecutorName, make_executor
from satdsl.compile import check_file
from satdsl.engine.local_store import LocalStore
from satdsl.engine.run import run
from satdsl.engine.staleness import RUNS, reasons
from satdsl.ir.plan import Plan
from satdsl.minutes.calibrations import Calibrations, this_device
from satdsl.minutes.estimate import estimate
from satdsl.minutes.measuring import measure, missing
from satdsl.minutes.stored import Stored
from satdsl.plan.expand import expand
from satdsl.show.minutes import duration, spread

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
USUAL = ("first.sat", "digits.sat", "cifar10-small.sat")


@dataclass(frozen=True)
class Bench:
    """Where plans are run: a store, measured times, and so many workers."""

    store: LocalStore
    calibrations: Calibrations
    jobs: int
    data: Path

    def predict(self, plan: Plan) -> str:
        """What the plan is said to take now, with its spread."""
        time, unknown = self._predicted(plan)
        more = f", {unknown} steps not known" if unknown else ""
        return f"{duration(time)} ({self._spread(plan) or 'no spread'}{more})"

    def seconds(self, plan: Plan) -> float:
        return self._predicted(plan)[0]

    def _predicted(self, plan: Plan) -> tuple[float, int]:
        found = estimate(plan, self._to_run(plan), Stored(plan, self.store, self.calibrations.device),
                         self.calibrations, (self.jobs,))  # fmt: skip
        return found.workers[self.jobs].expected, len(found.unknown)

    def _spread(self, plan: Plan) -> str:
        stored = Stored(plan, self.store, self.calibrations.device)
        return spread(estimate(plan, self._to_run(plan), stored, self.calibrations, (self.jobs,)).workers[self.jobs])

    def _to_run(self, plan: Plan) -> list[str]:
        return [key for key, reason in reasons(plan, self.store).items() if reason in RUNS]

    def measure(self, plan: Plan) -> float:
        started = time.monotonic()
        wanted = missing(plan, plan.steps, self.calibrations)
        measure(wanted, self.calibrations, seconds_per_pass, perform, choose_device("cpu"), lambda line: None)
        return time.monotonic() - started

    def run(self, plan: Plan) -> float:
        """Run what is not stored; return the seconds it took."""
        name = ExecutorName.processes if self.jobs > 1 else ExecutorName.local
        options = ExecutionOptions(name, "cpu", self.jobs if self.jobs > 1 else None, None, (), None, None)
        started = time.monotonic()
        outcome = run(
            plan, self.store, make_executor(options, self.store, perform, self.data, plan, self._to_run(plan))
        )
        if not outcome.complete:
            raise SystemExit(f"the run did not end: {[one.reason for one in outcome.failed.values()]}")
        return time.monotonic() - started


def changed(text: str) -> str:
    """The same experiment with a radius that is a twentieth smaller, so that no step is one that is stored."""
    return re.sub(r"\beps(\s*)=(\s*)([\d.]+)", lambda m: f"eps{m[1]}={m[2]}{0.95 * float(m[3]):.4g}", text)


def rows(path: Path, bench: Bench, sets: Sequence[str]) -> Iterator[tuple[str, float, float, str]]:
    """(what was predicted, the prediction, the truth, in words) of a specification."""
    overrides = dict(one.split("=", 1) for one in sets)
    plan = expand(check_file(path, overrides))
    took = bench.measure(plan)
    words, bound = bench.predict(plan), bench.seconds(plan)
    truth = bench.run(plan)
    yield f"measured ({duration(took)}), all that are right stand", bound, truth, words
    known = Bench(LocalStore(Path(tempfile.mkdtemp())), bench.calibrations, bench.jobs, bench.data)
    yield "measured, as many stand as did", standing_as_found(plan, bench, known), truth, ""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, path.name)
        other.write_text(changed(path.read_text()))
        again = expand(check_file(other, overrides))
        words, predicted = bench.predict(again), bench.seconds(again)
        yield "stored, another radius", predicted, bench.run(again), words


def standing_as_found(plan: Plan, bench: Bench, empty: Bench) -> float:
    """What measured times say when it is known how many images withstood: as many passes as the run made."""
    found = 0.0
    of_pass = estimate(plan, plan.steps, Stored(plan, empty.store, bench.calibrations.device), bench.calibrations, (1,))
    for key, timed in of_pass.steps.items():
        made = bench.store.manifest(key).computed
        if timed is None:
            continue
        planned = plan.passes[key].cost
        passes = made.passes.cost if made is not None and made.passes is not None else planned
        found += timed.seconds.expected * (passes / planned if planned else 1.0)
    return found + (of_pass.start.expected if of_pass.start else 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=[EXAMPLES / name for name in USUAL])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    for path in args.files:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(LocalStore(Path(folder)), Calibrations(this_device("cpu")), args.jobs, args.data)
            print(f"{path.name}, {args.jobs} at once")
            for what, predicted, truth, words in rows(path, bench, args.set):
                line = f"{duration(predicted):>12}  took {duration(truth):>12}  ratio {predicted / truth:5.2f}"
                print(f"  {what:48}{line}  {words}", flush=True)


if __name__ == "__main__":
    main()
