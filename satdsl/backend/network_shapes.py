"""Print the shapes of a network's weights: `python -m satdsl.backend.network_shapes`, for the checker, as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import torch

from satdsl.backend.models import build
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError
from satdsl.weight_files.matching import COUNTERS


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return the `shapes` of all weights by name, and the name of the `head`, None where there is no last layer.

    The shapes are None where the library cannot build the network.

    `question` has the `name` and `args` of a model of the catalog, the `shape` of an image and the number of `classes`.
    """
    call = CatalogCall(question["name"], tuple((name, value) for name, value in question["args"]))
    channels = question["shape"][0]
    try:
        with torch.device("meta"):  # no memory, and no random numbers
            network = build(call, tuple(question["shape"]), question["classes"], (0.0,) * channels, (1.0,) * channels)
    except StepError:
        return {"shapes": None, "head": None}
    weights = network.body.state_dict()
    shapes = {name: list(tensor.shape) for name, tensor in weights.items() if not name.endswith(COUNTERS)}
    return {"shapes": shapes, "head": network.head_name}


if __name__ == "__main__":
    print(json.dumps(answer(json.load(sys.stdin))))
