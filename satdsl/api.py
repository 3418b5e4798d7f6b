"""Offer the public Python interface: a specification as an object, for scripts and notebooks.

    import satdsl

    spec = satdsl.load("examples/digits.sat", set={"eps": 0.5})
    spec.explain()
    spec.run()
    spec.results

A notebook shows what is asked for as a page, a prompt shows it as text, and everything can be read as data, too. What
is wrong with a specification is raised as a `SpecError`, whose text is the findings. Torch is imported when steps run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satdsl.compile import UnreadableFile, check_file, text_of
from satdsl.diagnostics import SpecError
from satdsl.engine.errors import StoreError
from satdsl.engine.open_store import open_store
from satdsl.engine.run import Outcome
from satdsl.engine.user_code import PythonRefused
from satdsl.ir.experiment import Experiment
from satdsl.ir.part_of_plan import UnknownName
from satdsl.ir.plan import Plan
from satdsl.notebook import Curves, Explanation, Figures, Findings, ShownFigure, Verdicts
from satdsl.plan.expand import expand
from satdsl.report.artifact_reader import ReportError

if TYPE_CHECKING:
    import pandas as pd

    from satdsl.report.load_report import Report
    from satdsl.report.results import Measured

__all__ = [
    "Curves",
    "Explanation",
    "Figures",
    "Findings",
    "Outcome",
    "Plan",
    "PythonRefused",
    "ReportError",
    "RunError",
    "Spec",
    "SpecError",
    "StoreError",
    "UnknownName",
    "UnreadableFile",
    "Verdicts",
    "load",
]

STORE, DATA = ".satdsl", "data"


class RunError(Exception):
    """Some steps of a run failed; `outcome` has all of it. What was finished is kept."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        told = [f"{one.label}: {'. '.join(filter(None, (one.reason, one.help)))}" for one in outcome.failed.values()]
        skipped = f"; {len(outcome.skipped)} more need what failed" if outcome.skipped else ""
        super().__init__("\n".join(told) + skipped)


def load(
    path: str | os.PathLike[str],
    *,
    set: Mapping[str, object] | None = None,
    store: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
) -> Spec:
    """Return the specification in a file.

    Args:
        path: a .sat file.
        set: other values for params and sweep axes, as `--set`: `{"eps": 0.5, "order": "[hardest, random]"}`.
        store: the folder that keeps every finished step; if not given `SATDSL_STORE`, else `.satdsl`.
        data: the folder that data sets lie in; if not given `SATDSL_DATA`, else `data`.

    Nothing is checked yet: what is wrong is told by `findings` and `check`, and stops everything else.

    Raises:
        UnreadableFile: there is no such file, or it is no text.
    """
    text_of(Path(path))
    return Spec(
        Path(path),
        set or {},
        str(store or os.environ.get("SATDSL_STORE") or STORE),
        Path(data or os.environ.get("SATDSL_DATA") or DATA),
    )


class Spec:
    """One specification, its plan, and what is stored of it.

    The file is read once; results, verdicts, curves and figures are read from the store each time they are asked for.
    """

    def __init__(self, path: Path, set: Mapping[str, object], store: str, data: Path) -> None:
        self.path = path
        self.overrides = {name: _as_written(value) for name, value in set.items()}
        self.store = store
        self.data = data

    def __repr__(self) -> str:
        given = "".join(f", {name}={value}" for name, value in self.overrides.items())
        return f"<satdsl {self.path}{given}>"

    # --- before anything runs --------------------------------------------------------------------

    @cached_property
    def findings(self) -> Findings:
        """All errors and warnings, none raised."""
        try:
            return Findings(self._experiment.warnings)
        except SpecError as error:
            return Findings(error.findings)

    def check(self) -> Findings:
        """Check the specification and return its warnings.

        Raises:
            SpecError: there is an error in the specification; its text is the findings.
        """
        return Findings(self._experiment.warnings)

    def explain(self) -> Explanation:
        """Return the resolved plan: sizes, weights, what is shared, what is stored, what it costs."""
        from satdsl.engine.staleness import reasons

        return Explanation(self.plan, reasons(self.plan, open_store(self.store)))

    @cached_property
    def plan(self) -> Plan:
        """The steps, results, displays and claims; SpecError where there is an error in the specification."""
        return expand(self._experiment)

    @cached_property
    def _experiment(self) -> Experiment:
        return check_file(self.path, self.overrides)

    # --- running ---------------------------------------------------------------------------------

    def run(
        self,
        *,
        store: str | os.PathLike[str] | None = None,
        data: str | os.PathLike[str] | None = None,
        only: str | Iterable[str] = (),
        device: str = "auto",
        download: bool = False,
        progress: bool = True,
        python: bool = True,
    ) -> Outcome:
        """Run the steps that are not stored yet.

        Args:
            store, data: other folders than those given to `load`, from now on.
            only: results or trainings to run, and what they need: `"sat.robust"`, `["ref", "sat[share=30%]"]`.
            device: a torch device; `auto` takes a GPU if there is one.
            download: fetch data sets that are missing.
            progress: say what happens, as `satdsl run` does.
            python: execute Python of the user's own, which the specification uses (`use "mine.py"`); if not, a run that
                would is refused.

        Raises:
            RunError: a step failed. What was finished is kept, and the next run goes on from there.
            KeyboardInterrupt: it was interrupted; the same holds.
            UnknownName: `only` names nothing.
            StoreError: the store cannot be used.
            PythonRefused: `python` is false, and the specification uses some.
        """
        self.store, self.data = str(store or self.store), Path(data or self.data)
        plan, place = self._part(only), open_store(self.store)
        from satdsl.backend import perform
        from satdsl.engine.execute import ExecutionContext
        from satdsl.engine.executors import LocalExecutor
        from satdsl.engine.run import run as run_plan
        from satdsl.engine.staleness import RUNS, reasons
        from satdsl.engine.whole_evaluations import WholeEvaluations

        if not RUNS.isdisjoint(reasons(plan, place).values()):
            from satdsl.backend.device import choose_device

            device = choose_device(device)
        with _listener(progress) as listen:
            here = LocalExecutor(place, ExecutionContext(perform, self.data, device, download))
            told = WholeEvaluations(plan, listen, place.has)
            outcome = run_plan(plan, place, here, python=python, listen=told)
        if outcome.interrupted:
            raise KeyboardInterrupt("what was finished is kept; run() goes on from there")
        if not outcome.complete:
            raise RunError(outcome)
        return outcome

    def _part(self, only: str | Iterable[str]) -> Plan:
        names = [only] if isinstance(only, str) else list(only)
        if not names:
            return self.plan
        from satdsl.ir.part_of_plan import only as part

        return part(self.plan, names)

    # --- what is stored --------------------------------------------------------------------------

    @property
    def results(self) -> pd.DataFrame:
        """A row for each result at each point: see `report.data_frames`. Needs `pip install satdsl[notebook]`."""
        from satdsl.report.data_frames import results_frame

        return results_frame(self.plan, self.measured)

    @property
    def measured(self) -> list[Measured]:
        """The results as records; `sample` has the value of every image."""
        from satdsl.report.results import measured

        return measured(self.plan, open_store(self.store))

    @property
    def verdicts(self) -> Verdicts:
        """The verdict on each claim."""
        return Verdicts(self._load_report().verdicts)

    @property
    def curves(self) -> Curves:
        """The stored trainings, epoch by epoch."""
        from satdsl.report.curves import curves

        return Curves(curves(self.plan, open_store(self.store)))

    @property
    def figures(self) -> Figures:
        """Every plot and table of the specification, in its order."""
        measured = self.measured
        return Figures(ShownFigure(display, self.plan, measured) for display in self.plan.displays)

    def report(self, folder: str | os.PathLike[str] | None = None) -> Path:
        """Write the report of what is stored into a folder (STORE/reports/NAME if not given); return its page."""
        from satdsl.report.report_folder import usual_folder, write
        from satdsl.report.run_context import read_run_context

        place = Path(folder) if folder is not None else usual_folder(self.store, self.path, self.plan.variant)
        context = read_run_context(
            self.plan, open_store(self.store), self._experiment.sources, findings=self._experiment.warnings
        )
        return write(self._load_report(), place, context)

    def _load_report(self) -> Report:
        from satdsl.report.load_report import load_report

        return load_report(self.plan, open_store(self.store))


def _as_written(value: object) -> str:
    """Return a Python value as the language writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_as_written, value))}]"
    return str(value)


def _listener(progress: bool) -> Any:
    """Return a listener that shows the run as the command does; in a notebook line by line."""
    from contextlib import nullcontext

    if not progress:
        return nullcontext(lambda event: None)
    from rich.console import Console

    from satdsl.engine.progress import progress as shown

    if Console().is_jupyter:
        # A notebook's output has no cursor to move, though the kernel asks for a terminal's colours.
        return shown(Console(force_jupyter=False, force_terminal=False))
    return shown(Console(stderr=True))
