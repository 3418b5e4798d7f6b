"""Times from stored steps like those of a plan, else from measured batches, else none; and who withstands attacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from satdsl import machine
from satdsl.compile import check
from satdsl.engine.execute import ExecutionContext
from satdsl.engine.executors import LocalExecutor
from satdsl.engine.local_store import LocalStore
from satdsl.engine.run import run
from satdsl.ir import blocks
from satdsl.ir.minutes import Minutes, Seconds
from satdsl.ir.plan import Passes, Plan
from satdsl.ir.steps import Evaluate, Step, Train
from satdsl.ir.work import Computation, Work
from satdsl.minutes.calibrations import START, STEP, Calibrations, Device, this_device
from satdsl.minutes.estimate import estimate, images_of, piece_key
from satdsl.minutes.measuring import missing
from satdsl.minutes.stored import Stored
from satdsl.plan.expand import expand
from satdsl.show.minutes import whole

SPEC = """sat 1
dataset d = digits(holdout=20%)
model m = small_cnn(width=WIDTH)
recipe r = sgd(epochs=2, batch=64, lr=0.1)
attack p = pgd(norm=L2, eps=0.5, steps=7, step_size=0.1)
attack aa = autoattack(norm=L2, eps=EPS)
train plain = m on d using r
train sat = m on d using r { attack all with p; seed = SEED }
evaluate plain { clean = clean accuracy on val; robust = robust accuracy under aa on val }
evaluate sat { clean = clean accuracy on val; robust = robust accuracy under aa on val }
"""


def plan_of(eps: float = 0.5, seed: int = 0, width: int = 4) -> Plan:
    text = SPEC.replace("EPS", str(eps)).replace("SEED", str(seed)).replace("WIDTH", str(width))
    return expand(check("x.sat", text, {}))


HERE = this_device("cpu")
ELSEWHERE = replace(HERE, name="another processor")
RATE = 1e-5
"""Seconds that a pass takes in these tests."""


def performer(plan: Plan, robust: Callable[[bool], float], processor: str = "") -> Callable[[Step, Work], None]:
    """What leaves the facts of steps, as if half of AutoAttack's passes had been made."""

    def perform(step: Step, work: Work) -> None:
        planned, facts = plan.passes[step.key], {}
        if isinstance(step.settings, Evaluate):
            weights = plan.steps[dict(step.inputs)["weights"]].settings
            assert isinstance(weights, Train)
            accuracy = robust(any(one.attack for one in weights.subsets)) if step.settings.attack else 0.9
            facts = {"clean": 0.9, "accuracy": accuracy, "n": images_of(plan.pieces.get(step.key, ()))}
        (work.out / "facts.json").write_text(json.dumps(facts))
        made = planned.times(0.5) if planned.at_most else planned
        work.computed(
            Computation(1, HERE.limit, f"{processor or HERE.name}, AVX2", Passes(made.forward, made.forward_backward))
        )

    return perform


def store_with(plan: Plan, folder: Path, processor: str = "") -> LocalStore:
    store = LocalStore(folder)
    perform = performer(plan, lambda attacked: 0.6 if attacked else 0.1, processor)
    run(plan, store, LocalExecutor(store, ExecutionContext(perform)))
    return store


def minutes_of(
    plan: Plan, store: LocalStore, calibrations: Calibrations | None = None, device: Device = HERE
) -> Minutes:
    to_run = [key for key in plan.steps if not store.has(key)]
    known = calibrations or Calibrations(device)
    return estimate(plan, to_run, Stored(plan, store, device), known, (1, 2))


def called(plan: Plan, label: str) -> str:
    (key,) = (key for key, name in plan.labels.items() if name == label)
    return key


def calibrated(plan: Plan) -> Calibrations:
    """Every piece takes `RATE` for a pass."""
    found = Calibrations(HERE)
    for key, pieces in plan.pieces.items():
        for piece in pieces:
            found.add({piece_key(plan, key, piece, found): [RATE, 0.9 * RATE, 1.1 * RATE]})
    found.add({START: [2.0], STEP: [0.1]})
    return found


def test_nothing_is_known_of_what_never_ran(tmp_path: Path) -> None:
    plan = plan_of()
    minutes = minutes_of(plan, LocalStore(tmp_path))
    assert set(minutes.unknown) == set(plan.steps)
    assert minutes.workers[1] == Seconds()


def test_a_stored_step_of_the_same_kind_tells_the_time_of_one_with_another_radius_or_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "ENOUGH", 1.0)  # so small a network would be measured in one piece
    before, plan = plan_of(), plan_of(eps=0.6, seed=3)
    store = store_with(before, tmp_path)
    minutes = minutes_of(plan, store)
    assert not minutes.unknown
    times = {plan.labels[key]: time for key, time in minutes.steps.items()}
    took = {before.labels[key]: store.manifest(key).seconds for key in before.steps}
    for label, time in times.items():
        assert time is not None
        assert time.source == "stored"
        if "block" not in label:
            assert time.seconds.expected == pytest.approx(took[label])
    pieces = [label for label in times if label.startswith("evaluate sat under autoattack on val, block")]
    assert len(pieces) > 1
    total = sum(time.seconds.expected for label in pieces if (time := times[label]) is not None)
    assert total == pytest.approx(sum(took[label] for label in pieces), rel=0.01)


def test_expected_passes_are_those_that_networks_trained_alike_took(tmp_path: Path) -> None:
    store, plan = store_with(plan_of(), tmp_path), plan_of(eps=0.6, seed=3)
    key = called(plan, "evaluate sat under autoattack on val")
    time = whole(plan, minutes_of(plan, store))[key]
    assert time is not None
    assert time.passes.cost == pytest.approx(0.5 * plan.whole_passes(key).cost, rel=0.01)
    assert time.standing == "as many as of 1 stored network like it"


def test_steps_of_another_processor_or_network_tell_no_time(tmp_path: Path) -> None:
    store = store_with(plan_of(), tmp_path / "there", "another processor")
    plan = plan_of(eps=0.6, seed=3)
    assert minutes_of(plan, store).steps[called(plan, "train sat")] is None
    other = plan_of(width=8)
    minutes = minutes_of(other, store_with(plan_of(), tmp_path / "here"))
    assert minutes.steps[called(other, "train sat")] is None
    assert minutes.steps[called(other, "evaluate sat under autoattack on val")] is None


def test_measured_batches_tell_the_time_of_what_never_ran(tmp_path: Path) -> None:
    plan = plan_of()
    minutes = minutes_of(plan, LocalStore(tmp_path), calibrated(plan))
    assert not minutes.unknown
    planned = sum(passes.cost for passes in plan.passes.values())
    expected = 2.0 + len(plan.steps) * 0.1 + planned * RATE
    assert minutes.workers[1].expected == pytest.approx(expected, rel=0.01)
    assert minutes.workers[1].low < minutes.workers[1].expected < minutes.workers[1].high
    assert minutes.workers[2].expected < minutes.workers[1].expected


def test_all_that_are_right_stand_where_nothing_else_is_known(tmp_path: Path) -> None:
    """With the clean accuracy of a network those that it gets wrong are not attacked."""
    plan = plan_of()
    key = called(plan, "evaluate sat under autoattack on val")
    calibrations = calibrated(plan)
    nothing = whole(plan, minutes_of(plan, LocalStore(tmp_path / "empty"), calibrations))[key]
    store = store_with(plan, tmp_path / "store")
    for one, label in plan.labels.items():
        if "autoattack" in label:
            store.remove(one)
    clean = whole(plan, minutes_of(plan, LocalStore(tmp_path / "store"), calibrations))[key]
    assert nothing is not None
    assert clean is not None
    assert nothing.passes.cost == pytest.approx(plan.whole_passes(key).cost)
    assert clean.passes.cost == pytest.approx(0.9 * plan.whole_passes(key).cost, rel=0.01)
    assert (nothing.standing, clean.standing) == (
        "all that are right, at most",
        "all that are right without attack, at most",
    )


def test_only_what_was_not_measured_is_missing() -> None:
    plan = plan_of()
    known = calibrated(plan)
    assert not missing(plan, plan.steps, known)
    gone = next(iter(known.seconds))
    del known.seconds[gone]
    assert list(missing(plan, plan.steps, known)) == [gone]


def test_equal_pieces_are_measured_once() -> None:
    """A clean training, an attacked one, predictions, gradients, the probe, and AutoAttack's four attacks."""
    wanted = missing(plan_of(), plan_of().steps, Calibrations(HERE))
    kinds = [(piece.kind, piece.part) for piece, _ in wanted.values()]
    assert len(kinds) == len(wanted)
    assert kinds.count(("train", "")) == 2
    assert sorted(part for kind, part in kinds if part) == ["apgd-ce", "apgd-t", "fab-t", "square"]


# --- what is kept -----------------------------------------------------------------------------------


def test_measured_times_are_kept_for_one_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATDSL_CACHE", str(tmp_path))
    kept = Calibrations(HERE)
    kept.add({"piece": [float(one) for one in range(20)]})
    assert kept.save() == ""
    assert Calibrations.load(HERE).seconds == {"piece": [float(one) for one in range(11, 20)]}
    assert Calibrations.load(ELSEWHERE).seconds == {}
    assert Calibrations.load(replace(HERE, torch="0.1")).seconds == {}
    (file,) = (tmp_path / "times").iterdir()
    file.write_text('{"seconds": {"piece": [-1, "x"]}}')
    assert Calibrations.load(HERE).seconds == {}


def test_the_device_is_found_without_torch() -> None:
    assert HERE.kind == "cpu"
    assert HERE.name == machine.processor()
    assert this_device("cuda:1").kind == "cuda"
