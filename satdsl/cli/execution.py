"""Read the execution options of `run`, and make the executor that they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from satdsl.cli.output import USAGE, fail

if TYPE_CHECKING:
    from satdsl.engine.execute import Perform
    from satdsl.engine.executors import Executor
    from satdsl.engine.store import Store


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


def make_executor(options: ExecutionOptions | None, store: Store, perform: Perform, data: Path) -> Executor:
    """Return the executor that the options ask for; they are None if there is nothing to execute."""
    from satdsl.engine.execute import ExecutionContext
    from satdsl.engine.executors import LocalExecutor, ProcessExecutor

    if options is None:
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
    if options.name == ExecutorName.local:
        return LocalExecutor(store, place)
    from satdsl.backend.device import devices_for_workers

    return ProcessExecutor(store, place, devices_for_workers(place.device, jobs or 1))


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
