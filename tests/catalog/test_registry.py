"""Every entry of the catalog has its code: it is checked, costed, made small, shown and run, and nothing asks its name.

The tests are parametrised over the registries, so that a new entry is covered as soon as its file is there.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from inspect import Parameter, signature
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import satdsl
from satdsl.backend import perform
from satdsl.backend.registry import TABLES, implementation
from satdsl.catalog import FAMILIES, Catalog, Entry, catalog
from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.datasets import DatasetEntry
from satdsl.catalog.losses import LossEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.plots import PlotEntry
from satdsl.catalog.registry import FOLDERS
from satdsl.catalog.schedules import ScheduleEntry
from satdsl.catalog.scores import ScoreEntry
from satdsl.catalog.show import document, show
from satdsl.compile import check_file
from satdsl.findings import Source
from satdsl.ir.plan import Plan
from satdsl.ir.work import StepError, Work
from satdsl.plan.expand import expand
from satdsl.report.figure import PACKAGES, backend
from satdsl.smoke import made_small
from satdsl.syntax import tree
from satdsl.syntax.read import read
from tests.entries import of_entry, written

ENTRIES = [entry for family in FOLDERS for entry in catalog().entries(family)]

MEASURES = {
    "clean accuracy": "clean accuracy",
    "robust accuracy": "robust accuracy under a",
    "mean score": "mean loss",
    "robust curve": "robust accuracy under near at [0, 0.5]",
    "median distance": "median distance under near",
    "mean distance": "mean distance under near",
}
"""How each measure is written."""


# --- both sides ----------------------------------------------------------------------------------


NODES = tuple(
    node
    for node in tree.Measure.__subclasses__()
    if node.__module__.startswith("satdsl.") and node is not tree.OwnMeasure
)
"""What measures are in the syntax tree, but for the one that stands for functions of the user's own."""


def untied(entries: Catalog, nodes: Sequence[type[tree.Measure]] = NODES) -> list[str]:
    """The entries that have no code, and the measures of the syntax tree that have no entry."""
    found = [of_entry(e) for family in FOLDERS for e in entries.entries(family) if not has_code(e)]
    written = {entry.node for entry in entries.entries("measure") if isinstance(entry, MeasureEntry)}
    return found + [node.__name__ for node in nodes if node not in written]


def has_code(entry: Entry) -> bool:
    match entry:
        case MeasureEntry():
            return entry.name in MEASURES and type(measured(MEASURES[entry.name])) is entry.node
        case ScoreEntry() if entry.of_weights or entry.same_as:
            return True
        case ModelEntry(from_file=True):
            return True
    try:
        if entry.family in PACKAGES:
            backend(entry.family, entry.name)
        else:
            implementation(entry.family, entry.name)
    except (StepError, LookupError):
        return False
    return True


def measured(words: str) -> tree.Measure:
    """What the parser makes of a measure."""
    text = f"sat 1\nevaluate t {{ v = {words} on val }}\n"
    file, _ = read(Source("x.sat", text))
    (statement,) = (each for each in file.statements if isinstance(each, tree.Evaluate))
    return statement.lines[0].measured.measure


def test_every_entry_has_its_code() -> None:
    assert untied(catalog()) == []


class Sharpness(tree.Measure):
    """A measure that the grammar has no form for."""


@pytest.mark.parametrize(
    "entry",
    [
        AttackEntry("made_up", "An attack."),
        LossEntry("made_up", "A loss."),
        PlotEntry("made_up", "A plot."),
        MeasureEntry("made up", "A measure.", node=Sharpness),
        ScheduleEntry("made_up", "A schedule."),
        ScoreEntry("made_up", "A score."),
    ],
    ids=of_entry,
)
def test_an_entry_without_code_is_found(entry: Entry) -> None:
    assert of_entry(entry) in untied(Catalog([entry]))


def test_a_measure_without_an_entry_is_found() -> None:
    assert untied(catalog(), [*NODES, Sharpness]) == ["Sharpness"]


def code() -> Iterator[tuple[str, str]]:
    """(family, name) of everything that the backend and the report have a function for."""
    for family, (module, table) in TABLES.items():
        functions = getattr(import_module(f"satdsl.backend.{module}"), table)
        yield from ((family, name) for name in functions)
    for family, folder in FOLDERS.items():
        if family in TABLES or family == "measure":
            continue
        package = import_module(PACKAGES.get(family, f"satdsl.backend.{folder}"))
        yield from ((family, found.name) for found in pkgutil.iter_modules(package.__path__))


def test_all_code_has_its_entry() -> None:
    known = {(entry.family, name) for entry in ENTRIES for name in (entry.name, entry.name.replace("-", "_"))}
    assert {(family, name) for family, name in code() if (family, name) not in known} == {("dataset", "stand_in")}


@pytest.mark.parametrize(
    "entry",
    [e for e in ENTRIES if e.family in ("attack", "loss", "schedule", "recipe", "augmentation", "head")],
    ids=of_entry,
)
def test_a_function_takes_the_arguments_of_its_entry(entry: Entry) -> None:
    if isinstance(entry, AttackEntry) and entry.ensemble:
        return
    parameters = signature(implementation(entry.family, entry.name)).parameters.values()
    named = {each.name for each in parameters if each.kind is Parameter.KEYWORD_ONLY}
    assert {name for name in named if name not in entry.args} <= {"start", "scale"}
    assert ("scale" in named) == (isinstance(entry, AttackEntry) and entry.scaled)
    if entry.family != "recipe":
        assert set(entry.args) <= named


# --- in use --------------------------------------------------------------------------------------


def displayed(entry: Entry) -> str:
    """A call of a plot or table of results that depend on all of its axes, and on no other."""
    required = [arg.name for arg in entry.args.values() if arg.type == "axis" and arg.required]
    given = dict(zip(required, ("class", "part"), strict=False))
    result = "t.c" if len(required) == 1 else "t.w"
    return written(
        entry, given | {arg.name: result for arg in entry.args.values() if arg.type == "results" and arg.required}
    )


def specification(entry: Entry, weights: Path) -> str:
    """A small experiment with an entry in its place."""
    used = {
        "dataset": "synthetic(classes=10, shape=[3, 16, 16], train=60, val=20)",
        "model": "small_cnn(width=4)",
        "attack": "pgd(norm=Linf, eps=0.1, steps=2, step_size=0.1)",
        "recipe": "sgd(epochs=3, batch=16, lr=0.01)",
        "loss": "cross_entropy",
        "score": "entropy",
        "head": "linear",
        "plot": 'table "x" = rows(t.v)',
        "measure": "clean accuracy",
    }
    trained_with, radius = used["attack"], ""
    match entry.family:
        case "dataset":
            used["dataset"] = written(entry, {"limit": "60", "limit_val": "20"})
        case "model":
            given = {"architecture": '"mobilenet_v3_small"', "file": f'"{weights}"', "arch": "small_cnn(width=4)"}
            if isinstance(entry, ModelEntry) and entry.library == "timm":
                given["architecture"] = '"test_resnet"'
            used["model"] = written(entry, {name: text for name, text in given.items() if name in entry.args})
        case "attack":
            used["attack"] = written(entry, {"step_size": "0.1"} if "step_size" in entry.args else None)
            if isinstance(entry, AttackEntry) and entry.not_for_training is None:
                trained_with = used["attack"]
            if isinstance(entry, AttackEntry) and entry.nearest is not None:
                radius = " at 0.5"
        case "recipe":
            used["recipe"] = written(entry, {"epochs": "3"})
        case "schedule":
            used["recipe"] = f"sgd(epochs=3, batch=16, lr=0.01, schedule={written(entry)})"
        case "perturbation":
            used["recipe"] = f"sgd(epochs=3, batch=16, lr=0.01, perturb={written(entry)})"
        case "augmentation":
            size = {"size": "16"} if "size" in entry.args else None
            used["dataset"] = used["dataset"].replace(")", f", augment={written(entry, size)})")
        case "plot" | "table":
            used["plot"] = f'{entry.family} "x" = {displayed(entry)}'
        case "measure":
            used["measure"] = MEASURES[entry.name]
        case "term":
            used["loss"] = f"ce(adversarial) + {written(entry)}"
        case family:
            used[family] = written(entry)
    return f"""sat 1
dataset d = {used["dataset"]}
model   m = {used["model"]}
attack  a = {used["attack"]}
attack  b = {trained_with}
recipe  r = {used["recipe"]}
recipe  q = sgd(epochs=1, batch=16, lr=0.01)
train ref = m on d using r {{ attack all with {"b" if entry.name != "none" else "a"}; keep snapshots every epoch }}
split s of d {{ A = hardest 50% examples by {used["score"]} of ref; B = rest }}
train t = m on s using q {{ attack A with pgd2; loss A = {used["loss"]} }}
attack pgd2 = pgd(norm=Linf, eps=0.1, steps=2, step_size=0.1)
attack near = fmn(norm=L2, steps=5)
transfer h = t to d using q {{ head = {used["head"]} }}
evaluate ref {{ v = robust accuracy under a{radius} on val }}
evaluate t {{
  v = {used["measure"]} on train
  w = clean accuracy on train, val by class
  c = clean accuracy on val by class
}}
evaluate h {{ v = clean accuracy on val }}
{used["plot"]}
"""


def done(plan: Plan, folder: Path) -> dict[str, Path]:
    """The folder of each step's artifact, after all steps are run."""
    out: dict[str, Path] = {}
    for key, step in plan.steps.items():
        out[key] = folder / key[:12]
        scratch = folder / f"{key[:12]}-scratch"
        for place in (out[key], scratch):
            place.mkdir(parents=True)
        perform(step, Work({role: out[of] for role, of in step.inputs}, out[key], scratch, folder))
    return out


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the network that the entry `checkpoint` reads."""
    import torch

    from satdsl.backend.models import build
    from satdsl.ir.steps import CatalogCall

    network = build(CatalogCall("small_cnn", (("width", 4),)), (3, 16, 16), 10, (0.5,) * 3, (0.25,) * 3)
    place = tmp_path_factory.mktemp("weights") / "weights.pt"
    torch.save(network.body.state_dict(), place)
    return place


def runs_here(entry: Entry) -> bool:
    """Whether an entry can be run without files that have to be fetched, or libraries that are not there."""
    if isinstance(entry, DatasetEntry):
        return not entry.files and not entry.named_files and entry.in_folder is None
    return not (isinstance(entry, ModelEntry) and entry.library and find_spec(entry.library) is None)


ALIKE = ("resnet34", "resnet101", "resnet152")
"""What is one function with another entry, and takes seconds."""


@pytest.mark.parametrize("entry", [e for e in ENTRIES if runs_here(e) and e.name not in ALIKE], ids=of_entry)
def test_an_entry_is_checked_costed_made_small_and_run(entry: Entry, weights: Path, tmp_path: Path) -> None:
    spec = tmp_path / "x.sat"
    spec.write_text(specification(entry, weights))
    experiment = check_file(spec)
    plan = expand(experiment)
    assert all(
        plan.whole_passes(key).cost > 0 for key, step in plan.shown.items() if step.kind in ("train", "evaluate")
    )
    small = made_small(experiment)[1]
    assert len(small.shown) == len(plan.shown)
    finished = done(plan if isinstance(entry, DatasetEntry) else small, tmp_path / "run")
    assert all(any(place.iterdir()) for place in finished.values())


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.family in PACKAGES], ids=of_entry)
def test_a_plot_is_drawn_also_of_what_is_not_run(entry: Entry, weights: Path, tmp_path: Path) -> None:
    spec = tmp_path / "x.sat"
    spec.write_text(specification(entry, weights))
    loaded = satdsl.load(spec, store=tmp_path / "store")
    (figure,) = loaded.figures
    assert repr(figure)
    assert figure._repr_html_()


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.family in FAMILIES], ids=of_entry)
def test_an_entry_is_shown(entry: Entry) -> None:
    console = Console(width=100, file=StringIO())
    for part in show(entry.name):
        console.print(part)
    assert any(each["family"] == entry.family for each in document(entry.name)["entries"])


# --- names ---------------------------------------------------------------------------------------

NAMES = {entry.name for entry in ENTRIES if entry.family in FAMILIES}


def comparisons(source: str) -> Iterator[str]:
    """The places of a module that compare `x.name`, `x.kind`, `name` or `kind` with the name of an entry."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(asks(side) for side in sides) and any(names(side) & NAMES for side in sides):
                yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Match) and asks(node.subject):
            for case in node.cases:
                if names(case.pattern) & NAMES:
                    yield f"{case.pattern.lineno}: match {ast.unparse(node.subject)}"


def asks(node: ast.AST) -> bool:
    return getattr(node, "attr", getattr(node, "id", "")) in ("name", "kind")


def names(node: ast.AST) -> set[Any]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


ALLOWED = {
    "check/subsets.py": "`none` is the empty subset",
    "backend/norm_balls.py": "`none` is no random start",
    "show/diff.py": "`line` is a line of the file",
}


def test_nothing_outside_the_registries_compares_the_name_of_an_entry() -> None:
    root = Path(satdsl.__file__).parent
    found = {
        f"{path.relative_to(root).as_posix()}:{place}"
        for path in root.rglob("*.py")
        if path.relative_to(root).as_posix() not in ALLOWED
        for place in comparisons(path.read_text("utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        'attack.name == "pgd"',
        'step.attack.name in ("pgd", "fgsm")',
        '"heatmap" != display.kind',
        'match loss.name:\n    case "trades" | "mart":\n        pass',
        'name == "CIFAR10"',
    ],
)
def test_a_comparison_with_the_name_of_an_entry_is_found(source: str) -> None:
    assert list(comparisons(source))
    assert not list(comparisons(source.replace("name", "norm").replace("kind", "form")))
