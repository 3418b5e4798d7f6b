"""Compare the settings of a step with those that a stored one was made with, and say the differences in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any

from satdsl.ir import loss_formula, steps
from satdsl.ir.steps import CatalogCall, Phase, Subset, SubsetTraining
from satdsl.records import Record, record
from satdsl.show import wording

DIGEST = re.compile(r"[0-9a-f]{64}")

Path = tuple[str | int, ...]
"""Where a setting stands: the names of fields and arguments, and places in lists."""


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()
"""Stands for a setting that is at its default, or that there is not."""


@record
class Difference(Record):
    """A setting that differs, as JSON data: `before` is that of the stored step."""

    path: Path
    before: Any
    after: Any


def differences(before: Any, after: Any, path: Path = ()) -> Iterator[Difference]:
    """Give the innermost settings that differ, of settings that keys are made of (`Step.key_settings`)."""
    if before is after or (before == after and repr(before) == repr(after)):
        return
    if isinstance(before, dict) and isinstance(after, dict) and _alike(before, after):
        for name in {**before, **after}:
            yield from differences(before.get(name, ABSENT), after.get(name, ABSENT), (*path, name))
    elif _lists_of_settings(before, after):
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, (*path, place))
    else:
        yield Difference(path, before, after)


def _alike(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether both are calls of one entry, or records of one class, which are compared one by one."""
    return bool(before.get("name") == after.get("name") and before.get("is") == after.get("is"))


def _lists_of_settings(before: Any, after: Any) -> bool:
    both = isinstance(before, list) and isinstance(after, list) and len(before) == len(after)
    return both and all(isinstance(item, dict) for item in (*before, *after))


def with_defaults(found: Difference, before: Any, after: Any) -> Difference:
    """Return a difference with what absent settings are, by the complete settings of both steps.

    What an older step does not know came later, and is at its default there.
    """
    old = _at(before, found.path) if found.before is ABSENT else found.before
    new = _at(after, found.path) if found.after is ABSENT else found.after
    return Difference(found.path, old, new)


def _at(settings: Any, path: Path) -> Any:
    for step in path:
        try:
            settings = settings[step]
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return settings


# --- in words ----------------------------------------------------------------------------------------


def setting_words(path: Path, subsets: Sequence[str], file: str = "") -> str:
    """Return what people call a setting: `recipe weight_decay`, `A attack eps`, `B weight w.npy`.

    `subsets` are the names of those that a step's settings list; `file` is the one whose digest the setting is.
    """
    words: list[str] = []
    for before, step in zip((None, *path), path, strict=False):
        if before == "subsets" and isinstance(step, int):
            words[-1] = subsets[step] if step < len(subsets) else f"subset {step + 1}"
        elif isinstance(step, int):
            words.append(f"{step + 1}")
        elif step in ("digest", "plugin"):
            words.append(file or ("file" if step == "digest" else "code"))
        elif step not in _LEFT_OUT:
            words.append(step)
    return " ".join(words) or "all of it"


_LEFT_OUT = ("source", "attacks", "is", "name")
"""Names in a path that say nothing to people: a call that differs in its name differs as a whole."""


def value_words(value: Any) -> str:
    """Return a setting in words, from JSON data."""
    if value is ABSENT:
        return "the default"
    if isinstance(value, str) and DIGEST.fullmatch(value):
        return f"SHA-256 {value[:12]}"
    made = _made(value)
    if isinstance(made, tuple) and made and all(isinstance(one, SubsetTraining | Phase) for one in made):
        return "; ".join(map(_trained_words, made))
    if isinstance(made, Subset):
        return wording.subset(made, None, _Roles())
    return wording.value(made, wording.MOST)


def _trained_words(how: SubsetTraining | Phase) -> str:
    """Return how a subset is trained, in words: `pgd(eps=0.1) (trades(beta=6)), weight 9`."""
    since = f"from epoch {how.first}: " if isinstance(how, Phase) else ""
    words = since + ("clean" if how.attack is None else wording.value(how.attack, wording.MOST))
    words += "" if how.loss is None else f" ({wording.value(how.loss, wording.MOST)})"
    if isinstance(how, SubsetTraining):
        words += "" if how.share is None else f", {wording.share(how.share)} of each batch"
        words += "" if how.weight == 1 else f", weight {wording.value(how.weight, wording.MOST)}"
        words += "".join(f", {_trained_words(phase)}" for phase in how.changes)
    return words


class _Roles(dict[str, str]):
    """What stands in each input role, where that is not known: the role itself."""

    def __missing__(self, role: str) -> str:
        return role


@cache
def _shapes() -> Mapping[str, Any]:
    modules = (steps, loss_formula)
    return {name: shape for module in modules for name, shape in vars(module).items() if is_dataclass(shape)}


def _made(value: Any) -> Any:
    """Make of JSON data the calls and records that it was made of, as far as this version has their classes."""
    if isinstance(value, list):
        return tuple(map(_made, value))
    if not isinstance(value, dict):
        return value
    named = {name: _made(entry) for name, entry in value.items() if name not in ("is", "plugin")}
    if "is" not in value:
        return CatalogCall(str(named.pop("name", "?")), tuple(named.items()))
    try:
        return _shapes()[value["is"]](**{"path": "", **named} if _has_path(value["is"]) else named)
    except (KeyError, TypeError):
        return CatalogCall(value["is"], tuple(named.items()))


def _has_path(shape: str) -> bool:
    return any(field.name == "path" and field.default is MISSING for field in fields(_shapes()[shape]))
