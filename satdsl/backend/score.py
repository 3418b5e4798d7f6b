"""Do a `score` step: take a difficulty score of images with finished weights."""

from __future__ import annotations

from satdsl.artifacts.schemas import SCORES
from satdsl.backend import datasets
from satdsl.backend.artifact_files import write_table
from satdsl.backend.attacked_images import AttackedImages
from satdsl.backend.evaluate import network_for
from satdsl.backend.finite_numbers import require_finite_scores
from satdsl.backend.holdout import split_holdout
from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.score import numbers
from satdsl.backend.scores import score_of_weights
from satdsl.catalog import catalog
from satdsl.catalog.scores import ScoreEntry
from satdsl.ir.steps import Score, Step
from satdsl.ir.work import Progress, StepError, Work


def perform(step: Step, work: Work) -> None:
    """Write `scores.parquet`: the index of every image of the part and its score, in evaluation mode."""
    settings = step.settings
    assert isinstance(settings, Score)
    if settings.own is None:
        check(settings.score)
    data = datasets.input_dataset(work)
    parts = split_holdout(data, settings.holdout)
    images = parts.val if settings.part == "val" else parts.train
    network = network_for(data, work.inputs["weights"], settings.epoch, work.device)
    if settings.attack is not None:
        images = AttackedImages.of(images, network, settings.attack)

    def passed(done: int) -> None:
        work.report(Progress(done, len(images), f"image {done}"))

    if settings.own is not None:
        found = numbers(Plugin.of(settings.own), network, images, work.device, passed)
    else:
        found = score_of_weights(settings.score, network, images, work.device, passed=passed)
    scores = found.cpu().numpy()
    require_finite_scores(scores, images.index.numpy(), settings.score)
    write_table(work.out, SCORES, {"index": images.index.numpy(), settings.score: scores})
    under = "" if settings.attack is None else f" under {settings.attack.name}"
    work.report(Progress(1, 1, f"{settings.score} of {len(images)} images{under}"))


def check(score: str) -> None:
    """Raise StepError for a score of the catalog that is not taken of finished weights."""
    entry = catalog().find("score", score)
    if not isinstance(entry, ScoreEntry) or entry.over_snapshots:
        known = [name for name in catalog().names("score") if not ScoreEntry.of(name).over_snapshots]
        raise StepError(
            f"the score {score} cannot be taken from finished weights",
            f"use one of {', '.join(known)}, or a snapshot score of a training that keeps snapshots",
        )
