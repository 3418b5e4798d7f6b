"""The tree-sitter grammar reads what satdsl reads, and its queries colour every word as what it is."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from sitter import FOLDER, language, nodes, offsets, parsed
from words_in_place import ROOT, SPECS, specified, wrongly_coloured

from satdsl.findings import Source
from satdsl.syntax.layout import RESERVED
from satdsl.syntax.read import read

READABLE = sorted([*SPECS, *ROOT.glob("tests/compiler/**/*.sat"), *ROOT.glob("tests/specs/**/*.sat")])


@pytest.fixture(scope="module", autouse=True)
def _language():
    language()


def statements(text: str) -> list[tuple[str, int, int]]:
    place = offsets(text)
    return [
        (node.type, place[node.start_byte], place[node.end_byte])
        for node in parsed(text).named_children
        if node.type not in ("comment", "ERROR")
    ]


@pytest.mark.parametrize("path", READABLE, ids=lambda path: str(path.relative_to(ROOT)))
def test_tree_sitter_finds_the_statements_that_satdsl_finds(path):
    text = path.read_text("utf-8")
    file, findings = read(Source(str(path), text))
    assert parsed(text).has_error == bool(findings)
    if not findings:
        ours = [(type(one).__name__.lower(), one.span.start, one.span.end) for one in file.statements]
        assert statements(text) == ours


def test_specifications_with_and_without_mistakes_are_among_them():
    broken = [path for path in READABLE if read(Source(str(path), path.read_text("utf-8")))[1]]
    assert 2 <= len(broken) < len(READABLE) // 4


LAYOUTS = [
    "recipe r =\n  sgd(epochs=3)\n",
    "recipe r\n= sgd(epochs=3,\n# why\nlr=0.1)",
    "recipe r = sgd(epochs=3) ;;\n;",
    "param x = 1\n  if $a == 2\n  else\n 3\nparam y = 2",
    'expect "e":\n  t.c[a=1,\n b=2]\n  - u.c\n  >= 3%\n  and t.c <\n 4%\n',
    "train t = m on d using r {\n\n  seed = 1;\n\n  ;attack A with p;\n\n}",
    "train t = m on d using r\n{ seed =\n 1\nattack A with p }",
    'sat 1; title "a; b"; param x = 1\nparam y = 2;param z = 3',
    "\ufeffsat 1\nparam x = 5",
    "sat 1\n" * 3,
    "sat 1 # said\r\n\r\nparam x = 5\r\n",
    "sat 1 # said\r\rparam x = 5\r",
    'title "größer" # schön\nparam x = 5',
    "",
    ";;\n",
    "# only a comment",
]


@pytest.mark.parametrize("text", LAYOUTS)
def test_newlines_end_the_statements_that_they_end_in_satdsl(text):
    file, findings = read(Source("spec.sat", text))
    assert not findings
    assert not parsed(text).has_error
    assert statements(text) == [(type(one).__name__.lower(), one.span.start, one.span.end) for one in file.statements]


@pytest.mark.parametrize("text", ["train t = m on\nparam x = 1\n", "recipe r = sgd(epochs=3\nparam x = 1\n"])
def test_a_broken_statement_does_not_swallow_the_next(text):
    assert "param" in [node.type for node in nodes(parsed(text))]


@pytest.mark.parametrize("word", RESERVED)
def test_the_scanner_knows_every_word_that_begins_a_statement(word):
    rest = "= 1" if word == "attack" else "x"
    newline = f"train t = m on\n{word} y {rest}\n"
    errors = [node for node in nodes(parsed(newline)) if node.type == "ERROR"]
    assert errors, "a training without `using` is not complete, and the next line begins a statement"
    assert f'"{word}"' in (FOLDER / "src" / "scanner.c").read_text()


WORDS = ["class", "classes", "examples", "example", "hardest", "easiest", "random", "weight", "on", "of", "by"]
WORDS += ["with", "using", "seed", "clean", "robust", "for"]


NAMES = """model NAME = small_cnn()
param NAME = $NAME
train NAME = NAME on NAME using NAME { attack NAME with NAME; start from NAME }
split NAME of NAME { NAME = class NAME; weight NAME = |NAME| + classes(NAME) }
evaluate NAME { NAME = robust accuracy under NAME on NAME.NAME }
transfer NAME = NAME to NAME using NAME
table "t" = rows(NAME.NAME[NAME=NAME], NAME=NAME)
sweep { NAME = [NAME, NAME: 1] }
expect "e": NAME.NAME > NAME.NAME
"""


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_language_can_be_a_name(word):
    def names(name: str) -> list[str]:
        tree = parsed(NAMES.replace("NAME", name))
        assert not tree.has_error
        return [(node.text or b"").decode() for node in nodes(tree) if node.type == "name"]

    assert names(word) == [word if one == "zebra" else one for one in names("zebra")]


# --- colours

CLASSES = {
    "keyword": "keyword",
    "comment": "comment",
    "string": "string",
    "number": "number",
    "variable.parameter": "parameter",
}


def captured(text: str) -> list[str]:
    """The class of each character, by the last pattern of the highlights that captures it."""
    from tree_sitter import Query, QueryCursor

    query = Query(language(), (FOLDER / "queries" / "highlights.scm").read_text("utf-8"))
    place = offsets(text)
    classes = [""] * len(text)
    found = sorted(QueryCursor(query).matches(parsed(text)), key=lambda match: match[0])
    for _, captures in found:
        for name, inside in captures.items():
            kind = CLASSES.get(name) or CLASSES.get(name.partition(".")[0], "name")
            for node in inside if name != "spell" else []:
                start, end = place[node.start_byte], place[node.end_byte]
                classes[start:end] = [kind] * (end - start)
    return classes


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_tree_sitter_colours_every_word_as_what_it_is(path):
    text = path.read_text("utf-8")
    assert wrongly_coloured(text, captured(text)) == []


def test_folds_indents_and_locals_are_found():
    from tree_sitter import Query, QueryCursor

    tree = parsed(specified("every-word").read_text("utf-8"))
    for name, least in (("folds", 20), ("indents", 40), ("locals", 40)):
        query = Query(language(), (FOLDER / "queries" / f"{name}.scm").read_text("utf-8"))
        assert len(QueryCursor(query).matches(tree)) >= least


# --- the corpus, and what was generated


def corpus() -> list[tuple[str, str, str]]:
    cases = []
    for path in sorted((FOLDER / "test" / "corpus").glob("*.txt")):
        pieces = re.split(r"^=+\n(.+)\n=+\n", path.read_text("utf-8"), flags=re.MULTILINE)[1:]
        for name, case in zip(pieces[::2], pieces[1::2], strict=True):
            text, _, wanted = case.partition("\n---\n")
            cases.append((f"{path.stem}: {name}", text[1:], re.sub(r"\s+", " ", wanted).strip()))
    return cases


@pytest.mark.parametrize(("name", "text", "wanted"), corpus(), ids=[name for name, _, _ in corpus()])
def test_a_case_of_the_corpus_gives_its_tree(name, text, wanted):
    assert str(parsed(text)) == wanted


def generator() -> str:
    """The tree-sitter command of the version that generated what the repository has."""
    installed = FOLDER / "node_modules" / ".bin" / "tree-sitter"
    command = os.environ.get("TREE_SITTER") or (str(installed) if installed.exists() else shutil.which("tree-sitter"))
    if command is None:
        pytest.skip("needs tree-sitter 0.22.6: set TREE_SITTER, or `npm install` in editors/tree-sitter-sat")
    answer = subprocess.run([command, "--version"], capture_output=True, text=True)
    if answer.returncode or "0.22.6" not in answer.stdout:
        pytest.skip("tree-sitter is not version 0.22.6, which generated the parser")
    return command


def test_the_parser_in_the_repository_is_generated_from_the_grammar(tmp_path):
    command = generator()
    (tmp_path / "grammar.js").write_bytes((FOLDER / "grammar.js").read_bytes())
    subprocess.run([command, "generate", "--no-bindings"], cwd=tmp_path, check=True, capture_output=True)
    made = sorted(path.relative_to(tmp_path) for path in (tmp_path / "src").rglob("*") if path.is_file())
    assert Path("src/parser.c") in made
    for path in made:
        assert filecmp.cmp(tmp_path / path, FOLDER / path, shallow=False), f"{path}: run `tree-sitter generate`"
