"""Pick subsets anew while a network trains, by its own scores of all training images.

The first subsets are a random draw of the same sizes, and picks are made before the epochs k + 1, 2k + 1, ..., as
coreset selection every k epochs does (Killamsetty et al., 2021; their library CORDS begins and goes on like this). A
training that begins with given weights is also picked for before its first epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from satdsl.backend.distributed import ProcessGroup
from satdsl.backend.finite_numbers import require_finite_scores
from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.rankings import ranking_scores
from satdsl.backend.scores import score_of_weights
from satdsl.backend.subset_assignment import SubsetAssignment, assignment
from satdsl.backend.subset_masks import TrainingSet, partition
from satdsl.ir.steps import ITSELF, Ranking, Repicking, SubsetTraining
from satdsl.ir.work import Work


class Repicker:
    """Picks the subsets of `images`, all training images. `complete` says whether the data set has no others."""

    def __init__(
        self, settings: Repicking, images: Images, classes: int, complete: bool, work: Work, group: ProcessGroup
    ) -> None:
        self.settings, self.images, self.classes, self.complete = settings, images, classes, complete
        self.work, self.group = work, group

    def due(self, completed: int) -> bool:
        """Return whether subsets are picked after so many epochs."""
        return completed % self.settings.every == 0 and (completed > 0 or self.settings.at_start)

    def last_due(self, completed: int) -> int:
        """Return after how many epochs the subsets of the next one were picked, 0 where they are the first."""
        return completed - completed % self.settings.every

    def assignment(self, picked: Tensor, subsets: Sequence[SubsetTraining]) -> SubsetAssignment:
        """Return what a pick means for each image."""
        return assignment(self.images, picked.numpy(), subsets, self.complete)

    def pick(self, network: nn.Module) -> Tensor:
        """Return the subset of each image, int64 [n], by the scores of `network`; all ranks take those of rank 0."""
        if not self.group.is_main:
            given = torch.zeros(len(self.images), dtype=torch.int64, device=self.work.device)
            return self.group.from_main(given).cpu()
        outputs = logits(network, self.images, self.work.device)
        index = self.images.index.numpy()

        def scores(ranking: Ranking) -> np.ndarray:
            if ranking.of != ITSELF:
                return ranking_scores(ranking, index, self.complete, self.work.inputs)
            assert ranking.score is not None
            values = score_of_weights(ranking.score, network, self.images, self.work.device, outputs).cpu().numpy()
            require_finite_scores(values, index, ranking.score)
            return values

        images = TrainingSet(index, self.images.labels.numpy(), self.classes, self.complete, scores)
        picked = torch.from_numpy(partition(self.settings.subsets, images).astype(np.int64))
        return self.group.from_main(picked.to(self.work.device)).cpu()
