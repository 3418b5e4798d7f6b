"""Whatever is typed, every feature answers everywhere; an edited file is known as well as one just opened."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import converters

from satdsl.catalog.renamed import table
from satdsl.check import analyse
from satdsl.findings import Fix, Source, Span, applied
from satdsl.lsp import completion, diagnostics, hover, inlay_hints, navigation, outline, rename
from satdsl.lsp.semantic_tokens import semantic_tokens
from satdsl.lsp.signature_help import signature_help
from satdsl.lsp.snapshot import Snapshot
from satdsl.lsp.workspace import Document, Workspace
from satdsl.syntax.incremental import IncrementalReader
from satdsl.syntax.read import read
from tests.oddities import ODD, fuzz

ROOT = Path(__file__).parents[2]
FOLDERS = ("examples", "specs", "tests/compiler/bad", "tests/specs/language")
SPECS = [(str(path), path.read_text("utf-8")) for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.sat"))]
SMALL = [spec for spec in SPECS if len(spec[1]) < 1800]
CONVERTER = converters.get_converter()
TYPED = [*ODD, *"\n;= $.,x1%", "0.5", "\r\n"]
TYPED += ["attack", "train a = b", "sat 1\n", 'use "', "by ", "of ", "split s of d {"]

edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.sampled_from(["", *TYPED])), min_size=1, max_size=5)


def edited(text: str, edit: tuple[float, int, str]) -> str:
    where, length, new = edit
    place = int(where * len(text))
    return text[:place] + new + text[place + length :]


def ask_everything(snapshot: Snapshot, offset: int) -> list[object]:
    """Every feature at one place; answers that cannot be sent are mistakes, too."""
    answers = [
        diagnostics.diagnostics(snapshot),
        diagnostics.code_actions(snapshot, 0, len(snapshot.source.text)),
        completion.completion(snapshot, offset),
        signature_help(snapshot, offset),
        hover.hover(snapshot, offset),
        navigation.definition(snapshot, offset),
        navigation.references([snapshot], snapshot, offset, True),
        navigation.highlights(snapshot, offset),
        navigation.links(snapshot),
        outline.document_symbols(snapshot),
        outline.folding_ranges(snapshot),
        semantic_tokens(snapshot),
        inlay_hints.inlay_hints(snapshot, 0, len(snapshot.source.text)),
    ]
    with suppress(rename.CannotRename):
        answers.append(rename.rename([snapshot], snapshot, offset, "another"))
    return answers


@settings(fuzz, max_examples=25)
@given(st.sampled_from(SMALL), edits, st.floats(0, 1))
def test_every_feature_answers_in_every_text(spec, changes, where):
    path, text = spec
    workspace = Workspace()
    document = workspace.open(Path(path).as_uri(), text)
    for change in changes:
        text = edited(text, change)
        document.source = Source(path, text)
        snapshot = workspace.snapshot(document)
        for answer in ask_everything(snapshot, int(where * len(text))):
            CONVERTER.unstructure(answer)
        data = semantic_tokens(snapshot)
        assert all(number >= 0 for number in data)


@settings(fuzz, max_examples=25)
@given(st.sampled_from(SMALL), edits)
def test_an_edited_file_is_known_as_well_as_one_that_was_just_opened(spec, changes):
    path, text = spec
    workspace = Workspace()
    document = workspace.open(Path(path).as_uri(), text)
    workspace.snapshot(document)
    before = text
    for change in [*changes, None]:
        text = edited(text, change) if change is not None else before
        document.source = Source(path, text)
        same_as_fresh(workspace, document)


def same_as_fresh(workspace: Workspace, document: Document) -> None:
    source = document.source
    known, fresh = workspace.snapshot(document).analysis, analyse(Source(source.path, source.text))
    assert [finding.document() for finding in known.findings] == [finding.document() for finding in fresh.findings]
    assert known.program.statements == fresh.program.statements
    assert [str(one.span) for one, _ in known.program.statements] == [
        str(one.span) for one, _ in fresh.program.statements
    ]
    assert known.definitions == fresh.definitions
    assert {name: one.points for name, one in known.results.items()} == {
        name: one.points for name, one in fresh.results.items()
    }
    for what in ("displays", "claims", "published"):
        ours, theirs = (getattr(each.experiment, what) for each in (known, fresh))
        assert [replace(one, line=0) for one in ours] == [replace(one, line=0) for one in theirs]


OTHERS_WORDS: dict[str, list[str]] = {}
for change in table().values():
    OTHERS_WORDS.setdefault(change.now, []).append(change.word)


@settings(fuzz, max_examples=25)
@given(st.sampled_from(SMALL), st.lists(st.tuples(st.booleans(), st.integers(0, 1_000)), min_size=2, max_size=8))
def test_words_of_other_libraries_come_and_go_and_leave_nothing_behind(spec, steps):
    """Words are replaced by those that other libraries have for them, and some fixes made."""
    path, text = spec
    workspace = Workspace()
    document = workspace.open(Path(path).as_uri(), text)
    for mend, pick in steps:
        fixes = [finding.fix for finding in workspace.snapshot(document).analysis.findings if finding.fix is not None]
        words = [word for word in re.finditer(r"\w+", text) if word[0] in OTHERS_WORDS]
        if mend and fixes:
            text = applied(fixes[pick % len(fixes)], text)
        elif words:
            word = words[pick % len(words)]
            others = OTHERS_WORDS[word[0]]
            text = text[: word.start()] + others[pick % len(others)] + text[word.end() :]
        document.source = Source(path, text)
        same_as_fresh(workspace, document)


@settings(fuzz, max_examples=60)
@given(st.sampled_from(SPECS), edits)
def test_reading_an_edited_file_again_gives_what_reading_it_anew_does(spec, changes):
    path, text = spec
    reader = IncrementalReader()
    reader.read(Source(path, text))
    for change in changes:
        text = edited(text, change)
        source = Source(path, text)
        (ours, problems), (theirs, others) = reader.read(source), read(Source(path, text))
        assert ours == theirs
        assert [str(one.span) for one in ours.statements] == [str(one.span) for one in theirs.statements]
        assert [one.document() for one in problems] == [one.document() for one in others]
        assert all(one.span.source is source for one in ours.statements)


def test_a_fix_becomes_an_action_that_does_it():
    text = "sat 1\nmodel m = smal_cnn()\n"
    workspace = Workspace()
    document = workspace.open("file:///a/b.sat", text)
    snapshot = workspace.snapshot(document)
    finding = next(finding for finding in snapshot.analysis.findings if finding.code == "E202")
    edit = (Span(snapshot.source, finding.span.start, finding.span.end), "small_cnn")
    fixed = replace(finding, fix=Fix("write `small_cnn`", (edit,)))
    snapshot.analysis = replace(snapshot.analysis, findings=(fixed,))
    (action,) = diagnostics.code_actions(snapshot, finding.span.start, finding.span.start)
    assert (action.title, action.kind) == ("write `small_cnn`", "quickfix")
    assert action.edit is not None
    assert action.edit.changes is not None
    ((uri, (change,)),) = action.edit.changes.items()
    assert (uri, change.new_text) == ("file:///a/b.sat", "small_cnn")
    start, end = (snapshot.positions.offset(place) for place in (change.range.start, change.range.end))
    assert text[start:end] == "smal_cnn"
    assert diagnostics.code_actions(snapshot, 0, 3) == []


def test_hover_on_a_model_shows_the_file_of_its_weights():
    path = ROOT / "tests/specs/language/catalog.sat"
    text = path.read_text("utf-8")
    workspace = Workspace()
    snapshot = workspace.snapshot(workspace.open(path.as_uri(), text))
    found = hover.hover(snapshot, text.index("= checkpoint(") - 2)
    assert found is not None
    assert f'file = "{path.parent / "weights.pt"}"' in str(found.contents)
