"""Run AutoAttack (Croce and Hein, 2020), as published in `pyautoattack`, and say which images it breaks, and how.

The published driver has faults that are kept away from users here: it needs to be told when there are fewer
than ten classes, reseeds the global random state, ends the tracing of debuggers, logs, and cannot be
continued. So its attacks are run one by one, batch by batch, on the images still standing, as it does
itself; after each batch the state is saved. Attack, batch and seed decide a batch's outcome, so a continued
run has the same one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from satdsl.backend.adversarial_examples import AdversarialExamples
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.evaluation_checkpoint import EvaluationCheckpoint, Pause
from satdsl.backend.finite_numbers import FiniteOutputs, require_finite_images
from satdsl.backend.gradient_masking import reworded_warning
from satdsl.backend.images import Images
from satdsl.backend.inference import REPORT_SECONDS, full_precision
from satdsl.backend.randomness import global_state_preserved
from satdsl.catalog.attacks import square
from satdsl.catalog.attacks.autoattack import (
    PARTS,
    Effort,
    attack_names,
    effort,
    square_cannot_attack,
    square_help,
    square_problem,
    undefined_for,
)
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import Progress, StepError

SEED = 0
"""AutoAttack's own seed, set anew before every attack on every batch: the same in every run."""


def check_classes(choice: CatalogCall, classes: int) -> None:
    """Raise StepError where an attack's loss is undefined for so few classes."""
    undefined = undefined_for(choice, classes)
    if undefined:
        raise StepError(
            f"the DLR loss of AutoAttack's {' and '.join(undefined)} is undefined for {classes} classes",
            "autoattack(version=custom, attacks=[apgd-ce, fab-t, square]) works from two classes up",
        )


def check_size(choice: CatalogCall, height: int, width: int) -> None:
    """Raise StepError where Square's code fails on images of this size, before the attacks that come first."""
    if square_cannot_attack(choice, height, width):
        raise StepError(f"{square_problem(choice, height, width)}: {square.REASON}", square_help(choice, height, width))


def published(network: nn.Module, choice: CatalogCall, classes: int, device: str) -> AutoAttack:
    """Return the published driver with a call's settings, at most classes - 1 targets, and no output."""
    version = choice.get("version", "standard")
    driver = AutoAttack(
        network,
        norm=choice["norm"],
        eps=float(choice["eps"]),
        seed=SEED,
        version=version,
        attacks=list(attack_names(choice)) if version == "custom" else None,
        device=device,
    )
    driver.verbose = False
    # A pure function of two small numbers, computed anew in each of thousands of queries.
    driver.square.eta_rectangles = cache(driver.square.eta_rectangles)
    if choice.get("at_most") is not None:
        _shorten(driver, effort(choice, classes))
    for targeted in (driver.apgd_targeted, driver.fab):
        targeted.n_target_classes = min(targeted.n_target_classes, classes - 1)
    return driver


def _shorten(driver: AutoAttack, tried: Effort) -> None:
    """Let the attacks of a smoke run try no harder than `tried`; what APGD derives from its iterations follows."""
    for apgd in (driver.apgd, driver.apgd_targeted):
        apgd.n_iter = apgd.n_iter_orig = tried.iterations
        apgd.n_iter_2 = apgd.n_iter_min = apgd.size_decr = 1
        apgd.n_restarts, apgd.eot_iter = min(apgd.n_restarts, tried.restarts), tried.samples
    driver.fab.n_iter, driver.fab.n_restarts = tried.iterations, tried.restarts
    driver.square.n_queries = tried.queries
    for targeted in (driver.apgd_targeted, driver.fab):
        targeted.n_target_classes = tried.targets


def autoattack(
    network: nn.Module,
    images: Images,
    choice: CatalogCall,
    *,
    classes: int,
    standing: np.ndarray,
    device: str,
    scratch: Path,
    examples: AdversarialExamples | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    pause: Pause | None = None,
    misled: np.ndarray | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Attack the images that are `standing` (bool [n]: right without attack).

    Returns `broken_by` int8 [n] (-1 still standing, k >= 1 broken by the k-th of `attack_names`, 0 for the
    others), and what the published code warned of, in a user's words. `examples` are told what became of
    them, and `misled` int64 [n] which class is predicted for the adversarial image that broke an image. `scratch`
    holds the state of a run that was interrupted, or paused between batches.
    """
    check_classes(choice, classes)
    check_size(choice, *images.pixels.shape[2:])
    names, size = attack_names(choice), int(choice.get("batch", 500))
    state = EvaluationCheckpoint.load(scratch / "autoattack.npz", standing, examples, pause, misled)
    with global_state_preserved(), full_precision(), _warnings(state.warned):
        watched = FiniteOutputs(AttackCopy(network).refresh())
        counted = Counted(watched)
        driver = published(counted, choice, classes, device)
        costs = [_forward_passes(driver, name, classes) for name in names]
        for k in range(state.attack, len(names) + 1):
            candidates, cost = np.count_nonzero(state.candidates), costs[k - 1]
            driver.attacks_to_run, watched.lost = [names[k - 1]], None
            for rows, pixels, labels in state.batches(images, size, device):
                left = np.count_nonzero(state.broken_by == -1)
                counted.on_pass = _progress(
                    report,
                    before=sum(costs[: k - 1]) + cost * state.start / candidates,
                    passes=cost,
                    share=len(rows) / candidates,
                    total=sum(costs),
                    note=f"{names[k - 1]}: {left} of {np.count_nonzero(standing)} still standing",
                )
                with _failures(names[k - 1], choice):
                    adversarial, predicted = driver.run_standard_evaluation(pixels, labels, batch_size=len(rows))
                watched.check(f"under {names[k - 1]}")
                require_finite_images(adversarial, names[k - 1])
                for text in watched.warnings(names[k - 1]):
                    _note(text, state.warned)
                state.record(rows, pixels, labels, adversarial, predicted)
                state.save()
            if state.paused:
                break
            state.next_attack()
    return state.broken_by, sorted(set(map(reworded_warning, state.warned)))


@contextmanager
def _failures(name: str, choice: CatalogCall) -> Iterator[None]:
    """Turn what the published code raises into an error that says which attack to leave out."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ArithmeticError, AssertionError, LookupError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        others = ", ".join(other for other in attack_names(choice) if other != name)
        raise StepError(
            f"the published code of AutoAttack's {name} fails on this network and these images: {reason}",
            f"leave it out: version=custom, attacks=[{others}]" if others else "measure with pgd and restarts",
        ) from error


def _forward_passes(driver: AutoAttack, name: str, classes: int) -> float:
    """Return what an attack costs on one batch that withstands it; a backward pass counts as two forward ones."""
    tried = Effort(
        iterations=driver.apgd.n_iter,
        queries=driver.square.n_queries,
        targets=driver.fab.n_target_classes,
        restarts=driver.apgd.n_restarts,
        samples=driver.apgd.eot_iter,
    )
    return 3 * PARTS[name].passes(tried, classes).cost


def _progress(
    report: Callable[[Progress], None], *, before: float, passes: float, share: float, total: float, note: str
) -> Callable[[int], None]:
    """Return what to do after so many passes of a batch that is this share of its attack's images."""
    return lambda count: report(Progress(before + share * min(count, passes), total, note))


class Counted(nn.Module):
    """A network that counts its passes: one for each forward, two more where a backward pass will follow."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.count = 0
        self.reported = 0.0
        self._on_pass: Callable[[int], None] = lambda count: None
        self.eval()

    @property
    def on_pass(self) -> Callable[[int], None]:
        return self._on_pass

    @on_pass.setter
    def on_pass(self, listener: Callable[[int], None]) -> None:
        """Count from 0 and tell `listener`, a few times a second."""
        self._on_pass, self.count, self.reported = listener, 0, 0.0

    def forward(self, images: Tensor) -> Tensor:
        self.count += 3 if torch.is_grad_enabled() else 1
        if time.monotonic() - self.reported > REPORT_SECONDS:
            self.reported = time.monotonic()
            self._on_pass(self.count)
        logits: Tensor = self.network(images)
        return logits


@contextmanager
def _warnings(gathered: list[str]) -> Iterator[None]:
    """Gather what the published code warns of, instead of showing it."""
    logger = logging.getLogger("auto-attack")
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: _note(record.getMessage(), gathered)  # type: ignore[method-assign]
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _note(message: str, gathered: list[str]) -> None:
    if message not in gathered:
        gathered.append(message)
