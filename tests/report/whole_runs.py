"""Run a specification with the real backend, for tests of what is read off its store."""

from __future__ import annotations

from pathlib import Path

from satdsl.compile import compile_file
from satdsl.engine.execute import ExecutionContext
from satdsl.engine.executors import LocalExecutor
from satdsl.engine.local_store import LocalStore
from satdsl.engine.run import run
from satdsl.ir.plan import Plan


def ran(spec: str, folder: Path, store: LocalStore | None = None) -> tuple[Plan, LocalStore]:
    """Return the plan of a specification, and the store that has all of it: a new one in `folder` if none is given."""
    from satdsl.backend import perform

    file = folder / "spec.sat"
    file.write_text(spec, "utf-8")
    plan, store = compile_file(file).plan, store or LocalStore(folder / "store")
    assert run(plan, store, LocalExecutor(store, ExecutionContext(perform, folder))).complete
    return plan, store
