"""Train one network on several devices: each process (rank) takes a part of every batch, and all make the same steps.

Whatever depends on a whole batch is summed over the ranks: the statistics of batch norm, the gradient, the curves. So
the batches, their statistics and the weights are those of one device, up to rounding. For example, of a batch of 128 on
two devices each rank attacks and passes 64 images; batch norm uses the mean over all 128, since each rank adds its sum.
Random draws inside a batch (random starts of attacks, dropout) differ from rank to rank, and from those of one device.
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

from satdsl.backend.plugins import session
from satdsl.backend.threads import computing
from satdsl.ir.steps import Step
from satdsl.ir.work import Progress, StepError, Work

_TIMEOUT = datetime.timedelta(days=2)
"""How long ranks wait for rank 0, which alone selects, probes and saves. A rank that fails ends the others at once."""

_POLL_SECONDS = 0.2
"""Seconds between two checks on the ranks."""


@dataclass(frozen=True)
class ProcessGroup:
    """The `size` processes that train together, and this one's `rank` among them. Rank 0 selects, saves and reports."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Return whether this is rank 0."""
        return self.rank == 0

    def local_part(self, batch: slice) -> slice:
        """Return this rank's part of a batch; the parts differ by one image at most."""
        n = batch.stop - batch.start
        return slice(batch.start + n * self.rank // self.size, batch.start + n * (self.rank + 1) // self.size)

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of the same dtype by their sums over all ranks."""
        if self.size > 1 and tensors:
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            distributed.all_reduce(flat)
            for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def from_main(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by that of rank 0, and return it."""
        if self.size > 1:
            distributed.broadcast(tensor, 0)
        return tensor

    def synchronise_batch_norm(self, network: nn.Module) -> None:
        """Let the batch norms of `network` use, in training mode, the statistics of all ranks' images from now on.

        Raises:
            StepError: It has a kind of batch norm that cannot.
        """
        if self.size == 1:
            return
        for name, module in network.named_modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SynchronisedBatchNorm2d
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise StepError(
                    f"{name}, a {type(module).__name__}, cannot normalise over several devices",
                    "train this model on one device: --gpus-per-step 1",
                )


SINGLE_PROCESS = ProcessGroup()


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose statistics in training mode are those of the images of all ranks.

    `nn.SyncBatchNorm` does the same, but on GPUs only. The sums are differentiable: an image's activation changes the
    mean, and through it the loss of every other rank, so a sum's gradient is the sum of the ranks' gradients.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x, dims = input.float(), (0, 2, 3)
        count = torch.full((1,), x.numel() / x.shape[1], device=x.device)
        distributed.all_reduce(count)
        mean: Tensor = _SumOverRanks.apply(x.sum(dims)) / count
        centred = x - mean.view(1, -1, 1, 1)
        variance: Tensor = _SumOverRanks.apply(centred.square().sum(dims)) / count
        self._update_running_statistics(mean.detach(), variance.detach() * count / (count - 1))
        scaled = centred * torch.rsqrt(variance + self.eps).view(1, -1, 1, 1)
        if self.affine:
            scaled = scaled * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        normalised: Tensor = scaled.to(input.dtype)
        return normalised

    def _update_running_statistics(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards the batch's, as torch does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share: Any = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        with torch.no_grad():
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance, share)


class _SumOverRanks(torch.autograd.Function):
    """The sum of a tensor over all ranks, with a gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _SumOverRanks.forward(ctx, gradient)


# --- the processes -------------------------------------------------------------------------------

Perform = Callable[[Step, Work, ProcessGroup], None]


def run_distributed(perform: Perform, step: Step, work: Work) -> None:
    """Perform `step` in `work.devices` processes, each on a device of this machine.

    Raises:
        StepError: This machine has fewer GPUs, or a rank failed; it is the error of the first rank that raised one.
    """
    if work.device.startswith("cuda") and torch.cuda.device_count() < work.devices:
        raise StepError(
            f"{work.devices} GPUs are to train together, and this machine has {torch.cuda.device_count()}",
            "give a smaller --gpus-per-step",
        )
    rendezvous = work.scratch / f"ranks-{os.getpid()}"
    rendezvous.unlink(missing_ok=True)
    messages = multiprocessing.get_context("spawn").Queue()
    alike = replace(work, report=_silent, printed=_silent, computed=_silent, stops=_silent)
    ranks: Any = start_processes(  # type: ignore[no-untyped-call]
        _run_rank, (perform, step, alike, str(rendezvous), messages), work.devices, join=False, start_method="spawn"
    )
    try:
        while not ranks.join(_POLL_SECONDS):
            _relay(messages, work)
        _relay(messages, work)
    except ProcessException as error:
        _relay(messages, work)
        raise StepError(f"rank {error.error_index} of {work.devices} ended: {_last_line(error)}") from error
    finally:
        for process in ranks.processes:
            process.kill()
        rendezvous.unlink(missing_ok=True)


def _run_rank(rank: int, perform: Perform, step: Step, work: Work, rendezvous: str, messages: Any) -> None:
    gpu = work.device.startswith("cuda")
    device = f"cuda:{rank}" if gpu else work.device
    report = _silent if rank else messages.put
    if gpu:
        torch.cuda.set_device(device)
    with _group(rank, work.devices, rendezvous, "nccl" if gpu else "gloo"):
        try:
            ours = replace(work, device=device, report=report, printed=report)
            with session(step, ours) as work, computing(step, work):
                perform(step, work, ProcessGroup(rank, work.devices))
        except StepError as error:
            messages.put((error.reason, error.help))
            _flush(messages)
            raise
    _flush(messages)
    # An orderly exit would destroy what torch holds while threads of its own may still use it, which then aborts.
    os._exit(0)


def _flush(messages: Any) -> None:
    """Wait until what was put into the queue is on its way."""
    messages.close()
    messages.join_thread()


@contextlib.contextmanager
def _group(rank: int, count: int, rendezvous: str, backend: str) -> Iterator[None]:
    """Let the ranks find each other through a file; they then talk over the loopback interface or between GPUs."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    distributed.init_process_group(
        backend, init_method=Path(rendezvous).absolute().as_uri(), rank=rank, world_size=count, timeout=_TIMEOUT
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _relay(messages: Any, work: Work) -> None:
    """Pass on what the ranks report: progress, a printed line, or reason and help of a StepError, which is raised."""
    with contextlib.suppress(queue.Empty):
        while True:
            said = messages.get_nowait()
            if isinstance(said, str):
                work.printed(said)
            elif isinstance(said, Progress):
                work.report(said)
            else:
                raise StepError(*said)


def _silent(said: Any) -> None:
    """Report nothing. A lambda could not be sent to another process."""


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
