from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from fake_steps import Made, Performer, make, run, same_artifacts
from rich.cells import cell_len
from rich.console import Console

from satdsl.engine import events
from satdsl.engine.local_store import LocalStore
from satdsl.engine.progress import LiveProgress, PlainProgress, duration, progress, shorten
from satdsl.engine.staleness import reasons, target_steps
from satdsl.ir.plan import MeanScore, Part, Result
from satdsl.ir.steps import Step
from satdsl.ir.work import Progress, StepError, Work
from satdsl.report.results import measured

SCRIPT = Path(__file__).with_name("fake_steps.py")


@pytest.fixture
def made() -> Made:
    return make(draws=3)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


# --- what runs -----------------------------------------------------------------------------------


def test_every_step_runs_once_and_after_its_inputs(made: Made, store: LocalStore) -> None:
    performer = Performer()
    outcome = run(made.plan, store, performer)
    assert outcome.complete
    assert performer.performed == list(made.plan.steps)
    assert outcome.finished == tuple(made.plan.steps)
    assert all(store.has(key) for key in made.plan.steps)


def test_a_second_run_runs_nothing(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    performer = Performer()
    outcome = run(made.plan, LocalStore(store.root), performer)
    assert (performer.performed, outcome.finished, outcome.stored) == ([], (), 7)
    assert outcome.complete


def test_a_lost_artifact_is_not_remade_while_everything_made_from_it_is_stored(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    store.remove(made.chains[0].train.key)
    store.remove(made.data.key)
    performer = Performer()
    outcome = run(made.plan, store, performer)
    assert performer.performed == []
    assert outcome.unneeded == 2
    assert reasons(made.plan, store)[made.data.key] == "not needed"


def test_a_lost_artifact_is_remade_when_something_made_from_it_is_missing(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    chain = made.chains[0]
    store.remove(chain.train.key)
    store.remove(chain.evaluate.key)
    performer = Performer()
    run(made.plan, store, performer)
    assert performer.performed == [chain.train.key, chain.evaluate.key]


def test_more_is_asked_for_when_nothing_is_left_until_nothing_is_wanted(made: Made, store: LocalStore) -> None:
    performer = Performer()
    first, second, third = (chain.evaluate.key for chain in made.chains)
    asked = iter([[second], [second, third], []])
    outcome = run(made.plan, store, performer, wanted=[first], more=lambda: next(asked))
    assert performer.performed == list(made.plan.steps)
    assert outcome.complete
    assert next(asked, None) is None


def test_what_failed_is_not_begun_again_when_more_is_wanted(made: Made, store: LocalStore) -> None:
    def fails(step: Step) -> None:
        if step.key == made.chains[0].train.key:
            raise StepError("no memory")

    performer = Performer(before=fails)
    first, second, _ = (chain.evaluate.key for chain in made.chains)
    asked = iter([[first, second], []])
    outcome = run(made.plan, store, performer, wanted=[first], more=lambda: next(asked))
    assert performer.performed.count(made.chains[0].train.key) == 1
    assert set(outcome.failed) == {made.chains[0].train.key}
    assert set(outcome.finished) == {made.data.key, made.chains[1].train.key, second}
    assert not outcome.complete


def test_a_run_sees_what_was_stored_since_the_store_was_opened(made: Made, store: LocalStore) -> None:
    assert not store.has(made.data.key)
    run(made.plan, LocalStore(store.root), Performer())
    performer = Performer()
    assert run(made.plan, store, performer).stored == 7
    assert performer.performed == []


def test_only_what_is_wanted_and_what_it_needs_runs(made: Made, store: LocalStore) -> None:
    chain = made.chains[1]
    performer = Performer()
    outcome = run(made.plan, store, performer, wanted=[chain.evaluate.key])
    assert performer.performed == [made.data.key, chain.train.key, chain.evaluate.key]
    assert outcome.complete
    assert outcome.unneeded == 4


def test_a_forced_step_runs_though_stored_and_keeps_its_place(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    key = made.chains[0].train.key
    performer = Performer()
    outcome = run(made.plan, store, performer, forced=[key])
    assert performer.performed == [key]
    assert outcome.complete
    assert store.verify(key) is None


def test_an_equal_step_with_another_input_is_another_step(store: LocalStore) -> None:
    run(make(draws=1).plan, store, Performer())
    other = make(draws=1)
    changed = Step(other.chains[0].evaluate.settings, (("weights", "0" * 64), ("data", other.data.key)))
    assert not store.has(changed.key)


def test_a_plan_is_for_its_results_and_for_what_nothing_else_uses(made: Made) -> None:
    plan = made.plan
    train = made.chains[0].train
    by_class = Result("x", (), MeanScore("el2n", train.key), Part("train", "train", made.data.key), True)
    assert set(target_steps(plan)) == {chain.evaluate.key for chain in made.chains}
    assert {train.key, made.data.key} < set(target_steps(replace(plan, results=(by_class,))))


def test_reasons_tell_new_continued_damaged_and_forced_steps_apart(made: Made, store: LocalStore) -> None:
    assert set(reasons(made.plan, store).values()) == {"new"}
    (store.scratch(made.data.key) / "half").write_text("5")
    assert reasons(made.plan, store)[made.data.key] == "continued"
    run(made.plan, store, Performer())
    assert set(reasons(made.plan, store).values()) == {"stored"}
    chain = made.chains[0]
    (store.folder(chain.evaluate.key) / "rows.parquet").write_bytes(b"")
    found = reasons(made.plan, store, forced=[made.chains[2].train.key])
    assert found[chain.evaluate.key] == "damaged"
    assert found[made.chains[2].train.key] == "forced"
    assert Counter(found.values()) == {"stored": 5, "damaged": 1, "forced": 1}


def test_the_reasons_for_ten_thousand_steps_are_found_in_a_second(store: LocalStore) -> None:
    plan = make(draws=5000).plan
    started = time.process_time()
    assert set(reasons(plan, store).values()) == {"new"}
    assert time.process_time() - started < 1.0


def test_a_runs_artifacts_are_what_results_are_read_from(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    results = measured(made.plan, store)
    assert [one.n for one in results] == [40, 40, 40]
    assert all(one.value is not None for one in results)


# --- what fails ----------------------------------------------------------------------------------


def failing_at(made: Made, draw: int, error: Exception) -> Performer:
    def fail(step: Step) -> None:
        if step.key == made.chains[draw].train.key:
            raise error

    return Performer(before=fail)


def test_a_failed_step_takes_with_it_only_what_depends_on_it(made: Made, store: LocalStore) -> None:
    failing = failing_at(made, 0, StepError("it is too hot", "open a window"))
    outcome = run(made.plan, store, failing)
    first = made.chains[0]
    assert {key: (f.reason, f.help) for key, f in outcome.failed.items()} == {
        first.train.key: ("it is too hot", "open a window")
    }
    assert outcome.skipped == {first.evaluate.key: first.train.key}
    assert len(outcome.finished) == 5
    assert not outcome.complete


def test_an_unforeseen_error_is_told_with_its_traceback(made: Made, store: LocalStore) -> None:
    outcome = run(made.plan, store, failing_at(made, 0, ZeroDivisionError("by nothing")))
    (failure,) = outcome.failed.values()
    assert failure.reason == "ZeroDivisionError: by nothing"
    assert "fake_steps.py" in failure.details


def test_a_failed_step_runs_again_next_time(made: Made, store: LocalStore) -> None:
    run(made.plan, store, failing_at(made, 0, RuntimeError("once")))
    performer = Performer()
    assert run(made.plan, store, performer).complete
    assert performer.performed == [made.chains[0].train.key, made.chains[0].evaluate.key]


def test_a_damaged_input_that_cannot_be_remade_skips_what_needs_it(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    chain = made.chains[0]
    store.remove(chain.evaluate.key)
    weights = store.folder(chain.train.key) / "weights.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    outcome = run(made.plan, LocalStore(store.root), failing_at(made, 0, StepError("no")))
    assert set(outcome.failed) == {chain.train.key}
    assert outcome.skipped == {chain.evaluate.key: chain.train.key}


# --- what is interrupted -------------------------------------------------------------------------


def saving(made: Made, *, until: int) -> Performer:
    """A performer whose first training counts to five in scratch, and is interrupted at `until`."""

    class Saving(Performer):
        def __call__(self, step: Step, work: Work) -> None:
            if step.key == made.chains[0].train.key:
                saved = work.scratch / "count"
                self.begun_at = int(saved.read_text()) if saved.exists() else 0
                for count in range(self.begun_at, 5):
                    if count == until:
                        raise KeyboardInterrupt
                    saved.write_text(str(count + 1))
            super().__call__(step, work)

    return Saving()


def test_an_interrupted_step_goes_on_from_what_it_saved_with_the_same_result(
    made: Made, store: LocalStore, tmp_path: Path
) -> None:
    outcome = run(made.plan, store, saving(made, until=3))
    assert outcome.interrupted
    assert outcome.finished == (made.data.key,)
    assert len(outcome.left) == 6
    key = made.chains[0].train.key
    assert reasons(made.plan, store)[key] == "continued"
    going_on = saving(made, until=99)
    assert run(made.plan, store, going_on).complete
    assert going_on.begun_at == 3
    assert store.manifest(key).continued
    straight = LocalStore(tmp_path / "straight")
    run(made.plan, straight, Performer())
    assert same_artifacts(store, straight, made.plan.steps)


def start(store: LocalStore, log: Path, draws: int, pause: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(store.root), str(log), str(draws), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def started_steps(log: Path) -> list[str]:
    return log.read_text().split()[::2] if log.exists() else []


def wait_for_steps(process: subprocess.Popen[str], log: Path, count: int) -> None:
    while len(started_steps(log)) < count:
        assert process.poll() is None
        time.sleep(0.01)


def test_control_c_keeps_what_is_finished_and_leaves_the_rest(tmp_path: Path) -> None:
    store, log = LocalStore(tmp_path / "store"), tmp_path / "log"
    process = start(store, log, 5, 0.1)
    wait_for_steps(process, log, 4)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    finished, _, left = map(int, output.split())
    assert process.returncode == 130
    assert finished >= 3
    assert finished + left == 11
    assert len(store.keys()) == finished
    assert not [leftover for leftover in store.leftovers() if leftover.kind == "work"]
    performer = Performer()
    assert run(make(5).plan, store, performer).complete
    assert len(performer.performed) == left


def test_two_processes_on_one_store_never_both_perform_a_step(tmp_path: Path) -> None:
    store, log = LocalStore(tmp_path / "store"), tmp_path / "log"
    both = [start(store, log, 10, 0.02) for _ in range(2)]
    counts = [list(map(int, process.communicate(timeout=30)[0].split())) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert Counter(started_steps(log)) == Counter(list(make(10).plan.steps))
    assert sum(finished for finished, _, _ in counts) == 21
    assert all(store.verify(key) is None for key in make(10).plan.steps)


def test_a_step_whose_owner_was_killed_is_taken_over(tmp_path: Path) -> None:
    store, log = LocalStore(tmp_path / "store"), tmp_path / "log"
    owner = start(store, log, 1, 60.0)
    wait_for_steps(owner, log, 1)
    key = make(1).data.key
    assert store.lock(key) is None
    assert store.owner(key) == f"process {owner.pid} on {os.uname().nodename}"
    owner.kill()
    owner.communicate()
    assert run(make(1).plan, store, Performer()).complete


def test_while_another_process_has_a_step_the_others_run(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer(), wanted=[made.data.key])
    held = store.lock(made.chains[0].train.key)
    assert held is not None
    heard: list[events.Event] = []

    def listen(event: events.Event) -> None:
        heard.append(event)
        if isinstance(event, events.StepFinished) and event.key == made.chains[2].evaluate.key:
            held.release()

    performer = Performer()
    assert run(made.plan, store, performer, listen=listen).complete
    assert performer.performed[-2:] == [made.chains[0].train.key, made.chains[0].evaluate.key]
    assert sum(isinstance(event, events.StepElsewhere) for event in heard) == 1


# --- what is shown -------------------------------------------------------------------------------


def shown(made: Made, store: LocalStore, performer: Performer, terminal: bool, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    with progress(console) as listen:
        assert isinstance(listen, LiveProgress if terminal else PlainProgress)
        run(made.plan, store, performer, listen=listen)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_of_more_steps_than_a_terminal_has_room_for_the_others_are_counted(made: Made) -> None:
    console = Console(file=io.StringIO(), width=80, height=9, force_terminal=True, color_system=None)
    live = LiveProgress(console)
    live(events.RunStarted(7, 0))
    for place, key in enumerate(made.plan.steps):
        live(events.StepStarted(key, place + 1, 7, f"step number {place}", "new"))
        live(events.StepProgress(key, 1, 4, "epoch 1/4, loss 0.412"))
    with console.capture() as shown:
        console.print(live._shown())
    lines = shown.get().splitlines()
    assert len(lines) <= 9
    assert all(cell_len(line.rstrip()) <= 80 for line in lines)
    assert "step number 2 (new)" in lines
    assert lines[-2:][0].strip() == f"and {len(made.plan.steps) - 3} more steps"
    assert "0/7 steps" in lines[-1]


def test_elsewhere_than_on_a_terminal_each_start_and_end_is_a_line(made: Made, store: LocalStore) -> None:
    text = shown(made, store, failing_at(made, 1, StepError("it is too hot", "open a window")), False)
    lines = [line.rpartition(" in ")[0] or line for line in text.splitlines()]
    assert lines == [
        "7 steps to run, 0 stored",
        "[1/7] digits (new)",
        "done    digits",
        "[2/7] train net[draw=0] (new)",
        "done    train net[draw=0]",
        "[3/7] evaluate net[draw=0] (new)",
        "done    evaluate net[draw=0]",
        "[4/7] train net[draw=1] (new)",
        "failed  train net[draw=1]",
        "        it is too hot",
        "        open a window",
        "skipped 1 step: needs train net[draw=1]",
        "[6/7] train net[draw=2] (new)",
        "done    train net[draw=2]",
        "[7/7] evaluate net[draw=2] (new)",
        "done    evaluate net[draw=2]",
        "5 steps run",
    ]
    assert text.endswith(", 1 failed, 1 skipped\n")


def test_a_run_with_nothing_to_do_says_so_in_one_line(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    assert shown(made, store, Performer(), terminal=False) == "nothing to run: 7 steps stored\n"


def test_an_interrupt_says_what_is_kept(made: Made, store: LocalStore) -> None:
    text = shown(made, store, saving(made, until=3), terminal=False)
    assert text.splitlines()[-1] == "stopped: 1 step finished and kept, 6 left"


def test_a_terminal_shows_the_step_its_bar_and_the_whole(made: Made, store: LocalStore) -> None:
    class Slow(Performer):
        def __call__(self, step: Step, work: Work) -> None:
            work.report(Progress(4, 10, "epoch 4/10, loss 0.412"))
            time.sleep(0.3)
            super().__call__(step, work)

    text = shown(make(1), store, Slow(), terminal=True)
    assert "train net[draw=0] (new)" in text
    assert "epoch 4/10, loss 0.412" in text
    assert "40%" in text
    assert "1/3" in text
    assert "done    evaluate net[draw=0]" in text


def test_long_labels_lose_their_middle_and_lines_fit(store: LocalStore) -> None:
    made = make(1)
    long = "train sat[" + ", ".join(f"axis{n}=some_value_{n}" for n in range(12)) + "]"
    plan = replace(made.plan, labels=dict.fromkeys(made.plan.labels, long))
    text = shown(replace(made, plan=plan), store, Performer(), terminal=False)
    assert max(map(len, text.splitlines())) <= 80
    assert "train sat[axis0=" in text
    assert "some_value_11]" in text


NOTE = "epoch 12 of 100, loss 0.412, accuracy 91.7%, robust 26%"


@pytest.mark.parametrize(
    ("columns", "note"),
    [(60, "epoch 12 of 100"), (80, "epoch 12 of 100, loss 0.412, accuracy 91.7%"), (120, NOTE)],
)
def test_the_line_of_a_running_step_fits_and_leaves_whole_numbers_out(columns: int, note: str) -> None:
    out = io.StringIO()
    console = Console(file=out, width=columns, force_terminal=True, color_system=None)
    live = LiveProgress(console)
    live(events.StepStarted("key", 1, 2, "train " + "a_long_name" * 20, "continued"))
    live(events.StepProgress("key", 40.0, 100.0, NOTE))
    console.print(live._shown())
    heading, bar = out.getvalue().splitlines()
    assert max(len(heading), len(bar)) <= columns
    assert bar.split("%", 1)[1].startswith(f" {note} left ")
    assert heading.endswith("a_long_name (continued)")


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("short", 80, "short"),
        ("0123456789", 10, "0123456789"),
        ("0123456789", 9, "0123…6789"),
        ("0123456789", 4, "01…9"),
        ("0123456789", 2, "0…"),
        ("0123456789", 1, "…"),
        ("0123456789", 0, ""),
        ("漢字漢字漢字", 7, "漢…字"),
    ],
)
def test_text_is_shortened_in_its_middle(text: str, width: int, short: str) -> None:
    assert shorten(text, width) == short


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"),
        (3599.7, "1 h 0 min"), (7440, "2 h 4 min"),
    ],
)  # fmt: skip
def test_durations_are_in_the_units_people_use(seconds: float, text: str) -> None:
    assert duration(seconds) == text
