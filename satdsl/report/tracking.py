"""Write a plan's trainings to an experiment tracker (TensorBoard, MLflow, Weights & Biases): settings, curves, results.

A tracker's run stands for one step and carries its key, so that a training that several specifications share is
there once, and tracking it again adds what is new and nothing twice.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from satdsl.engine.store import Store
from satdsl.errors import RequestError
from satdsl.ir.experiment import RESULT_AXES
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key
from satdsl.report.curves import Curve, curves
from satdsl.report.results import Measured, measured

Metrics = Mapping[str, float]

TRACKERS = ("tensorboard", "mlflow", "wandb")


@dataclass(frozen=True)
class Run:
    """One training. `epochs` gives (completed epochs, metrics of that epoch); `results` come with their parts."""

    name: str
    key: Key
    spec: str
    settings: Mapping[str, str]
    epochs: Sequence[tuple[int, Metrics]] = ()
    results: Metrics = field(default_factory=dict)


class Tracker(Protocol):
    def put(self, run: Run) -> None:
        """Write what is not there yet."""


def runs(plan: Plan, store: Store, keys: Collection[Key] | None = None) -> list[Run]:
    """Return the stored trainings of a plan with their results, or those among `keys` without, each once.

    While a plan runs it is asked for one training at a time, so nothing is read of the others.
    """
    results: dict[Key, dict[str, float]] = defaultdict(dict)
    for one in measured(plan, store) if keys is None else ():
        if one.value is not None:
            results[plan.network_of(one.source)][_metric(one)] = one.value
    found: dict[Key, Run] = {}
    for curve in curves(plan, store, keys):
        if curve.key not in found:
            settings = flat(plan.steps[curve.key].settings_document)
            spec = plan.files[0] if plan.files else ""
            epochs = [(epoch["epoch"], _epoch(curve, epoch)) for epoch in curve.epochs]
            found[curve.key] = Run(curve.name, curve.key, spec, settings, epochs, results[curve.key])
    return list(found.values())


def flat(settings: Any, name: str = "") -> dict[str, str]:
    """Return nested settings as `recipe.lr: 0.1`."""
    if isinstance(settings, Mapping):
        pairs = [(f"{name}.{key}".lstrip("."), value) for key, value in settings.items()]
    elif isinstance(settings, list) and settings:
        pairs = [(f"{name}.{place}", value) for place, value in enumerate(settings)]
    else:
        return {name: str(settings)}
    return {key: text for inner, value in pairs for key, text in flat(value, inner).items()}


def _metric(one: Measured) -> str:
    extra = [f"{axis}:{label}" for axis, label in one.point if axis in RESULT_AXES]
    return "/".join([one.result.partition(".")[2], *extra])


def _epoch(curve: Curve, epoch: dict[str, Any]) -> Metrics:
    found = {name: epoch[name] for name in ("loss", "accuracy", "lr")}
    for name, part in zip(curve.subsets, epoch["subsets"], strict=True):
        if len(curve.subsets) > 1:
            found |= {f"{what}/{name}": part[what] for what in ("loss", "accuracy") if part.get(what) is not None}
        if part.get("attack_success") is not None:
            found[f"attack_success/{name}"] = part["attack_success"]
    if "probe" in epoch:
        found |= {f"probe/{what}": epoch["probe"][what] for what in ("clean", "robust")}
        found |= {f"probe/robust {norm}": robust for norm, robust in epoch["probe"].get("under", {}).items()}
    return {name: float(value) for name, value in found.items() if value is not None}


class TensorBoard:
    """Writes each run as a folder of scalars under `folder`, for `tensorboard --logdir`."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise _missing("tensorboard") from None
        self._writer = SummaryWriter
        self._folder = folder

    def put(self, run: Run) -> None:
        place = self._folder / f"{_file_name(run.name)}-{run.key[:8]}"
        shutil.rmtree(place, ignore_errors=True)  # scalars cannot be added to a run without being there twice
        writer = self._writer(str(place))
        for epoch, metrics in run.epochs:
            for name, value in metrics.items():
                writer.add_scalar(name, value, epoch)
        for name, value in run.results.items():
            writer.add_scalar(f"result/{name}", value, run.epochs[-1][0] if run.epochs else 0)
        about = {"key": run.key, "spec": run.spec, **run.settings}
        writer.add_text("settings", "\n".join(f"    {name}: {value}" for name, value in about.items()))
        writer.close()


class MLflow:
    """Writes each run to the tracking store at `uri`, in the experiment `experiment`."""

    def __init__(self, uri: str, experiment: str) -> None:
        try:
            from mlflow.entities import Metric, Param, RunTag
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise _missing("mlflow") from None
        self._metric, self._param, self._tag = Metric, Param, RunTag
        try:
            self._client = MlflowClient(tracking_uri=uri)
            known = self._client.get_experiment_by_name(experiment)
            self._experiment = known.experiment_id if known else self._client.create_experiment(experiment)
        except Exception as error:  # MLflow's own, its database's, the file system's
            reason = f"MLflow does not work at {uri}: {str(error).splitlines()[0]}"
            raise RequestError(reason, "choose another place with --track-to") from None

    def put(self, run: Run) -> None:
        there = self._client.search_runs([self._experiment], f"tags.`satdsl.key` = '{run.key}'")
        found = there[0] if there else self._begun(run)
        new = {f"result/{name}": value for name, value in run.results.items()}
        missing = {name: value for name, value in new.items() if name not in found.data.metrics}
        metrics = [self._metric(name, value, 0, 0) for name, value in missing.items()]
        if not there:
            metrics += [self._metric(name, value, 0, step) for step, at in run.epochs for name, value in at.items()]
        for start in range(0, len(metrics), 1000):  # as many as one call may bring
            self._client.log_batch(found.info.run_id, metrics=metrics[start : start + 1000])
        self._client.set_terminated(found.info.run_id)

    def _begun(self, run: Run) -> Any:
        tags = {"satdsl.key": run.key, "satdsl.spec": run.spec}
        made = self._client.create_run(self._experiment, tags=tags, run_name=run.name)
        params = [self._param(name, value[:500]) for name, value in run.settings.items()]
        for start in range(0, len(params), 100):
            self._client.log_batch(made.info.run_id, params=params[start : start + 100])
        return made


class WeightsAndBiases:
    """Writes each run to a project of Weights & Biases, in a group for each specification.

    The package's own settings hold: WANDB_MODE=offline writes to `folder` for a later `wandb sync`.
    """

    def __init__(self, project: str, folder: Path) -> None:
        try:
            import wandb
        except ImportError:
            raise _missing("wandb") from None
        self._wandb, self._folder = wandb, folder
        self._entity, _, name = project.rpartition("/")
        self._project = re.sub(r"[/\\#?%:]", "-", name)[:128]  # what a project's name may not have
        if os.environ.get("WANDB_MODE") not in ("offline", "disabled") and not wandb.login(prompt=False):
            raise RequestError("wandb has no API key", "run `wandb login`, or set WANDB_MODE=offline and sync later")

    def put(self, run: Run) -> None:
        marker = self._folder / "satdsl" / f"{run.key}.epochs"  # offline, nothing else knows what is there
        begun = self._wandb.init(
            entity=self._entity or None,
            project=self._project,
            id=run.key[:32],
            name=run.name,
            group=Path(run.spec).name or None,
            config={"satdsl.key": run.key, "satdsl.spec": run.spec, **run.settings},
            dir=self._folder,
            resume="allow",
            reinit="finish_previous",
            settings=self._wandb.Settings(silent=True, console="off"),
        )
        try:
            begun.define_metric("*", step_metric="epoch")
            for epoch, metrics in () if marker.exists() else run.epochs:
                begun.log({"epoch": epoch, **metrics})
            begun.summary.update({f"result/{name}": value for name, value in run.results.items()})
        finally:
            begun.finish()
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def tracker(name: str, place: str | None, folder: Path, title: str) -> Tracker:
    """Return the tracker called `name`, which writes to `place`.

    By default it writes in `folder`, MLflow where its own variable MLFLOW_TRACKING_URI says, Weights & Biases to the
    project of the specification's title; its `place` is `PROJECT` or `ENTITY/PROJECT`.

    Raises:
        RequestError: its package is not installed, or it cannot be reached.
    """
    if name == "tensorboard":
        return TensorBoard(Path(place) if place else folder / "tensorboard")
    if name == "wandb":
        return WeightsAndBiases(place or title, folder / "wandb")
    default = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve() / 'mlflow.db'}"
    return MLflow(place or default, title)


def _missing(name: str) -> RequestError:
    return RequestError(f"--track {name} needs a package that is not installed", f"pip install 'satdsl[{name}]'")


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_.=," else "_" for c in name)[:120]
