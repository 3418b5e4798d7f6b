"""The catalog's data: complete, consistent with itself and with what is published, readable at 80 columns."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from satdsl.catalog import FAMILIES, TYPES, Argument, Entry, catalog
from satdsl.catalog.datasets import DatasetEntry, class_list, facts
from satdsl.catalog.scores import ScoreEntry
from satdsl.catalog.show import UnknownNameError, document, show, signature, takes
from satdsl.ir import draws


def every_entry() -> list[Entry]:
    found = [catalog().find(family, name) for family in FAMILIES for name in catalog().names(family)]
    return [entry for entry in found if entry is not None]


def data_set(name: str) -> DatasetEntry:
    return DatasetEntry.of(name)


def find(family: str, name: str) -> Entry:
    entry = catalog().find(family, name)
    assert entry is not None
    return entry


ENTRIES = every_entry()
ARGUMENTS = [(entry, arg) for entry in ENTRIES for arg in entry.args.values()]
FIXED = [entry.name for entry in ENTRIES if isinstance(entry, DatasetEntry) and entry.facts]


def of_entry(entry: Entry) -> str:
    return f"{entry.family}-{entry.name}"


# --- entries and arguments -----------------------------------------------------------------------

EXPECTED = {
    "dataset": "CIFAR10 CIFAR100 CIFAR10C CIFAR100C SVHN Flowers102 Caltech256 ImageNet ImageNet200 FashionMNIST MNIST "
    "folder arrays digits synthetic",
    "model": "small_cnn preact_resnet18 resnet18 resnet34 resnet50 resnet101 resnet152 wide_resnet "
    "torchvision timm checkpoint",
    "attack": "pgd fgsm autoattack apgd square noise fmn ddn pdpgd none",
    "recipe": "sgd adamw adam",
    "schedule": "step cosine cyclic constant",
    "augmentation": "crop resized_crop flip color_jitter rotation cutout gaussian_noise mixup cutmix",
    "perturbation": "awp sam",
    "head": "linear mlp",
    "term": "ce bce kl l2 p margin fixed",
    "plot": "line bars heatmap",
    "table": "rows",
}

SCORES = ["entropy", "loss", "margin", "confidence", "el2n", "grand", "forgetting", "aum", "vog", "spread-confidence"]

SIGNATURES = [
    (
        "attack",
        "pgd",
        "pgd(norm, eps, steps, step_size, random_start=none, keep=best, restarts=1, target=none, objective=ce, "
        "mode=eval)",
    ),
    ("attack", "fgsm", "fgsm(norm, eps, step_size=none, random_start=none, target=none, objective=ce, mode=eval)"),
    ("attack", "autoattack", "autoattack(norm, eps, version=standard, attacks=[], batch=500)"),
    ("attack", "apgd", "apgd(norm, eps, steps=100, objective=ce, targets=0, restarts=1, samples=1)"),
    ("attack", "square", "square(norm, eps, queries=5000, p_init=80%, restarts=1)"),
    ("attack", "noise", "noise(norm, eps, draws=1, distribution=ball)"),
    ("attack", "fmn", "fmn(norm, steps=100, step_size=1, gamma=0.05)"),
    ("attack", "ddn", "ddn(steps=100, init=1, gamma=0.05, levels=none)"),
    ("attack", "pdpgd", "pdpgd(norm, steps=500, primal_lr=0.1, dual_lr=0.1)"),
    ("attack", "none", "none"),
    (
        "model",
        "preact_resnet18",
        "preact_resnet18(width=64, layout=standard, shortcut=activated, shortcut_size=1, activation=relu, "
        "slope=0.01, beta=1, last_norm=true, stem_stride=1, padding=symmetric, bn_eps=1e-05)",
    ),
    (
        "model",
        "resnet50",
        "resnet50(stem=imagenet, pool=usual, variant=v1_5, activation=relu, slope=0.01, beta=1, stem_stride=none, "
        "padding=symmetric, bn_eps=1e-05)",
    ),
    ("model", "timm", "timm(architecture)"),
    (
        "model",
        "checkpoint",
        "checkpoint(file, arch, mean=none, std=none, entry=none, expect=none, clean=none)",
    ),
    ("schedule", "step", "step(at, factor=0.1)"),
    ("plot", "line", "line(y, x, series=[], mean=[], baselines=[])"),
    (
        "dataset",
        "folder",
        "folder(path, augment=[], holdout=0%, holdout_from=val, limit=none, limit_val=none, resize=224, root=none, "
        "transparency=refuse, exif=ignore, class_order=none)",
    ),
    (
        "recipe",
        "sgd",
        "sgd(epochs, batch=128, lr=0.1, momentum=0.9, weight_decay=0, nesterov=false, schedule=constant, "
        "warmup=0, label_smoothing=0, ema=none, clip=none, precision=fp32, reduction=weighted_mean, "
        "swa=none, perturb=none)",
    ),
]


@pytest.mark.parametrize("family", EXPECTED)
def test_a_family_has_the_entries_of_the_language(family: str) -> None:
    assert catalog().names(family) == tuple(EXPECTED[family].split())


def test_every_score_has_a_snapshot_twin() -> None:
    assert set(catalog().names("score")) == {*SCORES, *(f"snapshot-{name}" for name in SCORES)}


@pytest.mark.parametrize("entry", ENTRIES, ids=of_entry)
def test_an_entry_says_what_it_is(entry: Entry) -> None:
    assert entry.help.endswith(".")
    assert "\n" not in entry.help
    assert catalog().find(entry.family, entry.name) is entry
    assert entry.family in catalog().families_of(entry.name)


@pytest.mark.parametrize(("family", "name", "expected"), SIGNATURES)
def test_signatures(family: str, name: str, expected: str) -> None:
    assert signature(find(family, name)) == expected


@pytest.mark.parametrize("entry", ENTRIES, ids=of_entry)
def test_arguments_are_described_and_their_defaults_may_be_written(entry: Entry) -> None:
    for arg in entry.args.values():
        check_description(arg)
        if not arg.required:
            check_default(arg)


def check_description(arg: Argument) -> None:
    assert arg.help.endswith(".")
    assert "\n" not in arg.help
    assert arg.type in TYPES
    assert (arg.type == "word") == bool(arg.choices)
    assert (arg.type == "call") == bool(arg.family)
    assert arg.family in ("", *FAMILIES)
    assert takes(arg)


def check_default(arg: Argument) -> None:
    if arg.default is None:
        assert arg.optional
        return
    assert isinstance(arg.default, tuple) == arg.many
    values = arg.default if arg.many else (arg.default,)
    assert arg.length in (None, len(values))
    for value in values:
        if arg.type in ("number", "share", "int"):
            assert type(value) is (int if arg.type == "int" else float)
            assert arg.at_least is None or value >= arg.at_least
            assert arg.at_most is None or value <= arg.at_most
            assert arg.above is None or value > arg.above
            assert arg.below is None or value < arg.below
        elif arg.type == "word":
            assert value in arg.choices
        elif arg.type == "call":
            assert all(not a.required for a in find(arg.family, value).args.values())
        elif arg.type == "bool":
            assert isinstance(value, bool)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.args], ids=of_entry)
def test_required_arguments_come_first(entry: Entry) -> None:
    required = [arg.required for arg in entry.args.values()]
    assert required == sorted(required, reverse=True)


@pytest.mark.parametrize("name", SCORES)
def test_a_twin_is_the_score_over_snapshots(name: str) -> None:
    score, twin = find("score", name), find("score", f"snapshot-{name}")
    assert score.formula
    assert score.formula in twin.formula
    assert twin.help
    assert isinstance(score, ScoreEntry)
    assert isinstance(twin, ScoreEntry)
    assert twin.over_snapshots
    assert score.over_snapshots == (name in ("forgetting", "aum", "vog", "spread-confidence"))
    assert twin.source == score.source


# --- facts of data sets --------------------------------------------------------------------------

SIZES = {
    "CIFAR10": (10, 50_000, 10_000),
    "CIFAR100": (100, 50_000, 10_000),
    "CIFAR10C": (10, 0, 10_000),
    "CIFAR100C": (100, 0, 10_000),
    "SVHN": (10, 73_257, 26_032),
    "Flowers102": (102, 2_040, 6_149),
    "Caltech256": (257, 15_420, 15_187),
    "ImageNet": (1_000, 1_281_167, 50_000),
    "ImageNet200": (200, 259_906, 10_000),
    "FashionMNIST": (10, 60_000, 10_000),
    "MNIST": (10, 60_000, 10_000),
    "digits": (10, 1_437, 360),
}


def test_every_fixed_data_set_has_its_published_size() -> None:
    known = {name: facts(data_set(name)) for name in FIXED}
    assert {n: (len(k.classes), k.train, k.val) for n, k in known.items()} == SIZES


@pytest.mark.parametrize("name", FIXED)
def test_facts_agree_with_each_other(name: str) -> None:
    known = facts(data_set(name))
    assert len(set(known.classes)) == len(known.classes)
    assert all(c and c == c.strip() for c in known.classes)
    for total, counts in ((known.train, known.train_counts), (known.val, known.val_counts)):
        assert counts is None or (sum(counts) == total and len(counts) == len(known.classes))
    channels = known.shape[0]
    assert len(known.mean) == len(known.std) == channels
    assert all(0 < x < 1 for x in known.mean + known.std)


def test_the_image_size_is_that_of_the_default_resize() -> None:
    for name in FIXED:
        entry = data_set(name)
        resize = entry.args["resize"].default
        assert resize is None or facts(entry).shape == (3, resize, resize)


def test_a_protocol_changes_the_counts_alone() -> None:
    entry = data_set("Flowers102")
    usual, paper = facts(entry), facts(entry, "train")
    assert (paper.train, paper.val, set(paper.val_counts or ())) == (1_020, 1_020, {10})
    assert (paper.classes, paper.shape, paper.mean) == (usual.classes, usual.shape, usual.mean)
    assert facts(entry, "train+val") == usual
    assert set(entry.args["protocol"].choices) == {"train+val", *(entry.facts or {})["protocols"]}


def test_imagenet200_lists_a_wordnet_id_for_each_class() -> None:
    entry = data_set("ImageNet200")
    wnids = class_list((entry.facts or {})["wnids"])
    assert len(set(wnids)) == 200
    assert list(wnids) == sorted(wnids)
    assert all(len(wnid) == 9 and wnid[0] == "n" and wnid[1:].isdigit() for wnid in wnids)
    names = dict(zip(wnids, facts(entry).classes, strict=True))
    assert names["n01498041"] == "stingray"
    assert names["n12267677"] == "acorn"
    everything = facts(data_set("ImageNet")).classes
    assert [c for c in everything if c in set(names.values())] == list(names.values())
    every_id = class_list((data_set("ImageNet").facts or {})["wnids"])
    assert list(every_id) == sorted(every_id)
    assert names.items() <= dict(zip(every_id, everything, strict=True)).items()


def test_some_class_names_stand_at_their_label() -> None:
    known = {name: facts(data_set(name)).classes for name in FIXED}
    assert known["CIFAR10"][3] == "cat"
    assert (known["CIFAR100"][0], known["CIFAR100"][99]) == ("apple", "worm")
    assert (known["Caltech256"][0], known["Caltech256"][256]) == ("ak47", "clutter")
    assert (known["Flowers102"][0], known["Flowers102"][101]) == ("pink primrose", "blackberry lily")
    assert (known["ImageNet"][0], known["ImageNet"][999]) == ("tench", "toilet tissue")
    assert known["MNIST"] == known["SVHN"] == known["digits"] == tuple("0123456789")


def test_the_digits_are_split_as_stated() -> None:
    np = pytest.importorskip("numpy")
    images, labels = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    entry = data_set("digits")
    draw, known = (entry.facts or {})["draw"], facts(entry)
    val = sorted(draws.order(len(labels), draw["seed"])[: draw["val"]])
    train = np.setdiff1d(np.arange(len(labels)), val)
    assert tuple(np.bincount(labels[train])) == known.train_counts
    assert tuple(np.bincount(labels[val])) == known.val_counts
    scaled = images[train] / 16
    assert (scaled.mean(), scaled.std()) == pytest.approx((known.mean[0], known.std[0]), abs=5e-5)


# --- what a reader sees --------------------------------------------------------------------------


def printed(name: str | None) -> str:
    console = Console(width=80, file=StringIO(), color_system=None)
    for part in show(name):
        console.print(part)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted({entry.name for entry in ENTRIES}))
def test_an_entry_can_be_read_at_80_columns(name: str) -> None:
    text = printed(name)
    assert max(len(line) for line in text.splitlines()) <= 80
    flat = " ".join(text.split())
    for family in catalog().families_of(name):
        entry = find(family, name)
        assert " ".join(entry.help.split()) in flat
        assert all(arg in flat for arg in entry.args)
        assert "…" not in flat
    assert json.loads(json.dumps(document(name)))["entries"][-1]["name"] == name


def test_the_overview_names_everything() -> None:
    text = printed(None)
    assert max(len(line) for line in text.splitlines()) <= 80
    words = set(text.split())
    assert {entry.name for entry in ENTRIES if not entry.name.startswith("snapshot-")} <= words
    assert len(document()["entries"]) == len(ENTRIES)


def test_a_family_can_be_asked_for() -> None:
    assert {"pgd", "fgsm", "autoattack"} <= set(printed("attack").split())
    assert {entry["family"] for entry in document("attack")["entries"]} == {"attack"}


@pytest.mark.parametrize(
    ("wrong", "right"), [("pdg", "pgd"), ("cifar10", "CIFAR10"), ("snapshot_entropy", "snapshot-entropy")]
)
def test_a_wrong_name_brings_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(UnknownNameError, match=right):
        show(wrong)
    with pytest.raises(UnknownNameError, match=right):
        document(wrong)


def test_a_name_like_no_other_brings_none() -> None:
    with pytest.raises(UnknownNameError, match=r"'qqqqq'; `satdsl catalog` lists all entries$"):
        show("qqqqq")


def test_the_catalog_needs_no_torch() -> None:
    code = (
        "import sys; from satdsl.catalog import catalog; from satdsl.catalog.show import show; show();"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
