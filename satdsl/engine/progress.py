"""Show the progress of a run: a live display on a terminal, else a line for each start and end of a step."""

from __future__ import annotations

import textwrap
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from rich.cells import cell_len, chop_cells
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from satdsl.engine.events import (
    ArtifactDamaged,
    ClaimsLookedAt,
    Event,
    PythonRuns,
    RunEnded,
    RunStarted,
    StepElsewhere,
    StepFailed,
    StepFinished,
    StepLost,
    StepPrinted,
    StepProgress,
    StepReused,
    StepsAtOnce,
    StepsSkipped,
    StepStarted,
    StepStops,
)
from satdsl.ir.steps import Key

_BESIDE_NOTE = 24
"""Columns beside the bar and the note of a step: indentation, percent, and the time left (`1:23:45`)."""

_LEAST_NAME = 12
"""Columns that the name of a step has at least."""


class PlainProgress:
    """A listener that prints one line for each event."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __call__(self, event: Event) -> None:
        line = _started(event, self.console.width) if isinstance(event, StepStarted) else None
        line = line or _line(event, self.console.width)
        if line is not None:
            self.console.print(line, soft_wrap=True)


class LiveProgress:
    """A listener that keeps the running steps, their bars and the bar of the whole run at the bottom of a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._running: dict[Key, _Running] = {}
        self._run = Progress(
            MofNCompleteColumn(),
            TextColumn("steps"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=console,
        )
        self._whole: TaskID | None = None
        self._live = Live(get_renderable=self._shown, console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted(total=total):
                self._whole = self._run.add_task("", total=total)
            case StepStarted():
                self._running[event.key] = _Running(event, self.console)
                if self._whole is not None:
                    self._run.update(self._whole, total=event.total)
            case StepProgress():
                self._running[event.key].move(event)
            case StepFinished() | StepFailed() | StepReused():
                self._running.pop(event.key, None)
                self._advance(1)
            case StepLost():
                self._running.pop(event.key, None)
            case StepsSkipped(keys=keys):
                self._advance(len(keys))
        line = _line(event, self.console.width)
        if line is not None:
            self.console.print(line, soft_wrap=True)

    def _shown(self) -> Group:
        # Over a copy, because a thread of its own draws the display.
        running = list(self._running.values())
        fit = max(1, (self.console.height - 3) // 2)  # the terminal would cut off the end, which is the whole run
        parts = [part for step in running[:fit] for part in step.shown()]
        left = len(running) - fit
        more = [Text(f"and {left} more {'step' if left == 1 else 'steps'}")] if left > 0 else []
        return Group(*parts, *more, self._run)

    def _advance(self, steps: int) -> None:
        if self._whole is not None:
            self._run.advance(self._whole, steps)


class _Running:
    """The two lines of a running step: what it is, and its bar."""

    def __init__(self, event: StepStarted, console: Console) -> None:
        bar = 24 if console.width >= 100 else 10
        self._room = max(console.width - bar - _BESIDE_NOTE, 0)
        name = shorten(event.label, max(console.width - len(event.reason) - 4, _LEAST_NAME))
        self._heading = Text(f"{name} ({event.reason})")
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("  "),
            BarColumn(bar_width=bar),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=console,
        )

    def move(self, event: StepProgress) -> None:
        if self._task is None:
            # What an earlier run had done says nothing about the speed of this run.
            self._task = self._bar.add_task("", total=event.total, completed=int(event.done))
        note = first_parts(event.note, self._room)
        self._bar.update(self._task, description=note, total=event.total, completed=event.done)

    def shown(self) -> tuple[Text, Progress]:
        return self._heading, self._bar


def progress(console: Console | None = None) -> AbstractContextManager[LiveProgress | PlainProgress]:
    """Return the listener that suits the console (default: standard error), as a context manager.

    `with progress() as listen: run(plan, store, executor, listen=listen)`
    """
    console = console or Console(stderr=True)
    return LiveProgress(console) if console.is_terminal else nullcontext(PlainProgress(console))


def shorten(text: str, width: int) -> str:
    """Shorten a text to at most `width` columns: what does not fit is left out of its middle."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return "…"[: max(width, 0)]
    head = width // 2
    tail = width - head - 1
    ending = chop_cells(text[::-1], tail)[0][::-1] if tail else ""
    return f"{chop_cells(text, head)[0]}…{ending}"


def first_parts(note: str, width: int) -> str:
    """Return as many of a note's parts, between commas, as fit, so that no number is cut in two."""
    parts = note.split(", ")
    while len(parts) > 1 and cell_len(", ".join(parts)) > width:
        parts.pop()
    return shorten(", ".join(parts), width)


def duration(seconds: float) -> str:
    """Write a wall time as people do: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def _started(event: StepStarted, width: int) -> Text:
    count = f"[{event.index}/{event.total}] "
    reason = f" ({event.reason})"
    return Text(count + shorten(event.label, max(width - len(count) - len(reason), _LEAST_NAME)) + reason)


def _line(event: Event, width: int) -> Text | None:
    """Return the line that stays on the terminal. It begins with a word, so that it needs no colour."""
    match event:
        case RunStarted(total=0, stored=stored):
            return Text(f"nothing to run: {_steps(stored)} stored")
        case RunStarted(total=total, stored=stored):
            return Text(f"{_steps(total)} to run, {stored} stored")
        case StepsAtOnce(most=most, reason=reason) if most > 1:
            return Text(f"up to {most} steps at once: {reason}")
        case ClaimsLookedAt():
            return Text(_looked(event), style="bold")
        case PythonRuns(path=path, sha256=digest):
            return Text(f"runs {path} (sha256 {digest[:12]})")
        case StepPrinted(label=label, text=text):
            return Text.assemble(("prints  ", "dim"), f"{label}: {text}")
        case StepStops(label=label, text=text):
            indented = textwrap.indent(textwrap.fill(text, max(width - 8, 16)), " " * 8)
            return _outcome("stops", "yellow", label, "", width).append(f"\n{indented}")
        case StepFinished(label=label, seconds=seconds):
            return _outcome("done", "green", label, f" in {duration(seconds)}", width)
        case StepReused(label=label):
            return _outcome("done", "green", label, " by another process", width)
        case StepElsewhere(label=label, owner=owner):
            return _outcome("waits", "yellow", label, f": runs as {owner}", width)
        case StepLost(label=label, reason=reason):
            return _outcome("lost", "yellow", label, f": {reason}; it is begun again", width)
        case StepsSkipped(keys=keys, because=because):
            return _outcome("skipped", "yellow", f"{_steps(len(keys))}: needs {because}", "", width)
        case StepFailed(label=label, reason=reason, help=help):
            failed = _outcome("failed", "bold red", label, "", width)
            return failed.append("".join(f"\n        {text}" for text in (reason, help) if text))
        case ArtifactDamaged(label=label, fault=fault, place=place):
            damaged = _outcome("damaged", "yellow", label, "", width)
            return damaged.append(f"\n        {fault}; it was moved to {place}")
        case RunEnded():
            return _ended(event)
    return None


def _ended(event: RunEnded) -> Text | None:
    if event.interrupted:
        return Text(f"stopped: {_steps(event.finished)} finished and kept, {event.left} left", style="yellow")
    if event.finished + event.failed + event.left == 0:
        return None
    failed = f", {event.failed} failed, {event.left - event.failed} skipped" if event.left else ""
    return Text(f"{_steps(event.finished)} run in {duration(event.seconds)}{failed}")


def _outcome(word: str, style: str, label: str, rest: str, width: int) -> Text:
    room = max(width - 8 - cell_len(rest), 16)
    return Text.assemble((f"{word:<8}", style), shorten(label, room), rest)


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


def _looked(event: ClaimsLookedAt) -> str:
    """Return `2 of 4 claims are decided, with 15 % of the images attacked; 6 more blocks before the next look`."""
    decided = f"{event.decided} of {event.claims} claims {'is' if event.decided == 1 else 'are'} decided"
    more = f"; {event.blocks} more block{'s' * (event.blocks != 1)} before the next look" if event.blocks else ""
    return f"{decided}, with {100 * event.share:.0f} % of the images attacked{more}"
