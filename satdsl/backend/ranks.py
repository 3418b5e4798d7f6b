"""One training on several devices: each process (rank) has its share of every batch, and all take the same steps.

What depends on a whole batch is summed over the ranks: the statistics of batch norm, the gradient, the curves. So the
batches, their statistics and the weights are those of one device, up to rounding. Draws inside a batch (random starts
of attacks, dropout) are each rank's own.
"""

from __future__ import annotations

import contextlib
import datetime
import multiprocessing
import os
import queue
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.multiprocessing.spawn import ProcessException, start_processes

from satdsl.ir.steps import Step
from satdsl.ir.work import Progress, StepError, Work

_PATIENCE = datetime.timedelta(days=2)
"""How long ranks wait for the first one, which alone selects, probes and saves. A rank that fails ends the others."""

_LOOK = 0.2
"""Seconds between two looks at the ranks."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among `count` that train together; rank 0 keeps the books."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, batch: slice) -> slice:
        """This rank's part of a batch; the parts differ by one image at most."""
        n = batch.stop - batch.start
        return slice(batch.start + n * self.rank // self.count, batch.start + n * (self.rank + 1) // self.count)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one number format by their sums over all ranks."""
        if self.count > 1 and tensors:
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            distributed.all_reduce(flat)
            for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def normalise_together(self, network: nn.Module) -> None:
        """From now on the batch norms of `network`, in training mode, have the statistics of all ranks' images.

        StepError for a kind of batch norm that cannot.
        """
        if self.count == 1:
            return
        for name, module in network.named_modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = BatchNormOfAll
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise StepError(
                    f"{name}, a {type(module).__name__}, cannot normalise over several devices",
                    "train this model on one: --gpus-per-step 1",
                )


ALONE = Ranks()


class BatchNormOfAll(nn.BatchNorm2d):
    """Batch norm whose statistics in training mode are those of the images of all ranks.

    Torch's own computes them on GPUs only.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x, dims = input.float(), (0, 2, 3)
        count = torch.tensor([x.numel() / x.shape[1]], device=x.device)
        distributed.all_reduce(count)
        mean: Tensor = _Summed.apply(x.sum(dims)) / count
        centred = x - mean.view(1, -1, 1, 1)
        variance: Tensor = _Summed.apply(centred.square().sum(dims)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scaled = centred * torch.rsqrt(variance + self.eps).view(1, -1, 1, 1)
        if self.affine:
            scaled = scaled * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        normalised: Tensor = scaled.to(input.dtype)
        return normalised

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards the batch's, as torch does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share: Any = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        with torch.no_grad():
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance, share)


class _Summed(torch.autograd.Function):
    """A tensor's sum over all ranks. Its gradient is summed likewise: every rank's loss depends on it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


# --- the processes -------------------------------------------------------------------------------

Perform = Callable[[Step, Work, Ranks], None]


def together(perform: Perform, step: Step, work: Work) -> None:
    """Do `step` in `work.devices` processes, on as many devices of this machine.

    Raises:
        StepError: that of the first rank that raises one; this machine has fewer GPUs.
    """
    if work.device.startswith("cuda") and torch.cuda.device_count() < work.devices:
        raise StepError(
            f"{work.devices} GPUs are to train together, and this machine has {torch.cuda.device_count()}",
            "take fewer --gpus-per-step",
        )
    meeting = work.scratch / f"ranks-{os.getpid()}"
    meeting.unlink(missing_ok=True)
    told = multiprocessing.get_context("spawn").Queue()
    alike = replace(work, report=_silent)
    ranks: Any = start_processes(  # type: ignore[no-untyped-call]
        _rank, (perform, step, alike, str(meeting), told), work.devices, join=False, start_method="spawn"
    )
    try:
        while not ranks.join(_LOOK):
            _forward(told, work)
        _forward(told, work)
    except ProcessException as error:
        _forward(told, work)
        raise StepError(f"rank {error.error_index} of {work.devices} ended: {_last_line(error)}") from error
    finally:
        for process in ranks.processes:
            process.kill()
        meeting.unlink(missing_ok=True)


def _rank(rank: int, perform: Perform, step: Step, work: Work, meeting: str, told: Any) -> None:
    gpu = work.device.startswith("cuda")
    device = f"cuda:{rank}" if gpu else work.device
    report = _silent if rank else told.put
    if gpu:
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // work.devices))
    with _group(rank, work.devices, meeting, "nccl" if gpu else "gloo"):
        try:
            perform(step, replace(work, device=device, report=report), Ranks(rank, work.devices))
        except StepError as error:
            told.put((error.reason, error.help))
            told.close()
            told.join_thread()
            raise


@contextlib.contextmanager
def _group(rank: int, count: int, meeting: str, backend: str) -> Iterator[None]:
    """The ranks meet through a file, and then talk through the loopback interface or directly between GPUs."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    distributed.init_process_group(
        backend, init_method=Path(meeting).absolute().as_uri(), rank=rank, world_size=count, timeout=_PATIENCE
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _forward(told: Any, work: Work) -> None:
    """Pass on what ranks have told: progress, or the reason and help of a StepError, which is raised."""
    with contextlib.suppress(queue.Empty):
        while True:
            said = told.get_nowait()
            if not isinstance(said, Progress):
                raise StepError(*said)
            work.report(said)


def _silent(progress: Progress) -> None:
    return None


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
