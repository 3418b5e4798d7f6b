"""Shares of every batch: what batches have, in which order images come, on several devices, and after a kill."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from satdsl.backend import epoch as epochs
from satdsl.backend import train
from satdsl.backend.distributed import ProcessGroup
from satdsl.backend.images import Images
from satdsl.backend.shared_batches import SharedEpoch, shared_order
from satdsl.backend.subset_assignment import assignment
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.ir import batches
from satdsl.ir.steps import Origin, Pick, Ranking, Repicking, Rest, Split, SubsetTraining, Train
from satdsl.ir.work import StepError

from .workshop import HOLDOUT, Workshop, call, curves_of, pgd, training, weights_of

PERCENT = st.integers(0, 100)


@st.composite
def shared(draw: st.DrawFn) -> tuple[list[float | None], list[int], int, int]:
    """Shares (at least one), sizes of the subsets, the images of an epoch and the batch size."""
    sizes = draw(st.lists(st.integers(1, 40), min_size=2, max_size=4))
    cuts = sorted(draw(st.lists(PERCENT, min_size=len(sizes) - 1, max_size=len(sizes) - 1)))
    parts = [end - start for start, end in pairwise([0, *cuts, 100])]
    left_open = draw(st.integers(0, len(sizes) - 1))
    shares: list[float | None] = [part / 100 for part in parts]
    shares[left_open:] = [None] * (len(sizes) - left_open) if left_open else shares
    return shares, sizes, draw(st.integers(2, 150)), draw(st.integers(1, 40))


def exactly(shares: list[float | None], sizes: list[int]) -> list[Fraction]:
    """What each subset has of a batch, by the definition: its share, or the rest by its size."""
    given = [None if share is None else Fraction(round(share * 100), 100) for share in shares]
    rest, others = (
        1 - sum(share or 0 for share in given),
        sum(n for n, s in zip(sizes, given, strict=True) if s is None),
    )
    return [rest * n / others if share is None else share for share, n in zip(given, sizes, strict=True)]


@settings(max_examples=150, deadline=None)
@given(shared(), st.integers(0, 5))
def test_every_batch_has_the_shares_up_to_rounding_and_every_epoch_too(case: Any, number: int) -> None:
    shares, sizes, images, batch = case
    subsets = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    order = shared_order(subsets, shares, batch, 3, number, SharedEpoch(images)).numpy()
    wanted, whole = exactly(shares, sizes), epochs.cut(images, batch)
    assert [len(order), whole[-1].stop] == [images, images]
    for part in whole:
        n = part.stop - part.start
        for s, of in enumerate(wanted):
            found = int((subsets[order[part]] == s).sum())
            assert abs(found - of * n) < 1, "the share rounded down or up"
    totals = [int((subsets[order] == s).sum()) for s in range(len(sizes))]
    assert all(abs(total - of * images) < 2 for total, of in zip(totals, wanted, strict=True)), "roundings cancel"
    assert batches.of_epoch(shares, sizes, images, batch) == tuple(totals), "the plan counts on the same"


@settings(max_examples=60, deadline=None)
@given(shared(), st.integers(0, 3))
def test_no_image_comes_twice_before_all_of_its_subset_have_come(case: Any, since: int) -> None:
    shares, sizes, images, batch = case
    subsets = np.repeat(np.arange(len(sizes)), sizes)
    drawn = [
        shared_order(subsets, shares, batch, 1, number, SharedEpoch(images, since)).numpy()
        for number in range(since, since + 4)
    ]
    for s, size in enumerate(sizes):
        seen: Counter[int] = Counter()
        for order in drawn:
            seen.update(order[subsets[order] == s].tolist())
            counts = [seen[place] for place in np.flatnonzero(subsets == s)]
            assert max(counts) - min(counts) <= 1, f"after each epoch the {size} images are even"


def test_a_pass_is_a_fresh_permutation_and_goes_on_in_the_next_epoch() -> None:
    subsets = np.array([0] * 10 + [1] * 90)
    seen = np.concatenate(
        [
            order[subsets[order] == 0]
            for order in (shared_order(subsets, [0.25, None], 20, 0, e, SharedEpoch()).numpy() for e in range(4))
        ]
    )
    passes = seen.reshape(10, 10)  # 25 of each of 4 epochs of 100
    assert all(sorted(one) == list(range(10)) for one in passes[:2])
    assert len({tuple(one) for one in passes}) == 10


def test_a_batch_is_shuffled_so_that_each_device_has_its_part_of_every_subset() -> None:
    subsets = np.repeat([0, 1], [300, 700])
    order = shared_order(subsets, [0.5, None], 100, 0, 0, SharedEpoch()).numpy()
    halves = [(subsets[order[start : start + 50]] == 0).sum() for start in range(0, 1000, 50)]
    assert all(10 < of < 40 for of in halves)


def images(sizes: tuple[int, ...]) -> Images:
    n = sum(sizes)
    return Images(torch.zeros((n, 1, 4, 4), dtype=torch.uint8), torch.arange(n) % 2, torch.arange(n))


def drawn(group: ProcessGroup, number: int = 2) -> epochs.Epoch:
    of = images((30, 70))
    ways = (SubsetTraining(pgd(), 1.0, share=0.5), SubsetTraining(None, 1.0))
    given = assignment(of, np.repeat([0, 1], [30, 70]), ways)
    return epochs.epoch(of, of.index.numpy(), given, (), 16, 0, number, group, classes=2, shared=SharedEpoch(60))


def test_devices_take_parts_of_the_batches_of_one() -> None:
    one, parts = drawn(ProcessGroup()), [drawn(ProcessGroup(rank, 3)) for rank in range(3)]
    assert all(torch.equal(part.order, one.order) for part in parts)
    for number, batch in enumerate(one.batches):
        cuts = [(part.batches[number].start, part.batches[number].stop) for part in parts]
        assert [cuts[0][0], cuts[0][1], cuts[1][1], cuts[2][1]] == [batch.start, *(stop for _, stop in cuts)]
        assert cuts[2][1] == batch.stop
        attacked = [len(rows) for part in parts for _, rows in part.places(number)]
        assert sum(attacked) == sum(len(rows) for _, rows in one.places(number)) == (batch.stop - batch.start) // 2
    assert one.attacked_images == 30


def test_images_that_no_batch_has_cannot_be_all_that_counts() -> None:
    ways = (SubsetTraining(None, 1.0, share=0.0), SubsetTraining(None, 0.0))
    with pytest.raises(StepError, match="nothing to learn"):
        assignment(images((3, 7)), np.repeat([0, 1], [3, 7]), ways)


# --- trainings -----------------------------------------------------------------------------------


SUBSETS = (Origin(0, 1000), Rest())


def shared_training(count: int = 4, **changed: Any) -> Train:
    ways = (SubsetTraining(pgd(steps=1), 1.0, share=0.3), SubsetTraining(None, 1.0))
    return training(count, **({"subsets": ways, "epoch_images": 100} | changed))


def split_of(workshop: Workshop, data: Path, subsets: Any = SUBSETS) -> Path:
    return workshop.do(Split(subsets, HOLDOUT), data=data)


def test_curves_say_what_epochs_had_and_a_killed_training_goes_on_with_the_same_bits(
    workshop: Workshop, few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    split = split_of(workshop, few_digits)
    whole = workshop.do(shared_training(), data=few_digits, split=split)
    for epoch in curves_of(whole):
        assert [epoch["n"], epoch["attacked"], *(part["n"] for part in epoch["subsets"])] == [100, 30, 30, 70]

    class KilledError(Exception):
        pass

    def kill(progress: Any) -> None:
        if progress.note.startswith("epoch 3 of 4"):
            raise KilledError

    with pytest.raises(KilledError):
        workshop.do(shared_training(), scratch=tmp_path, report=kill, data=few_digits, split=split)
    went_on = weights_of(workshop.do(shared_training(), scratch=tmp_path, data=few_digits, split=split))
    assert all(torch.equal(went_on[name], of) for name, of in weights_of(whole).items())


def test_passes_begin_anew_where_subsets_are_picked_anew_and_mixing_stays_in_subsets(
    workshop: Workshop, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picks = (Pick("hardest", 15, "examples", ranking=Ranking("loss", "itself")), Rest())
    found: list[epochs.Epoch] = []
    original = train.epoch

    def remembered(*given: Any, **named: Any) -> epochs.Epoch:
        found.append(original(*given, **named))
        return found[-1]

    monkeypatch.setattr(train, "epoch", remembered)
    ways = (SubsetTraining(None, 1.0, share=0.1), SubsetTraining(None, 1.0))
    changed = shared_training(
        5, subsets=ways, repick=Repicking(picks, 2), augment=(call("mixup", alpha=1.0),), recipe=training(5).recipe
    )
    workshop.do(changed, data=few_digits, split=split_of(workshop, few_digits, picks))
    seen = [one.order_on_host.numpy()[one.subsets == 0] for one in found]
    assert [len(one) for one in seen] == [10] * 5
    of_picks = [np.concatenate(seen[first : first + 2]) for first in (0, 2)]
    assert [len(set(images[:15])) for images in of_picks] == [15, 15], "a whole pass, in the middle of the second epoch"
    for one in found:
        assert one.mixing is not None
        for batch, others in zip(one.batches, one.mixing.others, strict=True):
            assert np.array_equal(one.subsets[batch], one.subsets[batch][others.numpy()])
