from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from fake_steps import Made, Performer, data_step, evaluate_step, make, run, same_artifacts, write_artifact

from satdsl.engine import manifest
from satdsl.engine.errors import Damaged, StoreError
from satdsl.engine.events import ArtifactDamaged, Event
from satdsl.engine.local_store import LocalStore
from satdsl.engine.run import Outcome
from satdsl.engine.staleness import reasons
from satdsl.ir.steps import Step


@pytest.fixture
def made() -> Made:
    return make(draws=2)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def put(store: LocalStore, step: Step) -> None:
    write_artifact(step, store.begin(step.key))
    store.commit(step, "a label", seconds=1.5, continued=False, device="cpu")


def test_a_new_store_writes_nothing_before_its_first_artifact(tmp_path: Path, made: Made) -> None:
    store = LocalStore(tmp_path / "store")
    assert not store.has(made.data.key)
    assert set(reasons(made.plan, store).values()) == {"new"}
    assert not (tmp_path / "store").exists()


def test_the_manifest_says_what_the_artifact_is_and_what_made_it(store: LocalStore) -> None:
    step = evaluate_step(data_step("weights"), data_step())
    put(store, step)
    found = store.manifest(step.key)
    assert (found.key, found.kind, found.label, found.seconds) == (step.key, "evaluate", "a label", 1.5)
    assert found.inputs == dict(step.inputs)
    assert found.settings["part"] == "val"
    assert [file.path for file in found.files] == ["facts.json", "rows.parquet"]
    assert found.identity == step.key
    assert "numpy" in dict(found.packages)


def test_reading_package_versions_does_not_import_them() -> None:
    code = "import sys, satdsl.engine.run, satdsl.engine.manifest as m; m.package_versions(); "
    code += "sys.exit('torch' in sys.modules)"
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", code) == 0


def test_an_unfinished_artifact_is_not_there(store: LocalStore) -> None:
    step = data_step()
    write_artifact(step, store.begin(step.key))
    assert not store.recheck(step.key)
    assert not LocalStore(store.root).has(step.key)


def test_a_leftover_of_a_killed_run_is_gone_when_the_step_starts_again(store: LocalStore) -> None:
    step = data_step()
    (store.begin(step.key) / "half.bin").write_bytes(b"half")
    assert list(store.begin(step.key).iterdir()) == []


def test_scratch_survives_until_the_step_is_finished(store: LocalStore) -> None:
    step = data_step()
    (store.scratch(step.key) / "epoch.json").write_text("7")
    assert LocalStore(store.root).has_scratch(step.key)
    assert (store.scratch(step.key) / "epoch.json").read_text() == "7"
    put(store, step)
    assert not (store.root / "scratch" / step.key).exists()


def test_asking_for_ten_thousand_artifacts_takes_less_than_a_tenth_of_a_second(store: LocalStore) -> None:
    keys = [f"{n * 7919 % 256:02x}{n:062x}" for n in range(10_000)]
    for key in keys[::2]:
        store.folder(key).mkdir(parents=True)
    fresh = LocalStore(store.root)
    started = time.process_time()
    found = sum(fresh.has(key) for key in keys)
    assert time.process_time() - started < 0.1
    assert found == 5000


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda place: (place / "labels.npz").unlink(), "labels.npz is missing"),
        (lambda place: (place / "labels.npz").write_bytes(b"short"), "labels.npz has 5 bytes instead of"),
        (lambda place: (place / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda place: (place / "manifest.json").write_text("{"), "manifest.json cannot be read"),
        (lambda place: (place / "manifest.json").write_text("[]"), "manifest.json cannot be read"),
    ],
)
def test_a_missing_or_cut_file_is_found_by_its_size(store: LocalStore, harm, fault: str) -> None:
    step = data_step()
    put(store, step)
    harm(store.folder(step.key))
    assert fault in str(store.check_sizes(step.key))
    with pytest.raises(Damaged, match=fault):
        LocalStore(store.root).fetch(step.key)


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_flipped_bit_is_found_when_the_artifact_is_used(store: LocalStore) -> None:
    step = data_step()
    put(store, step)
    flip_a_byte(store.folder(step.key) / "labels.npz")
    fresh = LocalStore(store.root)
    assert fresh.check_sizes(step.key) is None
    with pytest.raises(Damaged, match="SHA-256"):
        fresh.fetch(step.key)


def test_an_artifact_in_the_place_of_another_is_found(store: LocalStore) -> None:
    first, second = data_step("one"), data_step("two")
    put(store, first)
    store.folder(second.key).parent.mkdir(parents=True, exist_ok=True)
    store.folder(first.key).rename(store.folder(second.key))
    assert store.verify(second.key) == "manifest.json belongs to another artifact"


def run_and_listen(made: Made, store: LocalStore, performer: Performer) -> tuple[Outcome, list[Event]]:
    events: list[Event] = []
    return run(made.plan, store, performer, listen=events.append), events


def test_a_damaged_input_is_set_aside_and_rebuilt_before_the_step_that_needs_it(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    chain = made.chains[0]
    store.remove(chain.evaluate.key)
    flip_a_byte(store.folder(chain.train.key) / "weights.safetensors")
    performer = Performer()
    outcome, events = run_and_listen(made, LocalStore(store.root), performer)
    assert outcome.complete
    assert performer.performed == [chain.train.key, chain.evaluate.key]
    damaged = [event for event in events if isinstance(event, ArtifactDamaged)]
    assert [event.key for event in damaged] == [chain.train.key]
    assert "SHA-256" in (Path(damaged[0].place) / "fault.txt").read_text()


def test_a_damaged_input_whose_own_inputs_are_gone_is_rebuilt_with_them(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    chain = made.chains[0]
    store.remove(chain.evaluate.key)
    store.remove(made.data.key)
    flip_a_byte(store.folder(chain.train.key) / "weights.safetensors")
    performer = Performer()
    assert run(made.plan, LocalStore(store.root), performer).complete
    assert performer.performed == [made.data.key, chain.train.key, chain.evaluate.key]


def test_a_changed_result_is_found_though_no_step_uses_it(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    changed = made.chains[1].evaluate.key
    flip_a_byte(store.folder(changed) / "rows.parquet")
    performer = Performer()
    outcome, events = run_and_listen(made, LocalStore(store.root), performer)
    assert performer.performed == [changed]
    assert any(isinstance(event, ArtifactDamaged) for event in events)
    assert outcome.complete


def test_a_damaged_artifact_that_nothing_wanted_needs_is_left_alone(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    (store.folder(made.chains[0].train.key) / "weights.safetensors").unlink()
    performer = Performer()
    assert run(made.plan, LocalStore(store.root), performer).complete
    assert performer.performed == []


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text(json.dumps({"format": manifest.FORMAT + 1}))
    with pytest.raises(StoreError, match="newer satdsl"):
        LocalStore(tmp_path)


def test_an_artifact_of_a_newer_version_is_refused_not_rebuilt(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    file = store.folder(made.chains[0].evaluate.key) / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": manifest.FORMAT + 1}))
    with pytest.raises(StoreError, match="newer satdsl"):
        run(made.plan, LocalStore(store.root), Performer())
    assert store.recheck(made.chains[0].evaluate.key)


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x00"])
def test_a_folder_that_is_no_store_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(StoreError, match="does not describe a satdsl store"):
        LocalStore(tmp_path)


def test_a_file_in_the_place_of_the_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="not a folder"):
        LocalStore(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_store_without_write_permission_gives_an_error_that_names_it(tmp_path: Path, made: Made) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=f"{tmp_path} cannot be written"):
        run(made.plan, LocalStore(tmp_path), Performer())
    tmp_path.chmod(0o700)


def fails_with(code: int):
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code), "somewhere")

    return refuse


def test_a_read_only_store_gives_an_error_that_names_it(
    made: Made, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "mkdir", fails_with(errno.EROFS))
    with pytest.raises(StoreError, match=f"{store.root} cannot be written") as caught:
        run(made.plan, store, Performer())
    assert "--store" in caught.value.help


def test_a_finished_store_can_be_used_read_only(made: Made, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run(made.plan, store, Performer())
    for name in ("mkdir", "rename", "write_text", "unlink"):
        monkeypatch.setattr(Path, name, fails_with(errno.EROFS))
    assert run(made.plan, LocalStore(store.root), Performer()).complete


def test_a_disk_that_fills_up_while_an_artifact_is_committed_keeps_what_was_finished(
    made: Made, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(made.plan, store, Performer(), wanted=[made.data.key])
    monkeypatch.setattr(os, "fsync", fails_with(errno.ENOSPC))
    with pytest.raises(StoreError, match=f"disk of the store {store.root} is full"):
        run(made.plan, store, Performer())
    monkeypatch.undo()
    assert LocalStore(store.root).keys() == {made.data.key}
    assert list((store.root / "work").iterdir()) == []
    assert run(made.plan, store, Performer()).complete


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_step_that_fills_the_disk_stops_the_run_with_the_places_name(made: Made, store: LocalStore) -> None:
    def fill(step: Step) -> None:
        if step.kind == "train":
            with open("/dev/full", "wb") as file:
                file.write(b"weights")

    with pytest.raises(StoreError, match=r"no room .* train net\[draw=0\].*" + str(store.root)):
        run(made.plan, store, Performer(before=fill))
    assert LocalStore(store.root).keys() == {made.data.key}


def test_a_step_that_leaves_a_link_fails(made: Made, store: LocalStore) -> None:
    def perform(step, work) -> None:
        (work.out / "link").symlink_to("/etc/hostname")

    outcome = run(made.plan, store, perform)
    assert "link is not a plain file" in outcome.failed[made.data.key].reason


def test_removed_artifacts_and_leftovers_are_gone(made: Made, store: LocalStore) -> None:
    run(made.plan, store, Performer())
    store.remove(made.data.key)
    assert not LocalStore(store.root).has(made.data.key)
    (store.scratch(made.data.key) / "epoch").write_text("3")
    (left,) = store.leftovers()
    assert (left.kind, left.key) == ("scratch", made.data.key)
    store.delete_leftover(left)
    assert store.leftovers() == ()


def killed_at(moment: int, made: Made, root: Path) -> bool:
    """Run the plan in a child process that dies at its n-th touch of the store; whether it got that far."""
    child = os.fork()
    if child == 0:
        touched = 0

        def count(event: str, args: tuple[object, ...]) -> None:
            nonlocal touched
            if event in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree"):
                touched += 1
                if touched == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            store = LocalStore(root)
            sys.addaudithook(count)
            run(made.plan, store, Performer())
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_whenever_a_run_is_killed_nothing_half_written_is_seen_and_the_next_run_goes_on(
    tmp_path: Path,
) -> None:
    made = make(draws=1)
    whole = LocalStore(tmp_path / "whole")
    run(made.plan, whole, Performer())
    moment, kills = 1, 0
    while killed_at(moment, made, tmp_path / f"killed-{moment}"):
        store = LocalStore(tmp_path / f"killed-{moment}")
        there = store.keys()
        assert [store.verify(key) for key in there] == [None] * len(there)
        performer = Performer()
        outcome = run(made.plan, store, performer)
        assert outcome.complete
        assert not there & set(performer.performed)
        assert same_artifacts(store, whole, made.plan.steps)
        assert not [left for left in store.leftovers() if left.kind == "work"]
        moment += 2
        kills += 1
    assert kills > 20
