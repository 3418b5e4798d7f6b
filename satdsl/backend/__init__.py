"""One step and its inputs to one artifact, with PyTorch.

`perform` is all that the engine calls. Everything that costs an import of torch is imported when a step runs.
"""

from __future__ import annotations

from importlib import import_module

from satdsl.ir.steps import Step
from satdsl.ir.work import Work

MODULES = {
    "data": "data",
    "train": "train",
    "score": "score",
    "split": "split",
    "evaluate": "evaluate",
    "head": "head",
}
"""The module of this package whose function `perform` does each kind of step."""


def perform(step: Step, work: Work) -> None:
    """Do `step`: write its artifact's files into the empty folder `work.out`.

    On one kind of CPU, with the same number of threads and the same version of torch, the same step gives the same
    bits, whether or not it was killed and started again with the same `work.scratch`. The global random state is
    left as it was. Raises `StepError` for what the user can mend.
    """
    module = import_module(f"{__name__}.{MODULES[step.kind]}")
    module.perform(step, work)
