"""Keep a few images of an evaluation together with their adversarial versions, to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from satdsl.backend.images import Images

COUNT = 6
"""How many images of an evaluation are kept: enough to see what the attack does."""


def spaced(n: int) -> np.ndarray:
    """Return the positions of COUNT of n images, evenly spaced: int64, ascending."""
    return np.unique(np.linspace(0, n - 1, COUNT).round().astype(np.int64))


@dataclass(eq=False)
class AdversarialExamples:
    """Some of n images, at the positions `rows` int64 [m], which are the same under every attack.

    `predicted` int64 [m] is the class that the network predicts without attack, `attacked` [m] the one under attack.
    `perturbation` float16 [m, c, h, w] is the adversarial image minus the image, both in [0, 1]. An image keeps its
    pixels and its prediction if it is not attacked, because it is wrong already, or if AutoAttack does not break it.
    """

    rows: np.ndarray
    predicted: np.ndarray
    attacked: np.ndarray
    perturbation: np.ndarray

    @classmethod
    def of(cls, images: Images, predicted: Tensor, shown: np.ndarray | None = None) -> AdversarialExamples:
        """Choose the images at positions `shown` [m], else `spaced`, before any attack; `predicted` is int64 [n]."""
        rows = spaced(len(images)) if shown is None else shown
        classes = predicted[torch.from_numpy(rows)].cpu().numpy()
        shape = (len(rows), *images.pixels.shape[1:])
        return cls(rows, classes, classes.copy(), np.zeros(shape, np.float16))

    def record(self, rows: Tensor, images: Tensor, adversarial: Tensor, predicted: Tensor) -> None:
        """Keep the adversarial versions of those images at `rows` that are among the examples.

        `rows` int64 [k] are on the host. The images before and after the attack, [k, c, h, w] in [0, 1], and the
        classes predicted for the latter, [k], can be on any device.
        """
        found = np.flatnonzero(np.isin(rows.numpy(), self.rows))
        if not len(found):
            return
        at, places = torch.from_numpy(found), np.searchsorted(self.rows, rows.numpy()[found])
        at = at.to(images.device)
        self.perturbation[places] = (adversarial[at] - images[at]).to(torch.float16).cpu().numpy()
        self.attacked[places] = predicted[at].cpu().numpy()

    def state(self) -> dict[str, np.ndarray]:
        """Return what a checkpoint of the evaluation has to save."""
        return {"attacked": self.attacked, "perturbation": self.perturbation}

    def restore(self, stored: Mapping[str, np.ndarray]) -> None:
        """Continue from a saved state."""
        self.attacked, self.perturbation = stored["attacked"], stored["perturbation"]

    def arrays(self, images: Images) -> dict[str, np.ndarray]:
        """Return the contents of `examples.npz`: all of it, and the images' `index`, `label` and `pixels` uint8."""
        rows = torch.from_numpy(self.rows)
        return {
            "index": images.index[rows].numpy(),
            "label": images.labels[rows].numpy(),
            "predicted": self.predicted,
            "attacked": self.attacked,
            "pixels": images.pixels[rows].numpy(),
            "perturbation": self.perturbation,
        }
