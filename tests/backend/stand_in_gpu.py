"""A device that passes for `cuda:0` where there is no GPU: it computes on the CPU, and sees what a GPU would be asked.

Tensors that are sent to it are of the class `OnGpu`. Each holds a tensor of the CPU, so that values are real: whatever
depends on them runs as on a GPU, to the end. To torch's own code they are tensors of the device `meta`, whose backward
pass needs no stream; to Python code their device is `cuda:0`. For every operation, those of backward passes too,

- tensors of both devices in one operation raise the error that a GPU raises;
- so does a generator of the other device;
- what makes the host wait for the device is recorded with its place: reading a value (`.item()`, `bool`, `.cpu()`),
  and shapes that depend on values (`nonzero`, a mask as an index);
- so is a copy from the host, in the open or as an index that lies there. A copy from pinned memory with
  `non_blocking=True` is not: the host goes on.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_map_only

import satdsl

aten = torch.ops.aten
DEVICE, INSIDE = torch.device("cuda:0"), torch.device("meta")

VALUE_READ = {aten._local_scalar_dense.default, aten.equal.default, aten.is_nonzero.default}
SHAPE_READ = {
    "nonzero",
    "masked_select",
    "_unique",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
    "repeat_interleave",
}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
COPIES = {"copy_", "_to_copy"}


class MixedDevicesError(RuntimeError):
    """An operation was given tensors of the CPU and of the GPU."""


class OnGpu(Tensor):
    """A tensor on the device; `host` has its values."""

    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> OnGpu:
        made: OnGpu = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            host.size(),
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            device=INSIDE,
            requires_grad=False,
        )
        made.host = host
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func}: a tensor of the stand-in for a GPU is used after it is gone")

    device = property(lambda self: DEVICE)  # type: ignore[assignment]
    is_cuda = property(lambda self: True)  # type: ignore[assignment]
    is_cpu = property(lambda self: False)  # type: ignore[assignment]
    is_meta = property(lambda self: False)  # type: ignore[assignment]

    def get_device(self) -> int:
        return 0

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGpu({self.host!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.host.detach().__reduce_ex__(protocol)


@dataclass(frozen=True)
class Event:
    """Something that a GPU would be waited for, or that it would wait for itself: `what`, at `place`."""

    what: str
    place: str

    def __str__(self) -> str:
        return f"{self.what} at {self.place}"


PACKAGE = Path(satdsl.__file__).parent
PUBLISHED = "pyautoattack"
"""Code of others, which waits for its device as it likes."""


@cache
def _owner(path: str) -> str | None:
    """What a file of code belongs to: its name in satdsl, or the package of published code."""
    found = Path(path)
    if PUBLISHED in found.parts:
        return PUBLISHED
    return str(found.relative_to(PACKAGE)) if found.is_relative_to(PACKAGE) else None


def place() -> str:
    """The line of satdsl, or the package of published code, that the operation comes from."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = _owner(frame.f_code.co_filename)
        if owner is not None:
            return owner if owner == PUBLISHED else f"{owner}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"


@dataclass
class StandIn:
    """The device, and what it has seen."""

    events: Counter[Event] = field(default_factory=Counter)
    watching: int = 0
    free: int = 1 << 33
    """Bytes of memory that it says are free."""

    def record(self, what: str) -> None:
        if self.watching:
            self.events[Event(what, place())] += 1

    @contextmanager
    def watched(self) -> Iterator[Counter[Event]]:
        """What is recorded inside."""
        before, found = Counter(self.events), Counter[Event]()
        self.watching += 1
        try:
            yield found
        finally:
            self.watching -= 1
            found.update(self.events - before)


class Dispatch(TorchDispatchMode):
    """Computes on the CPU, and gives what belongs there to the device."""

    def __init__(self, device: StandIn) -> None:
        super().__init__()
        self.seen = device

    def compute(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        given: list[Tensor] = []
        plain_args, plain = _on_host(args, given), {name: _on_host(value, given) for name, value in kwargs.items()}
        there = {id(each.host): each for each in given if isinstance(each, OnGpu)}
        host = [each for each in given if not isinstance(each, OnGpu)]
        target = kwargs.get("device")
        on_gpu = bool(there) if target is None else target.type == INSIDE.type
        if name in COPIES:
            self._copied(name, args, kwargs, on_gpu)
            on_gpu = isinstance(args[0], OnGpu) if name == "copy_" else on_gpu
        elif there:
            self._together(func, name, args, host)
        if target is not None:
            plain["device"] = torch.device("cpu")
        if "pin_memory" in plain:
            plain["pin_memory"] = False
        found = func(*plain_args, **plain)
        if not on_gpu:
            return found
        if torch.Tag.inplace_view in func.tags:
            return return_and_correct_aliasing(func, args, kwargs, args[0])
        return _on_gpu(found, there)

    def _copied(self, name: str, args: Any, kwargs: Mapping[str, Any], to_gpu: bool) -> None:
        source = args[1] if name == "copy_" else args[0]
        to_gpu = isinstance(args[0], OnGpu) if name == "copy_" else to_gpu
        waits_not = kwargs.get("non_blocking", False) or (name == "copy_" and len(args) > 2 and args[2])
        if isinstance(source, OnGpu) and not to_gpu:
            self.seen.record("copy to the host")
        elif to_gpu and not isinstance(source, OnGpu) and not (waits_not and getattr(source, "pinned", False)):
            self.seen.record("copy from the host")

    def _together(self, func: Any, name: str, args: Any, host: list[Tensor]) -> None:
        if func in VALUE_READ:
            self.seen.record("value read")
        elif name in SHAPE_READ:
            self.seen.record(f"shape read by {name}")
        elif name in INDEXING:
            indices = [index for index in args[1] if index is not None]
            if not isinstance(args[0], OnGpu):
                raise MixedDevicesError(f"{func}: indices of {DEVICE} into a tensor of the CPU")
            host = [each for each in host if not any(each is index for index in indices)]
            if any(not isinstance(index, OnGpu) for index in indices):
                self.seen.record("index copied from the host")
            filled = name.startswith(("index_put", "_index_put")) and args[2].numel() == 1
            if any(index.dtype in (torch.bool, torch.uint8) for index in indices) and not filled:
                self.seen.record("shape read by a mask as an index")
        if any(each.dim() for each in host):
            raise MixedDevicesError(
                f"{func}: expected all tensors to be on the same device, but found at least two devices, {DEVICE} and "
                f"cpu! (at {place()})"
            )


# Set afterwards, so that torch does not wrap it for its compiler, which takes as long as the operation.
Dispatch.__torch_dispatch__ = Dispatch.compute  # type: ignore[method-assign]


def _on_host(value: Any, given: list[Tensor]) -> Any:
    """Return arguments with tensors of the CPU for those of the device; `given` gets all tensors."""
    if isinstance(value, Tensor):
        given.append(value)
        return value.host if isinstance(value, OnGpu) else value
    if isinstance(value, (list, tuple)):
        return type(value)(_on_host(each, given) for each in value)
    return value


def _on_gpu(value: Any, known: Mapping[int, OnGpu]) -> Any:
    """Return results as tensors of the device; one that was changed in place is the tensor that was given."""
    if isinstance(value, Tensor):
        return known[id(value)] if id(value) in known else OnGpu(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_on_gpu(each, known) for each in value)
    return value


class Calls(TorchFunctionMode):
    """Lets torch's own code see the device as `meta`, and answers what it would ask a real one."""

    def __init__(self, device: StandIn) -> None:
        super().__init__()
        self.seen = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        if func is Tensor.pin_memory:
            pinned = first.clone()  # type: ignore[union-attr]
            pinned.pinned = True
            return pinned
        if func is Tensor.cuda:
            return first.to(INSIDE)  # type: ignore[union-attr]
        if func is Tensor.tolist and isinstance(first, OnGpu):
            self.seen.record("copy to the host")
            return first.host.tolist()
        if func is Tensor.numpy and isinstance(first, OnGpu):
            raise TypeError(f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() to copy it first.")
        if func is torch.nn.functional.one_hot and isinstance(first, OnGpu):
            return _one_hot(*args, **kwargs)
        if func in (torch.tensor, torch.as_tensor) and _inside(kwargs.get("device")) == INSIDE:
            return func(*args, **{**kwargs, "device": None}).to(INSIDE)
        if "device" in kwargs:
            kwargs["device"] = _inside(kwargs["device"])
        if func is Tensor.to:
            args = (first, *map(_inside, args[1:]))
        found = func(*map(_inside_device, args), **kwargs)
        drawn = kwargs.get("generator")
        if drawn is not None and (drawn.device.type == DEVICE.type) != isinstance(found, OnGpu):
            raise MixedDevicesError(f"{func}: the generator is one of {drawn.device}, what is drawn is not there")
        return found


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    """A GPU takes it on trust that there are no more classes; torch asks every other device."""
    return (labels.unsqueeze(-1) == torch.arange(classes, device=INSIDE)).long()


def _inside(device: Any) -> Any:
    if isinstance(device, str) and device.split(":")[0] == DEVICE.type:
        return INSIDE
    return _inside_device(device)


def _inside_device(value: Any) -> Any:
    return INSIDE if isinstance(value, torch.device) and value.type == DEVICE.type else value


class Drawn(torch._C.Generator):
    """A generator of either device; that of the stand-in draws the CPU's numbers."""

    def __new__(cls, device: Any = "cpu") -> Drawn:
        made = super().__new__(cls, torch.device("cpu"))
        made.where = torch.device(device)  # type: ignore[attr-defined]
        return made

    def __init__(self, device: Any = "cpu") -> None:
        super().__init__()

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE if self.where.type == DEVICE.type else self.where  # type: ignore[attr-defined,no-any-return]


@contextmanager
def stand_in_gpu() -> Iterator[StandIn]:
    """Let there be a GPU."""
    device, load = StandIn(), torch.load
    drawn = torch._C.Generator()

    def loaded(file: Any, map_location: Any = None, **options: Any) -> Any:
        found = load(file, map_location="cpu", **options)
        wanted = torch.device(map_location or "cpu").type == DEVICE.type
        return tree_map_only(Tensor, lambda tensor: tensor.to(DEVICE), found) if wanted else found

    with pytest.MonkeyPatch.context() as patch, Dispatch(device), Calls(device), warnings.catch_warnings():
        patch.setattr(torch, "Generator", Drawn)
        patch.setattr(torch, "load", loaded)
        # Tensors of a class of Python's cannot be views in inference mode. That a pass is made in it is seen on a CPU.
        patch.setattr(torch, "inference_mode", lambda mode=True: torch.no_grad() if mode else nullcontext())
        patch.setattr(torch.accelerator, "is_available", lambda: False)  # or a thread of torch's own would pin
        for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):  # by version
            patch.setattr(torch.optim.Optimizer, name, lambda self: None, raising=False)
        for name, value in {
            "is_available": lambda: True,
            "device_count": lambda: 1,
            "current_device": lambda: 0,
            "synchronize": lambda device=None: None,
            "mem_get_info": lambda _=None: (device.free, device.free),
            "get_rng_state": lambda device=None: drawn.get_state(),
            "set_rng_state": lambda state, device=None: drawn.set_state(state),
            "get_rng_state_all": lambda: [drawn.get_state()],
            "set_rng_state_all": lambda states: drawn.set_state(states[0]),
            "manual_seed_all": lambda seed: drawn.manual_seed(seed),
        }.items():
            patch.setattr(torch.cuda, name, value)
        warnings.filterwarnings("ignore", message=".*CUDA is not available.*")
        yield device
