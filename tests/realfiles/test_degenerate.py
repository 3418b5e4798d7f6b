"""Input that gives numbers without meaning: one class, equal images, NaN. Each is an error or a counted warning."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from satdsl.backend import odd_images as of_images
from satdsl.backend import weights
from satdsl.backend.finite_numbers import require_finite_scores
from satdsl.backend.gradient_masking import broken_gradient_warnings, gradient_counts
from satdsl.backend.images import DataSet, Images
from satdsl.backend.measure import measure
from satdsl.backend.models import build
from satdsl.catalog import catalog
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError
from tests.command_line import go_somewhere_empty, satdsl


@pytest.fixture(autouse=True)
def somewhere_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_somewhere_empty(tmp_path, monkeypatch, columns=1000)


def spec(data: str, *, model: str = "small_cnn(width=2)", recipe: str = "epochs=1, batch=16", more: str = "") -> str:
    Path("spec.sat").write_text(
        f"""sat 1
title "Degenerate"
dataset d = {data}
model m = {model}
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)
recipe r = sgd({recipe})
train t = m on d using r
evaluate t {{ clean = clean accuracy on val; robust = robust accuracy under p on val }}
table "All" = rows(t.clean, t.robust)
expect "robust": t.robust > 5%
{more}
""",
        "utf-8",
    )
    return "spec.sat"


SYNTHETIC = "synthetic(classes=4, shape=[1, 8, 8], train=160, val=40)"

# --- one class -------------------------------------------------------------------------------------


def test_training_on_one_class_is_an_error_of_check() -> None:
    found = satdsl("check", spec("digits(limit=1)"))
    assert found.exit_code != 0
    assert "error E408: all training images of `d` are of one class, `0`" in found.output


def test_classes_without_images_are_warned_of_by_name() -> None:
    found = satdsl("check", spec("digits(limit=9, limit_val=8)")).output
    assert "class `9` has no training image; 2 of 10 classes have no validation image: `8`, `9`" in found
    assert "E409" not in satdsl("check", spec("digits(limit=10, limit_val=10)")).output


def test_one_class_is_enough_where_nothing_is_trained() -> None:
    save_network(lambda state: None)
    model = 'checkpoint("w.pt", arch=small_cnn(width=2))'
    found = satdsl("check", spec("synthetic(classes=4, shape=[1, 8, 8], limit=1)", model=model, recipe="epochs=0"))
    assert "E408" not in found.output


def test_a_part_without_any_image_is_an_error_of_check() -> None:
    found = satdsl("check", spec("synthetic(classes=4, shape=[1, 8, 8], train=60, val=4, holdout=50%)")).output
    assert "error E407: there is no image in `val`" in found


# --- images ----------------------------------------------------------------------------------------


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)


def data_set(train: np.ndarray, val: np.ndarray, train_labels: Any = None) -> DataSet:
    def part(pixels: np.ndarray, labels: Any = None) -> Images:
        n = len(pixels)
        of = torch.arange(n) % 2 if labels is None else torch.as_tensor(labels)
        return Images(torch.from_numpy(pixels), of, torch.arange(n))

    return DataSet(("a", "b"), part(train, train_labels), part(val))


def odd_images(data: DataSet) -> tuple[list[str], int]:
    return of_images.odd_images(data, of_images.image_prints(data.train), of_images.image_prints(data.val))


def test_sound_images_give_no_warning() -> None:
    assert odd_images(data_set(noise(200), noise(60, 1))) == ([], 0)


def test_validation_images_among_the_training_images_are_counted() -> None:
    val = np.concatenate([noise(57, 1), noise(200)[[5, 9, 13]]])
    (text,), count = odd_images(data_set(noise(200), val))
    assert count == 3
    assert text.startswith("3 of 60 validation images are also training images, the first of dataset index 57")


def test_as_few_as_cifar100_has_are_a_note_and_no_warning() -> None:
    val = np.concatenate([noise(999, 1), noise(200)[:1]])
    assert odd_images(data_set(noise(200), val)) == ([], 1)


def test_copies_are_counted_with_those_under_another_label() -> None:
    train = np.concatenate([noise(90), noise(90)[:10]])
    labels = np.r_[np.zeros(90), np.ones(4), np.zeros(6)].astype(np.int64)
    (text,), _ = odd_images(data_set(train, noise(60, 1), labels))
    assert text.startswith("10 of 100 training images are copies of another one, 4 of them under another label")


def test_images_that_are_all_the_same_are_an_error() -> None:
    with pytest.raises(StepError, match="all 40 training images are the same image"):
        odd_images(data_set(np.repeat(noise(1), 40, 0), noise(60, 1)))
    with pytest.raises(StepError, match="all 60 validation images are the same image"):
        odd_images(data_set(noise(40), np.repeat(noise(1), 60, 0)))


def test_images_in_0_to_1_that_were_stored_as_bytes_are_noticed() -> None:
    texts, _ = odd_images(data_set(noise(200) // 255 + noise(200) // 128, noise(60, 1)))
    assert "lie between 0 and" in texts[0]
    assert "(were images in [0, 1] stored as bytes" not in texts[0]
    texts, _ = odd_images(data_set(noise(200) // 128, noise(60, 1)))
    assert "lie between 0 and 1 of 255 (were images in [0, 1] stored as bytes" in texts[0]
    assert texts[1].startswith("200 of 200 training images are blank")


def test_blank_images_are_counted() -> None:
    train = noise(200)
    train[3], train[7, :, :4], train[7, :, 4:] = 128, 0, 2
    (text,), _ = odd_images(data_set(train, noise(60, 1)))
    assert text.startswith("2 of 200 training images are blank")


def folder_of(**parts: np.ndarray) -> str:
    """A folder of grey images: the first half of each part is class a, the others class b."""
    for part, pixels in parts.items():
        for i, image in enumerate(pixels):
            place = Path("data") / part / ("a" if i < len(pixels) / 2 else "b")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).save(place / f"{i:03}.png")
    return 'folder("data", resize=8)'


def test_a_run_warns_of_what_a_data_step_found_below_its_results() -> None:
    train = noise(120)
    data = folder_of(train=train, val=np.concatenate([noise(10, 1), train[:2], train[-2:], noise(10, 2)]))
    run = satdsl("run", spec(data))
    assert run.exit_code == 0
    assert run.output.index("4 of 24 validation images") < run.output.index("train t (new)"), "it is told too late"
    said = satdsl("results", "spec.sat").output
    assert "4 of 24 validation images are also training images" in said
    document = json.loads(satdsl("results", "spec.sat", "--format", "json").output)
    assert any("also training images" in warning["text"] for warning in document["warnings"])


def test_validation_images_that_are_training_images_of_another_data_set_are_warned_of() -> None:
    """Also where the network was only begun with them."""
    other = folder_of(train=noise(40, 3), val=np.concatenate([noise(120)[:3], noise(21, 4)]))
    Path("data").rename("other")
    data = folder_of(train=noise(120), val=noise(24, 1))
    more = f"""dataset other = {other.replace('"data"', '"other"')}
train u = m on other using r {{ start from t }}
evaluate t {{ far = clean accuracy on other.val }}
evaluate u {{ near = clean accuracy on val }}
"""
    assert satdsl("run", spec(data, more=more)).exit_code == 0
    said = satdsl("results", "spec.sat").output
    text = "3 of 24 validation images are also training images of data d, the first of dataset index 0"
    assert said.count(text) == 2
    assert f"t.far: {text}" in said
    assert f"u.near: {text}" in said


def test_a_run_stops_at_images_that_are_all_the_same() -> None:
    data = folder_of(train=np.repeat(noise(1), 20, 0), val=noise(8, 1))
    result = satdsl("run", spec(data))
    assert result.exit_code != 0
    assert "all 20 training images are the same image" in result.output


# --- weights and outputs that are not finite -------------------------------------------------------


def save_network(change: Any, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 4) -> None:
    """Save weights in w.pt after `change` of the state dict."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(catalog().call("small_cnn", ("width", 2)), shape, classes, (0.5,), (0.25,))
    state = network.body.state_dict()
    change(state)
    torch.save(state, "w.pt")


def nan_head(state: dict[str, Tensor]) -> None:
    state["fc.bias"][0] = torch.nan


def negative_variance(state: dict[str, Tensor]) -> None:
    state["features.1.running_var"] -= 5


def huge(state: dict[str, Tensor]) -> None:
    for name in ("features.0.weight", "features.3.weight", "fc.weight"):
        state[name] *= 1e30


@pytest.mark.parametrize("change", [nan_head, negative_variance, huge])
@pytest.mark.parametrize("attack", ["fgsm(norm=Linf, eps=0.1)", "autoattack(norm=Linf, eps=0.1)"])
def test_given_weights_that_give_no_numbers_are_measured_as_nothing(change: Any, attack: str) -> None:
    """Class 0 is a quarter of the images, so without a word `robust > 5 %` would hold."""
    save_network(change)
    path = spec(SYNTHETIC, model='checkpoint("w.pt", arch=small_cnn(width=2))', recipe="epochs=0")
    text = Path(path).read_text("utf-8").replace("pgd(norm=Linf, eps=0.1, step_size=0.05, steps=2)", attack)
    Path(path).write_text(text, "utf-8")
    result = satdsl("run", path)
    assert result.exit_code != 0
    assert re.search("NaN|finite|variances below zero", result.output)
    assert "holds" not in satdsl("results", path).output


@pytest.mark.parametrize("epochs", [0, 1])
@pytest.mark.parametrize("name", ["fc.bias", "features.1.running_mean"])
def test_a_file_of_weights_that_are_not_finite_is_named(epochs: int, name: str) -> None:
    """Also where it is trained on: it is not that training that diverged."""

    def infinite(state: dict[str, Tensor]) -> None:
        state[name][0] = -torch.inf

    save_network(infinite)
    model = 'checkpoint("w.pt", arch=small_cnn(width=2))'
    result = satdsl("run", spec(SYNTHETIC, model=model, recipe=f"epochs={epochs}"))
    assert result.exit_code != 0
    assert re.search(rf"w\.pt .*(NaN|infinite).*{name}", result.output)
    assert "learning rate" not in result.output


def test_an_std_of_0_is_not_divided_by() -> None:
    save_network(lambda state: None)
    model = 'checkpoint("w.pt", arch=small_cnn(width=2), mean=[0.5], std=[0])'
    assert satdsl("run", spec(SYNTHETIC, model=model, recipe="epochs=0")).exit_code != 0


def test_weights_that_a_training_left_are_looked_at_again(tmp_path: Path) -> None:
    weights.save_weights(tmp_path / "weights.safetensors", {"a": torch.tensor([1.0, torch.inf])})
    with pytest.raises(StepError, match="NaN or infinite, in 1 of 1 tensors, the first of them a"):
        weights.load_finite(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_that_diverges_names_the_epoch_and_the_way_out(precision: str) -> None:
    result = satdsl("run", spec(SYNTHETIC, recipe=f"epochs=3, batch=16, lr=1e12, precision={precision}"))
    assert result.exit_code != 0
    assert "the training diverged: " in result.output
    assert "epoch 1" in result.output
    assert "lower the learning rate" in result.output


class Odd(nn.Module):
    """Makes the first logit of an image's mean by `of`; the second is always `other`."""

    def __init__(self, of: Any, other: float = 0.4) -> None:
        super().__init__()
        self.of, self.other = of, other

    def forward(self, images: Tensor) -> Tensor:
        first = self.of(images.flatten(1).mean(1))
        return torch.stack([first, torch.full_like(first, self.other)], 1)


def grey_images(label: int = 0) -> Images:
    """Four images whose mean is 0.5."""
    return Images(torch.full((4, 1, 8, 8), 128, dtype=torch.uint8), torch.full((4,), label), torch.arange(4))


def measured(network: nn.Module, attack: CatalogCall | None, scratch: Path, label: int = 0) -> np.ndarray:
    return measure(network, grey_images(label), attack, classes=2, device="cpu", scratch=scratch).correct


def pgd(keep: str) -> CatalogCall:
    settings = {"norm": "L2", "eps": 0.5, "steps": 3, "step_size": 0.25, "keep": keep}
    return catalog().call("pgd", *settings.items())


def autoattack(name: str, norm: str = "Linf") -> CatalogCall:
    settings = {"norm": norm, "eps": 0.5, "version": "custom", "attacks": (name,), "batch": 4}
    return catalog().call("autoattack", *settings.items())


def test_outputs_that_are_not_finite_name_the_first_image(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="for 4 of 4 images, the first of dataset index 0"):
        measured(Odd(lambda mean: mean * torch.nan), None, tmp_path)


@pytest.mark.parametrize("attack", [pgd("best"), pgd("last"), autoattack("apgd-ce"), autoattack("square")])
def test_a_network_that_gives_nan_under_attack_alone_does_not_withstand_it(attack: CatalogCall, tmp_path: Path) -> None:
    """The first logit is the class of these images, and is NaN as soon as an image moves; argmax of NaN is class 0."""
    nan = torch.full((4,), torch.nan)
    network = Odd(lambda mean: torch.where((mean - 128 / 255).abs() < 1e-6, mean, nan[: len(mean)]))
    with pytest.raises(StepError, match=r"under .* the network gives NaN or infinity"):
        measured(network, attack, tmp_path)


def root_of_nothing(mean: Tensor) -> Tensor:
    return mean + (mean - mean.detach()).sqrt()


def test_adversarial_images_of_nan_are_an_error(tmp_path: Path) -> None:
    """They are taken for class 0, which would be right for images of class 0, and breaks those of class 1."""
    with pytest.raises(StepError, match="pgd made 4 images with pixels that are not numbers"):
        measured(Odd(root_of_nothing), pgd("last"), tmp_path)
    with pytest.raises(StepError, match="apgd-ce made 4 images with pixels that are not numbers"):
        measured(Odd(root_of_nothing, other=0.6), autoattack("apgd-ce", norm="L2"), tmp_path, label=1)


@pytest.mark.parametrize("attack", [pgd("best"), autoattack("apgd-ce", norm="L2")])
def test_gradients_of_nan_that_an_attack_gave_up_at_are_warned_of(attack: CatalogCall, tmp_path: Path) -> None:
    """The images stay what they are, and stand: 100 % robust, but only against an attack that does not move."""
    network = Odd(root_of_nothing)
    rows = measure(network, grey_images(), attack, classes=2, device="cpu", scratch=tmp_path)
    assert rows.correct.all()
    assert any("tried images that are not numbers" in text for text in rows.warnings)
    images = grey_images()
    flat, broken = gradient_counts(network, images, "cpu")  # type: ignore[arg-type]
    assert (flat, broken) == (0, len(images))
    assert "on 100.0% of the images" in broken_gradient_warnings(broken / len(images))[0]


@pytest.mark.parametrize("attack", [pgd("best"), autoattack("apgd-ce"), autoattack("fab-t"), autoattack("square")])
def test_where_every_image_is_wrong_nothing_is_attacked_and_nothing_is_robust(
    attack: CatalogCall, tmp_path: Path
) -> None:
    rows = measure(Odd(lambda mean: mean), grey_images(1), attack, classes=2, device="cpu", scratch=tmp_path)
    assert (rows.accuracy, rows.clean, rows.warnings) == (0, 0, ())


def test_scores_that_are_not_finite_are_not_ranked() -> None:
    with pytest.raises(StepError, match="entropy is NaN or infinite for 1 of 3 training images, the first of dataset"):
        require_finite_scores(np.array([0.1, np.inf, 0.2]), np.array([4, 6, 8]), "entropy")


# --- trainings that learn nothing ------------------------------------------------------------------


def test_a_network_that_names_one_class_is_warned_of() -> None:
    def one_class(state: dict[str, Tensor]) -> None:
        state["fc.weight"].zero_()
        state["fc.bias"].copy_(torch.tensor([0.0, 0.0, 1.0, 0.0]))

    save_network(one_class)
    path = spec(SYNTHETIC, model='checkpoint("w.pt", arch=small_cnn(width=2))', recipe="epochs=0")
    assert satdsl("run", path).exit_code == 0
    said = satdsl("results", path).output
    assert said.count("the network predicts one class, 2, for all 40 images") == 1  # of two evaluations
    assert "25.0 %" in said


def test_a_training_at_chance_is_warned_of_and_one_that_learns_is_not() -> None:
    at_chance = "it ends at chance"
    ran = satdsl("run", spec(SYNTHETIC, recipe="epochs=1, batch=160, lr=1e-9"))
    assert ran.exit_code == 0
    lines = ran.stderr.splitlines()
    done = next(i for i, line in enumerate(lines) if line.startswith("done    train"))
    assert lines[done + 1].startswith("warning: train t: it ends at chance: in epoch 1 ")
    assert "for all gives 25.0%" in lines[done + 1]
    found = satdsl("results", "spec.sat").output
    assert found.count(at_chance) == 1
    assert "predicts one class" not in found  # which is said no second time
    assert satdsl("run", spec(SYNTHETIC, model="small_cnn(width=8)", recipe="epochs=6, batch=16")).exit_code == 0
    assert at_chance not in satdsl("results", "spec.sat").output
