"""A race of candidates against measuring all of them in full, on made-up outcomes: the same choice with less work."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from satdsl.backend.candidate_race import Ahead, Candidate, Race


class KilledError(Exception):
    pass


@dataclass
class Outcomes:
    """`broken_at` [candidates, images]: the unit of work that breaks an image, counted from 1; 0 wrong before any, and
    more than `units` for one that withstands all."""

    broken_at: np.ndarray
    units: int
    done: dict[int, int] = field(default_factory=dict)
    """The units that each candidate has been through; what a kill leaves of them."""
    before: list[tuple[int, int]] = field(default_factory=list)
    """The epoch of each unit of work, and what stood before it."""
    killed_after: int = -1

    def standing(self, epoch: int, done: int | None = None) -> int:
        return int((self.broken_at[epoch - 1] > (self.done.get(epoch, 0) if done is None else done)).sum())

    @property
    def epochs(self) -> range:
        return range(1, len(self.broken_at) + 1)

    @property
    def in_full(self) -> Candidate:
        """The choice of who measures everyone in full, and keeps the first of equals."""
        values = [self.standing(epoch, self.units) for epoch in self.epochs]
        best = values.index(max(values))
        return Candidate(best + 1, values[best], finished=True)

    def attack(self, epoch: int, ahead: Ahead) -> Candidate:
        while (done := self.done.get(epoch, 0)) < self.units:
            if not ahead(self.standing(epoch)):
                return Candidate(epoch, self.standing(epoch))
            if len(self.before) == self.killed_after:
                raise KilledError
            self.before.append((epoch, self.standing(epoch)))
            self.done[epoch] = done + 1
        return Candidate(epoch, self.standing(epoch), finished=True)

    def raced(self, most: int = 100) -> Race:
        """Race them as a training does: one enters after the other, and those that wait race whenever they are many."""
        race = Race(most)
        for epoch in self.epochs:
            race.enter(Candidate(epoch, self.standing(epoch, 0)))
            if race.is_full:
                race.run(self.attack)
        race.run(self.attack)
        return race


@st.composite
def outcomes(draw: st.DrawFn) -> Outcomes:
    candidates, images, units = (draw(st.integers(1, most)) for most in (6, 8, 5))
    rows = st.lists(st.integers(0, units + 1), min_size=images, max_size=images)
    return Outcomes(np.array(draw(st.lists(rows, min_size=candidates, max_size=candidates))), units)


@given(outcomes(), st.integers(2, 4) | st.just(100))
@settings(max_examples=400, deadline=None)
def test_the_choice_is_that_of_measuring_everyone_in_full(table: Outcomes, most: int) -> None:
    race = table.raced(most)
    assert race.winner == table.in_full
    assert sorted(race.waiting | race.beaten) == list(table.epochs)
    assert len(race.waiting) == 1
    for epoch, one in race.beaten.items():
        assert one.standing == table.standing(epoch), "a bound is what stands of it"
        assert one.standing >= table.standing(epoch, table.units)
        if one.finished:
            assert one.standing == table.standing(epoch, table.units), "a value is no bound"


@given(outcomes())
@settings(max_examples=200, deadline=None)
def test_nobody_is_attacked_who_is_behind_what_the_winner_ends_with(table: Outcomes) -> None:
    winner = table.raced().winner
    for epoch, standing in table.before:
        assert epoch == winner.epoch or Candidate(epoch, standing).is_ahead_of(winner)


@given(outcomes(), st.integers(0, 20), st.integers(0, 2), st.integers(2, 3) | st.just(100))
@settings(max_examples=300, deadline=None)
def test_a_killed_race_ends_as_one_that_was_not(table: Outcomes, killed_after: int, lost: int, most: int) -> None:
    whole = Outcomes(table.broken_at, table.units).raced(most)
    table.killed_after = killed_after
    try:
        table.raced(most)
    except KilledError:
        epoch = table.before[-1][0] if table.before else 1
        table.done[epoch] = max(0, table.done.get(epoch, 0) - lost)  # not saved yet
    table.killed_after = -1
    again = table.raced(most)
    assert (again.waiting, again.beaten) == (whole.waiting, whole.beaten)


def test_who_cannot_beat_a_finished_candidate_without_attack_is_not_attacked() -> None:
    race = Race()
    assert race.enter(Candidate(1, 40, finished=True))
    assert not race.enter(Candidate(2, 40)), "the first of equals"
    assert race.enter(Candidate(3, 41))
    assert list(race.waiting) == [1, 3]
    assert race.winner is None
    race.run(lambda epoch, ahead: Candidate(epoch, 39))
    assert race.winner == Candidate(1, 40, finished=True)
    assert race.beaten == {2: Candidate(2, 40), 3: Candidate(3, 39)}


def test_no_more_candidates_wait_than_there_is_room_for() -> None:
    generator = np.random.default_rng(3)
    table = Outcomes(generator.integers(1, 6, (30, 20)), 4)
    race, most = Race(4), 0
    for epoch in table.epochs:
        race.enter(Candidate(epoch, table.standing(epoch, 0)))
        most = max(most, len(race.waiting))
        if race.is_full:
            race.run(table.attack)
            assert len(race.waiting) == 1
    race.run(table.attack)
    assert most == 4
    assert race.winner == table.in_full


def test_first_attacks_that_decide_leave_the_dear_ones_to_the_winner() -> None:
    # The first unit breaks 5, 7 and 7 of 10 images, the last one another one.
    table = Outcomes(np.array([[1] * first + [4] + [9] * (9 - first) for first in (5, 7, 7)]), 4)
    assert table.raced().winner == Candidate(1, 4, finished=True)
    assert table.done == {1: 4, 2: 1, 3: 1}
