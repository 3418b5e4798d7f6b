"""Cutout, noise, mixup and CutMix, against what they are by definition."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Generator, Tensor
from torch.nn import functional as F

from satdsl.backend.augmentations import apply_augmentations, draw_augmentations
from satdsl.backend.augmentations.cutmix import cutmix
from satdsl.backend.augmentations.gaussian_noise import normal
from satdsl.backend.augmentations.mixup import mixup
from satdsl.backend.datasets import load
from satdsl.backend.epoch import Epoch, epoch
from satdsl.backend.losses import SubsetTerm, train_pass
from satdsl.backend.losses.trades import trades
from satdsl.backend.models import build
from satdsl.backend.recipes import Recipe
from satdsl.backend.subset_assignment import SubsetAssignment
from satdsl.ir.draws import GOLDEN, MASK, mix
from satdsl.ir.steps import CatalogCall

from .workshop import call, pgd, sgd


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def changed(change: CatalogCall, pixels: Tensor) -> Tensor:
    drawn = draw_augmentations([change], len(pixels), pixels.shape[1:], seeded())
    return apply_augmentations(pixels, drawn, slice(0, len(pixels)))


# --- changes of one image ------------------------------------------------------------------------


def test_cutout_fills_one_square_around_a_centre_that_is_uniform_in_the_image() -> None:
    pixels = torch.full((4000, 3, 8, 10), 200, dtype=torch.uint8)
    filled = changed(call("cutout", size=4, fill=(0.0, 0.5, 1.0)), pixels) != 200
    assert torch.equal(filled[:, 0], filled[:, 1])
    for image in filled[:50, 0]:
        rows, columns = image.any(1).nonzero().flatten(), image.any(0).nonzero().flatten()
        assert int(image.sum()) == len(rows) * len(columns)
        assert len(rows) == int(rows[-1] - rows[0]) + 1 <= 4
    # A square of 4 rows around centre c covers c - 2 .. c + 1, so row 0 lies in those of c = 0, 1, 2.
    covered = filled[:, 0].any(2).float().mean(0)
    expected = torch.tensor([sum(c - 2 <= row <= c + 1 for c in range(8)) / 8 for row in range(8)])
    assert torch.allclose(covered, expected, atol=0.04)


def test_cutout_has_the_colour_that_is_given() -> None:
    image = changed(call("cutout", size=2, fill=(0.0, 0.5, 1.0)), torch.full((1, 3, 4, 4), 7, dtype=torch.uint8))[0]
    assert [sorted(set(channel.flatten().tolist()) - {7}) for channel in image] == [[0], [128], [255]]


def test_noise_is_normal_with_its_standard_deviation_and_clipped() -> None:
    grey = torch.full((40, 3, 16, 16), 128, dtype=torch.uint8)
    found = changed(call("gaussian_noise", std=0.1), grey).float() - 128
    assert float(found.mean()) == pytest.approx(0, abs=0.5)
    assert float(found.std()) == pytest.approx(25.5, rel=0.02)
    clipped = changed(call("gaussian_noise", std=1.0), grey)
    assert 0.25 < float((clipped == 255).float().mean()) < 0.35


def test_the_numbers_of_an_image_are_those_of_splitmix_whatever_the_batch() -> None:
    seeds = torch.tensor([0, -5, 2**62])
    found = normal(seeds, 2000)
    for row, seed in zip(found, seeds.tolist(), strict=True):
        for place in (0, 1, 1999):
            bits = mix((seed + (place + 1) * GOLDEN) & MASK) >> 41
            uniform = (bits + 0.5) / 2**23
            expected = math.sqrt(2) * float(torch.erfinv(torch.tensor(2 * uniform - 1, dtype=torch.float64)))
            assert float(row[place]) == pytest.approx(expected, abs=1e-3)
    assert kstest(found.flatten().numpy(), "norm").pvalue > 0.01
    pixels = torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8, generator=seeded())
    drawn = draw_augmentations([call("gaussian_noise", std=0.2)], 9, (1, 8, 8), seeded())
    parts = [apply_augmentations(pixels[b], drawn, b) for b in (slice(0, 4), slice(4, 9))]
    assert torch.equal(torch.cat(parts), apply_augmentations(pixels, drawn, slice(0, 9)))


# --- changes of pairs ----------------------------------------------------------------------------


def mixed_epoch(change: CatalogCall, subsets: np.ndarray | None = None) -> Epoch:
    images = load(call("digits", limit=100, limit_val=20), Path("nowhere")).train
    of = np.zeros(len(images), dtype=np.int64) if subsets is None else subsets
    assignment = SubsetAssignment(of, np.ones(len(images), dtype=np.float32), (1.0, 1.0), (None, None), (None, None))
    return epoch(images, np.arange(len(images)), assignment, (change,), 25, 0, 0, classes=10)


def test_mixup_interpolates_images_and_labels_alike_within_the_subset() -> None:
    subsets = np.arange(100) % 2
    now = mixed_epoch(call("mixup", alpha=1.0, probability=1.0), subsets)
    plain = mixed_epoch(call("flip"), subsets)
    assert now.mixing is not None
    for i, ((x, y), batch) in enumerate(zip(now.inputs(), now.batches, strict=True)):
        rows = now.order[batch]
        images, labels = now.images.pixels[rows].float() / 255, now.images.labels[rows]
        others = now.mixing.others[i]
        assert (subsets[rows] == subsets[rows[others]]).all()
        assert sorted(others.tolist()) == list(range(len(rows)))
        share = now.mixing.numbers[0][i]
        assert torch.allclose(x, share * images + (1 - share) * images[others], atol=1e-6)
        expected = share * F.one_hot(labels, 10) + (1 - share) * F.one_hot(labels[others], 10)
        assert torch.allclose(y, expected)
    assert torch.equal(plain.order, now.order)


def test_cutmix_pastes_a_rectangle_and_mixes_the_labels_by_its_area() -> None:
    now = mixed_epoch(call("cutmix", alpha=1.0, probability=1.0))
    assert now.mixing is not None
    for i, ((x, y), batch) in enumerate(zip(now.inputs(), now.batches, strict=True)):
        rows = now.order[batch]
        images, others = now.images.pixels[rows].float() / 255, now.mixing.others[i]
        top, bottom, left, right = now.mixing.numbers[0][i].tolist()
        wanted = images.clone()
        wanted[:, :, top:bottom, left:right] = images[others][:, :, top:bottom, left:right]
        assert torch.allclose(x, wanted, atol=1e-6)
        share = 1 - (bottom - top) * (right - left) / 64
        labels = now.images.labels[rows]
        assert torch.allclose(y, share * F.one_hot(labels, 10) + (1 - share) * F.one_hot(labels[others], 10))


def test_shares_and_rectangles_are_drawn_as_published() -> None:
    (shares,) = mixup(4000, (3, 32, 32), seeded(), alpha=0.4, probability=1.0).numbers
    assert kstest(shares.numpy(), "beta", args=(0.4, 0.4)).pvalue > 0.01
    (some,) = mixup(4000, (3, 32, 32), seeded(), alpha=1.0, probability=0.3).numbers
    assert float((some < 1).float().mean()) == pytest.approx(0.3, abs=0.03)
    (edges,) = cutmix(4000, (3, 32, 32), seeded(), alpha=1.0, probability=1.0).numbers
    top, bottom, left, right = edges.unbind(1)
    assert int(top.min()) == int(left.min()) == 0
    assert int(bottom.max()) == int(right.max()) == 32
    assert bool((top <= bottom).all())
    (none,) = cutmix(50, (3, 32, 32), seeded(), alpha=1.0, probability=1e-9).numbers
    assert bool((none[:, 0] == none[:, 1]).all())


def test_the_loss_of_a_mixture_is_the_mixture_of_two_cross_entropies() -> None:
    torch.manual_seed(0)
    network = build(call("small_cnn", width=2), (3, 6, 6), 5, (0.5,) * 3, (0.5,) * 3).train()
    x, own, other, share = torch.rand(8, 3, 6, 6), torch.arange(8) % 5, torch.arange(8) % 3, 0.3
    soft = share * F.one_hot(own, 5) + (1 - share) * F.one_hot(other, 5)
    adversarial = (x + 0.05).clamp(0, 1)
    for smoothing in (0.0, 0.1):
        recipe = Recipe.of(sgd(1, label_smoothing=smoothing))
        logits = network(x)
        ce = [F.cross_entropy(logits, y, reduction="none", label_smoothing=smoothing) for y in (own, other)]
        result = train_pass(network, x, soft, (), recipe)
        assert torch.allclose(result.losses, share * ce[0] + (1 - share) * ce[1], atol=1e-5)
        assert torch.equal(result.right, logits.argmax(1) == other)
    rows = torch.arange(8)
    term = SubsetTerm(rows, adversarial, partial(trades, beta=6.0))
    result = train_pass(network, x, soft, [term], Recipe.of(sgd(1)))
    both = network(torch.cat([x, adversarial])).log_softmax(1)
    clean, moved = both[:8], both[8:]
    expected = -(soft * clean).sum(1) + 6 * (clean.exp() * (clean - moved)).sum(1)
    assert torch.allclose(result.losses, expected, atol=1e-4)


def test_an_attack_on_a_mixture_climbs_the_mixture_of_both_cross_entropies() -> None:
    from satdsl.backend.attacks import attack_of

    torch.manual_seed(0)
    network = build(call("small_cnn", width=2), (3, 6, 6), 5, (0.5,) * 3, (0.5,) * 3).eval()
    x, soft = torch.rand(8, 3, 6, 6), torch.rand(8, 5).softmax(1)
    moved = attack_of(pgd(norm="Linf", eps=0.1, step_size=0.05, steps=1, keep="last"))(network, x, soft, seeded())
    images = x.clone().requires_grad_()
    loss = -(soft * network(images).log_softmax(1)).sum()
    (gradient,) = torch.autograd.grad(loss, images)
    assert torch.allclose(moved, (x + 0.05 * gradient.sign()).clamp(0, 1), atol=1e-6)
