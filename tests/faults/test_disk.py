"""A disk that is full or read-only: the run ends with its name, what was finished stays, and the next run goes on."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from satdsl.engine.errors import StoreError
from satdsl.engine.local_store import LocalStore
from satdsl.engine.staleness import reasons
from satdsl.engine.store import Store
from satdsl.ir.steps import Step
from satdsl.ir.work import Progress, Work
from tests.engine.fake_steps import Performer, make, run, same_artifacts, write_artifact
from tests.engine.store_locations import Remote
from tests.faults.conftest import Disk


def sound(store: Store) -> bool:
    return not [key for key in sorted(store.keys()) if store.verify(key) is not None]


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(small_disk: Disk, tmp_path: Path) -> None:
    made, root = make(12), small_disk.root / "store"
    with pytest.raises(StoreError, match=rf"(disk of the store {root} is full|no room .*{root})") as caught:
        run(made.plan, LocalStore(root), Performer())
    assert "--store" in caught.value.help
    before = LocalStore(root).keys()
    assert 1 < len(before) < len(made.plan.steps)
    assert sound(LocalStore(root))
    small_disk.remount("size=4m")
    performer = Performer()
    assert run(made.plan, LocalStore(root), performer).complete
    assert not before & set(performer.performed)
    assert not LocalStore(root).leftovers()
    whole = LocalStore(tmp_path / "whole")
    run(made.plan, whole, Performer())
    assert same_artifacts(LocalStore(root), whole, made.plan.steps)


def test_a_full_disk_under_the_copies_of_a_remote_store_names_what_to_change(remote: Remote, small_disk: Disk) -> None:
    remote.machines = small_disk.root
    made = make(12)
    with pytest.raises(StoreError, match=f"{small_disk.root}") as caught:
        run(made.plan, remote.store("one"), Performer())
    assert "SATDSL_CACHE" in caught.value.help
    small_disk.remount("size=4m")
    assert sound(remote.store("two"))
    assert run(made.plan, remote.store("one"), Performer()).complete


def test_a_limit_on_files_is_a_full_disk_to_the_run(tmp_path: Path) -> None:
    made, root = make(1), tmp_path / "store"
    run(made.plan, LocalStore(root), Performer(), wanted=[made.data.key])
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # the weights have 5000 bytes
        try:
            run(made.plan, LocalStore(root), Performer())
        except StoreError as error:
            os._exit(7 if "no room was left" in error.reason and str(root) in error.reason else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert LocalStore(root).keys() == {made.data.key}
    assert not LocalStore(root).leftovers()
    assert run(made.plan, LocalStore(root), Performer()).complete


def test_a_read_only_store_is_read_and_refuses_what_is_new(small_disk: Disk) -> None:
    made, root = make(1), small_disk.root / "store"
    assert run(made.plan, LocalStore(root), Performer()).complete
    small_disk.remount("ro")
    performer = Performer()
    assert run(made.plan, LocalStore(root), performer).complete
    assert performer.performed == []
    more = make(2)
    assert list(reasons(more.plan, LocalStore(root)).values()).count("stored") == 3
    with pytest.raises(StoreError, match=f"the store {root} cannot be written .*Read-only") as caught:
        run(more.plan, LocalStore(root), performer)
    assert "--store" in caught.value.help
    small_disk.remount("rw,size=4m")
    assert run(more.plan, LocalStore(root), performer).complete


def test_a_disk_that_fills_while_a_step_saves_keeps_what_it_saved_before(small_disk: Disk) -> None:
    made, root = make(1), small_disk.root / "store"

    def saving(step: Step, work: Work) -> None:
        if step.kind == "train":
            for count in range(len(list(work.scratch.iterdir())), 6):
                (work.scratch / f"{count}").write_bytes(bytes(12_000))
                work.report(Progress(count, 6))
        write_artifact(step, work.out)

    with pytest.raises(StoreError, match=f"no room .*{root}"):
        run(made.plan, LocalStore(root), saving)
    assert reasons(made.plan, LocalStore(root))[made.chains[0].train.key] == "continued"
    small_disk.remount("size=4m")
    assert run(made.plan, LocalStore(root), saving).complete
    assert LocalStore(root).manifest(made.chains[0].train.key).continued
