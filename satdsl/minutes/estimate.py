"""Estimate how long the steps of a plan take: from stored steps like them, else from measured batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from satdsl.ir.minutes import Minutes, Price, Seconds, StepTime
from satdsl.ir.plan import Passes, Piece, Plan, added
from satdsl.ir.steps import Key, Train
from satdsl.minutes.calibrations import START, STEP, Calibrations
from satdsl.minutes.schedule import makespan
from satdsl.minutes.stored import Stored, StoredStep


@dataclass(frozen=True)
class Standing:
    """The share of images that are right without attack, and the share that withstand the first attack of several."""

    clean: float
    robust: float

    def share(self, piece: Piece) -> float:
        """Return the share of the images that pass in a piece."""
        return 1.0 if not piece.standing else self.clean if piece.standing == 1 else min(self.clean, self.robust)

    def passes(self, pieces: Iterable[Piece]) -> Passes:
        return added([piece.passes.times(self.share(piece)) for piece in pieces])


@dataclass(frozen=True)
class Withstanding:
    """How many images withstand attacks, as expected, fewest and most; and from what that is known."""

    expected: Standing
    fewest: Standing
    most: Standing
    words: str = ""


def estimate(
    plan: Plan,
    to_run: Iterable[Key],
    stored: Stored,
    calibrations: Calibrations,
    workers: Iterable[int],
    price: Price | None = None,
) -> Minutes:
    """Return the time of each step that is to run, and of all of them on so many workers."""
    wanted = list(to_run)
    known = bool(wanted) and (bool(calibrations.seconds) or bool(stored.steps))  # a look at what is stored takes time
    times = {key: step_time(plan, key, stored, calibrations) if known else None for key in wanted}
    start = calibrations.get(START)
    begins = Seconds.of(start) if start else None
    return Minutes(
        device=calibrations.device.words,
        cores=calibrations.device.cores,
        steps=times,
        workers={count: _whole(plan, times, count, begins) for count in dict.fromkeys(workers)},
        start=begins,
        price=price or Price(),
    )


def _whole(plan: Plan, times: Mapping[Key, StepTime | None], workers: int, start: Seconds | None) -> Seconds:
    if all(time is None for time in times.values()):
        return Seconds()
    inputs = {key: [of for _, of in plan.steps[key].inputs] for key in times}

    def on(which: str) -> float:
        seconds = {key: getattr(time.seconds, which) if time is not None else 0.0 for key, time in times.items()}
        return makespan(seconds, inputs, workers)

    found = Seconds(on("expected"), on("low"), on("high"))
    return found if start is None else found + start


def step_time(plan: Plan, key: Key, stored: Stored, calibrations: Calibrations) -> StepTime | None:
    """Return how long one step takes; None where nothing is known."""
    return _from_stored(plan, key, stored) or _from_pieces(plan, key, stored, calibrations)


# --- from stored steps ---------------------------------------------------------------------------


def _from_stored(plan: Plan, key: Key, stored: Stored) -> StepTime | None:
    others = stored.alike(key)
    if not others:
        return None
    planned, kind = plan.passes.get(key, Passes()), plan.steps[key].kind
    images = images_of(plan.pieces.get(key, ()))
    if kind == "evaluate" and images and (networks := by_network(others)):
        each = [_each(mine, lambda one: one.seconds) * images for mine in networks]
        made = [
            _each(mine, lambda one: one.cost or 0.0) * images
            for mine in networks
            if all(one.cost is not None for one in mine)
        ]
        cost = sum(made) / len(made) if made else planned.cost
        words = _networks(len(networks)) if planned.at_most else ""
        return StepTime(Seconds.of(each), "stored", _scaled(planned, cost), words)
    if not planned.cost:
        return StepTime(Seconds.of(one.seconds for one in others), "stored", planned)
    counted = [(one, one.cost) for one in others if one.cost]
    if not counted:
        return None
    shares = [made / there.cost for one, made in counted if (there := plan.passes.get(one.key)) and there.cost]
    cost = planned.cost * (sum(shares) / len(shares) if shares and planned.at_most else 1.0)
    return StepTime(Seconds.of(one.seconds / made * cost for one, made in counted), "stored", _scaled(planned, cost))


def by_network(evaluations: Iterable[StoredStep]) -> list[list[StoredStep]]:
    """Return evaluations, or blocks of some, by the networks that they are of."""
    found: defaultdict[Key | None, list[StoredStep]] = defaultdict(list)
    for one in evaluations:
        if one.images:
            found[one.network].append(one)
    return list(found.values())


def _each(evaluations: Iterable[StoredStep], of: Callable[[StoredStep], float]) -> float:
    """Return a number of some evaluations of one network for each of their images."""
    found = list(evaluations)
    return sum(of(one) for one in found) / sum(one.images or 0 for one in found)


def images_of(pieces: Iterable[Piece]) -> int:
    """Return how many images a step measures."""
    return next((piece.images for piece in pieces), 0)


def _scaled(planned: Passes, cost: float) -> Passes:
    return planned.times(cost / planned.cost) if planned.cost else planned


# --- from measured batches -----------------------------------------------------------------------


def _from_pieces(plan: Plan, key: Key, stored: Stored, calibrations: Calibrations) -> StepTime | None:
    around = calibrations.get(STEP)
    planned = plan.passes.get(key, Passes())
    if not planned.cost and not planned.unknown:
        return StepTime(Seconds.of(around), "measured", planned) if around else None
    pieces = plan.pieces.get(key, ())
    if not pieces or planned.unknown:
        return None
    withstand = withstanding(plan, key, stored)
    total = Seconds.of(around) if around else Seconds()
    for piece in pieces:
        times = calibrations.get(piece_key(plan, key, piece, calibrations))
        if not times:
            return None
        each, cost = Seconds.of(times), piece.passes.cost
        total += Seconds(
            each.expected * cost * withstand.expected.share(piece),
            each.low * cost * withstand.fewest.share(piece),
            each.high * cost * withstand.most.share(piece),
        )
    return StepTime(total, "measured", withstand.expected.passes(pieces), withstand.words)


def piece_key(plan: Plan, key: Key, piece: Piece, calibrations: Calibrations) -> str:
    """Return what the measured times of a step's piece are kept under."""
    settings = plan.steps[key].settings
    training = settings if isinstance(settings, Train) and piece.kind == "train" else None
    return calibrations.text(piece, training)


def withstanding(plan: Plan, key: Key, stored: Stored) -> Withstanding:
    """Return how many images withstand the attack of a step: as networks like its own do, else all that are right."""
    every = Standing(1.0, 1.0)
    pieces = plan.pieces.get(key, ())
    if not any(piece.standing for piece in pieces):
        return Withstanding(every, every, every)
    inputs = dict(plan.steps[key].inputs)
    clean = stored.clean(inputs["weights"], inputs["data"]) if "weights" in inputs else None
    others = by_network(one for one in stored.alike(key) if one.accuracy is not None and one.clean is not None)
    if others:
        robust = [_each(mine, lambda one: (one.accuracy or 0.0) * (one.images or 0)) for mine in others]
        each = [_each(mine, lambda one: (one.clean or 0.0) * (one.images or 0)) for mine in others]
        cleans = each if clean is None else [clean]
        mean = Standing(sum(cleans) / len(cleans), sum(robust) / len(robust))
        return Withstanding(
            mean,
            Standing(min(cleans), min(robust)),
            Standing(max(cleans), max(robust)),
            _networks(len(others)),
        )
    right = 1.0 if clean is None else clean
    words = "all that are right, at most" if clean is None else "all that are right without attack, at most"
    return Withstanding(Standing(right, right), Standing(right, 0.0), Standing(right, right), words)


def _networks(count: int) -> str:
    return f"as many as of {count} stored network{'s' * (count > 1)} like it"
