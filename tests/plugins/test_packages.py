"""Plug-ins of installed packages: found by their entry point without being imported, with their version in the key."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from satdsl.catalog.plugins import PACKAGE
from satdsl.check import check
from satdsl.compile import compile_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding
from satdsl.plan.saved import UnusablePlan, load, save

MODULE = '''raise SystemExit("imported")

import satdsl.plugin as sat
from extras.shapes import ball
import torch


@sat.attack(norm="L2", passes="steps")
def fast(network, images, labels, *, eps: sat.Radius, steps: int = 3):
    """A fast one."""
'''

SPEC = """sat 1
use "extras"
dataset d = digits()
model net = small_cnn()
attack f = fast(eps=0.5)
recipe r = sgd(epochs=1, lr=0.1)
train t = net on d using r { attack all with f }
evaluate t { robust = robust accuracy under f on val }
"""


def install(
    site: Path, name: str = "robust-extras", version: str = "1.2", point: str = "extras", *, files: bool = True
):
    """Put a package into a folder as an installer does; without `files` as one that is installed from a checkout."""
    package = site / "extras"
    package.mkdir(exist_ok=True)
    for file, text in {"__init__.py": "raise SystemExit", "attacks.py": MODULE, "shapes.py": "ball = 1\n"}.items():
        (package / file).write_text(text, "utf-8")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[satdsl.plugins]\n{point} = extras.attacks\n", "utf-8")
    listed = "extras/__init__.py,,\nextras/attacks.py,,\nextras/shapes.py,,\n" if files else ""
    (info / "RECORD").write_text(listed, "utf-8")
    return info


@pytest.fixture
def site(tmp_path, monkeypatch):
    place = tmp_path / "site"
    place.mkdir()
    (place / "torch").mkdir()
    (place / "torch" / "__init__.py").write_text("x = 1\n", "utf-8")
    monkeypatch.syspath_prepend(str(place))
    (tmp_path / "main.sat").write_text(SPEC, "utf-8")
    yield place
    assert "extras" not in sys.modules


def code(folder: Path):
    ((found, _),) = compile_file(folder / "main.sat").plan.python
    return found


def findings(folder: Path) -> tuple[Finding, ...]:
    with pytest.raises(SpecError) as raised:
        check(str(folder / "main.sat"), (folder / "main.sat").read_text("utf-8"))
    return raised.value.findings


def messages(folder: Path) -> list[str]:
    return [finding.message for finding in findings(folder)]


@pytest.mark.parametrize("files", [True, False])
def test_a_package_s_functions_are_entries(site, files):
    install(site, files=files)
    found = code(site.parent)
    assert (found.function, found.path, found.place) == ("fast", "robust-extras 1.2", f"{PACKAGE}extras")
    assert [name for name, _ in found.files] == ["extras/attacks.py", "extras/__init__.py", "extras/shapes.py"]


def test_the_digest_has_the_version_and_the_code_of_the_package(site):
    info = install(site)
    first = code(site.parent).digest
    (site / "extras" / "shapes.py").write_text("ball = 1  # round\n", "utf-8")
    assert code(site.parent).digest == first
    (site / "extras" / "shapes.py").write_text("ball = 2\n", "utf-8")
    assert code(site.parent).digest != first
    for file in info.iterdir():
        file.unlink()
    info.rmdir()
    install(site, version="1.3")
    assert code(site.parent).digest != first


def test_a_saved_plan_is_refused_with_another_version(site):
    info = install(site)
    save(compile_file(site.parent / "main.sat").plan, site.parent / "plan.yaml")
    load(site.parent / "plan.yaml")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: robust-extras\nVersion: 1.2.1\n", "utf-8")
    with pytest.raises(UnusablePlan, match="the Python code package extras is not what it was"):
        load(site.parent / "plan.yaml")


def test_a_name_that_no_package_has_is_told(site):
    assert messages(site.parent) == ["there is neither a file nor an installed plug-in called `extras`"]
    install(site, point="extra")
    (finding,) = findings(site.parent)
    assert finding.help == "did you mean `extra`?"


def test_a_name_that_two_packages_have_is_told(site):
    install(site)
    install(site, name="other-extras")
    (message,) = messages(site.parent)
    assert message.startswith("several packages have a plug-in `extras`: ")


def test_a_module_without_a_file_is_told(site):
    install(site, files=False)
    (site / "extras" / "attacks.py").unlink()
    assert messages(site.parent) == ["the module `extras.attacks` of robust-extras 1.2 has no file that can be read"]
