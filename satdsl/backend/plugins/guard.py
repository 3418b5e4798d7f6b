"""Let a plug-in's code run without a trace: what it changes in the process for everybody else is put back.

The global random states are set before each call from a seed of ours, so `torch.rand` in a plug-in gives the same
numbers in every run, and restored afterwards, so nothing else draws others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from satdsl.backend.randomness import global_state_preserved

WATCHED: tuple[Any, ...] = (torch, F, torch.Tensor, torch.nn.Module, torch.autograd, torch.optim.Optimizer, np, random)
"""Modules and classes whose functions a plug-in must not replace, since everything else in the process uses them."""


class CalledExit(Exception):
    """The code asked to end the process."""


class Replaced(Exception):
    """The code put functions of its own in the place of a library's; its text names one."""


@contextmanager
def contained(seed: int | None) -> Iterator[None]:
    """Run code that may change anything; afterwards the process is as it was.

    The random states begin with `seed`; None lets them be what they are. What would end the process is
    raised as `CalledExit`, and functions of a library that were replaced are put back and raised as `Replaced`.
    """
    originals = [dict(vars(where)) for where in WATCHED]
    before = [get() for get, _ in _SETTINGS]
    with global_state_preserved(), _no_exit():
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed & 0xFFFFFFFF)
            torch.manual_seed(seed)
        try:
            yield
        finally:
            for value, (get, put) in zip(before, _SETTINGS, strict=True):
                if get() != value:
                    put(value)
            watched = zip(WATCHED, originals, strict=True)
            replaced = [name for where, known in watched for name in _put_back(where, known)]
    if replaced:
        raise Replaced(replaced[0])


def _put_back(where: Any, known: dict[str, Any]) -> Iterator[str]:
    """Put back each function that another one stands in the place of, and give its name.

    torch itself replaces some of its own when a part of it is loaded late.
    """
    now = vars(where)
    for name, value in known.items():
        other = now.get(name)
        if other is not value and callable(value) and not _of_torch(other):
            setattr(where, name, value)
            yield f"{where.__name__}.{name}"


def _of_torch(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        return str(getattr(function, "__module__", "")).partition(".")[0] == "torch"
    return str(code.co_filename).startswith(_TORCH)


_TORCH = os.path.dirname(torch.__file__)


@contextmanager
def _no_exit() -> Iterator[None]:
    """Turn `sys.exit` and `os._exit` into an error; a process that the code has forked may end."""
    leave, here = os._exit, os.getpid()

    def refused(status: int) -> None:
        if os.getpid() != here:
            leave(status)
        raise CalledExit(f"os._exit({status})")

    os._exit = refused  # type: ignore[assignment]
    try:
        yield
    except SystemExit as error:
        raise CalledExit(f"sys.exit({'' if error.code is None else repr(error.code)})").with_traceback(
            error.__traceback__
        ) from None
    finally:
        os._exit = leave


def _flag(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return None


def _go_back(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, torch.set_default_device),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (_working_folder, _go_back),
    _flag(torch.backends.cudnn, "benchmark"),
    _flag(torch.backends.cudnn, "deterministic"),
    _flag(torch.backends.cudnn, "allow_tf32"),
    _flag(torch.backends.cuda.matmul, "allow_tf32"),
)
"""What gives and what sets each setting of the process that a plug-in may have changed."""
