"""A saved plan is the plan; a world that has changed since is refused, with what has changed."""

from __future__ import annotations

from dataclasses import is_dataclass
from pathlib import Path

import pytest

from satdsl.compile import compile_file
from satdsl.ir import steps
from satdsl.plan import saved
from satdsl.plan.saved import UnusablePlan, load, save

ROOT = Path(__file__).parents[2]
SPECS = sorted([*(ROOT / "specs").glob("fig*.sat"), *(ROOT / "examples").glob("*.sat")])

LISTING = """sat 1
dataset d = digits()
model m = small_cnn(4)
attack f = fgsm(norm=L2, eps=0.5)
recipe r = sgd(epochs=2, lr=0.1)
split s of d { A = examples listed in "some.txt"; B = rest }
train sat = m on s using r { attack A with f }
evaluate sat { c = clean accuracy on val }
"""


@pytest.mark.parametrize(
    ("spec", "suffix"),
    [(spec, ".json") for spec in SPECS] + [(spec, ".yaml") for spec in SPECS[::4]],  # which takes ten times as long
    ids=lambda part: part if isinstance(part, str) else part.stem,
)
def test_what_is_loaded_is_what_was_saved(spec: Path, suffix: str, tmp_path: Path) -> None:
    plan = compile_file(spec).plan
    save(plan, tmp_path / f"plan{suffix}")
    assert load(tmp_path / f"plan{suffix}") == plan


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "spec.sat").write_text(LISTING)
    (tmp_path / "some.txt").write_text("1\n2\n3\n")
    save(compile_file(tmp_path / "spec.sat").plan, tmp_path / "plan.yaml")
    return tmp_path / "plan.yaml"


def refused(path: Path) -> str:
    with pytest.raises(UnusablePlan) as error:
        load(path)
    return str(error.value)


def test_other_code_is_named_by_the_kind_of_step(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(steps.VERSIONS, "train", 99)  # type: ignore[arg-type]
    message = refused(kept)
    assert "`train` steps" in message
    assert "not 99" in message
    assert "edited" not in message


def test_a_changed_or_missing_file_is_named(kept: Path) -> None:
    listed = kept.with_name("some.txt")
    listed.write_text("1\n2\n")
    assert f"the file {listed} is not what it was" in refused(kept)
    listed.unlink()
    assert f"the file {listed} is missing" in refused(kept)


def test_other_facts_of_a_data_set_are_named(kept: Path) -> None:
    text = kept.read_text()
    (digest,) = [line for line in text.splitlines() if "the data set digits" in line]
    kept.write_text(text.replace(digest, "  the data set digits: '0'"))
    assert "the data set digits is not what it was" in refused(kept)


def test_an_edited_plan_is_refused_by_step(kept: Path) -> None:
    kept.write_text(kept.read_text().replace("- 0.1\n", "- 0.2\n", 1))
    assert "`train sat` has been edited" in refused(kept)


@pytest.mark.parametrize("text", ["", "sat 1\n", "[1, 2]", "satdsl_plan: 99\n", "satdsl_plan: 1\n", "{"])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    assert refused(tmp_path / "plan.yaml")


def test_nothing_is_executed_from_a_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("!!python/object/apply:os.system ['touch " + str(tmp_path / "ran") + "']\n")
    assert refused(tmp_path / "plan.yaml")
    assert not (tmp_path / "ran").exists()


def test_every_class_of_a_plan_is_known_by_one_name() -> None:
    shapes = {shape for module in (steps, saved.plans) for shape in vars(module).values() if isinstance(shape, type)}
    records = {shape for shape in shapes if is_dataclass(shape)}
    assert len({shape.__name__ for shape in records}) == len(records) == len(saved._RECORDS)
