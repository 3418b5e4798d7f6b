"""What `run` is asked about where steps are to be done, to the executor that does them there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from satdsl.cli.common import USAGE, chosen_device, fail, user_errors

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
class Asked:
    """The options of `run` that say where steps are done, as they were given."""

    executor: ExecutorName | None
    device: str
    jobs: int | None
    address: str | None
    slurm: tuple[str, ...]
    cpus_per_step: int | None
    gpus_per_step: int | None

    def __post_init__(self) -> None:
        """Refuse options that the executor would not look at."""
        cluster = self.executor in (ExecutorName.ray, ExecutorName.slurm)
        several = self.executor == ExecutorName.processes or (self.executor is None and (self.jobs or 1) > 1)
        for option, given, fits, needs in (
            ("--address", self.address is not None, self.executor == ExecutorName.ray, "--executor ray"),
            ("--slurm", bool(self.slurm), self.executor == ExecutorName.slurm, "--executor slurm"),
            ("--cpus-per-step", self.cpus_per_step is not None, cluster, "--executor ray or slurm"),
            (
                "--gpus-per-step",
                (self.gpus_per_step or 1) > 1,
                not several,
                "--executor ray or slurm, or one of --jobs",
            ),
            ("--jobs", (self.jobs or 1) > 1, self.executor != ExecutorName.local, "another executor than local"),
        ):
            if given and not fits:
                fail(f"{option} needs {needs}", USAGE)


def executor_for(asked: Asked | None, store: Store, perform: Perform, data: Path) -> Executor:
    """Where to do steps; None: there are none to do."""
    from satdsl.engine.execute import ExecutionContext
    from satdsl.engine.executors import LocalExecutor, ProcessExecutor

    if asked is None:
        return LocalExecutor(store, ExecutionContext(perform, data))
    if asked.executor == ExecutorName.ray:
        from satdsl.engine.ray_executor import RayExecutor

        with user_errors():
            return RayExecutor(
                store,
                ExecutionContext(perform, data, asked.device),
                address=asked.address,
                cpus=asked.cpus_per_step or 1,
                gpus=asked.gpus_per_step,
                jobs=asked.jobs,
            )
    if asked.executor == ExecutorName.slurm:
        from satdsl.engine.slurm_executor import SlurmExecutor

        with user_errors():
            return SlurmExecutor(
                store,
                ExecutionContext(perform, data, asked.device),
                options=_options(asked.slurm),
                cpus=asked.cpus_per_step or 1,
                gpus=asked.gpus_per_step,
                jobs=asked.jobs,
            )
    place = ExecutionContext(perform, data, chosen_device(asked.device), devices=asked.gpus_per_step or 1)
    if asked.executor == ExecutorName.local or (asked.executor is None and (asked.jobs or 1) == 1):
        return LocalExecutor(store, place)
    from satdsl.backend.device import shared_out

    with user_errors():
        return ProcessExecutor(store, place, shared_out(place.device, asked.jobs or 1))


def _options(given: tuple[str, ...]) -> dict[str, str]:
    """`partition=gpu,time=60`, given once or several times, by name. A comma inside a value belongs to it."""
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
            fail(f"--slurm takes NAME=VALUE, as in --slurm partition=gpu,time=4:00:00; this is `{part}`", USAGE)
    return found
