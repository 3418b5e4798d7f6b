"""Draw the steps of a plan document as a graph in the languages of Mermaid and Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SHAPES = {
    "data": ("[(", ")]", "cylinder"),
    "train": ("[", "]", "box"),
    "head": ("[", "]", "box"),
    "split": ("{{", "}}", "hexagon"),
    "score": ("{{", "}}", "hexagon"),
    "evaluate": ("([", "])", "ellipse"),
}
"""Each kind's brackets in Mermaid and its shape in Graphviz."""


def mermaid(document: dict[str, Any]) -> str:
    """Return a Mermaid flowchart, in which stored steps are dashed."""
    lines = ["flowchart LR"]
    names = _names(document)
    for step in document["steps"]:
        opening, closing, _ = SHAPES[step["kind"]]
        label = _label(step).replace('"', "'")
        lines.append(f'  {names[step["key"]]}{opening}"{label}"{closing}')
    lines += [f"  {source} --> {target}" for source, target in _edges(document, names)]
    stored = [names[step["key"]] for step in document["steps"] if step["stored"]]
    if stored:
        lines += ["  classDef stored stroke-dasharray: 4 3", f"  class {','.join(stored)} stored"]
    return "\n".join(lines) + "\n"


def dot(document: dict[str, Any]) -> str:
    """Return a Graphviz digraph, in which stored steps are dashed."""
    lines = ["digraph plan {", "  rankdir=LR;", '  node [fontname="Helvetica"];']
    names = _names(document)
    for step in document["steps"]:
        label = _label(step).replace("\\", "\\\\").replace('"', '\\"')
        style = ", style=dashed" if step["stored"] else ""
        lines.append(f'  {names[step["key"]]} [label="{label}", shape={SHAPES[step["kind"]][2]}{style}];')
    lines += [f"  {source} -> {target};" for source, target in _edges(document, names)]
    return "\n".join([*lines, "}"]) + "\n"


def _label(step: dict[str, Any]) -> str:
    return f"{step['label']}, in {step['blocks']} blocks" if step["blocks"] else str(step["label"])


def _names(document: dict[str, Any]) -> dict[str, str]:
    return {step["key"]: f"s{number}" for number, step in enumerate(document["steps"])}


def _edges(document: dict[str, Any], names: dict[str, str]) -> Iterator[tuple[str, str]]:
    for step in document["steps"]:
        for source in dict.fromkeys(step["inputs"].values()):
            yield names[source], names[step["key"]]
