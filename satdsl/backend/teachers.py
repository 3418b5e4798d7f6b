"""Ask finished networks about the images that another one is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from satdsl.backend import weights
from satdsl.backend.loss_formulas import Predictions
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.work import Work

Teachers = Mapping[int, nn.Module]
"""Networks in evaluation mode, by the number of their input."""


def load(work: Work) -> Teachers:
    """Load the networks of the inputs `teacher0`, `teacher1`, ...; none of them is ever trained."""
    found = {}
    for role, folder in work.inputs.items():
        if role.startswith("teacher"):
            network = weights.load(folder, work.device)
            found[int(role.removeprefix("teacher"))] = network.requires_grad_(False)
    return found


def predictions(
    teachers: Teachers,
    formula: LossFormula | None,
    images: Tensor,
    versions: Sequence[Tensor],
    dtype: torch.dtype | None,
) -> tuple[Predictions, ...]:
    """Return what a formula asks of its images, beside each of their adversarial versions; nothing where it is None."""
    if formula is None:
        return ()
    with torch.no_grad(), torch.autocast(images.device.type, dtype, enabled=dtype is not None):
        clean = {(i, of): teachers[i](images).float() for i, of in sorted(formula.teachers) if of == "clean"}
        return tuple(
            clean | {(i, of): teachers[i](one).float() for i, of in sorted(formula.teachers) if of != "clean"}
            for one in versions
        )
