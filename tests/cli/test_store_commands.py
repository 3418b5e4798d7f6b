"""`satdsl store` as its users meet it, and `--store` with an address."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from satdsl.cli import app
from satdsl.engine.local_store import LocalStore

TINY = """sat 1
title "Tiny"
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=32)
model m = small_cnn(width=4)
param epochs = 1
recipe r = sgd(epochs=$epochs, batch=32)
train t = m on d using r
evaluate t { clean = clean accuracy on val }
table "All" = rows(t.clean)
"""


@pytest.fixture(autouse=True)
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with the three steps of a specification."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SATDSL_STORE", raising=False)
    monkeypatch.delenv("SATDSL_DATA", raising=False)
    Path("spec.sat").write_text(TINY)
    assert satdsl("run", "spec.sat").exit_code == 0


def satdsl(*args: str) -> Result:
    result = CliRunner().invoke(app, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def key_of(kind: str) -> str:
    store = LocalStore(Path(".satdsl"))
    (key,) = [key for key in sorted(store.keys()) if store.manifest(key).kind == kind]
    return key


def test_list_names_every_step_with_its_size() -> None:
    head, *lines = satdsl("store", "list").stdout.splitlines()
    assert head.split() == ["key", "kind", "seconds", "size", "what"]
    assert sorted(line.split()[1] for line in lines) == ["data", "evaluate", "train"]
    assert any(line.endswith("train t") for line in lines)


def test_list_is_quick_with_thousands() -> None:
    key = key_of("train")
    small, large = LocalStore(Path(".satdsl")), LocalStore(Path("large"))
    text = (small.folder(key) / "manifest.json").read_text()
    for number in range(3000):
        place = large.folder(f"{number:064x}")
        place.mkdir(parents=True)
        (place / "manifest.json").write_text(text)
    started = time.process_time()
    assert len(satdsl("store", "list", "--store", "large").stdout.splitlines()) == 3001
    assert time.process_time() - started < 2


def test_show_tells_what_a_step_is_made_of_and_who_made_it() -> None:
    key = key_of("evaluate")
    text = satdsl("store", "show", key[:10]).stdout
    assert f"key       {key}" in text
    assert "made by   process " in text
    assert "took      " in text
    assert f"{key_of('train')[:12]}  train t" in text
    assert "rows.parquet" in text
    assert '"part": "val"' in text


def test_show_refuses_a_beginning_that_is_nobodys_or_several() -> None:
    nobody = satdsl("store", "show", "zz")
    assert (nobody.exit_code, "begins with `zz`" in nobody.stderr) == (2, True)
    several = satdsl("store", "show", "")
    assert (several.exit_code, "3 keys begin with" in several.stderr) == (2, True)


def test_show_of_a_damaged_manifest_says_what_to_do() -> None:
    key = key_of("data")
    (Path(".satdsl/artifacts") / key[:2] / key / "manifest.json").write_text("{")
    shown = satdsl("store", "show", key)
    assert shown.exit_code == 3
    assert "satdsl store verify" in shown.stderr


def test_gc_keeps_what_the_named_specifications_need_and_says_what_it_frees() -> None:
    assert satdsl("run", "spec.sat", "--set", "epochs=2").exit_code == 0
    would = satdsl("store", "gc", "spec.sat", "--dry-run").stdout.splitlines()
    assert would[-1].startswith("would free ")
    assert would[-1].endswith("kB: 2 artifacts, 0 leftovers")
    assert len(LocalStore(Path(".satdsl")).keys()) == 5
    did = satdsl("store", "gc", "spec.sat").stdout.splitlines()
    assert did[:-1] == would[:-1]
    assert did[-1] == would[-1].replace("would free", "freed")
    assert len(LocalStore(Path(".satdsl")).keys()) == 3
    assert "nothing to run: 3 steps stored" in satdsl("run", "spec.sat").stderr
    assert satdsl("store", "gc", "spec.sat").stdout == "freed 0 B: 0 artifacts, 0 leftovers\n"


def test_gc_needs_a_specification() -> None:
    assert satdsl("store", "gc").exit_code == 2
    assert len(LocalStore(Path(".satdsl")).keys()) == 3


def test_gc_of_a_wrong_specification_deletes_nothing() -> None:
    Path("wrong.sat").write_text("sat 1\nmodel m = no_such()\n")
    assert satdsl("store", "gc", "wrong.sat").exit_code == 1
    assert len(LocalStore(Path(".satdsl")).keys()) == 3


def test_a_specifications_results_go_elsewhere_as_one_file() -> None:
    assert satdsl("run", "spec.sat", "--set", "epochs=2").exit_code == 0
    exported = satdsl("store", "export", "spec.sat", "-o", "results.tar")
    assert exported.stdout.startswith("results.tar: 3 artifacts, ")
    imported = satdsl("store", "import", "results.tar", "--store", "elsewhere")
    assert imported.stdout == "3 artifacts imported, 0 stored before\n"
    here, there = (satdsl("results", "spec.sat", "--store", place).stdout for place in (".satdsl", "elsewhere"))
    assert here == there
    assert "nothing to run: 3 steps stored" in satdsl("run", "spec.sat", "--store", "elsewhere").stderr


def test_export_says_what_is_not_stored_and_refuses_where_nothing_is() -> None:
    LocalStore(Path(".satdsl")).remove(key_of("evaluate"))
    assert "2 artifacts" in satdsl("store", "export", "spec.sat", "-o", "results.tar").stdout
    nothing = satdsl("store", "export", "spec.sat", "-o", "none.tar", "--store", "absent")
    assert (nothing.exit_code, "run it first" in nothing.stderr) == (3, True)
    assert not Path("absent").exists()
    assert not Path("none.tar").exists()


def test_import_of_something_else_is_a_failure_that_says_so() -> None:
    refused = satdsl("store", "import", "spec.sat", "--store", "elsewhere")
    assert refused.exit_code == 3
    assert "no file of `satdsl store export`" in refused.stderr


def test_a_store_may_be_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATDSL_STORE", "memory://for-the-command-line")
    assert satdsl("run", "spec.sat").exit_code == 0
    assert "nothing to run: 3 steps stored" in satdsl("run", "spec.sat").stderr
    assert Path("reports/spec/report.html").exists()
    assert len(satdsl("store", "list").stdout.splitlines()) == 4
    assert satdsl("store", "verify").stdout == "3 artifacts sound, 0 damaged\n"
    plan = json.loads(satdsl("explain", "spec.sat", "--format", "json").stdout)
    assert plan["totals"]["to_run"] == 0
    several = satdsl("run", "spec.sat", "--set", "epochs=3", "--jobs", "2")
    assert (several.exit_code, "in this process's memory" in several.stderr) == (3, True)


def test_an_address_that_cannot_be_a_store_is_a_failure_that_says_so() -> None:
    refused = satdsl("run", "spec.sat", "--store", "nowhere://x")
    assert refused.exit_code == 3
    assert "no address of a store" in refused.stderr
