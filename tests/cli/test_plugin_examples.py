"""`examples/plugins/`: everything of one's own, in files of a few lines, is checked, planned, run and exported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from satdsl.catalog.plugins import KINDS, in_folder, read, source_of
from tests.command_line import go_somewhere_empty, satdsl

PLUGINS = Path(__file__).parents[2] / "examples/plugins"
FILES = sorted(PLUGINS.glob("*.py"))


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_somewhere_empty(tmp_path, monkeypatch, 200)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_a_file_has_fewer_than_25_lines_and_no_findings(file: Path) -> None:
    found = read(in_folder(file, file.name, source_of))
    assert not found.findings
    assert len(found.entries) == 1
    assert len(file.read_text("utf-8").splitlines()) < 25


def test_there_is_a_file_of_every_kind() -> None:
    entries = [entry for file in FILES for entry in read(in_folder(file, file.name, source_of)).entries]
    assert {entry.family for entry in entries} == set(KINDS)


def test_the_example_runs_and_its_network_is_exported() -> None:
    spec = str(PLUGINS / "plugins.sat")
    assert satdsl("check", spec).stdout.endswith("no findings\n")
    assert satdsl("fmt", "--check", spec).exit_code == 0
    ran = satdsl("run", "--smoke", spec)
    assert ran.exit_code == 0, ran.stderr
    assert "runs" in ran.stderr
    ran = satdsl("run", spec)
    assert ran.exit_code == 0, ran.stderr
    exported = satdsl("export", spec, "robust", "--format", "safetensors", "-o", "net")
    assert exported.exit_code == 0, exported.stderr
    assert "network.py (sha256 " in exported.stderr
    assert Path("net/python/network.py").read_bytes() == (PLUGINS / "network.py").read_bytes()


@pytest.mark.skipif(find_spec("robustbench") is None, reason="robustbench is not installed: pip install robustbench")
def test_a_network_of_robustbench_is_trained() -> None:
    ran = satdsl("run", str(PLUGINS / "robustbench.sat"))
    assert ran.exit_code == 0, ran.stderr


@pytest.mark.skipif(find_spec("robustbench") is not None, reason="robustbench is installed")
def test_without_the_package_the_step_says_what_to_install() -> None:
    ran = satdsl("run", str(PLUGINS / "robustbench.sat"))
    assert ran.exit_code == 3
    assert "imports robustbench, which is not installed where the step runs" in ran.stderr
