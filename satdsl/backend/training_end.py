"""End an interrupted training so that it goes on from its last whole epoch: at most the current one is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from satdsl.backend.training_checkpoint import LEAST_SECONDS, TrainingCheckpoint
from satdsl.ir.interrupts import Stop


@dataclass
class TrainingEnd:
    """What a training of so many `epochs` does once it is to `stop`; `say` tells the user."""

    stop: Stop
    saved: TrainingCheckpoint
    epochs: int
    say: Callable[[str], None]
    _told: bool = False

    def after_batch(self, completed: int, share: float, *, began: float) -> None:
        """Between two batches, with this share of an epoch done that began at this `time.monotonic`.

        The epoch is ended first if that is a matter of seconds, or if earlier ones are not saved yet; those are short.

        Raises:
            KeyboardInterrupt: it is given up; those before it are saved.
        """
        if not self.stop.asked or self._told or share >= 1:
            return
        left = (time.monotonic() - began) * (1 - share) / share
        if left > LEAST_SECONDS and self.saved.saved == completed:
            self.say(self._kept(completed))
            raise KeyboardInterrupt
        self._told = True
        self.say(f"epoch {completed + 1} of {self.epochs} is ended first, in {left:.0f} s; Ctrl-C again ends at once")

    def between_epochs(self, completed: int, state: Callable[[], dict[str, Any]], tidy: Callable[[], None]) -> None:
        """Save the state if the training is to stop.

        Raises:
            KeyboardInterrupt: it is saved.
        """
        if not self.stop.asked:
            return
        if self.saved.saved != completed:
            self.saved.save(state())
            tidy()
        self.say(self._kept(completed))
        raise KeyboardInterrupt

    def _kept(self, completed: int) -> str:
        """Return `epochs 1 to 3 of 10 are saved, and it goes on with epoch 4`."""
        if not completed:
            return f"none of its {self.epochs} epochs is done, and it begins anew"
        done = f"epoch 1 of {self.epochs} is" if completed == 1 else f"epochs 1 to {completed} of {self.epochs} are"
        goes_on = f"with epoch {completed + 1}" if completed < self.epochs else "with what follows the last"
        return f"{done} saved, and it goes on {goes_on}"
