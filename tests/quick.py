"""Run the tests that a change can break, those nearest to it first, for no longer than a minute.

    python tests/quick.py [arguments of pytest]

What changed is what `git` finds beside the commit at which this branch left `main`. From there the search goes to the
files that import it, to those that import these, and so on; the test files that it meets run in this order. Without
changes the fast test files run: those that load neither torch nor other programs. Tests that would start after
`SECONDS` are left out and counted at the end: `make test` runs them all.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SECONDS = 50
"""After so many seconds no test is started, so that a minute is enough for those that are running."""

_END = "SATDSL_QUICK_END"
"""The environment variable that tells the processes of pytest when these seconds are over."""

_LEFT_OUT = "left out: no time"

_SLOW = {"hypothesis", "multiprocessing", "ray", "subprocess", "torch"}
"""What a test file imports, itself or through another file, if its tests take long."""


# --- what changed ----------------------------------------------------------------------------------


def changed_files() -> set[Path]:
    """Return the files that differ from the commit at which this branch left `main`, and the new ones."""
    base = next(filter(None, (_git("merge-base", "HEAD", main) for main in ("main", "origin/main"))), ["HEAD"])
    names = _git("diff", "--name-only", *base) + _git("ls-files", "--others", "--exclude-standard")
    return {ROOT / name for name in names}


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()


# --- who imports whom ------------------------------------------------------------------------------


@cache
def python_files() -> tuple[Path, ...]:
    return tuple(sorted(path for folder in ("satdsl", "tests", "tools") for path in (ROOT / folder).rglob("*.py")))


@cache
def _known() -> frozenset[Path]:
    return frozenset(python_files())


def test_files() -> list[Path]:
    return [path for path in python_files() if path.name.startswith("test_") and path.is_relative_to(ROOT / "tests")]


@cache
def _text(path: Path) -> str:
    return path.read_text("utf-8")


@cache
def imported(path: Path, everywhere: bool = True) -> frozenset[Path | str]:
    """Return the files of the project that `path` imports, and the names of other packages.

    `everywhere`: also within functions, where what is slow is imported.
    """
    return frozenset(_imported(path, everywhere))


def _imported(path: Path, everywhere: bool) -> Iterator[Path | str]:
    if path.is_relative_to(ROOT / "tests"):
        yield from (parent / "conftest.py" for parent in path.parents if (parent / "conftest.py").is_file())
    try:
        tree = ast.parse(_text(path))
    except SyntaxError:  # it is being written; its tests will say so
        return
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _file(alias.name, path.parent) or alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found = [_file(f"{module.rstrip('.')}.{alias.name}", path.parent) for alias in node.names]
            yield from filter(None, found)
            if None in found:
                yield _file(module, path.parent) or module.strip(".").partition(".")[0]


@cache
def _file(module: str, beside: Path) -> Path | None:
    """Return the file of a module of the project, which may be named as one `beside` the test that imports it."""
    name = module.lstrip(".").replace(".", "/")
    for folder in (beside,) if module.startswith(".") else (ROOT, beside):
        for path in (folder / f"{name}.py", folder / name / "__init__.py"):
            if path in _known():
                return path
    return None


def nearest_tests(changed: Iterable[Path]) -> list[Path]:
    """Return the test files that depend on what changed, those with the shortest way to it first."""
    dependents: dict[Path | str, set[Path]] = defaultdict(set)
    for path in python_files():
        for module in imported(path):
            dependents[module].add(path)
    reached = dict.fromkeys(sorted(changed))
    for path in reached.copy():
        if path.suffix != ".py":
            reached |= dict.fromkeys(_mentions(path))
    for path in (queue := list(reached)):
        new = sorted(dependents[path] - reached.keys())
        reached |= dict.fromkeys(new)
        queue += new
    tests = set(test_files())
    return [path for path in reached if path in tests]


def _mentions(changed: Path) -> Iterator[Path]:
    """Yield the Python files that name a file of another kind in quotes, then those that name a folder it is in."""
    for name in reversed(changed.relative_to(ROOT).parts):
        if name not in ("satdsl", "tests"):
            yield from (path for path in python_files() if f'{name}"' in _text(path))


def fast_tests() -> list[Path]:
    """Return the test files that load nothing slow when they are imported, nor does anything that they import."""
    return [path for path in test_files() if not _SLOW & _loaded(path)]


def _loaded(path: Path) -> set[Path | str]:
    found: set[Path | str] = {path}
    for one in (queue := [path]):
        new = imported(one, everywhere=one == path) - found
        found |= new
        queue += [file for file in new if isinstance(file, Path)]
    return found


# --- within pytest ---------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.time() > float(os.environ[_END]):
        pytest.skip(_LEFT_OUT)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", ())
    files = Counter(one.nodeid.partition("::")[0] for one in skipped if _LEFT_OUT in str(one.longrepr))
    if files:
        terminalreporter.section(f"no time for {files.total()} tests; make test runs them all")
        for name, count in files.items():
            terminalreporter.line(f"{count:5} of {name}")


# --- as a program ----------------------------------------------------------------------------------


def main() -> None:
    end = time.time() + SECONDS
    changed = changed_files()
    chosen = nearest_tests(changed) if changed else fast_tests()
    what = f"the tests nearest to {len(changed)} changed files" if changed else "nothing changed: the fast tests"
    print(f"{what} ({len(chosen)} files)", flush=True)
    if not chosen:
        return
    os.environ[_END] = str(end)
    files = [str(path.relative_to(ROOT)) for path in chosen]
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-n", "2", "-p", "tests.quick", *sys.argv[1:], *files])


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
