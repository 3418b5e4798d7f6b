"""Define the tables of artifacts: their columns with type, unit and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

FORMAT = 1
"""The version of these tables. Raise it when a reader of the old tables could not read the new ones."""


@dataclass(frozen=True)
class ColumnSchema:
    """A column. `type` is the name of a NumPy type, or `string`. Only an `optional` column may have nulls."""

    type: str
    about: str
    unit: str = ""
    optional: bool = False
    present: bool = True
    """Whether every table of its kind has it."""


@dataclass(frozen=True)
class TableSchema:
    """One kind of table. In an artifact it is the file `NAME.parquet`.

    `others` describes all further columns, if there may be any; `units` are their units.
    """

    name: str
    about: str
    columns: Mapping[str, ColumnSchema]
    others: ColumnSchema | None = None
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return f"{self.name}.parquet"

    def column(self, name: str) -> ColumnSchema | None:
        """Return the column with this name; None if the table has no such column."""
        return self.columns.get(name, self.others)

    def document(self, names: list[str]) -> dict[str, Any]:
        """Return what a file with these columns says of itself."""
        columns = {name: self._column_document(name) for name in names}
        return {"format_version": FORMAT, "table": self.name, "about": self.about, "columns": columns}

    def _column_document(self, name: str) -> dict[str, str]:
        column = self.column(name)
        if column is None:
            raise ValueError(f"a table of {self.name} has no column {name}")
        unit = column.unit or self.units.get(name, "")
        return {"about": column.about} | ({"unit": unit} if unit else {})


INDEX = ColumnSchema("int64", "the image's index in its data set")
SUBSET = ColumnSchema("int16", "the subset, counted from 0 in the order of the step's settings")

ROWS = TableSchema(
    "rows",
    "an evaluation: one row for each image, index ascending",
    {
        "index": INDEX,
        "label": ColumnSchema("int64", "the image's class, counted from 0"),
        "correct": ColumnSchema("bool", "whether the network is right, under attack if there is one"),
        "broken_by": ColumnSchema(
            "int8", "-1: right; 0: wrong without attack; k: broken first by the k-th of the attacks"
        ),
        "outcome": ColumnSchema("string", "the same in words"),
        "predicted": ColumnSchema(
            "int64", "the class that is predicted without attack; not in artifacts of earlier versions", present=False
        ),
        "attacked": ColumnSchema(
            "int64",
            "the class that is predicted under attack: for the adversarial image that broke the image, else for itself",
            present=False,
        ),
        "distance": ColumnSchema(
            "float64",
            "how far the nearest adversarial image is that was found: 0 where the network is wrong without attack, "
            "infinite where none was found; there where the attack looks for the nearest",
            "norm of images in [0, 1]",
            present=False,
        ),
    },
)

SIZES = "sizes"
"""What the facts of a block of an evaluation call the numbers of images of each class that all blocks have together."""

VALUES = TableSchema(
    "values",
    "an evaluation by a function of one's own: one row for each image, index ascending",
    {
        "index": INDEX,
        "label": ROWS.columns["label"],
        "value": ColumnSchema("float64", "what the function returns for the image; 0 or 1 for a truth value"),
    },
)

SCORES = TableSchema(
    "scores",
    "difficulty scores: one row for each training image, index ascending",
    {"index": INDEX},
    others=ColumnSchema("float64", "the difficulty score of this name; larger is harder"),
    units={
        "entropy": "nat",
        "loss": "nat",
        "snapshot-entropy": "nat",
        "snapshot-loss": "nat",
        "forgetting": "snapshots",
    },
)

SPLIT = TableSchema(
    "split",
    "a split: one row for each training image, index ascending",
    {"index": INDEX, "subset": SUBSET},
)

CURVES = TableSchema(
    "curves",
    "a training: for each epoch a row for all images, one for each subset, and one for each robustness probe",
    {
        "epoch": ColumnSchema("int64", "the epoch, counted from 1"),
        "part": ColumnSchema(
            "string",
            "the images: all, subset, or those of the probe: probe hold-out, probe train; of several norms each, as in "
            "probe train under L2",
        ),
        "subset": replace(SUBSET, optional=True),
        "n": ColumnSchema("int64", "how many images", "images"),
        "loss": ColumnSchema(
            "float64", "mean loss in the training's batches, without loss weights", "nat", optional=True
        ),
        "accuracy": ColumnSchema(
            "float64",
            "share that is right: in the training's batches, adversarial where attacked; of the probe, without attack",
            "share of 1",
            optional=True,
        ),
        "attack_success": ColumnSchema(
            "float64", "share of the adversarial images taken for another class", "share of 1", optional=True
        ),
        "robust": ColumnSchema(
            "float64", "share of the probe that is right under its attack", "share of 1", optional=True
        ),
        "attacked": ColumnSchema("int64", "how many images were attacked in this epoch", "images"),
        "lr": ColumnSchema("float64", "learning rate in the middle of the epoch"),
        "seconds": ColumnSchema("float64", "wall time of the epoch", "s"),
    },
)
