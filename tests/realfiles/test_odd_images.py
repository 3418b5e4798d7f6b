"""Images of unusual size and number under every published attack: measured, or refused before anything is trained."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from satdsl.backend.attacks import attack_of
from satdsl.backend.attacks.autoattack import published
from satdsl.backend.models import build
from satdsl.backend.randomness import global_state_preserved
from satdsl.catalog import catalog
from satdsl.catalog.attacks.autoattack import PARTS, square_cannot_attack, undefined_for
from satdsl.catalog.models import ModelEntry
from satdsl.ir.steps import CatalogCall
from tests.command_line import go_somewhere_empty, satdsl

EPS = {"Linf": 0.1, "L2": 0.5, "L1": 2.0}

SHAPES = [(1, 1, 1), (3, 4, 4), (1, 5, 5), (3, 8, 12), (3, 12, 8), (3, 14, 14), (1, 28, 20), (3, 5, 40), (2, 3, 32)]

LITTLE = CatalogCall("effort", (("iterations", 6), ("queries", 12), ("targets", 2), ("restarts", 1), ("samples", 1)))
"""So many iterations that APGD halves its step and FAB projects several times."""


@pytest.fixture(autouse=True)
def somewhere_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_somewhere_empty(tmp_path, monkeypatch, columns=400)


def spec(shape: str, attack: str, recipe: str = "epochs=1, batch=16", data: str = "train=40, val=12") -> str:
    Path("spec.sat").write_text(
        f"""sat 1
title "Odd images"
dataset d = synthetic(classes=4, shape=[{shape}], {data})
model m = small_cnn(width=2)
attack a = {attack}
recipe r = sgd({recipe})
train t = m on d using r
evaluate t {{ robust = robust accuracy under a on val }}
table "All" = rows(t.robust)
""",
        "utf-8",
    )
    return "spec.sat"


class Small(nn.Module):
    """A network for images of every size."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(3 * height * width, classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


def network(shape: tuple[int, int, int], classes: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Small(shape, classes).eval().requires_grad_(False)


def some_images(n: int, shape: tuple[int, int, int], classes: int) -> tuple[nn.Module, Tensor, Tensor]:
    small, images = network(shape, classes), torch.rand((n, *shape), generator=torch.Generator().manual_seed(0))
    return small, images, small(images).argmax(1)


def inside(adversarial: Tensor, images: Tensor, norm: str) -> bool:
    """Return whether adversarial images are real images in the ball."""
    moved = (adversarial - images).flatten(1)
    lengths = torch.linalg.vector_norm(moved, {"Linf": torch.inf, "L2": 2, "L1": 1}[norm], dim=1)
    return bool(
        (lengths <= EPS[norm] * 1.0001).all() and (adversarial >= -1e-6).all() and (adversarial <= 1 + 1e-6).all()
    )


def parts_of_autoattack(norm: str) -> Iterator[CatalogCall]:
    for part in PARTS:
        named = ("norm", norm), ("eps", EPS[norm]), ("version", "custom"), ("attacks", (part,))
        yield CatalogCall("autoattack", (*named, ("at_most", LITTLE)))


@pytest.mark.parametrize("norm", EPS)
def test_every_part_of_autoattack_stays_in_the_ball_or_is_refused_for_the_size(norm: str) -> None:
    logging.getLogger("auto-attack").setLevel(logging.CRITICAL)
    for shape, (classes, n) in itertools.product(SHAPES, ((2, 1), (4, 2))):
        for call in parts_of_autoattack(norm):
            if undefined_for(call, classes):
                continue
            small, images, labels = some_images(n, shape, classes)
            with global_state_preserved():
                driver = published(small, call, classes, "cpu")
                driver.attacks_to_run = list(call["attacks"])
                if square_cannot_attack(call, *shape[1:]):
                    with pytest.raises((RuntimeError, ZeroDivisionError)):
                        driver.run_standard_evaluation(images, labels, batch_size=n)
                    continue
                adversarial, _ = driver.run_standard_evaluation(images, labels, batch_size=n)
            assert inside(adversarial, images, norm), (shape, classes, n, call["attacks"])


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("start", ["none", "sphere", "ball", "radial"])
def test_our_own_attacks_stay_in_the_ball_on_images_of_every_size(norm: str, start: str) -> None:
    steps = ("norm", norm), ("eps", EPS[norm]), ("step_size", EPS[norm] / 2), ("random_start", start)
    for shape, n, target in itertools.product(SHAPES, (1, 3), ("none", "next", "random", "least_likely")):
        for call in (
            catalog().call("pgd", *steps, ("steps", 3), ("restarts", 2), ("target", target)),
            catalog().call("fgsm", *steps, ("target", target)),
        ):
            small, images, labels = some_images(n, shape, 2)
            adversarial = attack_of(call)(small, images, labels, torch.Generator().manual_seed(1))
            assert inside(adversarial, images, norm), (shape, n, call)


def test_square_attacks_exactly_the_square_sizes_on_which_its_grid_fits() -> None:
    call = CatalogCall("autoattack", (("norm", "L2"), ("eps", 0.5), ("version", "standard"), ("attacks", ())))
    refused = [side for side in range(1, 256) if square_cannot_attack(call, side, side)]
    assert refused == [1, 2, 3, 4, 12, 14, 18, 19, 24]


@pytest.mark.parametrize("shape", ["3, 28, 20", "1, 4, 4", "3, 14, 14"])
@pytest.mark.parametrize("norm", ["L2", "L1"])
def test_check_refuses_autoattack_where_square_would_fail_after_the_training(shape: str, norm: str) -> None:
    found = satdsl("check", spec(shape, f"autoattack(norm={norm}, eps=0.5)")).output
    assert "error E611" in found
    assert "attacks=[apgd-ce, apgd-t, fab-t]" in found


def test_the_way_out_that_check_names_runs() -> None:
    attack = "autoattack(norm=L2, eps=0.1, version=custom, attacks=[apgd-ce, apgd-t, fab-t])"
    assert satdsl("check", spec("1, 10, 14", attack)).exit_code == 0
    assert satdsl("run", "--smoke", spec("1, 6, 4", attack, data="train=40, val=3")).exit_code == 0


def test_linf_autoattack_and_square_sizes_are_not_refused() -> None:
    for shape, attack in (
        ("3, 28, 20", "autoattack(norm=Linf, eps=8/255)"),
        ("3, 32, 32", "autoattack(norm=L2, eps=0.5)"),
        ("3, 32, 40", "autoattack(norm=L2, eps=0.5)"),
    ):
        assert "E611" not in satdsl("check", spec(shape, attack)).output


def test_selecting_by_an_attack_that_would_fail_is_refused_too() -> None:
    path = spec("3, 28, 20", "autoattack(norm=L2, eps=0.5)", data="train=40, val=40, holdout=50%")
    text = Path(path).read_text("utf-8")
    text = text.replace("robust accuracy under a on", "clean accuracy on")
    Path(path).write_text(text.replace("using r", "using r { select by robust accuracy under a at end }"), "utf-8")
    assert "error E611" in satdsl("check", path).output


def test_a_failure_of_the_published_code_is_an_error_that_names_the_attack() -> None:
    """Square under L2 divides nothing into pieces where all logits are the same."""

    from satdsl.backend.attacks.autoattack import autoattack
    from satdsl.backend.images import Images
    from satdsl.ir.work import StepError

    class Same(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.zeros(len(images), 3) * images.sum()

    pixels = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    call = CatalogCall("autoattack", (("norm", "L2"), ("eps", 0.5), ("version", "custom"), ("attacks", ("square",))))
    with pytest.raises(StepError, match="published code of AutoAttack's square fails"):
        autoattack(
            Same(),
            Images(pixels, torch.zeros(2, dtype=torch.int64), torch.arange(2)),
            call,
            classes=3,
            standing=np.ones(2, bool),
            device="cpu",
            scratch=Path("scratch"),
        )


# --- batches of one image --------------------------------------------------------------------------


def test_a_batch_of_one_under_batch_norm_is_refused_only_where_one_value_is_left() -> None:
    nothing = "pgd(norm=L2, eps=0.5, steps=2, step_size=0.25)"
    refused = satdsl("check", spec("1, 4, 4", nothing, "epochs=1, batch=1"))
    assert "error E612" in refused.output
    for shape, batch in (("1, 5, 4", 1), ("1, 4, 4", 2)):
        assert "E612" not in satdsl("check", spec(shape, nothing, f"epochs=1, batch={batch}")).output


def test_a_last_batch_of_one_image_joins_the_one_before() -> None:
    path = spec("1, 4, 4", "pgd(norm=L2, eps=0.5, steps=2, step_size=0.25)", "epochs=1, batch=8", "train=41, val=12")
    assert satdsl("run", path).exit_code == 0


@pytest.mark.parametrize(
    "model",
    [
        ("small_cnn", ("width", 2)),
        ("wide_resnet", ("depth", 10), ("width", 1)),
        ("preact_resnet18", ("width", 2)),
        ("resnet18", ("stem", "cifar")),
    ],
)
def test_the_checker_knows_how_far_a_network_shrinks_an_image(model: tuple[str, tuple[str, object]]) -> None:
    call = catalog().call(*model)  # type: ignore[arg-type]
    side = ModelEntry.of(call).shrunk(call)
    for height, fails in ((side, True), (side + 1, False)):
        built = build(call, (3, height, side), 10, (0.5,) * 3, (0.5,) * 3).train()
        try:
            built(torch.rand(1, 3, height, side))
        except ValueError:
            assert fails
        else:
            assert not fails


def test_a_batch_of_one_that_the_checker_cannot_foresee_is_an_error_that_says_the_way_out() -> None:
    from satdsl.backend.losses import train_pass
    from satdsl.backend.recipes import Recipe
    from satdsl.ir.work import StepError

    built = build(catalog().call("small_cnn", ("width", 2)), (1, 4, 4), 2, (0.5,), (0.5,)).train()
    recipe = Recipe.of(catalog().call("sgd", ("epochs", 1)))
    with pytest.raises(StepError, match="a batch of one image"):
        train_pass(built, torch.rand(1, 1, 4, 4), torch.zeros(1, dtype=torch.int64), (), recipe)


def test_one_image_is_measured_under_every_attack() -> None:
    for attack in ("pgd(norm=L1, eps=2, steps=2, step_size=1)", "autoattack(norm=Linf, eps=0.1, batch=1)"):
        path = spec("1, 6, 4", attack, data="train=40, val=1")
        assert satdsl("run", "--smoke", path).exit_code == 0


# --- a folder, whose sizes the checker reads ---------------------------------------------------------


def test_check_reads_the_size_of_a_folders_images_and_refuses_what_square_fails_on() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 28, 20), dtype=np.uint8)
    for i, image in enumerate(pixels):
        place = Path("data") / ("train", "val")[i % 2] / "ab"[i // 4]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i}.png")
    path = spec("1, 8, 8", "autoattack(norm=L2, eps=0.5, version=custom, attacks=[apgd-ce, square])")
    text = Path(path).read_text("utf-8")
    synthetic = re.search(r"synthetic\(.*\)", text)
    assert synthetic is not None
    for data, refused in (('folder("data", resize=none)', True), ('folder("data", resize=16)', False)):
        Path(path).write_text(text.replace(synthetic[0], data), "utf-8")
        assert ("square cannot attack images of 28 x 20" in satdsl("check", path).output) is refused
