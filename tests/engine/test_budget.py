"""A run with a budget: nothing is begun that would not end, what runs is stopped in time, and what it saved is kept."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from satdsl.engine.budget import Budget
from satdsl.engine.execute import ExecutionContext
from satdsl.engine.executors import ProcessExecutor
from satdsl.engine.local_store import LocalStore
from satdsl.engine.run import run as run_plan
from satdsl.ir.steps import Step
from satdsl.ir.work import Work
from tests.engine.fake_steps import Performer, make, run, write_artifact


def endless(step: Step, work: Work) -> None:
    """A training that saves something and does not end."""
    if step.kind == "train":
        (work.scratch / "saved").write_text("half")
        time.sleep(60)
    write_artifact(step, work.out)


def test_steps_are_begun_in_the_order_of_the_budget(tmp_path: Path) -> None:
    made, performer = make(3), Performer()
    order = [made.data.key, *(key for chain in made.chains[::-1] for key in (chain.train.key, chain.evaluate.key))]
    outcome = run(made.plan, LocalStore(tmp_path), performer, budget=Budget(60, order))
    assert outcome.complete
    assert performer.performed == order


def test_what_would_not_end_in_time_is_not_begun_and_the_rest_is(tmp_path: Path) -> None:
    made, performer = make(3), Performer()
    long = made.chains[1].train.key
    outcome = run(made.plan, LocalStore(tmp_path), performer, budget=Budget(60, (), {long: 61.0}))
    assert outcome.out_of_time
    assert not outcome.interrupted
    assert outcome.left == (long, made.chains[1].evaluate.key)
    assert set(performer.performed) == set(made.plan.steps) - set(outcome.left)


def test_what_takes_longer_than_expected_is_stopped_and_what_it_saved_is_kept(tmp_path: Path) -> None:
    made, store = make(1), LocalStore(tmp_path)
    started, before = time.monotonic(), signal.getsignal(signal.SIGALRM)
    outcome = run(made.plan, store, endless, budget=Budget(0.5))
    assert time.monotonic() - started < 5
    assert outcome.out_of_time
    assert outcome.left == (made.chains[0].train.key, made.chains[0].evaluate.key)
    assert (store.scratch(made.chains[0].train.key) / "saved").read_text() == "half"
    assert signal.getsignal(signal.SIGALRM) is before
    assert run(made.plan, store, Performer()).complete


def test_workers_are_stopped_in_time_too(tmp_path: Path) -> None:
    made, store = make(2), LocalStore(tmp_path / "store")
    executor = ProcessExecutor(store, ExecutionContext(endless, tmp_path), ["cpu"] * 2)
    started = time.monotonic()
    outcome = run_plan(made.plan, store, executor, budget=Budget(4.0))
    assert time.monotonic() - started < 15
    assert outcome.out_of_time
    assert set(outcome.left) >= {key for chain in made.chains for key in (chain.train.key, chain.evaluate.key)}
    assert store.lock(made.chains[0].train.key) is not None


def test_an_interrupt_is_still_one(tmp_path: Path) -> None:
    made = make(2)
    performer = Performer(before=lambda step: os.kill(os.getpid(), signal.SIGINT) if step.kind == "train" else None)
    outcome = run(made.plan, LocalStore(tmp_path), performer, budget=Budget(60))
    assert outcome.interrupted
    assert not outcome.out_of_time


def test_without_a_budget_nothing_is_held(tmp_path: Path) -> None:
    outcome = run(make(2).plan, LocalStore(tmp_path), Performer())
    assert outcome.complete
    assert not outcome.out_of_time
