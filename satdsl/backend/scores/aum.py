"""Score an image by the area under its margin (Pleiss et al., 2020, with the opposite sign)."""

from __future__ import annotations

from pathlib import Path

from satdsl.backend.images import Images
from satdsl.backend.scores import SnapshotMean, best_wrong_margin


def aum(images: Images, device: str, scratch: Path) -> SnapshotMean:
    """Return the mean over the snapshots of max_{k != y} z_k - z_y."""
    return SnapshotMean(images, device, best_wrong_margin)
