"""Perform the `evaluate` step: measure on each image whether a network is right, and which attack breaks it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from satdsl.artifacts.outcomes import outcomes
from satdsl.artifacts.schemas import ROWS, SIZES, SPLIT, VALUES
from satdsl.backend import datasets, weights
from satdsl.backend.adversarial_examples import spaced
from satdsl.backend.artifact_files import read_json, read_table, write_arrays, write_json, write_table
from satdsl.backend.evaluation_warnings import counted, reliability
from satdsl.backend.gathering import COUNTS, gather
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import DataSet, Images
from satdsl.backend.measure import measure
from satdsl.backend.models import Network
from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.score import numbers
from satdsl.catalog.measures import MeasureEntry
from satdsl.ir import blocks
from satdsl.ir.steps import BLOCK, CatalogCall, Evaluate, Step
from satdsl.ir.work import Progress, StepError, Work


def perform(step: Step, work: Work) -> None:
    """Write `rows.parquet` (one row per image, index ascending), `facts.json` and, under attack, `examples.npz`.

    An evaluation that is divided is put together from its blocks. A block has the same files, of its images alone: what
    it finds depends on these, and not on other blocks.
    """
    settings = step.settings
    assert isinstance(settings, Evaluate)
    if step.blocks:
        gather([work.inputs[f"{BLOCK}{number}"] for number in range(len(step.blocks))], work)
        return
    data = datasets.input_dataset(work)
    images = asked_images(data, settings, work)
    network = network_for(data, work.inputs["weights"], settings.epoch, work.device)
    if settings.own is not None:
        write_values(settings.own, network, images, work)
        return
    source = None
    if "source" in work.inputs:
        source = network_for(data, work.inputs["source"], settings.source_epoch, work.device)
    shown, sizes = spaced(len(images)), np.bincount(images.labels.numpy(), minlength=len(data.classes)).tolist()
    if settings.block is not None:
        members = np.array(blocks.members(images.labels.tolist(), images.index.tolist(), settings.block), np.int64)
        images, shown = images.at(torch.from_numpy(members)), np.flatnonzero(np.isin(members, shown))
    rows = measure(
        network,
        images,
        settings.attack,
        classes=len(data.classes),
        device=work.device,
        scratch=work.scratch,
        report=work.report,
        source=source,
        shown=shown,
    )
    labels = images.labels.numpy()
    columns = {
        "index": images.index.numpy(),
        "label": labels,
        "correct": rows.correct,
        "broken_by": rows.broken_by,
        "outcome": outcomes(rows.broken_by, rows.attacks),
    }
    optional = {"predicted": rows.predicted, "attacked": rows.attacked, "distance": rows.distance}
    columns |= {name: values for name, values in optional.items() if values is not None}
    write_table(work.out, ROWS, columns, attacks=list(rows.attacks))
    if rows.examples is not None:
        write_arrays(work.out / "examples.npz", rows.examples.arrays(images))
    counts = counted(network, images, rows, work.device, source)
    facts = {"attacks": list(rows.attacks), "clean": rows.clean, "accuracy": rows.accuracy, "n": len(images)}
    facts |= reliability(
        counts, labels, rows.broken_by, rows.attacks, data.classes, rows.distance, elsewhere=source is not None
    )
    facts |= {} if settings.block is None else {COUNTS: counts.document, SIZES: sizes}
    write_json(work.out / "facts.json", facts)
    work.report(Progress(1, 1, f"{rows.accuracy:.1%} of {len(images)} images"))


def asked_images(data: DataSet, settings: Evaluate, work: Work) -> Images:
    """Return the images that an evaluation is of, all of its blocks together.

    Raises:
        StepError: There is none, or a part of the validation images is asked for that does not exist.
    """
    parts = split_holdout(data, settings.holdout)
    images = parts.val if settings.part == "val" else parts.train
    if settings.subsets is not None:
        images = restrict_to_subsets(images, settings.part, work.inputs["split"], settings.subsets)
    if not len(images):
        raise StepError(f"there is no image in {settings.part} to measure on")
    return images


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
