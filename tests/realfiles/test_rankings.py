"""Rankings as people have them: orders, scores and ranks, in the files of several programs, and scores with ties."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from typer.testing import CliRunner

from satdsl.artifacts.schemas import SPLIT
from satdsl.artifacts.tables import read
from satdsl.backend.artifact_files import sha256
from satdsl.backend.rankings import ranking_scores
from satdsl.backend.subset_masks import TrainingSet, partition, subset_mask
from satdsl.backend.tie_break import decided_by_draw, drawn_numbers
from satdsl.cli import app
from satdsl.ir import draws
from satdsl.ir.steps import Pick, Ranking

N, CLASSES = 144, 3
RANDOM = np.random.default_rng(7)
SCORES = RANDOM.permutation(N) / 7 + 0.25
ORDER = np.argsort(-SCORES)
"""The images by these scores, hardest first."""

HARDEST = set(ORDER[:36].tolist())
"""A quarter of them."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved(name: str, content: Any) -> str:
    """The file of this name."""
    if isinstance(content, str):
        Path(name).write_text(content, "utf-8")
    elif name.endswith(".npy"):
        np.save(name, content)
    else:
        torch.save(content, name)
    return name


def lines(values: Any, header: str = "") -> str:
    return header + "".join(f"{value}\n" for value in values)


def rows(*columns: Any, header: str = "") -> str:
    return header + "".join(",".join(map(str, row)) + "\n" for row in zip(*columns, strict=True))


def satdsl(command: str, line: str, data: str = "") -> tuple[int, str]:
    """The exit code and what is printed of a specification with this line in its split."""
    Path("spec.sat").write_text(
        f"""sat 1
dataset d = synthetic(classes={CLASSES}, shape=[1, 8, 8], train={N}, val=6{data})
model m = small_cnn(width=2)
attack a = fgsm(norm=Linf, eps=0.1)
recipe r = sgd(epochs=1, batch=72)
split s of d {{ {line}; B = rest }}
train t = m on s using r {{ attack A with a }}
evaluate t {{ clean = clean accuracy on val }}
table "All" = rows(t.clean)
""",
        "utf-8",
    )
    result = CliRunner().invoke(app, [command, "spec.sat"])
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, re.sub(r"\s+", " ", result.output)


def members(line: str, data: str = "") -> set[int]:
    """The dataset indices that a run puts into A."""
    code, output = satdsl("run", line, data)
    assert code == 0, output
    (file,) = Path().rglob("split.parquet")
    table = read(file.parent, SPLIT)
    facts = json.loads((file.parent / "facts.json").read_text("utf-8"))
    small = [int(i) for i in table["index"][table["subset"] == int(np.argmin(facts["sizes"]))]]
    return set(small)


# --- an order of the images ----------------------------------------------------------------------------


ORDERS: dict[str, Callable[[], Any]] = {
    "array as its authors saved it.pth": lambda: ORDER,
    "array.pt": lambda: ORDER.astype(np.int32),
    "tensor.pth": lambda: torch.tensor(ORDER),
    "list.pt": lambda: ORDER.tolist(),
    "list of numpy numbers.pt": lambda: list(ORDER),
    "under a name.pth": lambda: {"ranking": torch.tensor(ORDER)},
    "plain.npy": lambda: ORDER,
    "floats.npy": lambda: ORDER.astype(np.float32),
    "column.npy": lambda: ORDER[:, None],
    "lines.txt": lambda: lines(ORDER),
    "savetxt.txt": lambda: lines(f"{i:.18e}" for i in ORDER),
    "headed.csv": lambda: lines(ORDER, "index\n"),
    "pandas.csv": lambda: rows(range(N), ORDER, header=",index\n"),
    "ranks.csv": lambda: rows(np.argsort(ORDER), range(N), header="rank,index\n"),
    "ranks the other way round.csv": lambda: rows(ORDER, range(1, N + 1), header="index,rank\n"),
}


@pytest.mark.parametrize("name", ["array as its authors saved it.pth", "lines.txt"])
def test_the_hardest_of_an_order_are_its_first(name: str) -> None:
    saved(name, ORDERS[name]())
    assert members(f'A = hardest 25% examples by ranking in "{name}"') == HARDEST


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_is_read_from_every_kind_of_file(name: str) -> None:
    saved(name, ORDERS[name]())
    assert satdsl("check", f'A = hardest 25% examples by ranking in "{name}"')[0] == 0
    ranking = Ranking(digest=sha256(Path(name)), path=name, in_order=True)
    assert np.array_equal(np.argsort(-ranking_scores(ranking, np.arange(N), True, {})), ORDER)


def test_the_easiest_of_an_order_are_its_last() -> None:
    saved("order.npy", ORDER)
    assert members('A = easiest 25% examples by ranking in "order.npy"') == set(ORDER[-36:].tolist())


def test_an_order_is_followed_within_classes_and_within_subsets() -> None:
    saved("order.npy", ORDER)
    of_class = [[int(i) for i in ORDER if i % CLASSES == k] for k in range(CLASSES)]
    found = members('A = hardest 25% examples per class by ranking in "order.npy"')
    assert found == {i for one in of_class for i in one[:12]}


def test_an_order_within_a_subset_counts_that_subset_only() -> None:
    saved("order.npy", ORDER)
    found = members('A = easiest 10 examples of (class 1) by ranking in "order.npy"')
    assert found == set([int(i) for i in ORDER if i % CLASSES == 1][-10:])


def test_an_order_of_the_whole_data_set_is_followed_under_a_limit_and_a_hold_out() -> None:
    saved("order.npy", ORDER)
    found = members('A = hardest 20 examples by ranking in "order.npy"', ", limit=60, holdout=20%, holdout_from=train")
    (table,) = (read(file.parent, SPLIT) for file in Path().rglob("split.parquet"))
    left = set(table["index"].tolist())
    assert len(left) < 60
    assert found == set([int(i) for i in ORDER if i in left][:20])


def test_an_order_of_classes_picks_its_first_classes() -> None:
    saved("classes.txt", "2\n0\n1\n")
    assert members('A = hardest 1 classes by ranking in "classes.txt"') == set(range(2, N, CLASSES))


NO_ORDERS: dict[str, tuple[Any, str, str]] = {
    "scores.npy": (SCORES, "E411", "by scores in"),
    "scores.csv": (rows(range(N), SCORES, header="index,score\n"), "E411", "by scores in"),
    "grades.npy": (np.arange(N) // 7, "E412", "twice"),
    "counts.npy": (np.arange(N) % 5, "E412", "by scores in"),
    "from one.txt": (lines(ORDER + 1), "E412", "subtract 1 from each"),
    "twice.npy": (np.where(ORDER == 3, 5, ORDER), "E412", "lists dataset index 5 twice"),
    "part.npy": (ORDER[:100], "E412", "no place for 44 of 144 training images"),
    "others.npy": (np.arange(N + 6)[::-1], "E412", "lists dataset index 149, but there are 144"),
    "negative.npy": (ORDER - 1, "E411", "lists -1, which is no dataset index"),
    "between.npy": (ORDER + 0.5, "E411", "no dataset index"),
    "nan.npy": (np.where(ORDER == 3, np.nan, ORDER), "E411", "lists nan"),
    "infinite.npy": (np.where(ORDER == 3, np.inf, ORDER), "E411", "lists inf"),
    "matrix.npy": (ORDER.reshape(12, 12), "E411", "shape (12, 12)"),
    "ties.csv": (rows(range(N), np.arange(N) // 2, header="index,rank\n"), "E411", "gives two images one rank"),
    "empty.txt": ("", "E412", "no place for 144 of 144"),
    "words.txt": ("hard\nharder\nhardest\n", "E306", "is no number"),
    "broken.npy": ("no array", "E306", "is no .npy file"),
    "increasing_entropy.npy": (ORDER[::-1], "E414", "begins with the easiest"),
}


@pytest.mark.parametrize("name", NO_ORDERS)
def test_what_is_no_order_of_these_images_is_found_by_the_checker(name: str) -> None:
    content, code, words = NO_ORDERS[name]
    saved(name, content)
    exit_code, output = satdsl("check", f'A = hardest 25% examples by ranking in "{name}"')
    assert f"{code}: " in output
    assert words in output
    assert exit_code == (code != "E414")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SCORES, "by scores in"),
        (ORDER + 1, "subtract 1 from each"),
        (ORDER[:100], "no place for 44 of 144 training images"),
        (np.arange(N + 6), "lists dataset index 144, but there are 144"),
        ({"hard": ORDER[:9], "easy": ORDER[9:]}, "holds a dictionary of hard, easy"),
        (np.array([None, "a"]), "could run code"),
    ],
)
def test_what_is_no_order_is_found_in_torchs_files_before_the_training(content: Any, words: str) -> None:
    saved("order.pth", content)
    exit_code, output = satdsl("run", 'A = hardest 25% examples by ranking in "order.pth"')
    assert exit_code != 0
    assert words in output
    assert "Traceback" not in output
    assert not list(Path().rglob("weights.safetensors"))


def test_an_order_has_no_threshold() -> None:
    saved("order.npy", ORDER)
    assert "E411: " in satdsl("check", 'A = examples where ranking in "order.npy" > 3')[1]


# --- scores, and what is none ---------------------------------------------------------------------------


RANKS = np.argsort(ORDER)
"""The place of each image in the order."""

DOUBTFUL: dict[str, Any] = {
    "order.npy": ORDER,
    "order.txt": lines(ORDER),
    "from one.csv": lines(ORDER + 1, "index\n"),
    "ranks.npy": RANKS,
    "floats.npy": RANKS.astype(np.float32) + 1,
    "identity.npy": np.arange(N),
    "pandas.csv": rows(range(N), ORDER, header=",0\n"),
    "numbered.csv": rows(range(N), ORDER, header="rank,index\n"),
    "ranked.csv": rows(range(N), RANKS, header="index,entropy_rank\n"),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_an_order_or_ranks_given_as_scores_are_an_error_that_offers_the_ranking(name: str) -> None:
    saved(name, DOUBTFUL[name])
    exit_code, output = satdsl("check", f'A = hardest 25% examples by scores in "{name}"')
    assert exit_code == 1
    assert "E410: " in output
    assert "write `by ranking in`" in output


def test_an_order_given_as_scores_in_a_file_of_torch_is_found_before_the_training() -> None:
    saved("order.pth", ORDER)
    exit_code, output = satdsl("run", 'A = hardest 25% examples by scores in "order.pth"')
    assert exit_code != 0
    assert "write `by ranking in`" in output
    assert not list(Path().rglob("weights.safetensors"))


@pytest.mark.parametrize("header", ["", ",entropy\n"])
def test_numbers_that_happen_to_be_ranks_are_scores_beside_an_index(header: str) -> None:
    saved("scores.csv", rows(range(N), (SCORES * 7 - 1.75).round().astype(int), header=header))
    assert members('A = hardest 25% examples by scores in "scores.csv"') == HARDEST


SCORE_FILES: dict[str, Any] = {
    "unsorted.csv": rows(ORDER, SCORES[ORDER], header="index,score\n"),
    "swapped.csv": rows(SCORES[ORDER], ORDER, header="score,idx\n"),
    "single.npy": SCORES.astype(np.float32),
    "array.pth": SCORES,
    "infinite.npy": np.where(SCORES.max() > SCORES, SCORES, np.inf),
}


@pytest.mark.parametrize("name", SCORE_FILES)
def test_scores_are_read_for_the_image_that_they_belong_to(name: str) -> None:
    saved(name, SCORE_FILES[name])
    assert satdsl("check", f'A = hardest 25% examples by scores in "{name}"')[0] == 0
    ranking = Ranking(digest=sha256(Path(name)), path=name)
    assert np.array_equal(np.argsort(-ranking_scores(ranking, np.arange(N), True, {})), ORDER)


@pytest.mark.parametrize(
    ("scores", "data", "words"),
    [
        (SCORES[:100], "", "E413: .* has no number for 44 of 144 training images"),
        (np.append(SCORES, SCORES), "", "E413: .* has 288 numbers, but there are 144"),
        (np.append(SCORES, SCORES), ", limit=60", "E413: .* has 288 numbers, but there are 144"),
        (SCORES[:60], ", limit=60", "E413: .* has no number for 84 of 144"),
        (np.where(SCORES > 20, np.nan, SCORES), "", "E413: .* is NaN for"),
        (np.stack([np.arange(N) + 1, SCORES], 1), ", limit=60", "E413: .* scores dataset index 144, but"),
    ],
)
def test_scores_of_other_images_are_an_error(scores: Any, data: str, words: str) -> None:
    saved("scores.npy", scores)
    exit_code, output = satdsl("check", 'A = hardest 25% examples by scores in "scores.npy"', data)
    assert exit_code == 1
    assert re.search(words, output), output


def test_a_class_that_has_both_infinities_cannot_be_ranked() -> None:
    scores = SCORES.copy()
    scores[[0, 3]] = np.inf, -np.inf
    saved("scores.npy", scores)
    exit_code, output = satdsl("run", 'A = hardest 1 classes by scores in "scores.npy"')
    assert exit_code != 0
    assert "class 0 has no mean score" in output


def test_a_list_of_images_that_are_not_there_is_an_error() -> None:
    saved("list.txt", "3\n150\n")
    assert "E412: " in satdsl("check", 'A = examples listed in "list.txt"', ", limit=60")[1]


# --- ties ----------------------------------------------------------------------------------------------


def training_set(labels: np.ndarray, scores: np.ndarray, gaps: int = 1) -> TrainingSet:
    index = np.arange(0, gaps * len(labels), gaps)
    return TrainingSet(index, labels, int(labels.max()) + 1, gaps == 1, lambda ranking: scores)


def picked(images: TrainingSet, order: Any, amount: float, unit: Any = "examples", per_class: bool = False) -> Any:
    pick = Pick(order, amount, unit, per_class, ranking=Ranking("forgetting", "ranking0"))
    return subset_mask(pick, images, np.zeros(len(images.index), dtype=bool))


tied = some.integers(4, 40).flatmap(
    lambda n: some.tuples(
        some.lists(some.sampled_from([0.0, -0.0, 1.0, 2.5, float("inf"), -float("inf")]), min_size=n, max_size=n),
        some.lists(some.integers(0, 3), min_size=n, max_size=n),
        some.integers(1, 3),
    )
)


@given(tied)
@settings(max_examples=60, deadline=None)
def test_hardest_and_easiest_are_a_partition_and_larger_picks_have_the_smaller_whatever_the_ties(
    case: tuple[list[float], list[int], int],
) -> None:
    scores, labels, gaps = np.array(case[0]), np.array(case[1]), case[2]
    n, images = len(scores), training_set(labels, scores, gaps)
    for k in range(n + 1):
        assert (picked(images, "hardest", k) == ~picked(images, "easiest", n - k)).all()
    for order in ("hardest", "easiest"):
        for small, large in itertools.pairwise(picked(images, order, k) for k in range(n + 1)):
            assert (small <= large).all()
            assert small.sum() + 1 == large.sum()
    hard = picked(images, "hardest", 0.3, per_class=True)
    counts = np.bincount(labels)
    assert [int(hard[labels == k].sum()) for k in range(len(counts))] == [draws.count(0.3, int(c)) for c in counts]


@given(tied)
@settings(max_examples=40, deadline=None)
def test_ranked_classes_are_a_partition_whatever_the_ties(case: tuple[list[float], list[int], int]) -> None:
    scores, labels = np.nan_to_num(np.array(case[0]), posinf=3, neginf=-3).round(), np.array(case[1])
    images = training_set(labels, scores)
    n = len(np.unique(labels))
    for k in range(n + 1):
        assert (picked(images, "hardest", k, "classes") == ~picked(images, "easiest", n - k, "classes")).all()


def test_ties_take_no_class_before_another() -> None:
    """In a data set in the order of its classes, the dataset index as the judge of ties took whole classes."""
    labels = np.repeat(np.arange(10), 100)
    images = training_set(labels, np.zeros(1000))
    counts = np.bincount(labels[picked(images, "easiest", 0.4)], minlength=10)
    assert counts.sum() == 400
    assert 25 < counts.min() <= counts.max() < 55
    (warning,) = images.warnings
    assert "a draw decided 400 of the 400 examples of `easiest 40% examples by forgetting`" in warning


def test_ties_are_broken_by_the_documented_draw() -> None:
    images = training_set(np.zeros(50, dtype=np.int64), np.zeros(50), gaps=3)
    drawn = [i for i in draws.order(150, 20_260_000) if i % 3 == 0]
    assert set(images.index[picked(images, "hardest", 11)].tolist()) == set(drawn[:11])
    assert set(images.index[picked(images, "easiest", 11)].tolist()) == set(drawn[-11:])


@pytest.mark.parametrize("seed", [0, 3, 20_260_000, 2**63, 2**70 + 1])
def test_the_fast_draw_is_the_documented_one(seed: int) -> None:
    assert np.argsort(drawn_numbers(np.arange(500), seed)).tolist() == draws.order(500, seed)


def test_equal_scores_that_decide_little_are_not_spoken_of() -> None:
    scores = np.linspace(0, 1, 400)[::-1].copy()
    images = training_set(np.zeros(400, dtype=np.int64), scores)
    picked(images, "hardest", 200)
    assert images.warnings == []
    assert decided_by_draw(scores, 200) == (0, 0)
    scores[199:201] = scores[199]
    picked(images, "hardest", 200)
    assert decided_by_draw(scores, 200) == (1, 2)
    assert images.warnings == []
    scores[197:204] = scores[199]
    picked(images, "hardest", 200)
    assert decided_by_draw(scores, 200) == (3, 7)
    assert len(images.warnings) == 1


def test_complementary_picks_of_a_file_with_ties_are_a_split() -> None:
    scores = np.repeat([0.0, 1.0], 72)
    saved("scores.npy", scores)
    line = 'A = hardest 30% examples by scores in "scores.npy"; C = easiest 70% examples by scores in "scores.npy"'
    Path("spec.sat").write_text(
        f"sat 1\ndataset d = synthetic(classes=3, shape=[1, 8, 8], train={N}, val=6)\nmodel m = small_cnn(width=2)\n"
        f"recipe r = sgd(epochs=1, batch=72)\nsplit s of d {{ {line} }}\ntrain t = m on s using r\n"
        'evaluate t { clean = clean accuracy on val }\ntable "All" = rows(t.clean)\n',
        "utf-8",
    )
    result = CliRunner().invoke(app, ["run", "spec.sat"])
    assert result.exit_code == 0, result.output
    (file,) = Path().rglob("split.parquet")
    assert sorted(json.loads((file.parent / "facts.json").read_text("utf-8"))["sizes"]) == [43, 101]


def test_a_pick_that_ties_decide_is_said_after_the_run_and_in_the_report() -> None:
    saved("scores.npy", np.repeat([0.25, 1.5], [100, 44]))
    exit_code, output = satdsl("run", 'A = easiest 25% examples by scores in "scores.npy"')
    assert exit_code == 0
    said = "a draw decided 36 of the 36 examples of `easiest 36 examples by scores in a file`"
    assert said in output.replace("- ", "-")
    (report,) = Path().rglob("report.html")
    assert "it chose them from 100 of equal score" in re.sub(r"\s+", " ", report.read_text("utf-8"))


def test_subsets_that_the_ties_of_a_class_would_mix_stay_disjoint() -> None:
    labels = np.repeat(np.arange(4), 10)
    images = training_set(labels, np.repeat([1.0, 2.0], 20))
    by = Ranking("forgetting", "ranking0")
    split = Pick("hardest", 0.3, "examples", ranking=by), Pick("easiest", 0.7, "examples", ranking=by)
    assert np.bincount(partition(split, images)).tolist() == [12, 28]
