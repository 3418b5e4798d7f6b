"""Difficulty scores against other computations of the same formulas, and rankings from files of every kind."""

from __future__ import annotations

import copy
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax as scipy_softmax
from scipy.stats import entropy as scipy_entropy
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.artifacts import schemas
from satdsl.backend import snapshot_scores, train, weights
from satdsl.backend.artifact_files import sha256, write_table
from satdsl.backend.datasets import load
from satdsl.backend.images import Images, unit_scale
from satdsl.backend.models import build
from satdsl.backend.rankings import ranking_scores
from satdsl.backend.scores import grand, vog
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.ir.steps import Pick, Ranking, Rest, Score, Split
from satdsl.ir.work import Progress, StepError

from .workshop import HOLDOUT, Workshop, arrays, call, columns_of, document, training

ASKED = ("snapshot-grand", "vog")
EPOCHS = 5


def few(n: int, shape: tuple[int, int, int] = (1, 2, 2), classes: int = 10) -> Images:
    """Random images, class after class."""
    generator = torch.Generator().manual_seed(n)
    pixels = torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(n) % classes, torch.arange(n))


def by_autograd(network: nn.Module, images: Images) -> np.ndarray:
    """GraNd by the book, in double precision: for each image the cross-entropy's gradient by all weights."""
    network = copy.deepcopy(network).double().eval()
    found = []
    for pixels, label in zip(images.pixels, images.labels, strict=True):
        network.zero_grad()
        F.cross_entropy(network(unit_scale(pixels[None]).double()), label[None]).backward()
        squares = [float(p.grad.square().sum()) for p in network.parameters() if p.grad is not None]
        found.append(np.sqrt(sum(squares)))
    return np.array(found)


# --- GraNd -------------------------------------------------------------------------------------------


class Odd(nn.Module):
    """Weights that no layer of a known kind holds."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.full((3, 1, 1), 0.1))
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.fc = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x + self.offset)
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class Mixed(nn.Module):
    """Every kind of layer that is known: strided, dilated and grouped convolutions, norms, a linear layer on tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2)),
            nn.GroupNorm(2, 8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 12, 3, padding=2, dilation=2, groups=4, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(inplace=True),
        )
        self.tokens = nn.Sequential(nn.Linear(12, 10), nn.LayerNorm(10), nn.GELU(), nn.Linear(10, 6, bias=False))
        self.norm = nn.BatchNorm1d(6)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.tokens(self.conv(x).flatten(2).mT)
        return self.fc(self.norm(tokens.mean(1)))  # type: ignore[no-any-return]


class Tied(nn.Module):
    """Two layers that share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 12), nn.Linear(12, 12)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.relu(self.first(x.flatten(1))))[:, :4]  # type: ignore[no-any-return]


class Twice(Odd):
    """Uses a convolution twice."""

    def __init__(self) -> None:
        super().__init__()
        self.offset.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.relu(self.conv(x)))


class Wrapped(Twice):
    """Has a convolution whose padding wraps around."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")

    def forward(self, x: Tensor) -> Tensor:
        return Odd.forward(self, x)


class Deciding(Odd):
    """Takes another way where the image says so, which `torch.func` cannot follow."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if bool(x.mean() > 0.5) else 1 - x)


def prepared(network: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """With statistics of some batches, and weights that are not at their start."""
    generator = torch.Generator().manual_seed(1)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand((16, *shape), generator=generator))
        for weight in network.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return network


ARCHITECTURES = [
    (call("small_cnn", width=4), (1, 8, 8)),
    (call("preact_resnet18", width=4, layout="sat"), (3, 16, 16)),
    (call("wide_resnet", depth=10, width=1), (3, 16, 16)),
    (call("resnet18", stem="cifar"), (3, 8, 8)),
    (call("resnet50", stem="imagenet"), (3, 32, 32)),
]


@pytest.mark.parametrize(("model", "shape"), ARCHITECTURES, ids=[model.name for model, _ in ARCHITECTURES])
def test_grand_is_the_gradient_of_each_image_alone_for_every_architecture(
    model: Any, shape: tuple[int, int, int]
) -> None:
    with weights.initial_weights(0):
        network = build(model, shape, 4, (0.5,) * shape[0], (0.3,) * shape[0])
    network = prepared(network, shape).to(memory_format=torch.channels_last)
    images = few(4, shape, classes=4)
    expected = by_autograd(network, images)
    assert np.allclose(grand.grand(network, images, "cpu"), expected, rtol=2e-3)
    network.eval()
    x = unit_scale(images.pixels)
    assert grand.way_for(network, x[:3], images.labels[:3]) is grand.by_layers
    exact = grand.by_layers(copy.deepcopy(network).double(), x.double(), images.labels)
    assert np.allclose(exact, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("network", "way"),
    [
        (Mixed, grand.by_layers),
        (Odd, grand.by_examples),
        (Tied, grand.by_examples),
        (Twice, grand.by_examples),
        (Wrapped, grand.by_examples),
        (Deciding, grand.by_loop),
    ],
)
def test_grand_takes_any_network_by_the_fastest_way_that_is_right(network: type[nn.Module], way: grand.Way) -> None:
    with weights.initial_weights(0):
        built = prepared(network(), (3, 2, 2) if network is Tied else (3, 8, 8))
    images = few(9, (3, 2, 2) if network is Tied else (3, 8, 8), classes=4)
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    trained = [p.requires_grad for p in built.parameters()]
    assert np.allclose(grand.grand(built, images, "cpu"), by_autograd(built, images), rtol=1e-4)
    assert all(torch.equal(before[name], tensor) for name, tensor in built.state_dict().items())
    assert all(module.training for module in built.modules())
    assert all(p.grad is None for p in built.parameters())
    assert [p.requires_grad for p in built.parameters()] == trained
    built.eval()
    x = unit_scale(images.pixels)
    assert grand.way_for(built, x[:3], images.labels[:3]) is way
    if way is not grand.by_layers:
        with pytest.raises(grand.UnknownLayerError):
            grand.by_layers(built, x, images.labels)
    assert np.allclose(grand.by_loop(built, x, images.labels), by_autograd(built, images))


def test_a_layer_that_misleads_the_fast_way_is_found_out() -> None:
    class Aside(nn.Sequential):
        """Uses a layer's weights behind the layer's back."""

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + F.linear(x.flatten(1), self[1].weight)  # type: ignore[arg-type]

    with weights.initial_weights(0):
        network = Aside(nn.Flatten(), nn.Linear(12, 4)).eval()
    images = few(3, (3, 2, 2), classes=4)
    x = unit_scale(images.pixels)
    assert not np.allclose(grand.by_layers(network, x, images.labels), by_autograd(network, images), rtol=1e-2)
    assert grand.way_for(network, x, images.labels) is grand.by_examples


def test_grand_keeps_its_digits_where_the_network_is_sure() -> None:
    """With logits 25 apart, 1 - p_y is 1e-11: far below what single precision can tell from zero."""
    with weights.initial_weights(0):
        network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    with torch.no_grad():
        network[1].bias.copy_(torch.tensor([25.0, 0, 0, 0]))  # type: ignore[union-attr]
    images = few(8, (3, 2, 2), classes=1)
    found = grand.grand(network, images, "cpu").numpy()
    assert 0 < found.max() < 1e-9
    assert np.allclose(found, by_autograd(network, images), rtol=1e-5, atol=0)


@pytest.mark.parametrize("apart", [400.0, 600.0, 2000.0])
def test_grand_is_a_number_where_not_even_double_precision_holds_its_square(apart: float) -> None:
    """1 - p_y is 3 exp(-apart), 6e-174 for 400 and nothing for 2000."""
    logits, labels = torch.tensor([[apart, 0.0, 0.0, 0.0]]), torch.tensor([0])
    direction, length = grand.residual(logits, labels)
    expected = np.exp(-apart) * np.sqrt(12)
    assert length.item() == pytest.approx(expected, rel=1e-9, abs=0)
    assert direction.norm().item() == pytest.approx(1 if expected else 0)


def test_grand_is_taken_of_an_average_of_weights_which_wants_no_gradient() -> None:
    network, images = prepared(Odd(), (3, 4, 4)), few(5, (3, 4, 4), 4)
    expected = by_autograd(network, images)
    found = grand.grand(network.requires_grad_(False), images, "cpu")
    assert np.allclose(found, expected, rtol=1e-3)
    assert not any(weight.requires_grad for weight in network.parameters())


def test_grand_does_not_depend_on_how_many_images_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    with weights.initial_weights(0):
        network = prepared(Mixed(), (3, 8, 8))
    images = few(13, (3, 8, 8), classes=4)
    whole = grand.grand(network, images, "cpu")
    told: list[int] = []
    monkeypatch.setattr("satdsl.backend.inference.GRADIENT_MEMORY", 200_000)
    monkeypatch.setattr(grand, "COLUMNS", 4_000)
    parts = grand.grand(network, images, "cpu", told.append)
    assert len(told) >= 3
    assert told[-1] == 13
    assert torch.allclose(parts, whole, rtol=1e-5)


# --- over snapshots ----------------------------------------------------------------------------------


def test_snapshot_entropy_is_the_mean_over_snapshots_of_scipys_entropy(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn((3, 50, 10), generator=generator)
    scores = snapshot_scores.SnapshotScores(few(50), "cpu", (), tmp_path)
    for snapshot in logits:
        scores.add_logits(nn.Identity(), few(50), "cpu", snapshot)
    expected = np.mean([scipy_entropy(one.double().softmax(1).numpy(), axis=1) for one in logits], axis=0)
    assert np.allclose(scores.scores()["snapshot-entropy"], expected, rtol=1e-12)


def test_an_image_that_was_never_right_is_forgotten_most_often(tmp_path: Path) -> None:
    """Right (1) and wrong (0) over four snapshots, and how often each was forgotten."""
    histories = {(0, 0, 0, 0): 4, (1, 0, 1, 0): 2, (0, 1, 1, 0): 1, (0, 0, 0, 1): 0, (1, 1, 1, 1): 0}
    images = few(len(histories), classes=1)
    scores = snapshot_scores.SnapshotScores(images, "cpu", (), tmp_path)
    for right in torch.tensor(list(histories)).T:
        scores.add_logits(nn.Identity(), images, "cpu", torch.stack([right, 1 - right], 1))
    assert scores.scores()["forgetting"].tolist() == list(histories.values())


def test_an_unknown_score_is_not_recorded(workshop: Workshop, few_digits: Path) -> None:
    with pytest.raises(StepError, match="cannot record snapshot-depth"):
        workshop.do(training(2, snapshots=(1, 2), scores=("snapshot-depth",)), data=few_digits)


@pytest.fixture(scope="module")
def recorded(workshop: Workshop, few_digits: Path) -> Path:
    """A training that records every score, and keeps the weights that each snapshot was taken of."""
    every = tuple(range(1, EPOCHS + 1))
    return workshop.do(training(EPOCHS, snapshots=every, keep_weights=every, scores=ASKED), data=few_digits)


@pytest.fixture(scope="module")
def kept(recorded: Path) -> list[nn.Module]:
    """The networks of all snapshots, in double precision."""
    networks = []
    for epoch in range(1, EPOCHS + 1):
        network = weights.load(recorded)
        network.load_state_dict(weights.load_weights(recorded / f"weights-epoch-{epoch}.safetensors"))
        networks.append(network.double().eval())
    return networks


def pixel_gradients(network: nn.Module, images: Images) -> np.ndarray:
    """d z_y / dx of each image for itself, [n, pixels]."""
    found = []
    for pixels, label in zip(images.pixels, images.labels, strict=True):
        x = unit_scale(pixels[None]).double().requires_grad_()
        network(x)[0, label].backward()
        assert x.grad is not None
        found.append(x.grad.numpy().ravel().copy())
    return np.array(found)


def test_every_recorded_score_is_what_the_kept_weights_say(recorded: Path, kept: list[nn.Module]) -> None:
    images = load(call("digits", limit=200, limit_val=60), Path("nowhere")).train
    x, y = unit_scale(images.pixels).double(), images.labels.numpy()
    with torch.no_grad():
        z = np.stack([network(x).numpy() for network in kept])  # [snapshots, images, classes]
    p, rows = scipy_softmax(z, axis=2), np.arange(len(y))
    right = z.argmax(2) == y

    def others(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[:, rows, y] = -np.inf
        highest: np.ndarray = values.max(2)
        return highest

    expected = {
        "snapshot-entropy": scipy_entropy(p, axis=2).mean(0),
        "snapshot-loss": -np.log(p[:, rows, y]).mean(0),
        "snapshot-margin": (others(p) - p[:, rows, y]).mean(0),
        "snapshot-confidence": (1 - p[:, rows, y]).mean(0),
        "snapshot-el2n": np.linalg.norm(p - np.eye(10)[y], axis=2).mean(0),
        "snapshot-grand": np.mean([by_autograd(network, images) for network in kept], axis=0),
        "forgetting": np.where(right.any(0), (right[:-1] & ~right[1:]).sum(0), EPOCHS),
        "aum": (others(z) - z[:, rows, y]).mean(0),
        "vog": np.std([pixel_gradients(network, images) for network in kept], axis=0).mean(1),
    }
    found = columns_of(recorded, "scores")
    assert np.array_equal(found.pop("index"), images.index.numpy())
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == np.float64
        assert values.std() > 0, name
        assert np.allclose(found[name], values, rtol=2e-4, atol=1e-6), name


@pytest.mark.parametrize("score", ["entropy", "loss", "margin", "confidence", "el2n", "grand"])
def test_a_score_of_finished_weights_is_that_of_the_last_snapshot(
    workshop: Workshop, few_digits: Path, recorded: Path, kept: list[nn.Module], score: str
) -> None:
    """The snapshot's twin over one snapshot, which the test above compares, and the `score` step."""
    images = load(call("digits", limit=200, limit_val=60), Path("nowhere")).train
    told: list[Progress] = []
    out = workshop.do(Score(score, HOLDOUT), report=told.append, data=few_digits, weights=recorded)
    found = columns_of(out, "scores")
    assert np.array_equal(found["index"], images.index.numpy())
    with torch.no_grad():
        p = scipy_softmax(kept[-1](unit_scale(images.pixels).double()).numpy(), axis=1)
    y = images.labels.numpy()
    of_right = p[np.arange(200), y]
    expected = {
        "entropy": lambda: scipy_entropy(p, axis=1),
        "loss": lambda: -np.log(of_right),
        "margin": lambda: np.where(np.eye(10)[y] == 1, -1, p).max(1) - of_right,
        "confidence": lambda: 1 - of_right,
        "el2n": lambda: np.sqrt(((p - np.eye(10)[y]) ** 2).sum(1)),
        "grand": lambda: by_autograd(kept[-1], images),
    }[score]()
    assert np.allclose(found[score], expected, rtol=2e-4, atol=1e-6)
    assert told[-1].done == told[-1].total


@pytest.mark.parametrize("score", ["aum", "forgetting", "vog", "snapshot-entropy"])
def test_a_score_over_snapshots_cannot_be_taken_from_finished_weights(
    workshop: Workshop, few_digits: Path, recorded: Path, score: str
) -> None:
    with pytest.raises(StepError, match=f"{score} cannot be taken") as refused:
        workshop.do(Score(score, HOLDOUT), data=few_digits, weights=recorded)
    assert "keeps snapshots" in refused.value.help


def test_scores_that_take_a_gradient_change_nothing_else(workshop: Workshop, few_digits: Path, recorded: Path) -> None:
    every = tuple(range(1, EPOCHS + 1))
    without = workshop.do(training(EPOCHS, snapshots=every), data=few_digits)
    scores, fewer = columns_of(recorded, "scores"), columns_of(without, "scores")
    assert set(scores) - set(fewer) == set(ASKED)
    assert all(np.array_equal(scores[name], fewer[name]) for name in fewer)
    assert (without / "weights.safetensors").read_bytes() == (recorded / "weights.safetensors").read_bytes()


# --- VoG's statistics ----------------------------------------------------------------------------------


class KilledError(Exception):
    pass


def killed_at(place: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the training be killed at the `count`-th time that VoG's statistics come to this place."""
    times = 0
    original = getattr(vog, place)

    def stop(*args: Any) -> Any:
        nonlocal times
        times += 1
        if times == count:
            raise KilledError
        return original(*args)

    monkeypatch.setattr(vog, place, stop)


@pytest.mark.parametrize("saved", ["every epoch", "once", "never"])
@pytest.mark.parametrize("chunk", [7, 13, 18])
def test_a_training_killed_while_vog_adds_up_continues_with_the_same_bits(
    workshop: Workshop,
    few_digits: Path,
    recorded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    saved: str,
    chunk: int,
) -> None:
    """Each snapshot has four chunks of 50 images; the state is saved after every epoch, or after the first alone."""
    monkeypatch.setattr(vog, "CHUNK", 50 * 64)
    states = iter([True] if saved == "once" else [])
    due = property(lambda self: saved == "every epoch" or next(states, False))
    monkeypatch.setattr(TrainingCheckpoint, "due", due)
    every = tuple(range(1, EPOCHS + 1))
    settings = training(EPOCHS, snapshots=every, keep_weights=every, scores=ASKED)
    with monkeypatch.context() as patch:
        killed_at("right_logit_gradients", chunk, patch)
        with pytest.raises(KilledError):
            workshop.do(settings, scratch=tmp_path, data=few_digits)
    began: list[float] = []
    out = workshop.do(settings, scratch=tmp_path, report=lambda p: began.append(p.done), data=few_digits)
    assert (min(began) > 1) == (saved != "never"), "it began anew, or it did not"
    assert (out / "scores.parquet").read_bytes() == (recorded / "scores.parquet").read_bytes()
    assert sum(file.stat().st_size for file in tmp_path.glob("vog-*")) <= 2 * 200 * 64 * 8


def test_a_saved_state_whose_statistics_are_gone_is_refused(
    workshop: Workshop, few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    settings = training(3, snapshots=(1, 2, 3), scores=("vog",))
    with monkeypatch.context() as patch:
        killed_at("right_logit_gradients", 2, patch)
        with pytest.raises(KilledError):
            workshop.do(settings, scratch=tmp_path, data=few_digits)
    for file in tmp_path.glob("vog-*"):
        file.unlink()
    with pytest.raises(StepError, match="gone or damaged") as refused:
        workshop.do(settings, scratch=tmp_path, data=few_digits)
    assert str(tmp_path) in refused.value.help


def test_statistics_that_no_disk_holds_are_refused_before_the_training(
    workshop: Workshop, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(".")._replace(free=2 * 200 * 64 * 8 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    monkeypatch.setattr(train, "train_epoch", None)
    with pytest.raises(StepError, match="vog finds no room") as refused:
        workshop.do(training(3, snapshots=(1, 2, 3), scores=("vog",)), data=few_digits)
    assert "limit=" in refused.value.help
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free._replace(free=2 * 200 * 64 * 8))
    with pytest.raises(TypeError):  # there is room, and the training begins
        workshop.do(training(3, snapshots=(1, 2, 3), scores=("vog",)), data=few_digits)


def test_a_disk_that_fills_up_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = few(20, classes=4)
    statistics = vog.GradientVariance(images, tmp_path)
    statistics.add(nn.Sequential(nn.Flatten(), nn.Linear(4, 4)), images, "cpu")

    def full(*args: Any) -> Tensor:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vog, "right_logit_gradients", full)
    with pytest.raises(StepError, match="No space left") as refused:
        statistics.add(nn.Identity(), images, "cpu")
    assert "another disk" in refused.value.help


def test_a_thousand_nearly_equal_gradients_keep_their_small_variance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Welford's way in single precision: the naive sum of squares would lose all digits of it."""
    generator = np.random.default_rng(0)
    images = few(4, classes=4)
    statistics = vog.GradientVariance(images, tmp_path)
    gradients = (100 + 0.01 * generator.standard_normal((1000, 4, 1, 2, 2))).astype(np.float32)
    for one in gradients:
        monkeypatch.setattr(vog, "right_logit_gradients", lambda *args, g=one: torch.from_numpy(g))
        statistics.add(nn.Identity(), images, "cpu")
    expected = gradients.astype(np.float64).std(0).mean((1, 2, 3))
    assert np.allclose(statistics.values(), expected, rtol=2e-2)


# --- rankings from files -------------------------------------------------------------------------------

N = 10
SCORES = np.linspace(0, 1, N)


def written(path: Path, content: Any) -> Path:
    """`content` as a file of the kind that the name says; text and bytes as they are."""
    if isinstance(content, str | bytes):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    elif path.suffix == ".npy":
        np.save(path, content, allow_pickle=True)
    else:
        torch.save(content, path)
    return path


def ranked(path: Path, index: np.ndarray | None = None) -> np.ndarray:
    """The scores of all ten images, or of those that a limit or a hold-out leaves."""
    ranking = Ranking(digest=sha256(path), path=str(path))
    return ranking_scores(ranking, np.arange(N) if index is None else index, index is None, {})


def column(values: Any = SCORES) -> str:
    return "".join(f"{value}\n" for value in values)


def pairs(form: str = "{},{}\n", order: int = 1) -> str:
    return "".join(form.format(i, score) for i, score in list(enumerate(SCORES))[::order])


RANKINGS = {
    "plain.npy": SCORES,
    "column.npy": SCORES[:, None],
    "big-endian.npy": SCORES.astype(">f8"),
    "pairs.npy": np.stack([np.arange(N), SCORES], 1)[::-1],
    "plain.pt": torch.tensor(SCORES),
    "trained.pt": nn.Parameter(torch.tensor(SCORES)),
    "sparse.pt": torch.tensor(SCORES).to_sparse(),
    "list.pt": SCORES.tolist(),
    "pairs.pt": [(i, score) for i, score in enumerate(SCORES.tolist())],
    "by index.pt": dict(enumerate(SCORES.tolist())),
    "array.pth": SCORES,
    "numpy numbers.pt": list(SCORES),
    "under a name.pt": {"scores": torch.tensor(SCORES)},
    "plain.txt": column(),
    "comments.txt": "# of the reference\n" + column(),
    "pairs.txt": pairs("{} {}\n", -1),
    "headed.csv": "score\n" + column(),
    "pandas.csv": ",score\n" + pairs(),
    "windows.csv": "\ufeffindex,score\r\n" + pairs("{},{}\r\n"),
    "swapped.csv": "score,index\n" + "".join(f"{s},{i}\n" for i, s in enumerate(SCORES)),
    "quoted.csv": '"index","score"\n' + pairs('"{}","{}"\n'),
}


@pytest.mark.parametrize("name", RANKINGS)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_a_ranking_is_read_from_every_kind_of_file(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, RANKINGS[name])
    assert ranked(path).dtype == np.float64
    assert np.array_equal(ranked(path), SCORES)
    assert np.array_equal(ranked(path, np.array([2, 7])), SCORES[[2, 7]])


def test_a_ranking_may_be_infinite_or_coarse(tmp_path: Path) -> None:
    never = np.where(np.arange(N) == 3, np.inf, SCORES)
    assert np.array_equal(ranked(written(tmp_path / "a.npy", never)), never)
    assert np.allclose(ranked(written(tmp_path / "a.pt", torch.tensor(SCORES).bfloat16())), SCORES, atol=1e-2)
    of_many = written(tmp_path / "b.npy", np.arange(10**4) / 7)
    assert np.array_equal(ranked(of_many, np.array([5, 9_999])), np.array([5, 9_999]) / 7)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("harm"),)


REFUSED = {
    "long.npy": (np.arange(12.0) / 2, "has 12 numbers, but there are 10 training images"),
    "short.npy": (np.arange(8.0) / 2, "no number for 2 of 10 training images, the first of dataset index 8"),
    "none.npy": (np.array([]), "no number for 10 of 10"),
    "nan.npy": (np.where(np.arange(N) == 3, np.nan, SCORES), r"NaN for 1 of 10 training images, the first of .* 3; "),
    "scalar.npy": (np.array(3.0), r"shape \(\), not"),
    "row.npy": (SCORES[None], r"shape \(1, 10\), not \[n\] or \[n, 2\]"),
    "three.npy": (np.ones((N, 3)), r"shape \(10, 3\), not"),
    "cube.npy": (np.ones((N, 2, 1)), r"shape \(10, 2, 1\), not"),
    "twice.npy": (np.stack([np.arange(N) // 2, SCORES], 1), "lists dataset index 0 twice"),
    "unknown.npy": (np.stack([np.arange(N) + 3, SCORES], 1), "scores dataset index 10, but there are 10"),
    "huge.npy": (np.stack([np.arange(N) * 1e17, SCORES], 1), "scores dataset index 100000000000000000, but"),
    "between.npy": (np.stack([np.arange(N) + 0.5, SCORES], 1), "lists 0.5, which is no dataset index"),
    "negative.npy": (np.stack([-np.arange(N), SCORES], 1), "lists -1, which is no dataset index"),
    "nowhere.npy": (np.stack([np.full(N, np.nan), SCORES], 1), "lists nan, which is no dataset index"),
    "objects.npy": (np.array([None] * N), "holds Python objects"),
    "texts.npy": (np.array(["a"] * N), "holds <U1, not numbers"),
    "bools.npy": (SCORES > 0.5, "holds bool, not numbers"),
    "complex.npy": (SCORES + 1j, "holds complex128, not numbers"),
    "fields.npy": (np.zeros(N, dtype=[("i", int), ("s", float)]), "not numbers"),
    "pickle.npy": (pickle.dumps([1, 2]), "holds Python objects, or is no .npy file"),
    "empty.npy": (b"", "no .npy file, or a damaged one"),
    "harmful.pt": (Harmful(), "could run code"),
    "objects.pt": (np.array([None] * N), "more than tensors, arrays and plain values"),
    "named.pt": ({"scores": torch.ones(N), "loss": torch.ones(N)}, "a dictionary of scores, loss; save one tensor"),
    "ragged.pt": ([[1.0], [1.0, 2.0]], "lists of different lengths"),
    "nothing.pt": (None, "not numbers"),
    "text.pt": ("scores", "no file of torch.save"),
    "empty.pt": (b"", "no file of torch.save"),
    "meta.pt": (torch.ones(N, device="meta"), "no plain array of numbers"),
    "empty.txt": ("", "no number for 10 of 10"),
    "word.txt": (column([*SCORES[:4], "cat"]), "line 5: `cat` is no number"),
    "grouped.txt": ("1\n1_000\n", "line 2: `1_000` is no number"),
    "binary.txt": (bytes(range(256)), "not text in UTF-8"),
    "semicolons.csv": (pairs("{};{}\n"), "line 2: `1;0.1111111111111111` is no number"),
    "hole.csv": (pairs().replace("5,0.5555555555555556\n", ""), "no number for 1 of 10 .* of dataset index 5"),
    "gap.csv": ("index,score\n0,0.5\n1,\n2,0.3\n", "line 3: columns number 1 here, 2 in line 2"),
    "labels.csv": ("index,label,score\n" + pairs("{},3,{}\n"), r"shape \(10, 3\), not"),
    "swapped.csv": ("score,of\n" + "".join(f"{s},{i}\n" for i, s in enumerate(SCORES)), "no dataset index"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_ranking_is_refused_with_its_name_its_place_and_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    content, words = REFUSED[name]
    path = written(tmp_path / name, content)
    with pytest.raises(StepError, match=words) as refused:
        ranked(path)
    assert str(path) in refused.value.reason
    assert "\n" not in refused.value.reason
    assert len(refused.value.help) > 10
    assert not Path("harm").exists()


def test_scores_of_images_that_a_limit_took_away_are_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path / "pairs.csv", pairs())
    assert np.array_equal(ranked(path, np.array([3])), SCORES[[3]])
    with pytest.raises(StepError, match="no number for 1 of 2 training images, the first of dataset index 12"):
        ranked(path, np.array([3, 12]))


def test_a_folder_under_a_files_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npy").mkdir()
    with pytest.raises(StepError, match="cannot be read: Is a directory"):
        ranking_scores(Ranking(digest="0" * 64, path=str(tmp_path / "a.npy")), np.arange(N), True, {})


def test_a_network_whose_scores_are_nan_ranks_nothing(tmp_path: Path) -> None:
    write_table(tmp_path, schemas.SCORES, {"index": np.arange(N), "loss": np.where(SCORES > 0.7, np.nan, SCORES)})
    with pytest.raises(StepError, match="loss is NaN for 3 of 10"):
        ranking_scores(Ranking("loss", "ranking0"), np.arange(N), True, {"ranking0": tmp_path})


@pytest.mark.parametrize("score", ["vog", "snapshot-grand"])
def test_the_hardest_classes_have_the_highest_means(
    workshop: Workshop, few_digits: Path, recorded: Path, score: str
) -> None:
    pick = Pick("hardest", 4, "classes", ranking=Ranking(score, "ranking0"))
    out = workshop.do(Split((pick, Rest()), HOLDOUT), data=few_digits, ranking0=recorded)
    labels, scores = arrays(few_digits / "labels.npz")["train"], columns_of(recorded, "scores")[score]
    means = [scores[labels == k].mean() for k in range(10)]
    assert document(out / "facts.json")["classes"][0] == sorted(np.argsort(means)[-4:].tolist())
