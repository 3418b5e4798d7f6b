"""Runs what a plan wants and the store lacks.

What is ready goes to an executor, those steps first on which most work waits; what comes back decides what is ready.
Several processes may run plans on one store: each step is run by whoever locks it first, and the others go
on with other steps until it is there.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from satdsl.engine.agenda import Agenda
from satdsl.engine.events import (
    ArtifactDamaged,
    Listener,
    RunEnded,
    RunStarted,
    StepElsewhere,
    StepFailed,
    StepFinished,
    StepLost,
    StepReused,
    StepsSkipped,
    StepStarted,
)
from satdsl.engine.execute import (
    BadInput,
    Began,
    Busy,
    Ending,
    Failed,
    Failure,
    Finished,
    Lost,
    Reused,
    StoreFailed,
    Task,
    Told,
)
from satdsl.engine.executors import Executor
from satdsl.engine.heartbeat import FailedStep, here, owner_in
from satdsl.engine.staleness import RUNS, Reason, behind, finals, reasons
from satdsl.engine.store import Damaged, Store, StoreError
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key

__all__ = ["RUNS", "Failure", "Outcome", "Reason", "behind", "finals", "reasons", "run"]

_POLL = 0.2
"""Seconds between two looks at a step that another process runs, while there is nothing else to do."""

_LOSSES = 3
"""How often a step is begun again whose process or machine was lost; the next time it has failed."""


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
    executor: Executor,
    *,
    wanted: Collection[Key] | None = None,
    forced: Collection[Key] = (),
    fail_fast: bool = False,
    listen: Listener = lambda event: None,
) -> Outcome:
    """Make each `wanted` artifact (default: `finals(plan)`) that the store lacks, and what it is made from.

    A step that fails takes with it only what depends on it. A keyboard interrupt ends the run: what is
    finished is kept, and so is what the interrupted step had saved; the outcome says so. `forced` steps run
    though stored. Steps are done where `executor` does them, on this same store; with `fail_fast` the first step
    that fails ends the run.

    Raises:
        StoreError: the store cannot be read or written (a full disk, too); what is finished is kept.
    """
    store.tidy()
    return _Runner(plan, store, executor, listen, fail_fast=fail_fast).run(wanted, forced)


class _Runner:
    """One run: the agenda, and what has become of the steps so far."""

    def __init__(self, plan: Plan, store: Store, executor: Executor, listen: Listener, *, fail_fast: bool) -> None:
        self.plan = plan
        self.store = store
        self.executor = executor
        self.listen = listen
        self.fail_fast = fail_fast
        self.agenda = Agenda(plan, {})
        self.running = 0
        self.begun: set[Key] = set()
        self.finished: list[Key] = []
        self.reused: list[Key] = []
        self.failed: dict[Key, Failure] = {}
        self.skipped: dict[Key, Key] = {}
        self.elsewhere: set[Key] = set()
        self.losses: Counter[Key] = Counter()

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
            with self.executor:
                while self.agenda and not (self.fail_fast and self.failed):
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
        stored = [key for key in behind(self.plan.results) if key in wanted and self.store.has(key)]
        self.store.prepare(stored)
        for key in stored:
            try:
                self.store.input(key)
            except Damaged:
                self._retire(key)

    def _advance(self) -> None:
        """Give out what can run, and take in what has ended."""
        starved = False
        while self.executor.free and not starved:
            key = self.agenda.next_ready()
            if key is None:
                starved = True
            else:
                self.running += 1
                self.executor.start(Task(self.plan.steps[key], self.plan.labels[key], self.agenda.reason(key)))
        if self.running:
            self._listen_to_executor(_POLL if starved else None)
        else:
            time.sleep(_POLL)
        if starved:  # what another process had may be done, or free
            self.agenda.resume()

    def _listen_to_executor(self, seconds: float | None) -> None:
        for task, ending in self.executor.wait(self._hear, seconds):
            self.running -= 1
            self.begun.discard(task.key)
            self._settle(task.key, ending)

    def _hear(self, task: Task, told: Told) -> None:
        if isinstance(told, Began):
            self._announce(task.key)
        else:
            self.listen(told)

    def _settle(self, key: Key, ending: Ending) -> None:
        label = self.plan.labels[key]
        match ending:
            case Finished(seconds):
                self._take_in(key, self.finished)
                self.listen(StepFinished(key, label, seconds))
            case Reused():
                self._take_in(key, self.reused)
                self.listen(StepReused(key, label))
            case Busy(owner):
                self.agenda.postpone(key)
                if key not in self.elsewhere:
                    self.elsewhere.add(key)
                    self.listen(StepElsewhere(key, label, owner))
            case BadInput(damaged):
                self._rebuild(damaged, first_for=key)
            case Failed(failure):
                self._fail(key, failure)
            case Lost(reason):
                self._begin_again(key, reason)
            case StoreFailed(reason, help):
                raise StoreError(reason, help)

    def _take_in(self, key: Key, where: list[Key]) -> None:
        self.store.look(key)
        where.append(key)
        self.agenda.finish(key)

    def _announce(self, key: Key) -> None:
        before = len(self.finished) + len(self.reused) + len(self.failed) + len(self.skipped)
        total = before + len(self.agenda)
        self.begun.add(key)
        self.listen(StepStarted(key, before + len(self.begun), total, self.plan.labels[key], self.agenda.reason(key)))

    def _fail(self, key: Key, failure: Failure) -> None:
        self.failed[key] = failure
        owner, kind = owner_in(here()), self.plan.steps[key].kind
        said = (failure.label, kind, failure.reason, failure.help, failure.details)
        self.listen(StepFailed(key, failure.label, failure.reason, failure.help))
        with contextlib.suppress(StoreError):  # a store that takes nothing more stops the run where a step needs it
            self.store.note_failure(FailedStep(key, *said, time=time.time(), owner=owner))
        self._skip(self.agenda.drop(key), because=key)

    def _begin_again(self, key: Key, reason: str) -> None:
        label = self.plan.labels[key]
        self.losses[key] += 1
        if self.losses[key] <= _LOSSES:
            self.listen(StepLost(key, label, reason))
            self.agenda.add({key: self.agenda.reason(key)})
        else:
            help = "what it had saved is kept; if it is the step that brings its machine down, give it more memory"
            self._fail(key, Failure(label, f"{reason}, for the {self.losses[key]}th time", help))

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


def _count(why: Mapping[Key, Reason], reason: Reason) -> int:
    return sum(found == reason for found in why.values())
