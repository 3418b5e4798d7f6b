"""Published experiments as specifications: each is checked, explained, made small, and listed with what it plans."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from satdsl.compile import Compiled, compile_file
from satdsl.findings import Source
from satdsl.format import formatted
from satdsl.ir.plan import Plan
from tests.command_line import satdsl

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "specs" / "papers"
PAPERS = sorted(FOLDER.glob("*.sat"))
PAGE = ROOT / "docs" / "explanation" / "published.md"
QUICK = "rice-2020-overfitting"
"""The smoke run of this paper is made in every test, those of the others by `make test-all`."""

MOST_LINES = 45

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATDSL_CACHE", str(tmp_path / "cache"))


def of_stem(path: Path) -> str:
    return path.stem


@cache
def compiled(path: Path) -> Compiled:
    return compile_file(path)


def lines(path: Path) -> int:
    """Lines without those that are blank or a comment."""
    return sum(bool(line.split("#")[0].strip()) for line in path.read_text("utf-8").splitlines())


def row(path: Path) -> str:
    """What the manual's table says of a paper."""
    plan: Plan = compiled(path).plan
    kinds = [step.kind for step in plan.shown.values()]
    trained = kinds.count("train") + kinds.count("head")
    passes = sum(passes.cost for passes in plan.passes.values())
    return f"| `{path.stem}` | {lines(path)} | {trained} | {kinds.count('evaluate')} | {passes / 1e6:,.0f} M |"


def rows_of(page: Path) -> list[str]:
    text = page.read_text("utf-8")
    return re.findall(r"`(\w+-\d{4}-[\w-]+)`", "\n".join(line for line in text.splitlines() if line.startswith("|")))


@pytest.mark.parametrize("path", PAPERS, ids=of_stem)
def test_a_paper_is_short_has_its_sources_and_no_finding(path: Path) -> None:
    found = compiled(path)
    text = path.read_text("utf-8")
    assert [one for one in found.experiment.warnings if not one.accepted] == []
    assert lines(path) <= MOST_LINES
    assert text == formatted(Source(path.name, text))
    assert found.experiment.claims, "the main claim is stated"
    name, year = re.match(r'sat 1\ntitle "(\w+).*?, (\d{4}): ', text).groups()  # type: ignore[union-attr]
    assert path.stem.startswith(f"{name.lower()}-{year}-")
    assert re.search(r"^# .*\b[\w-]+/[\w-]+", text, re.MULTILINE), "a repository that the settings were read in"


@pytest.mark.parametrize("path", PAPERS, ids=of_stem)
def test_a_paper_has_a_cost_and_a_small_version_of_all_of_it(path: Path) -> None:
    real, small = compiled(path).plan, compile_file(path, smoke=True).plan
    assert all(
        real.whole_passes(key).cost > 0 for key, step in real.shown.items() if step.kind in ("train", "evaluate")
    )
    assert {step.kind for step in real.steps.values()} == {step.kind for step in small.steps.values()}
    assert len(small.claims) == len(real.claims)


def test_the_manual_says_how_long_each_is_and_what_it_plans() -> None:
    expected = [row(path) for path in PAPERS]
    text = PAGE.read_text("utf-8")
    assert [line for line in text.splitlines() if re.match(r"\| `\w+-\d{4}-", line)] == expected, "\n".join(expected)


def test_the_manual_says_of_each_what_is_exact() -> None:
    assert sorted(rows_of(PAGE)) == sorted(2 * [path.stem for path in PAPERS]), "a row in both tables"


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[] if path.stem == QUICK else [pytest.mark.slow], id=path.stem) for path in PAPERS],
)
def test_all_of_a_paper_runs_in_small(path: Path, tmp_path: Path) -> None:
    result = satdsl("run", str(path), "--smoke", "--store", str(tmp_path / "store"))
    assert result.exit_code == 0, result.output
    assert "all that was asked for ran" in result.output
