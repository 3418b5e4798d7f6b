"""Python files of the user's own: read and not run, and entries of the language by name."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from satdsl.catalog import catalog
from satdsl.catalog.attacks import AttackEntry
from satdsl.check import check
from satdsl.compile import compile_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding
from satdsl.ir.plan import Plan
from satdsl.ir.steps import CatalogCall, document, key_text, plugins_in

MINE = '''"""Attacks of my own."""

from pathlib import Path
from typing import Annotated

import satdsl.plugin as sat

Path(__file__).with_name("marker").unlink()
raise SystemExit("it is executed")


@sat.attack(passes="steps")
def mifgsm(
    network,
    images,
    labels,
    *,
    norm: sat.Norm,
    eps: sat.Radius,
    step_size: Annotated[float, sat.Above(0)],
    steps: Annotated[int, sat.AtLeast(1)] = 10,
    decay: float = 1.0,
):
    """Ascent along a running sum of gradients (Dong et al., 2018).

    Args:
        decay: How much of the sum is kept.
    """
    return images
'''

SPEC = """sat 1
use "mine.py"
dataset d = digits()
model net = small_cnn()
attack mi = mifgsm(norm=L2, eps=0.5, step_size=0.1)
recipe r = sgd(epochs=3, lr=0.1)
train t = net on d using r { attack all with mi }
evaluate t { robust = robust accuracy under mi on val }
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "marker").touch()
    (tmp_path / "mine.py").write_text(MINE, "utf-8")
    path = tmp_path / "main.sat"
    path.write_text(SPEC, "utf-8")
    yield path
    assert (tmp_path / "marker").exists()


def findings_of(path: Path) -> tuple[Finding, ...]:
    try:
        return check(str(path), path.read_text("utf-8")).warnings
    except SpecError as error:
        return error.findings


def messages(path: Path) -> list[str]:
    return [finding.message for finding in findings_of(path)]


def rewritten(path: Path, before: str, after: str) -> Path:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")
    return path


def attacks(plan: Plan) -> list[CatalogCall]:
    return [step.settings.attack for step in plan.steps.values() if step.kind == "evaluate" and step.settings.attack]


def keys(path: Path) -> set[str]:
    return set(compile_file(path).plan.steps)


def test_a_marked_function_is_an_entry_with_its_arguments_defaults_and_help(spec):
    (call,) = attacks(compile_file(spec).plan)
    assert call.name == "mifgsm"
    assert dict(call.args) == {"norm": "L2", "eps": 0.5, "step_size": 0.1, "steps": 10, "decay": 1.0}
    entry = AttackEntry.of(call)
    assert entry.help == "Ascent along a running sum of gradients (Dong et al., 2018)."
    assert entry.args["decay"].help == "How much of the sum is kept."
    assert entry.passes(call).forward_backward == 10


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("mifgsm(", "mifgms(", "there is no attack called `mifgms`"),
        ("step_size=0.1", "stepsize=0.1", "`mifgsm` has no argument called `stepsize`"),
        ("step_size=0.1", "step_size=0", "`step_size` must be above 0, but here it is 0"),
        ("step_size=0.1", "step_size=0.1, steps=2.5", "`2.5` is a number, but a whole number is needed here"),
        ("norm=L2", "norm=L3", "`norm` cannot be `L3`"),
        ("norm=L2, eps=0.5", "norm=Linf, eps=8", "eps=8 under Linf is larger than any image"),
        (", step_size=0.1", "", "`mifgsm` needs `step_size`"),
        (
            "mifgsm(norm=L2, eps=0.5",
            "mifgsm(norm=L2, eps=50",
            "eps=50 under L2 is larger than the image box",
        ),
    ],
)
def test_calls_are_checked_as_those_of_built_in_entries_are(spec, before, after, message):
    assert any(found.startswith(message) for found in messages(rewritten(spec, before, after)))


def test_a_misspelt_name_is_corrected(spec):
    (finding,) = findings_of(rewritten(spec, "mifgsm(", "mifgms("))
    assert finding.help == "did you mean `mifgsm`?"
    assert finding.fix is not None


@pytest.mark.parametrize(
    ("line", "prefix"),
    [
        ("import satdsl.plugin as sat", "sat."),
        ("import satdsl.plugin", "satdsl.plugin."),
        ("from satdsl import plugin", "plugin."),
        ("from satdsl import plugin as p", "p."),
        ("from satdsl.plugin import Above, AtLeast, Norm, Radius, attack", ""),
    ],
)
def test_the_marks_are_known_under_every_name_that_they_are_imported_by(spec, line, prefix):
    text = MINE.replace("import satdsl.plugin as sat\n", "<import>\n").replace("sat.", prefix)
    spec.with_name("mine.py").write_text(text.replace("<import>", line), "utf-8")
    assert messages(spec) == []


def test_a_mark_under_a_name_that_is_something_else_is_none(spec):
    rewritten(spec.with_name("mine.py"), "import satdsl.plugin as sat", "import other as sat")
    assert "no function of this file is marked as an entry" in messages(spec)


# --- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    return images", "    # nothing\n\n    return images"),
        ("Ascent along", "Climbs along"),
        ('"""Attacks of my own."""', ""),
        ('"marker"', "'marker'"),
        ("    decay: float = 1.0,\n", "    decay: float = 1.0\n"),
    ],
)
def test_comments_docstrings_and_layout_change_no_key(spec, before, after):
    was = keys(spec)
    rewritten(spec.with_name("mine.py"), before, after)
    assert keys(spec) == was


@pytest.mark.parametrize(("before", "after"), [("return images", "return images + 0"), ('steps"', 'steps*1"')])
def test_code_changes_the_keys_of_what_uses_it_and_no_others(spec, before, after):
    was = keys(spec)
    rewritten(spec.with_name("mine.py"), before, after)
    assert len(keys(spec) & was) == 1  # the data


def test_what_a_file_imports_from_its_folder_is_part_of_the_keys(spec):
    mine, helper = spec.with_name("mine.py"), spec.with_name("shapes") / "ball.py"
    helper.parent.mkdir()
    helper.write_text("from . import edge\n", "utf-8")
    helper.with_name("__init__.py").touch()
    edge = helper.with_name("edge.py")
    edge.write_text("WIDTH = 1\n", "utf-8")
    rewritten(mine, "import satdsl.plugin as sat", "import satdsl.plugin as sat\nfrom shapes.ball import edge")
    was = keys(spec)
    (code,) = set(plugins_in(tuple(step.settings for step in compile_file(spec).plan.steps.values())))
    assert [name for name, _ in code.files] == ["mine.py", "shapes/__init__.py", "shapes/ball.py", "shapes/edge.py"]
    edge.write_text("WIDTH = 1  # pixels\n", "utf-8")
    assert keys(spec) == was
    edge.write_text("WIDTH = 2\n", "utf-8")
    assert keys(spec) != was


def test_equal_code_under_another_path_has_the_same_keys(spec, tmp_path):
    was = keys(spec)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").write_text(MINE, "utf-8")
    assert keys(rewritten(spec, '"mine.py"', '"lib/mine.py"')) == was


# --- the code travels with the call -----------------------------------------------------------------


def test_a_call_finds_its_entry_in_any_process_by_the_text_that_it_brings_along(spec):
    (call,) = attacks(compile_file(spec).plan)
    spec.with_name("mine.py").unlink()
    program = (
        "import pickle, sys; from satdsl.catalog.attacks import AttackEntry\n"
        "call = pickle.load(sys.stdin.buffer); entry = AttackEntry.of(call)\n"
        "print(entry.name, entry.passes(call).forward_backward, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(call), capture_output=True, check=True)
    assert done.stdout.split() == [b"mifgsm", b"10", b"False"]


def test_a_call_is_stored_with_its_code_and_comes_back(spec):
    (call,) = attacks(compile_file(spec).plan)
    assert catalog().stored_call(call.stored) == call
    assert catalog().stored_call(call.stored).plugin.files == call.plugin.files


def test_the_text_of_the_code_is_neither_in_a_key_nor_in_the_document(spec):
    (call,) = attacks(compile_file(spec).plan)
    digest = call.plugin.digest
    assert key_text(call) == f'{{"eps":0.5,"name":"mifgsm","norm":"L2","plugin":"{digest}","step_size":0.1}}'
    assert document(call)["plugin"] == {"function": "mifgsm", "digest": digest}


def test_a_call_of_the_catalog_has_the_key_and_the_document_that_it_always_had():
    call = catalog().call("pgd", ("norm", "L2"), ("eps", 0.5))
    assert key_text(call) == '{"eps":0.5,"name":"pgd","norm":"L2"}'
    assert document(call) == {"name": "pgd", "norm": "L2", "eps": 0.5}


# --- the marks themselves ---------------------------------------------------------------------------


def test_the_module_of_marks_imports_neither_torch_nor_the_rest_of_satdsl():
    program = (
        "import sys, satdsl.plugin; print(sorted(m for m in sys.modules if m.split('.')[0] in ('satdsl', 'torch')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "['satdsl', 'satdsl.plugin', 'satdsl.version']"


def test_a_mark_leaves_the_function_as_it_is():
    from satdsl import plugin

    def plain(network, images, labels):
        return images

    assert plugin.attack(plain) is plain
    assert plugin.attack(passes="1")(plain) is plain
    assert getattr(plain, plugin.MARK) == plugin.Mark("attack", {"passes": "1"})
