"""The paper's released settings, written down here by hand, against the steps that `specs/paper.sat` is compiled to.

Sources: the authors' configurations (https://github.com/mlosch/SAT, folder `config/`) and the paper. Nothing in this
table is computed from the specifications.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from satdsl.compile import Compiled, compile_file
from satdsl.ir import steps

SPEC = Path(__file__).parents[2] / "specs" / "paper.sat"


class Recipe(NamedTuple):
    epochs: int
    batch: int
    lr: float
    momentum: float
    weight_decay: float
    drops: tuple[int, ...]
    factor: float


RECIPES = {
    "preact_resnet18": Recipe(200, 128, 0.1, 0.9, 5e-4, (100, 150), 0.1),
    "resnet50": Recipe(150, 256, 0.1, 0.9, 1e-4, (50, 100), 0.1),
}
HEADS = {
    "CIFAR10": (512, Recipe(40, 128, 0.1, 0.9, 5e-4, (20, 30), 0.1)),
    "SVHN": (512, Recipe(40, 128, 0.1, 0.9, 5e-4, (20, 30), 0.1)),
    "Caltech256": (2048, Recipe(100, 128, 0.1, 0.9, 1e-4, (50, 75), 0.1)),
    "Flowers102": (2048, Recipe(100, 102, 0.1, 0.9, 1e-4, (50, 75), 0.1)),
}
"""Width and recipe by the data set that the head is for. SVHN's are not released and follow CIFAR-10's."""


def pgd(norm: str, eps: float, steps: int, step_size: float) -> dict[str, object]:
    always = {"kind": "pgd", "random_start": "none", "keep": "best", "restarts": 1}
    return always | {"norm": norm, "eps": eps, "steps": steps, "step_size": step_size}


def fgsm(norm: str, eps: float, step_size: float) -> dict[str, object]:
    return {"kind": "fgsm", "random_start": "radial", "norm": norm, "eps": eps, "step_size": step_size}


CIFAR_PGD = pgd("L2", 0.5, 7, 0.1)
IMAGENET_PGD = pgd("L2", 3.0, 7, 0.5)
CIFAR_FGSM = fgsm("L2", 0.5, 0.625)
IMAGENET_FGSM = fgsm("L2", 3.0, 3.75)
LINF_ESAT_PGD = pgd("Linf", 0.031372549019608, 10, 0.003137254901961)
LINF_SOURCE_PGD = pgd("Linf", 0.031372549019608, 7, 0.007843137254902)

ATTACKS = {
    "single_sat": CIFAR_PGD,
    "few_sat": CIFAR_PGD,
    "csat10_sat": CIFAR_PGD,
    "csat100_sat": CIFAR_PGD,
    "csat200_sat": IMAGENET_PGD,
    "esat10_sat": CIFAR_PGD,
    "esat100_sat": CIFAR_PGD,
    "esat200_sat": IMAGENET_PGD,
    "full10": CIFAR_PGD,
    "full100": CIFAR_PGD,
    "full200": IMAGENET_PGD,
    "weighted_sat": CIFAR_PGD,
    "source100_sat": CIFAR_PGD,
    "source200_sat": IMAGENET_PGD,
    "source_classes_sat": CIFAR_PGD,
    "scored_sat": CIFAR_PGD,
    "cat_trades": CIFAR_PGD,
    "esat_trades": CIFAR_PGD,
    "fast10_sat": CIFAR_FGSM,
    "fast100_sat": CIFAR_FGSM,
    "fast200_sat": IMAGENET_FGSM,
    "linf_full": LINF_ESAT_PGD,
    "linf_sat": LINF_ESAT_PGD,
    "linf_source": LINF_SOURCE_PGD,
}
"""What every attacked network of the paper is attacked with."""

TENTHS_OF_50_000 = [5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 35_000, 40_000, 45_000]
TENTHS_OF_259_906 = [25_991, 51_981, 77_972, 103_962, 129_953, 155_944, 181_934, 207_925, 233_915]
CLASSES_OF_200 = [20, 40, 60, 80, 100, 120, 140, 160, 180]
SIZES = {
    "single": [5_000],
    "few": [10_000, 20_000, 30_000, 40_000],
    "csat10": TENTHS_OF_50_000,
    "csat100": TENTHS_OF_50_000,
    "esat10": TENTHS_OF_50_000,
    "esat100": TENTHS_OF_50_000,
    "esat200": TENTHS_OF_259_906,
    "weighted": TENTHS_OF_50_000,
    "source100": TENTHS_OF_50_000,
    "source200": TENTHS_OF_259_906,
    "source_classes": TENTHS_OF_50_000,
    "hard10": TENTHS_OF_50_000,
    "hard100": TENTHS_OF_50_000,
    "hard200": TENTHS_OF_259_906,
    "scored": TENTHS_OF_50_000,
    "cat_alone": [5_000],
}
"""The sizes of A. Those of csat200 are known after scoring; its classes are counted instead."""

OVEREMPHASISED = [18.0, 12.0, 9.333333, 7.5, 6.0, 4.666667, 3.428571, 2.25, 1.111111]
"""Weight of A at a tenth, two tenths, ...: 2 times 9, 3 times 4, ... 10 times a ninth (`weightedincreasing2to10`)."""
WEIGHTS = {
    "single": [9.0],
    "cat_alone": [9.0],
    "source100": OVEREMPHASISED,
    "source_classes": OVEREMPHASISED,
} | {key: [1.0] for key in ["few", "csat10", "csat100", "csat200", "esat10", "esat100", "esat200", "hard10", "hard200"]}

DRAWS = {"few": 10, "csat10": 10, "csat100": 5, "csat200": 3, "esat10": 10, "esat100": 5, "esat200": 3}

AUGMENTATION = {
    "CIFAR10": [("crop", 4), ("flip",), ("color_jitter", 0.25, 0.25, 0.25, 0), ("rotation", 2)],
    "CIFAR100": [("crop", 4), ("flip",), ("color_jitter", 0.25, 0.25, 0.25, 0), ("rotation", 2)],
    "ImageNet200": [("resized_crop", 224), ("flip",), ("color_jitter", 0.1, 0.1, 0.1, 0), ("rotation", 2)],
    "Caltech256": [("resized_crop", 224), ("flip",), ("color_jitter", 0.1, 0.1, 0.1, 0), ("rotation", 2)],
    "Flowers102": [("resized_crop", 224), ("flip",), ("color_jitter", 0.1, 0.1, 0.1, 0), ("rotation", 2)],
}
IMAGES = {
    "cifar10": (50_000, 1_000, 9_000),
    "cifar100": (50_000, 1_000, 9_000),
    "imagenet200": (259_906, 1_000, 9_000),
    "flowers": (1_020, 0, 1_020),
}
"""Training images, those that select checkpoints, those that are reported."""

PUBLISHED = {
    ("single_sat.robust", "A_val"): [89.4, 93.5, 80.4, 49.6, 84.0, 60.9, 92.7, 88.6, 91.8, 92.3],
    ("single_sat.robust", "B_val"): [25.7, 17.1, 34.3, 37.8, 34.2, 34.9, 28.4, 27.3, 24.5, 21.9],
    ("esat10_sat.robust", None): [52.1, 59.1, 63.3, 64.9, 66.3, 66.8, 67.7, 68.7, 68.5],
    ("esat10_sat.clean", None): [91.9, 91.2, 90.5, 89.7, 89.4, 89.4, 89.2, 89.4, 89.5],
    ("full10.robust", None): [69.0],
    ("full10.clean", None): [89.2],
    ("esat100_sat.robust", None): [21.0, 28.8, 33.4, 36.3, 38.0, 38.7, 39.5, 40.0, 40.7],
    ("full100.robust", None): [40.9],
}
"""In per cent: of each class from airplane to truck, or from a tenth to nine tenths."""


@cache
def paper() -> Compiled:
    return compile_file(SPEC)


def settings_of(name: str) -> Iterator[tuple[steps.Step, steps.Train]]:
    """The different steps that a network of the paper stands for, with their settings."""
    plan = paper().plan
    for key in dict.fromkeys(key for _, key in plan.named[name]):
        step = plan.steps[key]
        assert isinstance(step.settings, steps.Train)
        yield step, step.settings


def trainings() -> list[steps.Train]:
    return [step.settings for step in paper().plan.steps.values() if isinstance(step.settings, steps.Train)]


def recipe(choice: steps.CatalogCall) -> Recipe:
    assert (choice.name, choice["nesterov"], choice["reduction"]) == ("sgd", False, "weighted_mean")
    assert (choice["label_smoothing"], choice["warmup"], choice["precision"]) == (0, 0, "fp32")
    named = (choice[name] for name in ("epochs", "batch", "lr", "momentum", "weight_decay"))
    return Recipe(*named, choice["schedule"]["at"], choice["schedule"]["factor"])


def facts_of(split: str) -> list[dict[str, tuple[int | None, float | None]]]:
    return [{s.name: (s.size, s.weight) for s in facts.subsets} for facts in paper().plan.splits if facts.name == split]


def test_networks_are_optimised_as_released():
    for train in trainings():
        assert recipe(train.recipe) == RECIPES[train.model.name]


def test_cifar_s_network_has_the_released_layout_and_imagenet_s_is_a_resnet_50():
    assert {(train.model.name, train.model.get("layout")) for train in trainings()} == {
        ("preact_resnet18", "sat"),
        ("resnet50", None),
    }


@pytest.mark.parametrize("name", ATTACKS)
def test_a_network_is_attacked_as_released(name):
    expected = dict(ATTACKS[name])
    kind = expected.pop("kind")
    for _, train in settings_of(name):
        (attack,) = {part.attack for part in train.subsets if part.attack is not None}
        assert attack.name == kind
        assert {setting: attack[setting] for setting in expected} == pytest.approx(expected)


def test_no_other_network_of_the_paper_is_attacked():
    for name in paper().plan.named:
        if name not in ATTACKS and not name.startswith("ref"):
            steps_of = {paper().plan.steps[key].kind for _, key in paper().plan.named[name]}
            assert steps_of <= {"head"}
    for name in ("ref10", "ref100", "ref200"):
        assert all(part.attack is None for _, train in settings_of(name) for part in train.subsets)


def test_references_are_scored_after_every_epoch_and_never_selected():
    for name, epochs in (("ref10", 200), ("ref100", 200), ("ref200", 150)):
        ((_, train),) = settings_of(name)
        assert train.snapshots == tuple(range(1, epochs + 1))
        assert train.select is None


def test_attacked_networks_are_selected_by_autoattack_after_each_drop_and_at_the_end():
    for train in trainings():
        if any(part.attack is not None for part in train.subsets):
            assert train.select is not None
            (attack,) = train.select.attacks
            assert (attack.name, attack["version"]) == ("autoattack", "standard")
            assert train.select.epochs == ((51, 101, 150) if train.model.name == "resnet50" else (101, 151, 200))


@pytest.mark.parametrize("split", SIZES)
def test_a_has_the_released_sizes(split):
    assert sorted({facts["A"][0] for facts in facts_of(split)}) == SIZES[split]


def test_csat_on_imagenet_attacks_20_to_180_classes():
    found = {s.class_count for f in paper().plan.splits if f.name == "csat200" for s in f.subsets if s.name == "A"}
    assert sorted(found) == CLASSES_OF_200


@pytest.mark.parametrize("split", WEIGHTS)
def test_a_weighs_what_the_released_configurations_give_it(split):
    found = sorted({round(facts["A"][1], 6) for facts in facts_of(split)}, reverse=True)
    assert found == pytest.approx(WEIGHTS[split], abs=1e-6)
    assert {facts["B"][1] for facts in facts_of(split)} == {1.0}


def test_figure_7_compares_vanilla_balanced_and_2_to_10_times_balanced():
    plan = paper().plan
    found: dict[str, list[float]] = {}
    for facts in plan.splits:
        if facts.name == "weighted":
            found.setdefault(dict(facts.point)["w"], []).append(facts.subsets[0].weight)
    assert found["vanilla"] == [1.0] * 9
    assert found["balanced"] == pytest.approx([9, 4, 7 / 3, 1.5, 1, 2 / 3, 3 / 7, 1 / 4, 1 / 9])
    assert [o / b for o, b in zip(found["overemphasised"], found["balanced"], strict=True)] == pytest.approx(
        range(2, 11)
    )


@pytest.mark.parametrize("split", DRAWS)
def test_random_subsets_are_drawn_ten_five_or_three_times(split):
    found: Counter[tuple[str, ...]] = Counter()
    for facts in paper().plan.splits:
        at = dict(facts.point)
        if at.get("order") == "random" and facts.name == split:
            found[tuple(value for axis, value in at.items() if not axis.startswith("draw"))] += 1
    assert set(found.values()) == {DRAWS[split]}


def test_trades_weighs_robustness_with_12_down_to_6():
    betas = [part.loss["beta"] for _, train in settings_of("esat_trades") for part in train.subsets if part.loss]
    assert betas == pytest.approx([12, 11.25, 10.5, 9.75, 9, 8.25, 7.5, 6.75, 6])
    betas = [part.loss["beta"] for _, train in settings_of("cat_trades") for part in train.subsets if part.loss]
    assert betas == [1, 6, 12, 24]


def test_heads_are_as_wide_and_trained_as_long_as_released():
    plan = paper().plan
    seen = set()
    for step in plan.steps.values():
        if isinstance(step.settings, steps.Head):
            data = plan.steps[dict(step.inputs)["data"]].settings.source.name
            found = step.settings.head["hidden"], recipe(step.settings.recipe)
            assert (step.settings.head.name, found) == ("mlp", HEADS[data])
            seen.add(data)
    assert seen == set(HEADS)


def test_images_are_augmented_as_released():
    plan = paper().plan
    seen = set()
    for step in plan.steps.values():
        if isinstance(step.settings, (steps.Train, steps.Head)):
            data = plan.steps[dict(step.inputs)["data"]].settings.source.name
            seen.add(data)
            if data in AUGMENTATION:
                assert [tuple(change) for change in map(described, step.settings.augment)] == AUGMENTATION[data]
    assert seen == {*AUGMENTATION, "SVHN"}


def described(change: steps.CatalogCall) -> tuple[object, ...]:
    names = {
        "crop": ["padding"],
        "resized_crop": ["size"],
        "flip": [],
        "color_jitter": ["brightness", "contrast", "saturation", "hue"],
        "rotation": ["degrees"],
    }
    return change.name, *(change[name] for name in names[change.name])


@pytest.mark.parametrize("name", IMAGES)
def test_data_sets_have_the_released_numbers_of_images(name):
    data = paper().experiment.datasets[name].at({})
    assert (data.train, data.selection or 0, data.val) == IMAGES[name]


@pytest.mark.parametrize(("result", "part"), PUBLISHED)
def test_published_values_are_beside_the_results(result, part):
    found = [p for p in paper().plan.published if p.result == result and dict(p.at).get("part") == part]
    assert [round(100 * p.value, 6) for p in found] == PUBLISHED[result, part]
    assert all(p.source for p in found)
