from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from satdsl.report.confidence_sequence import Block, Population, log_capital, mean_bounds

REPEATED = 300


def drawn(
    sizes: list[int], right: list[list[int]], blocks: int, rng: np.random.Generator
) -> tuple[list[Block], Population, float]:
    """Samples beside each other of images in a class-balanced order; `right[c]` counts values 1 and -1 of class c."""
    n, classes = sum(sizes), len(sizes)
    left = [np.tile([*counts, size - sum(counts)], (REPEATED, 1)) for counts, size in zip(right, sizes, strict=True)]
    done = np.zeros(classes, int)
    found = []
    for k in range(1, blocks + 1):
        upto = np.array([round(size * (k * n // blocks) / n) for size in sizes])
        counts = np.zeros((REPEATED, classes, 3))
        for c in range(classes):
            taken = (
                rng.multivariate_hypergeometric(left[c][0], upto[c] - done[c], REPEATED)
                if k == 1
                else np.array([rng.multivariate_hypergeometric(one, upto[c] - done[c]) for one in left[c]])
            )
            counts[:, c] = taken
            left[c] = left[c] - taken
        done = upto
        values = np.tile([1.0, -1.0, 0.0], classes)
        found.append(Block(values, counts.reshape(REPEATED, -1), np.repeat(np.arange(classes), 3)))
    ones = np.ones(classes)
    mean = sum(counts[0] - counts[1] for counts in right) / n
    return found, Population(np.array(sizes, float), -ones, ones), mean


ARRANGED = {
    "alike in all classes": ([60, 60, 60, 60], [[9, 6]] * 4),
    "one class": ([240], [[30, 22]]),
    "against each other": ([60, 60, 60, 60], [[57, 0], [0, 57], [57, 0], [0, 54]]),
    "classes of different sizes": ([150, 60, 25, 5], [[100, 0], [0, 55], [0, 25], [5, 0]]),
    "one rare class has it all": ([235, 5], [[0, 0], [5, 0]]),
}


@pytest.mark.parametrize("name", ARRANGED)
def test_bounds_hold_the_mean_however_often_one_looks(name: str) -> None:
    sizes, right = ARRANGED[name]
    blocks, population, mean = drawn(sizes, right, 12, np.random.default_rng(7))
    bounds = mean_bounds(blocks, population, 0.2)  # an error that so few repetitions can tell from none
    missed = ((bounds.low > mean + 1e-9) | (bounds.high < mean - 1e-9)).any(axis=-1).mean()
    assert missed <= 0.2 + 3 * (0.2 * 0.8 / REPEATED) ** 0.5
    assert (np.diff(bounds.low, axis=-1) >= 0).all()
    assert (np.diff(bounds.high, axis=-1) <= 0).all()


@given(
    values=st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=2, max_size=3), min_size=1, max_size=2),
    cuts=st.lists(st.integers(0, 3), min_size=2, max_size=2),
)
@settings(max_examples=60, deadline=None)
def test_no_capital_is_expected_from_the_truth(values: list[list[float]], cuts: list[int]) -> None:
    """Over all orders within the classes, whatever share of each class the first block has."""
    taken = [min(cut, len(one)) for cut, one in zip(cuts, values, strict=False)]
    n = sum(map(len, values))
    assume(0 < sum(taken) < n)
    sizes = np.array([float(len(one)) for one in values])
    ones = np.ones(len(values))
    population, mean = Population(sizes, -ones, ones), np.array(sum(map(sum, values)) / n)
    labels = [np.repeat(np.arange(len(values)), many) for many in (taken, sizes.astype(int) - taken)]
    after = []
    for orders in product(*map(permutations, values)):
        first = [value for order, cut in zip(orders, taken, strict=True) for value in order[:cut]]
        rest = [value for order, cut in zip(orders, taken, strict=True) for value in order[cut:]]
        blocks = [Block.of(np.array(part), label) for part, label in zip((first, rest), labels, strict=True)]
        after.append([np.exp(log_capital(blocks[:k], population, mean)) for k in (1, 2)])
    assert (np.mean(after, axis=0) <= 1 + 1e-9).all()


def test_an_interval_of_one_look_would_miss_the_mean_too_often() -> None:
    """What the bounds guard against: looking twelve times at intervals that are each right with 80 %."""
    sizes, right = ARRANGED["one class"]
    blocks, population, mean = drawn(sizes, right, 12, np.random.default_rng(7))
    n = np.cumsum([block.counts.sum(axis=-1) for block in blocks], axis=0)
    sums = np.cumsum([(block.values * block.counts).sum(axis=-1) for block in blocks], axis=0)
    squares = np.cumsum([(block.values**2 * block.counts).sum(axis=-1) for block in blocks], axis=0)
    spread = np.sqrt((squares / n - (sums / n) ** 2) / n * (1 - n / population.n))
    missed = (abs(sums / n - mean) > 1.2816 * spread + 1e-9).any(axis=0).mean()
    assert missed > 0.3


def test_bounds_close_on_the_mean_of_all_images() -> None:
    blocks, population, mean = drawn([60, 60], [[9, 6], [20, 1]], 6, np.random.default_rng(1))
    bounds = mean_bounds(blocks, population, 0.05)
    inside = (bounds.low[:, -1] <= mean + 1e-9) & (bounds.high[:, -1] >= mean - 1e-9)
    assert bounds.low[inside, -1] == pytest.approx(mean, abs=1e-6)
    assert bounds.high[inside, -1] == pytest.approx(mean, abs=1e-6)
    assert inside.mean() > 0.95


def test_the_capital_is_the_product_that_the_formula_says() -> None:
    """One class, two blocks, computed by hand: the bound is where the mean of the capitals is 1 / error."""
    bets, error, n = [0.03, 0.08, 0.2, 0.4, 0.7], 0.1, 40
    values = [np.array([1.0] * 7 + [0.0] * 3), np.array([1.0] * 9 + [0.0])]
    blocks = [Block.of(one, np.zeros(10, np.int64)) for one in values]
    population = Population(np.array([40.0]), np.zeros(1), np.ones(1))
    bound = float(mean_bounds(blocks, population, 2 * error).low[-1])

    def capital(mean: float) -> float:
        made = []
        for bet in bets:
            product, seen, total = 1.0, 0, 0.0
            for block in values:
                mu = (n * mean - total) / (n - seen)
                for value in block:
                    product *= 1 + bet * (value - mu) / mu
                seen, total = seen + 10, total + block.sum()
            made.append(product)
        return sum(made) / len(made)

    assert capital(bound - 1e-5) > 1 / error > capital(bound + 1e-5)


def test_five_points_of_difference_need_a_fifth_of_nine_thousand_images() -> None:
    rng = np.random.default_rng(3)
    values = rng.permutation([1.0] * 900 + [-1.0] * 450 + [0.0] * 7650)
    blocks = [Block.of(one, np.zeros(450, np.int64)) for one in values.reshape(20, 450)]
    ones = np.ones(1)
    bounds = mean_bounds(blocks, Population(np.array([9000.0]), -ones, ones), 0.045)
    assert bounds.low[3] > 0.008  # after 1,800 images
