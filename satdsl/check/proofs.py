"""Check what a checkpoint has to prove: its logits for some images (`expect`), its clean accuracy (`clean`)."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from satdsl import npy_headers
from satdsl.check.collector import FindingCollector
from satdsl.check.named_files import file_digest
from satdsl.ir.experiment import Dataset
from satdsl.ir.steps import CatalogCall, Pretrained, Proof
from satdsl.npy_headers import ArrayHeader
from satdsl.sources import opened, resolve_path
from satdsl.syntax import tree
from satdsl.weight_files.matching import size

HOW = "np.save them: images of shape [n, c, h, w] in [0, 1], and the logits that the authors' own code gives for them"


def proof(call: tree.Call, choice: CatalogCall, base: Path, findings: FindingCollector) -> Proof | None:
    """Return what the network of a checkpoint has to prove, None for nothing; paths start from the folder `base`."""
    expect, clean = choice["expect"], choice["clean"]
    if expect is None and clean is None:
        return None
    share, within = clean if clean is not None else (None, None)
    if expect is None:
        return Proof(clean=share, within=within)
    at = _argument(call, "expect")
    paths = {name: Path(resolve_path(base, expect[name])) for name in ("images", "logits")}
    images, logits = (_header(at, path, findings) for path in paths.values())
    _shapes(at, images, logits, findings)
    digests = {name: file_digest(at, path, findings) for name, path in paths.items()}
    return Proof(digests["images"], digests["logits"], share, within, str(paths["images"]), str(paths["logits"]))


def proof_fits(node: tree.Node, model: CatalogCall, data: Dataset, findings: FindingCollector) -> None:
    """Check that the images and logits of a checkpoint's proof are of a network for this data set."""
    pretrained = model.get("file")
    if not isinstance(pretrained, Pretrained) or pretrained.proof is None or data.facts is None:
        return
    images, logits = pretrained.proof.images_path, pretrained.proof.logits_path
    if images is None or logits is None:
        return
    (_, *shape), (_, classes) = npy_headers.read(Path(images)).shape, npy_headers.read(Path(logits)).shape
    channels, wanted = data.facts.shape[0], len(data.facts.classes)
    name = Path(images).name
    if classes != wanted:
        findings.reject(
            "E523",
            node,
            f"the logits in `{Path(logits).name}` are of {classes} classes, the data set has {wanted}",
            "the proof is made with the network that is loaded, for its own classes",
            HOW,
        )
    last, first = shape[-1] == channels, shape[0] == channels
    if first == last and shape[0] != shape[-1]:
        findings.reject(
            "E523",
            node,
            f"the images in `{name}` are {size(shape)}, but the data set's have {channels} channel"
            f"{'s' * (channels > 1)}",
            help="give images of shape [n, c, h, w] or [n, h, w, c]",
        )
    if first and last:
        findings.reject(
            "E523",
            node,
            f"the images in `{name}` are {size(shape)}, so the channels could come first or last",
            help="give images of another width",
        )


def _shapes(at: tree.Node, images: ArrayHeader, logits: ArrayHeader, findings: FindingCollector) -> None:
    """Reject arrays that are no images, or no logits of so many images."""
    if len(images.shape) != 4 or not all(images.shape) or (images.kind, images.size) not in _PIXELS:
        what = f"`images` are {images.type} of shape {size(images.shape)}"
        _reject(at, what, "images are [n, c, h, w] or [n, h, w, c], as uint8 or as floats in [0, 1]", findings)
    if len(logits.shape) != 2 or logits.kind != "f":
        what = f"`logits` are {logits.type} of shape {size(logits.shape)}"
        _reject(at, what, "logits are floats of shape [n, classes]", findings)
    if images.shape[0] != logits.shape[0]:
        what = f"there are {images.shape[0]:,} images, but logits of {logits.shape[0]:,}"
        _reject(at, what, "each image has a row of logits, in the same order", findings)


_PIXELS = {("u", 1), ("f", 2), ("f", 4), ("f", 8)}


def _reject(at: tree.Node, message: str, reason: str, findings: FindingCollector) -> NoReturn:
    findings.reject("E523", at, message, reason, HOW)


def _header(at: tree.Node, path: Path, findings: FindingCollector) -> ArrayHeader:
    try:
        opened(path).close()  # a pipe would be waited for
        return npy_headers.read(path)
    except OSError as error:
        _reject(at, f"`{path}` cannot be read", error.strerror or str(error), findings)
    except ValueError as error:
        _reject(at, f"`{path}` is no array", str(error), findings)


def _argument(call: tree.Call, name: str) -> tree.Node:
    """Return where an argument of the call is written; the call itself if it is not written by name."""
    return next((one for one in call.arguments if one.name is not None and one.name.text == name), call)
