"""Runs what a plan wants and the store lacks, one step after the other, on this machine.

Several processes may run plans on one store: each step is run by whoever locks it first, and the others go
on with other steps until it is there.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from satdsl.engine.agenda import Agenda
from satdsl.engine.events import (
    ArtifactDamaged,
    Listener,
    RunEnded,
    RunStarted,
    StepElsewhere,
    StepFailed,
    StepFinished,
    StepProgress,
    StepReused,
    StepsSkipped,
    StepStarted,
)
from satdsl.engine.manifest import Manifest
from satdsl.engine.needs import RUNS, Reason, behind, finals, reasons
from satdsl.engine.store import Damaged, Store, StoreError, is_full
from satdsl.plan.plan import Plan
from satdsl.plan.steps import Key, Step
from satdsl.plan.work import Progress, StepError, Work

__all__ = ["RUNS", "Failure", "Outcome", "Perform", "Reason", "behind", "finals", "reasons", "run"]

Perform = Callable[[Step, Work], None]
"""Does one step: reads `work.inputs`, leaves files in `work.out`; raises `StepError` where it cannot."""

_POLL = 0.2
"""Seconds between two looks at a step that another process runs, while there is nothing else to do."""


@dataclass(frozen=True)
class Failure:
    """Why a step could not be done. `details` is the traceback of an error that nobody foresaw."""

    label: str
    reason: str
    help: str = ""
    details: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a run did. `skipped` gives for each step that could not run the failed step it depends on.

    `stored` counts the steps that were there before, `unneeded` those that had no reason to run; `reused`
    were made by another process in the meantime; `left` were still to run at an interrupt.
    """

    finished: tuple[Key, ...]
    reused: tuple[Key, ...]
    failed: Mapping[Key, Failure]
    skipped: Mapping[Key, Key]
    left: tuple[Key, ...]
    stored: int
    unneeded: int
    interrupted: bool
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether everything that was wanted is now stored."""
        return not (self.failed or self.skipped or self.left)


def run(
    plan: Plan,
    store: Store,
    perform: Perform,
    *,
    wanted: Collection[Key] | None = None,
    forced: Collection[Key] = (),
    device: str = "cpu",
    data_root: Path = Path("data"),
    download: bool = False,
    listen: Listener = lambda event: None,
) -> Outcome:
    """Make each `wanted` artifact (default: `finals(plan)`) that the store lacks, and what it is made from.

    A step that fails takes with it only what depends on it. A keyboard interrupt ends the run: what is
    finished is kept, and so is what the interrupted step had saved; the outcome says so. `forced` steps run
    though stored.

    Raises:
        StoreError: the store cannot be read or written (a full disk, too); what is finished is kept.
    """
    place = functools.partial(Work, data_root=data_root, device=device, download=download)
    return _Runner(plan, store, perform, place, listen).run(wanted, forced)


class _Runner:
    """One run: the agenda, and what has become of the steps so far."""

    def __init__(self, plan: Plan, store: Store, perform: Perform, work: Callable[..., Work], listen: Listener) -> None:
        self.plan = plan
        self.store = store
        self.perform = perform
        self.work = work
        self.listen = listen
        self.agenda = Agenda(plan, {})
        self.finished: list[Key] = []
        self.reused: list[Key] = []
        self.failed: dict[Key, Failure] = {}
        self.skipped: dict[Key, Key] = {}
        self.elsewhere: set[Key] = set()

    def run(self, wanted: Collection[Key] | None, forced: Collection[Key]) -> Outcome:
        started = time.monotonic()
        why: dict[Key, Reason] = {}
        interrupted = False
        try:
            self.store.refresh()
            self._check_results(self.plan.steps if wanted is None else wanted)
            why = reasons(self.plan, self.store, wanted=wanted, forced=forced)
            self.agenda.add({key: reason for key, reason in why.items() if reason in RUNS})
            self.listen(RunStarted(len(self.agenda), _count(why, "stored")))
            while self.agenda:
                self._advance()
        except KeyboardInterrupt:
            interrupted = True
        outcome = Outcome(
            finished=tuple(self.finished),
            reused=tuple(self.reused),
            failed=self.failed,
            skipped=self.skipped,
            left=tuple(self.agenda),
            stored=_count(why, "stored"),
            unneeded=_count(why, "not needed"),
            interrupted=interrupted,
            seconds=time.monotonic() - started,
        )
        left = len(outcome.failed) + len(outcome.skipped) + len(outcome.left)
        self.listen(RunEnded(len(self.finished), len(self.failed), left, interrupted, seconds=outcome.seconds))
        return outcome

    def _check_results(self, wanted: Collection[Key]) -> None:
        """Set aside what results are read from if it has changed: a wrong number must not reach a table."""
        for key in behind(self.plan.results):
            if key in wanted and self.store.has(key) and self.store.verify(key) is not None:
                self._retire(key)

    def _advance(self) -> None:
        key = self.agenda.next_ready()
        if key is None:
            time.sleep(_POLL)
            self.agenda.resume()
            return
        lock = self.store.lock(key)
        if lock is None:
            self._leave_to_other(key)
            return
        with lock:
            if self._is_done(key):
                self.reused.append(key)
                self.agenda.finish(key)
                self.listen(StepReused(key, self.plan.labels[key]))
            else:
                self._attempt(key)

    def _leave_to_other(self, key: Key) -> None:
        self.agenda.postpone(key)
        if key not in self.elsewhere:
            self.elsewhere.add(key)
            self.listen(StepElsewhere(key, self.plan.labels[key], self.store.owner(key)))

    def _is_done(self, key: Key) -> bool:
        """Whether the artifact is there although the step is on the agenda. The step's lock is held."""
        if not self.store.look(key):
            return False
        fault = self.store.inspect(key)
        if fault is not None:
            self._set_aside(key, fault)
            return False
        return self.agenda.reason(key) != "forced"

    def _attempt(self, key: Key) -> None:
        try:
            inputs = {role: self.store.input(source) for role, source in self.plan.steps[key].inputs}
        except Damaged as damaged:
            self._rebuild(damaged.key, first_for=key)
            return
        self._announce(key)
        try:
            made = self._make(key, inputs)
        except (StoreError, KeyboardInterrupt):
            raise
        except Exception as error:
            if is_full(error):
                raise self._full(key) from error
            self._fail(key, error)
        else:
            self.finished.append(key)
            self.agenda.finish(key)
            self.listen(StepFinished(key, made.label, made.seconds))
        finally:
            self.store.discard(key)

    def _make(self, key: Key, inputs: Mapping[str, Path]) -> Manifest:
        started = time.monotonic()
        continued = self.store.is_begun(key)
        step = self.plan.steps[key]
        work = self.work(
            inputs=inputs,
            out=self.store.begin(key),
            scratch=self.store.scratch(key),
            report=functools.partial(self._report, key),
        )
        self.perform(step, work)
        return self.store.commit(
            step,
            self.plan.labels[key],
            seconds=time.monotonic() - started,
            continued=continued,
            device=work.device,
        )

    def _announce(self, key: Key) -> None:
        before = len(self.finished) + len(self.reused) + len(self.failed) + len(self.skipped)
        total = before + len(self.agenda)
        self.listen(StepStarted(key, before + 1, total, self.plan.labels[key], self.agenda.reason(key)))

    def _report(self, key: Key, progress: Progress) -> None:
        self.listen(StepProgress(key, progress.done, progress.total, progress.note))

    def _fail(self, key: Key, error: Exception) -> None:
        failure = _failure(self.plan.labels[key], error)
        self.failed[key] = failure
        self.listen(StepFailed(key, failure.label, failure.reason, failure.help))
        self._skip(self.agenda.drop(key), because=key)

    def _skip(self, keys: Iterable[Key], *, because: Key) -> None:
        skipped = tuple(keys)
        self.skipped |= dict.fromkeys(skipped, because)
        if skipped:
            self.listen(StepsSkipped(skipped, self.plan.labels[because]))

    def _rebuild(self, key: Key, *, first_for: Key) -> None:
        """Put a damaged input, and what is missing to make it, before the step that found the damage."""
        self._retire(key)
        why = reasons(self.plan, self.store, wanted=[key])
        again: dict[Key, Reason] = {key: "damaged"}
        again |= {needed: reason for needed, reason in why.items() if reason in RUNS}
        lost = next((needed for needed in again if needed in self.failed or needed in self.skipped), None)
        if lost is None:
            self.agenda.add(again)
        else:
            dropped = [first_for, *self.agenda.drop(first_for)]
            self._skip(dropped, because=self.skipped.get(lost, lost))

    def _retire(self, key: Key) -> None:
        """Set a damaged artifact aside, unless another process is doing so or has."""
        lock = self.store.lock(key)
        if lock is None:
            return
        with lock:
            fault = self.store.verify(key) if self.store.look(key) else None
            if fault is not None:
                self._set_aside(key, fault)

    def _set_aside(self, key: Key, fault: str) -> None:
        place = self.store.set_aside(key, fault)
        self.listen(ArtifactDamaged(key, self.plan.labels[key], fault, place))

    def _full(self, key: Key) -> StoreError:
        return StoreError(
            f"no room was left on the disk while {self.plan.labels[key]} ran (store: {self.store.root})",
            "make room or choose another place with --store; everything finished so far is kept",
        )


def _failure(label: str, error: Exception) -> Failure:
    if isinstance(error, StepError):
        return Failure(label, error.reason, error.help)
    details = "".join(traceback.format_exception(error))
    return Failure(label, f"{type(error).__name__}: {error}", details=details)


def _count(why: Mapping[Key, Reason], reason: Reason) -> int:
    return sum(found == reason for found in why.values())
