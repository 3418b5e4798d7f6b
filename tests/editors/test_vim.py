"""The Vim files, in a real Vim: colours, :make, indentation and comments."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from words_in_place import ROOT, SPECS, kinds, specified, wrongly_coloured

RUNTIME = ROOT / "editors" / "vim"
VIM = shutil.which("vim")

pytestmark = pytest.mark.skipif(VIM is None, reason="needs vim")


def vim(script: str, folder: Path) -> str:
    """What a script writes to `out`, run in a Vim that has only this runtime and its own."""
    (folder / "script.vim").write_text(script, "utf-8")
    command = [VIM or "", "-u", "NONE", "-i", "NONE", "-N", "-n", "-es", "-X"]
    command += ["--cmd", f"set rtp^={RUNTIME} encoding=utf-8 shell=/bin/sh"]
    command += ["-c", "filetype plugin indent on | syntax on", "-S", "script.vim", "-c", "qa!"]
    subprocess.run(command, cwd=folder, timeout=60, check=False, stdin=subprocess.DEVNULL, capture_output=True)
    out = folder / "out"
    assert out.exists(), "the script did not come to its end"
    return out.read_text("utf-8")


CLASSES = {
    "satBegin": "keyword",
    "satKeyword": "keyword",
    "satTrainWord": "keyword",
    "satEpochWord": "keyword",
    "satSplitWord": "keyword",
    "satTransferWord": "keyword",
    "satClaimWord": "keyword",
    "satMeasure": "keyword",
    "satString": "string",
    "satNumber": "number",
    "satParameter": "parameter",
    "satComment": "comment",
}

GROUPS = """
let files = json_decode(join(readfile('places')))
for path in keys(files)
  execute 'edit ' .. fnameescape(path)
  call map(files[path], 'synIDattr(synID(v:val[0], v:val[1], 1), "name")')
  call add(files[path], &filetype)
endfor
call writefile([json_encode(files)], 'out')
"""


def marks(text: str) -> list[int]:
    """The first and the last character of every word."""
    return [place for start, word, _, _ in kinds(text) for place in (start, start + len(word) - 1)]


def places(text: str) -> list[tuple[int, int]]:
    """Vim's line and column (in bytes) of each mark."""
    found = []
    for mark in marks(text):
        line = text.rfind("\n", 0, mark) + 1
        found.append((text.count("\n", 0, mark) + 1, len(text[line:mark].encode()) + 1))
    return found


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """The highlight group at each place of each specification, and the file's type; one Vim for all."""
    folder = tmp_path_factory.mktemp("vim")
    asked = {str(path): places(path.read_text("utf-8")) for path in SPECS}
    (folder / "places").write_text(json.dumps(asked))
    return json.loads(vim(GROUPS, folder))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_vim_colours_every_word_as_what_it_is(groups, path):
    text = path.read_text("utf-8")
    *given, filetype = groups[str(path)]
    assert filetype == "sat"
    classes: list[str | None] = [None] * len(text)
    for mark, group in zip(marks(text), given, strict=True):
        classes[mark] = CLASSES.get(group, "name")
    assert wrongly_coloured(text, classes) == []


def test_vim_links_every_group_to_a_colour():
    text = (RUNTIME / "syntax" / "sat.vim").read_text("utf-8")
    for group in CLASSES:
        assert f"highlight default link {group} " in text


def test_make_fills_the_quickfix_list_with_each_finding(tmp_path):
    (tmp_path / "bad.sat").write_text('sat 1\nmodel m = small_cn()\ntitle "x\ntrain t = m on d using r\n', "utf-8")
    (tmp_path / "check").write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m satdsl "$@"\n', "utf-8")
    (tmp_path / "check").chmod(0o755)
    script = """
    edit bad.sat
    let &l:makeprg = substitute(&l:makeprg, "^satdsl", "./check", "")
    make!
    let found = map(getqflist(), '[bufname(v:val.bufnr), v:val.lnum, v:val.col, v:val.type, v:val.text]')
    call writefile([json_encode(found)], 'out')
    """
    found = json.loads(vim(script, tmp_path))
    wanted = subprocess.run(
        ["./check", "check", "bad.sat", "--format", "json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    findings = json.loads(wanted.stdout)["findings"]
    assert len(findings) >= 3
    assert [(line, column, text.strip().partition(":")[0]) for _, line, column, _, text in found] == [
        (finding["line"], finding["column"], finding["code"]) for finding in findings
    ]
    assert {(name, kind) for name, _, _, kind, _ in found} <= {("bad.sat", "E"), ("bad.sat", "W")}


def test_make_uses_the_satdsl_of_the_project_s_own_environment(tmp_path):
    own = tmp_path / ".venv" / "bin" / "satdsl"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.sat").write_text("sat 1\n")
    assert str(own) in vim("edit specs/a.sat\ncall writefile([&l:makeprg], 'out')", tmp_path)


def test_the_indentation_of_the_examples_is_kept(tmp_path):
    text = "sat 1\nsplit s of d {\n  A = hardest 30% examples\n  B = rest\n}\nrecipe r = sgd(\n  epochs=3\n)\n"
    text += 'expect "a (b":\n  t.c >= 1\nplot "p" =\n  line(y=t.c)\ntitle "t"\n'
    flat = "\n".join(line.strip() for line in text.split("\n"))
    (tmp_path / "flat.sat").write_text(flat, "utf-8")
    assert vim("edit flat.sat\nnormal! gg=G\nwrite! out", tmp_path) == text


def test_a_comment_is_written_as_the_language_has_it(tmp_path):
    assert vim("edit a.sat\ncall writefile([&commentstring], 'out')", tmp_path) == "# %s\n"


def test_a_file_opened_in_its_middle_has_the_same_colours(tmp_path):
    path = specified("every-word")
    shutil.copy(path, tmp_path / "a.sat")
    script = """
    edit a.sat
    call search('^  robust = robust')
    syntax sync fromstart
    call writefile([synIDattr(synID(line('.'), 3, 1), 'name'), synIDattr(synID(line('.'), 12, 1), 'name')], 'out')
    """
    assert vim(script, tmp_path).split() == ["satSetting", "satMeasure"]
