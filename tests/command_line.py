"""Run satdsl's commands in this process, from a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from satdsl.cli import app


def go_somewhere_empty(folder: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Work in `folder`, on a terminal this wide, with nothing of satdsl set in the environment."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("SATDSL_STORE", raising=False)
    monkeypatch.delenv("SATDSL_DATA", raising=False)


def satdsl(*args: str) -> Result:
    """Return what a command gives; an exception other than its exit fails the test."""
    result = CliRunner().invoke(app, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result
