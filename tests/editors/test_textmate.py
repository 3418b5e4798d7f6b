"""The TextMate grammar of the VS Code extension, in VS Code's own engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from words_in_place import ROOT, SPECS, wrongly_coloured

FOLDER = ROOT / "editors" / "vscode"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or not (FOLDER / "node_modules" / "vscode-textmate").exists(),
    reason="needs node and `npm install` in editors/vscode (`make editors`)",
)

CLASSES = [
    (r"keyword\.(other|control)", "keyword"),
    (r"constant\.numeric", "number"),
    (r"string|punctuation\.definition\.string", "string"),
    (r"variable\.language\.parameter", "parameter"),
    (r"comment", "comment"),
    (r"variable|entity|support|constant", "name"),
]


def coarse(scope: str) -> str:
    return next((name for pattern, name in CLASSES if re.match(pattern, scope)), scope)


@pytest.fixture(scope="module")
def scopes():
    command = [NODE or "", str(FOLDER / "test" / "scopes.mjs"), *map(str, SPECS)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_textmate_colours_every_word_as_what_it_is(scopes, path):
    text = path.read_text("utf-8")
    assert wrongly_coloured(text, [coarse(scope) for scope in scopes[str(path)]]) == []


def test_the_extension_s_own_tests_pass():
    answer = subprocess.run(["npm", "test"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
