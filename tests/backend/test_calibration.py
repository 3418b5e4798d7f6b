"""Each kind of piece is measured through the real code, and the time of a pass is that of its share of the work."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from satdsl.backend import calibration, perform
from satdsl.backend.calibration import seconds_per_pass
from satdsl.backend.images import Images
from satdsl.backend.models import Network
from satdsl.compile import check
from satdsl.ir.plan import Piece, Plan
from satdsl.ir.steps import Train
from satdsl.minutes.calibrations import START, STEP, Calibrations, this_device
from satdsl.minutes.measuring import measure, missing, words
from satdsl.plan.expand import expand

SPEC = """sat 1
dataset d = digits(limit=300, holdout=30%, augment=[crop(padding=1)])
model m = small_cnn(width=4)
recipe r = sgd(epochs=2, batch=32, lr=0.1)
attack p = pgd(norm=L2, eps=0.5, steps=3, step_size=0.1)
attack n = noise(norm=L2, eps=0.5, draws=2)
attack aa = autoattack(norm=Linf, eps=0.1)
attack near = fmn(norm=L2)
train q = m on d using r { keep snapshots every epoch }
split s of d { A = random 30% examples; B = rest }
train t = m on s using r {
  attack A with p
  loss A = ce(adversarial) + kl(q(clean), adversarial)
  select by robust accuracy under n at end
}
evaluate t { v = robust accuracy under aa on val; w = median distance under near on val; g = mean grand on val }
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return expand(check("x.sat", SPEC, {}))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "LONG", 0.02)


def every_piece(plan: Plan) -> list[tuple[Piece, Train | None]]:
    return list(missing(plan, plan.steps, Calibrations(this_device("cpu"))).values())


def test_every_kind_of_piece_is_measured(plan: Plan) -> None:
    pieces = every_piece(plan)
    assert {piece.kind for piece, _ in pieces} == {"train", "forward", "gradient", "attack"}
    for piece, training in pieces:
        times = seconds_per_pass(piece, training, "cpu")
        assert times, words(piece)
        assert all(0 < one < 0.1 for one in times), (words(piece), times)


def test_a_pass_alone_counts_a_third(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is made to take 30 ms more takes them for a third of a pass of each of its images."""
    piece = next(piece for piece, _ in every_piece(plan) if piece.kind == "forward")
    sizes: list[int] = []
    look = calibration._forward

    def slow(network: Network, images: Images, device: str) -> calibration.Work:
        sizes.append(len(images))
        passed = look(network, images, device)
        return lambda: (time.sleep(0.03), passed())[1]

    monkeypatch.setattr(calibration, "_forward", slow)
    assert 0.03 <= min(seconds_per_pass(piece, None, "cpu")) * sizes[-1] / 3 < 0.3


def test_measuring_keeps_what_it_found_and_what_is_around(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SATDSL_CACHE", str(tmp_path))
    calibrations = Calibrations(this_device("cpu"))
    calibrations.add({START: [1.0]})
    wanted = missing(plan, plan.steps, calibrations)
    said: list[str] = []
    measure(wanted, calibrations, lambda piece, training, device: [1e-5], perform, "cpu", said.append)
    kept = Calibrations.load(this_device("cpu"))
    assert set(kept.seconds) == {START, STEP, *wanted}
    assert all(0 < one < 5 for one in kept.get(STEP))
    assert not missing(plan, plan.steps, kept)
    assert len(said) == 1 + len(wanted)
