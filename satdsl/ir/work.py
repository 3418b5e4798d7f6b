"""Define what the engine gives to the code that performs a step, and what that code reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from pathlib import Path

from satdsl.errors import UserError
from satdsl.ir.plan import Passes
from satdsl.records import Record, record


@record
class Progress(Record):
    """The progress of a running step: `done` of `total` units, and a note to show beside them."""

    done: float
    total: float
    note: str = ""


@record
class Computation(Record):
    """What a step was computed with, as far as the rounding of its sums depends on it.

    `threads` is how many threads shared the work of each of its processes; `limit` is the most that the user allowed
    (`OMP_NUM_THREADS`), None where that is no fewer than there are cores. `processor` has the name of the processor,
    and the instructions for vectors that were used.
    """

    threads: int
    limit: int | None
    processor: str
    passes: Passes | None = field(default=None, compare=False)
    """Those that the step made, of its last run; None before its end, and where several processes made them."""


@record
class Load(Record):
    """What a step takes of a machine, as far as the plan tells: threads, bytes of memory, and seconds."""

    threads: int = 1
    memory: int = 0
    seconds: float = 0.0


@record
class Room(Record):
    """What steps share while they run: cores, memory in bytes, and places, of which each step takes one.

    None where there is no limit, or it is not known. `places_are` says in words why there are so many places.
    """

    cores: int | None = None
    memory: int | None = None
    places: int | None = None
    places_are: str = "--jobs says so"

    def holds(self, loads: Iterable[Load]) -> bool:
        """Return whether steps with these loads run side by side. One alone always does."""
        found = list(loads)
        return len(found) <= 1 or (
            (self.places is None or len(found) <= self.places)
            and (self.cores is None or sum(load.threads for load in found) <= self.cores)
            and (self.memory is None or sum(load.memory for load in found) <= self.memory)
        )


@record
class Work(Record):
    """The places where a step finds its inputs and leaves its artifact.

    `inputs` maps each input role to the folder of a finished artifact. The artifact's files go into `out`, an empty
    folder. `scratch` survives a kill: the same step finds there what it last saved. `data_root` is where data sets lie
    unless a data step names another place. `device` is a torch device name; a training takes so many `devices` like it.
    `cores` is how many the step was given; None stands for all that this process may use.
    """

    inputs: Mapping[str, Path]
    out: Path
    scratch: Path
    data_root: Path
    device: str = "cpu"
    download: bool = False
    devices: int = 1
    cores: int | None = None
    report: Callable[[Progress], None] = field(default=lambda progress: None)
    printed: Callable[[str], None] = field(default=lambda line: None)
    """Is told each line that a plug-in prints."""
    computed: Callable[[Computation], None] = field(default=lambda computation: None)
    """Is told what the step is computed with, before it begins, and at its end once more, with its passes."""
    stops: Callable[[str], None] = field(default=lambda text: None)
    """Is told what an interrupted step still does, and what it keeps."""


class StepError(UserError):
    """A step cannot be done, for a reason that its user can mend; `details` is the traceback of a plug-in's error."""

    details: str = ""
