"""Keep what passes took when they were measured, in the user's cache folder: a file for each kind of device."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from satdsl import machine, user_cache
from satdsl.ir.plan import Piece
from satdsl.ir.steps import Train
from satdsl.minutes import likeness

KEPT = 9
"""Times that are kept of each measured piece: the newest."""

START = "start of a process"
STEP = "a step around its passes"
"""What is measured beside the passes: what comes before the first step, and what each step reads and writes."""


@dataclass(frozen=True)
class Device:
    """What passes run on: `kind` is that of torch; the rest is what a measured time holds for."""

    kind: str
    name: str
    cores: int
    limit: int | None
    torch: str

    @property
    def threads(self) -> str:
        """Return what the number of threads follows from, beside the network and its batches."""
        return f"{self.cores} cores" + ("" if self.limit is None else f", at most {self.limit} threads")

    @property
    def words(self) -> str:
        if self.kind != "cpu":
            return self.name
        limit = "" if self.limit is None else f", {self.limit} thread{'s' * (self.limit > 1)} a step at most"
        return f"{self.cores} core{'s' * (self.cores > 1)} of {self.name.partition(' (')[0]}{limit}"


def this_device(kind: str = "auto") -> Device:
    """Return the device that a run here would use, found without torch."""
    gpu = _gpu()
    kind = ("cuda" if gpu else "cpu") if kind == "auto" else kind
    name = machine.processor() if kind == "cpu" else (gpu or kind)
    cores, limit = machine.cores(), machine.thread_limit()
    return Device(kind.partition(":")[0], name, cores, limit if limit is not None and limit < cores else None, _torch())


def _gpu() -> str:
    """Return the name of the first GPU, as its driver for Linux says it; empty without one."""
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in file.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return ""


def _torch() -> str:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return "none"


@dataclass
class Calibrations:
    """The times of one device: seconds per pass by `likeness.of_piece`, and seconds by `START` and `STEP`."""

    device: Device
    seconds: dict[str, list[float]] = field(default_factory=dict)
    _texts: dict[tuple[int, int], tuple[Piece, Train | None, str]] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, device: Device) -> Calibrations:
        """Return what was measured before; nothing where that cannot be read."""
        try:
            found = json.loads(_file(device).read_text("utf-8"))["seconds"]
            seconds = {str(key): [float(one) for one in times if one >= 0] for key, times in found.items()}
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError):
            return cls(device)
        return cls(device, {key: times for key, times in seconds.items() if times})

    def text(self, piece: Piece, training: Train | None) -> str:
        """Return what the times of a piece are kept under. Many steps of a plan share their pieces."""
        place = id(piece), id(training)
        if place not in self._texts:
            self._texts[place] = piece, training, likeness.of_piece(piece, training, self.device.threads)
        return self._texts[place][2]

    def get(self, key: str) -> Sequence[float]:
        return self.seconds.get(key, ())

    def add(self, measured: Mapping[str, Sequence[float]]) -> None:
        """Take in new times, the newest last."""
        for key, times in measured.items():
            if times:
                self.seconds[key] = [*times][-KEPT:]

    def save(self) -> str:
        """Write them; return why that is not possible."""
        document = {"device": self.device.words, "torch": self.device.torch, "seconds": self.seconds}
        try:
            place = _file(self.device)
        except RuntimeError as error:
            return str(error)
        return user_cache.write(place, json.dumps(document, indent=1).encode())


def _file(device: Device) -> Path:
    named = json.dumps([device.kind, device.name, device.cores, device.limit, device.torch])
    return user_cache.place("times") / f"{hashlib.sha256(named.encode()).hexdigest()[:24]}.json"
