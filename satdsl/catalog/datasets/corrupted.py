"""Name CIFAR-10-C and CIFAR-100-C: the validation images of CIFAR under corruptions, with nothing to train on."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from satdsl.catalog import contents
from satdsl.catalog.argument import Argument
from satdsl.catalog.datasets import HOLDOUT, LIMIT_VAL, RESIZE, ROOT, DatasetEntry
from satdsl.catalog.datasets.fixed import ENTRIES as FIXED

CORRUPTIONS = (
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    *("speckle_noise", "gaussian_blur", "spatter", "saturate"),
)
"""The fifteen that the benchmark averages over, by their kinds, and the four that its authors keep apart."""

ARGUMENTS = (
    Argument("corruption", "word", choices=CORRUPTIONS).meaning(
        "What is done to the images. The benchmark is the first fifteen; the last four are for validation."
    ),
    Argument("severity", "int", at_least=1, at_most=5).meaning("How much of it, from 1 to 5."),
    HOLDOUT,
    LIMIT_VAL,
    RESIZE,
    ROOT,
)


@cache
def corruptions(name: str) -> Mapping[str, Any]:
    """Return where a data set is published: its archive and address, the folder in it, and the MD5 of each file."""
    return dict(contents("datasets/corruptions.yaml")[name])


def _entry(name: str, clean: str, download: int, place: float) -> DatasetEntry:
    known = next(entry.facts for entry in FIXED if entry.name == clean)
    assert known is not None
    folder = f"{clean[:5]}-{clean[5:]}-C"
    return DatasetEntry(
        name,
        f"The 10,000 validation images of {clean} under one of 19 corruptions, of one of five severities; there is "
        "nothing to train on.",
        ARGUMENTS,
        source="Hendrycks and Dietterich, 2019",
        facts={**known, "train": {"each": 0}, "download": download},
        files=(f"{folder}/{{corruption}}.npy", f"{folder}/labels.npy"),
        archive=f"{folder}.tar",
        place=place,
    )


ENTRIES = (
    _entry("CIFAR10C", "CIFAR10", 2_918_471_680, 1.2),
    _entry("CIFAR100C", "CIFAR100", 2_918_473_216, 1.4),
)
