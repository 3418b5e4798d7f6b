"""Find the candidate of which most images stand when all attacks are over, without attacking all candidates to the end.

Attacks break images and mend none, so what stands of a candidate is an upper bound of what will stand in the end. This
is branch and bound, best first (Land and Doig, 1960): whoever is ahead is attacked on; the first who is ahead with
nothing left to withstand has won, since no other can end with more. Of equals the earlier epoch is ahead, so the winner
is the one that measuring everyone in full would choose. A candidate is never attacked when it is behind what the winner
ends with, so no other order of the same work is sure of the winner with less, equals aside.

Nothing here knows what an attack is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

MOST_WAITING = 8
"""Candidates whose weights are kept at a time; a race brings them down to one."""


@dataclass(frozen=True)
class Candidate:
    """The weights after `epoch` epochs: so many images still stand; `finished` when no attack is left."""

    epoch: int
    standing: int
    finished: bool = False

    def is_ahead_of(self, other: Candidate | None) -> bool:
        """Return whether it wins if nothing more is broken; of equals the earlier one does."""
        return other is None or (self.standing, -self.epoch) > (other.standing, -other.epoch)


Ahead = Callable[[int], bool]
"""Whether the candidate that is attacked is still ahead when so many of its images stand."""

Attack = Callable[[int, Ahead], Candidate]
"""Attacks the candidate of an epoch for as long as it is ahead, and returns what has become of it."""


def first_of(candidates: Iterable[Candidate]) -> Candidate | None:
    """Return the one that is ahead of all others."""
    first: Candidate | None = None
    for one in candidates:
        if one.is_ahead_of(first):
            first = one
    return first


@dataclass
class Race:
    """The candidates so far, by epoch: those that can win are `waiting`, the others are `beaten`.

    Who is beaten never comes back, so a race among some of the candidates, whose winner waits for later ones, ends as
    one among all of them does.
    """

    most: int = MOST_WAITING
    waiting: dict[int, Candidate] = field(default_factory=dict)
    beaten: dict[int, Candidate] = field(default_factory=dict)

    def knows(self, epoch: int) -> bool:
        """Return whether the candidate of an epoch has entered."""
        return epoch in self.waiting or epoch in self.beaten

    def enter(self, candidate: Candidate) -> bool:
        """Take a candidate in; return whether it can still win."""
        self._update(candidate)
        return candidate.epoch in self.waiting

    @property
    def winner(self) -> Candidate | None:
        """The one that is left, if it has withstood everything."""
        first = first_of(self.waiting.values())
        return first if first is not None and first.finished else None

    @property
    def is_full(self) -> bool:
        """Return whether no further candidate can wait."""
        return len(self.waiting) >= self.most and self.winner is None

    def run(self, attack: Attack) -> None:
        """Attack until only the winner waits."""
        while (first := first_of(self.waiting.values())) is not None and not first.finished:
            self._update(attack(first.epoch, self._ahead(first)))

    def _ahead(self, first: Candidate) -> Ahead:
        rival = first_of(one for one in self.waiting.values() if one is not first)
        return lambda standing: Candidate(first.epoch, standing).is_ahead_of(rival)

    def _update(self, candidate: Candidate) -> None:
        """Note what has become of a candidate, and who has no chance any more."""
        self.waiting[candidate.epoch] = candidate
        best = first_of(one for one in self.waiting.values() if one.finished)
        if best is None:
            return
        for epoch in [one.epoch for one in self.waiting.values() if best.is_ahead_of(one)]:
            self.beaten[epoch] = self.waiting.pop(epoch)
