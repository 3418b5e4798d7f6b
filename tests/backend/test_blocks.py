"""Evaluations in blocks: what a block finds depends on its images alone, and together they are the whole evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from satdsl.backend import evaluation_warnings as noticed
from satdsl.catalog.attacks.autoattack import SHORT
from satdsl.ir.steps import Block, Evaluate, OfClasses, Rest, Split
from satdsl.ir.work import Progress

from .workshop import Workshop, arrays, call, columns_of, document, pgd

EFFORT = call("effort", **{name: getattr(SHORT, name) for name in SHORT.__dataclass_fields__})
AUTOATTACK = call("autoattack", norm="L2", eps=0.3, version="standard", attacks=(), batch=500, at_most=EFFORT)


def files(artifact: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(artifact.iterdir())}


def measured(workshop: Workshop, attack: Any, count: int, order: Any = None, **inputs: Any) -> list[Path]:
    """The artifacts of all blocks, measured in this order."""
    made = {
        index: workshop.do(Evaluate(attack, "val", None, block=Block(index, count)), **inputs)
        for index in order or range(count)
    }
    return [made[index] for index in range(count)]


def gathered(workshop: Workshop, attack: Any, blocks: list[Path], **inputs: Any) -> Path:
    parts: dict[str, Any] = {f"block{index}": block for index, block in enumerate(blocks)}
    return workshop.do(Evaluate(attack, "val", None), **inputs, **parts)


def test_blocks_together_are_what_one_piece_measures(workshop: Workshop, few_digits: Path, reference: Path) -> None:
    """Under an attack that draws nothing, so that the batches do not matter."""
    inputs: dict[str, Any] = {"data": few_digits, "weights": reference}
    whole = workshop.do(Evaluate(pgd(), "val", None), **inputs)
    blocks = measured(workshop, pgd(), 7, **inputs)
    together = gathered(workshop, pgd(), blocks, **inputs)
    assert files(together).keys() == files(whole).keys() == {"rows.parquet", "facts.json", "examples.npz"}
    assert (together / "rows.parquet").read_bytes() == (whole / "rows.parquet").read_bytes()
    assert document(together / "facts.json") == document(whole / "facts.json")
    shown, found = arrays(whole / "examples.npz"), arrays(together / "examples.npz")
    for name, values in shown.items():
        # Perturbations are kept as halves; another batch may round a number in them once.
        np.testing.assert_allclose(found[name], values, atol=1e-3)
    sizes = [len(columns_of(block, "rows")["index"]) for block in blocks]
    assert sum(sizes) == 60
    assert set(sizes) == {8, 9}


def test_a_block_finds_the_same_bits_in_whatever_order_blocks_are_measured(
    workshop: Workshop, few_digits: Path, reference: Path
) -> None:
    inputs: dict[str, Any] = {"data": few_digits, "weights": reference}
    forwards = measured(workshop, AUTOATTACK, 3, **inputs)
    backwards = measured(workshop, AUTOATTACK, 3, order=(2, 1, 0), **inputs)
    assert [files(one) for one in forwards] == [files(one) for one in backwards]
    together = gathered(workshop, AUTOATTACK, forwards, **inputs)
    rows, facts = columns_of(together, "rows"), document(together / "facts.json")
    assert list(rows["index"]) == sorted(rows["index"])
    assert facts["n"] == len(rows["index"]) == 60
    assert facts["accuracy"] == rows["correct"].mean()
    assert facts["attacks"] == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert facts.keys() == {"attacks", "clean", "accuracy", "n", "zero_gradients", "warnings"}


def test_a_block_that_was_killed_goes_on_with_the_same_bits(
    workshop: Workshop, few_digits: Path, reference: Path, tmp_path: Path
) -> None:
    settings = Evaluate(AUTOATTACK, "val", None, block=Block(1, 2))
    inputs: dict[str, Any] = {"data": few_digits, "weights": reference}
    expected = files(workshop.do(settings, **inputs))

    def killed(progress: Progress) -> None:
        if progress.note.startswith("fab-t"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workshop.do(settings, scratch=tmp_path, report=killed, **inputs)
    assert (tmp_path / "autoattack.npz").exists()
    notes: list[str] = []
    again = workshop.do(settings, scratch=tmp_path, report=lambda progress: notes.append(progress.note), **inputs)
    assert files(again) == expected
    assert not any(note.startswith("apgd") for note in notes)


@pytest.fixture
def split(workshop: Workshop, few_digits: Path) -> Path:
    return workshop.do(Split((OfClasses((3, 5)), Rest()), None), data=few_digits)


def test_blocks_past_the_last_image_are_empty(
    workshop: Workshop, few_digits: Path, reference: Path, split: Path
) -> None:
    """How many images a subset has may be known only after it is picked, so that there are more blocks than images."""
    inputs: dict[str, Any] = {"data": few_digits, "weights": reference, "split": split}
    settings = [Evaluate(AUTOATTACK, "val", None, (0,), block=Block(index, 20)) for index in range(20)]
    blocks = [workshop.do(one, **inputs) for one in settings]
    sizes = [document(block / "facts.json")["n"] for block in blocks]
    assert set(sizes) == {0, 1}
    parts: dict[str, Any] = {f"block{index}": block for index, block in enumerate(blocks)}
    together = workshop.do(Evaluate(AUTOATTACK, "val", None, (0,)), **inputs, **parts)
    rows = columns_of(together, "rows")
    assert len(rows["index"]) == sum(sizes) == 12
    assert set(rows["label"]) == {3, 5}


def test_warnings_are_those_of_all_images_together(workshop: Workshop, few_digits: Path, reference: Path) -> None:
    """Blocks are too small to say that one class is named for all; and a share of gradients is that of all blocks."""
    inputs: dict[str, Any] = {"data": few_digits, "weights": reference}
    blocks = measured(workshop, pgd(), 20, **inputs)
    counts = [noticed.Counts(**document(block / "facts.json")["counts"]) for block in blocks]
    every = noticed.added(counts)
    assert every.attacked == round(document(gathered(workshop, pgd(), blocks, **inputs) / "facts.json")["clean"] * 60)
    assert every.predicted == tuple(range(10))
    one = noticed.added([noticed.Counts((4,), 2, 1, 0, ("careful",)), noticed.Counts((4,), 2, 0, 0, ("careful",))])
    labels, broken_by = np.arange(20) % 10, np.full(20, -1)
    said = noticed.reliability(one, labels, broken_by, ("pgd",), [str(k) for k in range(10)])
    assert said["zero_gradients"] == 0.25
    assert "predicts one class, 4, for all 20 images" in said["warnings"][0]
    assert "exactly zero on 25%" in said["warnings"][1]
    assert said["warnings"][2] == "careful"
