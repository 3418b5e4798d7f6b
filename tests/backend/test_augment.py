"""Augmentation: each image changed as torchvision changes it, by numbers drawn as torchvision draws them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, ks_2samp
from torch import Generator, Tensor
from torchvision import transforms
from torchvision.transforms import functional as on_tensors
from torchvision.transforms.v2 import functional as v2

from satdsl.backend.augmentations import apply_augmentations, draw_augmentations
from satdsl.backend.augmentations import resized_crop as windows
from satdsl.backend.colour import jittered, scheduled
from satdsl.backend.geometry import cropped, enlarged, flipped, rotated
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.ir.steps import CatalogCall, Data, SubsetTraining
from satdsl.ir.work import Progress, StepError

from .workshop import Workshop, call, columns_of, pgd, training

SHAPES = [(3, 32, 32), (1, 28, 28), (3, 9, 14), (3, 224, 224)]
BLENDS = ("brightness", "contrast", "saturation")
KINDS = (*BLENDS, "hue")
JITTER = call("color_jitter", brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
PAPER = (
    call("crop", padding=4),
    call("flip"),
    call("color_jitter", brightness=0.25, contrast=0.25, saturation=0.25, hue=0.0),
    call("rotation", degrees=2.0),
)
EVERYTHING = (call("resized_crop", size=32), *PAPER[:2], JITTER, call("rotation", degrees=15.0))


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def images(shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    """Noise, whose colours are of every kind, beside smooth and grey images; fewer of the large ones."""
    n = 120 if shape[1] < 100 else 10
    random = seeded(seed)
    noise = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=random)
    smooth = torch.nn.functional.interpolate(noise[:, :, :4, :4].float(), shape[1:], mode="bicubic").clamp(0, 255)
    return torch.cat([noise, smooth.to(torch.uint8), noise[:, :1].expand(noise.shape)])


def one_by_one(change: Callable[..., Tensor], pixels: Tensor, *numbers: Any) -> Tensor:
    return torch.stack([change(image, *of_image) for image, *of_image in zip(pixels, *numbers, strict=True)])


def levels_apart(left: Tensor, right: Tensor) -> Tensor:
    assert left.dtype == right.dtype == torch.uint8
    return (left.int() - right.int()).abs()


def of_one_kind(kind: str, amounts: Tensor) -> tuple[Tensor, ...]:
    return scheduled((kind,), amounts[:, None], torch.zeros(len(amounts), 1))


# --- an image is changed as torchvision changes it ---------------------------------------------------


def test_crops_and_flips_move_pixels_as_they_say() -> None:
    pixels = torch.arange(1, 1 + 2 * 2 * 3 * 3, dtype=torch.uint8).view(2, 2, 3, 3)
    moved = cropped(pixels, torch.tensor([0, 1]), torch.tensor([2, 1]), padding=1)
    assert torch.equal(moved[1], pixels[1])
    assert torch.equal(moved[0, :, 1:, :2], pixels[0, :, :2, 1:])
    assert int(moved[0, :, 0].sum()) == int(moved[0, :, :, 2].sum()) == 0
    mirrored = flipped(pixels, torch.tensor([True, False]))
    assert torch.equal(mirrored[0], pixels[0].flip(2))
    assert torch.equal(mirrored[1], pixels[1])


@pytest.mark.parametrize("shape", SHAPES)
def test_crops_are_those_of_torchvision(shape: tuple[int, int, int]) -> None:
    pixels, (_, h, w) = images(shape), shape
    top, left = torch.randint(0, 7, (2, len(pixels)), generator=seeded(1))
    expected = one_by_one(
        lambda x, i, j: on_tensors.crop(on_tensors.pad(x, [3] * 4), int(i), int(j), h, w), pixels, top, left
    )
    assert torch.equal(cropped(pixels, top, left, padding=3), expected)


@pytest.mark.parametrize(
    ("shape", "kind"), [(shape, kind) for shape in SHAPES for kind in BLENDS[: 3 if shape[0] == 3 else 2]]
)
def test_a_blend_has_the_bits_of_torchvision(shape: tuple[int, int, int], kind: str) -> None:
    pixels = images(shape)
    factors = 2 * torch.rand(len(pixels), generator=seeded(1))
    factors[:3] = torch.tensor([0.0, 1.0, 2.0])
    found = jittered(pixels, *of_one_kind(kind, factors))
    expected = one_by_one(getattr(on_tensors, f"adjust_{kind}"), pixels, factors.tolist())
    assert torch.equal(found, expected)
    fused = one_by_one(getattr(v2, f"adjust_{kind}"), pixels, factors.tolist())  # it rounds once less
    assert levels_apart(found, fused).max() <= 1
    assert (found == fused).double().mean() > 0.999


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] == 3])
@pytest.mark.parametrize("functional", [on_tensors, v2])
def test_a_hue_is_shifted_as_by_torchvision_to_one_level(shape: tuple[int, int, int], functional: Any) -> None:
    pixels = images(shape)
    shifts = torch.rand(len(pixels), generator=seeded(1)) - 0.5
    shifts[:5] = torch.tensor([-0.5, 0.5, 0.0, 1 / 3, -1 / 6])
    found = jittered(pixels, *of_one_kind("hue", shifts))
    expected = one_by_one(functional.adjust_hue, pixels, shifts.tolist())
    assert levels_apart(found, expected).max() <= 1
    assert (found == expected).double().mean() > 0.9999
    assert torch.equal(found[2], pixels[2]), "no shift"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("most", [2.0, 180.0])
def test_a_rotation_is_torchvisions_but_where_rounding_decides(shape: tuple[int, int, int], most: float) -> None:
    pixels, (_, height, width) = images(shape), shape
    degrees = most * (2 * torch.rand(len(pixels), generator=seeded(1)) - 1)
    degrees[:4] = torch.tensor([0.0, 90.0, -90.0, 180.0]) if shape[1] == shape[2] else 0.0
    angle = degrees.double().deg2rad()
    cosine, sine = angle.cos().float(), angle.sin().float()
    found = rotated(pixels, cosine, sine)
    column, row = places(cosine.double(), sine.double(), height, width)
    certain = (far_from_halfway(column, width) & far_from_halfway(row, height))[:, None].expand(found.shape)
    assert certain.double().mean() > 0.999
    for functional in (on_tensors, v2):
        expected = one_by_one(functional.rotate, pixels, degrees.tolist())
        assert torch.equal(found[certain], expected[certain])
        assert (found == expected).double().mean() > 0.9999


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rotation_has_the_same_bits_on_every_processor(shape: tuple[int, int, int]) -> None:
    """NumPy rounds every product and every sum, as `rotated` says that it does."""
    pixels, (_, height, width) = images(shape), shape
    angle = 2 * torch.rand(len(pixels), generator=seeded(1), dtype=torch.float64) - 1
    cosine, sine = angle.cos().float(), angle.sin().float()
    column, row = (torch.from_numpy(x).round().long() for x in places(cosine.numpy(), sine.numpy(), height, width))
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    rows, columns = row.clamp(0, height - 1), column.clamp(0, width - 1)
    image = torch.arange(len(pixels))[:, None, None]
    expected = pixels.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2) * inside[:, None]
    assert torch.equal(rotated(pixels, cosine, sine), expected)


def places(cosine: Any, sine: Any, height: int, width: int) -> tuple[Any, Any]:
    """Where in its image each pixel of a turned one comes from: its column and its row, [n, h, w], not yet whole.

    In the precision of `cosine` and `sine`, tensors or arrays [n].
    """
    like = torch.as_tensor(cosine)
    x, y = (torch.arange(size, dtype=like.dtype) - (size - 1) / 2 for size in (width, height))
    if not isinstance(cosine, Tensor):
        x, y = x.numpy(), y.numpy()
    y, cosine, sine = y[:, None], cosine[:, None, None], sine[:, None, None]
    column = x * (cosine / (width / 2)) - y * (sine / (width / 2))
    row = x * (sine / (height / 2)) + y * (cosine / (height / 2))
    return (column + 1) * (width / 2) - 0.5, (row + 1) * (height / 2) - 0.5


def far_from_halfway(place: Tensor, size: int) -> Tensor:
    """Whether the pixel nearest to `place` is the same however a float32 computation rounds.

    A place takes a quotient, two products and two sums of numbers up to about 2, and then counts in half images: five
    roundings of 2^-24 of 2 times size / 2 pixels, and two of the whole, at most `size`.
    """
    away = (place - place.floor() - 0.5).abs()
    return away > 7 * size * 2**-24


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("functional", [on_tensors, v2])
def test_a_window_is_enlarged_as_by_torchvision_to_one_level(shape: tuple[int, int, int], functional: Any) -> None:
    pixels, (_, h, w) = images(shape), shape
    n, random = len(pixels), np.random.default_rng(0)
    rows, columns = random.integers(1, h + 1, n), random.integers(1, w + 1, n)
    rows[0], columns[0] = h, w
    boxes = np.stack([random.integers(0, h - rows + 1), random.integers(0, w - columns + 1), rows, columns], 1)
    found = enlarged(pixels, torch.from_numpy(boxes).float())
    expected = one_by_one(
        lambda x, box: functional.resized_crop(x, *box.tolist(), [h, w], antialias=True), pixels, boxes
    )
    assert levels_apart(found, expected).max() <= 1
    assert (found == expected).double().mean() > (0.98 if functional is on_tensors else 0.7)
    assert torch.equal(found[0], pixels[0]), "the whole image"


def test_changes_of_colour_are_made_in_each_images_own_order() -> None:
    orders = list(itertools.permutations(range(4)))
    pixels = images((3, 32, 32))[: 10 * len(orders)]
    amounts = torch.rand((len(pixels), 4), generator=seeded(1)) + 0.5
    amounts[:, 3] -= 1
    order = torch.tensor(orders).repeat(10, 1)

    def expected(image: Tensor, amounts: Tensor, order: Tensor, kinds: int) -> Tensor:
        for k in order.tolist():
            if k < kinds:
                image = getattr(on_tensors, f"adjust_{KINDS[k]}")(image, float(amounts[k]))
        return image

    when = order.argsort(1)
    blends = jittered(pixels, *scheduled(BLENDS, amounts[:, :3], when[:, :3]))
    assert torch.equal(blends, one_by_one(expected, pixels, amounts, order, [3] * len(pixels)))
    found = jittered(pixels, *scheduled(KINDS, amounts, when))
    wanted = one_by_one(expected, pixels, amounts, order, [4] * len(pixels))
    assert (found == wanted).double().mean() > 0.9999
    assert levels_apart(found, wanted).max() <= 4, "one level of hue, made larger by what follows"


def test_grey_images_keep_their_only_hue_and_saturation() -> None:
    pixels = images((1, 28, 28))
    changes = draw_augmentations(
        (call("color_jitter", brightness=0, contrast=0, saturation=2, hue=0.5),), 360, (1, 28, 28), seeded()
    )
    assert torch.equal(apply_augmentations(pixels, changes, slice(0, 360)), pixels)
    changes = draw_augmentations((JITTER,), 360, (1, 28, 28), seeded())
    assert not torch.equal(apply_augmentations(pixels, changes, slice(0, 360)), pixels)


def test_no_strength_changes_nothing() -> None:
    pixels = images((3, 32, 32))
    nothing = (call("color_jitter", brightness=0, contrast=0, saturation=0, hue=0), call("rotation", degrees=0.0))
    changes = draw_augmentations(nothing, len(pixels), (3, 32, 32), seeded())
    assert torch.equal(apply_augmentations(pixels, changes, slice(0, len(pixels))), pixels)


def test_changes_are_made_in_the_order_given() -> None:
    pixels = images((3, 32, 32))
    n = len(pixels)
    for first, second in itertools.permutations((call("crop", padding=4), call("rotation", degrees=30.0)), 2):
        changes = draw_augmentations((first, second), n, (3, 32, 32), seeded())
        one_after_the_other = apply_augmentations(
            apply_augmentations(pixels, changes[:1], slice(0, n)), changes[1:], slice(0, n)
        )
        assert torch.equal(apply_augmentations(pixels, changes, slice(0, n)), one_after_the_other)
        assert not torch.equal(apply_augmentations(pixels, changes[::-1], slice(0, n)), one_after_the_other)


def test_what_becomes_of_an_image_does_not_depend_on_its_batch() -> None:
    pixels = images((3, 32, 32))
    changes = draw_augmentations(EVERYTHING, len(pixels), (3, 32, 32), seeded())
    whole = apply_augmentations(pixels, changes, slice(0, len(pixels)))
    for batch in (slice(0, 7), slice(100, 101), slice(200, 360)):
        assert torch.equal(apply_augmentations(pixels[batch], changes, batch), whole[batch])
    assert whole.shape == pixels.shape
    assert whole.dtype == torch.uint8


# --- numbers are drawn as torchvision draws them ------------------------------------------------------


def numbers_of(change: CatalogCall, n: int, shape: tuple[int, int, int], seed: int = 0) -> tuple[Tensor, ...]:
    (only,) = draw_augmentations((change,), n, shape, seeded(seed))
    return only.numbers


def torchvisions(n: int, draw: Callable[[], Any]) -> np.ndarray:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return np.array([draw() for _ in range(n)], dtype=np.float64)


def alike(found: Any, expected: Any) -> bool:
    return bool(ks_2samp(np.asarray(found), np.asarray(expected)).pvalue > 1e-3)


@pytest.mark.parametrize("strength", [0.25, 1.5])
@pytest.mark.parametrize("kind", BLENDS)
def test_factors_are_distributed_as_in_torchvision(kind: str, strength: float) -> None:
    change = call("color_jitter", **(dict.fromkeys(KINDS, 0) | {kind: strength}))
    (blends,) = numbers_of(change, 4000, (3, 8, 8))
    assert blends.shape == (4000, 1, 3)
    factor = blends[:, 0, 0]
    jitter = transforms.ColorJitter(**{kind: strength})
    bounds = getattr(jitter, kind)
    assert factor.min() >= bounds[0]
    assert factor.max() <= bounds[1]
    which = 1 + KINDS.index(kind)
    expected = torchvisions(4000, lambda: jitter.get_params(*(getattr(jitter, k) for k in KINDS))[which])
    assert alike(factor, expected)
    assert not alike(factor, 1.05 * expected), "the comparison sees so much"


def test_shifts_of_hue_are_distributed_as_in_torchvision() -> None:
    change = call("color_jitter", brightness=0, contrast=0, saturation=0, hue=0.1)
    _, shift, _ = numbers_of(change, 4000, (3, 8, 8))
    jitter = transforms.ColorJitter(hue=0.1)
    assert alike(shift, torchvisions(4000, lambda: jitter.get_params(None, None, None, jitter.hue)[4]))
    assert shift.abs().max() <= 0.1


def test_every_order_of_the_four_is_equally_likely() -> None:
    before, _, after = numbers_of(JITTER, 12_000, (3, 8, 8))

    def code(blends: Tensor) -> Tensor:
        """1, 2, 3 for the three blends, 0 for a pass that changes nothing."""
        own, mean, grey = blends.unbind(2)
        return (own != 1) * (1 + (mean != 0) + 2 * (grey != 0))

    hue = torch.full((12_000, 1), 4)
    passes = torch.cat([code(before), hue, code(after)], 1)
    orders = [tuple(int(k) for k in row if k) for row in passes]
    counts = {order: orders.count(order) for order in itertools.permutations((1, 2, 3, 4))}
    assert sum(counts.values()) == 12_000
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_angles_are_distributed_as_in_torchvision() -> None:
    cosine, sine = numbers_of(call("rotation", degrees=30.0), 4000, (3, 8, 8))
    degrees = torch.atan2(sine, cosine).rad2deg()
    assert degrees.abs().max() <= 30.001
    assert alike(degrees, torchvisions(4000, lambda: transforms.RandomRotation.get_params([-30, 30])))


@pytest.mark.parametrize("size", [12, 224])
def test_windows_are_distributed_as_in_torchvision(size: int) -> None:
    (found,) = numbers_of(call("resized_crop", size=size), 4000, (3, size, size))
    expected = torchvisions(
        4000,
        lambda: transforms.RandomResizedCrop.get_params(
            torch.empty(3, size, size), scale=[0.08, 1.0], ratio=[3 / 4, 4 / 3]
        ),
    )
    top, left, height, width = found.double().numpy().T
    assert (found == found.round()).all()
    assert (np.minimum(top, left) >= 0).all()
    assert (np.maximum(top + height, left + width) <= size).all()
    assert (height * width).min() / size**2 == pytest.approx(0.08, abs=2 / size)
    for ours, theirs in zip(found.T, expected.T, strict=True):
        assert alike(ours, theirs)
    assert alike(height * width, expected[:, 2] * expected[:, 3])
    assert alike(width / height, expected[:, 3] / expected[:, 2])
    assert alike(top / (size - height + 1), expected[:, 0] / (size - expected[:, 2] + 1))
    assert not alike(height * width, 1.1 * expected[:, 2] * expected[:, 3]), "the comparison sees so much"


def test_where_no_window_fits_the_whole_image_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "TRIES", 1)
    (boxes,) = numbers_of(call("resized_crop", size=64), 4000, (3, 64, 64))
    whole = (boxes == torch.tensor([0.0, 0, 64, 64])).all(1).double().mean()
    fits = torchvisions(20_000, one_try)
    assert float(whole) == pytest.approx(1 - fits.mean(), abs=0.02)
    assert 0.02 < whole < 0.5


def one_try() -> bool:
    """Whether one window of torchvision's fits into a square of 64 pixels."""
    area = 64 * 64 * torch.empty(1).uniform_(0.08, 1.0).item()
    ratio = math.exp(torch.empty(1).uniform_(math.log(3 / 4), math.log(4 / 3)).item())
    return max(round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))) <= 64


def test_crops_and_flips_are_drawn_evenly() -> None:
    top, left = numbers_of(call("crop", padding=2), 5000, (3, 8, 8))
    assert chisquare(np.bincount(5 * top + left, minlength=25)).pvalue > 1e-3
    (mirrored,) = numbers_of(call("flip"), 5000, (3, 8, 8))
    assert chisquare(np.bincount(mirrored)).pvalue > 1e-3


@pytest.mark.parametrize("change", EVERYTHING, ids=lambda change: change.name)
def test_neighbours_are_drawn_independently_and_another_seed_draws_anew(change: CatalogCall) -> None:
    def column(seed: int) -> np.ndarray:
        return np.concatenate(
            [x.double().reshape(4000, -1).numpy() for x in numbers_of(change, 4000, (3, 32, 32), seed)], 1
        )

    first = column(0)
    varying = first[:, first.std(0) > 0]
    assert varying.shape[1]
    for values in varying.T:
        assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4.5 / math.sqrt(4000)
    assert np.array_equal(first, column(0))
    assert not np.array_equal(first, column(1))


def test_drawing_and_changing_leave_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    apply_augmentations(images((3, 32, 32)), draw_augmentations(EVERYTHING, 360, (3, 32, 32), seeded()), slice(0, 360))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "shape", "words"),
    [
        (call("posterize", bits=4), (3, 32, 32), "no augmentation called posterize"),
        (call("resized_crop", size=24), (3, 32, 32), "does not keep the images' size, 32 x 32"),
        (call("resized_crop", size=32), (3, 32, 24), "does not keep the images' size, 32 x 24"),
        (JITTER, (4, 32, 32), "these have 4 channels"),
    ],
)
def test_what_does_not_fit_the_images_is_refused(change: CatalogCall, shape: tuple[int, int, int], words: str) -> None:
    with pytest.raises(StepError, match=words) as refused:
        draw_augmentations((change,), 1, shape, seeded())
    assert refused.value.help


# --- in a training ------------------------------------------------------------------------------------


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def colourful(workshop: Workshop) -> Path:
    return workshop.do(Data(call("synthetic", classes=3, shape=(3, 32, 32), train=60, val=30, seed=0)))


def augmented_training(augment: tuple[CatalogCall, ...]) -> Any:
    return training(
        3,
        augment=augment,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        subsets=(SubsetTraining(pgd(steps=1), 1.0),),
        snapshots=(3,),
    )


@pytest.mark.parametrize("augment", [PAPER, EVERYTHING], ids=["paper", "everything"])
def test_a_killed_training_on_changed_images_continues_with_the_same_bits(
    workshop: Workshop,
    colourful: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    augment: tuple[CatalogCall, ...],
) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    settings = augmented_training(augment)

    def left(folder: Path) -> tuple[bytes, bytes]:
        return (folder / "weights.safetensors").read_bytes(), columns_of(folder, "scores")["snapshot-loss"].tobytes()

    whole = left(workshop.do(settings, data=colourful))
    epochs: list[float] = []

    def kill(progress: Progress) -> None:
        if progress.note.startswith("epoch 2 of 3"):
            raise KilledError

    with pytest.raises(KilledError):
        workshop.do(settings, scratch=tmp_path, report=kill, data=colourful)
    continued = workshop.do(
        settings, scratch=tmp_path, report=lambda progress: epochs.append(progress.done), data=colourful
    )
    assert min(epochs) > 1, "it began anew"
    assert left(continued) == whole
    assert left(workshop.do(augmented_training(()), data=colourful)) != whole
