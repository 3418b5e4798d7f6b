"""The command line as its users meet it: exit codes, what is printed where, and that nothing ends in a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from satdsl import __version__
from satdsl.cli import app
from tests.command_line import go_somewhere_empty, satdsl

ROOT = Path(__file__).parents[2]
DIGITS = str(ROOT / "examples/digits.sat")

TINY = """sat 1
title "Tiny"
dataset d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=32)
model m = small_cnn(width=4)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
param epochs = 1
recipe r = sgd(epochs=$epochs, batch=32)
train t = m on d using r
evaluate t { clean = clean accuracy on val; robust = robust accuracy under p on val }
table "All" = rows(t.clean, t.robust)
"""
HOLDS = 'expect "it is an accuracy": t.clean <= 100% and t.clean >= -1%\n'
FAILS = 'expect "it is a miracle": t.clean > 200%\n'
WARNS = TINY + "sweep { idle = [1, 2] }\n"
WRONG = "sat 1\ndataset d = digits()\nmodel m = smal_cnn()\n"


@pytest.fixture(autouse=True)
def somewhere_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_somewhere_empty(tmp_path, monkeypatch, columns=400)


def spec(text: str, name: str = "spec.sat") -> str:
    Path(name).write_text(text, "utf-8")
    return name


def process(*args: str, python: tuple[str, ...] = ("-m", "satdsl"), **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *python, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
    )


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- check ---


def test_check_of_a_fine_file_says_so():
    result = satdsl("check", spec(TINY))
    assert (result.exit_code, result.stdout) == (0, "spec.sat: no findings\n")


def test_check_of_a_file_with_errors_shows_them_and_exits_1():
    result = satdsl("check", spec(WRONG))
    assert result.exit_code == 1
    assert "spec.sat:3:11" in result.stdout
    assert "did you mean `small_cnn`?" in result.stdout
    assert result.stdout.endswith("1 error\n")


def test_warnings_are_shown_and_count_as_errors_only_under_strict():
    assert satdsl("check", spec(WARNS)).exit_code == 0
    assert "E707" in satdsl("check", "spec.sat").stdout
    assert satdsl("check", "--strict", "spec.sat").exit_code == 1
    assert satdsl("check", "--strict", spec(TINY)).exit_code == 0


def test_several_files_are_checked_in_one_run():
    files = [spec(TINY, "a.sat"), spec(WRONG, "b.sat"), spec(WARNS, "c.sat")]
    result = satdsl("check", *files)
    assert result.exit_code == 1
    assert "b.sat:3:11" in result.stdout
    assert "c.sat:11:9" in result.stdout
    assert result.stdout.endswith("1 error, 1 warning\n")
    assert satdsl("check", "a.sat", spec(TINY + HOLDS, "d.sat")).stdout == "a.sat, d.sat: no findings\n"


def test_an_unreadable_file_does_not_hide_what_is_wrong_with_the_others():
    result = satdsl("check", spec(WRONG, "b.sat"), "missing.sat")
    assert result.exit_code == 2
    assert "missing.sat" in result.output
    assert "b.sat:3:11" in result.output


def test_check_as_json_has_what_an_editor_needs():
    result = satdsl("check", "--format", "json", spec(WRONG, "a.sat"), spec(WARNS, "b.sat"))
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["format_version"] == 1
    wrong, idle = document["findings"]
    assert wrong == {
        "code": "E202",
        "severity": "error",
        "file": "a.sat",
        "line": 3,
        "column": 11,
        "end_line": 3,
        "end_column": 19,
        "message": "there is no model called `smal_cnn`",
        "reason": "",
        "help": "did you mean `small_cnn`?",
        "related": [],
        "fix": {
            "title": "write `small_cnn`",
            "edits": [{"file": "a.sat", "line": 3, "column": 11, "end_line": 3, "end_column": 19, "text": "small_cnn"}],
        },
        "accepted": None,
    }
    assert (idle["code"], idle["severity"], idle["file"]) == ("E707", "warning", "b.sat")
    assert json.loads(satdsl("check", "--format", "json", spec(TINY)).stdout)["findings"] == []


def test_a_finding_s_related_places_are_in_the_json():
    satdsl("check", spec(TINY + "model m = small_cnn()\n"))
    (finding,) = json.loads(satdsl("check", "--format", "json", "spec.sat").stdout)["findings"]
    assert finding["line"] == 11
    assert [(place["file"], place["line"]) for place in finding["related"]] == [("spec.sat", 4)]


# --- files that cannot be read ---


@pytest.mark.parametrize("command", ["check", "explain", "run", "results", "data"])
@pytest.mark.parametrize("kind", ["missing", "directory", "binary", "latin", "null"])
def test_a_file_that_cannot_be_read_is_wrong_usage(command, kind):
    path = Path(f"{kind}.sat")
    match kind:
        case "directory":
            path.mkdir()
        case "binary":
            path.write_bytes(bytes(range(256)))
        case "latin":
            path.write_bytes('title "é"'.encode("latin-1"))
        case "null":
            path.write_bytes(b"sat 1\n\0")
    result = satdsl(command, str(path))
    assert result.exit_code == 2
    assert f"{path} cannot be read: " in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_wrong_usage():
    Path(spec(TINY)).chmod(0)
    assert satdsl("check", "spec.sat").exit_code == 2


def test_a_used_file_that_cannot_be_read_is_a_finding():
    Path("folder").mkdir()
    result = satdsl("check", spec('sat 1\nuse "folder"\nuse "missing.sat"\n'))
    assert result.exit_code == 1
    assert result.stdout.count("E306") == 2


def test_an_empty_file_is_fine_and_runs_nothing():
    assert satdsl("check", spec("")).exit_code == 0
    assert satdsl("explain", "spec.sat").exit_code == 0


# --- wrong usage ---


@pytest.mark.parametrize("given", ["eps", "=1", "eps=", "1a=2", "e p=2", "$eps=1", ""])
def test_set_takes_a_name_and_a_value(given):
    result = satdsl("check", spec(TINY), "--set", given)
    assert result.exit_code == 2
    assert "--set takes NAME=VALUE" in result.stderr


def test_set_of_an_unknown_name_is_a_finding_with_a_hint():
    result = satdsl("check", spec(TINY), "--set", "epoch=2")
    assert result.exit_code == 1
    assert "did you mean `epochs`?" in result.stdout


def test_set_to_what_is_no_value_is_a_finding_at_the_command_line():
    result = satdsl("check", spec(TINY), "--set", "epochs=2 +")
    assert result.exit_code == 1
    assert "--set epochs" in result.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["explain"],
        ["check"],
        ["explain", DIGITS, "--format", "xml"],
        ["explain", DIGITS, "--only", "nobody.clean"],
        ["explain", DIGITS, "--only", "sat[order=harder]"],
        ["run", DIGITS, "--device", "nonsense"],
        ["catalog", "nonsense"],
        ["check", DIGITS, "--strictly"],
    ],
)
def test_wrong_usage_exits_2_and_leaves_nothing_behind(args):
    result = satdsl(*args)
    assert result.exit_code == 2
    assert result.stderr
    assert "Traceback" not in result.output
    assert files_below(Path()) == []


@pytest.mark.parametrize("command", ["explain", "results", "run"])
def test_a_store_that_is_no_folder_is_a_failure_that_says_so(command):
    Path("store").write_text("")
    result = satdsl(command, spec(TINY), "--store", "store")
    assert result.exit_code == 3
    assert "store" in result.stderr


def test_text_that_the_terminal_cannot_show_is_replaced():
    started = process("explain", DIGITS, PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    _, errors = started.communicate(timeout=60)
    assert (started.returncode, errors) == (0, "")


# --- what only looks ---


def test_the_version_is_printed():
    assert satdsl("--version").stdout == f"satdsl {__version__}\n"


def test_the_catalog_is_shown_whole_by_family_and_by_entry():
    whole, family, entry = (satdsl("catalog", *name) for name in ([], ["attack"], ["pgd"]))
    assert {whole.exit_code, family.exit_code, entry.exit_code} == {0}
    assert all(name in whole.stdout for name in ("CIFAR10", "pgd", "sgd", "entropy", "line"))
    assert "autoattack" in family.stdout
    assert "random_start" in entry.stdout
    assert json.loads(satdsl("catalog", "pgd", "--format", "json").stdout)


def test_an_unknown_catalog_entry_gets_a_hint():
    result = satdsl("catalog", "pdg")
    assert result.exit_code == 2
    assert "did you mean pdpgd or pgd?" in result.stderr


@pytest.mark.parametrize(
    "args",
    [["explain", "spec.sat"], ["results", "spec.sat"], ["store", "list"], ["store", "verify"], ["check", "spec.sat"]],
)
def test_looking_writes_nothing(args):
    spec(TINY)
    where = [] if args[0] == "check" else ["--store", "absent"]
    assert satdsl(*args, *where).exit_code == 0
    assert files_below(Path()) == ["spec.sat"]
    assert not Path("absent").exists()


@pytest.mark.parametrize(
    ("args", "absent"),
    [
        (["check", DIGITS], ["torch", "torchvision", "numpy", "pyarrow", "sklearn"]),
        (["explain", DIGITS], ["torch", "torchvision", "numpy", "pyarrow", "sklearn"]),
        (["catalog"], ["torch", "torchvision", "numpy", "pyarrow", "sklearn"]),
        (["--help"], ["torch", "torchvision", "numpy", "pyarrow", "sklearn", "lark", "yaml"]),
        (["results", DIGITS], ["torch", "torchvision", "sklearn"]),
    ],
    ids=lambda given: given[0],
)
def test_what_does_not_run_imports_nothing_heavy(args, absent):
    started = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "satdsl", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=True,
    )
    imported = set(re.findall(r"^import time:.*\| +(\w+)$", started.stderr, re.MULTILINE))
    assert "typer" in imported
    assert not imported & set(absent)


# --- run ---


def test_what_is_to_be_doubted_about_a_result_is_told_after_the_run_in_results_and_in_the_report():
    # A learning rate far too high: the logits become so large that most images have no gradient.
    text = TINY.replace(
        "d = synthetic(classes=4, shape=[1, 8, 8], train=64, val=32)", "d = digits(limit=300, limit_val=100)"
    )
    spec(text.replace("batch=32", "batch=32, lr=3, momentum=0.9").replace("epochs = 1", "epochs = 6"))
    told = "warning: t.robust: the gradient of the cross-entropy is exactly zero on "
    run = satdsl("run", "spec.sat")
    assert run.exit_code == 0
    assert told in run.stdout
    assert told in satdsl("results", "spec.sat").stdout
    (warning,) = json.loads(satdsl("results", "spec.sat", "--format", "json").stdout)["warnings"]
    assert warning["result"] == "t.robust"
    page = Path(".satdsl/reports/spec/report.html").read_text("utf-8")
    assert "the gradient of the cross-entropy is exactly zero" in page


def test_a_run_shows_results_a_second_does_nothing_and_says_so_and_strict_judges():
    first = satdsl("run", spec(TINY + HOLDS), "--strict")
    assert first.exit_code == 0, first.output
    assert "4 steps run" in first.stderr
    assert re.search(r"weights +clean +robust", first.stdout)
    assert "holds" in first.stdout
    assert Path(".satdsl/reports/spec/report.html").exists()
    kept = {path: path.stat().st_mtime_ns for path in Path(".satdsl/artifacts").rglob("*") if path.is_file()}
    assert kept

    second = satdsl("run", "spec.sat")
    assert second.exit_code == 0
    assert "nothing to run: 4 steps stored" in second.stderr
    assert second.stdout == first.stdout
    assert kept == {path: path.stat().st_mtime_ns for path in kept}

    assert satdsl("run", spec(TINY + FAILS)).exit_code == 0
    refuted = satdsl("run", "spec.sat", "--strict")
    assert refuted.exit_code == 4
    assert "fails" in refuted.stdout

    plan = json.loads(satdsl("explain", "spec.sat", "--format", "json").stdout)
    assert {step["reason"] for step in plan["steps"]} == {"stored"}
    assert plan["totals"]["to_run"] == 0
    assert "t.clean" in satdsl("results", "spec.sat").stdout
    assert satdsl("results", "spec.sat", "--format", "csv").stdout.count("\n") == 3
    assert satdsl("store", "verify").exit_code == 0

    weights = next(Path(".satdsl/artifacts").rglob("weights.safetensors"))
    weights.chmod(0o644)
    weights.write_bytes(b"no weights")
    assert satdsl("store", "verify").exit_code == 3
    again = satdsl("run", spec(TINY))
    assert again.exit_code == 0
    assert "nothing to run" in again.stderr, "the weights are damaged, but nothing that is wanted needs them"


def test_a_run_under_other_params_keeps_what_it_can():
    assert satdsl("run", spec(TINY)).exit_code == 0
    result = satdsl("run", "spec.sat", "--set", "epochs=2")
    assert "3 steps to run, 1 stored" in result.stderr


def test_a_run_of_only_one_result_runs_no_other():
    result = satdsl("run", spec(TINY), "--only", "t.clean")
    assert result.exit_code == 0, result.output
    assert "3 steps run" in result.stderr


def test_a_run_of_a_spec_with_errors_runs_nothing():
    result = satdsl("run", spec(WRONG))
    assert result.exit_code == 1
    assert "E202" in result.stderr
    assert not Path(".satdsl").exists()


ABSENT = TINY.replace("synthetic(classes=4, shape=[1, 8, 8], train=64, val=32)", "CIFAR10()")


def test_an_absent_data_set_is_named_with_where_it_was_looked_for_and_how_to_get_it():
    result = satdsl("run", spec(ABSENT), "--data", "images")
    assert result.exit_code == 3
    assert "CIFAR10 is not there: looked in images/cifar-10-batches-py" in result.stderr
    assert "satdsl data" in result.stderr
    assert "--download" in result.stderr
    assert "Traceback" not in result.output
    assert not Path("images").exists()
    below = files_below(Path(".satdsl"))
    assert not [path for path in below if path.startswith(("artifacts", "work", "scratch"))], below


def test_data_says_what_is_missing_and_where():
    result = satdsl("data", spec(ABSENT), "--data", "images")
    assert result.exit_code == 3
    assert re.search(r"CIFAR10 +missing +images/cifar-10-batches-py +170\.5 MB to fetch", result.stdout)
    assert "CIFAR10 is missing: satdsl data spec.sat --download --data images" in result.stdout
    assert not Path("images").exists()
    there = satdsl("data", spec(TINY))
    assert there.exit_code == 0
    assert re.search(r"synthetic +in the package", there.stdout)


def test_a_download_that_fails_is_told_and_the_other_sets_are_still_seen_to(monkeypatch):
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    both = ABSENT + "dataset e = digits()\ntrain u = m on e using r\nevaluate u { clean = clean accuracy on val }\n"
    result = satdsl("data", spec(both), "--download", "--data", "images")
    assert result.exit_code == 3
    assert "CIFAR10 could not be downloaded: http://127.0.0.1:9/cifar-10-python.tar.gz:" in result.stderr
    assert "put it into images" in result.stderr
    assert "done    data e" in result.stderr
    assert list(Path("images").iterdir()) == []


INTERRUPTED = """
import os, signal
from satdsl.backend import train
from satdsl.cli import main

train_epoch = train.train_epoch

def interrupted(*arguments):
    if arguments[3] == 2:
        os.kill(os.getpid(), signal.SIGINT)
    return train_epoch(*arguments)

train.train_epoch = interrupted
main()
"""
"""Runs `satdsl` with an interrupt in the third epoch of a training, of which nothing is saved by then."""


def test_an_interrupted_run_says_how_to_go_on_and_the_next_one_does():
    arguments = ["run", spec(TINY), "--set", "epochs=6", "--store", "kept"]
    started = process(*arguments, python=("-c", INTERRUPTED))
    _, errors = started.communicate(timeout=100)
    assert started.returncode == 130
    assert "done    data d" in errors
    assert "Traceback" not in errors
    assert "stops   train t\n        epochs 1 to 3 of 6 are saved, and it goes on with epoch 4\n" in errors
    ways_on = [line for line in errors.splitlines() if "go on with" in line.lower()]
    assert len(ways_on) == 1
    assert ways_on[0].endswith("satdsl run spec.sat --set epochs=6 --store kept")

    left = json.loads(satdsl("explain", *arguments[1:], "--format", "json").stdout)
    assert [step["reason"] for step in left["steps"]] == ["stored", "continued", "new", "new"]
    followed = satdsl(*arguments)
    assert followed.exit_code == 0, followed.output
    assert "3 steps to run, 1 stored" in followed.stderr
    assert "train t (continued)" in followed.stderr
    assert "nothing to run" in satdsl(*arguments).stderr


def test_the_help_of_export_shows_how_a_point_is_named(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    shown = CliRunner().invoke(app, ["export", "--help"]).stdout
    assert shown.count("'sat[order=hardest, share=30%]'") == 2
