"""Several files that use each other, some open in the editor and some on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsp_client import Editor, Refused

COMMON = """sat 1
dataset d = digits(holdout=20%)
model m = small_cnn()
recipe r = sgd(epochs=3)
attack a = pgd(norm=L2, eps=0.5, step_size=0.1, steps=7)
train ref = m on d using r { keep snapshots every epoch }
evaluate ref { clean = clean accuracy on val }
"""
MAIN = """sat 1
use "common.sat"
split s of d { A = hardest 30% examples by snapshot-entropy of ref; B = rest }
train t = m on s using r { attack A with a }
evaluate t { clean = clean accuracy on val }
table "both" = rows(t.clean, ref.clean)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "common.sat").write_text(COMMON)
    (tmp_path / "main.sat").write_text(MAIN)
    return tmp_path


@pytest.fixture
def uris(folder: Path) -> tuple[str, str]:
    return (folder / "main.sat").as_uri(), (folder / "common.sat").as_uri()


def test_a_name_leads_into_the_file_that_declares_it(editor: Editor, uris):
    main, common = uris
    editor.open(main, MAIN)
    assert editor.diagnostics(main) == []
    (found,) = editor.at("definition", main, MAIN.index("of ref") + 4)
    assert (found["uri"], found["range"]["start"]) == (common, {"line": 5, "character": 6})
    (link,) = editor.of("documentLink", main)
    assert link["target"] == common
    assert editor.text_of(main, link["range"]) == "common.sat"
    (found,) = editor.at("definition", main, MAIN.index("common.sat"))
    assert found["uri"] == common
    assert "3 epochs" in editor.at("hover", main, MAIN.index("of ref") + 4)["contents"]["value"]


def test_what_is_open_comes_before_what_is_on_disk(editor: Editor, uris):
    main, common = uris
    editor.open(main, MAIN)
    assert editor.diagnostics(main) == []
    editor.open(common, COMMON)
    editor.next_diagnostics(main)
    place = COMMON.index("ref")
    editor.change(common, place, place + 3, "base")
    found = editor.next_diagnostics(main)
    assert {one["code"] for one in found} == {"E203"}
    assert any("there is no training called `ref`" in one["message"] for one in found)
    editor.change(common, place, place + 4, "ref")
    assert editor.next_diagnostics(main) == []
    editor.change(common, place, place + 3, "base")
    assert editor.next_diagnostics(main) != []
    editor.close(common)  # never saved
    assert editor.next_diagnostics(main) == []


def test_a_file_that_changes_on_disk_is_read_again(editor: Editor, uris, folder: Path):
    main, common = uris
    editor.open(main, MAIN)
    assert editor.diagnostics(main) == []
    (folder / "common.sat").write_text(COMMON.replace("train ref", "train base"))
    change = {"changes": [{"uri": common, "type": 2}]}
    editor.notify("workspace/didChangeWatchedFiles", change)
    assert editor.next_diagnostics(main) != []


def test_findings_in_a_used_file_stand_where_it_is_used(editor: Editor, uris, folder: Path):
    main, common = uris
    (folder / "common.sat").write_text(COMMON.replace("step_size=0.1, ", "step_size=0, "))
    editor.open(main, MAIN)
    (found,) = editor.diagnostics(main)
    assert editor.text_of(main, found["range"]) == '"common.sat"'
    assert found["severity"] == 1
    assert "a finding in `common.sat` or in a file that it uses: `step_size` must be above 0" in found["message"]
    (related,) = found["relatedInformation"]
    assert (related["location"]["uri"], related["location"]["range"]["start"]["line"]) == (common, 4)


def test_references_and_new_names_reach_every_file(editor: Editor, uris, folder: Path):
    main, common = uris
    (folder / "apart.sat").write_text(COMMON)  # uses nothing: its names are its own
    editor.open(common, COMMON)
    assert [one for one in editor.diagnostics(common) if one["severity"] == 1] == []
    found = editor.at("references", common, COMMON.index("ref ="), context={"includeDeclaration": True})
    assert sorted((one["uri"], one["range"]["start"]["line"]) for one in found) == [
        (common, 5),
        (common, 6),
        (main, 2),
        (main, 5),
    ]
    edit = editor.at("rename", common, COMMON.index("ref ="), newName="base")
    assert {uri: len(edits) for uri, edits in edit["changes"].items()} == {common: 2, main: 2}
    edit = editor.at("rename", common, COMMON.index("clean ="), newName="accuracy")
    assert {uri: len(edits) for uri, edits in edit["changes"].items()} == {common: 1, main: 1}
    with pytest.raises(Refused, match=r"`t` is taken: it is defined in line 4 of .*main.sat"):
        editor.at("rename", common, COMMON.index("ref ="), newName="t")


def test_a_document_that_is_no_file_yet_is_checked_too(editor: Editor):
    uri = "untitled:Untitled-1"
    editor.open(uri, MAIN)
    assert {one["code"] for one in editor.diagnostics(uri)} >= {"E306"}
    assert editor.at("completion", uri, 0)


def test_files_that_use_each_other_in_a_circle_are_told_so_and_nothing_hangs(editor: Editor, uris, folder: Path):
    main, _ = uris
    (folder / "common.sat").write_text(f'{COMMON}use "main.sat"\n')
    editor.open(main, MAIN)
    assert "E208" in {one["code"] for one in editor.diagnostics(main)}
    editor.at("references", main, MAIN.index("t ="), context={"includeDeclaration": True})


def test_an_editor_that_can_is_asked_to_tell_of_changed_files_and_a_python_file_is_read_anew(tmp_path: Path):
    mine, main = tmp_path / "mine.py", tmp_path / "main.sat"
    mine.write_text("import satdsl.plugin as sat\n\n\n@sat.loss\ndef own(logits, labels):\n    pass\n")
    editor = Editor(watches=True)
    try:
        while (asked := editor._next()).get("method") != "client/registerCapability":
            pass
        (registration,) = asked["params"]["registrations"]
        watched = [watcher["globPattern"] for watcher in registration["registerOptions"]["watchers"]]
        assert (registration["method"], watched) == ("workspace/didChangeWatchedFiles", ["**/*.sat", "**/*.py"])
        editor.open(main.as_uri(), 'sat 1\nuse "mine.py"\n')
        assert editor.diagnostics(main.as_uri()) == []
        mine.write_text("import satdsl.plugin as sat\n\n\n@sat.loss\ndef own(logits):\n    pass\n")
        editor.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": mine.as_uri(), "type": 2}]})
        (found,) = editor.next_diagnostics(main.as_uri())
        assert found["code"] == "E215"
        assert found["relatedInformation"][0]["location"]["uri"] == mine.as_uri()
    finally:
        editor.process.kill()
