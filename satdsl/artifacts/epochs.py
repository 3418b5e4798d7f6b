"""Convert the epochs of a training, which are nested, to the flat columns that are stored, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from satdsl.artifacts.parquet import Unreadable
from satdsl.artifacts.schemas import CURVES

OF_EPOCH = ("attacked", "seconds", "epoch", "lr")
"""The values that an epoch has for all its parts together."""

OF_PART = ("loss", "accuracy", "attack_success")

PROBE, UNDER = "probe ", " under "
"""`probe hold-out`; `probe hold-out under L2` where a training is probed under several norms."""


def to_columns(epochs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns of `schemas.CURVES`, with a row for each epoch and part.

    An epoch has `n`, `loss` and `accuracy`, the same for each of its `subsets`, and the values of OF_EPOCH. If its
    robustness was probed, it has a `probe` with `part`, `n`, `clean` and `robust`; under several norms, also with
    `under`, which has the robust accuracy under each, and `robust` is the lowest of them.
    """
    rows = [row for epoch in epochs for row in _rows(epoch)]
    return {name: [row.get(name) for row in rows] for name in CURVES.columns}


def _rows(epoch: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    shared = {name: epoch[name] for name in OF_EPOCH}
    yield {"part": "all", "n": epoch["n"], **_figures(epoch), **shared}
    for number, subset in enumerate(epoch["subsets"]):
        yield {"part": "subset", "subset": number, "n": subset["n"], **_figures(subset), **shared}
    if "probe" in epoch:
        probe = epoch["probe"]
        for part, robust in probed(probe).items():
            figures = {"n": probe["n"], "accuracy": probe["clean"], "robust": robust}
            yield {"part": PROBE + part, **figures, **shared}


def probed(probe: Mapping[str, Any]) -> dict[str, float]:
    """Return the robust accuracies of a probe: of its part, or of `hold-out under L2` for each norm."""
    if "under" not in probe:
        return {probe["part"]: probe["robust"]}
    return {f"{probe['part']}{UNDER}{norm}": robust for norm, robust in probe["under"].items()}


def from_columns(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the epochs that `to_columns` was given.

    Raises:
        Unreadable: the rows are not in the order of epochs and their parts.
    """
    epochs: list[dict[str, Any]] = []
    names = list(columns)
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(names, values, strict=True))
        if row["part"] == "all":
            shared = {name: row[name] for name in OF_EPOCH}
            epochs.append({"n": row["n"], **_figures(row), "subsets": [], **shared})
        elif not epochs or epochs[-1]["epoch"] != row["epoch"]:
            raise Unreadable(f"epoch {row['epoch']} does not begin with all images")
        elif row["part"] == "subset":
            epochs[-1]["subsets"].append({"n": row["n"], **_figures(row)})
        else:
            part, _, norm = row["part"].removeprefix(PROBE).partition(UNDER)
            probe = {"part": part, "n": row["n"], "clean": row["accuracy"], "robust": row["robust"]}
            if norm:
                under = {**epochs[-1].get("probe", {}).get("under", {}), norm: row["robust"]}
                probe |= {"robust": min(under.values()), "under": under}
            epochs[-1]["probe"] = probe
    return epochs


def _figures(of: Mapping[str, Any]) -> dict[str, Any]:
    """Return those values of OF_PART that a part has; a subset without images has none."""
    return {name: of[name] for name in OF_PART if of.get(name) is not None}
