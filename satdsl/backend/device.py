"""Choose torch devices by the name that the command line was given."""

from __future__ import annotations

import torch
from torch import Tensor


def answers_at_once(tensor: Tensor) -> bool:
    """Return whether reading a value of it costs nothing. A GPU is waited for until it has done all it was asked to.

    So a loop that could end early asks only where this holds, and otherwise makes all its rounds.
    """
    return tensor.device.type == "cpu"


def choose_device(name: str) -> str:
    """Return `name`; for `auto` a GPU if there is one, else the CPU.

    Raises:
        ValueError: torch does not know the device, or this machine does not have it.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name}: {reason}. Use auto, cpu, cuda or cuda:0") from None
    return name


def devices_for_workers(device: str, workers: int) -> list[str]:
    """Return a device for each worker: `cuda` without a number takes all GPUs in turn, any other name stays."""
    if device != "cuda":
        return [device] * workers
    return [f"cuda:{worker % torch.cuda.device_count()}" for worker in range(workers)]
