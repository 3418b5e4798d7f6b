"""Every way to train is run on a stand-in for a GPU: all that it computes with is there, and no batch waits for it.

An epoch may wait now and then, when it begins and when it ends. So the same images are trained on in two batches and in
three, and whatever waits in the second epoch must have waited as often in the first. What can be trained with is taken
from the registries: a new entry is tried as soon as its file is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from satdsl.backend import datasets
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.epoch import epoch
from satdsl.backend.images import DataSet
from satdsl.backend.optimisation import Optimisation
from satdsl.backend.randomness import Stream, generator, layer_randomness
from satdsl.backend.recipes import Recipe
from satdsl.backend.subset_assignment import assign_subsets
from satdsl.backend.teachers import Teachers
from satdsl.backend.train import train_epoch, untrained
from satdsl.backend.weights import Description
from satdsl.catalog import Argument, Entry, catalog
from satdsl.catalog.attacks import AttackEntry
from satdsl.compile import compile_file
from satdsl.ir.steps import Data, Train
from tests.entries import of_entry, written

from .stand_in_gpu import PUBLISHED, Event, StandIn, stand_in_gpu

IMAGES = 12
SPECIFICATION = """sat 1
dataset d = synthetic(classes=4, shape=[3, 8, 8], train={images}, val=8{augment})
model   m = small_cnn(width=2)
attack  a = {attack}
attack  b = fgsm(norm=Linf, eps=0.1, random_start=ball)
recipe  q = sgd(epochs=1, batch=8, lr=0.01)
recipe  r = {recipe}
train   other = m on d using q
train   t = m on d using r {{ {attacked}; {line} }}
evaluate t {{ v = clean accuracy on val }}
"""
PGD = "pgd(norm=Linf, eps=0.1, steps=2, step_size=0.1)"


@pytest.fixture(scope="module")
def gpu() -> Iterator[StandIn]:
    with stand_in_gpu() as device:
        yield device


def recipe(changed: str = "", entry: str = "sgd") -> str:
    return f"{entry}(epochs=3, batch=8, lr=0.01{changed and ', ' + changed})"


def specification(**parts: str) -> str:
    usual = {"attack": PGD, "attacked": "attack all with a", "line": "loss all = cross_entropy", "recipe": recipe()}
    return SPECIFICATION.format(**(usual | {"augment": "", "images": str(IMAGES)} | parts))


def choices(entry: Entry) -> Iterator[tuple[Argument, str]]:
    """Each word that an argument of an entry may be, beside its default."""
    for arg in entry.args.values():
        yield from ((arg, choice) for choice in arg.choices if choice != arg.default)


def of_attack(entry: AttackEntry) -> Iterator[tuple[str, str]]:
    """An attack with the arguments that it needs, and with each other word that an argument may be."""
    needed = {"step_size": "0.1"} if "step_size" in entry.args else {}
    needed |= {
        arg.name: "3" for arg in entry.args.values() if arg.type == "int" and (arg.required or (arg.default or 0) > 3)
    }
    yield of_entry(entry), written(entry, needed)
    for arg, choice in choices(entry):
        yield f"{of_entry(entry)}-{arg.name}-{choice}", written(entry, needed | {arg.name: choice})


def ways() -> Iterator[tuple[str, dict[str, str]]]:
    """Ways to train, by name: what differs of the specification."""
    for entry in catalog().entries("attack"):
        if isinstance(entry, AttackEntry) and entry.not_for_training is None:
            yield from ((name, {"attack": attack}) for name, attack in of_attack(entry))
    for entry in catalog().entries("loss"):
        yield of_entry(entry), {"line": f"loss all = {written(entry)}"}
    for entry in catalog().entries("term"):
        yield of_entry(entry), {"line": f"loss all = ce(adversarial) + 0.1 * {written(entry)}"}
    for entry in catalog().entries("augmentation"):
        size = {"size": "8"} if "size" in entry.args else {}
        yield of_entry(entry), {"augment": f", augment={written(entry, size)}"}
    for entry in catalog().entries("recipe"):
        yield of_entry(entry), {"recipe": recipe(entry=entry.name)}
    for entry in catalog().entries("schedule"):
        yield of_entry(entry), {"recipe": recipe(f"schedule={written(entry)}")}
    for entry in catalog().entries("perturbation"):
        yield of_entry(entry), {"recipe": recipe(f"perturb={written(entry)}")}
    yield "swa", {"recipe": recipe("swa=1")}
    yield "ema", {"recipe": recipe("ema=0.9")}
    yield "clip", {"recipe": recipe("clip=1, warmup=1, label_smoothing=0.1")}
    yield "strongest", {"attacked": "attack all with a, b"}
    yield "each", {"attacked": "attack all with each of a, b"}
    yield "drawn", {"attacked": "attack all with one of a, b"}
    yield "clean", {"attacked": "keep snapshots every epoch"}
    yield "teacher", {"line": "loss all = kl(teacher(clean), adversarial)".replace("teacher", "other")}


WAYS = dict(ways())


@cache
def images() -> DataSet:
    return datasets.load(next(iter(_settings("clean", Data))).source, Path("."))


@cache
def _compiled(way: str) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.sat")
        path.write_text(specification(**WAYS[way]))
        return compile_file(path).plan


def _settings(way: str, kind: type[Any]) -> list[Any]:
    return [step.settings for step in _compiled(way).steps.values() if isinstance(step.settings, kind)]


def trained(gpu: StandIn, settings: Train, data: DataSet, batch: int) -> Counter[Event]:
    """Train an epoch in batches of this size, and return what waited in it."""
    description = Description(settings.model, data.classes, data.shape, settings.mean, settings.std, len(data.classes))
    network = untrained(settings, description, None)
    network.to("cuda").to(memory_format=torch.channels_last)
    asked: Teachers = {0: network}
    optimisation = Optimisation(network, replace(Recipe.of(settings.recipe), batch=batch))
    attack_copy, index = AttackCopy(network, optimisation.recipe.dtype), data.train.index.numpy()
    there, assignment = data.train.to("cuda"), assign_subsets(data.train, None, settings.subsets)
    with gpu.watched() as seen:
        now = epoch(there, index, assignment, settings.augment, batch, 0, 2, classes=len(data.classes))
        noise = generator(0, Stream.ATTACK, 0, "cuda")
        with layer_randomness(0, 2, "cuda"):
            curves = train_epoch(optimisation, attack_copy, now, 2, noise, lambda done: None, asked)
        optimisation.end_epoch(3, (x for x, _ in now.inputs()))
    assert len(now.batches) == IMAGES // batch
    assert curves["n"] == IMAGES
    return seen


@pytest.mark.parametrize("way", WAYS)
def test_no_batch_of_an_epoch_waits_for_the_device(way: str, gpu: StandIn) -> None:
    settings = _settings(way, Train)[-1]
    few, many = (trained(gpu, settings, images(), batch) for batch in (6, 4))
    if any(event.place == PUBLISHED for event in many):
        return  # Code of others decides by values at every step: what remains is that nothing mixes devices.
    assert not many - few, "with more batches there is more to wait for: " + "; ".join(map(str, many - few))
