"""Read a checkpoint file that was made elsewhere, and load its weights into a network."""

from __future__ import annotations

import pickle
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from satdsl.backend.architectures import Network
from satdsl.backend.artifact_files import sha256
from satdsl.backend.weights import load_weights
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.show import value
from satdsl.ir.steps import CatalogCall, Pretrained
from satdsl.ir.work import StepError

Weights = dict[str, Tensor]

NESTS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "model_ema", "ema")
"""Where training scripts put the state dict among other things; the first that is there is used."""

WRAPPERS = ("module", "model", "_orig_mod", "body", "net", "network", "1")
"""Modules around a network, whose names come before its own; `1` follows a normalisation in `nn.Sequential`."""

Names = Sequence[tuple[str, str]]
"""Regular expressions for other people's names of layers, and ours; what gets an empty name is dropped."""

PREACT: Names = (
    (r"^layer(\d)\.(\d+)\.", r"blocks.\1+\2."),
    (r"^block(\d)\.layer\.(\d+)\.", r"blocks.\1+\2."),
    (r"^sub_block1\..*", ""),
    (r"^layer(?:_(\d)|\.(\d)\.block)\.(\d+)\.", r"blocks.\1\2+\3."),
    (r"^(init_conv|conv_2d)\.", "conv1."),
    (r"\.batchnorm_0\.", ".bn1."),
    (r"\.batchnorm_1\.", ".bn2."),
    (r"\.(conv_0|conv_2d_1)\.", ".conv1."),
    (r"\.(conv_1|conv_2d_2)\.", ".conv2."),
    (r"^batchnorm\.", "bn."),
    (r"^logits\.", "fc."),
    (r"\.(shortcut\.0|convShortcut)\.", ".shortcut."),
    (r"^bn1\.", "bn."),
    (r"^linear\.", "fc."),
)
RESNET: Names = ((r"\.shortcut\.", ".downsample."), (r"^linear\.", "fc."))
NAMES: Mapping[str, Names] = {
    "preact_resnet18": PREACT,
    "wide_resnet": PREACT,
    **{f"resnet{depth}": RESNET for depth in (18, 34, 50, 101, 152)},
}
"""Names in the common implementations of an architecture: kuangliu's CIFAR ResNets with a last batch norm, as in the
code of Rice et al. (2020); the wide ResNet of Zhang et al. (TRADES, 2019), which has an unused `sub_block1`; DeepMind's
wide and pre-activation ResNets (Gowal et al., 2020)."""

NORMALISATION = {"mean": "mean", "mu": "mean", "std": "std", "sigma": "std"}
"""The names that entries of a normalisation layer have."""

CLOSE = 2e-3
"""Published constants are rounded, so two normalisations that differ by less count as the same."""


def load_pretrained(network: Network, pretrained: Pretrained, model: CatalogCall) -> dict[str, Any]:
    """Load the weights in a file into `network`, of architecture `model`.

    Raises:
        StepError: The file cannot be read, or its weights do not fit the network.
    """
    place = Path(pretrained.path)
    found = read(place, pretrained.digest)
    body = network.body.state_dict()
    _form_fits_names(found, model, place)
    weights, others = matched(found, body, NAMES.get(model.name, ()))
    _normalised_alike(network, others, place)
    others = {name: tensor for name, tensor in others.items() if _normalisation(name) is None}
    missing = [name for name in body if name not in weights and not name.endswith("num_batches_tracked")]
    shapes = [name for name in body if name in weights and weights[name].shape != body[name].shape]
    if missing or others or shapes:
        raise StepError(
            f"the weights in {place} do not fit {model.name}: "
            + "; ".join(_differences(missing, list(others), shapes, weights, body)),
            _hint(network, weights, body, shapes)
            or _told(weights | others, model)
            or "give the architecture, with its settings, that they were trained with",
        )
    network.body.load_state_dict(weights, strict=False)
    return {"file": place.name, "sha256": pretrained.digest}


def read(path: Path, digest: str) -> Weights:
    """Read the state dict in a file whose SHA-256 is `digest`; nothing but tensors is unpickled."""
    if not path.is_file():
        raise StepError(f"the file {path} is not there")
    if sha256(path) != digest:
        raise StepError(f"{path} changed since the specification was compiled", "run again to compile it as it is now")
    try:
        if path.suffix == ".safetensors":
            return load_weights(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        what = f"more than tensors ({wanted[1]})" if wanted else "more than tensors"
        raise StepError(
            f"{path} holds {what}, and unpickling it could run any code",
            "if you trust it, load it yourself, and save its state dict alone: torch.save(model.state_dict(), ...)",
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = (str(error).splitlines() or ["it is empty"])[0]
        raise StepError(f"{path} cannot be read as weights: {reason}") from error
    return _state_dict(loaded, path)


def _state_dict(loaded: Any, path: Path) -> Weights:
    """Return the tensors by name in what was loaded, or in the part of it that has them."""
    if isinstance(loaded, Mapping):
        for nest in NESTS:
            if isinstance(loaded.get(nest), Mapping):
                return _state_dict(loaded[nest], path)
        weights = {name: value for name, value in loaded.items() if isinstance(name, str) and isinstance(value, Tensor)}
        if weights:
            return weights
    raise StepError(
        f"{path} holds no state dict", f"it is a mapping from names to tensors, or has one under {', '.join(NESTS)}"
    )


def matched(found: Weights, wanted: Collection[str], names: Names) -> tuple[Weights, Weights]:
    """Split a file's weights into those that the network wants, by its names, and the others.

    A file can be read in several ways: with its own names or those that `names` makes of them, each with or without
    the names of wrappers before them. The reading that has the most of the wanted names is taken. For example,
    `module.layer1.0.conv1.weight` is read as `blocks.0.conv1.weight` for a `preact_resnet18`.
    """
    readings = []
    for prefix in _prefixes(found):
        inner = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
        outer = {name: tensor for name, tensor in found.items() if not name.startswith(prefix)}
        readings += [inner | outer, renamed(inner, names) | outer]
    best = max(readings, key=lambda reading: sum(name in wanted for name in reading))
    split = {name: tensor for name, tensor in best.items() if name in wanted}
    return split, {name: tensor for name, tensor in best.items() if name not in wanted}


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return what can come before the network's own names, the shortest first."""
    found = {""}
    for name in names:
        parts = name.split(".")
        for i, part in enumerate(parts):
            if part not in WRAPPERS:
                break
            found.add(".".join(parts[: i + 1]) + ".")
    return sorted(found, key=len)


def renamed(weights: Weights, names: Names) -> Weights:
    """Rename weights to our names. `blocks.2+1` is block 1 of stage 2; our blocks are counted through all stages."""
    ours: Weights = {}
    for name, tensor in weights.items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)
        if name:
            ours[name] = tensor
    blocks = sorted({(int(i), int(j)) for i, j in re.findall(r"blocks\.(\d+)\+(\d+)\.", "\n".join(ours))})
    places = {f"blocks.{i}+{j}.": f"blocks.{place}." for place, (i, j) in enumerate(blocks)}
    return {re.sub(r"^blocks\.\d+\+\d+\.", lambda staged: places[staged[0]], name): t for name, t in ours.items()}


def _normalisation(name: str) -> str | None:
    """Return `mean` or `std` if an entry has a name like one of a normalisation layer."""
    return NORMALISATION.get(name.rpartition(".")[2])


def _normalised_alike(network: Network, others: Weights, path: Path) -> None:
    """Raise StepError if the file normalises images in another way than the network."""
    ours = {"mean": network.normalise.mean, "std": network.normalise.std}
    theirs = {kind: tensor for name, tensor in others.items() if (kind := _normalisation(name)) is not None}
    for kind, tensor in theirs.items():
        own, tensor = ours[kind].flatten(), tensor.flatten().float()
        if tensor.numel() not in (1, len(own)) or not torch.allclose(tensor, own, rtol=0, atol=CLOSE):
            wanted, used = _settings(theirs), _settings(ours)
            raise StepError(
                f"the weights in {path} normalise images with {wanted}, the model with {used}",
                f"write checkpoint(..., {wanted if len(theirs) == 2 else 'mean=[...], std=[...]'})",
            )


def _settings(normalisation: Weights) -> str:
    """Write a normalisation as in a specification: `mean=[0.5], std=[0.25]`."""
    numbers = {kind: tensor.flatten()[:4].tolist() for kind, tensor in sorted(normalisation.items())}
    return ", ".join(f"{kind}=[{', '.join(f'{value:.4g}' for value in of)}]" for kind, of in numbers.items())


def _differences(
    missing: Sequence[str], unexpected: Sequence[str], shapes: Sequence[str], weights: Weights, body: Weights
) -> Iterable[str]:
    """Say what does not fit; name the first few of each kind."""
    for names, what in ((missing, "missing"), (unexpected, "not in it")):
        if names:
            yield f"{len(names)} {what} ({_first(names)})"
    if shapes:
        sizes = [f"{name} {_shape(weights[name])} instead of {_shape(body[name])}" for name in shapes]
        yield f"{len(shapes)} of another shape ({_first(sizes)})"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _form_fits_names(found: Iterable[str], model: CatalogCall, path: Path) -> None:
    """Raise StepError if names are of code whose networks have another form than `model`."""
    for layout in ModelEntry.of(model).layouts:
        wrong = [f"{argument}={value}" for argument, value in layout.forms if model.get(argument, value) != value]
        if wrong and any(re.search(layout.pattern, name) for name in found):
            raise StepError(
                f"the weights in {path} have the names of {layout.whose}, whose form is another",
                f"write {model.name}(..., {', '.join(wrong)})",
            )


def _told(weights: Weights, model: CatalogCall) -> str:
    """Return a hint with the arguments of the model that the shapes of weights in a file tell, if they are others."""
    entry = ModelEntry.of(model)
    told = entry.told({name: tuple(tensor.shape) for name, tensor in weights.items()})
    others = [f"{name}={value(entry.args[name], of)}" for name, of in told.items() if model.get(name, of) != of]
    return f"they look like those of {model.name}({', '.join(others)})" if others else ""


def _hint(network: Network, weights: Weights, body: Weights, shapes: Sequence[str]) -> str:
    """Return a hint with the numbers of classes if only the last layer does not fit."""
    last = f"{network.head_name}.weight"
    if not shapes or {name.rpartition(".")[0] for name in shapes} != {network.head_name}:
        return ""
    theirs, ours = len(weights[last]), len(body[last])
    return f"they tell {theirs} classes apart, the data set has {ours}: use the data set that they were trained on"
