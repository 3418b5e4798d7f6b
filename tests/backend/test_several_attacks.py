"""Several attacks on a subset, and attacks and losses of some epochs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax
from torch import Tensor, nn

from satdsl.backend import epoch as epochs
from satdsl.backend.images import DataSet
from satdsl.backend.losses import SubsetMethod, SubsetTerm, subset_method, train_pass
from satdsl.backend.objectives import cross_entropy
from satdsl.backend.recipes import Recipe
from satdsl.backend.subset_assignment import SubsetAssignment
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.ir.loss_formula import LossFormula
from satdsl.ir.steps import CatalogCall, Data, OfClasses, Phase, Rest, SeveralAttacks, Split, SubsetTraining, Train
from satdsl.ir.work import Progress
from tests.backend import workshop as w
from tests.backend.test_losses import Plain, batch
from tests.backend.workshop import HOLDOUT, Workshop, call, sgd, training

LINF = w.pgd(norm="Linf", eps=0.072, step_size=0.03)
L2 = w.pgd(norm="L2", eps=0.4, step_size=0.2)
TRADES = call("trades", beta=2.0)


def several(how: Any, *attacks: CatalogCall | None) -> SeveralAttacks:
    return SeveralAttacks(how, attacks)


@pytest.fixture
def plain() -> Plain:
    torch.manual_seed(0)
    return Plain()


def versions(method: SubsetMethod, network: nn.Module) -> tuple[Tensor, ...]:
    x, y = batch()
    return method.versions(network, x, y, torch.Generator().manual_seed(0))


def test_the_strongest_attack_is_chosen_image_by_image(plain: Plain) -> None:
    """Tramèr and Boneh, 2019, section 3: of all perturbations the one with the highest loss, the image among them."""
    (found,) = versions(subset_method(several("strongest", None, LINF, L2), None), plain)
    single = [batch()[0], *(versions(subset_method(attack, None), plain)[0] for attack in (LINF, L2))]
    with torch.no_grad():
        losses = torch.stack([cross_entropy(plain(images), batch()[1]) for images in single])
    best = losses.argmax(0)
    assert set(best.tolist()) == {1, 2}, "each attack is the strongest for some image"
    assert torch.equal(found, torch.stack(single)[best, torch.arange(len(best))])


def test_under_trades_the_strongest_moves_the_prediction_farthest(plain: Plain) -> None:
    (found,) = versions(subset_method(several("strongest", LINF, L2), TRADES), plain)
    generator = torch.Generator().manual_seed(0)
    x, y = batch()
    single = [subset_method(attack, TRADES).versions(plain, x, y, generator)[0] for attack in (LINF, L2)]
    with torch.no_grad():
        p, *moved = (softmax(plain(images).double().numpy(), 1) for images in (x, found, *single))
    of_found, *of_single = (rel_entr(p, q).sum(1) for q in moved)
    assert of_found == pytest.approx(np.maximum(*of_single))


def test_each_of_several_attacks_has_its_share_of_the_loss(plain: Plain) -> None:
    """Tramèr and Boneh, 2019: avg. Half of the clean cross-entropy and half of that under attack is one case of it."""
    x, y = batch()
    rows = torch.tensor([1, 4, 5, 9])
    method = subset_method(several("mean", None, LINF, L2), None)
    first, *beside = method.versions(plain, x[rows], y[rows], torch.Generator())
    x[rows] = first
    found = train_pass(plain, x, y, [SubsetTerm(rows, tuple(beside), None)], Recipe.of(sgd(1)))
    with torch.no_grad():
        logits = [plain(images).double().numpy() for images in (first, *beside)]
    losses = [-log_softmax(one, 1)[np.arange(4), y[rows].numpy()] for one in logits]
    assert found.losses[rows].detach().numpy() == pytest.approx(np.mean(losses, 0), rel=1e-4)
    wrong = np.any([one.argmax(1) != y[rows].numpy() for one in logits], 0)
    assert found.fooled[rows].tolist() == wrong.tolist()


def test_a_loss_of_both_images_is_taken_for_each_attack(plain: Plain) -> None:
    x, y = batch(4)
    rows = torch.arange(4)
    method = subset_method(several("mean", LINF, L2), TRADES)
    moved = method.versions(plain, x, y, torch.Generator().manual_seed(1))
    assert method.both
    assert method.loss is not None
    recipe = Recipe.of(sgd(1))
    found = train_pass(plain, x, y, [SubsetTerm(rows, moved, method.loss, both=True)], recipe).losses
    single = [
        train_pass(plain, x, y, [SubsetTerm(rows, (one,), method.loss, both=True)], recipe).losses for one in moved
    ]
    assert torch.allclose(found, (single[0] + single[1]) / 2, atol=1e-5)


# --- in a training -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(workshop: Workshop) -> Path:
    return workshop.do(Data(call("synthetic", classes=3, shape=(1, 8, 8), train=60, val=30, seed=0)))


@pytest.fixture(scope="module")
def split(workshop: Workshop, images: Path) -> Path:
    return workshop.do(Split((OfClasses((0, 1)), Rest()), HOLDOUT), data=images)


def epoch(data: DataSet, subset: SubsetTraining, number: int) -> epochs.Epoch:
    index = data.train.index.numpy()
    assignment = SubsetAssignment(
        np.zeros(index.max() + 1, dtype=np.int64), np.ones(index.max() + 1, dtype=np.float32), (subset,)
    )
    return epochs.epoch(data.train, index, assignment, (), 4, 0, number, classes=3)


def test_an_attack_is_drawn_for_each_batch(images: Path) -> None:
    from satdsl.backend import datasets
    from satdsl.ir.work import Work

    data = datasets.input_dataset(
        Work(inputs={"data": images}, out=images, scratch=images, data_root=images, report=lambda progress: None)
    )
    subset = SubsetTraining(several("drawn", LINF, L2, None), 1.0)
    drawn = [epoch(data, subset, number).methods[0].drawn for number in range(20)]
    assert drawn[3] == epoch(data, subset, 3).methods[0].drawn
    assert len(set(drawn)) > 10
    counts = Counter(place for one in drawn for place in one)
    assert set(counts) == {0, 1, 2}
    assert all(60 < count < 140 for count in counts.values()), counts


def settings(subset: SubsetTraining, epochs: int = 3) -> Train:
    subsets = (subset, SubsetTraining(None, 1.0))
    return training(epochs, subsets=subsets, augment=(), mean=(0.5,), std=(0.25,))


EVERYTHING = SubsetTraining(
    several("drawn", LINF, L2),
    1.0,
    None,
    (
        Phase(2, several("strongest", LINF, L2), TRADES),
        Phase(3, several("mean", None, L2), LossFormula(("bce", "adversarial"))),
    ),
)


def test_a_killed_training_with_all_of_it_continues_with_the_same_bits(
    workshop: Workshop, images: Path, split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    whole = (workshop.do(settings(EVERYTHING), data=images, split=split) / "weights.safetensors").read_bytes()

    class KilledError(Exception):
        pass

    def kill(progress: Progress) -> None:
        if progress.note.startswith("epoch 2 of 3"):
            raise KilledError

    with pytest.raises(KilledError):
        workshop.do(settings(EVERYTHING), scratch=tmp_path, report=kill, data=images, split=split)
    continued = workshop.do(settings(EVERYTHING), scratch=tmp_path, data=images, split=split)
    assert (continued / "weights.safetensors").read_bytes() == whole


def test_each_epoch_is_trained_as_its_phase_says(workshop: Workshop, images: Path, split: Path) -> None:
    """Two epochs under one attack are the first two of three, whatever the third one is attacked with."""
    warm = settings(SubsetTraining(None, 1.0, None, (Phase(2, LINF, None),)), 2)
    rows = w.curves_of(workshop.do(warm, data=images, split=split))
    assert [row["attacked"] for row in rows] == [0, rows[1]["subsets"][0]["n"]]
    assert ["attack_success" in row["subsets"][0] for row in rows] == [False, True]
    clean = w.curves_of(workshop.do(settings(SubsetTraining(None, 1.0), 2), data=images, split=split))
    assert rows[0]["loss"] == clean[0]["loss"]
    assert rows[1]["loss"] != clean[1]["loss"]
