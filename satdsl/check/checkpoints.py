"""Check weights that were made before: `checkpoint(...)`, `start from`, and recipes of 0 epochs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from satdsl.catalog.heads import HeadEntry
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.models.likely import form_fits_names, with_way_out
from satdsl.check import proofs
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.fixes import argument
from satdsl.check.named_files import file_digest, unreadable
from satdsl.hints import Hint, write
from satdsl.ir.experiment import Dataset, DatasetFacts
from satdsl.ir.steps import CatalogCall, Pretrained
from satdsl.records import Record, record
from satdsl.sources import opened, resolve_path
from satdsl.syntax import tree
from satdsl.weight_files.matching import Misfit, Shapes, Wanted, match, normalised_alike
from satdsl.weight_files.problem import WeightsProblem


def checkpoint(call: tree.Call, choice: CatalogCall, base: Path, findings: FindingCollector) -> CatalogCall:
    """Return the settings with the present file in the place of its name, which is relative to the folder `base`."""
    if ModelEntry.of(choice["arch"]).from_file:
        findings.reject(
            "E512",
            call,
            "a checkpoint is not an architecture",
            "`arch` says what network the weights in the file belong to",
            "write `arch=wide_resnet(depth=28, width=10)`, or another architecture",
        )
    missing = [name for name in ("mean", "std") if choice[name] is None]
    if len(missing) == 1:
        findings.reject(
            "E512",
            call,
            f"a normalisation needs a mean and a std, but `{missing[0]}` is missing here",
            help="give both, or neither to take the data set's",
        )
    proof = proofs.proof(call, choice, base, findings)
    pretrained = replace(_pretrained(call, choice["file"], base, findings), entry=choice["entry"], proof=proof)
    return replace(choice, args=tuple((name, pretrained if name == "file" else value) for name, value in choice.args))


def _pretrained(call: tree.Call, name: str, base: Path, findings: FindingCollector) -> Pretrained:
    path = Path(resolve_path(base, name))
    from satdsl.weight_files.contents import networks

    try:
        if os.path.exists(path):
            opened(path).close()  # a pipe would be waited for
        networks(path)
        return Pretrained(file_digest(call, path, findings), str(path))
    except WeightsProblem as problem:
        findings.reject(problem.code, call, f"`{path}` {problem.message}", problem.reason, problem.help)
    except (OSError, ValueError) as error:
        unreadable(call, path, error, findings)


def weights_fit(
    node: tree.Node, call: tree.Call | None, model: CatalogCall, data: Dataset, findings: FindingCollector
) -> Pretrained | None:
    """Check that a checkpoint's weights are those of its architecture, for the channels and classes of the data set.

    Return the file, with a note on what is taken from it; None where there is no file.

    `call` is the checkpoint's, where it is known. If a library does not say what its architecture needs, that is
    compared when the step begins.
    """
    pretrained = model.get("file")
    if not isinstance(pretrained, Pretrained):
        return None
    if data.facts is None:
        return pretrained
    arch, facts = model["arch"], data.facts
    entry = ModelEntry.of(arch)
    needed = _needed(entry, arch, facts)
    if needed is None:
        return pretrained
    from satdsl.weight_files.contents import networks

    shapes, head = needed
    path = Path(pretrained.path)
    try:
        form_fits_names((name for weights in networks(path).values() for name in weights), arch)
        found = match(networks(path), Wanted(shapes, entry.names, head), pretrained.entry)
        normalised_alike(found, model["mean"] or facts.mean, model["std"] or facts.std)
        return replace(pretrained, note=found.note)
    except WeightsProblem as problem:
        told = with_way_out(problem, arch)
        findings.reject(told.code, node, f"`{path.name}` {told.message}", told.reason, _architecture(told, call))
    except OSError as error:
        findings.reject("E306", node, f"`{path}` cannot be read", error.strerror or str(error))


def _needed(entry: ModelEntry, arch: CatalogCall, facts: DatasetFacts) -> tuple[Shapes, str | None] | None:
    """Return the shape of each weight that an architecture needs, and the name of its last layer, if that is known."""
    if entry.outline is not None:
        return entry.outline(arch, facts.shape[0], len(facts.classes)), "fc"
    from satdsl.check.library_networks import library_network

    return library_network(arch, facts)


def _architecture(problem: WeightsProblem, call: tree.Call | None) -> str | Hint:
    """Return the help of a problem, with the fix that writes the architecture that the weights are of."""
    if not isinstance(problem, Misfit) or not problem.meant or call is None:
        return problem.help
    node = argument(call, "arch", 1)
    return write(node.span, problem.meant, problem.help) if isinstance(node, tree.Call | tree.Name) else problem.help


def weights_come_from_one_place(
    node: tree.Train, start: tree.StartLine | None, model: CatalogCall, findings: FindingCollector
) -> None:
    """Reject weights that are to come from a file and from another training as well."""
    if start is not None and ModelEntry.of(model).from_file:
        findings.reject(
            "E512",
            start,
            f"`{node.model.span.text}` has weights already",
            "a training begins with the weights of a checkpoint or with those of another training",
            f"leave this line out, or train the architecture of `{node.model.span.text}`",
        )


@record
class Weights(Record):
    """What a network's weights are shaped by. `head` is None for the layer that the architecture ends in."""

    model: CatalogCall
    channels: int
    classes: int
    head: CatalogCall | None = None


def start_fits(line: tree.StartLine, started: Weights, wanted: Weights, findings: FindingCollector) -> None:
    """Check that weights to start from belong to the same network."""
    name = f"`{line.model.span.text}`"
    head, models = started.head, (started.model, wanted.model)
    # A library may have the same network under a name of its own.
    same_network = models[0] == models[1] or any(ModelEntry.of(model).library for model in models)
    if head is not None and not HeadEntry.of(head).plain:
        problem = f"{name} ends in a head of another kind: `{head.name}`"
    elif not same_network:
        problem = f"{name} has another architecture: `{_written(*models)}`, not `{_written(*models[::-1])}`"
    elif started.classes != wanted.classes:
        problem = f"{name} has {started.classes} classes, but this data set has {wanted.classes}"
    elif started.channels != wanted.channels:
        problem = f"{name} takes images of {_channels(started)}, this data set's have {_channels(wanted)}"
    else:
        return
    findings.reject(
        "E515",
        line,
        problem,
        "every weight of the one network is a weight of the other",
        "start from the same model on as many classes, or `transfer` to this data set",
    )


def _channels(weights: Weights) -> str:
    return f"{weights.channels} channel{'s' * (weights.channels > 1)}"


def _written(model: CatalogCall, other: CatalogCall) -> str:
    """Return a model with what sets it apart from the other: of two of one kind only what differs."""
    than = dict(other.args) if other.name == model.name else model.defaults
    shown = ", ".join(f"{name}={value}" for name, value in model.args if value != than.get(name))
    return f"{model.name}({shown})"


def normalisation_fits(node: tree.Node, model: CatalogCall, data: Dataset, findings: FindingCollector) -> None:
    """Check that there are as many means and standard deviations as channels."""
    channels = data.facts.shape[0] if data.facts is not None else 0
    for name in ("mean", "std"):
        given = model.get(name)
        if given is not None and channels and len(given) != channels:
            findings.reject(
                "E506",
                node,
                f"the checkpoint's `{name}` has {len(given)} value{'s' * (len(given) != 1)}, "
                f"the images have {channels} channel{'s' * (channels > 1)}",
                "there is one for each channel",
                "correct it, or leave `mean` and `std` out to take the data set's",
            )


def nothing_is_trained(
    node: tree.Train, epochs: int, has_weights: bool, lines: Iterable[tree.Node], findings: FindingCollector
) -> None:
    """Check a recipe of 0 epochs: it needs weights that are there, and nothing can happen in its epochs."""
    if epochs:
        return
    if not has_weights:
        findings.error(
            "E513",
            node.recipe,
            f"`{node.recipe.span.text}` trains for 0 epochs, so the weights would be random",
            "0 epochs leave given weights as they are",
            "train at least one epoch, or give weights: `model m = checkpoint(...)`, or `start from` a training",
        )
    found = list(lines)
    for line in found:
        findings.error(
            "E513",
            line,
            "this never happens in a training of 0 epochs",
            "its weights stay as they are given",
            "leave this line out, or train at least one epoch",
        )
    if found or not has_weights:
        raise Rejected


def head_is_random(recipe: tree.Node, transfer: str, findings: FindingCollector) -> NoReturn:
    """Refuse a network that is to be used although nothing has trained the head that a transfer gave it.

    As the start of a training it is fine: fine-tuning a whole network begins with a new head.
    """
    findings.reject(
        "E513",
        recipe,
        f"`{recipe.span.text}` trains for 0 epochs, so the new head of `{transfer}` would be random",
        "a head of 0 epochs is of use only where a training starts from it",
        f"train at least one epoch, or train the whole network: `train ... {{ start from {transfer} }}`",
    )


def selected_elsewhere(source: tree.Node, findings: FindingCollector) -> NoReturn:
    """Refuse a selection by the images that were made on another network."""
    findings.reject(
        "E722",
        source,
        "checkpoints are selected by attacks on the network that is trained",
        "accuracy on images that were made on another network says little of its own robustness",
        "leave `made on` out here, and measure it in an `evaluate` block",
    )
