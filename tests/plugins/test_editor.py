"""What an editor shows of Python files that a specification uses: help, completion, where functions stand, findings."""

from __future__ import annotations

import pytest

pytest.importorskip("pygls")

from pygls.uris import from_fs_path, to_fs_path

from satdsl.lsp.completion import completion
from satdsl.lsp.diagnostics import diagnostics
from satdsl.lsp.hover import hover
from satdsl.lsp.navigation import definition, links
from satdsl.lsp.signature_help import signature_help
from satdsl.lsp.workspace import Workspace

MINE = '''import satdsl.plugin as sat
from shapes import ball


@sat.attack(passes="steps")
def mifgsm(network, images, labels, *, norm: sat.Norm, eps: sat.Radius, steps: int = 10, decay: float = 1.0):
    """Ascent along a running sum of gradients (Dong et al., 2018).

    Args:
        decay: How much of the sum is kept.
    """


@sat.loss
def focal(logits, labels, *, gamma: float = 2.0):
    """Focal loss."""


@sat.measure
def flips(network, images, labels, *, radius: float = 0.5):
    """How often the prediction changes."""
'''

SPEC = """sat 1
use "mine.py"
dataset d = digits()
model net = small_cnn()
attack mi = mifgsm(norm=L2, eps=0.5, decay=0.9)
recipe r = sgd(epochs=3, lr=0.1)
train t = net on d using r { attack all with mi; loss all = focal(gamma=3) }
evaluate t { robust = robust accuracy under mi on val; moved = flips(radius=0.1) on val }
"""


@pytest.fixture
def editor(tmp_path):
    (tmp_path / "mine.py").write_text(MINE, "utf-8")
    (tmp_path / "shapes.py").write_text("ball = 1\n", "utf-8")
    return Editor(tmp_path)


class Editor:
    def __init__(self, folder) -> None:
        self.folder, self.workspace = folder, Workspace()
        self.uri = from_fs_path(str(folder / "main.sat"))

    def open(self, text: str):
        return self.workspace.snapshot(self.workspace.open(self.uri, text))

    def again(self):
        return self.workspace.snapshot(self.workspace.documents[self.uri])

    def completions(self, text: str) -> list[str]:
        return [item.label for item in completion(self.open(text.replace("¦", "")), text.index("¦"))]


def test_entries_and_their_arguments_are_offered(editor):
    assert "mifgsm" in editor.completions(SPEC.replace("mifgsm(norm=L2, eps=0.5, decay=0.9)", "m¦"))
    assert "focal" in editor.completions(SPEC.replace("focal(gamma=3)", "f¦"))
    offered = editor.completions(SPEC.replace("(norm=L2, eps=0.5, decay=0.9)", "(norm=L2, ¦)"))
    assert offered[:3] == ["eps=", "steps=", "decay="]
    assert "flips" in editor.completions(SPEC.replace("flips(radius=0.1)", "¦"))
    assert "radius=" in editor.completions(SPEC.replace("flips(radius=0.1)", "flips(¦)"))
    assert {"Linf", "L2", "L1"} <= set(editor.completions(SPEC.replace("norm=L2", "norm=¦")))


def test_python_files_are_offered_after_use(editor):
    assert "mine.py" in editor.completions(SPEC.replace('"mine.py"', '"¦"'))


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("mifgsm(", "Ascent along a running sum of gradients"),
        ("decay=", "How much of the sum is kept."),
        ("mi =", "Ascent along a running sum of gradients"),
        ("focal(", "mine.py"),
        ("flips(", "How often the prediction changes."),
    ],
)
def test_help_stands_beside_what_the_file_declares(editor, place, shown):
    found = hover(editor.open(SPEC), SPEC.index(place))
    assert found is not None
    assert shown in found.contents.value


def test_the_signature_is_that_of_the_function(editor):
    found = signature_help(editor.open(SPEC), SPEC.index("decay="))
    assert found.signatures[0].label.startswith("mifgsm(norm, eps, steps=10")


@pytest.mark.parametrize(
    ("place", "name"), [("mifgsm(", "def mifgsm"), ("focal(", "def focal"), ("flips(", "def flips")]
)
def test_a_definition_is_the_function_in_the_python_file(editor, place, name):
    (found,) = definition(editor.open(SPEC), SPEC.index(place) + 1)
    assert to_fs_path(found.uri) == str(editor.folder / "mine.py")
    line = MINE.splitlines()[found.range.start.line]
    assert line[: found.range.end.character] == name


def test_use_leads_to_the_file(editor):
    (found,) = definition(editor.open(SPEC), SPEC.index("mine.py"))
    assert to_fs_path(found.uri) == str(editor.folder / "mine.py")
    (link,) = links(editor.open(SPEC))
    assert to_fs_path(link.target) == str(editor.folder / "mine.py")


def test_a_changed_file_is_read_anew(editor):
    assert diagnostics(editor.open(SPEC)) == []
    (editor.folder / "mine.py").write_text(MINE.replace("decay: float", "fading: float"), "utf-8")
    assert [one.code for one in diagnostics(editor.again())] == ["E303"]
    (editor.folder / "mine.py").write_text(MINE.replace("decay: float = 1.0", "decay: float = 0.25"), "utf-8")
    assert diagnostics(editor.again()) == []
    assert "0.25" in hover(editor.again(), SPEC.index("decay=")).contents.value


def test_a_changed_default_settles_definitions_anew(editor):
    before = editor.open(SPEC).table("t").at({}).attacks[0]
    (editor.folder / "mine.py").write_text(MINE.replace("steps: int = 10", "steps: int = 20"), "utf-8")
    after = editor.again().table("t").at({}).attacks[0]
    assert (before["steps"], after["steps"]) == (10, 20)
    assert before.plugin.digest != after.plugin.digest


def test_findings_of_a_python_file_and_of_what_it_imports_are_shown_at_its_use(editor):
    for broken in ("mine.py", "shapes.py"):
        text = (editor.folder / broken).read_text("utf-8")
        (editor.folder / broken).write_text(text + "\n)", "utf-8")
        (found,) = diagnostics(editor.open(SPEC))
        assert (found.code, found.range.start.line) == ("E110", 1)
        (related,) = found.related_information
        assert to_fs_path(related.location.uri) == str(editor.folder / broken)
        (editor.folder / broken).write_text(text, "utf-8")
    assert diagnostics(editor.again()) == []
