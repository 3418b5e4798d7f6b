"""Read a checkpoint file that was made elsewhere, and load its weights into a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from satdsl.backend.architectures import Network
from satdsl.backend.artifact_files import sha256
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.models.likely import form_fits_names, with_way_out
from satdsl.ir.steps import CatalogCall, Pretrained
from satdsl.ir.work import StepError
from satdsl.weight_files.contents import networks
from satdsl.weight_files.matching import COUNTERS, Match, Wanted, match, normalised_alike
from satdsl.weight_files.problem import WeightsProblem
from satdsl.weight_files.tensors import TensorPlace

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
}
"""torch's types of numbers that weights and batch norm's counters have."""


def load_pretrained(network: Network, pretrained: Pretrained, model: CatalogCall) -> dict[str, Any]:
    """Load the weights in a file into `network`, of architecture `model`; return what was taken, as JSON.

    Raises:
        StepError: The file cannot be read, its weights do not fit the network, or they are not finite.
    """
    place = Path(pretrained.path)
    if not place.is_file():
        raise StepError(f"the file {place} is not there")
    if sha256(place) != pretrained.digest:
        raise StepError(f"{place} changed since the specification was compiled", "run again to compile it as it is now")
    try:
        found = _match(network, pretrained, model)
        weights = {name: tensor_of(saved) for name, saved in {**found.weights, **found.counters}.items()}
    except WeightsProblem as problem:
        reason = f": {problem.reason}" if problem.reason else ""
        raise StepError(f"{place} {problem.message}{reason}", problem.help) from problem
    except OSError as error:
        raise StepError(f"{place} cannot be read: {error.strerror or error}") from error
    _require_finite(weights, place)
    own = network.body.state_dict()
    network.body.load_state_dict({name: weights[name] for name in own if name in weights}, strict=False)
    return _record(place, pretrained, found)


def _match(network: Network, pretrained: Pretrained, model: CatalogCall) -> Match:
    entry = ModelEntry.of(model)
    own = {name: tuple(tensor.shape) for name, tensor in network.body.state_dict().items()}
    shapes = {name: shape for name, shape in own.items() if not name.endswith(COUNTERS)}
    networks_in_file = networks(Path(pretrained.path))
    form_fits_names((name for weights in networks_in_file.values() for name in weights), model)
    try:
        found = match(networks_in_file, Wanted(shapes, entry.names, network.head_name), pretrained.entry)
    except WeightsProblem as problem:
        raise with_way_out(problem, model) from problem
    normalised_alike(found, network.normalise.mean.flatten().tolist(), network.normalise.std.flatten().tolist())
    return found


def tensor_of(saved: TensorPlace) -> Tensor:
    """Read the numbers of a tensor in a file."""
    dtype = DTYPES[saved.type]
    if not saved.count:
        return torch.zeros(saved.shape, dtype=dtype)
    data = bytearray(saved.storage.bytes())
    whole = torch.frombuffer(data, dtype=dtype, count=len(data) // dtype.itemsize)
    return whole.as_strided(saved.shape, saved.stride, saved.offset).clone()


def _require_finite(weights: Mapping[str, Tensor], place: Path) -> None:
    """Raise StepError for weights that are NaN or infinite, and for variances below zero."""
    wrong = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise StepError(
            f"{len(wrong)} of {len(weights)} weights in {place} have numbers that are NaN or infinite "
            f"({', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''})",
            "the training that made them diverged, or they were converted to a type too small for them: take others",
        )
    below = [name for name, tensor in weights.items() if name.endswith("running_var") and bool((tensor < 0).any())]
    if below:
        raise StepError(
            f"{place} has variances below zero ({below[0]})", "no training gives such statistics: the file is damaged"
        )


def _record(place: Path, pretrained: Pretrained, found: Match) -> dict[str, Any]:
    return {
        "file": place.name,
        "sha256": pretrained.digest,
        "taken": found.label,
        "other_places": list(found.elsewhere),
        "left_aside": list(found.aside),
        "types": list(found.types) or ["float32"],
    }
