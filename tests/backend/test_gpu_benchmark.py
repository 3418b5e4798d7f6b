"""`benchmarks/gpu.py` waits for a GPU. It is run here in its smallest form, so that it works the day there is one."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("gpu_parts.whole")


def test_all_of_it_runs_in_its_smallest_form(gpu: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    asked = ["--device", "cpu", "--tiny", "--output", str(page), "--data-root", str(tmp_path)]
    assert gpu.main(asked) == 0
    text = page.read_text("utf-8")
    assert "Nothing computes wrongly." in text
    for attack in ("pgd, Linf", "fmn, Linf", "ddn"):
        assert f"| {attack} |" in text
    assert "| small_cnn | 8 | fp32 | satdsl |" in text
    assert "Accuracy under PGD-20" in text
    assert "CUDA graphs need a GPU" in text
    assert "synthetic" in text  # it says that CIFAR-10 was not there


def test_without_a_gpu_it_measures_nothing(gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    assert gpu.main(["--device", "cpu", "--output", str(page)]) == 0
    assert "There is no GPU here" in capsys.readouterr().out
    assert not page.exists()


def test_what_fails_is_on_the_page_and_the_rest_goes_on(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(bench: Any, budget: Any) -> list[str]:
        bench.page.put("Measured", ["a line that a kill must not lose"])
        assert "must not lose" in (tmp_path / "page.md").read_text("utf-8")
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(gpu.correctness, "run", fail)
    monkeypatch.setattr(gpu.throughput, "run", lambda bench, budget: ["too slow"])
    monkeypatch.setattr(gpu.training, "run", lambda bench, budget: [])
    page = tmp_path / "page.md"
    assert gpu.main(["--device", "cpu", "--tiny", "--output", str(page)]) == 1
    text = page.read_text("utf-8")
    assert "**What is wrong:**" in text
    assert "no kernel image" in text
    assert "- too slow" in text
    assert "must not lose" in text


def test_parts_that_find_no_time_are_named(gpu: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    gpu.main(["--device", "cpu", "--tiny", "--seconds", "0", "--output", str(page)])
    assert page.read_text("utf-8").count("No time was left") == 3


def test_what_finds_no_time_within_a_part_is_named(gpu: ModuleType, tmp_path: Path) -> None:
    options = gpu.options_of(["--device", "cpu", "--tiny", "--output", str(tmp_path / "page.md")])
    page = gpu.Page(options.output, [])
    assert gpu.throughput.run(gpu.Bench(None, options, page), gpu.Budget(0)) == []
    assert "satdsl (small_cnn, 8, fp32): no time" in page.text


class Standing:
    def __init__(self, *correct: int) -> None:
        self.correct = np.array(correct, dtype=bool)


@pytest.mark.parametrize(
    ("here", "there", "draws", "same"),
    [
        ((1,) * 100, (1,) * 100, False, True),
        ((1,) * 97 + (0,) * 3, (1,) * 100, False, False),
        ((1,) * 98 + (0,) * 2, (1,) * 100, False, True),
        ((1,) * 90 + (0,) * 10, (1,) * 80 + (0,) * 10 + (1,) * 10, True, True),
        ((1,) * 80 + (0,) * 20, (1,) * 100, True, False),
    ],
)
def test_verdicts_agree_up_to_rounding_and_draws(
    gpu: ModuleType, here: tuple[int, ...], there: tuple[int, ...], draws: bool, same: bool
) -> None:
    assert bool(gpu.correctness.agree(Standing(*here), Standing(*there), draws)) is same
