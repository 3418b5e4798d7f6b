"""Find the form of a network in which its weights do what they are known to do, where the form that is given does not.

A file of weights does not tell the whole network (`catalog.models.Untold`). What well-known code has is tried first,
then each argument that the file does not tell with its other values, and the usual normalisations: one change, then two
at once, until the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from satdsl.backend.architectures import ARCHITECTURES, Network
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.show import value
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

SECONDS = 30.0
"""How long forms are tried."""

CHANGES = 2
"""So many changes at once."""

NORMALISATIONS: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = (
    ((0.0,), (1.0,)),
    ((0.5,), (0.5,)),
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
    ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
)
"""Means and standard deviations of published code: of images in [0, 1] and [-1, 1], ImageNet, CIFAR-10 (twice) and
CIFAR-100."""

Form = tuple[CatalogCall, tuple[float, ...], tuple[float, ...]]
"""An architecture with its arguments, and a normalisation."""


def agreeing(
    network: Network, model: CatalogCall, shape: Sequence[int], classes: int, agree: Callable[[nn.Module], bool]
) -> str:
    """Return the arguments with which the network's weights agree, as they are written; nothing if none was found.

    `model` is the architecture of `network`, `shape` that of its images, (channels, height, width). Each form that
    `agree` gets is a network in evaluation mode with the weights of `network`, whose memory it shares. A StepError
    counts as no.
    """
    ends = time.monotonic() + SECONDS
    mean, std = (tuple(part.flatten().tolist()) for part in (network.normalise.mean, network.normalise.std))
    begin = (model, mean, std)

    def agrees(form: Form) -> bool:
        return _agrees(_built(network, begin, form, (len(mean), *shape[1:]), classes), agree)

    forms, seen = [begin], {_key(begin)}
    for depth in range(CHANGES):
        others = [other for form in forms for other in _neighbours(form)]
        known = [(_with(model, **dict(form)), mean, std) for form in ModelEntry.of(model).known] if depth == 0 else []
        forms = []
        for other in [*known, *others]:
            if _key(other) not in seen:
                if time.monotonic() > ends:
                    return ""
                if agrees(other):
                    return _written(begin, other)
                seen.add(_key(other))
                forms.append(other)
    return ""


def _agrees(form: Network, agree: Callable[[nn.Module], bool]) -> bool:
    try:
        return agree(form)
    except StepError:  # it cannot take images of this size, or gives no finite numbers
        return False


def _neighbours(form: Form) -> Iterator[Form]:
    """Give the forms that differ in one argument, or in the normalisation."""
    model, mean, std = form
    entry = ModelEntry.of(model)
    arguments = {each.argument: each for each in entry.untold if each.where(model)}
    for name, untold in arguments.items():
        argument = entry.args[name]
        kind = {"number": float, "int": int}.get(argument.type, str)
        for of in argument.choices or (kind(untold.other), entry.defaults[name]):
            if of != model[name]:
                yield _with(model, **{name: of}), mean, std
    for others in NORMALISATIONS:
        if len(others[0]) in (1, len(mean)):
            first, second = (part * (len(mean) // len(part)) for part in others)
            yield model, first, second


def _with(model: CatalogCall, **changes: Any) -> CatalogCall:
    return replace(model, args=tuple((dict(model.args) | changes).items()))


def _key(form: Form) -> tuple[str, tuple[float, ...], tuple[float, ...]]:
    model, mean, std = form
    return model.key_text, mean, std


def _built(network: Network, begin: Form, form: Form, shape: tuple[int, ...], classes: int) -> Network:
    """Return the network, which has the form `begin`, in another form, with the same weights."""
    model, mean, std = form
    body = network.body
    if model != begin[0]:
        with torch.device("meta"):
            body = ARCHITECTURES[model.name](shape, classes, **dict(model.args))
        body.load_state_dict(network.body.state_dict(), assign=True)
    made = Network(body, mean, std, network.head_name, network.repeat)
    made.normalise.to(network.normalise.mean.device)
    return made.eval()


def _written(before: Form, after: Form) -> str:
    """Return what differs, as arguments of architecture and checkpoint: `shortcut=input, mean=[0], std=[1]`."""
    args = ModelEntry.of(after[0]).args
    said = [f"{name}={value(args[name], of)}" for name, of in after[0].args if of != before[0][name]]
    if before[1:] != after[1:]:
        said += [f"{name}={_list(part)}" for name, part in (("mean", after[1]), ("std", after[2]))]
    return ", ".join(said)


def _list(numbers: Sequence[float]) -> str:
    return f"[{', '.join(f'{number:g}' for number in numbers)}]"
