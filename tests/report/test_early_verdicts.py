"""Which blocks of images `run --decide` asks for, and when it stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_results import Study, at, compare, study_in

from satdsl.engine.events import ClaimsLookedAt, Event
from satdsl.ir.claim_needs import steps_of_claims
from satdsl.ir.plan import Arithmetic, Claim, Expression, Reduced
from satdsl.ir.steps import Step
from satdsl.report.decide import Decisions, judged_in_full

N, COUNT = 2000, 20


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


class Measuring:
    """Stores the blocks that are asked for, as a run does, and keeps their numbers by network."""

    def __init__(self, study: Study, shares: dict[str, float], workers: int = 1, broken: tuple[str, int] = ("", 0)):
        self.study = study
        self.events: list[Event] = []
        self.measured: dict[str, list[int]] = {name: [] for name in shares}
        self.whole: set[str] = set()
        self._of: dict[str, tuple[str, int, np.ndarray]] = {}
        self._broken = broken
        order = np.random.default_rng(5).permutation(N)
        for k, (name, share) in enumerate(shares.items()):
            right = (np.arange(N) < share * N)[order]
            step = study.evaluation_in_blocks(right, COUNT, 0, lr=0.1 * (k + 1))
            study.accuracy(f"{name}.robust", step)
            self._of |= {block: (name, i, right) for i, block in enumerate(step.blocks)}
            self._of[step.key] = (name, -1, right)
        self.workers = workers

    def run(self) -> list[int]:
        """Return how many blocks were measured between two looks."""
        decisions = Decisions(self.study.plan, self.study.store, lambda: self.workers, self.events.append)
        rounds, wanted = [], decisions.first
        while wanted:
            rounds.append(sum(self._measure(key) for key in wanted))
            wanted = decisions.more()
        return rounds

    def _measure(self, key: str) -> bool:
        if key not in self._of:
            return False
        name, block, right = self._of[key]
        if block < 0:
            self.whole.add(name)
            return False
        if (name, block) != self._broken:
            self.measured[name].append(block)
            step = next(step for step in self.study.steps if step.key == key)
            self._store(step, block, right)
        return True

    def _store(self, step: Step, block: int, right: np.ndarray) -> None:
        one = np.arange(block * N // COUNT, (block + 1) * N // COUNT)
        self.study._rows(step, right[one], one, np.zeros(len(one), int), {"sizes": [N, 0, 0]})


def claim(study: Study, left: Expression, operator: str, right: Expression | float) -> None:
    study.claims.append(Claim("a claim", (compare(left, operator, right),), "made_up.sat", 7))


def test_attacks_stop_when_every_claim_is_decided(study: Study) -> None:
    run = Measuring(study, {"a": 0.8, "b": 0.3, "c": 0.36})
    claim(study, at("a.robust"), ">", at("b.robust"))
    claim(study, at("c.robust"), ">", at("b.robust"))
    run.run()
    assert run.measured["a"] == [0]
    assert run.measured["b"] == run.measured["c"] == list(range(len(run.measured["b"])))
    assert 1 < len(run.measured["b"]) < COUNT
    looks = [event for event in run.events if isinstance(event, ClaimsLookedAt)]
    assert [look.decided for look in looks][-1] == 2
    assert [look.blocks > 0 for look in looks] == [True] * (len(looks) - 1) + [False]
    assert looks[-1].share == pytest.approx(sum(map(len, run.measured.values())) / (3 * COUNT))


def test_what_no_claim_rests_on_is_not_measured(study: Study) -> None:
    run = Measuring(study, {"a": 0.8, "b": 0.3, "c": 0.5})
    claim(study, at("a.robust"), ">", 0.5)
    run.run()
    assert run.measured == {"a": [0], "b": [], "c": []}


def test_the_clean_accuracy_of_the_claims_networks_is_measured_too(study: Study) -> None:
    Measuring(study, {"a": 0.8, "b": 0.5})
    clean, other = study.evaluation(None, lr=0.1), study.evaluation(None, lr=0.2)
    study.accuracy("a.clean", clean)
    study.accuracy("b.clean", other)
    claim(study, at("a.robust"), ">", 0.5)
    assert clean.key in steps_of_claims(study.plan)
    assert other.key not in steps_of_claims(study.plan)


def test_a_claim_that_is_too_close_is_measured_in_full_and_put_together(study: Study) -> None:
    run = Measuring(study, {"a": 0.5, "b": 0.4975})  # about half of the interval of all images
    claim(study, at("a.robust"), ">", at("b.robust"))
    rounds = run.run()
    assert run.measured["a"] == run.measured["b"] == list(range(COUNT))
    assert run.whole == {"a", "b"}
    assert len(rounds) < COUNT  # more at once where many are measured


def test_a_ratio_is_measured_in_full_at_once(study: Study) -> None:
    run = Measuring(study, {"a": 0.9, "b": 0.1})
    claim(study, Arithmetic("/", at("a.robust"), at("b.robust")), ">", 2.0)
    decisions = Decisions(study.plan, study.store)
    assert {"a", "b"} == {run._of[key][0] for key in decisions.first if key in run._of and run._of[key][1] < 0}
    assert "a ratio of results" in judged_in_full(study.plan)[0]


def test_all_workers_are_kept_busy_with_no_more_than_double(study: Study) -> None:
    run = Measuring(study, {"a": 0.5, "b": 0.5}, workers=100)
    claim(study, at("a.robust"), ">", at("b.robust"))
    assert run.run()[:5] == [2, 2, 4, 8, 16]


def test_a_block_that_fails_is_not_asked_for_again(study: Study) -> None:
    run = Measuring(study, {"a": 0.5, "b": 0.5}, broken=("b", 2))
    claim(study, at("a.robust"), ">", at("b.robust"))
    run.run()
    assert run.measured == {"a": [0, 1, 2], "b": [0, 1]}


def test_a_second_run_looks_at_what_is_stored_first(study: Study) -> None:
    run = Measuring(study, {"a": 0.5, "b": 0.44})
    claim(study, at("a.robust"), ">", at("b.robust"))
    run.run()
    before = dict(run.measured)
    assert len(before["a"]) > 1
    decisions = Decisions(study.plan, study.store)
    assert all(study.store.has(key) for key in decisions.first if key in run._of)
    assert decisions.more() == ()
    study.claims.clear()
    claim(study, Reduced("min", at("a.robust")), ">", 0.2)
    assert any(run._of[key][1] < 0 for key in Decisions(study.plan, study.store).first if key in run._of)
