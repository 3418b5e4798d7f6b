"""Run a plan: make the artifacts that are wanted and not stored yet.

The steps that can run go to an executor, and their results decide what can run next. Several processes may run plans on
one store: each step is run by the process that locks it first, and the others go on with other steps until it is there.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from satdsl.engine import user_code
from satdsl.engine.budget import Budget, Clock, OutOfTime
from satdsl.engine.errors import Damaged, StoreError
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
    Busy,
    Failed,
    Failure,
    Finished,
    Lost,
    Reused,
    StoreFailed,
    Task,
    TaskEvent,
    TaskResult,
    TaskStarted,
)
from satdsl.engine.executors import Executor
from satdsl.engine.heartbeat import FailedStep, owner_name, this_process
from satdsl.engine.scheduler import Scheduler
from satdsl.engine.staleness import RUNS, Reason, reasons, result_steps
from satdsl.engine.store import Store
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key

_POLL = 0.2
"""Seconds between two looks at a step that another process runs, while there is nothing else to do."""

_LOSSES = 3
"""How often a step is begun again after its process or machine was lost; the next loss is a failure."""


@dataclass(frozen=True)
class Outcome:
    """What a run did. `skipped` gives, for each step that could not run, the failed step it depends on.

    `stored` counts the steps that were stored before, `unneeded` those that had no reason to run; `reused` are those
    that another process made in the meantime; `left` were still to run at an interrupt or when time was up.
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
    out_of_time: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything that was wanted is stored now."""
        return not (self.failed or self.skipped or self.left)


def run(
    plan: Plan,
    store: Store,
    executor: Executor,
    *,
    wanted: Collection[Key] | None = None,
    forced: Collection[Key] = (),
    more: Callable[[], Collection[Key]] = tuple,
    fail_fast: bool = False,
    python: bool = True,
    listen: Listener = lambda event: None,
    budget: Budget | None = None,
) -> Outcome:
    """Make each `wanted` artifact (default: `target_steps(plan)`) that is not stored, and what it is made from.

    If a step fails, only what depends on it is skipped; with `fail_fast` the first failure ends the run. `forced` steps
    run although they are stored. The `executor` works on this same store. A keyboard interrupt ends the run, too: what
    is finished is kept, and so is what the interrupted step had saved; the outcome says so. Whenever nothing is left to
    run, `more` is asked what is wanted besides, from what is stored by then; nothing ends the run. Without leave to run
    `python` of the user's own, a run that would is refused. A run with a `budget` begins no step that is expected not
    to end in time, and stops what still runs when the time is over.

    Raises:
        PythonRefused: the run would execute Python of the user's own; nothing has run.
        StoreError: the store cannot be read or written (a full disk, too); what is finished is kept.
    """
    store.clean_up()
    runner = _Runner(plan, store, executor, listen, fail_fast=fail_fast, python=python, budget=budget)
    return runner.run(wanted, forced, more)


class _Runner:
    """One run: its scheduler, and what has happened to the steps so far."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        executor: Executor,
        listen: Listener,
        *,
        fail_fast: bool,
        python: bool,
        budget: Budget | None,
    ) -> None:
        self.plan = plan
        self.store = store
        self.executor = executor
        self.listen = listen
        self.fail_fast = fail_fast
        self.python = python
        self.clock = Clock(budget)
        self.scheduler = Scheduler(plan, {}, None if budget is None else budget.ranks)
        self.running = 0
        self.finished: list[Key] = []
        self.reused: list[Key] = []
        self.failed: dict[Key, Failure] = {}
        self.skipped: dict[Key, Key] = {}
        self.elsewhere: set[Key] = set()
        self.planned: set[Key] = set()
        self.numbers: dict[Key, int] = {}
        self.losses: Counter[Key] = Counter()

    def run(
        self, wanted: Collection[Key] | None, forced: Collection[Key], more: Callable[[], Collection[Key]]
    ) -> Outcome:
        started = time.monotonic()
        why: dict[Key, Reason] = {}
        interrupted = out_of_time = False
        try:
            self.store.refresh()
            self._check_results(self.plan.steps if wanted is None else wanted)
            why = reasons(self.plan, self.store, wanted=wanted, forced=forced)
            self._open({key: reason for key, reason in why.items() if reason in RUNS})
            self._refuse_python(self.scheduler)
            stored = sum(why[key] == "stored" for key in self.plan.shown)
            self.listen(RunStarted(len(self.planned), stored))
            for file in user_code.executed(self.plan, tuple(self.scheduler)):
                self.listen(file)
            if self.executor.announcement is not None:
                self.listen(self.executor.announcement)
            with self.clock.stopping(), self.executor:
                self._advance_all()
                while not (self.fail_fast and self.failed) and (further := more()):
                    self._add(further)
                    self._advance_all()
        except OutOfTime:
            out_of_time = True
        except KeyboardInterrupt:
            interrupted = True
        outcome = Outcome(
            finished=tuple(self.finished),
            reused=tuple(self.reused),
            failed=self.failed,
            skipped=self.skipped,
            left=tuple(self.scheduler),
            stored=_count(why, "stored"),
            unneeded=_count(why, "not needed"),
            interrupted=interrupted,
            seconds=time.monotonic() - started,
            out_of_time=out_of_time,
        )
        failed, left = self._whole(self.failed), self._whole([*self.failed, *self.skipped, *outcome.left])
        done = sum(key in self.plan.shown for key in self.finished)
        self.listen(RunEnded(done, len(failed), len(left), interrupted, seconds=outcome.seconds))
        return outcome

    def _whole(self, keys: Iterable[Key]) -> set[Key]:
        """Return what is counted of some steps: blocks as their evaluations."""
        return {self.plan.evaluation_of.get(key, key) for key in keys}

    def _open(self, steps: Mapping[Key, Reason]) -> None:
        self.scheduler.add(steps)
        self.planned |= self._whole(steps)

    def _number(self, key: Key) -> int:
        """Number what is counted in the order in which the run meets it."""
        return self.numbers.setdefault(self.plan.evaluation_of.get(key, key), len(self.numbers) + 1)

    def _advance_all(self) -> None:
        while self.scheduler and not (self.fail_fast and self.failed):
            self._advance()

    def _add(self, wanted: Collection[Key]) -> None:
        """Add what is missing of some steps, but for what has failed and what depends on it."""
        self._check_results(wanted)
        why = reasons(self.plan, self.store, wanted=wanted)
        lost = {*self.failed, *self.skipped}
        new: dict[Key, Reason] = {}
        for key, reason in why.items():
            if reason in RUNS and key not in lost:
                if any(source in lost for _, source in self.plan.steps[key].inputs):
                    lost.add(key)
                else:
                    new[key] = reason
        self._refuse_python(new)
        self._open(new)

    def _refuse_python(self, keys: Iterable[Key]) -> None:
        """Raise `PythonRefused` if one of these steps executes Python of the user's own, and none may run."""
        if not self.python:
            user_code.refuse(user_code.executed(self.plan, tuple(keys)))

    def _check_results(self, wanted: Collection[Key]) -> None:
        """Quarantine artifacts that results are read from if they have changed: no wrong number may reach a table."""
        parts = [block for block, key in self.plan.evaluation_of.items() if not self.store.has(key)]
        read = [*result_steps(self.plan.results), *parts]
        stored = [key for key in read if key in wanted and self.store.has(key)]
        self.store.prefetch(stored)
        for key in stored:
            try:
                self.store.fetch(key)
            except Damaged:
                self._retire(key)

    def _advance(self) -> None:
        """Start the tasks that can run, and handle the results that have come."""
        starved = False
        while self.executor.free and not starved:
            key = self.scheduler.next_ready()
            if key is None:
                starved = True
            elif not self.executor.fits(self.plan.steps[key]):
                self.scheduler.put_back(key)
                break
            elif self.clock.allows(key):
                self.running += 1
                self.executor.start(Task(self.plan.steps[key], self.plan.labels[key], self.scheduler.reason(key)))
        if self.running:
            self._handle_results(_POLL if starved else None)
        elif self.clock.held and not self.scheduler.postponed:
            raise OutOfTime  # of all that could run nothing would end in time
        else:
            time.sleep(_POLL)
        if starved:  # what another process had may be done, or free
            self.scheduler.resume()

    def _handle_results(self, seconds: float | None) -> None:
        for task, result in self.executor.wait(self._on_event, seconds):
            self.running -= 1
            self._handle(task.key, result)

    def _on_event(self, task: Task, event: TaskEvent) -> None:
        if isinstance(event, TaskStarted):
            self._announce(task.key)
        else:
            self.listen(event)

    def _handle(self, key: Key, result: TaskResult) -> None:
        label = self.plan.labels[key]
        match result:
            case Finished(seconds):
                self._close(key, self.finished)
                self.listen(StepFinished(key, label, seconds))
            case Reused():
                self._close(key, self.reused)
                self.listen(StepReused(key, label))
            case Busy(owner):
                self.scheduler.postpone(key)
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

    def _close(self, key: Key, where: list[Key]) -> None:
        self.store.recheck(key)
        where.append(key)
        self._number(key)
        self.scheduler.finish(key)

    def _announce(self, key: Key) -> None:
        total, reason = len(self.planned), self.scheduler.reason(key)
        self.listen(StepStarted(key, self._number(key), total, self.plan.labels[key], reason))

    def _fail(self, key: Key, failure: Failure) -> None:
        self.failed[key] = failure
        self._number(key)
        owner, kind = owner_name(this_process()), self.plan.steps[key].kind
        self.listen(StepFailed(key, failure.label, failure.reason, failure.help))
        record = FailedStep(
            key, failure.label, kind, failure.reason, failure.help, failure.details, time=time.time(), owner=owner
        )
        with contextlib.suppress(StoreError):  # if the store takes nothing more, the next step that needs it says so
            self.store.record_failure(record)
        self._skip(self.scheduler.drop(key), because=key)

    def _begin_again(self, key: Key, reason: str) -> None:
        label = self.plan.labels[key]
        self.losses[key] += 1
        if self.losses[key] <= _LOSSES:
            self.listen(StepLost(key, label, reason))
            self.scheduler.add({key: self.scheduler.reason(key)})
        else:
            help = "what it had saved is kept; if it is the step that brings its machine down, give it more memory"
            self._fail(key, Failure(label, f"{reason}, for the {self.losses[key]}th time", help))

    def _skip(self, keys: Iterable[Key], *, because: Key) -> None:
        skipped = tuple(keys)
        self.skipped |= dict.fromkeys(skipped, because)
        for key in skipped:
            self._number(key)
        if skipped:
            self.listen(StepsSkipped(skipped, self.plan.labels[because]))

    def _rebuild(self, key: Key, *, first_for: Key) -> None:
        """Run a damaged input again, and what is missing to make it, before the step that found the damage."""
        self._retire(key)
        why = reasons(self.plan, self.store, wanted=[key])
        again: dict[Key, Reason] = {key: "damaged"}
        again |= {needed: reason for needed, reason in why.items() if reason in RUNS}
        lost = next((needed for needed in again if needed in self.failed or needed in self.skipped), None)
        if lost is None:
            self._refuse_python(again)
            self._open(again)
        else:
            dropped = [first_for, *self.scheduler.drop(first_for)]
            self._skip(dropped, because=self.skipped.get(lost, lost))

    def _retire(self, key: Key) -> None:
        """Quarantine a damaged artifact, unless another process does so or has done so."""
        lock = self.store.lock(key)
        if lock is None:
            return
        with lock:
            fault = self.store.verify(key) if self.store.recheck(key) else None
            if fault is not None:
                self._quarantine(key, fault)

    def _quarantine(self, key: Key, fault: str) -> None:
        place = self.store.quarantine(key, fault)
        self.listen(ArtifactDamaged(key, self.plan.labels[key], fault, place))


def _count(why: Mapping[Key, Reason], reason: Reason) -> int:
    return sum(found == reason for found in why.values())
