"""What is known of a trained network to the document and the README that travel with it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from satdsl.catalog import catalog
from satdsl.engine.errors import Damaged
from satdsl.engine.store import Store
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key, Step
from satdsl.report.number_text import amount, point_text
from satdsl.report.results import Measured, measured
from satdsl.show.wording import value

FORMAT = 1
"""The version of `model.json`. Raise it when a reader of the old one would stumble."""

WIDTH = 100
MOST_CLASSES = 20
"""Classes that the README names one by one; `model.json` has all."""


# --- the document --------------------------------------------------------------------------------


def trained_document(plan: Plan, store: Store, key: Key) -> dict[str, Any]:
    """How the network of step `key` was trained, and what the stored results of the plan say of it.

    Raises:
        Damaged: an artifact that was used is not whole.
    """
    manifest = store.manifest(key)
    return {
        "key": key,
        "training": _training(plan, store, key),
        "before": [_training(plan, store, earlier) for earlier in _before(plan, key)],
        "results": [_result(one) for one in _results(plan, store, key)],
        "trained": {
            "finished": manifest.finished,
            "seconds": manifest.seconds,
            "device": manifest.device,
            "packages": dict(manifest.packages),
        },
    }


def _training(plan: Plan, store: Store, key: Key) -> dict[str, Any]:
    """The settings of a training or transfer, its data, its subsets, and which epoch was kept."""
    step = plan.steps[key]
    return {
        "label": plan.labels[key],
        "kind": step.kind,
        "settings": step.settings_document,
        "data": _facts(store, dict(step.inputs)["data"], "source", "train", "val"),
        "subsets": list(_subsets(plan, store, step)),
        "selection": _read(store, key, "selection.json"),
    }


def _subsets(plan: Plan, store: Store, step: Step) -> Iterator[dict[str, Any]]:
    """The parts of the training set, by the names of the file, with what became of their images."""
    given = step.settings_document.get("subsets", ())
    split = dict(step.inputs).get("split")
    if split is None:
        for one in given:
            yield {"name": "all", "size": None, **_kept(one)}
        return
    facts = next(facts for facts in plan.splits if facts.key == split)
    sizes = _facts(store, split, "sizes")["sizes"]
    for place in sorted(range(len(given)), key=lambda place: facts.order[place]):
        subset = facts.subsets[facts.order[place]]
        weight = {"weight": subset.weight} if subset.weight is not None else {}
        yield {"name": subset.name, "size": sizes[place], **_kept(given[place]), **weight}


def _kept(subset: Mapping[str, Any]) -> dict[str, Any]:
    return {"attack": subset["attack"], "weight": subset["weight"]}


def _before(plan: Plan, key: Key) -> list[Key]:
    """The trainings whose weights a step began with, the latest first."""
    inputs = dict(plan.steps[key].inputs)
    source = inputs.get("weights") or inputs.get("start")
    return [] if source is None else [source, *_before(plan, source)]


def _results(plan: Plan, store: Store, key: Key) -> list[Measured]:
    own = tuple(result for result in plan.results if plan.network_of(result) == key)
    return measured(replace(plan, results=own), store)


def _result(one: Measured) -> dict[str, Any]:
    return {
        "result": one.result,
        "point": dict(one.point),
        "on": one.part,
        "unit": one.unit,
        "value": one.value,
        "n": one.n,
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
    """The model card, in Markdown."""
    sections = (_head(document), _use(document), _network(document), _trainings(document), _measures_of(document))
    return "\n\n".join([*sections, _provenance(document)]) + "\n"


def _head(document: Mapping[str, Any]) -> str:
    about = f" of the specification `{document['file']}`" + (f" ({document['title']})" if document["title"] else "")
    text = f"An image classifier that satdsl {document['exported']['satdsl']} trained as `{document['model']}`{about}."
    return f"# {document['model']}\n\n{_wrapped(text)}"


def _use(document: Mapping[str, Any]) -> str:
    network = document["network"]
    shape = ", ".join(map(str, network["shape"]))
    body = {
        "torch": f"""import torch

network = torch.export.load("model.pt2").module()
images = torch.rand(4, {shape})  # any number of images, pixels in [0, 1]
logits = network(images)""",
        "safetensors": f"""import torch
from model import CLASSES, load

network = load()
images = torch.rand(4, {shape})  # any number of images, pixels in [0, 1]
logits = network(images)""",
        "onnx": f"""import numpy as np
import onnxruntime

network = onnxruntime.InferenceSession("model.onnx")
images = np.random.rand(4, {shape}).astype(np.float32)  # any number of images, pixels in [0, 1]
(logits,) = network.run(None, {{"images": images}})""",
    }[document["format"]]
    return f"""## Use

In this folder, with `pip install {" ".join(network["packages"])}`:

```python
{body}
print(logits.argmax(1))
```"""


def _network(document: Mapping[str, Any]) -> str:
    network = document["network"]
    channels, height, width = network["shape"]
    head = f", last layer replaced by `{call(network['head'])}`" if network["head"] else ""
    repeat = f"; the grey channel is copied {network['repeat']} times first" if network["repeat"] != 1 else ""
    scaled = f"(x - mean) / std, mean {_numbers(network['mean'])}, std {_numbers(network['std'])}"
    rows = [
        ("architecture", f"`{call(network['model'])}`{head}"),
        ("parameters", f"{network['parameters']:,}"),
        ("input", f"float32 [n, {channels}, {height}, {width}], pixels in [0, 1]"),
        ("normalisation", f"inside the network: {scaled}{repeat}"),
        ("output", f"logits [n, {len(network['classes'])}]"),
        ("classes", _classes(network["classes"])),
    ]
    return "## Network\n\n" + _table(("", ""), rows)


def _trainings(document: Mapping[str, Any]) -> str:
    statement = f"```\n{document['statement']}\n```\n\n" if document["statement"] else ""
    parts = [f"## Training\n\n{statement}{_training_table(document['training'])}"]
    parts += [f"### Before: {earlier['label']}\n\n{_training_table(earlier)}" for earlier in document["before"]]
    return "\n\n".join(parts)


def _training_table(training: Mapping[str, Any]) -> str:
    settings, data = training["settings"], training["data"]
    epochs, holdout = settings["recipe"]["epochs"], settings["holdout"]
    rows = [("data set", f"`{call(data['source'])}`: {data['train']:,} training, {data['val']:,} validation images")]
    if holdout:
        rows.append(("hold-out", f"{100 * holdout['share']:g} % of each class of `{holdout['source']}`"))
    if training["kind"] == "head":
        rows.append(("trained", f"the last layer, `{call(settings['head'])}`; everything before it is fixed"))
    if settings.get("pretrained"):
        rows.append(("began with", f"weights from a file, SHA-256 `{settings['pretrained']['digest']}`"))
    if epochs:
        rows += [
            ("recipe", f"`{call(settings['recipe'])}`"),
            ("augmentation", ", ".join(f"`{call(one)}`" for one in settings["augment"]) or "none"),
            ("seed", str(settings["seed"])),
        ]
    rows.append(("weights", _kept_weights(training["selection"], epochs)))
    text = _table(("", ""), rows)
    if not training["subsets"] or not epochs:
        return text
    subsets = [
        (
            one["name"],
            f"{one['size']:,}" if one["size"] is not None else "",
            f"`{call(one['attack'])}`" if one["attack"] else "not attacked",
            f"{one['weight']:.6g}" if isinstance(one["weight"], int | float) else "worked out after scoring",
        )
        for one in training["subsets"]
    ]
    return f"{text}\n\n{_table(('subset', 'images', 'attacked with', 'loss weight'), subsets)}"


def call(document: Mapping[str, Any]) -> str:
    """Return a call as the language writes it."""
    return value(catalog().stored_call(document))


def _kept_weights(selection: Mapping[str, Any], epochs: int) -> str:
    if not epochs:
        return "as they were given"
    if selection["measure"] is None:
        return f"those after the last of {epochs} epochs"
    return f"those after epoch {selection['chosen']} of {epochs}, best on the hold-out by {selection['measure']}"


def _measures_of(document: Mapping[str, Any]) -> str:
    if not document["results"]:
        return "## Results\n\nThe specification measures nothing of this network."
    rows = []
    for one in document["results"]:
        at = point_text(tuple((axis, label) for axis, label in one["point"].items() if axis != "part"))
        known = one["value"] is not None
        interval = [amount(end, one["unit"]) for end in one["interval"]] if one["interval"] else []
        rows.append(
            (
                f"`{one['result']}{f'[{at}]' if at else ''}`",
                one["on"],
                amount(one["value"], one["unit"]) if known else "not measured",
                f"{one['n']:,}" if known else "",
                " .. ".join(interval),
            )
        )
    return "## Results\n\n" + _table(("result", "on", "value", "images", "95 % interval"), rows)


def _provenance(document: Mapping[str, Any]) -> str:
    trained, exported = document["trained"], document["exported"]
    versions = ", ".join(f"{name} {version}" for name, version in trained["packages"].items())
    rows = [
        ("step", f"`{document['key']}`"),
        ("trained", f"{trained['finished']} on {trained['device']}, with {versions}"),
        ("exported", f"{exported['date']}, with satdsl {exported['satdsl']}, torch {exported['torch']}"),
    ]
    return "## Where it comes from\n\n" + _table(("", ""), rows) + "\n\n`model.json` has all of this as data."


# --- pieces of text ------------------------------------------------------------------------------


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _classes(names: Sequence[str]) -> str:
    shown = [f"{i}: {name}" for i, name in enumerate(names)]
    if len(shown) > MOST_CLASSES:
        shown = [*shown[:3], "...", shown[-1] + " (all of them in `model.json`)"]
    return ", ".join(shown)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def write(document: Mapping[str, Any], folder: Path) -> None:
    """Write `model.json` and `README.md`."""
    (folder / "model.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "README.md").write_text(readme(document), "utf-8")
