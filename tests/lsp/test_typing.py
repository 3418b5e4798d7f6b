"""A whole specification, typed key by key: no wrong finding, no exception, every request answered.

What "no wrong finding" means here, for a file that is written from the top to the bottom:

- while a statement is being typed, every error stands in that statement: what was typed before it stays right;
- once it is complete (the next one begins), the findings are those that `check` has for a file that ends there;
- at the end there are none.
"""

from __future__ import annotations

import pytest
from lsp_client import ROOT, Editor

from satdsl.check import check
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding
from satdsl.syntax.layout import chunks

URI = "file:///somewhere/typed.sat"
FIRST = (ROOT / "examples" / "first.sat").read_text("utf-8")


def findings_of(text: str) -> list[tuple[str, str]]:
    try:
        found: tuple[Finding, ...] = check("typed.sat", text).warnings
    except SpecError as error:
        found = error.findings
    return [(finding.code, finding.message) for finding in found]


def shown(diagnostics):
    return [(one["code"], one["message"].split("\nwhy: ")[0].split("\nhelp: ")[0]) for one in diagnostics]


def ends_of_statements(text: str) -> dict[int, int]:
    """Where each statement is complete, and where it began: the next one's first character tells."""
    starts = [chunk.start for chunk in chunks(text)]
    return dict(zip([*starts[1:], len(text)], starts, strict=True))


def test_a_specification_typed_key_by_key_is_never_told_something_wrong(editor: Editor):
    text = FIRST.replace("# Never attacked", "# Größe 😀: never attacked")
    ends = ends_of_statements(text)
    editor.open(URI, "")
    assert editor.diagnostics(URI) == []
    begun = 0
    for place, key in enumerate(text):
        editor.change(URI, place, place, key)
        typed = text[: place + 1]
        found = editor.diagnostics(URI)
        starts = [chunk.start for chunk in chunks(typed)]
        begun = starts[-1] if starts else 0
        for one in found:
            at = editor.offset(URI, one["range"]["start"])
            assert one["severity"] == 2 or at >= begun, (typed[-60:], one)
        if place + 1 in ends:
            assert shown(found) == findings_of(typed), typed[-60:]
        editor.at("completion", URI, place + 1)
        if place % 7 == 0:
            ask_everything(editor, place + 1)
    assert editor.diagnostics(URI) == []


def ask_everything(editor: Editor, place: int) -> None:
    for method in ("hover", "definition", "signatureHelp", "documentHighlight"):
        editor.at(method, URI, place)
    editor.at("references", URI, place, context={"includeDeclaration": True})
    for method in ("documentSymbol", "foldingRange", "documentLink", "semanticTokens/full"):
        editor.of(method, URI)
    editor.of("inlayHint", URI, range=editor.whole(URI))
    editor.of("codeAction", URI, range=editor.whole(URI), context={"diagnostics": []})


@pytest.mark.parametrize(
    "inside", ["weight_decay=5e-4", "30%", "robust accuracy under pgd7", "keep snapshots", "eps=0.75"]
)
def test_what_is_typed_anew_inside_a_finished_file_ends_without_findings(editor: Editor, inside: str):
    start = FIRST.index(inside)
    editor.open(URI, FIRST)
    assert editor.diagnostics(URI) == []
    editor.change(URI, start, start + len(inside), "")
    for place, key in enumerate(inside, start):
        editor.change(URI, place, place, key)
        assert shown(editor.diagnostics(URI)) == findings_of(editor.texts[URI])
    assert editor.texts[URI] == FIRST
    assert editor.diagnostics(URI) == []


def test_keys_faster_than_answers_end_in_the_findings_of_the_last_text(editor: Editor):
    editor.open(URI, "")
    for place, key in enumerate(FIRST[:400]):
        editor.change(URI, place, place, key)
    assert shown(editor.diagnostics(URI)) == findings_of(FIRST[:400])
