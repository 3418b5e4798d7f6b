"""Your own images and labels as NumPy arrays, in `.npy` files; the training or the validation part may be absent."""

from collections.abc import Mapping
from typing import Any

from satdsl.array_files import ArrayContents
from satdsl.catalog.argument import Argument
from satdsl.catalog.datasets import DatasetEntry, array_rules, images
from satdsl.catalog.datasets.array_rules import SiteOf
from satdsl.ir.experiment import DatasetFacts

MEAN, STD = 0.5, 0.25
"""What images are normalised with where nothing is given."""


def in_arrays(
    files: Mapping[str, ArrayContents], args: Mapping[str, Any], site: SiteOf
) -> tuple[DatasetFacts, dict[str, Any]]:
    """Return what the arrays hold, and the arguments as they are settled; every mistake is a finding."""
    classes = array_rules.class_names(args["classes"], site("classes"))
    array_rules.both_halves(files, site)
    shape = array_rules.shape_of_parts(files, args["layout"], site)
    rows = {part: array_rules.rows_of(files, part, args, site) for part in array_rules.PARTS}
    array_rules.values_fit(files, args["levels"], site)
    counts = {part: array_rules.counts_of(files, part, rows[part], classes, site) for part in array_rules.PARTS}
    normalised = {name: array_rules.per_channel(name, args[name], shape, site) for name in ("mean", "std")}
    train, val = counts["train"], counts["val"]
    mean, std = normalised["mean"] or (MEAN,) * shape[0], normalised["std"] or (STD,) * shape[0]
    settled = {
        "classes": classes,
        "train_rows": rows["train"],
        "rows": rows["val"],
        "layout": array_rules.needed_layout(files, args["layout"]),
        "levels": args["levels"] if any(file.between for file in files.values()) else "exact",
    }
    return DatasetFacts(classes, shape, sum(train), sum(val), train, val, mean, std), settled


ENTRY = DatasetEntry(
    "arrays",
    __doc__,
    arguments=(
        Argument("classes", "class", many=True).meaning(
            "The classes in the order of their numbers: a list of names, `classes of` another data set, or how many "
            "there are; those are called 0, 1, 2 and so on."
        ),
        *(
            Argument(name, "text", optional=True, default=None).meaning(help)
            for name, help in (
                ("train_images", "File of the training images: bytes, or floats in [0, 1]."),
                ("train_labels", "File of their labels: whole numbers from 0, one for each image."),
                ("val_images", "File of the validation images."),
                ("val_labels", "File of their labels."),
            )
        ),
        Argument("rows", "range", optional=True, default=None).meaning(
            "Which rows of the validation files are used, such as 40000..49999, counted from 0, both ends included; "
            "none uses all."
        ),
        Argument("train_rows", "range", optional=True, default=None).meaning(
            "Which rows of the training files are used; none uses all."
        ),
        Argument("layout", "word", choices=("channels_first", "channels_last"), optional=True, default=None).meaning(
            "Whether images are [n, channels, height, width] or [n, height, width, channels]; none takes the side that "
            "is 1 or 3, if only one is. Of [n, height, width] the images are grey."
        ),
        Argument("levels", "word", choices=("exact", "round"), default="exact").meaning(
            "Images become bytes. What is done with floats that are no whole 255ths: an error, or they are rounded."
        ),
        Argument("mean", "number", many=True, optional=True, default=None).meaning(
            f"What a network that is trained on these images takes from each channel; none takes {MEAN}."
        ),
        Argument("std", "number", many=True, above=0, optional=True, default=None).meaning(
            f"What it then divides each channel by; none divides by {STD}."
        ),
        *images(),
    ),
    named_files=("train_images", "train_labels", "val_images", "val_labels"),
    in_arrays=in_arrays,
    by_hand="save them there: np.save(path, images)",
    place=8.7,
)
