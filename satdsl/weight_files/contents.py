"""Open a file of weights of any kind, and find in it what may be the weights of networks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from satdsl.weight_files import kinds, torch_files
from satdsl.weight_files.pickles import is_stub, mapping_in, tensor_in
from satdsl.weight_files.problem import WeightsProblem
from satdsl.weight_files.safetensors_files import looks_like_safetensors, read_safetensors
from satdsl.weight_files.tensors import TensorPlace, Weights

DEEPEST = 5
"""How many mappings deep weights are looked for."""


def networks(path: Path) -> Mapping[str, Weights]:
    """Return the mappings from names to tensors in a file, by their places: `ema`, `model.state_dict`.

    The place of the outermost is the empty text.

    Raises:
        OSError: The file cannot be read.
        WeightsProblem: It is no file of weights, or damaged.
    """
    facts = os.stat(path)
    return _networks(str(path), facts.st_size, facts.st_mtime_ns, facts.st_ino)


@lru_cache(maxsize=32)
def _networks(path: str, size: int, changed: int, inode: int) -> Mapping[str, Weights]:
    tree, script = _tree(Path(path))
    found: dict[str, Weights] = {}
    for label, weights in _found(tree, "", script, set(), 0):
        for name, tensor in weights.items():
            tensor.check(name)
        found.setdefault(label, weights)
    if not found:
        raise WeightsProblem(
            kinds.CODE,
            f"holds no weights: {_described(tree)}",
            "",
            "save the network's weights: torch.save(model.state_dict(), ...)",
        )
    return found


def _tree(path: Path) -> tuple[Any, bool]:
    """Return what a file holds, and whether it is TorchScript."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":
        return torch_files.read_zip(path)
    if looks_like_safetensors(path):
        return read_safetensors(path), False
    kinds.refuse_other_files(path)
    return torch_files.read_pickles(path), False


def _found(value: Any, label: str, script: bool, seen: set[int], depth: int) -> Iterator[tuple[str, Weights]]:
    """Give every mapping from names to tensors, the outer ones first."""
    if depth > DEEPEST or id(value) in seen:
        return
    seen.add(id(value))
    if is_stub(value) and isinstance(value.state, Mapping) and ("_modules" in value.state or script):
        weights = dict(_of_module(value.state, "", script, set()))
        if weights:
            yield label, weights
        return
    entries = mapping_in(value)
    if isinstance(value, list | tuple):
        entries = {str(place): entry for place, entry in enumerate(value[:100])}
    if entries is None:
        return
    tensors = {name: tensor for name, held in entries.items() if isinstance(name, str) and (tensor := tensor_in(held))}
    if tensors:
        yield label, tensors
    for name, held in entries.items():
        if isinstance(name, str) and tensor_in(held) is None:
            yield from _found(held, f"{label}.{name}" if label else name, script, seen, depth + 1)


def _of_module(
    state: Mapping[Any, Any], prefix: str, script: bool, above: set[int]
) -> Iterator[tuple[str, TensorPlace]]:
    """Give the state dict of a module that was saved whole, from the attributes that it had."""
    if id(state) in above:
        return
    above = {*above, id(state)}
    left_out = state.get("_non_persistent_buffers_set")
    left_out = left_out if isinstance(left_out, set) else set()
    held = [state] if script else [state.get("_parameters"), state.get("_buffers")]
    for entries in held:
        for name, value in (mapping_in(entries) or {}).items():
            tensor = tensor_in(value)
            if tensor is not None and isinstance(name, str) and name not in left_out:
                yield prefix + name, tensor
    for name, part in (state if script else mapping_in(state.get("_modules")) or {}).items():
        if isinstance(name, str) and is_stub(part) and isinstance(part.state, Mapping):
            yield from _of_module(part.state, f"{prefix}{name}.", script, above)


def _described(tree: Any) -> str:
    if isinstance(tree, TensorPlace):
        return "it is one tensor"
    if is_stub(tree) and not tree.items:
        return f"it is an object of the class {tree.__name__}"
    entries = mapping_in(tree)
    if entries:
        return f"its entries are {', '.join(f'`{name}`' for name in list(entries)[:5])}"
    return f"it is a {type(tree).__name__}"
