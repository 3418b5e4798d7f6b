"""Subset definitions against naive NumPy, and the errors of splits that are none."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from satdsl.backend.artifact_files import sha256
from satdsl.backend.split import whole_classes
from satdsl.backend.subset_assignment import loss_weight
from satdsl.backend.subset_masks import TrainingSet, partition, subset_mask
from satdsl.ir import draws
from satdsl.ir.steps import (
    TIE_SEED,
    Combined,
    Everything,
    Holdout,
    Listed,
    Nothing,
    OfClasses,
    Pick,
    Ranking,
    Rest,
    Split,
    Subset,
    WeightFormula,
    Where,
)
from satdsl.ir.work import StepError

from .workshop import HOLDOUT, Workshop, arrays, columns_of, document

BY_SCORE = Ranking("entropy", "ranking0")
N, CLASSES = 90, 5


def training_set(complete: bool = True) -> TrainingSet:
    """90 images with gaps in their dataset index, 5 uneven classes, and scores with many ties."""
    random = np.random.default_rng(4)
    index = np.arange(N) if complete else np.sort(random.choice(200, N, replace=False))
    labels = random.choice(CLASSES, N, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    scores = random.integers(0, 12, N) / 4
    return TrainingSet(index, labels, CLASSES, complete, lambda ranking: scores)


DRAWN = {item: place for place, item in enumerate(draws.order(200, TIE_SEED))}
"""Where the draw that decides ties puts each dataset index and each class."""


def hardest_first(scores: Any, items: list[int]) -> list[int]:
    """The items by descending score, equal ones as the draw has them."""
    return [i for _, _, i in sorted((-score, DRAWN[i], i) for score, i in zip(scores, items, strict=True))]


def indices(subset: Subset, images: TrainingSet) -> set[int]:
    mask = subset_mask(subset, images, np.zeros(N, dtype=bool))
    return set(images.index[mask].tolist())


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("order", ["hardest", "easiest"])
@pytest.mark.parametrize("amount", [0.35, 0.0, 1.0, 17])
def test_a_ranked_share_is_a_naive_sort_with_ties_by_the_draw(complete: bool, order: Any, amount: float) -> None:
    images = training_set(complete)
    ranked = hardest_first(images.scores(BY_SCORE), images.index.tolist())
    count = amount if isinstance(amount, int) else int(amount * N + 0.5 + 1e-9)
    found = indices(Pick(order, amount, "examples", ranking=BY_SCORE), images)
    assert found == set((ranked if order == "hardest" else ranked[::-1])[:count])


def test_a_share_per_class_is_taken_in_every_class() -> None:
    images = training_set()
    scores = images.scores(BY_SCORE)
    found = indices(Pick("hardest", 0.3, "examples", per_class=True, ranking=BY_SCORE), images)
    expected: set[int] = set()
    for k in range(CLASSES):
        members = np.flatnonzero(images.labels == k)
        expected |= set(
            hardest_first(scores[members], images.index[members].tolist())[: draws.count(0.3, len(members))]
        )
    assert found == expected


def test_a_ranking_inside_another_subset_counts_that_subset_only() -> None:
    images = training_set()
    within = OfClasses((1, 3))
    inner = indices(within, images)
    scores = dict(zip(images.index.tolist(), images.scores(BY_SCORE), strict=True))
    found = indices(Pick("easiest", 0.5, "examples", within=within, ranking=BY_SCORE), images)
    easiest_first = hardest_first([scores[i] for i in inner], list(inner))[::-1]
    assert found == set(easiest_first[: draws.count(0.5, len(inner))])


def test_random_draws_are_nested_and_follow_the_documented_generator() -> None:
    images = training_set(complete=False)
    tens = [indices(Pick("random", share / 10, "examples", seed=3), images) for share in range(11)]
    assert all(small < large for small, large in itertools.pairwise(tens))
    documented = [i for i in draws.order(200, 3) if i in set(images.index.tolist())]
    assert tens[4] == set(documented[:36])
    assert tens[4] != indices(Pick("random", 0.4, "examples", seed=4), images)


def test_a_random_draw_inside_a_subset_keeps_the_order_of_the_whole() -> None:
    images = training_set()
    inner = indices(OfClasses((0,)), images)
    found = indices(Pick("random", 5, "examples", within=OfClasses((0,)), seed=1), images)
    assert found == set([i for i in draws.order(N, 1) if i in inner][:5])


@pytest.mark.parametrize("order", ["hardest", "easiest"])
def test_classes_are_ranked_by_their_mean_score(order: Any) -> None:
    images = training_set()
    scores = images.scores(BY_SCORE)
    means = [scores[images.labels == k].mean() for k in range(CLASSES)]
    ranked = hardest_first(means, list(range(CLASSES)))[:: 1 if order == "hardest" else -1]
    found = indices(Pick(order, 2, "classes", ranking=BY_SCORE), images)
    assert found == indices(OfClasses(tuple(sorted(ranked[:2]))), images)
    drawn = indices(Pick("random", 2, "classes", seed=7), images)
    assert drawn == indices(OfClasses(tuple(sorted(draws.order(CLASSES, 7)[:2]))), images)


def test_thresholds_and_set_operations_are_numpys() -> None:
    images = training_set()
    scores = images.scores(BY_SCORE)
    high, zero = Where(BY_SCORE, ">=", 1.5), OfClasses((0,))
    by_hand = scores >= 1.5, images.labels == 0
    assert indices(high, images) == set(images.index[by_hand[0]].tolist())
    assert indices(Combined("+", high, zero), images) == set(images.index[by_hand[0] | by_hand[1]].tolist())
    assert indices(Combined("-", high, zero), images) == set(images.index[by_hand[0] & ~by_hand[1]].tolist())
    assert indices(Combined("&", high, zero), images) == set(images.index[by_hand[0] & by_hand[1]].tolist())
    assert indices(Everything(), images) == set(range(N))
    assert indices(Nothing(), images) == set()
    for comparison, numpy in (("<", np.less), ("<=", np.less_equal), (">", np.greater), ("==", np.equal)):
        expected = set(images.index[numpy(scores, 1.5)].tolist())
        assert indices(Where(BY_SCORE, comparison, 1.5), images) == expected  # type: ignore[arg-type]


def test_rest_is_what_the_others_leave() -> None:
    images = training_set()
    numbers = partition(
        (Combined("-", Rest(), OfClasses((4,))), OfClasses((0,)), Combined("&", Rest(), OfClasses((4,)))),
        images,
    )
    assert np.array_equal(numbers, np.select([images.labels == 0, images.labels == 4], [1, 2], 0))
    assert numbers.dtype == np.int16


@pytest.mark.parametrize(
    ("subsets", "words"),
    [
        ((OfClasses((0, 1)), OfClasses((1, 2)), Rest()), "subsets 1 and 2 share"),
        ((OfClasses((0, 1)), OfClasses((2, 3))), "leave out"),
        ((Everything(), Rest()), "subset 2 of 2 is empty"),
        ((Pick("random", 0.001, "examples", seed=1), Rest()), "subset 1 of 2 is empty"),
        ((Pick("random", 91, "examples", seed=1), Rest()), "91 of 90 images"),
        ((Pick("random", 6, "classes", seed=1), Rest()), "6 of 5 classes"),
    ],
)
def test_what_is_no_partition_is_named(subsets: tuple[Subset, ...], words: str) -> None:
    with pytest.raises(StepError, match=words):
        partition(subsets, training_set())


# --- files -------------------------------------------------------------------------------------------


def listed(path: Path) -> Listed:
    return Listed(sha256(path), str(path))


def npy(path: Path, values: Any) -> None:
    np.save(path, np.array(values))


def pt(path: Path, values: Any) -> None:
    torch.save(torch.tensor(values), path)


def lines(path: Path, values: Any) -> None:
    path.write_text("\n".join(str(value) for value in values) + "\n")


def csv(path: Path, values: Any) -> None:
    path.write_text("index\n" + "\n".join(str(value) for value in values))


@pytest.mark.parametrize(("name", "write"), [("a.npy", npy), ("a.pt", pt), ("a.txt", lines), ("a.csv", csv)])
def test_listed_indices_are_read_from_every_kind_of_file(tmp_path: Path, name: str, write: Callable[..., None]) -> None:
    path = tmp_path / name
    write(path, [7, 3, 80])
    assert indices(listed(path), training_set()) == {3, 7, 80}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([3, 3], "lists dataset index 3 twice"),
        ([-1], "no dataset index"),
        ([1.5], "no dataset index"),
        ([90], "lists dataset index 90"),
    ],
)
def test_a_listed_index_that_is_none_is_named(tmp_path: Path, values: list[float], words: str) -> None:
    path = tmp_path / "a.txt"
    lines(path, values)
    with pytest.raises(StepError, match=words):
        indices(listed(path), training_set())


def test_listed_images_left_out_by_a_limit_are_passed_over(tmp_path: Path) -> None:
    images, path = training_set(complete=False), tmp_path / "a.txt"
    lines(path, range(200))
    assert indices(listed(path), images) == set(images.index.tolist())


def test_a_file_that_changed_or_holds_no_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    lines(path, [1, 2])
    before = listed(path)
    lines(path, [1, 3])
    with pytest.raises(StepError, match="changed"):
        indices(before, training_set())
    with pytest.raises(StepError, match="not there"):
        indices(Listed("0" * 64, str(tmp_path / "b.txt")), training_set())


def test_an_external_ranking_splits_by_its_numbers(workshop: Workshop, few_digits: Path, tmp_path: Path) -> None:
    labels = arrays(few_digits / "labels.npz")
    scores = np.arange(2000.0) % 7
    expected = sorted(labels["train_index"].tolist(), key=lambda i: (-scores[i], i))[:20]
    plain, pairs, short = tmp_path / "plain.npy", tmp_path / "pairs.csv", tmp_path / "short.npy"
    npy(plain, scores)
    pairs.write_text("index,score\n" + "\n".join(f"{i},{scores[i]}" for i in reversed(range(2000))))
    npy(short, np.where(np.arange(2000) == labels["train_index"][5], np.nan, scores))
    for path in (plain, pairs):
        ranking = Ranking(digest=sha256(path), path=str(path))
        split = Split((Pick("hardest", 0.1, "examples", ranking=ranking), Rest()), None)
        table = columns_of(workshop.do(split, data=few_digits), "split")
        assert sorted(table["index"][table["subset"] == 0].tolist()) == sorted(expected)
    ranking = Ranking(digest=sha256(short), path=str(short))
    with pytest.raises(StepError, match="NaN for 1 of 200"):
        workshop.do(Split((Pick("hardest", 0.1, "examples", ranking=ranking), Rest()), None), data=few_digits)


# --- steps -------------------------------------------------------------------------------------------


def test_a_split_ranks_by_the_scores_of_a_training(workshop: Workshop, digits: Path, reference: Path) -> None:
    pick = Pick("hardest", 0.3, "examples", ranking=Ranking("snapshot-entropy", "ranking0"))
    out = workshop.do(Split((pick, Rest()), HOLDOUT), data=digits, ranking0=reference)
    table, scores = columns_of(out, "split"), columns_of(reference, "scores")["snapshot-entropy"]
    facts = document(out / "facts.json")
    assert facts == {"sizes": [431, 1006], "classes": [None, None], "warnings": []}
    assert scores[table["subset"] == 0].min() >= scores[table["subset"] == 1].max()
    absent = Pick("hardest", 0.3, "examples", ranking=Ranking("snapshot-grand", "ranking0"))
    with pytest.raises(StepError, match="snapshot-grand was not recorded"):
        workshop.do(Split((absent, Rest()), HOLDOUT), data=digits, ranking0=reference)
    twin = Pick("hardest", 0.3, "examples", ranking=Ranking("snapshot-forgetting", "ranking0"))
    assert document(workshop.do(Split((twin, Rest()), HOLDOUT), data=digits, ranking0=reference) / "facts.json")


def test_a_split_by_classes_names_them_and_leaves_the_holdout_out(workshop: Workshop, digits: Path) -> None:
    out = workshop.do(Split((OfClasses((3, 8)), Rest()), Holdout(0.2, "train")), data=digits)
    facts, table = document(out / "facts.json"), columns_of(out, "split")
    labels = arrays(digits / "labels.npz")["train"]
    kept = [int(n) - draws.count(0.2, int(n)) for n in np.bincount(labels)]
    assert facts["classes"] == [[3, 8], [0, 1, 2, 4, 5, 6, 7, 9]]
    assert facts["sizes"] == [kept[3] + kept[8], sum(kept) - kept[3] - kept[8]]
    assert len(table["index"]) == sum(kept)


def test_whole_classes_are_recognised() -> None:
    labels = np.array([0, 0, 1, 2, 2])
    assert whole_classes(labels, np.array([1, 1, 0, 1, 1], dtype=bool)) == [0, 2]
    assert whole_classes(labels, np.array([1, 0, 0, 1, 1], dtype=bool)) is None


def test_a_loss_weight_sees_sizes_and_classes() -> None:
    formula = WeightFormula(("*", 2, ("/", ("size", 1), ("classes", 0))))
    assert loss_weight(formula, (10, 30), (4, 6)) == 15
    assert loss_weight(3.5, (10, 30), (4, 6)) == 3.5
