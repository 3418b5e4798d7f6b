"""Save a network as `weights.safetensors` and `model.json`, and load it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from satdsl.backend.artifact_files import atomic_write, read_json, write_json
from satdsl.backend.finite_numbers import require_finite_weights
from satdsl.backend.models import Network, build, check_head, new_head
from satdsl.backend.randomness import initial_weights
from satdsl.catalog import catalog
from satdsl.ir.steps import CatalogCall, document
from satdsl.ir.work import StepError


@dataclass(frozen=True)
class Description:
    """The contents of `model.json`: all that is needed to build the network again, except its weights.

    `shape` is that of the images that the network takes. `body_classes` is the number of classes that its body was
    built with. A transfer sets `head`, and `repeat`, the number of copies of a grey channel.
    """

    model: CatalogCall
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    body_classes: int
    head: CatalogCall | None = None
    repeat: int = 1

    def for_images(self, shape: tuple[int, int, int]) -> Description | None:
        """Return the same network for images of this shape, repeating a grey channel; None if it cannot take them."""
        repeat = self.repeat_for(shape[0])
        return None if repeat is None or shape[1:] != self.shape[1:] else replace(self, shape=shape, repeat=repeat)

    def repeat_for(self, channels: int) -> int | None:
        """Return how often the network must copy the channels of such images; None if it cannot take them."""
        taken = len(self.mean)
        return taken // channels if channels in (1, taken) else None

    @property
    def stored(self) -> dict[str, Any]:
        """Return it as JSON data; of a plug-in's network with the code that builds it."""
        whole = {name: document(value) for name, value in vars(self).items()}
        return whole | {"model": self.model.stored}

    def transferred(self, classes: tuple[str, ...], shape: tuple[int, int, int], head: CatalogCall) -> Description:
        """Return the network after a transfer. A grey image is repeated for a network that takes colour."""
        repeat = self.repeat_for(shape[0])
        if repeat is None:
            raise StepError(f"the network takes images of {len(self.mean)} channels, the data set has {shape[0]}")
        return replace(self, classes=classes, shape=shape, head=head, repeat=repeat)

    def build(self) -> Network:
        """Build the network; its weights are drawn from the global random state."""
        return build(
            self.model,
            self.shape,
            len(self.classes),
            self.mean,
            self.std,
            body_classes=self.body_classes,
            head=self.head,
            repeat=self.repeat,
        )


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write a state dict as safetensors. Equal tensors give equal bytes; what two names share is written twice."""
    plain: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in weights.items():
        stored = tensor.detach().cpu().contiguous()
        place = stored.untyped_storage().data_ptr()
        plain[name] = stored.clone() if place in seen else stored
        seen.add(place)
    with atomic_write(path) as aside:
        save_file(plain, aside)


def save(folder: Path, description: Description, weights: dict[str, Tensor]) -> None:
    """Write `weights.safetensors` and `model.json` into `folder`.

    Raises:
        StepError: A weight is NaN or infinite.
    """
    require_finite_weights(weights, "the network", "give weights that are whole, or train them again")
    save_weights(folder / "weights.safetensors", weights)
    write_json(folder / "model.json", description.stored)


def describe(folder: Path) -> Description:
    """Read `model.json` in `folder`."""
    stored = read_json(folder / "model.json")
    return Description(
        model=catalog().stored_call(stored["model"]),
        classes=tuple(stored["classes"]),
        shape=tuple(stored["shape"]),
        mean=tuple(stored["mean"]),
        std=tuple(stored["std"]),
        body_classes=stored["body_classes"],
        head=None if stored["head"] is None else catalog().stored_call(stored["head"]),
        repeat=stored["repeat"],
    )


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict.

    Raises:
        StepError: The file is no safetensors file.
    """
    try:
        weights: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        reason = f"{path} holds no weights ({error})"
        raise StepError(reason, "satdsl did not write this artifact: delete its folder, and run again") from None
    return weights


def load_finite(path: Path) -> dict[str, Tensor]:
    """Read the state dict that a training left; raise StepError also where a weight is NaN or infinite."""
    stored = load_weights(path)
    help = "the training that left them diverged: delete its artifact, and train with a lower learning rate"
    require_finite_weights(stored, str(path), help)
    return stored


def file_after(epochs: int | None) -> str:
    """Return the name of the file of the weights kept after so many epochs; None stands for those a training leaves."""
    return "weights.safetensors" if epochs is None else f"weights-epoch-{epochs}.safetensors"


def stored(folder: Path, epochs: int | None = None) -> dict[str, Tensor]:
    """Read the state dict that a training left in `folder`, or kept after so many epochs.

    Raises:
        StepError: It is not there, or a weight in it is NaN or infinite.
    """
    path = folder / file_after(epochs)
    if not path.exists():
        reason = f"{path} is not there: the training that left this folder kept no weights after epoch {epochs}"
        raise StepError(reason, "delete its artifact, and run again")
    return load_finite(path)


def with_new_head(folder: Path, description: Description, seed: int, epochs: int | None) -> Network:
    """Load the network in `folder` under a new last layer, as `description` has it, to be trained.

    `epochs` as for `load`.

    Raises:
        StepError: It does not end in a single layer that could be replaced.
    """
    network = load(folder, epochs=epochs).train()
    check_head(network, description.model)
    assert description.head is not None
    with initial_weights(seed):
        network.replace_head(new_head(description.head, network.feature_width, len(description.classes)))
    network.repeat = description.repeat
    return network


def load(folder: Path, device: str = "cpu", epochs: int | None = None) -> Network:
    """Load the network that a training or transfer left in `folder`, in evaluation mode.

    `epochs` is the number after which its weights were kept; None stands for the weights that the training chose.
    """
    with initial_weights(0):
        network = describe(folder).build()
    network.load_state_dict(stored(folder, epochs))
    return network.to(device).to(memory_format=torch.channels_last).eval()
