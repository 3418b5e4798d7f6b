"""Do a `score` step: take a difficulty score of the training images with finished weights."""

from __future__ import annotations

from satdsl.artifacts.schemas import SCORES
from satdsl.backend import datasets, weights
from satdsl.backend.artifact_files import write_table
from satdsl.backend.finite_numbers import require_finite_scores
from satdsl.backend.holdout import split_holdout
from satdsl.backend.scores import score_of_weights
from satdsl.catalog import catalog
from satdsl.catalog.scores import ScoreEntry
from satdsl.ir.steps import Score, Step
from satdsl.ir.work import Progress, StepError, Work


def perform(step: Step, work: Work) -> None:
    """Write `scores.parquet`: the index of every training image and its score, in evaluation mode."""
    settings = step.settings
    assert isinstance(settings, Score)
    entry = catalog().find("score", settings.score)
    if not isinstance(entry, ScoreEntry) or entry.over_snapshots:
        known = [name for name in catalog().names("score") if not ScoreEntry.of(name).over_snapshots]
        raise StepError(
            f"the score {settings.score} cannot be taken from finished weights",
            f"use one of {', '.join(known)}, or a snapshot score of a training that keeps snapshots",
        )
    images = split_holdout(datasets.input_dataset(work), settings.holdout).train
    network = weights.load(work.inputs["weights"], work.device, settings.epoch)

    def passed(done: int) -> None:
        work.report(Progress(done, len(images), f"image {done}"))

    scores = score_of_weights(settings.score, network, images, work.device, passed=passed).cpu().numpy()
    require_finite_scores(scores, images.index.numpy(), settings.score)
    write_table(work.out, SCORES, {"index": images.index.numpy(), settings.score: scores})
    work.report(Progress(1, 1, f"{settings.score} of {len(images)} images"))
