"""The `score` step: finished weights and the training images to a difficulty score."""

from __future__ import annotations

from torch import Tensor

from satdsl.artifacts.schemas import SCORES
from satdsl.backend import datasets, weights
from satdsl.backend.artifact_files import write_table
from satdsl.backend.grand import gradient_norms
from satdsl.backend.holdout import split_holdout
from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.scores import FORWARD
from satdsl.ir.steps import Score, Step
from satdsl.ir.work import Progress, StepError, Work


def perform(step: Step, work: Work) -> None:
    """Write `scores.parquet`: the index of every training image and its score, in evaluation mode."""
    settings = step.settings
    assert isinstance(settings, Score)
    if settings.score not in (*FORWARD, "grand"):
        raise StepError(
            f"the score {settings.score} cannot be taken from finished weights",
            f"use one of {', '.join(FORWARD)}, grand, or a snapshot score of a training that keeps snapshots",
        )
    images = split_holdout(datasets.input_dataset(work), settings.holdout).train
    scores = scored(settings.score, images, work).cpu().numpy()
    write_table(work.out, SCORES, {"index": images.index.numpy(), settings.score: scores})
    work.report(Progress(1, 1, f"{settings.score} of {len(images)} images"))


def scored(score: str, images: Images, work: Work) -> Tensor:
    """float64 [n]."""
    network = weights.load(work.inputs["weights"], work.device)
    if score == "grand":
        return gradient_norms(
            network, images, work.device, lambda done: work.report(Progress(done, len(images), f"image {done}"))
        )
    outputs = logits(network, images, work.device).double()
    return FORWARD[score](outputs, images.labels.to(work.device))
