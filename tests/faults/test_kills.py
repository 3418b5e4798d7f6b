"""`satdsl run` killed at 30 moments of a whole experiment, and finished: the same results, and nothing done twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from satdsl.compile import compile_file
from satdsl.engine.local_store import LocalStore
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key
from satdsl.report.curves import curves
from tests.faults.killed_runs import Deed, End, Life, Mortals

SPEC = """sat 1
title "A small study"

dataset d = digits(holdout=20%, limit=200, limit_val=60)
model   m = small_cnn(width=4)

attack  pgd2 = pgd(norm=L2, eps=0.75, step_size=0.5, steps=2)
attack  aa   = autoattack(norm=L2, eps=0.75, version=custom, attacks=[apgd-ce], batch=6)
recipe  r    = sgd(epochs=4, batch=50, lr=0.1, momentum=0.9)

train ref = m on d using r { keep snapshots every epoch }
split hard of d {
  A = hardest 30% examples by grand of ref
  B = rest
}
train sat = m on hard using r {
  attack A with pgd2
  select by robust accuracy under pgd2 every 2 epochs
}
evaluate ref { clean = clean accuracy on val;  entropy = mean snapshot-entropy on train }
evaluate sat { clean = clean accuracy on val;  robust = robust accuracy under aa on val }

table "All" = rows(ref.clean, ref.entropy, sat.clean, sat.robust)
"""

SEEDS, ALL_SEEDS, BY_THE_CLOCK = (2, 4), (1, 2, 3, 4), 6
"""Of each chain of kills; these seeds meet every phase of a step often enough."""

KILLED = {"none": 1, "data": 1, "train": 4, "score": 1, "split": 1, "evaluate": 3}
"""How often a chain kills in each kind of step; "none" is before the first."""

AGAIN = {"train": 30, "evaluate": 12}
"""Steps that a chain kills a second time, after they went on: at one of so many deeds, which are left by then."""


@dataclass(frozen=True)
class Study:
    """The experiment, run once from its start to its end, and the program that runs it again."""

    mortals: Mortals
    folder: Path
    plan: Plan
    life: Life
    store: LocalStore

    def live(self, store: Path, end: End) -> Life:
        options = ["--store", str(store), "--device", "cpu", "--log-format", "json"]
        return self.mortals.live(["run", str(self.folder / "spec.sat"), *options], store, end)

    def kind(self, key: Key) -> str:
        return self.plan.steps[key].kind if key in self.plan.steps else "none"

    def deeds(self, among: str) -> list[Deed]:
        return [deed for deed in self.life.deeds if among in (deed.key, deed.place.partition("/")[0])]

    def ends(self, chance: random.Random) -> Iterator[End]:
        """Moments that follow each other: one in each step, a second in those that save, one in the report."""
        order = list(dict.fromkeys(deed.key for deed in self.life.deeds if deed.key in self.plan.steps))
        yield End(chance.randint(1, 12))
        for key in order[:-1]:  # the last one's lock is the last, and the report's deeds would count as its own
            yield End(chance.randint(1, len(self.deeds(key))), key)
            if self.kind(key) in AGAIN and len(self.deeds(key)) > 50:
                yield End(chance.randint(1, AGAIN[self.kind(key)]), key)
        yield End(chance.randint(1, len(self.deeds("reports"))), "reports")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    folder = tmp_path_factory.mktemp("study")
    (folder / "spec.sat").write_text(SPEC, "utf-8")
    mortals, root = Mortals(folder), folder / "whole"
    unborn = Study(mortals, folder, compile_file(folder / "spec.sat").plan, Life(0, (), "", ()), LocalStore(root))
    life = unborn.live(root, End())
    assert life.code == 0
    yield Study(mortals, folder, unborn.plan, life, LocalStore(root))
    mortals.end()


@pytest.mark.parametrize("seeds", [SEEDS, pytest.param(ALL_SEEDS, marks=pytest.mark.slow)], ids=str)
def test_a_run_that_is_killed_in_every_step_and_finished_is_one_that_never_was(
    study: Study, seeds: tuple[int, ...], tmp_path: Path
) -> None:
    found: list[tuple[str, str]] = []
    for seed in seeds:
        ends = list(study.ends(random.Random(seed)))
        lives = lived(study, tmp_path / str(seed), ends)
        assert len(lives) == len(ends) + 1, seed
        same_as_uninterrupted(study, lives, tmp_path / str(seed))
        found += [moment(study, life) for life in lives[:-1]]
    assert len(found) == 12 * len(seeds)
    steps, phases = (Counter(parts) for parts in zip(*found, strict=True))
    assert steps >= Counter({kind: len(seeds) * count for kind, count in KILLED.items()})
    assert phases.keys() == {"starting", "locking", "reading", "computing", "saving", "writing", "reporting"}
    assert min(phases["computing"], phases["saving"], phases["writing"]) >= 5 * len(seeds) // 4


def test_the_clock_kills_in_the_midst_of_compiled_code_and_the_same_holds(study: Study, tmp_path: Path) -> None:
    chance = random.Random(4)
    ends = [End(after=chance.uniform(0.1, 0.5)) for _ in range(BY_THE_CLOCK)]
    lives = lived(study, tmp_path / "store", ends)
    assert sum(life.killed for life in lives) > 0
    same_as_uninterrupted(study, lives, tmp_path / "store")


def lived(study: Study, store: Path, ends: Sequence[End]) -> list[Life]:
    """Run until all is done, each time until its end; whatever is visible in between is whole."""
    lives: list[Life] = []
    for end in [*ends, End()]:
        lives.append(study.live(store, end))
        seen = LocalStore(store)
        assert {key: fault for key in sorted(seen.keys()) if (fault := seen.verify(key)) is not None} == {}
        if not lives[-1].killed:
            break
    return lives


def same_as_uninterrupted(study: Study, lives: Sequence[Life], root: Path) -> None:
    assert lives[-1].code == 0
    assert lives[-1].output.replace(str(root), "STORE") == study.life.output.replace(str(study.store.root), "STORE")
    store = LocalStore(root)
    assert files(store) == files(study.store)
    assert learned(study.plan, store) == learned(study.plan, study.store)
    for key in study.plan.steps:
        mine, other = store.manifest(key), study.store.manifest(key)
        assert (mine.identity, mine.label) == (other.identity, other.label)
        assert {file.path for file in mine.files} == {file.path for file in other.files}
    # No orphan: nothing but artifacts and the report, and no file that was to be renamed.
    assert store.leftovers() == ()
    assert {place.name for place in root.iterdir() if place.is_file() or any(place.iterdir())} == {
        "store.json",
        "artifacts",
        "reports",
    }
    nothing_done_twice(study, lives)


def nothing_done_twice(study: Study, lives: Sequence[Life]) -> None:
    """Each step is put into its place once, and computes again no more than what it had not saved when it died."""
    finished = Counter(event["key"] for life in lives for event in life.events if event["event"] == "step-finished")
    assert max(finished.values()) == 1
    stored = Counter(key for life in lives for key in commits(life))
    assert stored == Counter(study.plan.steps.keys())
    for key in study.plan.steps:
        unsaved = sum(passes_since_save(life, key) for life in lives[:-1])
        # Which images are right without attack is no work to save: one pass, each time that an evaluation goes on.
        begun = sum(passes(life, key) > 0 for life in lives) - 1 if study.kind(key) == "evaluate" else 0
        again = sum(passes(life, key) for life in lives) - passes(study.life, key)
        assert 0 <= again <= unsaved + begun, study.plan.labels[key]


def files(store: LocalStore) -> dict[str, bytes]:
    """All artifacts' files but those that hold times: manifests and curves."""
    found = (path for path in (store.root / "artifacts").rglob("*") if path.is_file())
    timeless = (path for path in found if path.stem not in ("manifest", "curves"))
    return {path.relative_to(store.root).as_posix(): path.read_bytes() for path in timeless}


def learned(plan: Plan, store: LocalStore) -> list[object]:
    """All curves, without the seconds that an epoch took."""
    return [
        (curve.name, curve.chosen, [{**epoch, "seconds": 0.0} for epoch in curve.epochs])
        for curve in curves(plan, store)
    ]


def done(life: Life) -> tuple[Deed, ...]:
    """All that a life did: it died before the last."""
    return life.deeds[:-1] if life.killed else life.deeds


def commits(life: Life) -> list[Key]:
    """The steps whose folder was renamed into its place."""
    return [deed.key for deed in done(life) if deed.what == "os.rename" and deed.place == f"work/{deed.key}"]


def passes(life: Life, key: Key) -> int:
    return sum(deed.what == "pass" and deed.key == key for deed in done(life))


def passes_since_save(life: Life, key: Key) -> int:
    """How many passes a killed step's last save knew nothing of."""
    count = 0
    for deed in done(life):
        if deed.key == key:
            saved = deed.what == "os.rename" and (deed.place.startswith("scratch/") or deed.place == f"work/{key}")
            count = 0 if saved else count + (deed.what == "pass")
    return count


def moment(study: Study, life: Life) -> tuple[str, str]:
    """In which kind of step a life ended, and what it was doing."""
    return study.kind(life.deeds[-1].key), doing(life.deeds[-1])


def doing(deed: Deed) -> str:
    if deed.what == "pass":
        return "computing"
    names = {"locks": "locking", "artifacts": "reading", "scratch": "saving", "work": "writing", "reports": "reporting"}
    return names.get(deed.place.partition("/")[0], "starting")
