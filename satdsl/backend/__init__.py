"""Perform the steps of a plan with PyTorch.

`perform` is all that the engine calls. torch is slow to import, so it is imported when the first step runs.
"""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module

from satdsl.ir.steps import Step
from satdsl.ir.work import Work

# A thread that has nothing to do yet sleeps. By default it spins, which takes the core from the thread it waits for
# where other programs want the cores too. OpenMP reads this when torch is loaded, and only modules of this package
# load torch, so it holds in every process that computes. Processes started from here inherit it.
# Intel's runtime has a time of its own for which it spins.
if os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE").upper() == "PASSIVE":
    os.environ.setdefault("KMP_BLOCKTIME", "0")

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
    """Perform `step`: write the files of its artifact into the empty folder `work.out`.

    On one kind of CPU, with the same number of cores and the same version of torch, the same step gives the same bits,
    whatever else runs, and whether or not it was killed and started again with the same `work.scratch`. The global
    random state is left as it was.

    Raises:
        StepError: Something is wrong that the user can mend.
    """
    names = MODULES[step.kind], "plugins", "threads", "memory", "counted_passes"
    module, plugins, threads, memory, counted_passes = (import_module(f"{__name__}.{name}") for name in names)
    with plugins.session(step, work) as work, memory.kept(), threads.computing(step, work) as computation:
        work.computed(computation)
        with counted_passes.counted() as made:
            module.perform(step, work)
    if work.devices == 1:
        work.computed(replace(computation, passes=made.passes))
