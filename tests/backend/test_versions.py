"""No kind of step gives other numbers under the version that it has: a key would promise what nobody computed.

Each kind does tiny steps with everything in them. Their numbers lie in `versions/KIND.json` beside the version. The
steps are only done where the code that the kind reaches has changed since they were last right here: pytest's cache
has its digest, so that nothing has to be committed or merged for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from satdsl.backend import MODULES, datasets, weights
from satdsl.backend.artifact_files import read_arrays, sha256
from satdsl.catalog import catalog
from satdsl.catalog.scores import ScoreEntry
from satdsl.ir import steps
from satdsl.ir.steps import (
    CatalogCall,
    Combined,
    Data,
    Evaluate,
    Everything,
    Head,
    Holdout,
    Listed,
    Nothing,
    OfClasses,
    Pick,
    Ranking,
    Rest,
    Score,
    Selection,
    Split,
    SubsetTraining,
    Train,
    WeightFormula,
    Where,
)
from satdsl.ir.work import Work

from .reached_code import digest
from .workshop import Workshop, columns_of, curves_of

STORED = Path(__file__).parent / "versions"

NETWORK = STORED / "network"
"""A trained network on which scores, attacks and heads are tried: it does not change when training does."""

Numbers = dict[str, Any]
"""Counts, and of arrays of floats their `summary`."""

TOLERANCE = {"data": 1e-5, "split": 0.0, "score": 1e-4, "train": 1e-3, "evaluate": 1e-3, "head": 1e-3}
"""How far floats may be off, as a share of the root mean square of what they are computed from: processors and versions
of torch round otherwise, and trainings and attacks carry that on."""


def call(name: str, /, **args: Any) -> CatalogCall:
    """A call with the catalog's defaults for all that is not given: a default that changes is noticed, too."""
    return catalog().call(name, *args.items())


def summary(values: Any) -> dict[str, float]:
    """The mean, root mean square, and mean with changing signs of some numbers, which sees their order."""
    flat = np.asarray(values, np.float64).ravel()
    signs = np.cos(np.arange(len(flat)))
    return {"mean": flat.mean(), "rms": float(np.sqrt((flat**2).mean())), "signed": float((flat * signs).mean())}


def counts(values: Any) -> list[int]:
    return [int(n) for n in np.bincount(np.asarray(values).astype(np.int64).ravel())]


# --- tiny steps of every kind --------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(workshop: Workshop) -> Path:
    """96 digits to train on and 40 to measure."""
    return workshop.do(Data(call("digits", limit=96, limit_val=40)))


def images(data: Path, workshop: Workshop) -> Numbers:
    found = datasets.input_dataset(Work({"data": data}, data, data, workshop.root / "no-data"))
    numbers: Numbers = {"classes": list(found.classes)}
    for name, part in (("train", found.train), ("val", found.val)):
        numbers[name] = summary(part.pixels[torch.arange(len(part))])
        numbers[f"{name} labels"] = counts(part.labels)
        numbers[f"{name} index"] = int((part.index * torch.arange(len(part))).sum())
    return numbers


def data(workshop: Workshop, tiny: Path) -> Numbers:
    root = workshop.root / "photos"
    for part, each in (("train", 3), ("val", 2)):
        for k, name in enumerate(("bird", "fish")):
            (root / part / name).mkdir(parents=True, exist_ok=True)
            for i in range(each):
                ramp = np.add.outer(np.arange(12), np.arange(10))[..., None] * [7, 3 + k, 11 - i] + 20 * i
                Image.fromarray(ramp.astype(np.uint8)).save(root / part / name / f"{i}.png")
    folder = workshop.do(Data(call("folder", path=".", resize=8), str(root)))
    made = workshop.do(Data(call("synthetic", classes=3, train=9, val=6, shape=(1, 4, 4))))
    return {
        name: images(where, workshop) for name, where in (("digits", tiny), ("folder", folder), ("synthetic", made))
    }


PGD = {"norm": "L2", "eps": 0.5, "steps": 3, "step_size": 0.1}
HALVES = Split((OfClasses((0, 1, 2, 3)), Rest()), Holdout(0.2, "val"))


def training(recipe: CatalogCall, *subsets: SubsetTraining, **more: Any) -> Train:
    holdout = Holdout(0.2, "val")
    return Train(
        call("small_cnn", width=4),
        recipe,
        mean=(0.3055,),
        std=(0.3761,),
        subsets=subsets,
        **({"augment": (), "holdout": holdout} | more),
    )


def train(workshop: Workshop, tiny: Path) -> Numbers:
    halves = workshop.do(HALVES, data=tiny)
    plain = SubsetTraining(None, 1.0)
    attacked = SubsetTraining(call("pgd", **PGD, random_start="ball"), WeightFormula(("/", ("size", 1), ("size", 0))))
    stepped = call("sgd", epochs=3, batch=32, lr=0.05, weight_decay=0.01, schedule=call("step", at=(2,)), warmup=1)
    adam = call(
        "adamw", epochs=2, batch=32, lr=0.01, epsilon=0.01, schedule=call("cosine"), label_smoothing=0.1, ema=0.5
    )
    cyclic = call("sgd", epochs=2, batch=24, nesterov=True, schedule=call("cyclic", peak=1), clip=0.5)
    robust = Selection((call("pgd", **PGD),), (1, 2, 3))
    trades = SubsetTraining(call("pgd", **PGD), 1.0, call("trades", beta=3.0))
    first = training(
        stepped,
        attacked,
        plain,
        augment=(call("crop", padding=1), call("flip")),
        select=robust,
        snapshots=(1, 2, 3),
        keep_weights=(2,),
        scores=("snapshot-grand", "vog"),
    )
    runs = {
        "attack, weight, step schedule, snapshots": workshop.do(first, data=tiny, split=halves),
        "trades, adamw, cosine schedule": workshop.do(
            training(adam, trades, augment=(call("rotation", degrees=10.0),)), data=tiny
        ),
        "cyclic schedule": workshop.do(training(cyclic, plain, seed=1), data=tiny),
    }
    return {name: trained(folder) for name, folder in runs.items()}


def trained(folder: Path) -> Numbers:
    """The curves, the weights and the scores that a training leaves."""
    curves = curves_of(folder)
    numbers: Numbers = {name: summary([epoch[name] for epoch in curves]) for name in ("lr", "loss")}
    numbers["weights"] = summary(np.concatenate([np.ravel(w) for _, w in sorted(weights_in(folder).items())]))
    scores = columns_of(folder, "scores")
    return numbers | {name: summary(values) for name, values in scores.items() if name != "index"}


def weights_in(folder: Path) -> dict[str, np.ndarray]:
    return {
        name: tensor.double().numpy() for name, tensor in weights.load_weights(folder / "weights.safetensors").items()
    }


def score(workshop: Workshop, tiny: Path) -> Numbers:
    numbers = {}
    for entry in catalog().entries("score"):
        assert isinstance(entry, ScoreEntry)
        if not entry.over_snapshots:
            found = columns_of(workshop.do(Score(entry.name, None), data=tiny, weights=NETWORK), "scores")
            numbers[entry.name] = summary(found[entry.name])
    return numbers


def split(workshop: Workshop, tiny: Path) -> Numbers:
    listing = workshop.root / "listed.txt"
    listing.write_text("13\n20\n76\n")
    values = workshop.root / "values.npy"
    np.save(values, np.sin(np.arange(1437)))
    order = workshop.root / "order.npy"
    np.save(order, np.arange(1437) * 100 % 1437)
    ranked = workshop.do(Score("loss", None), data=tiny, weights=NETWORK)
    by_loss, by_file = Ranking("loss", "ranking0"), Ranking(digest=sha256(values), path=str(values))
    rounded = workshop.root / "rounded.npy"
    np.save(rounded, np.sin(np.arange(1437)).round())
    by_rounded = Ranking(digest=sha256(rounded), path=str(rounded))
    in_order = Ranking(digest=sha256(order), path=str(order), in_order=True)
    forms = {
        "classes": OfClasses((1, 7)),
        "hardest share": Pick("hardest", 0.3, "examples", ranking=by_loss),
        "easiest count": Pick("easiest", 20, "examples", ranking=by_loss),
        "hardest per class": Pick("hardest", 0.35, "examples", per_class=True, ranking=by_file),
        "hardest classes": Pick("hardest", 3, "classes", ranking=by_loss),
        "hardest in order": Pick("hardest", 0.3, "examples", ranking=in_order),
        "easiest of equals": Pick("easiest", 20, "examples", ranking=by_rounded),
        "random": Pick("random", 0.25, "examples", seed=3),
        "random classes": Pick("random", 2, "classes", seed=3),
        "random within": Pick("random", 0.5, "examples", within=OfClasses((0, 1, 2)), seed=4),
        "above": Where(by_file, ">", 0.5),
        "at most": Where(by_file, "<=", -0.5),
        "listed": Listed(sha256(listing), str(listing)),
        "union": Combined("+", OfClasses((0,)), OfClasses((1,))),
        "difference": Combined("-", Everything(), OfClasses((0,))),
        "intersection": Combined("&", OfClasses((0, 1)), Pick("random", 0.5, "examples", seed=1)),
    }
    numbers = {}
    for name, form in forms.items():
        for holdout in (None, Holdout(0.2, "train")) if name in ("random", "hardest share") else (None,):
            inputs = {"ranking0": ranked} if name != "listed" else {}
            found = columns_of(
                workshop.do(Split((Combined("+", form, Nothing()), Rest()), holdout), data=tiny, **inputs), "split"
            )
            where = name if holdout is None else f"{name}, with a hold-out"
            numbers[where] = {
                "sizes": counts(found["subset"]),
                "members": [int(i) for i in found["index"][found["subset"] == 0]],
            }
    return numbers


def evaluate(workshop: Workshop, tiny: Path) -> Numbers:
    effort = CatalogCall(
        "effort", tuple({"iterations": 5, "queries": 20, "targets": 2, "restarts": 1, "samples": 1}.items())
    )
    attacks = {
        "clean": None,
        "pgd": call("pgd", **PGD),
        "pgd from a random start": call("pgd", **PGD, random_start="sphere", restarts=2, keep="last"),
        "pgd under L1, aimed": call("pgd", norm="L1", eps=4.0, steps=4, step_size=1.0, target="least_likely"),
        "pgd under Linf": call("pgd", norm="Linf", eps=0.1, steps=3, step_size=0.02),
        "fgsm": call("fgsm", norm="L2", eps=0.5),
        "autoattack": call("autoattack", norm="L2", eps=0.3, at_most=effort),
    }
    halves = workshop.do(HALVES, data=tiny)
    numbers = {}
    for name, attack in attacks.items():
        folder = workshop.do(Evaluate(attack, "val", Holdout(0.2, "val")), data=tiny, weights=NETWORK)
        numbers[name] = rows_of(folder)
    part = workshop.do(Evaluate(None, "train", None, (1,)), data=tiny, weights=NETWORK, split=halves)
    return numbers | {"a subset": rows_of(part)}


def rows_of(folder: Path) -> Numbers:
    """How many images were right, and how far the kept ones were moved."""
    rows = columns_of(folder, "rows")
    numbers: Numbers = {"images": len(rows["index"]), "outcomes": counts(rows["broken_by"].astype(int) + 1)}
    if (folder / "examples.npz").exists():
        moved = read_arrays(folder / "examples.npz")["perturbation"].astype(np.float64)
        numbers["moved"] = summary(np.abs(moved).reshape(len(moved), -1).sum(1))
    return numbers


def head(workshop: Workshop, tiny: Path) -> Numbers:
    recipe = call("sgd", epochs=2, batch=32)
    heads = {"linear": call("linear"), "mlp": call("mlp", hidden=8)}
    return {
        name: trained(workshop.do(Head(one, recipe, (), None), data=tiny, weights=NETWORK))
        for name, one in heads.items()
    }


KINDS: dict[str, Callable[[Workshop, Path], Numbers]] = {
    "data": data,
    "train": train,
    "score": score,
    "split": split,
    "evaluate": evaluate,
    "head": head,
}


# --- the guard -----------------------------------------------------------------------------------

ADVICE = """

`{kind}` steps give other numbers than when version {version} of their code was stored:

{differences}

A key promises the old numbers. If they are meant to change, raise "{kind}" in VERSIONS (satdsl/ir/steps.py) and store
the new ones: pytest tests/backend/test_versions.py tests/compiler/test_keys.py --update-golden. If they are not, find
what changed them by accident: something that satdsl/backend/{module}.py imports."""


@pytest.mark.parametrize("kind", steps.VERSIONS)
def test_numbers_change_with_the_version_only(
    kind: str, workshop: Workshop, tiny: Path, request: pytest.FixtureRequest
) -> None:
    stored, version = STORED / f"{kind}.json", steps.VERSIONS[kind]
    update, cache = request.config.getoption("--update-golden"), getattr(request.config, "cache", None)
    known = json.loads(stored.read_text()) if stored.exists() else {"version": 0, "numbers": {}}
    code = [digest(f"satdsl.backend.{MODULES[kind]}"), known, version, torch.__version__, np.__version__]
    if not update and cache is not None and cache.get(f"satdsl/versions/{kind}", None) == code:
        pytest.skip("the code that it reaches is as it was when its numbers were last right")
    found = KINDS[kind](workshop, tiny)
    differences = list(differing(known["numbers"], found, TOLERANCE[kind]))
    more = places(found) - places(known["numbers"])
    if update and (known["version"] != version or (more and not differences)):
        stored.write_text(json.dumps({"version": version, "numbers": found}, indent=1) + "\n")
        return
    assert known["version"] == version, f"store the numbers of version {version}: run pytest --update-golden {__file__}"
    if differences:
        listed = "\n".join(f"  {line}" for line in differences[:8])
        pytest.fail(ADVICE.format(kind=kind, version=version, differences=listed, module=MODULES[kind]), pytrace=False)
    assert not more, f"numbers that are not stored yet: run pytest --update-golden {__file__}"
    if cache is not None:
        cache.set(f"satdsl/versions/{kind}", code)


def places(numbers: Any, place: str = "") -> set[str]:
    """Where numbers stand in a tree of them."""
    if not isinstance(numbers, dict):
        return {place}
    return set().union(*(places(value, f"{place}, {name}") for name, value in numbers.items()))


def differing(before: Any, after: Any, tolerance: float, place: str = "") -> Iterator[str]:
    """Where two trees of numbers differ, in words. What only the second has, say a new score, is no difference."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() <= after.keys():
        if "rms" in before:
            near = {name: abs(before[name] - after[name]) <= tolerance * before["rms"] + 1e-12 for name in before}
            yield from (
                f"{place}: {name} {before[name]:.6g}, now {after[name]:.6g}" for name in before if not near[name]
            )
            return
        for name in before:
            yield from differing(before[name], after[name], tolerance, f"{place}, {name}" if place else name)
    elif before != after:
        yield f"{place or 'all of it'}: {before}, now {after}"
