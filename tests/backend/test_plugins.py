"""Python of the user's own: it is called as an entry of the catalog is, checked in what it returns, and contained."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from satdsl.artifacts.schemas import VALUES
from satdsl.backend.artifact_files import read_table
from satdsl.backend.augmentations import apply_augmentations, draw_augmentations
from satdsl.backend.models import build
from satdsl.backend.plugins import bound, modules
from satdsl.backend.randomness import initial_weights
from satdsl.backend.schedules import Moment
from satdsl.ir.steps import CatalogCall, Data, Evaluate, Score, SubsetTraining
from satdsl.ir.work import StepError

from .user_code import plugin
from .workshop import HOLDOUT, Workshop, columns_of, document, training, weights_of

NETWORK = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
IMAGES = torch.rand(5, 1, 8, 8, generator=Generator().manual_seed(0)) * 0.8 + 0.1
LABELS = torch.arange(5)

MIFGSM = """
import torch
from torch.nn import functional as F

@sat.attack(passes="steps")
def mifgsm(network, images, labels, *, norm: sat.Norm, eps: sat.Radius, step_size: float, steps: int = 3):
    moved, total = images, torch.zeros_like(images)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(moved), labels, reduction="sum"), moved)
        total = total + gradient / gradient.abs().sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
        moved = (moved + step_size * total.sign() + 0.001 * torch.rand_like(moved)).detach()
        moved = (images + (moved - images).clamp(-eps, eps)).clamp(0, 1)
    return moved
"""
LINF = {"norm": "Linf", "eps": 0.1, "step_size": 0.05}


def attacked(text: str, **args: Any) -> Tensor:
    """Return what an attack `made`, whose text this is, makes of some images."""
    found: Tensor = bound("attack", plugin(text, "made", **args))(NETWORK, IMAGES, LABELS, Generator().manual_seed(1))
    return found


def made(body: str, more: str = "") -> str:
    return f"import torch\n{more}\n@sat.attack\ndef made(network, images, labels):\n    return {body}\n"


# --- what an attack gives ---------------------------------------------------------------------------


def test_the_random_numbers_of_an_attack_are_the_same_in_every_run_and_nobody_elses() -> None:
    body = made("(images + 0.01 * torch.rand_like(images) + 0.01 * float(np.random.rand()) + r.random() / 100)",
                "import numpy as np\nimport random as r")  # fmt: skip
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    first = attacked(body)
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1], states[2]) == (np.random.get_state()[1].tolist(), random.getstate())
    torch.rand(3), np.random.rand(), random.random()
    assert torch.equal(first, attacked(body))


def test_an_attack_that_asks_for_a_generator_gets_one() -> None:
    text = """
    import torch
    @sat.attack
    def made(network, images, labels, generator):
        return images + 0.05 * torch.rand(images.shape, generator=generator)
    """
    assert torch.equal(attacked(text), attacked(text))


def test_two_files_may_have_the_same_name_and_import_others_of_the_same_name() -> None:
    text = made("images * helpers.FACTOR", "import helpers")
    one = attacked(text, files={"helpers.py": "FACTOR = 0.5"})
    other = attacked(text, files={"helpers.py": "from deep.inside import FACTOR", "deep/inside.py": "FACTOR = 0.25"})
    assert torch.equal(one, IMAGES * 0.5)
    assert torch.equal(other, IMAGES * 0.25)
    assert "helpers" not in sys.modules


def test_an_import_inside_a_function_finds_the_file_beside_it() -> None:
    text = """
    @sat.attack
    def made(network, images, labels):
        from helpers import FACTOR
        import helpers as other
        return images * FACTOR * other.FACTOR
    """
    assert torch.equal(attacked(text, files={"helpers.py": "FACTOR = 0.5"}), IMAGES * 0.25)


def test_what_rounding_leaves_outside_ball_and_box_is_projected_and_clipped() -> None:
    text = """
    import torch
    @sat.attack
    def made(network, images, labels, *, norm: sat.Norm, eps: sat.Radius):
        return images + eps * 1.00005
    """
    found = attacked(text, norm="Linf", eps=0.05)
    assert float((found - IMAGES).abs().max()) <= 0.05 + 1e-7
    assert float(attacked(made("torch.ones_like(images) + 1e-6")).max()) == 1


WRONG = {
    "images * float('nan')": "mine.py:5: made returns NaN or infinity for 5 of 5 images",
    "images[:2]": "made returns a tensor of shape [2, 1, 8, 8], not [5, 1, 8, 8]",
    "None": "made returns nothing, not a tensor",
    "'images'": "made returns a value of type str, not a tensor",
    "(images * 255).byte()": "made returns images as torch.uint8, not as floating-point numbers",
    "images + 0.5": "5 of 5 images with pixels outside [0, 1] (from",
    "1 / 0": "mine.py:6: made: ZeroDivisionError: division by zero",
    "made(network, images, labels)": "mine.py:6: made: calls itself without an end",
    "__import__('sys').exit(3)": "mine.py:6: made: calls sys.exit(3), which would end the run",
    "__import__('os')._exit(3)": "mine.py:6: made: calls os._exit(3), which would end the run",
    "network.train() and images.fill_(2)": "pixels outside [0, 1]",
    "[network[1].weight.data.add_(1), images][1]": "made changes the network that it is given (1.weight)",
    "[network[1].bias.add_(1), images][1]": "made changes the network that it is given (1.bias)",
    "[setattr(torch.nn.functional, 'relu', len), images][1]": "replaces torch.nn.functional.relu",
    "__import__('nowhere')": "mine.py:6: made: imports nowhere, which is not installed where the step runs",
}


@pytest.mark.parametrize("body", WRONG)
def test_an_attack_that_goes_wrong_is_named_with_file_and_line(body: str) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    before = torch.nn.functional.relu
    call = plugin(made(body), "made")
    with pytest.raises(StepError) as caught:
        bound("attack", call)(network, IMAGES.clone(), LABELS, Generator().manual_seed(1))
    assert WRONG[body] in caught.value.reason
    assert caught.value.help
    assert network.training
    assert all(weight.requires_grad for weight in network.parameters())
    assert torch.nn.functional.relu is before


def test_an_attack_outside_its_ball_is_refused() -> None:
    text = """
    @sat.attack
    def made(network, images, labels, *, norm: sat.Norm, eps: sat.Radius):
        return images * 0.5
    """
    with pytest.raises(StepError, match=r"moves 5 of 5 images out of the ball: by .* in L2, where eps is 0.1"):
        attacked(text, norm="L2", eps=0.1)


def test_an_attack_sees_the_network_as_built_in_attacks_do() -> None:
    text = made("images if not network.training and not any(w.requires_grad for w in network.parameters()) else None")
    assert torch.equal(attacked(text), IMAGES)


def test_what_an_attack_changes_in_the_process_is_put_back() -> None:
    lines = [
        "torch.set_default_dtype(torch.float64)",
        "torch.set_grad_enabled(False)",
        "torch.set_num_threads(7)",
        "torch.use_deterministic_algorithms(True)",
        "os.chdir('/')",
    ]
    text = made("images", f"import os\ndef upset():\n    {'; '.join(lines)}").replace("return", "upset()\n    return")
    before = torch.get_num_threads(), Path.cwd()
    attacked(text)
    assert (torch.get_num_threads(), Path.cwd()) == before
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


# --- the import of a file ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("while True: pass", "mine.py:2: importing the file takes more than 0.2 seconds"),
        ("import time; time.sleep(60)", "mine.py:2: importing the file takes more than 0.2 seconds"),
        ("import nowhere", "mine.py:2: imports nowhere, which is not installed"),
        ("raise ValueError('no')", "mine.py:2: ValueError: no"),
        ("import sys; sys.exit()", "mine.py:2: calls sys.exit(), which would end the run"),
        ("import torch; torch.relu = len", "replaces torch.relu, which everything else in the process uses"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named(line: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(modules.LIMIT, "0.2")
    with pytest.raises(StepError) as caught:
        attacked(f"{line}\n{made('images')}")
    assert said in caught.value.reason
    if line == "import nowhere":  # and once more: nothing that was imported half is left
        with pytest.raises(StepError, match="imports nowhere"):
            attacked(f"{line}\n{made('images')}")


def test_code_that_is_not_what_its_key_stands_for_is_not_run() -> None:
    call = plugin(made("images"), "made")
    assert call.plugin is not None
    edited = replace(call.plugin, files=(("mine.py", call.plugin.files[0][1].replace("images\n", "images * 0\n")),))
    with pytest.raises(StepError, match="is not the one that its key stands for"):
        bound("attack", replace(call, plugin=edited))


def test_a_time_limit_holds_outside_of_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setenv(modules.LIMIT, "0.2")
    with ThreadPoolExecutor(1) as pool, pytest.raises(StepError, match="takes more than"):
        pool.submit(attacked, f"while True: pass\n{made('images')}").result()


# --- in steps ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("plugins"))


@pytest.fixture(scope="module")
def data(workshop: Workshop) -> Path:
    return workshop.do(Data(CatalogCall("digits", (("limit", 64), ("limit_val", 20)))))


def test_a_network_is_trained_and_measured_with_an_attack_of_ones_own(workshop: Workshop, data: Path) -> None:
    mine = plugin(MIFGSM, "mifgsm", **LINF)
    settings = training(1, subsets=(SubsetTraining(mine, 1.0),), augment=())
    first, again = (workshop.do(settings, data=data) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(weights_of(first).values(), weights_of(again).values(), strict=True))
    rows = workshop.do(Evaluate(mine, "val", HOLDOUT), data=data, weights=first)
    assert document(rows / "facts.json")["attacks"] == ["mifgsm"]
    assert 0 <= document(rows / "facts.json")["accuracy"] <= document(rows / "facts.json")["clean"]


# --- the other kinds --------------------------------------------------------------------------------


def raises(said: str, do: Callable[[], Any]) -> None:
    with pytest.raises(StepError) as caught:
        do()
    assert said in caught.value.reason
    assert caught.value.help


def loss(body: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a loss of logits and labels, whose text this is."""
    text = (
        f"import torch\nfrom torch.nn import functional as F\n@sat.loss\ndef made(logits, labels):\n    return {body}\n"
    )
    found = bound("loss", plugin(text, "made"))
    return lambda logits, labels: found(torch.zeros(len(labels)), logits, None, labels)


def test_a_loss_is_what_its_function_returns_with_its_gradient() -> None:
    logits = torch.randn(4, 3, generator=Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0])
    found = loss("F.cross_entropy(logits, labels, reduction='none') ** 2")(logits, labels)
    expected = nn.functional.cross_entropy(logits, labels, reduction="none") ** 2
    assert torch.equal(found, expected)
    found.sum().backward()
    assert logits.grad is not None
    assert torch.allclose(logits.grad, torch.autograd.grad(expected.sum(), logits)[0])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("F.cross_entropy(logits, labels)", "made returns a tensor of shape [], not [4]"),
        ("F.cross_entropy(logits.detach(), labels, reduction='none')", "made returns losses without a gradient"),
        ("logits.sum(1) / 0 * 0", "made returns NaN or infinity for 4 of 4 images"),
        ("labels", "made returns losses as torch.int64"),
        ("float(logits.sum())", "made returns a value of type float, not a tensor"),
    ],
)
def test_a_loss_that_goes_wrong_is_named(body: str, said: str) -> None:
    logits = torch.randn(4, 3).requires_grad_()
    raises(said, lambda: loss(body)(logits, torch.tensor([0, 1, 2, 0])))


def test_a_loss_of_both_images_gets_the_logits_of_both() -> None:
    text = """
    @sat.loss
    def made(clean, adversarial, labels, *, weight: float = 2.0):
        return clean[:, 0] + weight * adversarial[:, 1]
    """
    found = bound("loss", plugin(text, "made", weight=3.0))
    clean, adversarial = torch.rand(4, 3), torch.rand(4, 3)
    assert torch.equal(found(None, clean, adversarial, torch.zeros(4)), clean[:, 0] + 3 * adversarial[:, 1])


def test_a_training_with_a_loss_that_draws_is_the_same_twice(workshop: Workshop, data: Path) -> None:
    text = """
    import torch
    from torch.nn import functional as F
    @sat.loss
    def made(logits, labels):
        return F.cross_entropy(logits + 0.1 * torch.randn_like(logits), labels, reduction="none")
    """
    settings = training(1, subsets=(SubsetTraining(None, 1.0, plugin(text, "made")),))
    first, again = (weights_of(workshop.do(settings, data=data)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def network(text: str, **args: Any) -> nn.Module:
    """Return a network for grey images of 8 x 8 pixels and three classes, whose model's text this is."""
    with initial_weights(1):
        return build(
            plugin(f"import torch\nfrom torch import nn\n{text}", "made", **args), (1, 8, 8), 3, (0.0,), (1.0,)
        )


def model(body: str) -> str:
    return f"@sat.model\ndef made(classes, channels, *, width: int = 4):\n    return {body}\n"


def test_a_network_has_the_weights_that_its_seed_draws() -> None:
    text = model("nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.LazyLinear(classes))")
    first, again = network(text, width=5), network(text, width=5)
    assert first(IMAGES).shape == (5, 3)
    assert torch.equal(first(IMAGES), again(IMAGES))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("nn.Linear", "made returns a value of type type, not a network"),
        ("nn.Flatten()", "made returns a network without weights"),
        ("nn.Sequential(nn.Flatten(), nn.Linear(64, 7))", "gives [2, 7] for 2 images of 3 classes, not [2, 3]"),
        ("nn.Linear(9, 3)", "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        ("nn.Conv2d(channels, classes, 3)", "gives [2, 3, 6, 6] for 2 images of 3 classes"),
    ],
)
def test_a_network_that_goes_wrong_is_named_when_it_is_built(body: str, said: str) -> None:
    raises(said, lambda: network(model(body)))


def test_a_network_is_measured_by_the_code_that_it_was_trained_with(workshop: Workshop, data: Path) -> None:
    text = "from torch import nn\n" + model(
        "nn.Sequential(nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * width, classes))"
    )
    mine = plugin(text, "made", width=3)
    trained = workshop.do(training(1, model=mine), data=data)
    assert document(trained / "model.json")["model"]["plugin"]["files"][0][0] == "mine.py"
    rows = workshop.do(Evaluate(None, "val", HOLDOUT), data=data, weights=trained)
    assert 0 <= document(rows / "facts.json")["accuracy"] <= 1


def test_an_error_in_a_network_that_is_being_trained_has_file_and_line(workshop: Workshop, data: Path) -> None:
    text = """
    from torch import nn
    class Odd(nn.Linear):
        def forward(self, x):
            if self.training:
                raise KeyError("weight")
            return super().forward(x)
    @sat.model
    def made(classes, channels):
        return nn.Sequential(nn.Flatten(), Odd(64, classes))
    """
    settings = training(1, model=plugin(text, "made"), augment=())
    raises("mine.py:6: forward: KeyError: 'weight'", lambda: workshop.do(settings, data=data))


def test_a_schedule_is_asked_once_for_each_epoch_after_the_warm_up() -> None:
    text = """
    @sat.schedule
    def made(epoch: int, epochs: int, *, end: float = 0.0):
        return 1 - (1 - end) * epoch / epochs
    """
    found = bound("schedule", plugin(text, "made", end=0.2))
    assert [found(Moment(epoch, 6, 2)) for epoch in (2, 3, 5)] == [1.0, 1 - 0.8 / 4, 1 - 0.8 * 3 / 4]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("-0.5", "made returns -0.5 for epoch 1 of 4, and a learning rate is neither negative nor NaN"),
        ("float('nan')", "made returns nan for epoch 1 of 4"),
        ("'fast'", "made returns a value of type str, not a number"),
    ],
)
def test_a_schedule_that_goes_wrong_is_named(body: str, said: str) -> None:
    found = bound("schedule", plugin(f"@sat.schedule\ndef made(epoch, epochs):\n    return {body}\n", "made"))
    raises(said, lambda: found(Moment(1, 4, 0)))


def augmented(body: str, seed: int = 0) -> Tensor:
    text = f"import torch\n@sat.augmentation\ndef made(images, generator):\n    return {body}\n"
    pixels = torch.arange(2 * 64, dtype=torch.uint8).view(2, 1, 8, 8)
    draw = draw_augmentations((plugin(text, "made"),), 2, (1, 8, 8), Generator().manual_seed(seed))
    return apply_augmentations(pixels, draw, slice(0, 2))


def test_an_augmentation_sees_images_in_the_unit_range_and_draws_anew_for_each_epoch() -> None:
    assert torch.equal(augmented("images"), torch.arange(2 * 64, dtype=torch.uint8).view(2, 1, 8, 8))
    noise = "(images + 0.1 * torch.rand(images.shape, generator=generator)).clamp(0, 1)"
    assert torch.equal(augmented(noise), augmented(noise))
    assert not torch.equal(augmented(noise), augmented(noise, seed=1))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("images[:, :, 1:]", "made returns a tensor of shape [2, 1, 7, 8], not [2, 1, 8, 8]"),
        ("images + 1", "images with pixels outside [0, 1]"),
        ("images.byte()", "made returns images as torch.uint8"),
        ("images * float('inf') * 0", "made returns NaN or infinity"),
    ],
)
def test_an_augmentation_that_goes_wrong_is_named(body: str, said: str) -> None:
    raises(said, lambda: augmented(body))


def dataset(images: str, labels: str = "torch.arange(n) % 3") -> CatalogCall:
    text = f"""
    import numpy as np
    import torch
    @sat.dataset(classes=["a", "b", "c"], shape=(1, 8, 8), train="train", val=6)
    def made(part, folder, *, train: int = 9):
        n = train if part == "train" else 6
        return {images}, {labels}
    """
    return plugin(text, "made", train=12)


def test_a_data_set_is_read_once_and_its_images_are_kept(workshop: Workshop) -> None:
    read = workshop.do(Data(dataset("torch.linspace(0, 1, n * 64).view(n, 1, 8, 8)", "np.arange(n) % 3")))
    assert document(read / "facts.json") | {"classes": ["a", "b", "c"], "train": 12, "val": 6} == document(
        read / "facts.json"
    )
    expected = np.linspace(0, 255, 12 * 64).round().reshape(12, 1, 8, 8)
    assert np.array_equal(np.load(read / "train.npy"), expected)
    assert np.load(read / "val.npy").shape == (6, 1, 8, 8)
    assert (read / "labels.npz").exists()


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (
            "torch.rand(n, 8, 8)",
            "torch.arange(n) % 3",
            "of shape [12, 8, 8] for train, and its mark says [12, 1, 8, 8]",
        ),
        ("torch.rand(n + 1, 1, 8, 8)", "torch.arange(n) % 3", "of shape [13, 1, 8, 8] for train"),
        ("torch.randn(n, 1, 8, 8)", "torch.arange(n) % 3", "images with pixels outside [0, 1]"),
        (
            "torch.zeros(n, 1, 8, 8, dtype=torch.int64)",
            "torch.arange(n) % 3",
            "returns images of torch.int64 for train",
        ),
        ("torch.rand(n, 1, 8, 8)", "torch.arange(n)", "labels from 0 to 11 for train, and its mark says 3 classes"),
        ("torch.rand(n, 1, 8, 8)", "torch.rand(n)", "labels of shape [12] and type torch.float32 for train"),
        ("torch.rand(n, 1, 8, 8)", "[0, 1]", "labels of shape [2]"),
    ],
)
def test_a_data_set_that_goes_wrong_is_named(images: str, labels: str, said: str, workshop: Workshop) -> None:
    raises(said, lambda: workshop.do(Data(dataset(images, labels))))


def scored(workshop: Workshop, data: Path, body: str) -> Path:
    text = f"import torch\n@sat.score(forward='1')\ndef made(network, images, labels):\n    return {body}\n"
    trained = workshop.do(training(0), data=data)
    return workshop.do(Score("made", HOLDOUT, own=plugin(text, "made")), data=data, weights=trained)


def test_a_score_is_recorded_under_the_name_of_its_function(workshop: Workshop, data: Path) -> None:
    body = "1 - network(images).softmax(1).square().sum(1)"
    scores = columns_of(scored(workshop, data, body), "scores")
    assert len(scores["made"]) == len(scores["index"])
    assert ((scores["made"] > 0) & (scores["made"] < 1)).all()
    drawn = "torch.rand(len(images))"
    first, again = (columns_of(scored(workshop, data, drawn), "scores")["made"] for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("network(images)", "made returns a tensor of shape [64, 10], not [64]"),
        ("torch.full((len(images),), float('nan'))", "made returns NaN or infinity for 64 of 64 images"),
        ("[0.5] * len(images)", "made returns a value of type list, not a tensor"),
        ("network.train()(images)[:, 0]", "made changes the network that it is given"),
    ],
)
def test_a_score_that_goes_wrong_is_named(body: str, said: str, workshop: Workshop, data: Path) -> None:
    raises(said, lambda: scored(workshop, data, body))


def measured(workshop: Workshop, data: Path, body: str, share: bool = False) -> Path:
    mark = f"@sat.measure(share={share})"
    text = f"import torch\n{mark}\ndef made(network, images, labels, *, k: int = 1):\n    return {body}\n"
    trained = workshop.do(training(0), data=data)
    settings = Evaluate(None, "val", HOLDOUT, own=plugin(text, "made", k=2))
    return workshop.do(settings, data=data, weights=trained)


def test_a_measure_has_a_value_for_each_image(workshop: Workshop, data: Path) -> None:
    top = "(network(images).topk(k, dim=1).indices == labels[:, None]).any(1)"
    found = measured(workshop, data, top, share=True)
    values = read_table(found, VALUES)
    assert set(values["value"].tolist()) <= {0.0, 1.0}
    assert document(found / "facts.json")["mean"] == values["value"].mean()
    plain = read_table(measured(workshop, data, "k * network(images)[:, 0]"), VALUES)
    assert np.array_equal(plain["index"], values["index"])


@pytest.mark.parametrize(
    ("body", "share", "said"),
    [
        ("network(images)[:, 0]", True, "made returns numbers other than 0 and 1"),
        ("network(images).mean()", False, "made returns a tensor of shape [], not ["),
        ("labels / 0", False, "made returns NaN or infinity for"),
    ],
)
def test_a_measure_that_goes_wrong_is_named(body: str, share: bool, said: str, workshop: Workshop, data: Path) -> None:
    raises(said, lambda: measured(workshop, data, body, share))
