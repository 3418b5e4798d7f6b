"""Garbage: what named plans need is kept, what runs is left alone, and what goes is counted."""

from __future__ import annotations

import pytest

from satdsl.engine.gc import delete_garbage, find_garbage
from tests.engine.fake_steps import Made, Performer, make, run
from tests.engine.store_locations import Home


@pytest.fixture
def made() -> Made:
    return make(draws=3)


def test_what_the_plans_need_and_what_that_is_made_from_is_kept(home: Home, made: Made) -> None:
    run(made.plan, home.store(), Performer())
    keep = make(draws=2).plan.steps
    store = home.store("two")
    found = find_garbage(store, keep)
    gone = {made.chains[2].train.key, made.chains[2].evaluate.key}
    assert set(found.artifacts) == gone
    assert store.keys() >= gone  # looking deletes nothing
    freed = delete_garbage(store, found)
    assert (freed.artifacts, freed.leftovers, freed.busy) == (2, 0, frozenset())
    assert freed.size == sum(found.artifacts.values()) > 5000
    assert home.store().keys() == set(keep)
    assert all(home.store().verify(key) is None for key in keep)
    assert not [name for name in home.names() if made.chains[2].train.key in name and not name.startswith("locks/")]


def test_leftovers_go_but_what_an_unfinished_step_of_the_plans_saved_stays(home: Home, made: Made) -> None:
    store = home.store()
    run(made.plan, store, Performer(), wanted=[made.data.key])
    kept, other = made.chains[0].train.key, made.chains[2].train.key
    for key in (kept, other):
        lock = store.lock(key)
        assert lock is not None
        with lock:
            (store.scratch(key) / "state").write_bytes(bytes(1000))
            store.discard(key)
    store.quarantine(made.data.key, "to see")
    freed = delete_garbage(store, find_garbage(store, make(draws=2).plan.steps))
    assert freed.artifacts == 0
    assert home.store().has_scratch(kept)
    assert not home.store().has_scratch(other)
    assert {left.key for left in home.store().leftovers()} == {kept}
    assert freed.size > 1000 + 40


def test_what_a_running_step_has_is_left_alone(home: Home, made: Made) -> None:
    run(made.plan, home.store(), Performer())
    running = made.chains[0].train.key
    owner = home.store("one")
    lock = owner.lock(running)
    assert lock is not None
    with lock:
        (owner.begin(running) / "half").write_bytes(b"half")
        freed = delete_garbage(home.store("two"), find_garbage(home.store("two"), ()))
        assert freed.busy == {running}
        assert (owner.begin(running).parent / running).exists()
        assert home.store().keys() == {running}
    assert delete_garbage(home.store(), find_garbage(home.store(), ())).busy == frozenset()
    assert home.store().keys() == frozenset()


def test_copies_of_what_is_gone_elsewhere_go(home: Home, made: Made) -> None:
    run(made.plan, home.store("one"), Performer())
    key = made.chains[0].train.key
    home.store("two").fetch(key)
    home.store("one").remove(key)
    two = home.store("two")
    delete_garbage(two, find_garbage(two, made.plan.steps))
    assert [left for left in home.store("two").leftovers() if left.key == key] == []
