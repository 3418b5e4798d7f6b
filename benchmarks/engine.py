"""What running a plan costs beside its steps: overhead per step here and on Ray, scheduling, a second run, two workers.

The steps are real to the engine (locked, described, flushed, renamed into a store on this disk) and empty or busy to
whoever performs them. Ray is left out, and the page says so, where it is not installed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import itertools
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timing
from timing import Stopwatch, Timed

from satdsl.engine.execute import ExecutionContext
from satdsl.engine.executors import Executor, LocalExecutor, ProcessExecutor
from satdsl.engine.local_store import LocalStore
from satdsl.engine.run import run
from satdsl.engine.scheduler import Scheduler
from satdsl.engine.staleness import RUNS, reasons
from satdsl.engine.store import Store
from satdsl.ir.plan import Plan
from satdsl.ir.steps import CatalogCall, Data, Evaluate, Step, SubsetTraining, Train
from satdsl.ir.work import Work

BUSY = 0.25
"""Seconds of one core that a busy step takes."""


# --- steps ---------------------------------------------------------------------------------------


def empty(step: Step, work: Work) -> None:
    """An artifact of one small file."""
    (work.out / "facts.json").write_text("{}")


def busy(step: Step, work: Work) -> None:
    """A quarter of a second of one thread's computing, measured in CPU time so that neighbours do not count."""
    end, digest = time.thread_time() + BUSY, b""
    while time.thread_time() < end:
        digest = hashlib.sha256(digest * 1000).digest()
    empty(step, work)


def plan_of(steps: int) -> Plan:
    """One data step; then trainings on it, each with its evaluation."""
    data = Step(Data(CatalogCall("digits")))
    made = {data.key: data}
    for seed in itertools.count():
        if len(made) >= steps:
            break
        train = Step(_training(seed), (("data", data.key),))
        evaluate = Step(Evaluate(attack=None, part="val", holdout=None), (("weights", train.key), ("data", data.key)))
        made |= {train.key: train, evaluate.key: evaluate}
    kept = dict(itertools.islice(made.items(), steps))
    return Plan("made up", kept, {key: f"{step.kind} {number}" for number, (key, step) in enumerate(kept.items())}, ())


def trainings(steps: int) -> Plan:
    """Steps that do not depend on each other."""
    made = [Step(_training(seed), ()) for seed in range(steps)]
    return Plan(
        "made up", {step.key: step for step in made}, {step.key: f"step {i}" for i, step in enumerate(made)}, ()
    )


def _training(seed: int) -> Train:
    subsets = (SubsetTraining(None, 1.0),)
    return Train(CatalogCall("small_cnn"), CatalogCall("sgd"), (), None, subsets, mean=(0.5,), std=(0.2,), seed=seed)


# --- what is measured ----------------------------------------------------------------------------


class Bench:
    """Runs plans on stores in a folder that is removed afterwards."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self._count = itertools.count()

    def store(self) -> Store:
        return LocalStore(self.folder / str(next(self._count)))

    def seconds(self, plan: Plan, executor: Executor, store: Store) -> float:
        """Wall time of the run of a plan, all of which must be done."""
        began = time.perf_counter()
        outcome = run(plan, store, executor)
        spent = time.perf_counter() - began
        assert outcome.complete
        return spent

    def overhead(self, steps: int) -> Timed:
        """Milliseconds per empty step, one after the other in this process."""
        plan = plan_of(steps)

        def one() -> tuple[float, Any]:
            store = self.store()
            return self.seconds(plan, LocalExecutor(store, ExecutionContext(empty)), store) * 1000 / steps, None

        return self._timed("an empty step", one)

    def scheduling(self, steps: int) -> Timed:
        """Seconds to find what is to run and to hand out every step in order, nothing being performed."""
        plan, watch = plan_of(steps), Stopwatch("cpu", "wall")

        def schedule() -> None:
            why = reasons(plan, self.store())
            agenda = Scheduler(plan, {key: reason for key, reason in why.items() if reason in RUNS})
            given = 0
            while (key := agenda.next_ready()) is not None:
                agenda.finish(key)
                given += 1
            assert given == steps

        return self._timed("scheduling", watch.run(schedule))

    def again(self, steps: int) -> Timed:
        """Seconds of a run of which everything is stored already."""
        plan, store = plan_of(steps), self.store()
        self.seconds(plan, LocalExecutor(store, ExecutionContext(empty)), store)

        def one() -> tuple[float, Any]:
            fresh = LocalStore(store.root)
            return self.seconds(plan, LocalExecutor(fresh, ExecutionContext(empty)), fresh), None

        return self._timed("a second run", one)

    def workers(self, steps: int) -> tuple[Timed, Timed]:
        """Seconds of the same busy steps with one worker process and with two, both warm."""
        contestants = {"one worker": self._with_workers(1, steps), "two workers": self._with_workers(2, steps)}
        found = timing.in_turns(contestants, self.rounds)
        return found["one worker"], found["two workers"]

    def _with_workers(self, jobs: int, steps: int) -> timing.Run:
        def one() -> tuple[float, Any]:
            store = self.store()
            executor = ProcessExecutor(store, ExecutionContext(busy), ["cpu"] * jobs)
            with executor:  # the first run starts the workers, which stay
                self.seconds(trainings(2 * jobs), _Kept(executor), store)
                return self.seconds(trainings(steps + 2 * jobs), _Kept(executor), store), None

        return one

    def on_ray(self, steps: int) -> tuple[Timed, Timed]:
        """Milliseconds per empty step on Ray, and of as many tasks of Ray's own that do nothing."""
        import ray

        from satdsl.engine.ray_executor import RayExecutor

        nothing = ray.remote(_nothing)
        ray.get([nothing.remote() for _ in range(100)])

        def ours() -> tuple[float, Any]:
            store = self.store()
            return self.seconds(
                trainings(steps), RayExecutor(store, ExecutionContext(empty)), store
            ) * 1000 / steps, None

        def theirs() -> tuple[float, Any]:
            began = time.perf_counter()
            ray.get([nothing.remote() for _ in range(steps)])
            return (time.perf_counter() - began) * 1000 / steps, None

        ours()  # starts the workers and imports the code there
        found = timing.in_turns({"satdsl on Ray": ours, "Ray alone": theirs}, self.rounds)
        return found["satdsl on Ray"], found["Ray alone"]

    def _timed(self, name: str, work: timing.Run) -> Timed:
        return timing.in_turns({name: work}, self.rounds)[name]


class _Kept:
    """An executor whose workers outlive a run."""

    def __init__(self, executor: ProcessExecutor) -> None:
        self._executor = executor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    def __enter__(self) -> _Kept:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def _nothing() -> None:
    return None


@contextmanager
def ray_here() -> Iterator[bool]:
    """Whether Ray is installed; if it is, a cluster of this machine, started as the executor starts it."""
    if importlib.util.find_spec("ray") is None:
        yield False
        return
    from satdsl.engine.ray_executor import started

    with started():
        yield True


# --- the page ------------------------------------------------------------------------------------


def report(bench: Bench, with_ray: bool, options: argparse.Namespace) -> list[str]:
    """Measure, and write it down."""
    load = timing.load_average()
    steps, many = options.steps, 10 * options.steps
    overhead, scheduling, again = bench.overhead(steps), bench.scheduling(many), bench.again(steps)
    one, two = bench.workers(options.busy)
    rows = [
        (f"overhead per step, {steps:,} empty steps, one after the other", "ms", *timing.seconds(overhead)),
        (f"scheduling {many:,} steps", "s", *timing.seconds(scheduling)),
        (f"second run of {steps:,} finished steps", "s", *timing.seconds(again)),
        (f"{options.busy} independent steps of {BUSY:g} s, one worker", "s", *timing.seconds(one)),
        ("the same, two workers", "s", *timing.seconds(two)),
    ]
    aims = [
        timing.at_most("Milliseconds per step", _alone(overhead), 15),
        timing.at_most(f"Seconds to schedule {many:,} steps", _alone(scheduling), 2),
        timing.at_most("Seconds of a second run", _alone(again), 1),
        timing.at_least("Two workers against one", timing.Ratio.of(one, two), 1.8),
    ]
    if with_ray:
        ours, theirs = bench.on_ray(steps)
        rows.append((f"overhead per step on Ray, {steps:,} empty steps", "ms", *timing.seconds(ours)))
        rows.append((f"Ray's own overhead per task, {steps:,} tasks that do nothing", "ms", *timing.seconds(theirs)))
        aims.append(f"Milliseconds per step on Ray, Ray's own taken off: **{_over(ours, theirs)}**.")
    return [
        "# Running a plan",
        "",
        *timing.paragraph(
            f"Written by `benchmarks/engine.py`. Wall-clock time, the median of {options.rounds} rounds. An empty step"
            " leaves one small file; the engine locks it, hashes it, writes its manifest, flushes all of it to the disk"
            " and renames it into the store, so the disk is part of the figure. Scheduling finds what is to run and"
            " hands out every step, those first on which most work waits. A second run checks that everything is there."
            " A busy step computes on one thread until it has had its CPU time. Ray runs on this machine alone."
        ),
        *timing.table(("", "unit", "median", "range"), rows),
        "",
        *[f"- {line}" for line in aims],
        "",
        *([] if with_ray else ["Ray is not installed here and was not measured.", ""]),
        f"{timing.processor()}, {os.cpu_count()} cores. Python {platform.python_version()}"
        + (f", ray {importlib.metadata.version('ray')}." if with_ray else "."),
        timing.load_line(load),
    ]


def _alone(timed: Timed) -> timing.Ratio:
    """Against 1: the figure itself."""
    return timing.Ratio(timed.seconds)


def _over(one: Timed, other: Timed) -> timing.Ratio:
    return timing.Ratio(tuple(a - b for a, b in zip(one.seconds, other.seconds, strict=True)))


def main() -> None:
    """Measure, print, and write the result page."""
    parser = argparse.ArgumentParser(description="What running a plan costs beside its steps.")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count")
    parser.add_argument("--steps", type=int, default=1_000, help="empty steps; ten times as many are scheduled")
    parser.add_argument("--busy", type=int, default=32, help="busy steps")
    parser.add_argument("--output", type=Path, default=timing.RESULTS / "engine.md", help="where the result page goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".engine-") as folder, ray_here() as with_ray:
        timing.publish(options.output, report(Bench(Path(folder), options.rounds), with_ray, options))


if __name__ == "__main__":
    main()
