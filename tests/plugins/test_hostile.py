"""Python files that mean harm, or that only look like Python: an error in bounded time, and nothing is run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from satdsl.catalog.plugins.folder_code import MOST_FILES
from satdsl.catalog.plugins.python_text import MOST_CHARACTERS
from satdsl.check import analyse, check
from satdsl.diagnostics import SpecError, rendered
from satdsl.findings import Source

HEAD = "import satdsl.plugin as sat\n\n\n"
GOOD = HEAD + "@sat.attack\ndef mine(network, images, labels):\n    return images\n"
SECONDS = 10
"""Of a processor: far more than any of these takes."""


def codes(folder: Path, text: str | bytes, name: str = "mine.py") -> list[str]:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    begun = time.process_time()
    found = analyse(Source(str(folder / "main.sat"), f'sat 1\nuse "{name}"\n')).findings
    assert rendered(found).plain
    assert time.process_time() - begun < SECONDS
    return [finding.code for finding in found]


def test_the_good_one_is_good(tmp_path):
    assert codes(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 10_000 + ")" * 10_000,
        "x = " + "(" * 190 + "1 1" + ")" * 190,
        "x = " + "-" * 200_000 + "1",
        "x = " + "not " * 50_000 + "1",
        "x = " + "lambda: " * 30_000 + "1",
        "x = a" + ".b" * 140_000,
        "x = 1" + "+1" * 140_000,
        "x = " + "1 if a else " * 20_000 + "1",
        "".join(" " * depth + "if a:\n" for depth in range(500)) + " " * 500 + "pass",
        "x = 1" + "0" * 5_000,
        "\0",
        "x = '\\N{no such character}'",
        "x = 08",
        "def f(:\n",
        "\tx = 1\n  y = 2\n",
        "# coding: no-such-coding\nx = 1",
        "print 'hello'",
        "x" * (MOST_CHARACTERS + 1),
    ],
    ids=range(18),
)
def test_what_cannot_be_parsed_is_said_to_be_no_python(tmp_path, text):
    assert codes(tmp_path, text)[0] in ("E110", "E113")


@pytest.mark.parametrize(
    "annotation",
    [
        "int" + " | None" * 20_000,
        "'" + "list[" * 150 + "int" + "]" * 150 + "'",
        "list[" * 150 + "int" + "]" * 150,
        "'(' * 3",
        '\'__import__("os").remove("marker")\'',
        "__import__('os').remove('marker')",
        "int if print() else float",
        "Literal['a b']",
        "tuple[int, float]",
    ],
    ids=range(9),
)
def test_an_annotation_that_is_more_than_a_type_is_refused(tmp_path, annotation):
    text = GOOD.replace("labels)", f"labels, *, x: {annotation})")
    assert codes(tmp_path, text)[0] in ("E216", "E110")


@pytest.mark.parametrize(
    "default",
    [
        "9**9**9**9",
        "open('marker')",
        "1e18*1e18",
        "[1] * 10**9",
        "1/0",
        "(" * 150 + "1" + ")" * 150 + "+x",
        "f'{1}'",
        "-x",
    ],
    ids=range(8),
)
def test_a_default_is_not_computed(tmp_path, default):
    assert codes(tmp_path, GOOD.replace("labels)", f"labels, *, x: float = {default})")) == ["E217"]


def test_a_file_of_bytes_or_no_file_at_all_is_refused(tmp_path):
    assert codes(tmp_path, b"\xff\xfe\x00") == ["E306"]
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(SpecError):
        check(str(tmp_path / "main.sat"), 'sat 1\nuse "folder.py"\n')


def test_a_folder_that_imports_itself_round_and_round_ends(tmp_path):
    for i in range(30):
        (tmp_path / f"m{i}.py").write_text("".join(f"import m{j}\n" for j in range(30)), "utf-8")
    assert set(codes(tmp_path, "import m0\n" + GOOD)) == {"E111"}


def test_more_files_than_travel_are_refused(tmp_path):
    for i in range(MOST_FILES + 5):
        (tmp_path / f"m{i}.py").touch()
    text = "".join(f"import m{i}\n" for i in range(MOST_FILES + 5)) + GOOD
    assert codes(tmp_path, text) == ["E111"]


def test_a_package_whose_modules_import_from_it_is_no_circle(tmp_path):
    package = tmp_path / "shapes"
    package.mkdir()
    (package / "__init__.py").write_text("from . import ball, cube\nfrom .ball import volume\n", "utf-8")
    (package / "ball.py").write_text("from . import cube\nfrom shapes import cube as same\nvolume = 1\n", "utf-8")
    (package / "cube.py").write_text("def late():\n    from . import ball\n", "utf-8")
    assert codes(tmp_path, "import shapes\n" + GOOD) == []


def test_modules_of_python_and_of_packages_are_not_looked_for(tmp_path):
    text = "import os.path, torch.nn as nn\nfrom collections import abc\nfrom ... import above\n" + GOOD
    assert codes(tmp_path, text) == []


def test_a_link_to_a_device_is_not_waited_for(tmp_path):
    (tmp_path / "endless.py").symlink_to("/dev/zero")
    with pytest.raises(SpecError, match="cannot be read"):
        check(str(tmp_path / "main.sat"), 'sat 1\nuse "endless.py"\n')
    assert codes(tmp_path, "import endless\n" + GOOD) == ["E111"]


def test_a_huge_file_is_not_read(tmp_path):
    with (tmp_path / "huge.py").open("wb") as file:
        file.truncate(20_000_000_000)
    with pytest.raises(SpecError, match="it has 20,000,000,000 bytes"):
        check(str(tmp_path / "main.sat"), 'sat 1\nuse "huge.py"\n')
    assert codes(tmp_path, "import huge\n" + GOOD) == ["E111"]


def test_what_is_imported_and_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.py").write_bytes(b"# \xe9")
    assert codes(tmp_path, "import latin, " + "a" * 400 + "\n" + GOOD) == ["E111"]
