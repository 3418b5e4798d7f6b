"""The images of an evaluation to a few of them, with what the attack made of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.images import Images

COUNT = 6
"""Images that are kept of an evaluation: enough to see what the attack does."""


@dataclass(eq=False)
class AdversarialExamples:
    """Some of n images, by their positions `rows` int64 [m]: the same images under every attack.

    `predicted` int64 [m] is what the network takes them for without attack, `attacked` [m] under it, and
    `perturbation` float16 [m, c, h, w] the adversarial image minus the image, both in [0, 1]. An image that is not
    attacked, since it is wrong without, or that AutoAttack does not break, keeps its pixels and its prediction.
    """

    rows: np.ndarray
    predicted: np.ndarray
    attacked: np.ndarray
    perturbation: np.ndarray

    @classmethod
    def of(cls, images: Images, predicted: Tensor) -> AdversarialExamples:
        """COUNT of the images, evenly spaced, before any attack; `predicted` int64 [n]."""
        rows = np.unique(np.linspace(0, len(images) - 1, COUNT).round().astype(np.int64))
        classes = predicted[torch.from_numpy(rows)].cpu().numpy()
        shape = (len(rows), *images.pixels.shape[1:])
        return cls(rows, classes, classes.copy(), np.zeros(shape, np.float16))

    def record(self, rows: Tensor, images: Tensor, adversarial: Tensor, predicted: Tensor) -> None:
        """Keep what became of those among `rows` that are examples.

        `rows` int64 [k] lie on the host; the images before and after, in [0, 1], [k, c, h, w], and what the network
        takes the latter for, [k], on any device.
        """
        found = np.flatnonzero(np.isin(rows.numpy(), self.rows))
        if not len(found):
            return
        at, places = torch.from_numpy(found), np.searchsorted(self.rows, rows.numpy()[found])
        at = at.to(images.device)
        self.perturbation[places] = (adversarial[at] - images[at]).to(torch.float16).cpu().numpy()
        self.attacked[places] = predicted[at].cpu().numpy()

    def state(self) -> dict[str, np.ndarray]:
        """What an interrupted run has to save."""
        return {"attacked": self.attacked, "perturbation": self.perturbation}

    def restore(self, stored: Mapping[str, np.ndarray]) -> None:
        """Go on from `stored`. A run that was begun by a version without examples ends without any."""
        if "perturbation" in stored:
            self.attacked, self.perturbation = stored["attacked"], stored["perturbation"]
        else:
            self.rows, self.predicted = self.rows[:0], self.predicted[:0]
            self.attacked, self.perturbation = self.attacked[:0], self.perturbation[:0]

    def arrays(self, images: Images) -> dict[str, np.ndarray]:
        """All of it with the images' `index`, `label` and `pixels` uint8: the contents of `examples.npz`."""
        rows = torch.from_numpy(self.rows)
        return {
            "index": images.index[rows].numpy(),
            "label": images.labels[rows].numpy(),
            "predicted": self.predicted,
            "attacked": self.attacked,
            "pixels": images.pixels[rows].numpy(),
            "perturbation": self.perturbation,
        }
