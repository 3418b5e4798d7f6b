"""Smoke runs: everything that an experiment has happens at least once, small, without a data set, and apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from satdsl.artifacts.schemas import ROWS
from satdsl.backend.artifact_files import read_table
from satdsl.backend.models import build
from satdsl.backend.subset_masks import TrainingSet, partition
from satdsl.check import check
from satdsl.cli import app
from satdsl.compile import compile_file
from satdsl.ir.experiment import Dataset, SplitDefinition
from satdsl.ir.plan import Accuracy, Plan
from satdsl.ir.steps import (
    CatalogCall,
    Data,
    Evaluate,
    Head,
    Listed,
    OfClasses,
    Pick,
    Ranking,
    Rest,
    Score,
    Split,
    Subset,
    Train,
    Where,
)
from satdsl.plan.expand import expand
from satdsl.smoke import made_small, small_subsets
from satdsl.smoke.settings import completed_epochs, narrow, recipe
from satdsl.smoke.small_subsets import scaled, size

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "specs").glob("*.sat"), *(ROOT / "examples").glob("*.sat")])

HEAD = """sat 1
title "Everything"
dataset big = ImageNet200(augment=[resized_crop(size=224), flip], holdout=10%)
dataset c = CIFAR10(augment=[crop(padding=4), flip], holdout=10%)
dataset house = SVHN(holdout=20%, holdout_from=train)
model cnn = small_cnn(width=32)
attack p = pgd(norm=L2, eps=0.5, step_size=0.1, steps=7)
attack aa = autoattack(norm=L2, eps=0.5)
recipe r = sgd(epochs=200, schedule=step(at=[100, 150]), warmup=5)
train ref = cnn on c using r { keep snapshots every epoch }
"""

EVERYTHING = (
    HEAD
    + """
model deep = resnet50()
attack inf = pgd(norm=Linf, eps=8/255, step_size=2/255, steps=10, random_start=ball, restarts=5)
attack fast = fgsm(norm=L2, eps=0.5, random_start=ball)
attack one = autoattack(norm=L1, eps=12)
attack plus = autoattack(norm=L2, eps=0.5, version=plus)
attack rand = autoattack(norm=Linf, eps=8/255, version=rand)
recipe adam = adamw(epochs=50, schedule=cosine())
recipe up = sgd(epochs=30, schedule=cyclic(peak=12))

sweep {
  net   = [cnn, wide, thin, pre]
  order = [hardest, easiest, random]
  count = [100, 1000, 5000, 25000]
  draw  = 0..9 if $order == random else 0
  seed  = 0..4
  k     = classes of c
}
model wide = wide_resnet(depth=28, width=10)
model thin = resnet18(stem=cifar)
model pre = preact_resnet18()

split by_count of c { A = $order $count examples by snapshot-entropy of ref seed = $draw; B = rest; weight A = |B|/|A| }
split by_class of c { A = class $k; B = (random 3 classes seed = 1) - A; C = rest }
split above of c { A = examples where snapshot-loss of ref > 0.7; B = rest; weight A = |B|/|A| }
split each of house { A = random 10% examples per class seed = 3; B = rest }
split inside of c {
  A = hardest 4 classes by grand of ref
  B = easiest 2% examples of (classes cat, dog) by forgetting of ref - A
  C = rest
}

train many = $net on c using adam { attack all with p; seed = $seed }
train counted = cnn on by_count using r { attack A with p; select by robust accuracy under aa }
train classed = cnn on by_class using up { attack A with fast; loss B = cross_entropy }
train high = cnn on above using r { attack A with inf; loss A = trades(beta=6); start from ref }
train housed = cnn on each using r { attack A with p; select by clean accuracy every 50 epochs }
train within = cnn on inside using r { attack A with p }
train large = deep on big using adam { attack all with p }
transfer onto = counted to house using adam { head = mlp(hidden=512) }

evaluate many    { robust = robust accuracy under p, rand on val }
evaluate counted { robust = robust accuracy under aa on val;  own = clean accuracy on A_train }
evaluate classed { robust = robust accuracy under one on A_val, B_val;  by_class = clean accuracy on val by class }
evaluate high    { robust = robust accuracy under plus on val }
evaluate housed  { clean = clean accuracy on val }
evaluate within  { clean = clean accuracy on val }
evaluate large   { clean = clean accuracy on val }
evaluate onto    { clean = clean accuracy on val }
evaluate ref     { entropy = mean snapshot-entropy on train by class;  vog = mean vog on train }

table "Counts" = rows(counted.robust[count=1000])
plot "Draws" = line(y=counted.robust, x=$count, series=$order, mean=$draw)
plot "Classes" = heatmap(value=classed.by_class, x=class, y=$k)
expect "a claim names a point in the middle": counted.robust[order=easiest, count=5000] > 0%
"""
)


def plans(text: str, at: str = "spec.sat") -> tuple[Plan, Plan]:
    """The real plan and the small one."""
    experiment = check(at, text)
    return expand(experiment), made_small(experiment)[1]


# --- everything happens ------------------------------------------------------------------------------


def kinds(plan: Plan) -> set[object]:
    """What there is in a plan, numbers apart."""
    found: set[object] = {("kind", step.kind) for step in plan.steps.values()}
    for step in plan.steps.values():
        found |= {(step.kind, of_step) for of_step in _of_step(step.settings)}
    for result in plan.results:
        found.add(("result", result.name, result.part.name, result.by_class, type(result.measure), result.class_names))
        if isinstance(result.measure, Accuracy):
            found.add(("attacks", len(result.measure.evaluations)))
    return found | {("shown", shown.title) for shown in plan.displays} | {("claim", c.text) for c in plan.claims}


def _of_step(settings: object) -> Iterator[object]:
    match settings:
        case Data():
            yield settings.source.get("of", settings.source.name)
        case Train():
            yield settings.model.name, settings.model.get("layout"), settings.model.get("stem")
            yield settings.recipe.name, settings.recipe["schedule"].name
            yield from (change.name for change in settings.augment)
            for part in settings.subsets:
                yield _attack(part.attack), part.loss and part.loss.name
            if settings.select is not None:
                yield "select", tuple(_attack(choice) for choice in settings.select.attacks), settings.holdout is None
            yield "snapshots", bool(settings.snapshots), settings.scores, bool(settings.pretrained)
        case Score():
            yield settings.score
        case Evaluate():
            yield _attack(settings.attack), settings.part, settings.subsets is None
        case Head():
            yield settings.head.name
        case Split():
            for subset in settings.subsets:
                for part in small_subsets.parts(subset):
                    yield type(part)
                    if isinstance(part, Pick):
                        yield part.order, part.unit, part.per_class, part.within is None


def _attack(choice: CatalogCall | None) -> object:
    return choice and (choice.name, *(choice.get(arg) for arg in ("norm", "version", "random_start", "target")))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_smoke_run_of_every_specification_has_everything_that_it_has(file: Path) -> None:
    real, small = compile_file(file).plan, compile_file(file, smoke=True).plan
    assert kinds(real) <= kinds(small)
    assert len(small.steps) <= len(real.steps)
    assert small.smoke
    assert not real.smoke


def test_a_smoke_run_has_every_form_of_the_language() -> None:
    real, small = plans(EVERYTHING)
    assert kinds(real) <= kinds(small)
    assert {step.settings.model.name for step in small.steps.values() if isinstance(step.settings, Train)} >= {
        "small_cnn", "wide_resnet", "resnet18", "preact_resnet18", "resnet50"
    }  # fmt: skip


def test_no_step_of_a_smoke_run_reads_a_data_set() -> None:
    for file in FILES:
        steps = compile_file(file, smoke=True).plan.steps.values()
        assert {step.settings.source.name for step in steps if isinstance(step.settings, Data)} <= {"stand_in"}


# --- each cut ----------------------------------------------------------------------------------------


def test_stand_ins_keep_classes_and_channels_and_differ_from_each_other() -> None:
    _, small = plans(EVERYTHING)
    sources = {s.settings.source["of"]: s.settings.source for s in small.steps.values() if isinstance(s.settings, Data)}
    assert {name: len(source["classes"]) for name, source in sources.items()} == {
        "ImageNet200": 200, "CIFAR10": 10, "SVHN": 10
    }  # fmt: skip
    assert sources["CIFAR10"]["classes"][3] == "cat"
    assert {source["shape"] for source in sources.values()} == {(3, 16, 16)}
    assert min(min(source[part]) for source in sources.values() for part in ("train", "val")) == 1


def test_axes_keep_their_ends_one_draw_and_what_the_file_names() -> None:
    _, small = plans(EVERYTHING)
    assert small.axes["order"] == ("hardest", "easiest", "random")
    assert small.axes["draw"] == ("0",)
    assert small.axes["seed"] == ("0",)
    assert small.axes["k"] == ("airplane", "truck")
    assert small.axes["net"] == ("cnn", "wide", "thin", "pre")  # its ends, and two networks that are nowhere else
    points = {dict(r.point)["order"] + dict(r.point)["count"] for r in small.results if r.name == "counted.robust"}
    assert {"hardest100", "easiest25000", "hardest1000", "easiest5000"} <= points
    assert "random5000" not in points
    assert "axis k: airplane, truck of 10 values" in small.smoke


def test_axes_that_move_together_keep_their_ends() -> None:
    _, small = plans(
        HEAD
        + """
sweep { (k, boost) = [(10, 2), (50, 3), (250, 10)]; seed = 0..4 }
split s of c { A = random $k examples seed = $seed; B = rest; weight A = $boost }
train t = cnn on s using r
evaluate t { clean = clean accuracy on val }
"""
    )
    assert small.axes["k"] == ("10", "250")
    assert small.axes["boost"] == ("2", "10")
    assert small.axes["seed"] == ("0",)


@pytest.mark.parametrize("source", ["digits()", "Caltech256(resize=16)", "MNIST()", "CIFAR10()"])
def test_the_class_with_more_images_is_the_same_to_train_on_and_to_measure(source: str) -> None:
    _, small = plans(
        f"""sat 1
dataset d = {source}
model m = small_cnn()
recipe r = sgd(epochs=3)
train t = m on d using r
evaluate t {{ clean = clean accuracy on val }}
"""
    )
    (data,) = [step.settings for step in small.steps.values() if isinstance(step.settings, Data)]
    counts = [dict(data.source.args)[part] for part in ("train", "val")]
    assert counts[0].index(max(counts[0])) == counts[1].index(max(counts[1]))
    assert all(max(count) > 4 for count in counts)


def test_what_is_measured_of_a_model_is_measured_at_the_same_points() -> None:
    _, small = plans(EVERYTHING)
    points = [{r.point for r in small.results if r.name == f"counted.{name}"} for name in ("robust", "own")]
    assert points[0] == points[1]


def test_epochs_are_two_and_drops_snapshots_and_selection_come_inside() -> None:
    _, small = plans(EVERYTHING)
    trainings = [step.settings for step in small.steps.values() if isinstance(step.settings, Train)]
    assert {training.recipe["epochs"] for training in trainings} == {2}
    by_step = next(t for t in trainings if t.select is not None and t.select.attacks)
    assert by_step.recipe["schedule"]["at"] == (1,)
    assert by_step.recipe["warmup"] == 1
    assert by_step.select is not None
    assert by_step.select.epochs == (1, 2)
    assert completed_epochs((200,), 200) == (2,)
    assert completed_epochs((), 200) == ()
    assert completed_epochs((1,), 1) == (1,)


def sgd(batch: int = 8, clip: float | None = None) -> CatalogCall:
    schedule = CatalogCall("constant")
    return CatalogCall("sgd", (("epochs", 9), ("batch", batch), ("schedule", schedule), ("warmup", 0), ("clip", clip)))


@given(st.integers(2, 600), st.integers(16, 512))
def test_no_batch_is_left_with_a_single_image(images: int, batch: int) -> None:
    given = CatalogCall(
        "sgd", (("epochs", 9), ("batch", batch), ("schedule", CatalogCall("constant")), ("warmup", 0), ("clip", None))
    )
    short = recipe(given, images)["batch"]
    assert short <= batch
    assert images % short != 1


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1000, 50000), st.integers(10, 300))
@settings(deadline=None)
def test_scaled_counts_grow_with_the_count_and_leave_nothing_empty(a: int, b: int, n: int, small: int) -> None:
    few, many = sorted((scaled(a, n, small), scaled(b, n, small)))
    assert (scaled(min(a, b), n, small), scaled(max(a, b), n, small)) == (few, many)
    assert (scaled(a, n, small) == 0) == (a == 0)
    assert scaled(n, n, small) == small
    assert scaled(n - 1, n, small) < small


def test_gradients_are_clipped_so_that_no_loss_overflows() -> None:
    assert [recipe(sgd(clip=written), 100)["clip"] for written in (None, 0.5, 100.0)] == [10.0, 0.5, 10.0]


def test_perturbed_and_averaged_weights_happen_in_two_epochs() -> None:
    perturb = CatalogCall("awp", (("gamma", 0.01), ("warmup", 4)))
    given = sgd()
    short = recipe(CatalogCall(given.name, (*given.args, ("perturb", perturb), ("swa", 7))), 100)
    assert (short["epochs"], short["swa"], short["perturb"]["warmup"]) == (2, 1, 1)


def test_deep_networks_are_narrow_and_of_their_kind() -> None:
    given = CatalogCall("resnet50", (("stem", "imagenet"),))
    with torch.device("meta"):
        wide, thin = (build(model, (3, 16, 16), 200, (0.5,) * 3, (0.2,) * 3) for model in (given, narrow(given)))
    assert [type(m) for m in thin.modules()] == [type(m) for m in wide.modules()]
    assert 4 * sum(p.numel() for p in thin.parameters()) < sum(p.numel() for p in wide.parameters())


# --- subsets -----------------------------------------------------------------------------------------


def split_of(lines: str, at: Path) -> tuple[SplitDefinition, Dataset]:
    """A split of CIFAR-10 in the small experiment, and its data."""
    text = (
        HEAD + f"split s of c {{ {lines} }}\ntrain t = cnn on s using r\nevaluate t {{ a = clean accuracy on val }}\n"
    )
    small, _ = made_small(check(str(at / "spec.sat"), text))
    return small.splits["s"].table[()], small.datasets["c"].table[()]


def sizes_of(split: SplitDefinition, data: Dataset, scores: np.ndarray) -> list[int]:
    """How many images the backend finds in each subset."""
    counts = data.train_counts or ()
    labels = np.repeat(np.arange(len(counts)), counts)
    images = TrainingSet(np.arange(len(labels)), labels, len(counts), True, lambda ranking: scores)
    return np.bincount(partition(split.subsets, images), minlength=len(split.names)).tolist()


@pytest.mark.parametrize(
    "lines",
    [
        "A = hardest 15000 examples by snapshot-entropy of ref; B = easiest 35000 examples by snapshot-entropy of ref",
        "A = random 1 examples seed = 4; B = rest",
        "A = hardest 30% examples per class by snapshot-entropy of ref; B = rest",
        "A = classes cat, dog; B = hardest 10 examples of (class ship) by snapshot-entropy of ref; C = rest",
        "A = examples where snapshot-loss of ref > 0.5; B = examples where snapshot-loss of ref <= 0.5",
        "A = examples where snapshot-loss of ref == 0.5; B = rest",
        'A = examples listed in "a.txt"; B = examples listed in "b.txt"',
        'A = examples listed in "a.txt"; B = rest',
        'A = hardest 30% examples by scores in "a.npy"; B = easiest 70% examples by scores in "a.npy"',
        'A = hardest 30% examples by ranking in "o.npy"; B = easiest 70% examples by ranking in "o.npy"',
        'A = easiest 2 classes by scores in "a.npy"; B = rest',
        'A = hardest 3 classes by ranking in "c.txt"; B = rest',
        'A = examples where scores in "a.npy" > 3; B = rest',
        'A = hardest 20% examples of (examples where snapshot-loss of ref < 3) by scores in "b.npy"; B = rest',
    ],
)
def test_small_subsets_cover_the_small_training_set_and_none_is_empty(lines: str, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name.replace("a", "1 2").replace("b", "30000 4"), "utf-8")
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.arange(50_000) / (7 if name == "a" else 3))
    np.save(tmp_path / "o.npy", np.arange(50_000)[::-1])
    (tmp_path / "c.txt").write_text("3 5 4 2 6 7 0 8 1 9".replace(" ", "\n"), "utf-8")
    split, data = split_of(lines, tmp_path)
    found = sizes_of(split, data, np.linspace(0, 1, data.train or 0))
    assert 0 not in found
    assert sum(found) == data.train
    assert all(known in (None, there) for known, there in zip(split.sizes, found, strict=True))


@pytest.mark.parametrize("score", [-1.0, 0.5, 99.0])
def test_no_threshold_leaves_a_subset_empty_even_where_all_scores_are_alike(score: float, tmp_path: Path) -> None:
    lines = "A = examples where snapshot-loss of ref > 0.5; B = examples where snapshot-loss of ref <= 0.5"
    split, data = split_of(lines, tmp_path)
    found = sizes_of(split, data, np.full(data.train or 0, score))
    assert 0 not in found
    assert sum(found) == data.train


def test_weights_that_are_known_stay_those_of_the_real_experiment(tmp_path: Path) -> None:
    split, _ = split_of("A = random 100 examples seed = 1; B = rest; weight A = |B|/|A|", tmp_path)
    assert split.weights[0] == 499.0


def test_files_are_said_to_be_replaced_and_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1", "utf-8")
    np.save(tmp_path / "a.npy", np.arange(50_000) / 7)
    text = HEAD + (
        'split s of c { A = examples listed in "a.txt"; B = rest }\n'
        'split t of c { A = hardest 30% examples by scores in "a.npy"; B = rest }\n'
        "train l = cnn on s using r\ntrain q = cnn on t using r\n"
        "evaluate l { a = clean accuracy on val }\nevaluate q { a = clean accuracy on val }\n"
    )
    _, small = plans(text, str(tmp_path / "spec.sat"))
    assert any("listed in files: random draws" in sentence for sentence in small.smoke)
    assert any("rankings from files: a random order" in sentence for sentence in small.smoke)
    definitions: list[Subset] = [
        part
        for step in small.steps.values()
        if isinstance(step.settings, Split)
        for subset in step.settings.subsets
        for part in small_subsets.parts(subset)
    ]
    assert definitions
    assert not any(isinstance(part, Listed) for part in definitions)
    assert not any(ranking.digest for ranking in small_subsets.rankings(definitions))


def test_sizes_known_before_scoring_are_those_of_the_small_data(tmp_path: Path) -> None:
    split, data = split_of("A = class cat; B = rest", tmp_path)
    assert split.sizes == (2, (data.train or 0) - 2)
    assert size(OfClasses((3,)), data) == 2
    assert size(Where(Ranking(score="loss", of="ranking0"), ">", 1.0), data) is None
    assert size(Rest(), data) is None


# --- as its users meet it ----------------------------------------------------------------------------

RUN = """sat 1
title "Two data sets"
dataset c = CIFAR10(holdout=10%, augment=[flip])
dataset f = FashionMNIST(resize=32)
model cnn = small_cnn(width=32)
attack p = pgd(norm=L2, eps=0.1, step_size=0.05, steps=7)
attack aa = autoattack(norm=L2, eps=0.1)
attack all_six = autoattack(norm=L1, eps=0.5, version=plus)
recipe r = sgd(epochs=30, lr=0.05, schedule=step(at=[20]))
train ref = cnn on c using r { keep snapshots every epoch }
sweep { share = 10%..90% step 10%; order = [hardest, random] }
split s of c { A = $order $share examples by snapshot-loss of ref seed = 0; B = rest }
split above of c { A = examples where snapshot-loss of ref > 100; B = rest; weight A = |B|/|A| }
train sat = cnn on s using r { attack A with p; select by robust accuracy under aa }
train high = cnn on above using r { attack A with p; loss A = trades(beta=6) }
transfer onto = sat to f using r
evaluate ref { entropy = mean snapshot-entropy on train by class }
evaluate sat { robust = robust accuracy under aa on val }
evaluate high { robust = robust accuracy under all_six on val }
evaluate onto { clean = clean accuracy on val }
plot "Shares" = line(y=sat.robust, x=$share, series=$order)
table "Others" = rows(high.robust, onto.clean)
plot "Classes" = bars(y=ref.entropy, x=class)
expect "a claim": mean(sat.robust[order=hardest]) > mean(sat.robust[order=random])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a specification has had its smoke run, without any data set."""
    folder = tmp_path_factory.mktemp("smoke")
    (folder / "empty").mkdir()
    (folder / "spec.sat").write_text(RUN, "utf-8")
    result = satdsl(folder, "run", "--data", str(folder / "empty"), "--device", "cpu")
    (folder / "printed.txt").write_text(result.output, "utf-8")
    assert result.exit_code == 0, result.output
    return folder


def satdsl(folder: Path, command: str, *args: str) -> Result:
    spec, store = str(folder / "spec.sat"), str(folder / "store")
    result = CliRunner().invoke(app, [command, spec, "--smoke", "--store", store, *args], env={"COLUMNS": "400"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_smoke_run_needs_no_data_set_and_says_first_what_it_cut(place: Path) -> None:
    printed = (place / "printed.txt").read_text("utf-8")
    assert "smoke run: epochs: 2 instead of 30" in printed
    assert "smoke run: axis share: 10%, 90% of 9 values" in printed
    assert "numbers mean nothing" in printed
    assert list((place / "empty").iterdir()) == []


def test_a_smoke_run_is_kept_apart_and_marked(place: Path) -> None:
    assert {entry.name for entry in (place / "store").iterdir()} == {"smoke"}
    page = (place / "store/smoke/reports/spec/report.html").read_text("utf-8")
    assert "Smoke run: Two data sets" in page


def test_no_claim_gets_a_verdict_from_a_smoke_run(place: Path) -> None:
    document = json.loads(satdsl(place, "results", "--format", "json").stdout)
    (claim,) = document["claims"]
    assert claim["verdict"] == "smoke"
    assert "holds" not in satdsl(place, "results").output


def test_each_of_autoattacks_attacks_has_something_to_attack(place: Path) -> None:
    """What is right without attack and stands to the end went through all of them."""
    plan = compile_file(place / "spec.sat", smoke=True).plan
    attacked = [key for key, step in plan.steps.items() if isinstance(step.settings, Evaluate) and step.settings.attack]
    artifacts = place / "store/smoke/artifacts"
    broken_by = [read_table(artifacts / key[:2] / key, ROWS)["broken_by"] for key in attacked]
    assert len(broken_by) == 5
    assert all((rows == -1).any() for rows in broken_by)


def test_a_finished_smoke_run_has_nothing_left_to_run(place: Path) -> None:
    assert "to run: 0 of" in satdsl(place, "explain").output
    assert "epoch" in satdsl(place, "curves").output


def test_smoke_goes_together_with_set_and_only(place: Path) -> None:
    shown = satdsl(place, "explain", "--set", "share=50%", "--only", "high", "--format", "json").stdout
    document = json.loads(shown)
    assert document["smoke"]
    assert {result["result"] for result in document["results"]} == {"high.robust"}
    assert next(axis["values"] for axis in document["axes"] if axis["name"] == "share") == ["50%"]


def test_a_smoke_run_cannot_be_strict(place: Path) -> None:
    result = satdsl(place, "run", "--strict")
    assert result.exit_code == 2
    assert "a smoke run says nothing" in result.output


def test_weights_from_a_file_are_used_and_their_network_stays_as_it_is(tmp_path: Path) -> None:
    network = build(CatalogCall("small_cnn", (("width", 32),)), (3, 32, 32), 10, (0.5,) * 3, (0.2,) * 3)
    torch.save(network.body.state_dict(), tmp_path / "w.pt")
    text = HEAD + (
        'model loaded = checkpoint("w.pt", arch=small_cnn(width=32))\nrecipe none_at_all = sgd(epochs=0)\n'
        "train t = loaded on c using none_at_all\nevaluate t { a = clean accuracy on val }\n"
    )
    (tmp_path / "spec.sat").write_text(text, "utf-8")
    assert satdsl(tmp_path, "run", "--data", str(tmp_path), "--device", "cpu").exit_code == 0
    _, small = plans(text, str(tmp_path / "spec.sat"))
    (training,) = (step.settings for step in small.steps.values() if isinstance(step.settings, Train))
    assert training.pretrained is not None
    assert training.model["width"] == 32


def test_a_smoke_run_that_was_stopped_continues(tmp_path: Path) -> None:
    (tmp_path / "spec.sat").write_text(RUN, "utf-8")
    first = satdsl(tmp_path, "run", "--only", "ref", "--data", str(tmp_path), "--device", "cpu")
    assert first.exit_code == 0
    reasons = {
        step["label"]: step["reason"]
        for step in json.loads(satdsl(tmp_path, "explain", "--format", "json").stdout)["steps"]
    }
    assert reasons["train ref"] == "stored"
    assert reasons["train high"] == "new"
