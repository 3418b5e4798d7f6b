"""Prove that a network with weights from a file does what its authors say: give their logits, have their accuracy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from satdsl.backend import other_forms
from satdsl.backend.architectures import Network
from satdsl.backend.artifact_files import sha256
from satdsl.backend.images import EVALUATION_BATCH, Images
from satdsl.backend.inference import full_precision, in_evaluation_mode, logits
from satdsl.ir.steps import CatalogCall, Proof
from satdsl.ir.work import StepError

TOLERANCE = 1e-3
"""Logits may differ by this share of the largest one expected (of 1, if all are smaller): in float32 another order of
additions changes the fifth digit."""

FEW = 4
"""So many images tell that a form is another one."""

MANY = 200
"""So many images tell that an accuracy is another one."""

SETTINGS = (
    "the architecture's settings (`satdsl catalog` names them: shortcut, activation, stem, pool, bn_eps), `mean` and "
    "`std`, or the order of the colour channels are not those that the network was trained with"
)


def prove(network: Network, model: CatalogCall, proof: Proof, val: Images, device: str) -> dict[str, Any]:
    """Compare what `network`, of architecture `model`, does with `proof`, in float32 and evaluation mode.

    Returns what was found.

    Raises:
        StepError: It does something else, or a file of the proof is not what it was or cannot be used.
    """
    found: dict[str, Any] = {}
    with in_evaluation_mode(network), full_precision():
        if proof.images_path is not None and proof.logits_path is not None:
            found |= _prove_logits(network, model, proof, val, device)
        if proof.clean is not None:
            found |= _prove_accuracy(network, model, proof.clean, proof.within or 0.0, val, device)
    return found


def _prove_logits(network: Network, model: CatalogCall, proof: Proof, val: Images, device: str) -> dict[str, Any]:
    images = _images(_array(proof.images_path, proof.images), val.pixels.shape[1], str(proof.images_path))
    expected = torch.from_numpy(_array(proof.logits_path, proof.logits).astype(np.float32))
    if not torch.isfinite(expected).all():
        raise StepError(f"the logits in {proof.logits_path} are not all finite", "save them again")
    given = _given(network, images, device)
    if given.shape != expected.shape:
        raise StepError(
            f"the network gives logits of shape {_size(given)}, those in {proof.logits_path} are {_size(expected)}",
            "give the logits of these images, one for each class",
        )
    scale = max(1.0, float(expected.abs().max()))
    difference = (given - expected).abs()
    largest = float(difference.max())
    same = int((given.argmax(1) == expected.argmax(1)).sum())
    if not largest <= TOLERANCE * scale:
        image, klass = divmod(int(difference.nan_to_num(torch.inf).argmax()), expected.shape[1])
        raise StepError(
            f"the network does not give the logits in {proof.logits_path}: they differ by up to {largest:.4g} "
            f"(image {image}, class {klass}: {given[image, klass]:.4g} instead of {expected[image, klass]:.4g}; "
            f"{TOLERANCE * scale:.2g} is allowed), and {same} of {len(expected)} images are given the same class",
            _cause(network, model, images, expected, largest / scale, same, device),
        )
    return {"images": len(expected), "largest_difference": largest, "same_class": same}


def _cause(
    network: Network,
    model: CatalogCall,
    images: Tensor,
    expected: Tensor,
    relative: float,
    same: int,
    device: str,
) -> str:
    """Return what may be the reason that the logits differ, after trying what is often confused."""

    def agree(theirs: Tensor) -> bool:
        return bool((theirs - expected).abs().max() <= TOLERANCE * max(1.0, float(expected.abs().max())))

    if bool((expected >= 0).all()) and bool(((expected.sum(1) - 1).abs() < 1e-3).all()):
        return "they are probabilities: save the network's outputs before the softmax"
    if bool((expected <= 1e-6).all()) and bool((expected.logsumexp(1).abs() < 1e-3).all()):
        return "they are logarithms of probabilities: save the network's outputs before the softmax"
    if images.shape[1] == 3 and agree(_given(network, images.flip(1), device)):
        return "they agree if red and blue are exchanged: the network, or the file of images, has the channels as BGR"
    if _agrees_in_training_mode(network, images, agree, device):
        return "they agree in training mode: call model.eval() before you save the logits"
    form = _form(network, model, images, expected, agree, device)
    if form:
        return f"they agree with {form}: write it if the authors' code has it, too"
    if relative < 5 * TOLERANCE and same == len(expected):
        return (
            "they are close: the logits may have been made in a lower precision (TF32, fp16, autocast; make them in "
            "float32, with torch.backends.cudnn.allow_tf32 = False), or `bn_eps`, `mean` or `std` is slightly another"
        )
    return SETTINGS


def _form(
    network: Network,
    model: CatalogCall,
    images: Tensor,
    expected: Tensor,
    agree: Callable[[Tensor], bool],
    device: str,
) -> str:
    """Return the form of the network with which the logits agree: first those of a few images, then those of all."""
    limit = TOLERANCE * max(1.0, float(expected.abs().max()))

    def agrees(other: nn.Module) -> bool:
        near = (_given(other, images[:FEW], device) - expected[:FEW]).abs().max() <= limit
        return bool(near) and agree(_given(other, images, device))

    return other_forms.agreeing(network, model, images.shape[1:], expected.shape[1], agrees)


def _agrees_in_training_mode(network: Network, images: Tensor, agree: Callable[[Tensor], bool], device: str) -> bool:
    """Return whether the logits are those with batch norm's statistics of these images; the network stays as it is."""
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    norms = [part for part in network.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    if not norms or not 1 < len(images) <= EVALUATION_BATCH:
        return False
    for norm in norms:
        norm.training = True
    try:
        with torch.no_grad():
            return agree(network(images.to(device)).float().cpu())
    finally:
        for norm in norms:
            norm.training = False
        network.load_state_dict(before)


def _prove_accuracy(
    network: Network, model: CatalogCall, clean: float, within: float, val: Images, device: str
) -> dict[str, Any]:
    outputs = logits(network, val, device)
    right = int((outputs.argmax(1).cpu() == val.labels.cpu()).sum())
    accuracy = right / len(val)
    if abs(accuracy - clean) > within + 1e-9:
        few = val.at(torch.linspace(0, len(val) - 1, min(MANY, len(val))).round().long())

        def agrees(other: nn.Module) -> bool:
            """Whether the accuracy on some images may be right, and then that on all is."""
            near = abs(_accuracy(other, few, device) - clean) <= within + _spread(clean, len(few))
            return near and abs(_accuracy(other, val, device) - clean) <= within

        form = other_forms.agreeing(network, model, val.pixels.shape[1:], outputs.shape[1], agrees)
        spread = _spread(clean, len(val))
        chance = f"; {len(val):,} images alone leave ± {spread:.1%}" if spread > within else ""
        raise StepError(
            f"the network is right on {accuracy:.2%} of the {len(val):,} validation images ({right:,}), but its "
            f"`clean` is {clean:.2%} ± {within:.2%}{chance}",
            f"it is with {form}: write it if the authors' code has it, too"
            if form
            else f"{SETTINGS}; or the data set, its size of images or its order of classes is another one",
        )
    return {"clean": accuracy, "validation_images": len(val)}


def _accuracy(network: nn.Module, images: Images, device: str) -> float:
    return float((logits(network, images, device).argmax(1).cpu() == images.labels.cpu()).float().mean())


def _spread(share: float, n: int) -> float:
    """Return how far a share of n images is from what is expected, in 19 of 20 cases."""
    return float(1.96 * (share * (1 - share) / n) ** 0.5)


def _given(network: nn.Module, images: Tensor, device: str) -> Tensor:
    try:
        with torch.inference_mode():
            return torch.cat([network(part.to(device)).float().cpu() for part in torch.split(images, EVALUATION_BATCH)])
    except RuntimeError as error:
        raise StepError(
            f"the network cannot take the images of its proof, of shape {_size(images)}: {str(error).splitlines()[0]}",
            "give images of the size that the network is made for",
        ) from error


def _array(path: str | None, digest: str | None) -> np.ndarray:
    assert path is not None
    if not Path(path).is_file():
        raise StepError(f"the file {path} is not there")
    if sha256(Path(path)) != digest:
        raise StepError(f"{path} changed since the specification was compiled", "run again to compile it as it is now")
    try:
        found: np.ndarray = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise StepError(f"{path} cannot be read as an array: {error}") from error
    return found


def _images(found: np.ndarray, channels: int, path: str) -> Tensor:
    """Return images as float32 [n, c, h, w] in [0, 1]."""
    if found.shape[1] != channels and found.shape[-1] == channels:
        found = np.moveaxis(found, -1, 1)
    images = torch.from_numpy(np.ascontiguousarray(found))
    if images.dtype == torch.uint8:
        return images.float() / 255
    images = images.float()
    least, most = float(images.min()), float(images.max())
    if not (least >= 0 and most <= 1):
        raise StepError(
            f"the images in {path} reach from {least:.4g} to {most:.4g}, and not from 0 to 1",
            "save them before they are normalised: as bytes (uint8), or as floats in [0, 1]",
        )
    return images


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
