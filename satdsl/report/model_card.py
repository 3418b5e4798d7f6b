"""Write the model card of a trained network: the document and the README that travel with it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from satdsl.catalog import catalog
from satdsl.engine.errors import Damaged
from satdsl.engine.store import Store
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Head, Key, Step, Train
from satdsl.report.number_text import amount, name_at
from satdsl.report.results import Measured, measured
from satdsl.show.differences import value_words
from satdsl.show.wording import value

FORMAT = 1
"""The version of `model.json`. Raise it when a reader of the old one would stumble."""

WIDTH = 100
MOST_CLASSES = 20
"""Classes that the README names one by one; `model.json` has all."""


# --- the document --------------------------------------------------------------------------------


def trained_document(plan: Plan, store: Store, key: Key, epoch: int | None = None) -> dict[str, Any]:
    """Return how the network of step `key` was trained, and what the stored results of the plan say about it.

    `epoch` is the one after which its weights were kept, None for those that it chose.

    Raises:
        Damaged: an artifact that was used is not whole.
    """
    manifest = store.manifest(key)
    return {
        "key": key,
        "training": _training(plan, store, key, epoch),
        "before": [_training(plan, store, *earlier) for earlier in _before(plan, key)],
        "results": [_result(one) for one in _results(plan, store, key, epoch)],
        "trained": {
            "finished": manifest.finished,
            "seconds": manifest.seconds,
            "device": manifest.device,
            "packages": dict(manifest.packages),
        },
    }


def _training(plan: Plan, store: Store, key: Key, epoch: int | None) -> dict[str, Any]:
    """Return the settings of a training or transfer, its data, its subsets, and which epoch's weights are meant."""
    step = plan.steps[key]
    selection = _read(store, key, "selection.json")
    return {
        "label": plan.labels[key],
        "kind": step.kind,
        "settings": step.settings_document,
        "data": _facts(store, dict(step.inputs)["data"], "source", "train", "val"),
        "subsets": list(_subsets(plan, store, step)),
        "selection": selection if epoch is None else {"measure": None, "candidates": [], "chosen": epoch},
    }


def _subsets(plan: Plan, store: Store, step: Step) -> Iterator[dict[str, Any]]:
    """Give the parts of the training set, by the names of the file, with what became of their images."""
    given = step.settings_document.get("subsets", ())
    split = dict(step.inputs).get("split")
    if split is None:
        for one in given:
            yield {"name": "all", "size": None, **_kept(one)}
        return
    facts = next(facts for facts in plan.splits if facts.key == split)
    sizes = _facts(store, split, "sizes")["sizes"]
    part = step.settings_document.get("part")
    places = range(len(given)) if part is None else (part,)
    for place in sorted(places, key=lambda place: facts.order[place]):
        yield {"name": facts.subsets[facts.order[place]].name, "size": sizes[place], **_kept(given[place])}


def _kept(subset: Mapping[str, Any]) -> dict[str, Any]:
    shared = {} if subset.get("share") is None else {"share": subset["share"]}
    return {"attack": subset["attack"], "weight": subset["weight"], "changes": subset.get("changes", []), **shared}


def _before(plan: Plan, key: Key) -> list[tuple[Key, int | None]]:
    """Return the trainings whose weights a step began with, the latest first, each with the epoch of these weights."""
    step = plan.steps[key]
    inputs, settings = dict(step.inputs), step.settings
    source = inputs.get("weights") or inputs.get("start")
    if source is None:
        return []
    epoch = (
        settings.start_epoch if isinstance(settings, Train) else settings.epoch if isinstance(settings, Head) else None
    )
    return [(source, epoch), *_before(plan, source)]


def _results(plan: Plan, store: Store, key: Key, epoch: int | None) -> list[Measured]:
    own = tuple(one for one in plan.results if plan.network_of(one) == key and plan.epoch_of(one) == epoch)
    return measured(replace(plan, results=own), store)


def _result(one: Measured) -> dict[str, Any]:
    return {
        "result": one.result,
        "point": dict(one.point),
        "on": one.part,
        "unit": one.unit,
        "value": one.value,
        "n": one.n,
        "of": one.of,
        "interval": None if one.interval is None else [one.interval.low, one.interval.high],
    }


def _facts(store: Store, key: Key, *names: str) -> dict[str, Any]:
    facts = _read(store, key, "facts.json")
    return {name: facts[name] for name in names}


def _read(store: Store, key: Key, name: str) -> Any:
    try:
        return json.loads((store.fetch(key) / name).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Damaged(key, f"{name} cannot be read ({error})") from None


# --- the README ----------------------------------------------------------------------------------


def readme(document: Mapping[str, Any]) -> str:
    """Return the model card, in Markdown; the text is in `templates/model_card.md`."""
    text: str = _template().render(document)
    return text


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("satdsl.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "amount": amount,
        "attacked": _attacked,
        "call": _call_text,
        "cell": lambda text: text.replace("|", "\\|"),
        "classes": _classes,
        "kept_weights": _kept_weights,
        "numbers": lambda values: ", ".join(f"{value:.6g}" for value in values),
        "result_name": _result_name,
        "wrap": lambda text: textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False),
    }
    return environment.get_template("model_card.md")


def _call_text(document: Mapping[str, Any]) -> str:
    """Return a call as the language writes it."""
    return value(catalog().stored_call(document))


def _attacked(subset: Mapping[str, Any]) -> str:
    """Return what a subset is attacked with, from each epoch on at which that changes."""
    changes: list[tuple[int, Any]] = [(1, subset["attack"])]
    for phase in subset.get("changes", ()):
        if phase["attack"] != changes[-1][1]:
            changes.append((phase["first"], phase["attack"]))
    words: list[str] = []
    for first, attack in changes:
        since = f"from epoch {first} " if words else ""
        words.append(f"{since}not attacked" if attack is None else f"{since}`{_attack_text(attack)}`")
    return "; ".join(words)


def _attack_text(document: Mapping[str, Any]) -> str:
    """Return an attack as the language writes it, or several of them, or how they are scaled, in words."""
    return _call_text(document) if "name" in document else value_words(document)


def _kept_weights(selection: Mapping[str, Any], epochs: int) -> str:
    if not epochs:
        return "as they were given"
    if selection["measure"] is None:
        last = selection["chosen"] == epochs
        return (
            f"those after the last of {epochs} epochs"
            if last
            else f"those after epoch {selection['chosen']} of {epochs}"
        )
    return f"those after epoch {selection['chosen']} of {epochs}, best on the hold-out by {selection['measure']}"


def _result_name(result: Mapping[str, Any]) -> str:
    """Return the name of a result with its point; its part has a column of its own."""
    return name_at(result["result"], tuple((axis, at) for axis, at in result["point"].items() if axis != "part"))


def _classes(names: Sequence[str]) -> str:
    shown = [f"{i}: {name}" for i, name in enumerate(names)]
    if len(shown) > MOST_CLASSES:
        shown = [*shown[:3], "...", shown[-1] + " (all of them in `model.json`)"]
    return ", ".join(shown)


def write(document: Mapping[str, Any], folder: Path) -> None:
    """Write `model.json` and `README.md`."""
    (folder / "model.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "README.md").write_text(readme(document), "utf-8")
