"""Report a run while it goes on: to the terminal, to a log, to an experiment tracker."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli.output import say, stderr

if TYPE_CHECKING:
    from satdsl.engine.events import Event, Listener
    from satdsl.engine.store import Store
    from satdsl.ir.plan import Plan
    from satdsl.ir.steps import Key
    from satdsl.report.tracking import Tracker


class LogFormat(StrEnum):
    text = "text"
    json = "json"


class TrackerName(StrEnum):
    tensorboard = "tensorboard"
    mlflow = "mlflow"
    wandb = "wandb"


LogFormatOption = Annotated[
    LogFormat, typer.Option("--log-format", help="What is written to standard error: text, or one JSON line an event.")
]
TrackOption = Annotated[
    TrackerName | None, typer.Option("--track", help="Also show each training in an experiment tracker.")
]
TrackToOption = Annotated[
    str | None,
    typer.Option(
        "--track-to",
        metavar="PLACE",
        help="TensorBoard's folder, MLflow's URI, or wandb's project; in STORE by default.",
    ),
]


def log(format: LogFormat) -> AbstractContextManager[Listener]:
    """Return the listener that writes to standard error."""
    import sys

    from satdsl.engine.json_log import JsonLog
    from satdsl.engine.progress import progress

    return nullcontext(JsonLog(sys.stderr)) if format is LogFormat.json else progress(stderr())


def shown(format: LogFormat, plan: Plan, store: Store, listen: Listener) -> Listener:
    """Return the listener with which people are told of whole evaluations; programs are told of their blocks."""
    from satdsl.engine.whole_evaluations import WholeEvaluations

    return listen if format is LogFormat.json else WholeEvaluations(plan, listen, store.has)


class StepWarnings:
    """A listener that says what a step warns of as soon as it is done, before more is made of it.

    It tells of data, whose images are to be trained on, and of trainings that end at chance.
    """

    def __init__(self, format: LogFormat, plan: Plan, store: Store) -> None:
        self._shown, self._plan, self._store = format is LogFormat.text, plan, store

    def __call__(self, event: Event) -> None:
        from satdsl.engine.events import StepFinished

        if not self._shown or not isinstance(event, StepFinished):
            return
        from satdsl.report.artifact_reader import NotStored, ReportError

        try:
            for text in self._found(event.key):
                say(f"warning: {event.label}: {text}", stderr())
        except (NotStored, ReportError):  # the results say what is wrong with the artifact
            return

    def _found(self, key: Key) -> Sequence[str]:
        kind = self._plan.steps[key].kind
        if kind == "data":
            from satdsl.report.artifact_reader import ArtifactReader

            return ArtifactReader(self._store).data_warnings(key)
        if kind in ("train", "head"):
            from satdsl.report.result_warnings import chance_warning

            text = chance_warning(self._plan, self._store, key)
            return () if text is None else (text,)
        return ()


class Tracking:
    """A listener that puts each training into a tracker as soon as it is stored, and all of them at the end."""

    def __init__(self, name: TrackerName | None, place: str | None, plan: Plan, store: Store) -> None:
        self._plan, self._store = plan, store
        self._tracker: Tracker | None = None
        if name is not None:
            from satdsl.report.tracking import tracker

            self._tracker = tracker(name.value, place, store.work_folder[0], plan.title)

    def __call__(self, event: Event) -> None:
        from satdsl.engine.events import StepFinished

        if isinstance(event, StepFinished) and self._plan.steps[event.key].kind in ("train", "head"):
            self.put([event.key])

    def put(self, keys: list[Key] | None = None) -> None:
        """Put what is stored of these trainings, or of all if None. A tracker that fails is not used again."""
        from satdsl.report.tracking import runs

        if self._tracker is None:
            return
        try:
            for run in runs(self._plan, self._store, keys):
                self._tracker.put(run)
        except Exception as error:  # A tracker's network or database can raise anything, and must not stop the run.
            self._tracker = None
            reason = f"{type(error).__name__}: {error}"
            say(f"tracking has stopped ({reason}); the run goes on, and a later run with --track adds it", stderr())
