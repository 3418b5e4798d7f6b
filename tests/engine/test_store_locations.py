"""What a store promises, wherever it lies: in a folder, in memory, on S3, or on a file system behind fsspec."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from satdsl.engine import manifest
from satdsl.engine.bucket import Bucket
from satdsl.engine.errors import Damaged, StoreError
from satdsl.engine.events import ArtifactDamaged, Event
from satdsl.engine.local_store import LocalStore
from satdsl.engine.open_store import open_store
from satdsl.engine.remote_store import RemoteStore
from satdsl.engine.staleness import reasons
from satdsl.engine.store import Store
from satdsl.ir.steps import Step
from satdsl.ir.work import Progress, Work
from tests.engine.fake_steps import Made, Performer, data_step, evaluate_step, make, run, same_artifacts, write_artifact
from tests.engine.store_locations import Home, Remote


@pytest.fixture
def made() -> Made:
    return make(draws=2)


def put(store: Store, step: Step) -> None:
    lock = store.lock(step.key)
    assert lock is not None
    with lock:
        write_artifact(step, store.begin(step.key))
        store.commit(step, "a label", seconds=1.5, continued=False, device="cpu")
        store.discard(step.key)


# --- what is there -------------------------------------------------------------------------------


def test_a_new_store_writes_nothing_before_its_first_artifact(home: Home, made: Made) -> None:
    store = home.store()
    assert not store.has(made.data.key)
    assert set(reasons(made.plan, store).values()) == {"new"}
    assert home.names() == []


def test_a_finished_step_is_seen_from_another_machine_and_never_runs_again(home: Home, made: Made) -> None:
    assert run(made.plan, home.store("one"), Performer()).complete
    performer = Performer()
    outcome = run(made.plan, home.store("two"), performer)
    assert (performer.performed, outcome.stored, outcome.complete) == ([], 5, True)


def test_what_is_stored_elsewhere_is_fetched_to_be_used(home: Home, made: Made) -> None:
    chain = made.chains[0]
    run(made.plan, home.store("one"), Performer(), wanted=[chain.train.key])
    read: dict[str, bytes] = {}

    def perform(step: Step, work: Work) -> None:
        read["weights"] = (work.inputs["weights"] / "weights.safetensors").read_bytes()
        read["curve"] = (work.inputs["weights"] / "curves" / "loss.json").read_bytes()
        write_artifact(step, work.out)

    assert run(made.plan, home.store("two"), perform, wanted=[chain.evaluate.key]).complete
    assert read["weights"] == home.read(home.name(chain.train.key, "weights.safetensors"))
    assert read["curve"] == b"[1.0, 0.5]"


def test_results_are_the_same_wherever_they_are_stored(home: Home, made: Made, tmp_path: Path) -> None:
    straight = LocalStore(tmp_path / "straight")
    run(made.plan, straight, Performer())
    run(made.plan, home.store(), Performer())
    assert same_artifacts(home.store(), straight, made.plan.steps)


def test_an_unfinished_artifact_is_not_there(home: Home) -> None:
    step, store = data_step(), home.store()
    lock = store.lock(step.key)
    assert lock is not None
    write_artifact(step, store.begin(step.key))
    assert not store.recheck(step.key)
    assert not home.store("two").has(step.key)
    lock.release()


def test_a_leftover_of_a_killed_run_is_gone_when_the_step_starts_again(home: Home) -> None:
    store, key = home.store(), data_step().key
    (store.begin(key) / "half.bin").write_bytes(b"half")
    assert list(store.begin(key).iterdir()) == []


def test_the_manifest_says_who_made_the_artifact(home: Home) -> None:
    step = evaluate_step(data_step("weights"), data_step())
    put(home.store(), step)
    found = home.store("two").manifest(step.key)
    assert (found.host, found.process) == (socket.gethostname(), os.getpid())
    assert found.identity == step.key


def flip(home: Home, key: str, file: str) -> None:
    content = bytearray(home.read(home.name(key, file)))
    content[len(content) // 2] ^= 1
    home.write(home.name(key, file), bytes(content))


def harmed(home: Home, key: str, how: str) -> None:
    match how:
        case "missing":
            home.delete(home.name(key, "labels.npz"))
        case "cut":
            home.write(home.name(key, "labels.npz"), b"short")
        case "unreadable":
            home.write(home.name(key, "manifest.json"), b"{")
        case "another form":
            home.write(home.name(key, "manifest.json"), b"[]")


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ("missing", "labels.npz is missing"),
        ("cut", "labels.npz has 5 bytes instead of"),
        ("unreadable", "manifest.json cannot be read"),
        ("another form", "manifest.json cannot be read"),
    ],
)
def test_a_missing_or_cut_file_is_found_by_its_size(home: Home, how: str, fault: str) -> None:
    step = data_step()
    put(home.store(), step)
    harmed(home, step.key, how)
    assert fault in str(home.store("two").check_sizes(step.key))
    prepared = home.store("two")
    prepared.prefetch([step.key])
    assert fault in str(prepared.check_sizes(step.key))
    with pytest.raises(Damaged, match=fault):
        home.store("two").fetch(step.key)


def test_a_flipped_bit_is_found_when_the_artifact_is_used(home: Home) -> None:
    step = data_step()
    put(home.store(), step)
    flip(home, step.key, "labels.npz")
    store = home.store("two")
    assert store.check_sizes(step.key) is None
    assert "SHA-256" in str(store.verify(step.key))
    with pytest.raises(Damaged, match="SHA-256"):
        store.fetch(step.key)


def test_a_damaged_input_is_set_aside_and_rebuilt_before_the_step_that_needs_it(home: Home, made: Made) -> None:
    run(made.plan, home.store(), Performer())
    chain = made.chains[0]
    home.store().remove(chain.evaluate.key)
    flip(home, chain.train.key, "weights.safetensors")
    performer, events = Performer(), list[Event]()
    assert run(made.plan, home.store("two"), performer, listen=events.append).complete
    assert performer.performed == [chain.train.key, chain.evaluate.key]
    (damaged,) = [event for event in events if isinstance(event, ArtifactDamaged)]
    assert damaged.key == chain.train.key
    (note,) = [name for name in home.names() if name.endswith("fault.txt")]
    assert b"SHA-256" in home.read(note)
    assert note.rpartition("/")[0] in damaged.place
    assert f"{note.rpartition('/')[0]}/manifest.json" in home.names()
    assert home.store().quarantined() == {chain.train.key}
    assert home.store("three").verify(chain.train.key) is None


def test_a_changed_result_is_found_though_no_step_uses_it(home: Home, made: Made) -> None:
    run(made.plan, home.store(), Performer())
    changed = made.chains[1].evaluate.key
    flip(home, changed, "rows.parquet")
    performer = Performer()
    assert run(made.plan, home.store("two"), performer).complete
    assert performer.performed == [changed]


def test_a_manifest_in_the_place_of_another_is_found(home: Home) -> None:
    first, second = data_step("one"), data_step("two")
    put(home.store(), first)
    home.write(home.name(first.key, "manifest.json").replace(first.key, second.key).replace(
        f"/{first.key[:2]}/", f"/{second.key[:2]}/"), home.read(home.name(first.key, "manifest.json")))  # fmt: skip
    assert home.store("two").verify(second.key) == "manifest.json belongs to another artifact"


@pytest.mark.parametrize("home", ["folder", "memory"], indirect=True)
@pytest.mark.parametrize("path", ["../../outside", "/tmp/outside", "a/../../b", "manifest.json", "a//b", "a\\..\\b"])
def test_a_manifest_that_names_a_file_outside_its_artifact_is_refused(home: Home, path: str) -> None:
    step = data_step()
    put(home.store(), step)
    name = home.name(step.key, "manifest.json")
    evil = json.loads(home.read(name))
    evil["files"][0]["path"] = path
    home.write(name, json.dumps(evil).encode())
    with pytest.raises(Damaged, match="outside the artifact"):
        home.store("two").fetch(step.key)


def test_a_store_of_a_newer_version_is_refused(home: Home) -> None:
    home.write("store.json", json.dumps({"format": manifest.FORMAT + 1}).encode())
    with pytest.raises(StoreError, match="newer satdsl"):
        home.store()


def test_an_artifact_of_a_newer_version_is_refused_not_rebuilt(home: Home, made: Made) -> None:
    run(made.plan, home.store(), Performer())
    name = home.name(made.chains[0].evaluate.key, "manifest.json")
    home.write(name, json.dumps(json.loads(home.read(name)) | {"format": manifest.FORMAT + 1}).encode())
    with pytest.raises(StoreError, match="newer satdsl"):
        run(made.plan, home.store("two"), Performer())
    assert home.store().recheck(made.chains[0].evaluate.key)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\x00"])
def test_a_place_that_is_no_store_is_refused(home: Home, content: bytes) -> None:
    home.write("store.json", content)
    with pytest.raises(StoreError, match=r"store\.json does not describe a satdsl store"):
        home.store()


# --- going on ------------------------------------------------------------------------------------


class Counting(Performer):
    """Each training counts to five in scratch, in two files, and stops at `until` as a kill would."""

    until = 99

    def __call__(self, step: Step, work: Work) -> None:
        if step.kind == "train":
            saved = work.scratch / "counts" / "state.json"
            saved.parent.mkdir(exist_ok=True)
            self.begun_at = json.loads(saved.read_text())["count"] if saved.exists() else 0
            for count in range(self.begun_at, 5):
                if count == self.until:
                    raise KeyboardInterrupt
                saved.write_text(json.dumps({"count": count + 1}))
                work.report(Progress(count, 5))
        super().__call__(step, work)


def counting(until: int = 99) -> Counting:
    performer = Counting()
    performer.until = until
    return performer


def test_an_interrupted_step_goes_on_on_another_machine_with_the_same_result(home: Home, tmp_path: Path) -> None:
    made, straight = make(1), LocalStore(tmp_path / "straight")
    assert run(made.plan, home.store("one"), counting(until=3)).interrupted
    two = home.store("two")
    key = made.chains[0].train.key
    assert two.has_scratch(key)
    assert reasons(made.plan, two)[key] == "continued"
    going_on = counting()
    assert run(made.plan, two, going_on).complete
    assert going_on.begun_at == 3
    assert two.manifest(key).continued
    assert two.unfinished() == frozenset()
    assert not [name for name in home.names() if name.startswith("scratch/")]
    run(made.plan, straight, Performer())
    assert same_artifacts(two, straight, made.plan.steps)


def test_of_what_two_machines_saved_the_later_is_continued(home: Home) -> None:
    made = make(1)
    for machine, until in (("one", 2), ("two", 4), ("one", 5)):
        performer = counting(until)
        run(made.plan, home.store(machine), performer)
    assert performer.begun_at == 4


def test_a_save_that_was_cut_or_changed_is_not_continued(remote: Remote) -> None:
    made = make(1)
    run(made.plan, remote.store("one"), counting(until=3))
    (saved,) = [name for name in remote.names() if name.startswith("scratch/") and not name.endswith("index.json")]
    remote.write(saved, b'{"count": 4}')
    performer = counting()
    assert run(made.plan, remote.store("two"), performer).complete
    assert performer.begun_at == 0


def test_a_file_that_did_not_change_is_saved_once(remote: Remote) -> None:
    store, key = remote.store(), data_step().key
    lock = store.lock(key)
    assert lock is not None
    with lock:
        folder = store.scratch(key)
        (folder / "large").write_bytes(b"large")
        (folder / "state").write_bytes(b"1")
        store.save(key)
        first = {name for name in remote.names() if name.startswith("scratch/")}
        (folder / "state").write_bytes(b"22")
        store.save(key)
        second = {name for name in remote.names() if name.startswith("scratch/")}
    assert len(first) == len(second) == 3
    assert len(first & second) == 2


# --- taking away ---------------------------------------------------------------------------------


def test_removed_artifacts_and_leftovers_are_gone(home: Home, made: Made) -> None:
    store = home.store()
    run(made.plan, store, Performer())
    store.remove(made.data.key)
    assert not home.store("two").has(made.data.key)
    assert not [name for name in home.names() if made.data.key in name]
    run(made.plan, store, counting(until=0), wanted=[made.data.key])
    store.quarantine(made.data.key, "to see")
    (left,) = [left for left in store.leftovers() if left.kind == "damaged"]
    assert left.key == made.data.key
    assert left.size > 1000
    store.delete_leftover(left)
    assert store.leftovers() == ()


def test_a_forced_step_replaces_its_artifact_and_its_files(home: Home, made: Made) -> None:
    run(made.plan, home.store(), Performer())
    key = made.chains[0].evaluate.key

    def otherwise(step: Step, work: Work) -> None:
        (work.out / "rows.parquet").write_bytes(b"other rows")

    assert run(made.plan, home.store(), otherwise, forced=[key]).complete
    two = home.store("two")
    assert [file.path for file in two.manifest(key).files] == ["rows.parquet"]
    assert (two.fetch(key) / "rows.parquet").read_bytes() == b"other rows"
    assert two.leftovers() == ()


# --- addresses -----------------------------------------------------------------------------------


def test_a_path_and_a_file_address_are_the_same_store(tmp_path: Path) -> None:
    put(open_store(str(tmp_path)), data_step())
    assert open_store(f"file://{tmp_path}").has(data_step().key)


@pytest.mark.parametrize("home", ["folder", "memory", "s3"], indirect=True)
def test_a_store_is_opened_again_by_its_address(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATDSL_CACHE", str(tmp_path / "cache"))
    put(home.store(), data_step())
    store = open_store(home.store().url)
    assert (store.fetch(data_step().key) / "labels.npz").exists()
    assert (tmp_path / "cache").exists() == store.url.startswith("s3://")


def test_an_address_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(StoreError, match="nowhere://x is no address of a store"):
        open_store("nowhere://x")


def test_an_address_without_a_place_is_refused() -> None:
    with pytest.raises(StoreError, match="names no place"):
        open_store("memory://")


@pytest.mark.parametrize("url", ["sftp://me:secret@host/x", "s3://KEY:secret@bucket/x", "s3://bucket/x?token=secret"])
def test_an_address_with_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(StoreError, match="holds credentials") as caught:
        open_store(url)
    assert "secret" not in caught.value.reason + caught.value.help


def test_what_a_missing_extra_is_called_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def missing(*args: object, **options: object) -> None:
        raise ImportError("Install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(StoreError, match="gs://bucket/x needs a package") as caught:
        open_store("gs://bucket/x")
    assert caught.value.help == "pip install 'satdsl[gcs]'"


def test_a_bucket_that_does_not_exist_is_named(s3: None, tmp_path: Path) -> None:
    store = RemoteStore(Bucket("s3://no-such-bucket/x"), tmp_path)
    with pytest.raises(StoreError, match="s3://no-such-bucket/x"):
        put(store, data_step())


def test_a_server_that_refuses_is_named_and_no_secret_is_told(
    s3: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match="s3://results/elsewhere does not answer") as caught:
        RemoteStore(Bucket("s3://results/elsewhere"), tmp_path)
    assert "not-to-be-shown" not in caught.value.reason + caught.value.help
    s3fs.S3FileSystem.clear_instance_cache()
