"""What the tables of an artifact are: their columns with type, unit and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

FORMAT = 1
"""The version of these tables. Raise it when a reader of the old ones would stumble."""


@dataclass(frozen=True)
class Column:
    """`type` is NumPy's name of it, or `string`. Only what is `optional` may be null."""

    type: str
    about: str
    unit: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Form:
    """One kind of table. In an artifact it is the file `NAME.parquet`; `older` is what satdsl 0.1.0 kept it in.

    `others` is what any further column is; without it there is none.
    """

    name: str
    about: str
    columns: Mapping[str, Column]
    older: str = ""
    others: Column | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    """Of further columns, where they have one."""

    @property
    def file(self) -> str:
        return f"{self.name}.parquet"

    def column(self, name: str) -> Column | None:
        """What a column of this name is; None where the table has none."""
        return self.columns.get(name, self.others)

    def document(self, names: list[str]) -> dict[str, Any]:
        """What the file says of itself, if it has these columns."""
        columns = {name: self._said(name) for name in names}
        return {"format_version": FORMAT, "table": self.name, "about": self.about, "columns": columns}

    def _said(self, name: str) -> dict[str, str]:
        column = self.column(name)
        if column is None:
            raise ValueError(f"a table of {self.name} has no column {name}")
        unit = column.unit or self.units.get(name, "")
        return {"about": column.about} | ({"unit": unit} if unit else {})


INDEX = Column("int64", "the image's index in its data set")
SUBSET = Column("int16", "the subset, counted from 0 in the order of the step's settings")

ROWS = Form(
    "rows",
    "an evaluation: one row for each image, index ascending",
    {
        "index": INDEX,
        "label": Column("int64", "the image's class, counted from 0"),
        "correct": Column("bool", "whether the network is right, under attack if there is one"),
        "broken_by": Column("int8", "-1: right; 0: wrong without attack; k: broken first by the k-th of the attacks"),
        "outcome": Column("string", "the same in words"),
    },
    older="rows.npz",
)

SCORES = Form(
    "scores",
    "difficulty scores: one row for each training image, index ascending",
    {"index": INDEX},
    older="scores.npz",
    others=Column("float64", "the difficulty score of this name; larger is harder"),
    units={
        "entropy": "nat",
        "loss": "nat",
        "snapshot-entropy": "nat",
        "snapshot-loss": "nat",
        "forgetting": "snapshots",
    },
)

SPLIT = Form(
    "split",
    "a split: one row for each training image, index ascending",
    {"index": INDEX, "subset": SUBSET},
    older="split.npz",
)

CURVES = Form(
    "curves",
    "a training: for each epoch a row for all images, one for each subset, and one for the robustness probe",
    {
        "epoch": Column("int64", "the epoch, counted from 1"),
        "part": Column("string", "the images: all, subset, or those of the probe: probe hold-out, probe train"),
        "subset": replace(SUBSET, optional=True),
        "n": Column("int64", "how many images", "images"),
        "loss": Column("float64", "mean loss in the training's batches, without loss weights", "nat", optional=True),
        "accuracy": Column(
            "float64",
            "share that is right: in the training's batches, adversarial where attacked; of the probe, without attack",
            "share of 1",
            optional=True,
        ),
        "attack_success": Column(
            "float64", "share of the adversarial images taken for another class", "share of 1", optional=True
        ),
        "robust": Column("float64", "share of the probe that is right under its attack", "share of 1", optional=True),
        "attacked": Column("int64", "how many images were attacked in this epoch", "images"),
        "lr": Column("float64", "learning rate in the middle of the epoch"),
        "seconds": Column("float64", "wall time of the epoch", "s"),
    },
    older="curves.json",
)
