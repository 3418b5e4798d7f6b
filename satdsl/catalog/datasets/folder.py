"""Your own images, in one folder per class below `train/` and `val/`; the class names are the folders' names,
sorted.
"""

from collections.abc import Mapping
from typing import Any

from satdsl.catalog.datasets import (
    CENTRE_OR_NONE,
    CLASS_ORDER,
    EXIF,
    PATH,
    TRANSPARENCY,
    DatasetEntry,
    folder_rules,
    image_findings,
    images,
)
from satdsl.catalog.registry import CallSite
from satdsl.folder_contents import Contents
from satdsl.ir.experiment import DatasetFacts

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def in_folder(contents: Contents, args: Mapping[str, Any], site: CallSite) -> DatasetFacts:
    """Return what an image folder holds, with a finding for everything that is odd about it."""
    shape = image_findings.judged(contents, args, site)
    folder_rules.report([*folder_rules.doubtful(contents), *folder_rules.wrong(contents)], site)
    train, val = (part for part in contents.listing.parts.values() if part is not None)
    classes = tuple(klass.name for klass in train.classes)
    counts = [{klass.name: len(klass.images) for klass in part.classes} for part in (train, val)]
    train_counts, val_counts = (tuple(of.get(name, 0) for name in classes) for of in counts)
    totals = sum(train_counts), sum(val_counts)
    return DatasetFacts(classes, shape, *totals, train_counts, val_counts, IMAGENET_MEAN, IMAGENET_STD)


ENTRY = DatasetEntry(
    "folder",
    __doc__,
    arguments=(PATH, *images(CENTRE_OR_NONE), TRANSPARENCY, EXIF, CLASS_ORDER),
    in_folder=in_folder,
    by_hand="put one folder for each class into train/ and into val/",
    place=8.5,
)
