"""`satdsl fmt` as its users meet it: what is written, what is printed where, and the exit codes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from click.testing import Result
from typer.testing import CliRunner

from satdsl.catalog import catalog, renamed
from satdsl.check import check
from satdsl.check import used_files as check_files
from satdsl.cli import app
from satdsl.diagnostics import SpecError
from satdsl.findings import Source
from satdsl.format.upgrade import upgraded

MESSY, NEAT = "sat 1\nparam  x=1\n", "sat 1\nparam x = 1\n"
BROKEN = "sat 1\nparam x\n"


@pytest.fixture(autouse=True)
def somewhere_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")


def fmt(*args: str, given: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(app, ["fmt", *args], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def spec(text: str, name: str = "a.sat") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_a_file_is_written_once_and_then_left_as_it_is():
    path = spec(MESSY)
    assert (fmt("a.sat").stdout, path.read_text()) == ("formatted a.sat\n", NEAT)
    before = path.stat()
    assert fmt("a.sat").stdout == "1 file left as it was\n"
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert os.listdir() == ["a.sat"]


def test_check_writes_nothing_and_exits_1_where_something_would_change():
    spec(MESSY)
    spec(NEAT, "b.sat")
    result = fmt("--check", "a.sat", "b.sat")
    assert (result.exit_code, result.stdout) == (1, "a.sat would change\n")
    assert Path("a.sat").read_text() == MESSY
    assert fmt("--check", "b.sat").exit_code == 0


def test_diff_shows_the_lines_that_change_and_writes_nothing():
    spec("sat 1\r\nparam  x=1")
    result = fmt("--diff", "a.sat")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "--- a.sat",
        "+++ a.sat (formatted)",
        "@@ -1,2 +1,2 @@",
        "-sat 1^M",
        "-param  x=1",
        "\\ No newline at end of file",
        "+sat 1",
        "+param x = 1",
    ]
    assert fmt("--diff", "--check", "a.sat").exit_code == 1
    assert Path("a.sat").read_bytes() == b"sat 1\r\nparam  x=1"


def test_a_diff_is_coloured_on_a_terminal():
    spec(MESSY)
    terminal = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "satdsl", "fmt", "--diff", "a.sat"]
    shown = subprocess.run(command, capture_output=True, text=True, env=terminal, check=True).stdout
    assert "\x1b[31m-param  x=1" in shown
    assert "\x1b[32m+param x = 1" in shown


def test_a_pipe_is_not_replaced_by_a_file():
    os.mkfifo("pipe.sat")
    writer = Thread(target=lambda: Path("pipe.sat").write_text(MESSY))
    writer.start()
    result = fmt("pipe.sat")
    writer.join()
    assert result.exit_code == 3
    assert "it is no regular file" in result.stderr
    assert Path("pipe.sat").is_fifo()


def test_brackets_within_brackets_beyond_reason_are_a_finding():
    result = fmt("-", given=f"sat 1\nparam a = {'(' * 3000}1{')' * 3000}\n")
    assert result.exit_code == 1
    assert "nested more than 100 levels deep" in result.stderr


def test_a_byte_order_mark_is_a_change():
    path = spec("\ufeff" + NEAT)
    assert "-<U+FEFF>" in fmt("--diff", "a.sat").stdout
    assert fmt("--check", "a.sat").exit_code == 1
    fmt("a.sat")
    assert path.read_bytes() == NEAT.encode()


def test_standard_input_is_formatted_to_standard_output():
    result = fmt("-", given=MESSY)
    assert (result.exit_code, result.stdout, result.stderr) == (0, NEAT, "")
    assert fmt("-", "--check", given=MESSY).exit_code == 1
    broken = fmt("-", given=BROKEN)
    assert (broken.exit_code, broken.stdout) == (1, "")
    assert "<stdin>:2" in broken.stderr


def test_a_folder_stands_for_the_specifications_below_it():
    for name in ("d/a.sat", "d/e/b.sat", "d/.hidden/c.sat", "d/text.txt"):
        spec(MESSY, name)
    assert fmt("d").stdout == "formatted d/a.sat\nformatted d/e/b.sat\n"
    assert Path("d/.hidden/c.sat").read_text() == Path("d/text.txt").read_text() == MESSY
    Path("empty").mkdir()
    result = fmt("empty")
    assert result.exit_code == 2
    assert "there are no .sat files in empty" in result.stderr


def test_a_syntax_error_leaves_its_file_alone_and_the_others_are_formatted():
    spec(BROKEN, "a.sat")
    spec(MESSY, "b.sat")
    result = fmt("a.sat", "b.sat")
    assert result.exit_code == 1
    assert "error E104" in result.stderr
    assert (Path("a.sat").read_text(), Path("b.sat").read_text()) == (BROKEN, NEAT)


def test_a_mistake_that_is_none_of_syntax_is_no_matter():
    spec("model  m = nowhere()\n")
    assert fmt("a.sat").exit_code == 0


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b"\xff\xfe", "byte 0 is not UTF-8"), (b"a\0b", "no specification")]
)
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_formatted(content, reason):
    if content is not None:
        Path("a.sat").write_bytes(content)
    spec(MESSY, "b.sat")
    result = fmt("a.sat", "b.sat")
    assert result.exit_code == 2
    assert "a.sat cannot be read" in result.stderr
    assert reason in result.stderr
    assert Path("b.sat").read_text() == NEAT


def test_permissions_and_links_stay():
    path = spec(MESSY, "real/a.sat")
    path.chmod(0o640)
    Path("link.sat").symlink_to(path)
    fmt("link.sat")
    assert Path("link.sat").is_symlink()
    assert path.read_text() == NEAT
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_may_not_be_written_stays_whole(monkeypatch):
    spec(MESSY)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    result = fmt("a.sat")
    assert result.exit_code == 3
    assert "a.sat cannot be written: Permission denied" in result.stderr
    assert os.listdir() == ["a.sat"]
    assert Path("a.sat").read_text() == MESSY


def test_formatting_needs_neither_the_checker_nor_the_catalog():
    spec(MESSY)
    code = (
        "import sys, satdsl.cli.app, satdsl.cli.format; from satdsl.cli.app import app; app(['fmt', 'a.sat'], "
        "standalone_mode=False); sys.exit(any(name in sys.modules for name in ('torch', 'yaml', 'satdsl.check')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


# --- upgrade ---

FOREIGN = """# My experiment.
dataset d = digits(holdout=10%)
model m = small_cnn()
attack p = PGD(norm="linf", epsilon=0.1, alpha=0.03, nb_iter=7)  # epsilon stays in a comment
recipe r = SGD(num_epochs=10, batch_size=64, scheduler=MultiStepLR(milestones=[5, 8], gamma=0.1))
train t = m on d using r { attack all with p; loss all = TRADES(beta=6); select by robust accuracy under p }
evaluate t { robust = robust accuracy under p on val }
"""
OWN = """sat 1
# My experiment.
dataset d = digits(holdout=10%)
model   m = small_cnn()
attack  p = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)  # epsilon stays in a comment
recipe  r = sgd(epochs=10, batch=64, schedule=step(at=[5, 8], factor=0.1))
train t = m on d using r { attack all with p; loss all = trades(beta=6); select by robust accuracy under p }
evaluate t { robust = robust accuracy under p on val }
"""


def test_upgrade_writes_the_language_s_own_words_and_its_version():
    path = spec(FOREIGN)
    assert fmt("--upgrade", "a.sat").exit_code == 0
    assert path.read_text() == OWN
    assert check("a.sat", OWN).warnings == ()
    assert fmt("--upgrade", "--check", "a.sat").exit_code == 0


def test_a_foreign_word_is_an_error_that_hides_nothing_and_carries_its_fix():
    with pytest.raises(SpecError) as raised:
        check("a.sat", "sat 1\n" + FOREIGN.replace("gamma=0.1", "gamma=2"))
    errors = [finding for finding in raised.value.findings if finding.severity == "error"]
    assert [finding.code for finding in errors if finding.code != "E106"] == ["E304"], "a factor of 2 is found too"
    assert all(f.fix is not None and f.fix.edits[0][0] == f.span for f in errors if f.code == "E106")
    assert sum(finding.code == "E106" for finding in errors) == 13


def test_a_word_given_beside_its_own_is_left_to_the_author():
    text = "sat 1\nrecipe r = sgd(epochs=1, batch=2, batch_size=3)\n"
    assert upgraded(Source("a.sat", text)) == text


def test_a_newer_language_version_is_refused():
    path = spec("sat 2\nparam  x=1\n")
    result = fmt("--upgrade", "a.sat")
    assert result.exit_code == 1
    assert "this file is written in language version 2" in result.stderr
    assert path.read_text() == "sat 2\nparam  x=1\n"


def test_a_word_that_a_later_version_renames_is_fine_in_a_file_of_an_earlier_one(monkeypatch):
    known = dict(renamed.table())
    known["argument", "recipe", "rounds"] = renamed.Renamed("rounds", "epochs", 2, "")
    monkeypatch.setattr("satdsl.check.renamed.table", lambda: known)
    for module in ("satdsl.check.used_files", "satdsl.format.upgrade"):
        monkeypatch.setattr(f"{module}.LANGUAGE", 2)
    text = "sat 1\n" + OWN.removeprefix("sat 1\n").replace("epochs=10", "rounds=10")
    assert check("a.sat", text).warnings == ()
    with pytest.raises(SpecError) as raised:
        check("a.sat", text.replace("sat 1", "sat 2"))
    (finding,) = raised.value.findings
    assert (finding.code, finding.reason) == ("E106", "the language says so since version 2")
    assert upgraded(Source("a.sat", text)) == OWN.replace("sat 1", "sat 2")
    assert check_files.LANGUAGE == 2


def test_every_renamed_word_is_none_of_the_catalog_and_becomes_one_that_is():
    for (kind, place, word), instead in renamed.table().items():
        assert 1 <= instead.since <= check_files.LANGUAGE
        if kind == "entry":
            assert catalog().find(place, word) is None
            assert catalog().find(place, instead.now) is not None
            continue
        families = [place] if kind == "argument" else ["attack"]
        entries = [catalog().find(family, name) for family in families for name in catalog().names(family)]
        if kind == "argument":
            assert any(entry is not None and instead.now in entry.args and word not in entry.args for entry in entries)
        else:
            choices = {
                choice for entry in entries if entry and place in entry.args for choice in entry.args[place].choices
            }
            assert instead.now in choices
            assert word not in choices
