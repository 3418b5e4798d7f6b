"""Threads of the backend: how they wait for each other, and how many a step computes with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from satdsl import machine
from satdsl.backend import models, threads
from satdsl.ir.steps import CatalogCall, Step
from satdsl.ir.work import Computation, Work

from .user_code import plugin
from .workshop import Workshop, call, sgd, training, weights_of


@pytest.mark.skipif(sys.platform != "linux", reason="asks GNU's OpenMP, which torch brings along on Linux")
@pytest.mark.parametrize(("asked", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_wait_without_spinning_unless_the_user_asks_for_it(asked: str | None, found: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "true"} | ({"OMP_WAIT_POLICY": asked} if asked else {})
    code = "from satdsl.backend import images"
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stderr
    policies = re.findall(r"OMP_WAIT_POLICY = '(\w+)'", said)
    assert policies, "no OpenMP was loaded"
    assert set(policies) == {found}


# --- how many ---------------------------------------------------------------------------------------


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "cores", lambda: 4)


SMALL, GREY = call("small_cnn", width=16), (1, 8, 8)
LARGE, COLOUR = call("preact_resnet18", width=64, activation="relu", slope=0.0), (3, 32, 32)


@pytest.mark.parametrize(
    ("model", "shape", "batch", "cores", "found"),
    [
        (SMALL, GREY, 64, 16, 1),
        (SMALL, GREY, 512, 16, 1),
        (LARGE, COLOUR, 128, 2, 2),
        (LARGE, COLOUR, 128, 16, 16),
        (LARGE, COLOUR, 16, 16, 4),
        (LARGE, COLOUR, 128, 1, 1),
    ],
)
def test_small_networks_are_computed_by_one_thread_and_large_ones_by_all(
    model: CatalogCall, shape: tuple[int, ...], batch: int, cores: int, found: int
) -> None:
    cost = threads.network_cost(model, shape, 10)
    assert cost is not None
    assert threads.paying(cost.multiply_adds, batch, cores) == found


def test_what_an_image_costs_is_what_it_costs_by_hand_and_by_torchs_own_count() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    small, large = threads.network_cost(SMALL, GREY, 10), threads.network_cost(LARGE, COLOUR, 10)
    assert small is not None
    assert large is not None
    # Convolutions to 16, 32 and 64 channels of 4x4, 4x4 and 2x2 pixels, and the last layer.
    assert small.multiply_adds == 16 * 16 * 9 + 16 * 32 * 9 * 16 + 4 * 64 * 9 * 32 + 64 * 10
    network = models.build(LARGE, COLOUR, 10, (0.5,) * 3, (0.2,) * 3).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *COLOUR))
    assert 2 * large.multiply_adds == counter.get_total_flops()


@pytest.mark.usefixtures("four_cores")
def test_a_step_has_the_same_threads_and_bits_however_many_the_process_had(
    workshop: Workshop, few_digits: Path
) -> None:
    before, found, networks = torch.get_num_threads(), list[Computation](), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            networks.append(weights_of(workshop.do(training(1), data=few_digits, computed=found.append)))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    assert {(one.threads, one.limit) for one in found} == {(1, None)}
    assert sum(one.passes is not None for one in found) == 2, "each step says at its end how many passes it made"
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


@pytest.mark.usefixtures("four_cores")
def test_large_batches_get_threads_up_to_the_users_limit_and_ranks_share_the_cores(
    few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(training(1, model=call("small_cnn", width=64), recipe=sgd(1, batch=20_000)))
    work = Work(inputs={"data": few_digits}, out=few_digits, scratch=few_digits, data_root=few_digits)
    assert threads.computation(step, work).threads == 4
    assert threads.computation(step, replace(work, devices=2)).threads == 2
    assert threads.computation(step, replace(work, cores=3)).threads == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert (threads.computation(step, work).threads, threads.computation(step, work).limit) == (2, 2)


def test_a_network_of_the_users_own_is_looked_at_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    from torch import nn
    @sat.model
    def made(classes, channels):
        print("built")
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    """
    state = torch.get_rng_state()
    cost = threads.network_cost(plugin(text, "made"), GREY, 10)
    assert cost is not None
    assert cost.multiply_adds == 640
    assert threads.network_cost(plugin(text.replace("10)", "7)"), "made"), GREY, 10) is None
    assert capsys.readouterr().out == ""
    assert torch.equal(torch.get_rng_state(), state)
