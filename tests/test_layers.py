"""The layers of ARCHITECTURE.md: what each package may import, and no circle of packages or of files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = re.compile(r"\| package \| may import \|")


def modules() -> dict[str, Path]:
    """Every module of satdsl by its dotted name."""
    found = {}
    for path in sorted((ROOT / "satdsl").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.AST, known: Iterable[str]) -> Iterator[str]:
    """The modules of satdsl that a module imports, inside its functions too."""
    known = set(known)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in known else str(node.module)


def arrows() -> dict[str, set[str]]:
    """Each module with those that it imports."""
    found = modules()
    return {name: set(imported(ast.parse(path.read_text("utf-8")), found)) - {name} for name, path in found.items()}


def package(module: str) -> str:
    """The room of a module: `satdsl.check.values` is in `check`, `satdsl.records` in `records`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "satdsl"


def rules() -> dict[str, set[str]]:
    """The table "may import" of ARCHITECTURE.md: each package with those that it may import."""
    lines = iter((ROOT / "ARCHITECTURE.md").read_text("utf-8").splitlines())
    next(line for line in lines if HEADER.match(line))
    next(lines)
    found: dict[str, set[str]] = {}
    for line in lines:
        if not line.startswith("|"):
            break
        names, allowed = (set(re.findall(r"`([\w/.]+)`", cell)) for cell in line.split("|")[1:3])
        found |= {_plain(name): {_plain(one) for one in allowed} for name in names}
    return found


def _plain(name: str) -> str:
    return name.removesuffix(".py").strip("/")


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The circles of a graph: its strongly connected components of more than one node (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            place = stack.index(node)
            component, stack[place:] = stack[place:], []
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_every_package_imports_only_what_architecture_allows() -> None:
    allowed = rules()
    packages = {package(module) for module in modules()}
    assert set(allowed) == packages, "the table in ARCHITECTURE.md has a row for each package and each single module"
    broken = sorted(
        f"{module} imports {other}"
        for module, others in arrows().items()
        for other in others
        if package(other) != package(module) and package(other) not in allowed[package(module)]
    )
    assert not broken, "ARCHITECTURE.md, table `may import`, forbids:\n" + "\n".join(broken)


def test_the_rules_themselves_have_no_circle() -> None:
    assert circles(rules()) == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(arrows()) == []
