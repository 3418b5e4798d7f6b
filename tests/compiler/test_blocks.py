"""Evaluations in blocks: the order of the images, how many blocks there are, and what is planned and shown."""

from __future__ import annotations

import io
import math
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from words import HEAD, plan_of

from satdsl.ir import blocks
from satdsl.ir.part_of_plan import only
from satdsl.ir.plan import Passes, Plan, added
from satdsl.ir.steps import Block, CatalogCall, Evaluate
from satdsl.plan import cost
from satdsl.plan.saved import load, save
from satdsl.show.document import plan_document
from satdsl.show.graph import mermaid
from satdsl.show.text import page

fixed = settings(derandomize=True, database=None, deadline=None)

images = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 6)), max_size=120, unique_by=lambda image: image[0])
"""Dataset indices with their labels."""

TRAIN = "train t = m on d using r\n"
NET = HEAD.replace("small_cnn()", "preact_resnet18()")
"""A network large enough for digits to be divided."""


UNDER = "evaluate t { robust = robust accuracy under aa on val }\n"
ON_A = "evaluate t { robust = robust accuracy under aa on A_val }\n"
ON_TRAIN = ON_A.replace("A_val", "A_train")
OF_U = UNDER.replace("evaluate t", "evaluate u")


def measured(under: str, part: str) -> Plan:
    return plan_of(NET + TRAIN + f"evaluate t {{ robust = robust accuracy under {under} on {part} }}\n")


def order(chosen: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Images in the order in which blocks take them."""
    places = blocks.order([label for _, label in chosen], [index for index, _ in chosen])
    return [chosen[place] for place in places]


@fixed
@given(images)
def test_every_beginning_has_of_each_class_its_share_rounded_down_or_up(chosen: list[tuple[int, int]]) -> None:
    ordered, n = order(chosen), len(chosen)
    assert sorted(ordered) == sorted(chosen)
    every, met = Counter(label for _, label in chosen), Counter[int]()
    for k, (_, label) in enumerate(ordered, 1):
        met[label] += 1
        for klass, m in every.items():
            assert k * m // n <= met[klass] <= -(-k * m // n)


@fixed
@given(images, st.randoms())
def test_the_order_depends_on_the_images_and_not_on_how_they_come(chosen: list[tuple[int, int]], mix: Random) -> None:
    ordered = order(chosen)
    shuffled = chosen[:]
    mix.shuffle(shuffled)
    assert order(shuffled) == ordered


@fixed
@given(images, st.integers(0, 6))
def test_images_of_one_class_come_in_the_same_order_whatever_else_is_measured(
    chosen: list[tuple[int, int]], klass: int
) -> None:
    """So two evaluations of which one is of a part have measured nearly the same images of it at any time."""
    alone = [image for image in chosen if image[1] == klass]
    assert [image for image in order(chosen) if image[1] == klass] == order(alone)


@fixed
@given(images, st.integers(1, 30))
def test_blocks_have_each_image_once_and_differ_by_one_image_at_most(chosen: list[tuple[int, int]], count: int) -> None:
    labels, indices = [label for _, label in chosen], [index for index, _ in chosen]
    parts = [blocks.members(labels, indices, Block(index, count)) for index in range(count)]
    assert sorted(place for part in parts for place in part) == list(range(len(chosen)))
    assert all(part == sorted(part) for part in parts)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == [blocks.size(len(chosen), Block(index, count)) for index in range(count)]


def test_the_order_is_the_same_for_ever() -> None:
    """Blocks that somebody has stored are of these images."""
    labels = [0, 1, 2, 0, 1, 0, 0, 2, 0, 1]
    assert blocks.order(labels, list(range(10))) == [0, 1, 8, 7, 5, 9, 3, 4, 6, 2]


@pytest.mark.parametrize(
    ("images", "batch", "number"),
    [
        (0, 500, 1),
        (99, 500, 1),
        (100, 500, 2),
        (324, 500, 6),
        (1_000, 500, 8),
        (4_000, 500, 8),
        (9_000, 500, 18),
        (10_000, 500, 20),
        (50_000, 500, 20),
        (10_000, 2_000, 8),
        (10_000, 1, 20),
    ],
)
def test_few_images_are_shared_by_workers_and_many_are_batches(images: int, batch: int, number: int) -> None:
    assert blocks.number(images, batch) == number


def test_of_a_small_network_on_small_images_blocks_have_to_be_large() -> None:
    """What a block costs whatever is in it is little beside the passes of its images."""
    assert [blocks.number(360, 500, work) for work in (1e6, 2.4e7, 3e7, 4e7, 6e7, math.inf)] == [1, 3, 4, 5, 7, 7]
    assert blocks.number(10_000, 500, 1e6) == 3


def test_what_an_image_is_to_a_network_is_read_off_its_architecture() -> None:
    small, shape = CatalogCall("small_cnn", (("width", 16),)), (1, 8, 8)
    convolutions, norms, last = 9 * 16 + 9 * 16 * 32 + 9 * 32 * 64, 4 * (16 + 32 + 64), 64 * 10 + 10
    assert cost.work(small, shape, 10) == (convolutions + norms + last) * 64
    assert cost.work(small, (1, 16, 16), 10) == 4 * cost.work(small, shape, 10)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (HEAD + TRAIN + UNDER, 0),
        (NET + TRAIN + UNDER, 6),
        (NET + TRAIN + "transfer u = t to d using r { train head }\n" + OF_U, 6),
        (HEAD + TRAIN + "transfer u = t to d using r { train head }\n" + OF_U, 0),
    ],
    ids=["small", "large", "a head on the large one", "a head on the small one"],
)
def test_the_network_that_is_measured_decides(text: str, number: int) -> None:
    (found,) = {len(step.blocks) for step in plan_of(text).shown.values() if step.kind == "evaluate"}
    assert found == number


@fixed
@given(st.integers(0, 100_000), st.integers(1, 3_000))
def test_no_block_is_so_small_that_its_passes_do_not_pay(images: int, batch: int) -> None:
    count = blocks.number(images, batch)
    assert 1 <= count <= blocks.MOST
    assert count == 1 or images / count >= blocks.FEWEST


def test_an_evaluation_under_autoattack_is_planned_in_blocks_that_it_is_put_together_from() -> None:
    plan = measured("aa", "val")
    key, whole = next((key, step) for key, step in plan.shown.items() if step.kind == "evaluate")
    made = [plan.steps[block] for block in whole.blocks]
    assert [step.settings.block for step in made if isinstance(step.settings, Evaluate)] == [
        Block(index, 6) for index in range(6)
    ]
    assert all(step.inputs == whole.sources for step in made)
    assert [plan.labels[step.key] for step in made] == [f"{plan.labels[key]}, block {k} of 6" for k in range(1, 7)]
    assert plan.passes[key] == Passes(), "nothing is left for it to put through a network"
    assert plan.whole_passes(key) == added([plan.passes[step.key] for step in made])
    assert set(plan.evaluation_of) == set(whole.blocks)
    assert set(plan.evaluation_of.values()) == {key}


def test_a_part_of_a_plan_and_a_saved_plan_have_the_blocks_of_their_evaluations(tmp_path: Path) -> None:
    plan = measured("aa", "val")
    part = only(plan, ["t.robust"])
    assert part.evaluation_of == plan.evaluation_of
    for name in ("plan.json", "plan.yaml"):
        save(plan, tmp_path / name)
        loaded = load(tmp_path / name)
        assert loaded.steps == plan.steps
        assert loaded.evaluation_of == plan.evaluation_of


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("train t = m on d using r\nevaluate t every 5 epochs { r = robust accuracy under aa on val }\n", [6, 6]),
        ("split s of d { A = classes 0, 1, 2, 3; B = rest }\ntrain t = m on s using r\n" + ON_A, [2]),
        (
            "split s of d { A = hardest 30% examples by entropy of ref; B = rest }\ntrain t = m on s using r\n"
            + ON_TRAIN,
            [8],
        ),
    ],
    ids=["after epochs", "the images of some classes", "images that are picked later"],
)
def test_whatever_is_measured_is_divided_by_how_many_images_there_can_be(text: str, numbers: list[int]) -> None:
    plan = plan_of(NET + text)
    assert [len(step.blocks) for step in plan.shown.values() if step.kind == "evaluate"] == numbers


def test_evaluations_under_other_attacks_are_in_one_piece() -> None:
    assert not any(step.is_block for step in measured("pgd7", "train").steps.values())


def test_an_evaluation_is_shown_as_one_thing_and_counted_once() -> None:
    plan = measured("aa", "val")
    reasons = dict.fromkeys(plan.steps, "new")
    document = plan_document(plan, reasons)
    assert [step["label"] for step in document["steps"]] == ["data d", "train t", "evaluate t under autoattack on val"]
    evaluation = document["steps"][-1]
    assert evaluation["blocks"] == 6
    assert evaluation["inputs"].keys() == {"data", "weights"}
    assert document["totals"]["steps"] == document["totals"]["to_run"] == 3
    assert document["totals"]["blocks"] == 6
    assert document["totals"]["image_passes"]["cost"] == sum(step["image_passes"]["cost"] for step in document["steps"])
    assert mermaid(document).count("evaluate") == 1
    assert "evaluate t under autoattack on val, in 6 blocks" in mermaid(document)
    text = _text(plan, reasons)
    assert "1 evaluation in 6 blocks of images" in text
    assert "to run: 3 of 3 steps" in text


def test_an_evaluation_with_some_of_its_blocks_is_continued_and_costs_what_is_left() -> None:
    plan = measured("aa", "val")
    stored = [key for key, step in plan.steps.items() if step.kind != "evaluate"] + list(plan.evaluation_of)[:2]
    reasons = {key: "stored" if key in stored else "new" for key in plan.steps}
    document = plan_document(plan, reasons)
    assert document["steps"][-1]["reason"] == "continued"
    left = [plan.passes[key] for key in plan.steps if key not in stored]
    assert document["totals"]["image_passes_to_run"]["cost"] == round(added(left).cost)
    text = _text(plan, reasons)
    assert "1 evaluation in 6 blocks of images; 2 of them stored" in text
    assert "to run: 1 of 3 steps" in text


def _text(plan: Plan, reasons: dict[str, str]) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(page(plan, reasons))
    return out.getvalue()
