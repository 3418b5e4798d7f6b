"""Let a step save what it has before an interrupt ends it: Ctrl-C (SIGINT), or SIGTERM, as Slurm and `kill` send."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Whether this process has been asked to end. What sees that saves, and raises KeyboardInterrupt."""

    asked: bool = False


@contextmanager
def saved_first() -> Iterator[Stop]:
    """Note an interrupt inside instead of raising it; a second SIGINT is raised at once.

    SIGTERM may come twice for one wish, from Slurm and from the parent of a worker, and is noted each time. Signals
    that are ignored stay so. Outside of the main thread, which alone hears of signals, nothing is changed.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        if stop.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.asked = True

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in heard:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
    if stop.asked:
        raise KeyboardInterrupt


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Raise KeyboardInterrupt inside on SIGTERM, too; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, raise_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def raise_interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal as Ctrl-C is handled."""
    raise KeyboardInterrupt
