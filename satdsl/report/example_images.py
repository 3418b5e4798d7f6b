"""Make example images: what the network saw before and under an attack, as PNG files."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satdsl.artifacts.outcomes import outcome
from satdsl.engine.store import Store
from satdsl.ir.plan import Plan, Point, Result
from satdsl.ir.steps import CatalogCall, Evaluate, Key
from satdsl.report.artifact_reader import ArtifactReader, ImageRows, NotStored, Values
from satdsl.report.results import of_part
from satdsl.show.text import attack_text

POINTS = 3
"""Points of a result, evenly spaced over the stored ones, that are shown: a sweep may have hundreds."""

FACTORS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""What a difference may be magnified by."""

PAGE_BYTES = 3_000_000
"""Example images on one page, as they stand in it; those of further evaluations are left out."""

_QUANTILE = 0.99
"""The share of values whose magnified difference fits between black and white; the rest is cut off there."""


@dataclass(frozen=True)
class Picture:
    """One image of an evaluation: its dataset index, the names of its class and of the predicted ones, and PNG files.

    `difference` is grey where the attack changed nothing; lighter is more, darker is less of the channel.
    """

    index: int
    label: str
    predicted: str
    attacked: str
    """What the network takes the adversarial image for."""
    outcome: str
    """`wrong without attack`, `broken by apgd-ce`, or `withstands`."""
    image: bytes
    adversarial: bytes
    difference: bytes


@dataclass(frozen=True)
class Example:
    """The example images of one evaluation, differences magnified by the same `factor`.

    `result` and `point` are those of the first result that is read off it.
    """

    result: str
    point: Point
    dataset: str
    attack: str
    key: Key
    factor: int
    pictures: tuple[Picture, ...]


def examples(plan: Plan, store: Store, points: int = POINTS) -> list[Example]:
    """Return the examples of every stored evaluation under an attack, at no more than so many `points` of a result.

    Evaluations that were made by a version that kept no examples have none.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
    """
    artifacts, found = ArtifactReader(store), {}
    for result, key in _chosen(plan, store, points):
        try:
            found[key] = _example(plan, artifacts, result, key)
        except NotStored:
            continue
    return [example for example in found.values() if example is not None]


def within_page(examples: Sequence[Example]) -> list[Example]:
    """Return the examples that one page can carry; one point of every result comes before a second of any."""
    turn: Counter[str] = Counter()
    order = []
    for place, example in enumerate(examples):
        turn[example.result] += 1
        order.append((turn[example.result], place))
    kept, used = set(), 0
    for _, place in sorted(order):
        used += sum(map(_page_bytes, examples[place].pictures))
        if used > PAGE_BYTES:
            break
        kept.add(place)
    return [example for place, example in enumerate(examples) if place in kept]


def _page_bytes(picture: Picture) -> int:
    """Return how long its files are as they stand in the page, in base 64."""
    return sum(len(png) for png in (picture.image, picture.adversarial, picture.difference)) * 4 // 3


def _chosen(plan: Plan, store: Store, points: int) -> Iterator[tuple[Result, Key]]:
    """Give the evaluations to show, each with the first result that is over all its images, else the first of a part.

    Those that are over all images come first, then those of parts, each in the order of the results.
    """
    by_name: dict[str, dict[Key, Result]] = {}
    seen: set[Key] = set()
    whole_first = sorted(plan.results, key=lambda result: result.part.subset is not None)
    for result in whole_first:
        for key in result.measure.evaluations:
            if key not in seen and _attack(plan, key) is not None and store.has(key):
                seen.add(key)
                by_name.setdefault(result.name, {})[key] = result
    for found in by_name.values():
        entries = list(found.items())
        for place in np.unique(np.linspace(0, len(entries) - 1, points).round().astype(int)):
            key, result = entries[place]
            yield result, key


def _attack(plan: Plan, key: Key) -> CatalogCall | None:
    settings = plan.steps[key].settings
    assert isinstance(settings, Evaluate)
    return settings.attack


def _example(plan: Plan, artifacts: ArtifactReader, result: Result, key: Key) -> Example | None:
    stored = artifacts.examples(key)
    attack, data = _attack(plan, key), dict(plan.steps[key].inputs)["data"]
    if stored is None or attack is None or not len(stored["index"]):
        return None
    own = _of_the_result(stored, result, artifacts)
    if not own.any():
        return None
    stored = {name: values[own] for name, values in stored.items()}
    names, attacks = artifacts.class_names(data), artifacts.broken_by(key)[0]
    perturbation = stored["perturbation"].astype(np.float32)
    factor = _factor(perturbation)
    broken_by = _broken_by(artifacts, key, stored["index"])
    pictures = tuple(
        Picture(
            index=int(stored["index"][i]),
            label=names[stored["label"][i]],
            predicted=names[stored["predicted"][i]],
            attacked=names[stored["attacked"][i]],
            outcome=outcome(broken_by[i], attacks),
            image=png(stored["pixels"][i]),
            adversarial=png(_bytes(stored["pixels"][i] / 255 + perturbation[i])),
            difference=png(_bytes(0.5 + factor * perturbation[i])),
        )
        for i in range(len(stored["index"]))
    )
    dataset = plan.labels[data].removeprefix("data ")
    return Example(result.name, result.point, dataset, attack_text(attack), key, factor, pictures)


def _of_the_result(stored: Mapping[str, Values], result: Result, artifacts: ArtifactReader) -> NDArray[np.bool_]:
    """Return which of the images that an evaluation kept are among those that the result is taken over."""
    order = np.argsort(stored["index"])
    index, label = (stored[name][order].astype(np.int64) for name in ("index", "label"))
    own: NDArray[np.bool_] = np.isin(
        stored["index"], of_part(ImageRows(index, index, label), result.part, artifacts).index
    )
    return own


def _broken_by(artifacts: ArtifactReader, key: Key, index: Values) -> Values:
    rows = artifacts.correct(key)
    # Rows of an evaluation are stored by ascending index, as `correct` gives them.
    broken_by: Values = artifacts.broken_by(key)[1][np.searchsorted(rows.index, index)]
    return broken_by


def _factor(perturbation: NDArray[np.float32]) -> int:
    """Return the largest of FACTORS that keeps what the attack changed, but for outliers, between black and white."""
    changed = np.abs(perturbation[perturbation != 0])
    if not len(changed):
        return 1
    most = 0.5 / float(np.quantile(changed, _QUANTILE))
    return max((factor for factor in FACTORS if factor <= most), default=1)


def _bytes(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Scale [0, 1] to 0 .. 255; what is outside is cut off."""
    levels: NDArray[np.uint8] = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return levels


def png(image: NDArray[np.uint8]) -> bytes:
    """Return a PNG file of an image uint8 [c, h, w], of one channel (grey) or three (RGB), pixel by pixel."""
    from PIL import Image

    out = io.BytesIO()
    pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, 2)
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", optimize=True)
    return out.getvalue()
