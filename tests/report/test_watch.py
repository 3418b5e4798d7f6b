"""A report that follows a run: it is written when another process has finished a step, and stops with the last."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_results import Study, at, study_in

from satdsl.ir.plan import Display
from satdsl.report.load_report import Report
from satdsl.report.report_folder import write
from satdsl.report.run_context import RunContext, read_run_context
from satdsl.report.watch import watch

RUNS = """
import sys
from pathlib import Path
from made_up_results import rows, study_in
study = study_in(Path(sys.argv[1]))
for seed in range(3):
    sys.stdin.readline()
    study.evaluation(rows(10 + seed, 10), seed=seed)
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    made = study_in(tmp_path)
    made.axes = {"draw": ("0", "1", "2")}
    for seed in range(3):
        made.accuracy("sat.robust", made.evaluation(None, seed=seed), at=(("draw", str(seed)),))
    made.displays.append(Display("All", "rows", (at("sat.robust"),)))
    return made


def test_a_page_follows_a_run_of_another_process_to_its_end(study: Study, tmp_path: Path) -> None:
    plan, pages = study.plan, []
    running = subprocess.Popen(
        [sys.executable, "-c", RUNS, str(tmp_path)],
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )

    def look() -> RunContext:
        return read_run_context(plan, study.store)

    def written(report: Report, context: RunContext, refresh: float | None) -> None:
        pages.append(
            (context.steps_to_run, write(report, tmp_path / "out", context, refresh=refresh).read_text("utf-8"))
        )
        assert running.stdin is not None
        if context.steps_to_run:
            print(file=running.stdin, flush=True)

    watch(plan, study.store, look, written, every=0.02)
    running.communicate()
    assert running.returncode == 0
    assert len(pages) == 4
    left = [steps for steps, _ in pages]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
    assert [text.count("not run</td>") for _, text in pages] == [6, 4, 2, 0]
    following = [re.findall(r'data-refresh="0.02"|http-equiv="refresh"|Pause updates', text) for _, text in pages]
    assert [len(found) for found in following] == [3, 3, 3, 0]
    assert "Complete:" in pages[-1][1]


def test_nothing_is_written_while_nothing_changes(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, written = [], []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        watch(
            study.plan,
            study.store,
            lambda: read_run_context(study.plan, study.store),
            lambda report, context, refresh: written.append(refresh),
            every=3.0,
        )
    assert looks == [3.0] * 5
    assert written == [3.0, None]
