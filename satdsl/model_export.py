"""Export a trained network of a specification to a folder of its own that works without satdsl."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from satdsl.compile import Compiled
from satdsl.engine.errors import Damaged
from satdsl.engine.store import Store
from satdsl.errors import RequestError, UserError
from satdsl.hints import did_you_mean, listed
from satdsl.ir.experiment import EPOCH
from satdsl.ir.part_of_plan import parse_point
from satdsl.ir.plan import Plan, Point
from satdsl.ir.steps import Key, Train
from satdsl.records import Record, record
from satdsl.report.number_text import name_at
from satdsl.syntax.read import read
from satdsl.version import __version__

EXPORTED_FILES = frozenset(
    {"model.pt2", "model.safetensors", "model.py", "model.onnx", "model.json", "README.md", "python"}
)
"""All that an export can leave in its folder. One that holds anything else is never replaced."""


class NotTrained(UserError):
    """The network is not in the store, or is damaged there; `name` is what to run."""

    def __init__(self, reason: str, name: str) -> None:
        super().__init__(reason)
        self.name = name


@record
class ExportedNetwork(Record):
    """A training or transfer at a point; `epoch` is the one whose weights are meant, None for the chosen ones."""

    trained: str
    point: Point
    key: Key
    epoch: int | None = None

    @property
    def name(self) -> str:
        """`sat[order=hardest, share=30%]`"""
        return name_at(self.trained, self.point if self.epoch is None else (*self.point, (EPOCH, str(self.epoch))))


def export(compiled: Compiled, requested: str, form: str, place: Path, store: Store, *, force: bool) -> ExportedNetwork:
    """Write the network that `requested` names into the folder `place`, with its model card.

    Raises:
        UserError: it cannot be, for a reason that the user can mend.
    """
    from satdsl.backend import export as backend
    from satdsl.report import model_card

    network = find_network(compiled, requested)
    _check_place(place, force)
    try:
        if not store.recheck(network.key):
            raise NotTrained(f"`{network.name}` is not trained yet", network.name)
        artifact = store.fetch(network.key)
        about = model_card.trained_document(compiled.plan, store, network.key, network.epoch)
        with _replaced_folder(place) as folder:
            settings = backend.write(artifact, form, folder, network.epoch)
            model_card.write(_document(compiled, network, form, settings, about), folder)
    except Damaged as damaged:
        raise NotTrained(f"something that `{network.name}` needs is damaged: {damaged}", network.name) from None
    return network


# --- which network -------------------------------------------------------------------------------


def find_network(compiled: Compiled, requested: str) -> ExportedNetwork:
    """Return the training or transfer that a name with a point in brackets means; `RequestError` unless it is one."""
    plan = compiled.plan
    name, at = parse_point(requested)
    points = plan.named.get(name)
    if not points:
        raise RequestError(*_unknown_name(compiled, name))
    epoch = at.pop(EPOCH) if EPOCH in at and EPOCH not in dict(points[0][0]) else None
    for axis, label in at.items():
        _check_label(plan, name, points, axis, label)
    found = [(point, key) for point, key in points if at.items() <= dict(point).items()]
    if not found:
        raise RequestError(f"`{name}` does not exist at this point", "pick one that is in the sweep")
    if len({key for _, key in found}) > 1:
        left = {axis: label for axis, label in found[0][0] if len({dict(point)[axis] for point, _ in found}) > 1}
        values = "; ".join(f"{axis} ({listed(plan.axes[axis], 10)})" for axis in left)
        whole = ", ".join(f"{axis}={label}" for axis, label in (at | left).items())
        raise RequestError(f"`{requested}` still varies with {values}", f"pick one: '{name}[{whole}]'")
    point, key = found[0]
    return ExportedNetwork(name, point, key, None if epoch is None else _epoch(plan, name_at(name, point), key, epoch))


def _epoch(plan: Plan, name: str, key: Key, label: str) -> int | None:
    """Return the epoch whose kept weights are meant, None where these are the ones that the training leaves."""
    settings = plan.steps[key].settings
    if not isinstance(settings, Train):
        raise RequestError(f"`{name}` is a transfer, and keeps the weights of its last epoch only", "leave `epoch` out")
    if settings.select is None and label == str(settings.recipe["epochs"]):
        return None
    kept = [str(epoch) for epoch in settings.keep_weights]
    if label not in kept:
        help = f"it keeps those of {listed(kept, 10)}" if kept else "add `keep weights every 5 epochs` to the training"
        raise RequestError(f"`{name}` keeps no weights of an epoch {label}", help)
    return int(label)


def _unknown_name(compiled: Compiled, name: str) -> tuple[str, str]:
    known = list(compiled.plan.named)
    if name in {*compiled.experiment.trainings, *compiled.experiment.transfers}:
        return f"nothing in the specification uses `{name}`, so it is not trained", f"add `evaluate {name} {{ ... }}`"
    help = did_you_mean(name, known) or (f"there are {', '.join(known)}" if known else "the specification trains none")
    return f"no training or transfer is called `{name}`", str(help)


def _check_label(plan: Plan, name: str, points: tuple[tuple[Point, Key], ...], axis: str, label: str) -> None:
    axes = list(dict(points[0][0]))
    if axis not in axes:
        help = did_you_mean(axis, axes) or (f"it depends on {', '.join(axes)}" if axes else "it depends on no axis")
        raise RequestError(f"`{name}` does not depend on an axis `{axis}`", str(help))
    if label not in plan.axes[axis]:
        help = did_you_mean(label, plan.axes[axis]) or f"its values are {listed(plan.axes[axis], 10)}"
        raise RequestError(f"axis `{axis}` has no value `{label}`", str(help))


# --- where to ------------------------------------------------------------------------------------


def _check_place(place: Path, force: bool) -> None:
    """Raise `RequestError` if the place holds something that must not be overwritten."""
    if place.exists() and not place.is_dir():
        raise RequestError(f"{place} is a file", "give a folder to write to")
    there = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    foreign = [name for name in there if name not in EXPORTED_FILES]
    if foreign:
        raise RequestError(f"{place} holds other files ({listed(foreign, 10)})", "give a new or an empty folder")
    if there and not force:
        raise RequestError(f"{place} holds an export already", "overwrite it with --force, or give another folder")


@contextmanager
def _replaced_folder(place: Path) -> Iterator[Path]:
    """Give a folder to write to, which takes the place of `place` when all of it is written."""
    place = place.absolute()
    fresh, old = (place.with_name(f".{place.name}.{os.getpid()}.{what}") for what in ("new", "old"))
    try:
        fresh.mkdir(parents=True)
        yield fresh
        if place.exists():
            place.rename(old)
        try:
            fresh.rename(place)
        except OSError:
            if old.exists():
                old.rename(place)
            raise
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror or error}", "give another folder") from error
    finally:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)


# --- what is written about it --------------------------------------------------------------------


def _document(
    compiled: Compiled, network: ExportedNetwork, form: str, settings: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    from satdsl.report.model_card import FORMAT

    return {
        "format_version": FORMAT,
        "format": form,
        "model": network.name,
        "name": network.trained,
        "point": dict(network.point),
        "title": compiled.plan.title,
        "file": Path(compiled.plan.files[0]).name,
        "statement": _statement(compiled, network.trained),
        "network": dict(settings),
        **about,
        "exported": {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "satdsl": __version__,
            "torch": metadata.version("torch"),
        },
    }


def _statement(compiled: Compiled, name: str) -> str:
    """Return the text that declares a training or transfer."""
    for source in compiled.experiment.sources:
        for statement in read(source)[0].statements:
            if getattr(getattr(statement, "name", None), "text", None) == name:
                return statement.span.text
    return ""
