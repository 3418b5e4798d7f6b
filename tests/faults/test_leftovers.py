"""A kill after an artifact got its place and before its step ended: the next run clears what it left."""

from __future__ import annotations

import os
import signal

import pytest

from satdsl.engine.local_store import disk
from tests.engine.fake_steps import Performer, make, run, write_artifact
from tests.engine.store_locations import Home


def die(*ignored: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("home", ["folder", "s3", "files by fsspec"], indirect=True)
def test_what_a_kill_leaves_of_a_finished_step_is_gone_after_the_next_run(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(1)
    step = made.data
    child = os.fork()
    if child == 0:
        store = home.store()
        store.lock(step.key)
        write_artifact(step, store.begin(step.key))
        (store.scratch(step.key) / "state").write_text("half")
        store.save(step.key)
        monkeypatch.setattr(disk, "remove", die)
        store.commit(step, "digits", seconds=1.0, continued=False, device="cpu")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    store = home.store()
    assert store.keys() == {step.key}
    assert store.leftovers()
    performer = Performer()
    assert run(made.plan, store, performer).complete
    assert step.key not in performer.performed
    assert store.leftovers() == ()
    assert not [name for name in home.names() if name.startswith(("scratch", "leases", "locks"))]


@pytest.mark.parametrize("home", ["folder", "memory"], indirect=True)
def test_what_a_living_owner_has_is_left_alone(home: Home) -> None:
    made = make(1)
    run(made.plan, home.store(), Performer())
    owner = home.store("one")
    lock = owner.lock(made.data.key)
    assert lock is not None
    with lock:
        (owner.scratch(made.data.key) / "state").write_text("half")
        owner.save(made.data.key)
        assert run(made.plan, home.store("two"), Performer()).complete
        assert owner.has_scratch(made.data.key)
