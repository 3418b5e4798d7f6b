"""Tell people of an evaluation as one thing while its blocks run, side by side or one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from satdsl.engine.events import (
    Event,
    Listener,
    StepElsewhere,
    StepFailed,
    StepFinished,
    StepPrinted,
    StepProgress,
    StepReused,
    StepsSkipped,
    StepStarted,
    StepStops,
)
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key


@dataclass
class _Evaluation:
    """How far the blocks are: the share that is done of each, and the seconds that the finished ones took."""

    done: dict[Key, float] = field(default_factory=dict)
    seconds: float = 0.0
    told: bool = False
    elsewhere: bool = False
    failed: bool = False


class WholeEvaluations:
    """A listener that passes events on, with those of blocks as events of their evaluations.

    An evaluation starts with the first of its blocks, has the progress of all of them, and is finished when they are
    put together. `stored` says which blocks were there before.
    """

    def __init__(self, plan: Plan, listen: Listener, stored: Callable[[Key], bool] = lambda key: False) -> None:
        self._plan = plan
        self._listen = listen
        self._stored = stored
        self._found: dict[Key, _Evaluation] = {}

    def __call__(self, event: Event) -> None:
        key = getattr(event, "key", None)
        whole = self._plan.evaluation_of.get(key) if key is not None else None
        if key is not None and whole is not None:
            self._of_block(event, whole, key)
        elif key in self._found:
            self._of_evaluation(event, self._found[key])
        elif isinstance(event, StepsSkipped):
            self._skipped(event)
        else:
            self._listen(event)

    def _of_block(self, event: Event, whole: Key, block: Key) -> None:
        label, found = self._plan.labels[whole], self._found.get(whole) or self._met(whole)
        match event:
            case StepStarted():
                if not found.told:
                    found.told = True
                    self._listen(replace(event, key=whole, label=label))
            case StepProgress(done=done, total=total, note=note):
                found.done[block] = done / total if total else 0.0
                self._tell(whole, found, note)
            case StepFinished(seconds=seconds):
                found.done[block] = 1.0
                found.seconds += seconds
                self._tell(whole, found, "")
            case StepReused():
                found.done[block] = 1.0
            case StepElsewhere():
                if not (found.told or found.elsewhere):
                    found.elsewhere = True
                    self._listen(replace(event, key=whole, label=label))
            case StepFailed():
                if not found.failed:
                    found.failed = True
                    self._listen(replace(event, key=whole))
            case StepPrinted() | StepStops():
                self._listen(replace(event, key=whole, label=label))
            case _:
                self._listen(event)

    def _of_evaluation(self, event: Event, found: _Evaluation) -> None:
        match event:
            case StepStarted() if found.told:
                return
            case StepProgress():
                return
            case StepFinished(seconds=seconds):
                self._listen(replace(event, seconds=found.seconds + seconds))
            case _:
                self._listen(event)

    def _met(self, whole: Key) -> _Evaluation:
        stored = [block for block in self._plan.steps[whole].blocks if self._stored(block)]
        self._found[whole] = _Evaluation(dict.fromkeys(stored, 1.0))
        return self._found[whole]

    def _tell(self, whole: Key, found: _Evaluation, note: str) -> None:
        if found.told and not found.failed:
            count = len(self._plan.steps[whole].blocks)
            ended = sum(share == 1.0 for share in found.done.values())
            words = ", ".join(filter(None, [f"{ended}/{count} blocks", note]))
            self._listen(StepProgress(whole, sum(found.done.values()), count, words))

    def _skipped(self, event: StepsSkipped) -> None:
        """Leave out blocks, and evaluations that have been said to have failed."""
        failed = {key for key, found in self._found.items() if found.failed}
        keys = tuple(key for key in event.keys if key in self._plan.shown and key not in failed)
        if keys:
            self._listen(replace(event, keys=keys))
