"""One training on two devices against the same on one: processes that talk through gloo, on digits."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from satdsl.backend.distributed import ProcessGroup, SynchronisedBatchNorm2d, run_distributed
from satdsl.backend.recipes import reduced
from satdsl.backend.train import train
from satdsl.ir.steps import OfClasses, Rest, Selection, Split, Step, SubsetTraining
from satdsl.ir.work import Progress, StepError, Work

from .workshop import HOLDOUT, Workshop, columns_of, curves_of, document, pgd, sgd, training, weights_of

NEAR = 2e-4
"""By how much weights may differ that were computed in another order of summation."""


def subsets_of(workshop: Workshop, data: Path) -> Path:
    return workshop.do(Split((OfClasses((0, 1, 2)), Rest()), HOLDOUT), data=data)


SUBSETS = (SubsetTraining(pgd(), 3.0), SubsetTraining(None, 1.0))


def furthest(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    assert left.keys() == right.keys()
    return max(float((left[name].double() - right[name].double()).abs().max()) for name in left)


def test_two_devices_arrive_at_the_weights_of_one(workshop: Workshop, few_digits: Path) -> None:
    split = subsets_of(workshop, few_digits)
    settings = training(
        2,
        recipe=sgd(2, batch=33, clip=1.0),
        subsets=SUBSETS,
        snapshots=(1, 2),
        keep_weights=(1,),
        select=Selection((), (1, 2)),
    )
    told: list[Progress] = []
    one = workshop.do(settings, data=few_digits, split=split)
    two = workshop.do(settings, data=few_digits, split=split, devices=2, report=told.append)
    assert furthest(weights_of(one), weights_of(two)) < NEAR
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}
    alone, shared = columns_of(one, "scores"), columns_of(two, "scores")
    assert all(np.allclose(alone[name], shared[name], atol=1e-2) for name in alone)
    for before, after in zip(curves_of(one), curves_of(two), strict=True):
        assert after["loss"] == pytest.approx(before["loss"], abs=1e-4)
        assert after["attacked"] == before["attacked"]
        assert [row["n"] for row in after["subsets"]] == [row["n"] for row in before["subsets"]]
        assert after["accuracy"] == pytest.approx(before["accuracy"], abs=0.011)
    assert document(two / "selection.json")["chosen"] == document(one / "selection.json")["chosen"]
    assert told[-1].total == 2


def test_a_killed_rank_ends_the_training_which_then_continues(
    workshop: Workshop, few_digits: Path, tmp_path: Path
) -> None:
    # What is selected after each epoch is saved before.
    settings = training(3, subsets=(SubsetTraining(pgd(), 1.0),), select=Selection((), (1, 2, 3)))
    whole = workshop.do(settings, data=few_digits, devices=2)

    def kill(progress: Progress) -> None:
        if progress.done >= 2 and (tmp_path / "training.pt").exists():
            for rank in _children()[-1:]:  # none, once the last has ended
                os.kill(rank, signal.SIGKILL)

    with pytest.raises(StepError, match=r"rank . of 2 ended: .*SIGKILL"):
        workshop.do(settings, data=few_digits, devices=2, scratch=tmp_path, report=kill)
    assert not _children()
    told: list[Progress] = []
    out = workshop.do(settings, data=few_digits, devices=2, scratch=tmp_path, report=told.append)
    assert told[0].done > 1
    assert furthest(weights_of(whole), weights_of(out)) == 0


def test_an_error_that_the_ranks_foresee_is_told_as_that_of_one(workshop: Workshop, few_digits: Path) -> None:
    settings = training(1, recipe=sgd(1, lr=1e30))
    with pytest.raises(StepError, match="the training diverged: in batch 2 of 7 of epoch 1"):
        workshop.do(settings, data=few_digits, devices=2)


def test_gpus_that_are_not_there_are_named(tmp_path: Path) -> None:
    work = Work(inputs={}, out=tmp_path, scratch=tmp_path, data_root=tmp_path, device="cuda", devices=99)
    with pytest.raises(StepError, match="99 GPUs are to train together, and this machine has"):
        run_distributed(train, Step(training(1), ()), work)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_the_shares_of_a_batch_are_the_batch(count: int) -> None:
    shares = [ProcessGroup(rank, count).local_part(slice(64, 64 + 30)) for rank in range(count)]
    assert [i for share in shares for i in range(share.start, share.stop)] == list(range(64, 94))
    sizes = [share.stop - share.start for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("reduction", ["weighted_mean", "mean"])
def test_the_losses_of_a_batchs_parts_add_up_to_its_own(reduction: str) -> None:
    losses, weights = torch.rand(10), torch.rand(10)
    parts = [slice(0, 3), slice(3, 10)]
    total = sum(reduced(losses[part], weights[part], reduction, weights) for part in parts)
    assert float(total) == pytest.approx(float(reduced(losses, weights, reduction)))


def test_another_batch_norm_is_refused() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with pytest.raises(StepError, match="1, a BatchNorm1d, cannot normalise over several devices"):
        ProcessGroup(0, 2).synchronise_batch_norm(network)


def test_batch_norm_of_one_rank_is_torchs(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=(tmp_path / "meet").as_uri(), rank=0, world_size=1)
    try:
        x = torch.randn(6, 3, 5, 5)
        plain, ours = nn.BatchNorm2d(3), SynchronisedBatchNorm2d(3)
        inputs = [x.clone().requires_grad_() for _ in range(2)]
        outputs = [norm(given) for norm, given in zip((plain, ours), inputs, strict=True)]
        for output in outputs:
            output.pow(3).sum().backward()
        assert torch.allclose(*outputs, atol=1e-6)
        assert torch.allclose(inputs[0].grad, inputs[1].grad, atol=1e-4)  # type: ignore[arg-type]
        assert torch.allclose(plain.running_var, ours.running_var)  # type: ignore[arg-type]
        assert torch.allclose(plain.eval()(x), ours.eval()(x))
    finally:
        torch.distributed.destroy_process_group()


def _children() -> list[int]:
    """The processes that this one has begun for ranks and that are alive."""
    found = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    names = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in found}
    return [child for child, name in names.items() if b"spawn_main" in name]
