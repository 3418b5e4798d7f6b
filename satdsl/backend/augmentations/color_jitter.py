"""Change brightness, contrast, saturation and hue."""

from __future__ import annotations

import torch
from torch import Generator

from satdsl.backend.augmentations import AugmentationDraw, Shape
from satdsl.backend.colour import jittered, scheduled
from satdsl.ir.work import StepError


def color_jitter(
    n: int, shape: Shape, random: Generator, *, brightness: float, contrast: float, saturation: float, hue: float
) -> AugmentationDraw:
    """Draw factors uniform in [max(0, 1 - v), 1 + v], a shift of the hue uniform in [-v, v], in any order."""
    if shape[0] not in (1, 3):
        raise StepError(
            f"color_jitter changes grey or RGB images, these have {shape[0]} channels", "leave it out of `augment`"
        )
    strengths = {"brightness": brightness, "contrast": contrast}
    if shape[0] == 3:
        strengths |= {"saturation": saturation, "hue": hue}
    strengths = {kind: strength for kind, strength in strengths.items() if strength}
    amounts = torch.empty((n, len(strengths)))
    for column, (kind, strength) in zip(amounts.unbind(1), strengths.items(), strict=True):
        least, most = (-strength, strength) if kind == "hue" else (max(0.0, 1 - strength), 1 + strength)
        column.uniform_(least, most, generator=random)
    when = torch.rand((n, len(strengths)), dtype=torch.float64, generator=random)
    return AugmentationDraw(jittered, scheduled(list(strengths), amounts, when))
