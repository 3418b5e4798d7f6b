"""Measure for claims' verdicts no more images than these need: block after block, until each is decided."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from satdsl.engine.events import ClaimsLookedAt, Listener
from satdsl.engine.store import Store
from satdsl.ir import claim_needs
from satdsl.ir.claim_needs import steps_of
from satdsl.ir.part_of_plan import closure
from satdsl.ir.plan import Comparison, Plan
from satdsl.ir.steps import Key
from satdsl.report.claims import ClaimResult, Verdict, verdicts
from satdsl.report.results import measured

_FASTER = 4
"""After a look without verdict a fourth of the blocks that a comparison has are measured more, at least one."""


class Decisions:
    """Chooses what has to be measured next, from the verdicts on what is stored."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        workers: Callable[[], int] = lambda: 1,
        listen: Listener = lambda event: None,
    ) -> None:
        """Plan for so many `workers`: as many blocks are asked for, but no more than double those that are there."""
        claimed = claim_needs.steps_of_claims(plan)
        compared = [one for claim in plan.claims for one in claim.comparisons]
        self.plan = plan
        self._store = store
        self._workers = workers
        self._asked: set[Key] = set()
        self._listen = listen
        # What no claim rests on is not read at every look.
        rests_on = {result.name for one in compared for result in claim_needs.results_of(plan, one)}
        self._read = replace(plan, results=tuple(one for one in plan.results if one.name in rests_on))
        wanted = closure(plan, claimed)
        self._divided = [key for key in plan.steps if key in wanted and plan.steps[key].blocks]
        in_part = {key for one in compared for key in claim_needs.in_blocks(plan, one)}
        in_full = {key for one in compared for key in set(steps_of(plan, one)) - set(claim_needs.in_blocks(plan, one))}
        self._whole = [key for key in claimed if key in in_full or key not in in_part]

    @property
    def first(self) -> tuple[Key, ...]:
        """The steps that are wanted before the first look: all but the blocks after the first of each evaluation."""
        starts = [self.plan.steps[key].blocks[0] for key in self._divided]
        return self._once([*self._whole, *starts])

    def more(self) -> tuple[Key, ...]:
        """Look at the claims, and return the steps that are wanted before the next look; none where this was the last.

        Raises:
            ReportError: an artifact does not hold what its kind promises.
        """
        found = verdicts(self._read, measured(self._read, self._store))
        wanted = self._wanted(found)
        blocks = sum(self.plan.steps[key].is_block for key in wanted)
        done, every = self.blocks
        share = done / every if every else 1.0  # what is not in blocks is attacked whole
        self._listen(ClaimsLookedAt(sum(one.decided for one in found), len(found), share, blocks))
        return wanted

    @property
    def blocks(self) -> tuple[int, int]:
        """How many blocks of the claims' evaluations are stored, and of how many."""
        every = [block for key in self._divided for block in self.plan.steps[key].blocks]
        return sum(map(self._store.has, every)), len(every)

    def _wanted(self, found: list[ClaimResult]) -> tuple[Key, ...]:
        """Return the next blocks of what undecided comparisons rest on; of each that has all, the whole evaluation."""
        depth: dict[Key, float] = {}
        for comparison in _undecided(found):
            keys = claim_needs.in_blocks(self.plan, comparison)
            shares = {key: self._measured(key) / len(self.plan.steps[key].blocks) for key in keys}
            if not shares:
                continue
            least = min(shares.values())
            for key in keys:
                count = len(self.plan.steps[key].blocks)
                now = math.floor(least * count + 1e-9)
                depth[key] = max(depth.get(key, 0.0), min(1.0, (now + max(1, now // _FASTER)) / count))
        wanted, workers = list(self._down_to(depth)), self._workers()
        most = {key: min(1.0, 2 * self._measured(key) / len(self.plan.steps[key].blocks)) for key in depth}
        while 0 < len(wanted) < workers and any(share < most[key] for key, share in depth.items()):
            depth = {key: max(share, min(most[key], share + self._one(key))) for key, share in depth.items()}
            wanted = list(self._down_to(depth))
        whole = [key for key in self._divided if self._measured(key) == len(self.plan.steps[key].blocks)]
        return self._once([*wanted, *whole])

    def _one(self, evaluation: Key) -> float:
        """Return the share of an evaluation's images that a block has."""
        return 1 / len(self.plan.steps[evaluation].blocks)

    def _down_to(self, depth: dict[Key, float]) -> Iterator[Key]:
        for key, share in depth.items():
            blocks = self.plan.steps[key].blocks
            yield from (one for one in blocks[: math.ceil(share * len(blocks) - 1e-9)] if one not in self._asked)

    def _measured(self, evaluation: Key) -> int:
        """Return how many of an evaluation's first blocks are stored."""
        blocks = self.plan.steps[evaluation].blocks
        return next((i for i, block in enumerate(blocks) if not self._store.has(block)), len(blocks))

    def _once(self, keys: list[Key]) -> tuple[Key, ...]:
        """Return those that have not been asked for yet: what has failed does not begin again."""
        new = tuple(key for key in dict.fromkeys(keys) if key not in self._asked)
        self._asked.update(new)
        return new


def _undecided(found: list[ClaimResult]) -> Iterator[Comparison]:
    """Give the comparisons on which a claim's verdict still depends, and of which images are measured."""
    for claim in found:
        if not claim.decided:
            yield from (one.comparison for one in claim.compared if one.verdict is Verdict.UNDECIDED)


def judged_in_full(plan: Plan) -> list[str]:
    """Return a sentence for each claim that rests on evaluations in blocks of which no part is enough."""
    found = []
    for claim in plan.claims:
        divided = (one for one in claim.comparisons if any(plan.steps[key].blocks for key in steps_of(plan, one)))
        reasons = dict.fromkeys(filter(None, map(claim_needs.why_in_full, divided)))
        if reasons:
            found.append(f'"{claim.text}" is judged on all images: {"; ".join(reasons)}')
    return found
