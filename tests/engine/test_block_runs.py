"""Runs of evaluations in blocks: they are steps, and people are told of one evaluation."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from fake_steps import Performer, make, run
from rich.console import Console

from satdsl.engine import events
from satdsl.engine.local_store import LocalStore
from satdsl.engine.progress import PlainProgress
from satdsl.engine.resources import Resources
from satdsl.engine.status import status_document
from satdsl.engine.status_text import page
from satdsl.engine.whole_evaluations import WholeEvaluations
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Block, Evaluate, Key, Step
from satdsl.ir.work import StepError

COUNT = 3
LABEL = "evaluate net[draw=0]"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def plan() -> Plan:
    """A data set, a training, and an evaluation in three blocks."""
    made = make(draws=1)
    whole = made.chains[0].evaluate
    assert isinstance(whole.settings, Evaluate)
    blocks = [Step(replace(whole.settings, block=Block(index, COUNT)), whole.inputs) for index in range(COUNT)]
    roles = tuple((f"block{index}", block.key) for index, block in enumerate(blocks))
    gathering = Step(whole.settings, (*whole.inputs, *roles))
    steps = [made.data, made.chains[0].train, *blocks, gathering]
    labels = {**made.plan.labels, gathering.key: LABEL}
    labels |= {block.key: f"{LABEL}, block {index + 1} of {COUNT}" for index, block in enumerate(blocks)}
    result = replace(made.plan.results[0], measure=replace(made.plan.results[0].measure, evaluations=(gathering.key,)))
    return replace(made.plan, steps={step.key: step for step in steps}, labels=labels, results=(result,))


def blocks(plan: Plan) -> list[Key]:
    return [key for key, step in plan.steps.items() if step.is_block]


def lines(plan: Plan, store: LocalStore, performer: Performer) -> list[str]:
    """What a run prints, without times."""
    out = io.StringIO()
    listen = WholeEvaluations(plan, PlainProgress(Console(file=out, width=100)), store.has)
    run(plan, store, performer, listen=listen)
    return [line.rpartition(" in ")[0] or line for line in out.getvalue().splitlines()]


def test_blocks_are_shown_as_their_evaluation(plan: Plan, store: LocalStore) -> None:
    assert len(plan.steps) == 6
    assert [plan.labels[key] for key in plan.shown] == ["digits", "train net[draw=0]", LABEL]
    assert dict.fromkeys(blocks(plan)) == dict.fromkeys(plan.steps[next(reversed(plan.steps))].blocks)
    assert lines(plan, store, Performer()) == [
        "3 steps to run, 0 stored",
        "[1/3] digits (new)",
        "done    digits",
        "[2/3] train net[draw=0] (new)",
        "done    train net[draw=0]",
        f"[3/3] {LABEL} (new)",
        f"done    {LABEL}",
        "3 steps run",
    ]
    assert lines(plan, store, Performer()) == ["nothing to run: 3 steps stored"]


def test_a_run_goes_on_with_the_blocks_that_are_left(plan: Plan, store: LocalStore) -> None:
    first, second, third = blocks(plan)

    def interrupted(step: Step) -> None:
        if step.key == second:
            raise KeyboardInterrupt

    outcome = run(plan, store, Performer(before=interrupted))
    assert outcome.interrupted
    assert store.has(first)
    document = status_document(plan, store)
    (evaluation,) = (step for step in document["steps"] if step["kind"] == "evaluate")
    assert (evaluation["state"], evaluation["saved"]) == ("waiting", True)
    assert evaluation["blocks"] == {"count": 3, "done": 1}
    assert document["counts"] == {"done": 2, "running": 0, "failed": 0, "waiting": 1}
    performer = Performer()
    heard: list[events.Event] = []
    run(plan, store, performer, listen=WholeEvaluations(plan, heard.append, store.has))
    assert performer.performed == [second, third, list(plan.steps)[-1]]
    progress = [event for event in heard if isinstance(event, events.StepProgress)]
    assert [event.done for event in progress] == [1.5, 2.0, 2.5, 3.0]
    assert {(event.key, event.total) for event in progress} == {(list(plan.steps)[-1], 3)}
    assert progress[0].note == "1/3 blocks, half"


def test_a_block_that_fails_is_told_once(plan: Plan, store: LocalStore) -> None:
    def failing(step: Step) -> None:
        if step.is_block:
            raise StepError("it cannot be attacked", "measure with pgd")

    said = lines(plan, store, Performer(before=failing))
    assert [line for line in said if line.startswith("failed")] == [f"failed  {LABEL}, block 1 of 3"]
    assert not any(line.startswith("skipped") for line in said)
    document = status_document(plan, store)
    assert document["counts"] == {"done": 2, "running": 0, "failed": 1, "waiting": 0}
    shown = io.StringIO()
    Console(file=shown, width=80).print(page(document, 80))
    assert shown.getvalue().count("it cannot be attacked") == 1


def test_programs_are_told_of_each_block_and_count_evaluations(plan: Plan, store: LocalStore) -> None:
    heard: list[events.Event] = []
    run(plan, store, Performer(), listen=heard.append)
    started = [event for event in heard if isinstance(event, events.StepStarted)]
    assert [(event.index, event.total) for event in started] == [(1, 3), (2, 3), (3, 3), (3, 3), (3, 3), (3, 3)]
    assert [event.finished for event in heard if isinstance(event, events.RunEnded)] == [3]


def test_blocks_take_a_gpu_and_putting_them_together_takes_none(plan: Plan) -> None:
    taken = [Resources(1, 1).needed_by(step).gpus for step in plan.steps.values() if step.kind == "evaluate"]
    assert taken == [1, 1, 1, 0]
