"""How many threads pay: a pass and its gradient, for several networks and batches, alone and beside busy programs.

It is what the rule in `satdsl.backend.threads` rests on: the table has how much faster several threads are than one,
and how many the rule gives.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import timing
from timing import Timed
from workbench import MEAN, STD, arguments, call

from satdsl import machine
from satdsl.backend import models, threads  # before torch, whose threads wait as this package says
from satdsl.backend.architectures import Network
from satdsl.ir.steps import CatalogCall

import torch  # isort: skip

GREY, COLOUR, PHOTO = (1, 8, 8), (3, 32, 32), (3, 224, 224)
RESNET = call("preact_resnet18", width=64, activation="relu", slope=0.0)
ENOUGH = 1.6
"""How much faster two threads have to be than one, to be worth the two cores that other steps would use."""


@dataclass(frozen=True)
class Case:
    """A network, the images that it takes, and a batch of them."""

    name: str
    model: CatalogCall
    shape: tuple[int, int, int]
    batch: int

    def network(self) -> Network:
        channels = self.shape[0]
        built = models.build(self.model, self.shape, 10, MEAN[:channels], STD[:channels]).train()
        built.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return built

    @property
    def multiply_adds(self) -> int:
        cost = threads.network_cost(self.model, self.shape, 10)
        assert cost is not None
        return cost.multiply_adds


CASES = (
    Case("small_cnn(width=16), 1x8x8", call("small_cnn", width=16), GREY, 64),
    Case("small_cnn(width=16), 1x8x8", call("small_cnn", width=16), GREY, 512),
    Case("small_cnn(width=64), 1x8x8", call("small_cnn", width=64), GREY, 512),
    Case("small_cnn(width=16), 3x32x32", call("small_cnn", width=16), COLOUR, 64),
    Case("small_cnn(width=16), 3x32x32", call("small_cnn", width=16), COLOUR, 512),
    Case("small_cnn(width=64), 3x32x32", call("small_cnn", width=64), COLOUR, 64),
    Case("preact_resnet18, 3x32x32", RESNET, COLOUR, 8),
    Case("preact_resnet18, 3x32x32", RESNET, COLOUR, 64),
    Case('torchvision("resnet18"), 3x224x224', call("torchvision", architecture="resnet18"), PHOTO, 8),
)


def seconds_of_a_pass(case: Case, count: int, seconds: float) -> float:
    """The seconds of one pass with its gradients by images and weights: the mean of those that fit into `seconds`."""
    torch.set_num_threads(count)
    torch.manual_seed(0)
    network = case.network()
    images = torch.rand(case.batch, *case.shape).contiguous(memory_format=torch.channels_last).requires_grad_()
    labels = torch.arange(case.batch) % 10
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < 3 or time.perf_counter() < end:
        began = time.perf_counter()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        found.append(time.perf_counter() - began)
    return statistics.fmean(found[1:])


def speedup(case: Case, count: int, rounds: int, seconds: float) -> str:
    """How many times as fast so many threads are as one: the median of rounds in turns, and their range."""
    times = [[seconds_of_a_pass(case, threads_, seconds) for threads_ in (1, count)] for _ in range(rounds)]
    one, several = (Timed(str(i), tuple(pair[i] for pair in times)) for i in range(2))
    return str(timing.Ratio.of(one, several)).replace("rounds ", "")


def rows(counts: Sequence[int], rounds: int, seconds: float) -> list[list[object]]:
    found = []
    for case in CASES:
        total = case.multiply_adds * case.batch
        rule = threads.paying(case.multiply_adds, case.batch, machine.cores())
        row: list[object] = [case.name, case.batch, f"{total / 1e6:,.0f}", rule]
        for busy in (0, 1):
            with timing.busy_programs(busy):
                row += [speedup(case, count, rounds, seconds) for count in counts]
        print(" | ".join(map(str, row)), flush=True)
        found.append(row)
    return found


def main() -> None:
    parser = arguments("threads", __doc__ or "")
    parser.add_argument("--seconds", type=float, default=1.0, help="for one number of threads in one round")
    options = parser.parse_args()
    load, cores = timing.load_average(), machine.cores()
    counts = sorted({2, *(count for count in (4, 8, 16, 32) if count <= cores), cores} - {1})
    head = ["network and images", "batch", "million multiply-adds", "the rule"]
    head += [f"{count} threads, {where}" for where in ("alone", "beside a busy program") for count in counts]
    lines = ["# Threads", ""]
    lines += timing.paragraph(
        f"""A pass of a batch and its gradient, by several threads: how many times as fast as by one, in the median of
        the rounds, and its range. The rule gives a further thread for every {threads.SHARE / 1e9:g} thousand million
        multiply-adds of a batch. It should give {cores} here where these are at least {ENOUGH} times as fast
        as one, and 1 where they are not: two steps at once, each of one thread, are then done sooner."""
    )
    lines += timing.table(head, rows(counts, options.rounds or 5, options.seconds))
    timing.publish(options.output, [*lines, "", *timing.machine("cpu", (), load)])


if __name__ == "__main__":
    main()
