"""Each stored file in turn is changed, cut or lost: it is found, and the next run ends with the same results."""

from __future__ import annotations

from pathlib import Path

import pytest

from satdsl.engine.gc import delete_garbage, find_garbage
from satdsl.engine.local_store import LocalStore
from tests.engine.fake_steps import Performer, make, run, same_artifacts
from tests.engine.store_locations import Home


@pytest.mark.parametrize("harm", ["flipped", "cut", "lost"])
@pytest.mark.parametrize("home", ["folder", "memory"], indirect=True)
def test_verify_finds_every_damaged_file_and_a_run_repairs_what_is_wanted(
    home: Home, harm: str, tmp_path: Path
) -> None:
    made, whole = make(1), LocalStore(tmp_path / "whole")
    run(made.plan, whole, Performer())
    run(made.plan, home.store(), Performer())
    files = [(key, file.path) for key in made.plan.steps for file in whole.manifest(key).files]
    assert len(files) == 6
    for number, (key, file) in enumerate(files):
        name = home.name(key, file)
        content = bytearray(home.read(name))
        content[number % len(content)] ^= 0x40
        match harm:
            case "flipped":
                home.write(name, bytes(content))
            case "cut":
                home.write(name, bytes(content[:-1]))
            case "lost":
                home.delete(name)
        store = home.store(f"machine {number}")
        assert [other for other in made.plan.steps if store.verify(other)] == [key]
        assert run(made.plan, store, Performer(), wanted=made.plan.steps).complete or key not in wanted(made)
        if store.verify(key):
            store.quarantine(key, "seen by verify")
            assert run(made.plan, store, Performer(), forced=[key]).complete
        assert same_artifacts(home.store(), whole, made.plan.steps)
        assert [other for other in made.plan.steps if home.store("fresh").verify(other)] == []
    delete_garbage(home.store(), find_garbage(home.store(), made.plan.steps))
    assert home.store().leftovers() == ()


def wanted(made: object) -> list[str]:
    return [result.measure.evaluations[0] for result in made.plan.results]  # type: ignore[attr-defined]
