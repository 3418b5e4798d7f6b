"""Define the events that a runner sends to its listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from satdsl.engine.staleness import Reason
from satdsl.ir.steps import Key


@dataclass(frozen=True)
class RunStarted:
    """`total` steps are to run; `stored` steps are stored already."""

    total: int
    stored: int


@dataclass(frozen=True)
class StepsAtOnce:
    """So many steps run at once, `most` at most, for `reason`; one of them in this process."""

    most: int
    reason: str


@dataclass(frozen=True)
class PythonRuns:
    """The run executes Python of the user's own: the file at `path`. `sha256` is that of its code, as in keys."""

    path: str
    sha256: str


@dataclass(frozen=True)
class ClaimsLookedAt:
    """Of a run that stops at verdicts: `decided` of `claims` are, with this `share` of their images measured.

    `blocks` are measured before the next look; 0 where this was the last.
    """

    decided: int
    claims: int
    share: float
    blocks: int


@dataclass(frozen=True)
class StepStarted:
    """The `index`-th of `total` steps begins; the first has index 1."""

    key: Key
    index: int
    total: int
    label: str
    reason: Reason


@dataclass(frozen=True)
class StepProgress:
    """The running step has done `done` of `total` units."""

    key: Key
    done: float
    total: float
    note: str


@dataclass(frozen=True)
class StepPrinted:
    """A plug-in printed a line while the step ran."""

    key: Key
    label: str
    text: str


@dataclass(frozen=True)
class StepStops:
    """The step is interrupted; `text` says what it still does, or what it keeps."""

    key: Key
    label: str
    text: str


@dataclass(frozen=True)
class StepFinished:
    """The step's artifact is stored; `seconds` of wall time."""

    key: Key
    label: str
    seconds: float


@dataclass(frozen=True)
class StepFailed:
    """The step cannot be executed. What depends on it is skipped."""

    key: Key
    label: str
    reason: str
    help: str


@dataclass(frozen=True)
class StepLost:
    """The process that executed the step is gone, for `reason`; the step continues from what it had saved."""

    key: Key
    label: str
    reason: str


@dataclass(frozen=True)
class StepsSkipped:
    """These steps cannot run because the one labelled `because` failed."""

    keys: tuple[Key, ...]
    because: str


@dataclass(frozen=True)
class StepElsewhere:
    """Another process (`owner`) runs the step at this moment; its artifact will be used."""

    key: Key
    label: str
    owner: str


@dataclass(frozen=True)
class StepReused:
    """Another process has finished the step in the meantime."""

    key: Key
    label: str


@dataclass(frozen=True)
class ArtifactDamaged:
    """An artifact was not what its manifest says. It was moved to `place` and will be made again."""

    key: Key
    label: str
    fault: str
    place: str


@dataclass(frozen=True)
class RunEnded:
    """The run is over. `left` steps were to run and are not finished, failed ones included."""

    finished: int
    failed: int
    left: int
    interrupted: bool
    seconds: float


Event = (
    RunStarted
    | StepsAtOnce
    | PythonRuns
    | ClaimsLookedAt
    | StepStarted
    | StepProgress
    | StepPrinted
    | StepStops
    | StepFinished
    | StepFailed
    | StepLost
    | StepsSkipped
    | StepElsewhere
    | StepReused
    | ArtifactDamaged
    | RunEnded
)

Listener = Callable[[Event], None]


def broadcast(*listeners: Listener) -> Listener:
    """Return a listener that passes every event to these listeners, in this order."""

    def each(event: Event) -> None:
        for listen in listeners:
            listen(event)

    return each
