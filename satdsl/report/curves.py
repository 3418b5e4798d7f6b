"""Read the training curves of a plan: what happened in each epoch of its stored trainings."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from satdsl.artifacts.epochs import PROBE, UNDER, probed
from satdsl.artifacts.parquet import Unreadable
from satdsl.artifacts.tables import read_curves
from satdsl.catalog.overfitting_probe import DROP
from satdsl.engine.errors import Damaged
from satdsl.engine.store import Store
from satdsl.ir.plan import Plan, Point
from satdsl.ir.steps import Key
from satdsl.report.artifact_reader import ReportError
from satdsl.report.csv_text import csv_text
from satdsl.report.number_text import name_at
from satdsl.show.table import Column, Row, Table, Value, count, numeric

COLUMNS = (
    *("training", "point", "epoch", "part", "n", "loss", "accuracy", "attack_success", "robust", "lr"),
    "images_per_second",
)
"""The columns of the CSV file."""

MOST_EPOCHS = 25
"""Epochs of a training that a table for people has at most; CSV and JSON have all."""

MOST_CANDIDATES = 8
"""Epochs to choose from that it has in any case, if there are no more."""


PROBED = {"hold-out": "hold-out", "train": "training set"}
"""What the parts are called that the probe looks at."""


@dataclass(frozen=True)
class Curve:
    """One training: `epochs` as `artifacts.epochs` has them, and the names of its subsets in the order there."""

    training: str
    point: Point
    key: Key
    subsets: tuple[str, ...]
    epochs: Sequence[dict[str, Any]]
    chosen: int
    selection: Mapping[str, Any] = field(default_factory=dict)
    """What `selection.json` says besides of how the epoch was chosen."""

    @property
    def name(self) -> str:
        """`sat[order=hardest, share=30%]`"""
        return name_at(self.training, self.point)

    @property
    def candidates(self) -> dict[int, Value]:
        """How many of the hold-out's images are right after each epoch that could be chosen.

        `≤ 41.2` is an upper bound: that candidate was not attacked to the end, since it could not win any more.
        """
        return {
            one["epoch"]: Value("≤ " * one.get("at_most", False) + f"{100 * one['value']:.1f}", one["value"])
            for one in self.selection.get("candidates", ())
        }

    @property
    def drop(self) -> dict[str, Any] | None:
        """The first epoch that is `DROP` less robust than one before, under one norm: catastrophic overfitting.

        It has `epoch`, the `part` and `n` of the probe, and what its robust accuracy was `before` and is `now`.
        """
        best: dict[str, float] = {}
        for epoch in self.epochs:
            for part, robust in probed(epoch["probe"]).items() if "probe" in epoch else ():
                before = best.get(part, 0.0)
                if robust <= before - DROP:
                    n = epoch["probe"]["n"]
                    return {"epoch": epoch["epoch"], "part": part, "n": n, "before": before, "now": robust}
                best[part] = max(before, robust)
        return None


def curves(plan: Plan, store: Store, keys: Collection[Key] | None = None) -> list[Curve]:
    """Return the curve of every training and transfer of the plan, or of these `keys`, that is stored, point by point.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
    """
    found = []
    # Of splits that are one step the first gives the names.
    names = {facts.key: tuple(facts.subsets[i].name for i in facts.order) for facts in reversed(plan.splits)}
    for name, points in plan.named.items():
        for point, key in points:
            if keys is not None and key not in keys:
                continue
            try:
                folder = store.fetch(key)
            except Damaged:
                continue
            try:
                epochs = read_curves(folder)
                selection = json.loads((folder / "selection.json").read_text("utf-8"))
                chosen = selection.pop("chosen")
            except Unreadable as error:
                raise ReportError(str(error)) from error
            except (OSError, ValueError, KeyError) as error:
                raise ReportError(f"{folder} does not tell which epoch was chosen ({error!r})") from error
            if epochs:
                split = dict(plan.steps[key].inputs).get("split", "")
                found.append(Curve(name, point, key, names.get(split, ("all",)), epochs, chosen, selection))
    return found


def finite(value: float | None, scale: float = 1.0) -> float | None:
    """Return a number of an epoch times `scale`; None where there is none to draw."""
    return None if value is None or not math.isfinite(value) else value * scale


def to_csv(found: Sequence[Curve]) -> str:
    """Return a line for each epoch and part: `all`, each subset, and the images of the robustness probe."""
    return csv_text(COLUMNS, curve_records(found))


def curve_records(found: Sequence[Curve]) -> Iterator[dict[str, Any]]:
    """Give a record for each epoch and part, with None for what a part does not have."""
    for curve in found:
        training = {"training": curve.training, "key": curve.key, "point": curve.point}
        for epoch in curve.epochs:
            shared = {"epoch": epoch["epoch"], "lr": epoch["lr"], "images_per_second": round(_speed(epoch), 1)}
            for part in _parts(curve, epoch):
                yield training | part | shared


def _parts(curve: Curve, epoch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if len(curve.subsets) > 1:
        yield _part("all", epoch)
    for name, part in zip(curve.subsets, epoch["subsets"], strict=True):
        yield _part(name, part)
    if "probe" in epoch:
        probe = epoch["probe"]
        for part, robust in probed(probe).items():
            yield {"part": PROBE + part, "n": probe["n"], "accuracy": probe["clean"], "robust": robust}


def _part(name: str, of: dict[str, Any]) -> dict[str, Any]:
    return {"part": name} | {what: of[what] for what in ("n", "loss", "accuracy", "attack_success") if what in of}


def to_json(found: Sequence[Curve]) -> str:
    """Return one document: a list of trainings with all of their epochs, subsets by name."""
    document = [
        {
            "training": curve.training,
            "point": dict(curve.point),
            "key": curve.key,
            "chosen": curve.chosen,
            "selection": curve.selection,
            "epochs": [
                epoch
                | {"subsets": dict(zip(curve.subsets, epoch["subsets"], strict=True))}
                | {"images_per_second": round(_speed(epoch), 1)}
                for epoch in curve.epochs
            ],
        }
        for curve in found
    ]
    return json.dumps({"format_version": 1, "trainings": document}, indent=2, ensure_ascii=False) + "\n"


def summary_table(found: Sequence[Curve]) -> Table:
    """Return a row for each training: what its last epoch was like. Shares are in percent."""
    rows: list[Row] = []
    for curve in found:
        last = curve.epochs[-1]
        attacked = [part for part in last["subsets"] if "attack_success" in part]
        fooled = sum(part["n"] * part["attack_success"] for part in attacked) / max(last["attacked"], 1)
        rows.append(
            (
                curve.name,
                count(len(curve.epochs)),
                count(curve.chosen),
                _loss(last["loss"]),
                _percent(last["accuracy"]),
                _percent(fooled if attacked else None),
                *_probe(last),
                _speed_value(last),
            )
        )
    shares = numeric("right", "fooled", "probe\nclean", "probe\nrobust", unit="%")
    columns = [Column("training"), *numeric("epochs", "chosen", "loss"), *shares, *numeric("images/s")]
    return Table(columns, rows, "Trainings, last epoch (%)")


def curve_table(curve: Curve) -> Table:
    """Return a row for each epoch; of many, for `MOST_EPOCHS`, evenly spaced, and for the last and the chosen one."""
    probed, candidates = any("probe" in epoch for epoch in curve.epochs), curve.candidates
    rows: list[Row] = []
    for epoch in _spaced(curve):
        mark = "*" if epoch["epoch"] == curve.chosen and curve.chosen != len(curve.epochs) else ""
        rows.append(
            (
                Value(f"{mark}{epoch['epoch']}", epoch["epoch"]),
                Value(f"{epoch['lr']:.3g}", epoch["lr"]),
                *(cell for part in epoch["subsets"] for cell in _cells(part)),
                *(_probe(epoch) if probed else ()),
                *([candidates.get(epoch["epoch"], Value(""))] if candidates else ()),
                _speed_value(epoch),
            )
        )
    probes = ("probe\nclean", "probe\nrobust") if probed else ()
    heads = ("epoch", "lr", *_heads(curve), *probes, *(("hold-\nout",) if candidates else ()), "images/s")
    title = f"{curve.name} (right, fooled, clean, robust in %)"
    return Table(numeric(*heads), rows, title, notes=[*_left_out(curve, len(rows)), *_selected(curve)])


def _left_out(curve: Curve, shown: int) -> list[str]:
    """Return which epochs have no row, and where they are; nothing where all have one."""
    if shown == len(curve.epochs):
        return []
    candidates = ", those to choose from" if 0 < len(curve.candidates) <= MOST_CANDIDATES else ""
    return [
        f"{shown} of {len(curve.epochs)} epochs have a row: {MOST_EPOCHS} evenly spaced{candidates} and the chosen "
        "one; --format csv has all"
    ]


def columns_in_words(found: Sequence[Curve]) -> list[str]:
    """Return what the columns of these curves' tables mean: on which images, in which unit."""
    parts = [part for curve in found for epoch in curve.epochs for part in epoch["subsets"]]
    probe = next((epoch["probe"] for curve in found for epoch in curve.epochs if "probe" in epoch), None)
    marked = any(curve.chosen != len(curve.epochs) for curve in found)
    lines = [
        "lr: learning rate in the middle of the epoch. Under the name of each subset:",
        "loss, right: mean loss in nats, and % of its training images that are right, as the network learns from them "
        "(augmented, attacked)",
    ]
    if any("attack_success" in part for part in parts):
        lines.append("fooled: % of its adversarial training images that are taken for another class")
    if probe is not None:
        images = f"{probe['n']:,} images of the {PROBED[probe['part'].partition(UNDER)[0]]}"
        lines.append(f"probe: % right after the epoch, clean and under a short PGD, of {images}")
    if marked:
        lines.append("*: the epoch that was chosen; where none is marked, the last one was")
    return [*lines, "images/s: training images per second"]


def _selected(curve: Curve) -> list[str]:
    """Return what the candidates' numbers are, and whether some of them are only bounds."""
    if not curve.candidates:
        return []
    bounds = any(one.get("at_most") for one in curve.selection["candidates"])
    more = "; ≤: not attacked to the end, since it could not win any more" if bounds else ""
    return [f"hold-out: {curve.selection['measure']} in %, of the epochs to choose from{more}"]


def _heads(curve: Curve) -> list[str]:
    heads = []
    for name, part in zip(curve.subsets, curve.epochs[-1]["subsets"], strict=True):
        heads += [f"{name}\nloss", f"{name}\nright"]
        if "attack_success" in part:
            heads.append(f"{name}\nfooled")
    return heads


def _cells(part: dict[str, Any]) -> list[Value]:
    if not part["n"]:
        return [_percent(None)] * 2
    fooled = [_percent(part["attack_success"])] if "attack_success" in part else []
    return [_loss(part["loss"]), _percent(part["accuracy"]), *fooled]


def _probe(epoch: dict[str, Any]) -> list[Value]:
    return [_percent(epoch.get("probe", {}).get(what)) for what in ("clean", "robust")]


def _loss(loss: float) -> Value:
    return Value(f"{loss:.3f}", loss)


def _percent(share: float | None) -> Value:
    return Value("" if share is None else f"{100 * share:.1f}", share)


def _speed_value(epoch: dict[str, Any]) -> Value:
    return Value(f"{_speed(epoch):,.0f}", _speed(epoch))


def _speed(epoch: dict[str, Any]) -> float:
    """Return how many training images were used per second."""
    return float(epoch["n"] / epoch["seconds"]) if epoch["seconds"] else 0.0


def _spaced(curve: Curve) -> list[dict[str, Any]]:
    n, candidates = len(curve.epochs), list(curve.candidates)
    kept = {
        n,
        curve.chosen,
        *(candidates if len(candidates) <= MOST_CANDIDATES else ()),
        *(round(1 + i * (n - 1) / (MOST_EPOCHS - 1)) for i in range(MOST_EPOCHS)),
    }
    return [epoch for epoch in curve.epochs if n <= MOST_EPOCHS or epoch["epoch"] in kept]
