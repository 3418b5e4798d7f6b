"""Read the execution options of `run`, and make the executor that they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from satdsl.cli.output import USAGE, fail

if TYPE_CHECKING:
    from collections.abc import Collection

    from satdsl.engine.execute import ExecutionContext, Perform
    from satdsl.engine.executors import Executor
    from satdsl.engine.store import Store
    from satdsl.ir.plan import Plan
    from satdsl.ir.steps import Key


def jobs_option(given: str) -> int | None:
    """Read the value of `--jobs`: a number, or `auto`."""
    if given == "auto":
        return None
    if not given.isdecimal() or int(given) < 1:
        raise typer.BadParameter(f"{given} is neither auto nor a number of steps, 1 or more")
    return int(given)


class ExecutorName(StrEnum):
    local = "local"
    processes = "processes"
    ray = "ray"
    slurm = "slurm"


@dataclass(frozen=True)
class ExecutionOptions:
    """The options of `run` that say where steps are executed, as they were given."""

    executor: ExecutorName | None
    device: str
    jobs: int | None
    """At most so many steps at once; None lets the machine decide."""
    address: str | None
    slurm: tuple[str, ...]
    cpus_per_step: int | None
    gpus_per_step: int | None

    def __post_init__(self) -> None:
        """Refuse options that the executor would ignore."""
        cluster = self.executor in (ExecutorName.ray, ExecutorName.slurm)
        one_job = "--executor ray or slurm, or one of --jobs"
        for option, given, fits, needs in (
            ("--address", self.address is not None, self.executor == ExecutorName.ray, "--executor ray"),
            ("--slurm", bool(self.slurm), self.executor == ExecutorName.slurm, "--executor slurm"),
            ("--cpus-per-step", self.cpus_per_step is not None, cluster, "--executor ray or slurm"),
            ("--gpus-per-step", (self.gpus_per_step or 1) > 1, self.name != ExecutorName.processes, one_job),
            ("--jobs", (self.jobs or 1) > 1, self.executor != ExecutorName.local, "another executor than local"),
        ):
            if given and not fits:
                fail(f"{option} needs {needs}", USAGE)

    @property
    def name(self) -> ExecutorName:
        """The executor that is asked for, or follows from the number of jobs."""
        return self.executor or (ExecutorName.processes if (self.jobs or 1) > 1 else ExecutorName.local)

    @property
    def undecided(self) -> bool:
        """Whether it is left to the machine how many steps run at once, and in which processes."""
        return self.executor is None and self.jobs is None and (self.gpus_per_step or 1) == 1


def make_executor(
    options: ExecutionOptions, store: Store, perform: Perform, data: Path, plan: Plan, keys: Collection[Key]
) -> Executor:
    """Return the executor that the options ask for, to execute the steps of a plan that have these keys."""
    from satdsl.engine.execute import ExecutionContext
    from satdsl.engine.executors import LocalExecutor

    if not keys:
        return LocalExecutor(store, ExecutionContext(perform, data))
    cpus, gpus, jobs = options.cpus_per_step or 1, options.gpus_per_step, options.jobs
    if options.name in (ExecutorName.ray, ExecutorName.slurm):
        # The device is looked for where the step runs: this machine may have another, or none.
        place = ExecutionContext(perform, data, options.device)
        if options.name == ExecutorName.ray:
            from satdsl.engine.ray_executor import RayExecutor

            return RayExecutor(store, place, address=options.address, cpus=cpus, gpus=gpus, jobs=jobs)
        from satdsl.engine.slurm_executor import SlurmExecutor

        return SlurmExecutor(store, place, options=_slurm_options(options.slurm), cpus=cpus, gpus=gpus, jobs=jobs)
    place = ExecutionContext(perform, data, _device(options.device), devices=gpus or 1)
    if options.undecided or options.name == ExecutorName.processes:
        return _executor_here(options, store, place, plan, keys)
    return LocalExecutor(store, place)


def _executor_here(
    options: ExecutionOptions, store: Store, context: ExecutionContext, plan: Plan, keys: Collection[Key]
) -> Executor:
    """Return what executes as many steps at once on this machine as there is room for, and as pays."""
    from satdsl.backend.device import devices_for_workers
    from satdsl.backend.step_loads import loads, room_on
    from satdsl.engine.executors import LocalExecutor, ProcessExecutor
    from satdsl.engine.parallel import choose

    taken, room = loads(plan, keys, context.device), room_on(context.device, options.jobs)
    found = choose(plan, keys, taken, room, processes=not options.undecided)
    if options.undecided and (found.most == 1 or store.url.startswith("memory://")):
        local = LocalExecutor(store, context)
        local.announcement = found if found.most == 1 else None
        return local
    executor = ProcessExecutor(store, context, devices_for_workers(context.device, found.most), taken, room)
    executor.announcement = found
    return executor


def _device(name: str) -> str:
    from satdsl.backend.device import choose_device

    try:
        return choose_device(name)
    except ValueError as error:
        fail(str(error), USAGE)


def _slurm_options(given: tuple[str, ...]) -> dict[str, str]:
    """Read `partition=gpu,time=60`, given once or several times. A part without `=` belongs to the value before it."""
    found: dict[str, str] = {}
    last = ""
    for part in (part for text in given for part in text.split(",")):
        name, equals, value = part.partition("=")
        if equals and name.strip().replace("-", "").replace("_", "").isalpha():
            last = name.strip()
            found[last] = value.strip()
        elif last:
            found[last] += f",{part}"
        else:
            help = "write it as in --slurm partition=gpu,time=4:00:00"
            fail(f"--slurm takes NAME=VALUE, but it was given `{part}`", USAGE, help)
    return found
