"""Say why a step of a plan is not stored: in what it differs from the nearest step that is, down to its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import PurePath
from typing import Any

from satdsl.engine.manifest import Manifest
from satdsl.engine.staleness import RUNS, Reason, reasons
from satdsl.engine.store import ReadableStore
from satdsl.engine.stored_steps import StoredSteps
from satdsl.ir.plan import Plan
from satdsl.ir.steps import BLOCK, VERSIONS, Key, Step
from satdsl.show.differences import Difference, Path, differences, setting_words, value_words, with_defaults
from satdsl.show.document import shown_reasons

FORMAT_VERSION = 1

OriginOf = Callable[[Key, Path], Mapping[str, Any] | None]
"""What sets a setting of a step: the `file`, the `line` and its `text`, and what it is the `default_of`, if it is."""

MANY = 12
"""How many differences an input counts as that is no longer stored, or that is another kind of thing altogether."""


@dataclass(frozen=True)
class Input:
    """An input that differs; `before` or `after` is None where the stored step or the new one has none in its role."""

    role: str
    before: Key | None
    after: Key | None


@dataclass(frozen=True)
class Comparison:
    """A step of a plan beside a stored one of its kind."""

    step: Key
    stored: Manifest
    settings: tuple[Difference, ...]
    inputs: tuple[Input, ...]

    @property
    def code(self) -> tuple[int, int] | None:
        """Return the versions of the code behind the kind, of the stored step and now, where they differ."""
        versions = self.stored.code_version, VERSIONS[self.stored.kind]
        return versions if versions[0] != versions[1] else None

    @property
    def own(self) -> int:
        """Return the number of differences that are not those of its inputs."""
        return len(self.settings) + (self.code is not None)


class Nearest:
    """Compares the steps of a plan with stored ones: the fewest differences, those of the inputs among them."""

    def __init__(self, plan: Plan, stored: StoredSteps) -> None:
        self.plan, self.stored = plan, stored
        self._own: dict[tuple[Key, Key], tuple[Difference, ...]] = {}
        self._apart: dict[tuple[Key, Key], int] = {}
        self._settings: dict[Key, Any] = {}

    def to(self, key: Key, *, called_the_same: bool = False) -> Comparison | None:
        """Return the comparison with the nearest stored step of its kind, None where none is stored.

        Of equally near ones one that is called as the step is wins, then the one that was finished last. Those alone
        count that are `called_the_same` and are no steps of this plan, where that is asked for.
        """
        step, called = self.plan.steps[key], self.plan.labels[key]
        candidates = self.stored.of_kind(step.kind, called if called_the_same else None)
        best: tuple[tuple[int, bool], Manifest] | None = None
        for found in sorted(candidates, key=lambda one: str(one.finished), reverse=True):
            if found.key == key or (called_the_same and found.key in self.plan.steps):
                continue
            place = self._distance(key, found.key), found.label != called
            if best is None or place < best[0]:
                best = place, found
        return None if best is None else self.with_stored(key, best[1])

    def with_stored(self, key: Key, found: Manifest) -> Comparison:
        """Return the comparison of a step with a stored one of its kind."""
        step = self.plan.steps[key]
        complete = step.settings_document
        changed = tuple(with_defaults(one, found.settings, complete) for one in self._differences(key, found))
        return Comparison(key, found, changed, tuple(_inputs(step, found)))

    def _differences(self, key: Key, found: Manifest) -> tuple[Difference, ...]:
        place = key, found.key
        if place not in self._own:
            if key not in self._settings:
                self._settings[key] = self.plan.steps[key].key_settings
            self._own[place] = tuple(differences(found.key_settings, self._settings[key]))
        return self._own[place]

    def _distance(self, key: Key, other: Key) -> int:
        """Return in how many settings and versions two steps differ, with those of their inputs."""
        if key == other:
            return 0
        place = key, other
        if place not in self._apart:
            step, found = self.plan.steps.get(key), self.stored.manifest(other)
            if step is None or found is None or found.kind != step.kind:
                return MANY
            apart = len(self._differences(key, found)) + (found.code_version != VERSIONS[step.kind])
            for one in _inputs(step, found):
                missing = one.before is None or one.after is None
                apart += 1 if missing else self._distance(str(one.after), str(one.before))
            self._apart[place] = min(apart, MANY) if apart else 1
        return self._apart[place]


def _inputs(step: Step, found: Manifest) -> Iterator[Input]:
    """Give the inputs that differ; blocks differ where what they are measured on does."""
    new, old = dict(step.sources), {role: key for role, key in found.inputs.items() if not role.startswith(BLOCK)}
    for role in dict.fromkeys([*new, *old]):
        if new.get(role) != old.get(role):
            yield Input(role, old.get(role), new.get(role))


def chain(nearest: Nearest, key: Key) -> list[tuple[Key, Comparison | None]]:
    """Return the comparison of a step, then of each input that differs, down to what differs in itself.

    An input is compared with what the stored step was made from, as long as that is stored, so that all of it is the
    story of one earlier plan.
    """
    found: list[tuple[Key, Comparison | None]] = []
    waiting: list[tuple[Key, Key | None]] = [(key, None)]
    seen: set[Key] = set()
    while waiting:
        now, other = waiting.pop(0)
        if now in seen:
            continue
        seen.add(now)
        stored = nearest.stored.manifest(other) if other is not None else None
        fits = stored is not None and stored.kind == nearest.plan.steps[now].kind
        if other is not None and not fits and nearest.stored.manifest(now) is not None:
            continue  # it is stored, and what it is there in place of is gone
        comparison = nearest.with_stored(now, stored) if stored is not None and fits else nearest.to(now)
        found.append((now, comparison))
        if comparison is not None:
            waiting += [(one.after, one.before) for one in comparison.inputs if one.after is not None]
    return found


# --- as data -----------------------------------------------------------------------------------------


def why_document(plan: Plan, store: ReadableStore, key: Key, origin: OriginOf) -> dict[str, Any]:
    """Return why a step has to run, or that it is stored, as JSON data.

    Raises:
        StoreError: the store cannot be read.
    """
    stored = StoredSteps(store)
    state = shown_reasons(plan, reasons(plan, store, wanted=(key,)))
    document = {"format_version": FORMAT_VERSION, "step": _step(plan, key, state[key])}
    made = stored.manifest(key) if state[key] == "stored" else None
    compared = [] if state[key] in ("stored", "damaged") else chain(Nearest(plan, stored), key)
    return document | {
        "damage": _fault(store, key) if state[key] == "damaged" else None,
        "stored": None if made is None else _made(made) | {"seconds": made.seconds, "bytes": made.size},
        "compared": [
            {
                "step": _step(plan, now, "stored" if store.has(now) else state[now]),
                "stored_of_kind": stored.count(plan.steps[now].kind),
                **_compared(plan, stored, now, comparison, origin),
            }
            for now, comparison in compared
        ],
        "left_out": {"damaged": sorted(stored.damaged), "newer": sorted(stored.newer)},
    }


def _fault(store: ReadableStore, key: Key) -> str:
    return (store.check_sizes(key) if store.has(key) else None) or "it was set aside"


def _step(plan: Plan, key: Key, reason: str) -> dict[str, Any]:
    return {"key": key, "label": plan.labels[key], "kind": plan.steps[key].kind, "reason": reason}


def _made(found: Manifest) -> dict[str, Any]:
    """Return which artifact a manifest is of, and when, where and by which version it was made."""
    version = dict(found.packages).get("satdsl", "?")
    made = {"finished": found.finished, "satdsl": version, "host": found.host, "device": found.device}
    return {"key": found.key, "label": found.label, **made}


def _compared(
    plan: Plan, stored: StoredSteps, key: Key, comparison: Comparison | None, origin: OriginOf
) -> dict[str, Any]:
    if comparison is None:
        return {"nearest": None, "code": None, "settings": [], "inputs": []}
    code = None if comparison.code is None else {"from": comparison.code[0], "to": comparison.code[1]}
    return {
        "nearest": _made(comparison.stored),
        "code": code,
        "settings": [{**in_words(plan, key, one), "origin": origin(key, one.path)} for one in comparison.settings],
        "inputs": [
            {
                "role": one.role,
                "from": None if one.before is None else _called(stored, one.before),
                "to": None if one.after is None else plan.labels[one.after],
            }
            for one in comparison.inputs
        ],
    }


def _called(stored: StoredSteps, key: Key) -> str:
    found = stored.manifest(key)
    return f"a step that is no longer stored ({key[:8]})" if found is None else found.label


def in_words(plan: Plan, key: Key, found: Difference) -> dict[str, str]:
    """Return a difference in words: the `setting`, what it was, `from`, and what it is now, `to`."""
    named = (name for digest, name in _files(plan.steps[key].settings) if digest == found.after)
    setting = setting_words(found.path, plan.subsets_of(key), next(named, ""))
    return {"setting": setting, "from": value_words(found.before), "to": value_words(found.after)}


def _files(value: Any) -> Iterator[tuple[str, str]]:
    """Give the digest and the name of each file that settings name."""
    if isinstance(value, tuple):
        for item in value:
            yield from _files(item)
    elif is_dataclass(value) and not isinstance(value, type):
        path, digest = getattr(value, "path", None), getattr(value, "digest", None)
        if path and digest:
            yield digest, PurePath(path).name
        for each in fields(value):
            yield from _files(getattr(value, each.name))


# --- in short ----------------------------------------------------------------------------------------

MOST_SAID = 2
"""Differences that are said of a step in short; more are counted."""

LONGEST_SAID = 40
"""Letters of both sides of a difference that is said in short."""

MOST_COMPARED = 20_000
"""Stored steps that those of one plan are compared with at most, so that `explain` stays quick."""


def because(plan: Plan, why: Mapping[Key, Reason], store: ReadableStore) -> dict[Key, str]:
    """Return in short why steps run that an earlier plan called the same: `weight_decay 0.0005, was 0.0001`.

    Steps that only what they are made from has changed are left out; and all of them where reading every manifest of
    the store would take long.
    """
    run = [key for key, reason in why.items() if reason in RUNS - {"forced", "damaged"} and key in plan.shown]
    if not run or not store.is_local or not store.exists():
        return {}
    stored = StoredSteps(store)
    nearest, left = Nearest(plan, stored), MOST_COMPARED
    found = {}
    for key in run:
        left -= stored.count(plan.steps[key].kind, plan.labels[key])
        if left < 0:
            break
        comparison = nearest.to(key, called_the_same=True)
        if comparison is not None and comparison.own:
            found[key] = _in_short(plan, key, comparison)
    return found


def _in_short(plan: Plan, key: Key, comparison: Comparison) -> str:
    said = [] if comparison.code is None else [f"code {comparison.code[1]}, was {comparison.code[0]}"]
    for one in comparison.settings[:MOST_SAID]:
        words = in_words(plan, key, one)
        name, sides = words["setting"].rpartition(" ")[2], f"{words['to']}, was {words['from']}"
        said.append(f"{name} {sides}" if len(sides) <= LONGEST_SAID else f"other {name}")
    more = comparison.own - len(said)
    return "; ".join(said) + (f"; {more} more" if more > 0 else "")
