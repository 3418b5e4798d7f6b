"""Unpickle what torch saved without running any code: tensors become places in the file, all else a stub.

A pickle is a program that may call any function of any module. Here a function or class is never looked up: those that
make tensors, arrays and plain containers have our own in their place, all others are stubs, which take anything and do
nothing. So learning-rate schedules, configurations and whole modules beside the weights do no harm and no work.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from satdsl.weight_files.problem import WeightsProblem
from satdsl.weight_files.tensors import SIZES, Storage, TensorPlace

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
"""The type of the numbers in each of torch's classes of storages; `UntypedStorage` holds bytes."""

DTYPES = {"float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32"}
"""torch's other names of types."""

NUMPY = {"f8": "float64", "f4": "float32", "f2": "float16", "i8": "int64", "i4": "int32", "i2": "int16", "i1": "int8"}
NUMPY |= {"u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "b1": "bool"}
"""Types by NumPy's short names."""


class _StubType(type):
    """The type of stubs. A stub is itself a class, since a pickle may call it, make instances of it and fill it."""

    items: dict[Any, Any]
    state: Any

    def __call__(cls, *args: Any, **named: Any) -> Any:
        return stub(cls.__name__, args)

    def __setstate__(cls, state: Any) -> None:
        cls.state = state

    def __setitem__(cls, name: Any, value: Any) -> None:
        cls.items[name] = value

    def append(cls, value: Any) -> None:
        pass

    def extend(cls, values: Any) -> None:
        pass

    def add(cls, value: Any) -> None:
        pass


def stub(name: str, args: tuple[Any, ...] = ()) -> Any:
    """Return a stub for an object of the class `name`, made with `args`; a mapping among these gives it its items."""
    items = next((dict(arg) for arg in args if isinstance(arg, Mapping)), {})

    def new(cls: Any, *args: Any, **named: Any) -> Any:
        return stub(name, args)

    return _StubType(name, (), {"__new__": new, "items": items, "state": None})


def is_stub(value: Any) -> bool:
    return isinstance(value, _StubType)


class Constant:
    """The name of a type of torch or NumPy."""

    def __init__(self, name: str) -> None:
        self.name = name


class Array:
    """A NumPy array; what it holds comes after it, as its state."""

    def __init__(self) -> None:
        self.tensor: TensorPlace | None = None

    def __setstate__(self, state: Any) -> None:
        try:
            _, shape, dtype, fortran, data = state
            self.tensor = _array(shape, dtype, fortran, data)
        except (TypeError, ValueError):
            self.tensor = None


class NumpyType:
    """NumPy's dtype; its state has the order of bytes."""

    def __init__(self, name: Any = "", *rest: Any) -> None:
        self.name = name if isinstance(name, str) else ""
        self.swapped = False

    def __setstate__(self, state: Any) -> None:
        self.swapped = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"


def _array(shape: Any, dtype: Any, fortran: Any, data: Any) -> TensorPlace | None:
    type = NUMPY.get(getattr(dtype, "name", "").lstrip("<|=")) if not getattr(dtype, "swapped", True) else None
    if isinstance(data, str):
        data = data.encode("latin-1")
    if type is None or not isinstance(data, bytes):
        return None
    content = data
    steps, step = [], 1
    for side in shape if fortran else reversed(shape):
        steps.append(step)
        step *= side
    storage = Storage(type, len(content), lambda: content)
    return TensorPlace(tuple(shape), type, storage, 0, tuple(steps if fortran else reversed(steps)))


StorageOf = Callable[[Any, str | None, int], Storage]
"""Returns the storage of a key: so many numbers of this type, or so many bytes where the type is None."""


Inner = Callable[[bytes], Any]


class Unpickler(pickle.Unpickler):
    """Reads one pickle.

    `storage` finds the numbers that a tensor names. `inner` reads bytes that are a whole file of torch, in which
    Python's own pickle keeps a tensor. Without them there are none.
    """

    def __init__(self, file: BinaryIO, storage: StorageOf | None, inner: Inner | None) -> None:
        super().__init__(file, encoding="latin-1")
        self._inner = inner
        self._storage = storage
        self._storages: dict[Any, Storage] = {}
        self._stubs: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        whole = f"{module}.{name}"
        if whole == "torch.storage._load_from_bytes" and self._inner is not None:
            return self._inner
        if module in ("torch", "torch.storage", "torch.cuda") and (name in STORAGES or name == "UntypedStorage"):
            return Constant(name)
        if module == "torch" and DTYPES.get(name, name) in SIZES:
            return Constant(DTYPES.get(name, name))
        if whole not in self._stubs:
            self._stubs[whole] = KNOWN.get(whole) or stub(whole)
        return self._stubs[whole]

    def persistent_load(self, saved: Any) -> Any:
        if not isinstance(saved, tuple) or not saved:
            return stub("persistent")
        if saved[0] == "module":
            return saved[1] if len(saved) > 1 else stub("module")
        if saved[0] != "storage" or self._storage is None or len(saved) < 5:
            return stub("persistent")
        _, kind, key, _, count, *view = saved
        type = STORAGES.get(kind.name) if isinstance(kind, Constant) else None
        if not isinstance(count, int) or count < 0:
            raise WeightsProblem("E520", "is damaged: a storage has no size")
        if key not in self._storages:
            self._storages[key] = self._storage(key, type, count)
        return (self._storages[key], type, view[0][1]) if view and view[0] else (self._storages[key], type, 0)


def read_pickle(file: BinaryIO, storage: StorageOf | None = None, inner: Inner | None = None) -> Any:
    """Return what a pickle holds.

    Raises:
        WeightsProblem: It is no pickle, or damaged.
    """
    try:
        return Unpickler(file, storage, inner).load()
    except WeightsProblem:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsProblem(
            "E520", "cannot be read as weights: it is damaged, or no file of torch", reason, "download or save it again"
        ) from None


# --- what makes tensors ------------------------------------------------------------------------------


def _tensor(found: Any, offset: Any, shape: Any, stride: Any, type: str | None = None) -> Any:
    if not (isinstance(found, tuple) and len(found) == 3 and isinstance(found[0], Storage)):
        return stub("tensor")
    storage, own, begin = found
    return TensorPlace(tuple(shape), type or own or "uint8", storage, offset + begin, tuple(stride))


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> Any:
    return _tensor(storage, offset, shape, stride)


def _rebuild_tensor_v3(
    storage: Any, offset: Any, shape: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *rest: Any
) -> Any:
    return _tensor(storage, offset, shape, stride, dtype.name if isinstance(dtype, Constant) else None)


def _rebuild_parameter(data: Any, *rest: Any) -> Any:
    return data


def _rebuild_from_type(function: Any, kind: Any, args: Any, *rest: Any) -> Any:
    return function(*args) if callable(function) and isinstance(args, tuple) else stub("tensor")


def _unusable(why: str) -> Callable[..., Any]:
    """Return what makes a tensor that cannot be read, wherever its shape stands among the arguments."""

    def rebuild(*args: Any) -> Any:
        empty = Storage("uint8", 0, lambda: b"")
        shapes = (arg for arg in args if isinstance(arg, tuple) and all(isinstance(side, int) for side in arg))
        return TensorPlace(next(shapes, ()), "float32", empty, unusable=why)

    return rebuild


def _from_numpy(array: Any, *rest: Any) -> Any:
    return array.tensor if isinstance(array, Array) and array.tensor is not None else stub("tensor")


def _encode(text: Any, coding: Any = "latin-1") -> Any:
    return text.encode("latin-1" if coding in ("latin1", "latin-1") else "utf-8") if isinstance(text, str) else b""


def _scalar(dtype: Any, data: Any = b"") -> Any:
    place = _array((), dtype, False, data)
    numbers = place.numbers() if place is not None and len(place.storage.bytes()) == SIZES[place.type] else None
    return numbers[0] if numbers else stub("number")


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any = "C", *rest: Any) -> Any:
    array = Array()
    array.tensor = _array(shape, dtype, order == "F", bytes(data)) if isinstance(data, bytes | bytearray) else None
    return array


def _reconstruct(*args: Any) -> Any:
    return Array()


def _set(values: Any = ()) -> Any:
    try:
        return set(values)
    except TypeError:
        return stub("set")


def _sizes(sizes: Any = ()) -> Any:
    return tuple(sizes) if isinstance(sizes, tuple | list) else ()


_NUMPY = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
KNOWN: Mapping[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": _encode,
    "builtins.set": _set,
    "__builtin__.set": _set,
    "torch.Size": _sizes,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "torch._tensor._rebuild_from_type": _rebuild_from_type,
    "torch._utils._rebuild_device_tensor_from_numpy": _from_numpy,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _rebuild_parameter,
    "torch._utils._rebuild_xla_tensor": _from_numpy,
    "torch._utils._rebuild_qtensor": _unusable("quantised"),
    "torch._utils._rebuild_sparse_tensor": _unusable("sparse"),
    "torch._utils._rebuild_meta_tensor_no_storage": _unusable("without numbers, on the device `meta`"),
    "torch._utils._rebuild_wrapper_subclass": _unusable("of a class of its own"),
    **{f"{module}.scalar": _scalar for module in _NUMPY},
    **{f"{module}._reconstruct": _reconstruct for module in _NUMPY},
    **{f"{module}._frombuffer": _frombuffer for module in _NUMPY},
    "numpy.dtype": NumpyType,
}
"""Our own functions and classes for those that make tensors, arrays and mappings."""


def tensor_in(value: Any) -> TensorPlace | None:
    """Return the tensor that a value is, or the array, read as one."""
    if isinstance(value, Array):
        return value.tensor
    return value if isinstance(value, TensorPlace) else None


def mapping_in(value: Any) -> Mapping[Any, Any] | None:
    """Return the entries of a mapping, or of a stub that has some."""
    if isinstance(value, Mapping):
        return value
    if is_stub(value):
        return value.items or (value.state if isinstance(value.state, Mapping) else None)
    return None
