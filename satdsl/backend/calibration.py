"""Measure how long the passes of a plan take here: a few batches of each network and attack, through the real code.

The images are noise, and the networks new: neither changes how long a pass takes. Attacks are given so small a radius
that they break nothing, since what is broken is left alone, and are cut short.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from satdsl import machine
from satdsl.backend import models
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import attack_of, loss_and_gradient
from satdsl.backend.attacks.autoattack import published
from satdsl.backend.counted_passes import counted
from satdsl.backend.epoch import epoch
from satdsl.backend.images import EVALUATION_BATCH, Images
from satdsl.backend.inference import full_precision, in_evaluation_mode
from satdsl.backend.models import Network
from satdsl.backend.optimisation import Optimisation
from satdsl.backend.randomness import Stream, generator, global_state_preserved, initial_weights, layer_randomness
from satdsl.backend.recipes import Recipe
from satdsl.backend.subset_assignment import SubsetAssignment
from satdsl.backend.threads import network_cost, paying
from satdsl.backend.train import train_epoch
from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.registry import changed
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.plan import Piece
from satdsl.ir.steps import CatalogCall, Train

LONG = 2.0
"""Seconds that a piece is measured for, about: large networks are tried on fewer images and with fewer steps."""

REPEATS = 3
"""How often a piece is measured, after a first time that is not counted."""

TINY = 1e-4
"""The radius of the attacks, and the length of their steps."""


def seconds_per_pass(piece: Piece, training: Train | None, device: str) -> list[float]:
    """Return what a pass with backward of one image takes, measured several times, in the way of a piece.

    A pass alone counts a third, as in a plan. A piece of a `training` is measured on its batches.
    """
    with initial_weights(0):
        channels = piece.shape[0]
        network = models.build(piece.model, piece.shape, piece.classes, (0.5,) * channels, (0.25,) * channels)
    network.to(device).to(memory_format=torch.channels_last)
    before = torch.get_num_threads()
    torch.set_num_threads(_threads(piece, device))
    try:
        with global_state_preserved():
            return _measured(_work(piece, training, network, device), device)
    finally:
        torch.set_num_threads(before)


def _threads(piece: Piece, device: str) -> int:
    """Return how many threads a step computes with that makes these passes."""
    cores, limit = machine.cores(), machine.thread_limit()
    cost = network_cost(piece.model, piece.shape, piece.classes) if device == "cpu" else None
    batch = piece.batch if piece.kind == "train" else EVALUATION_BATCH
    threads = 1 if cost is None else paying(cost.multiply_adds, batch, cores)
    return min(threads, limit or threads)


Work = Callable[[], None]


def _measured(work: Work, device: str) -> list[float]:
    found: list[float] = []
    begun = time.monotonic()
    for number in range(REPEATS + 1):
        with counted() as made:
            started = time.monotonic()
            work()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            taken = time.monotonic() - started
        if number or taken > LONG:
            found.append(taken / made.passes.cost)
        if found and time.monotonic() - begun > 2 * LONG:
            break
    return found


def _work(piece: Piece, training: Train | None, network: Network, device: str) -> Work:
    look = _forward(network, noise(piece, piece.batch), device)
    one = _seconds_of(_forward(network, noise(piece, 1), device))
    count = max(1, min(piece.batch, int(LONG / max(one, 1e-6) / 12)))
    images = noise(piece, count)
    match piece.kind:
        case "forward":
            return look if count == piece.batch else _forward(network, images, device)
        case "gradient":
            return _gradient(network, images, device)
        case "attack":
            assert piece.attack is not None
            return _attack(network, images, piece.attack, piece, device)
        case "train":
            assert training is not None
            return _train(network, noise(piece, count * (3 if count == piece.batch else 1)), training, piece, device)


def noise(piece: Piece, count: int) -> Images:
    """Return images that are noise, of all classes in turn."""
    drawn = generator(0, Stream.SYNTHETIC)
    pixels = torch.randint(0, 256, (count, *piece.shape), dtype=torch.uint8, generator=drawn)
    return Images(pixels, torch.arange(count) % piece.classes, torch.arange(count))


def _seconds_of(work: Work) -> float:
    work()
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _forward(network: Network, images: Images, device: str) -> Work:
    def work() -> None:
        with in_evaluation_mode(network), full_precision(), torch.inference_mode():
            for x, _ in images.batches(len(images), device):
                network(x).argmax(1).cpu()

    return work


def _gradient(network: Network, images: Images, device: str) -> Work:
    copy = AttackCopy(network).refresh()
    ((x, y),) = images.batches(len(images), device)

    def work() -> None:
        with full_precision():
            loss_and_gradient(copy, x, y)[1].flatten(1).any(1).cpu()

    return work


def _attack(network: Network, images: Images, call: CatalogCall, piece: Piece, device: str) -> Work:
    copy = AttackCopy(network).refresh()
    ((x, _),) = images.batches(len(images), device)
    with torch.no_grad():
        right = copy(x).argmax(1)
    weak = _weak(call)
    if piece.part:
        one = _seconds_of(_gradient(network, images, device))
        return _part(copy, x, right, weak, piece, one, device)
    attack = attack_of(AttackEntry.of(weak).shortened(weak))

    def work() -> None:
        with full_precision(), torch.enable_grad():
            attack(copy, x, right, generator(0, Stream.EVALUATION, 0, device))

    return work


def _part(
    copy: torch.nn.Module, x: Tensor, right: Tensor, call: CatalogCall, piece: Piece, one: float, device: str
) -> Work:
    """Return what runs one of AutoAttack's attacks, in so many steps that they take long, and not what is around."""
    steps = max(3, min(30, int(LONG / max(one, 1e-6) / 3)))
    efforts = {"iterations": steps, "queries": 5 * steps, "targets": 1, "restarts": 1, "samples": 20, "starts": 3}
    short = replace(call, args=(*call.args, ("at_most", CatalogCall("effort", tuple(efforts.items())))))
    driver = published(copy, short, piece.classes, device)

    def work() -> None:
        driver.attacks_to_run = [piece.part]
        with full_precision():
            driver.run_standard_evaluation(x, right, batch_size=len(x))

    return work


def _weak(call: CatalogCall) -> CatalogCall:
    """Return an attack that breaks next to nothing, where it has a radius."""
    small = {name: TINY for name in ("eps", "step_size") if isinstance(call.get(name), float)}
    return changed(call, **small) if small else call


def _train(network: Network, images: Images, training: Train, piece: Piece, device: str) -> Work:
    optimisation = Optimisation(network, Recipe.of(training.recipe))
    copy = AttackCopy(network, optimisation.recipe.dtype)
    bounds = np.cumsum([0.0, *piece.shares])[1:-1] * len(images)
    places = np.random.default_rng(0).permutation(len(images))
    subset_of = np.searchsorted(bounds, places, side="right")
    weights = np.ones(len(images), np.float32)
    assignment = SubsetAssignment(subset_of, weights, training.subsets)
    there = images.to(device)
    asked = dict.fromkeys(range(_teachers(training)), network)

    def work() -> None:
        last = max(1, int(training.recipe["epochs"])) - 1
        now = epoch(
            there,
            images.index.numpy(),
            assignment,
            training.augment,
            optimisation.recipe.batch,
            0,
            last,
            label_smoothing=optimisation.recipe.label_smoothing,
            classes=piece.classes,
        )
        with layer_randomness(0, last, device):
            drawn = generator(0, Stream.ATTACK, 0, device)
            train_epoch(optimisation, copy, now, last, drawn, lambda done: None, asked)

    return work


def _teachers(training: Train) -> int:
    losses = [phase.loss for part in training.subsets for phase in part.phases]
    numbers = [number for loss in losses if isinstance(loss, LossFormula) for number, _ in loss.teachers]
    return max(numbers, default=-1) + 1
