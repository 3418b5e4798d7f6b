"""Perform the `evaluate` step: measure on each image whether a network is right, and which attack breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from satdsl.artifacts.outcomes import outcomes
from satdsl.artifacts.schemas import ROWS, SPLIT, VALUES
from satdsl.backend import datasets, weights
from satdsl.backend.artifact_files import read_json, read_table, write_arrays, write_json, write_table
from satdsl.backend.gradient_masking import (
    broken_gradient_warnings,
    gradient_shares,
    square_warnings,
    zero_gradient_warnings,
)
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import DataSet, Images
from satdsl.backend.measure import Rows, measure
from satdsl.backend.models import Network
from satdsl.backend.nearest_images import not_found_warnings
from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.score import numbers
from satdsl.catalog.measures import MeasureEntry
from satdsl.ir.steps import CatalogCall, Evaluate, Step
from satdsl.ir.work import Progress, StepError, Work

FEWEST_IMAGES = 10
"""Of fewer images all may well be taken for the same class."""


def perform(step: Step, work: Work) -> None:
    """Write `rows.parquet` (one row per image, index ascending), `facts.json` and, under attack, `examples.npz`."""
    settings = step.settings
    assert isinstance(settings, Evaluate)
    data = datasets.input_dataset(work)
    parts = split_holdout(data, settings.holdout)
    images = parts.val if settings.part == "val" else parts.train
    if settings.subsets is not None:
        images = restrict_to_subsets(images, settings.part, work.inputs["split"], settings.subsets)
    if not len(images):
        raise StepError(f"there is no image in {settings.part} to measure on")
    network = network_for(data, work.inputs["weights"], settings.epoch, work.device)
    if settings.own is not None:
        write_values(settings.own, network, images, work)
        return
    source = None
    if "source" in work.inputs:
        source = network_for(data, work.inputs["source"], settings.source_epoch, work.device)
    rows = measure(
        network,
        images,
        settings.attack,
        classes=len(data.classes),
        device=work.device,
        scratch=work.scratch,
        report=work.report,
        source=source,
    )
    columns = {
        "index": images.index.numpy(),
        "label": images.labels.numpy(),
        "correct": rows.correct,
        "broken_by": rows.broken_by,
        "outcome": outcomes(rows.broken_by, rows.attacks),
    }
    if rows.distance is not None:
        columns["distance"] = rows.distance
    write_table(work.out, ROWS, columns, attacks=list(rows.attacks))
    if rows.examples is not None:
        write_arrays(work.out / "examples.npz", rows.examples.arrays(images))
    facts = {"attacks": list(rows.attacks), "clean": rows.clean, "accuracy": rows.accuracy, "n": len(images)}
    facts |= reliability(network, images, rows, work.device, data.classes, source)
    write_json(work.out / "facts.json", facts)
    work.report(Progress(1, 1, f"{rows.accuracy:.1%} of {len(images)} images"))


def write_values(own: CatalogCall, network: Network, images: Images, work: Work) -> None:
    """Write `values.parquet`: what a function of the user's own says of each image; and `facts.json`."""

    def passed(done: int) -> None:
        work.report(Progress(done, len(images), f"{own.name}: image {done}"))

    plugin, share = Plugin.of(own), MeasureEntry.of(own).share
    values = numbers(plugin, network, images, work.device, passed, "measure")
    if share and not bool(((values == 0) | (values == 1)).all()):
        raise plugin.wrong(
            "returns numbers other than 0 and 1, and its mark says that it measures a share of the images",
            "return truth values, or leave `share=True` out",
        )
    columns = {"index": images.index.numpy(), "label": images.labels.numpy(), "value": values.cpu().numpy()}
    write_table(work.out, VALUES, columns)
    mean = float(values.mean())
    write_json(
        work.out / "facts.json", {"measure": own.name, "mean": mean, "attacks": [], "n": len(images), "warnings": []}
    )
    work.report(Progress(1, 1, f"{f'{mean:.1%}' if share else f'{mean:.4g}'} of {len(images)} images"))


def network_for(data: DataSet, folder: Path, epoch: int | None, device: str) -> Network:
    """Load the network that a training or transfer left in `folder`, or kept after an epoch, for images of `data`.

    Raises:
        StepError: It takes other images, or tells other classes apart.
    """
    description = weights.describe(folder)
    shown = description.for_images(data.shape)
    if shown is None or len(description.classes) != len(data.classes):
        raise StepError(
            f"the network takes {_shape(description.shape)} images of {len(description.classes)} classes, "
            f"the data set has {_shape(data.shape)} and {len(data.classes)}",
            "give the data set a resize, or transfer the network to it first",
        )
    network = weights.load(folder, device, epoch)
    network.repeat = shown.repeat
    return network


def reliability(
    network: Network, images: Images, rows: Rows, device: str, classes: Sequence[str], source: Network | None = None
) -> dict[str, Any]:
    """What speaks against the numbers: `warnings`, and under attack the share of `zero_gradients`.

    The gradients are those of the network that was attacked: of `source`, where the images were made on another.
    """
    collapsed = one_class_warnings(images.labels.cpu().numpy(), rows.predicted, classes)
    if not rows.attacks:
        return {"warnings": collapsed}
    attacked = images.at(torch.from_numpy(np.flatnonzero(rows.broken_by != 0)))
    share, broken = gradient_shares(network if source is None else source, attacked, device)
    warnings = [
        *broken_gradient_warnings(broken),
        *zero_gradient_warnings(share),
        *square_warnings(rows.broken_by, rows.attacks),
        *not_found_warnings(rows.distance, ", ".join(rows.attacks)),
        *rows.warnings,
    ]
    if source is not None:
        warnings = [f"of the network that the images were made on: {text}" for text in warnings]
    return {"zero_gradients": share, "warnings": [*collapsed, *warnings]}


def one_class_warnings(labels: np.ndarray, predicted: np.ndarray | None, classes: Sequence[str]) -> list[str]:
    """Return a warning if a network names one class for all of many images (labels and predictions int64 [n])."""
    if predicted is None or len(labels) < FEWEST_IMAGES or len(np.unique(labels)) == 1:
        return []
    if (predicted != predicted[0]).any():
        return []
    return [
        f"the network predicts one class, {classes[int(predicted[0])]}, for all {len(labels):,} images: its accuracy, "
        "with or without attack, is the share of that class and no more; if it was trained here, look at its curves, "
        "and train with a lower learning rate, or longer; if its weights were given, at its architecture and its "
        "normalisation"
    ]


def restrict_to_subsets(images: Images, part: str, split: Path, subsets: tuple[int, ...]) -> Images:
    """Select the training images in these subsets, or the validation images of the classes that make up the subsets.

    Raises:
        StepError: Validation images are asked for, and the subsets do not consist of whole classes.
    """
    if part == "train":
        table = read_table(split, SPLIT)
        wanted = table["index"][np.isin(table["subset"], subsets)]
        return images.at(torch.from_numpy(np.isin(images.index.numpy(), wanted)))
    of_subset = read_json(split / "facts.json")["classes"]
    if any(of_subset[i] is None for i in subsets):
        raise StepError(
            "a split whose subsets are not whole classes does not divide the validation images",
            "measure on all of val",
        )
    classes = [klass for i in subsets for klass in of_subset[i]]
    return images.at(torch.from_numpy(np.isin(images.labels.numpy(), classes)))


def _shape(shape: tuple[int, int, int]) -> str:
    return "x".join(str(side) for side in shape)
