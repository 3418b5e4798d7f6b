"""Your own images, in one folder per class below `train/` and `val/`; the class names are the folders' names,
sorted.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from satdsl import image_folders
from satdsl.catalog.datasets import CENTRE_OR_NONE, EXIF, PATH, TRANSPARENCY, DatasetEntry, images
from satdsl.catalog.registry import CallSite
from satdsl.ir.experiment import DatasetFacts

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def known(args: Mapping[str, Any], folder: str, entry: DatasetEntry, site: CallSite) -> DatasetFacts:
    """Return what an image folder holds, by listing it."""
    for part in image_folders.PARTS:
        where = Path(folder) / part
        if not os.path.isdir(where):  # `Path.is_dir` raises an OSError where a name is too long
            site.reject(
                "E306",
                f"there is no folder `{where}`",
                f"an image folder holds `train/` and `val/`, each with one folder per class; `{part}/` is missing",
                "give the folder that has both",
            )
    classes = image_folders.class_names(Path(folder))
    train, val = (image_folders.images_per_class(Path(folder), part, classes) for part in image_folders.PARTS)
    return DatasetFacts(classes, (3, 0, 0), sum(train), sum(val), train, val, IMAGENET_MEAN, IMAGENET_STD)


ENTRY = DatasetEntry(
    "folder",
    __doc__,
    arguments=(PATH, *images(CENTRE_OR_NONE), TRANSPARENCY, EXIF),
    known=known,
    listing=image_folders.listing_digest,
    by_hand="put one folder for each class into train/ and into val/",
    place=8.5,
)
