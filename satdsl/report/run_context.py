"""Read what a report says beside its numbers: how far the run is, what it ran with, and the text of the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from satdsl.engine.errors import Damaged
from satdsl.engine.manifest import Manifest
from satdsl.engine.staleness import RUNS, Reason, reasons
from satdsl.engine.store import Store
from satdsl.findings import Finding, Source, parted
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key
from satdsl.report.computations import differences
from satdsl.report.confusion import Confusion, confusions
from satdsl.report.example_images import Example, examples, within_page


@dataclass(frozen=True)
class Environment:
    """What the stored steps ran with: each thing with its versions, and how many steps each was used for.

    `seconds` is the wall time of all of them; `first` and `last` are when the first and the last were finished, in
    UTC, ISO 8601, empty where nothing is stored.
    """

    versions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    seconds: float = 0.0
    first: str = ""
    last: str = ""
    differences: Sequence[str] = ()
    """What differs in how steps were computed, of what their numbers depend on."""


@dataclass(frozen=True)
class RunContext:
    """What the report needs to know beside the numbers.

    Attributes:
        reasons: what becomes of each step: stored, to be run, and why.
        sources: the specification's files, the main one first.
        accepted: the warnings of the checker that these files accept, each with the reason.
        resume_command: the command that runs what is missing: `satdsl run paper.sat --store runs`.
        examples: example images with their adversarial versions.
        examples_left: how many more evaluations have examples that the page has no room for.
        confusions: which class is predicted for which, of each accuracy.
        blocks: steps that measure blocks of evaluations, and are counted with these.
    """

    reasons: Mapping[Key, Reason] = field(default_factory=dict)
    environment: Environment = Environment()
    sources: Sequence[Source] = ()
    accepted: Sequence[Finding] = ()
    resume_command: str = ""
    examples: Sequence[Example] = ()
    examples_left: int = 0
    confusions: Sequence[Confusion] = ()
    blocks: Set[Key] = frozenset()

    @property
    def steps_to_run(self) -> int:
        """Steps that have to run before the report is whole."""
        return sum(reason in RUNS for key, reason in self.reasons.items() if key not in self.blocks)


def read_run_context(
    plan: Plan,
    store: Store,
    sources: Sequence[Source] = (),
    resume_command: str = "",
    findings: Sequence[Finding] = (),
) -> RunContext:
    """Read the context off the store; nothing in it says on which host a step ran.

    `findings` has what the check of `sources` found; those that they accept are in the context.

    Raises:
        ReportError: an artifact does not hold what its kind promises.
        StoreError: a newer version of satdsl wrote an artifact.
    """
    found = examples(plan, store)
    shown = within_page(found)
    left_out = len(found) - len(shown)
    _, accepted = parted(findings)
    return RunContext(
        reasons(plan, store),
        environment(plan, store),
        sources,
        accepted,
        resume_command,
        shown,
        left_out,
        confusions(plan, store),
        plan.evaluation_of.keys(),
    )


def environment(plan: Plan, store: Store) -> Environment:
    """Return what the plan's stored steps ran with.

    Raises:
        StoreError: a newer version of satdsl wrote an artifact.
    """
    stored = {key: one for key in plan.steps if store.has(key) and (one := _manifest(store, key)) is not None}
    found = list(stored.values())
    versions: dict[str, Counter[str]] = {}
    for one in found:
        for name, version in (("device", one.device), *_computed(one), ("Python", one.python), *one.packages):
            versions.setdefault(name, Counter())[version] += 1
    computed = {key: one.computed for key, one in stored.items() if one.computed is not None}
    times = sorted(one.finished for one in found)
    first, last = (times[0], times[-1]) if times else ("", "")
    return Environment(versions, sum(one.seconds for one in found), first, last, differences(plan, computed))


def _computed(one: Manifest) -> Sequence[tuple[str, str]]:
    """Return the processor and the number of threads; nothing where an earlier version did not note them."""
    found = one.computed
    return () if found is None else (("processor", found.processor), ("threads", str(found.threads)))


def _manifest(store: Store, key: Key) -> Manifest | None:
    try:
        return store.manifest(key)
    except Damaged:
        return None
