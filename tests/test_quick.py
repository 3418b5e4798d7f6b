"""`make quick`: which tests a change leads to, and when no more are started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import quick
from tests.quick import ROOT, fast_tests, nearest_tests

pytest_plugins = ("pytester",)


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT / "tests").as_posix() for path in paths]


def test_the_tests_that_import_a_changed_file_come_before_those_that_lead_to_it() -> None:
    found = names(nearest_tests({ROOT / "satdsl/backend/winograd.py"}))
    assert found[0] == "backend/test_winograd.py"
    assert "backend/test_models.py" in found, "through folded networks"
    assert "compiler/test_plan.py" not in found


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ("tests/backend/test_train.py", "backend/test_train.py"),
        ("tests/backend/workshop.py", "backend/test_train.py"),
        ("tests/faults/conftest.py", "faults/test_disk.py"),
        ("tests/compiler/bad/E203.sat", "compiler/test_findings.py"),
        ("satdsl/catalog/findings/E203.md", "catalog/test_pages.py"),
        ("docs/reference/language.md", "docs/test_code_blocks.py"),
        ("grammar/sat.lark", "compiler/test_syntax.py"),
    ],
)
def test_a_change_leads_to_the_tests_that_it_can_break(changed: str, test: str) -> None:
    assert test in names(nearest_tests({ROOT / changed}))


def test_fast_tests_load_neither_torch_nor_other_programs() -> None:
    found = names(fast_tests())
    assert "compiler/test_science.py" in found
    assert not [name for name in found if name.startswith(("backend/", "faults/", "lsp/"))]


@pytest.mark.parametrize(("seconds", "passed", "skipped"), [(100, 2, 0), (-1, 0, 2)])
def test_tests_that_would_start_too_late_are_left_out_and_counted(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, seconds: int, passed: int, skipped: int
) -> None:
    monkeypatch.setenv("SATDSL_QUICK_END", str(quick.time.time() + seconds))
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('k', [1, 2])\ndef test_it(k): pass\n")
    done = pytester.runpytest_inprocess("-p", "tests.quick")
    done.assert_outcomes(passed=passed, skipped=skipped)
    assert done.stdout.str().count("no time for 2 tests") == bool(skipped)
