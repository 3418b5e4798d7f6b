"""Take what the code of a step prints off the terminal, where it would damage progress and JSON, and pass it on.

Only the thread of the step is listened to; what others write, such as the live display, goes where it always goes.
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TextIO

from satdsl.ir.work import Progress, Work

MOST_LINES = 200
"""Lines of one step that are passed on; a print in a loop over batches would bury everything else."""

LEFT_OUT = f"it prints more than {MOST_LINES} lines; the others are left out"

WIDEST = 500
"""Characters of a line that are passed on."""


class _Diverted(io.TextIOBase):
    """A text stream that passes each line of one thread to `say`, and the rest to the stream it stands for."""

    def __init__(self, stream: TextIO, say: Callable[[str], None]) -> None:
        self._stream, self._say, self._thread = stream, say, threading.get_ident()
        self._begun = ""
        self.suspended = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False if self._ours else self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def _ours(self) -> bool:
        return not self.suspended and threading.get_ident() == self._thread

    def write(self, text: str) -> int:
        if not self._ours:
            return self._stream.write(text)
        *lines, self._begun = f"{self._begun}{text}".split("\n")
        if len(self._begun) > WIDEST:
            lines, self._begun = [*lines, self._begun], ""
        for line in lines:
            self._say(_shown(line))
        return len(text)

    def flush(self) -> None:
        if not self._ours:
            self._stream.flush()

    def end(self) -> None:
        """Pass on a last line without an end."""
        if self._begun:
            self._say(_shown(self._begun))
            self._begun = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _shown(line: str) -> str:
    """Return what a terminal would show of a line in the end, without what would move its cursor or its colours."""
    last = line.rstrip("\r").rpartition("\r")[2][:WIDEST]
    return "".join(character if character.isprintable() else " " for character in last)


@contextmanager
def diverted(work: Work) -> Iterator[Work]:
    """Give a `work` that goes to the terminal; whatever else is printed inside goes to `work.printed`, line by line."""
    count = 0
    streams: list[_Diverted] = []

    def say(line: str) -> None:
        nonlocal count
        count += 1
        if count <= MOST_LINES:
            to_terminal(work.printed, line)
        elif count == MOST_LINES + 1:
            to_terminal(work.printed, LEFT_OUT)

    def to_terminal(tell: Callable[[Any], None], what: Any) -> None:
        for stream in streams:
            stream.suspended = True
        try:
            tell(what)
        finally:
            for stream in streams:
                stream.suspended = False

    def report(progress: Progress) -> None:
        to_terminal(work.report, progress)

    out, err = _Diverted(sys.stdout, say), _Diverted(sys.stderr, say)
    streams += [out, err]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield replace(work, report=report, printed=say)
        finally:
            out.end()
            err.end()
