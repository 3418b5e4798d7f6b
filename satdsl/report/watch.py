"""Keep a report current while another process runs the plan."""

from __future__ import annotations

import time
from collections.abc import Callable

from satdsl.engine.store import Store
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key
from satdsl.report.load_report import Report, load_report
from satdsl.report.run_context import RunContext

INTERVAL = 5.0
"""Seconds between two looks at the store."""

ReadContext = Callable[[], RunContext]
"""Reads the context of the report anew."""

WriteReport = Callable[[Report, RunContext, float | None], None]
"""Takes a report; the third is the seconds after which its page loads itself anew, None for the last one."""


def watch(
    plan: Plan, store: Store, read_context: ReadContext, write_report: WriteReport, *, every: float = INTERVAL
) -> None:
    """Write the report now and whenever the store has another set of the plan's artifacts, until none is missing.

    An interrupt (Ctrl-C) leaves a last page that does not load itself anew, and is raised again.

    Raises:
        OSError: the report cannot be written.
        ReportError: an artifact does not hold what its kind promises.
        StoreError: the store cannot be read.
    """
    known: frozenset[Key] | None = None
    try:
        while True:
            stored = _stored_keys(plan, store)
            if stored != known:
                context = read_context()
                write_report(load_report(plan, store), context, every if context.steps_to_run else None)
                if not context.steps_to_run:
                    return
                known = stored
            time.sleep(every)
    except KeyboardInterrupt:
        if known is not None:
            write_report(load_report(plan, store), read_context(), None)
        raise


def _stored_keys(plan: Plan, store: Store) -> frozenset[Key]:
    """Return the plan's artifacts that are in the store now."""
    store.refresh()
    return store.keys() & plan.steps.keys()
