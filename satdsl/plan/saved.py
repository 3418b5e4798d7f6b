"""Save a plan in a file and load it, to run it later or elsewhere if code, data sets and files are still the same.

The file has the plan's records as plain data, each with its class under `is`; and what the plan takes for granted:
the version of the code behind each kind of step, the facts of each data set, the digests of the files that it names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from satdsl import folder_contents
from satdsl.catalog import catalog, plugins
from satdsl.catalog.datasets import DatasetEntry, facts
from satdsl.folder_contents import differences
from satdsl.ir import loss_formula, steps
from satdsl.ir import plan as plans
from satdsl.ir.plan import Plan
from satdsl.ir.steps import VERSIONS, CatalogCall, Data, PluginCode
from satdsl.version import __version__

FORMAT = 1

_FOLDER = "the folder "
"""What stands before the path of a folder of images among the facts."""

_RECORDS = {
    name: shape
    for module in (steps, plans, loss_formula)
    for name, shape in vars(module).items()
    if isinstance(shape, type) and is_dataclass(shape)
}


class UnusablePlan(Exception):
    """A saved plan cannot be run: `reasons` has a sentence for each thing that is wrong."""

    def __init__(self, path: Path, reasons: list[str]) -> None:
        self.path = path
        self.reasons = reasons
        listed = "".join(f"\n  - {reason}" for reason in reasons)
        super().__init__(f"the saved plan {path} cannot be used:{listed}\ncompile its specification again")


def save(plan: Plan, path: Path) -> None:
    """Write the plan: JSON where `path` ends in `.json`, else YAML."""
    document = {
        "satdsl_plan": FORMAT,
        "satdsl": __version__,
        "code": {step.kind: VERSIONS[step.kind] for step in plan.steps.values()},
        "facts": dict(_facts(plan)),
        "plan": _data(plan, {}),
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) if path.suffix == ".json" else _yaml(document)
    path.write_text(text, "utf-8")


def load(path: Path) -> Plan:
    """Return the plan in a file that `save` wrote.

    Raises:
        UnusablePlan: it is no such file, or code, data sets or files have changed since.
        OSError: it cannot be read.
    """
    document = _parsed(path)
    try:
        plan = _value(document["plan"], {})
        if not isinstance(plan, Plan):
            raise TypeError("there is no plan in it")
        changed = [*_code_changes(document["code"]), *_world_changes(plan, document["facts"])]
        # A changed version changes every key behind it, which says nothing more.
        changed = changed or _edits(plan)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnusablePlan(path, [f"it is damaged ({type(error).__name__}: {error})"]) from None
    if changed:
        raise UnusablePlan(path, changed)
    return plan


# --- records as data -----------------------------------------------------------------------------


def _data(value: Any, known: dict[int, Any]) -> Any:
    """Turn records into data. Shared records become one object, which YAML writes once and refers to afterwards."""
    if isinstance(value, tuple):
        return [_data(item, known) for item in value]
    if isinstance(value, Mapping):
        return {"is": "Mapping", "of": {key: _data(item, known) for key, item in value.items()}}
    if not is_dataclass(value):
        return value
    if id(value) not in known:
        named = {name: _data(getattr(value, name), known) for name in _saved(value.__class__)}
        known[id(value)] = {"is": type(value).__name__} | named
    return known[id(value)]


@cache
def _saved(shape: Any) -> tuple[str, ...]:
    """The fields of a record that make it what it is; the defaults of a call are in the catalog."""
    return tuple(field.name for field in fields(shape) if field.compare)


def _value(data: Any, known: dict[int, Any]) -> Any:
    """Turn data into records; the same object becomes the same record."""
    if isinstance(data, list):
        return tuple([_value(item, known) for item in data])
    if not isinstance(data, dict):
        return data
    if id(data) not in known:
        if data["is"] == "Mapping":
            known[id(data)] = {key: _value(item, known) for key, item in data["of"].items()}
        else:
            values = {name: _value(item, known) for name, item in data.items() if name != "is"}
            known[id(data)] = (_RECORD_READERS.get(data["is"]) or _RECORDS[data["is"]])(**values)
    return known[id(data)]


def _call(name: str, args: Any, plugin: PluginCode | None = None) -> CatalogCall:
    """Return a stored call with its defaults."""
    if plugin is not None and not plugin.files:
        return CatalogCall(name, args, {}, plugin)  # its code is gone, which is told later
    return catalog().call(name, *args, plugin=plugin)


def _code(function: str, digest: str, path: str, place: str) -> PluginCode:
    """Return code of the user's own with the text that its file has now; what is another text is told later."""
    now = plugins.on_disk(place)
    files = now.files if now is not None and now.digest == digest else ()
    return PluginCode(function, digest, path, place, files)


_RECORD_READERS: Mapping[str, Callable[..., Any]] = {"CatalogCall": _call, "PluginCode": _code}
"""What makes records of which a part is not saved."""


def _yaml(document: Any) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, width=110))


def _parsed(path: Path) -> dict[str, Any]:
    text = path.read_text("utf-8", errors="replace")
    try:
        if path.suffix == ".json":
            document = json.loads(text)
        else:
            import yaml

            document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        version = int(document["satdsl_plan"])
    except Exception:  # YAML's errors have no common ground with JSON's
        raise UnusablePlan(path, ["it is not what `satdsl explain FILE --save` writes"]) from None
    if version > FORMAT:
        raise UnusablePlan(path, [f"a newer satdsl wrote it (format {version}; this one reads up to {FORMAT})"])
    return dict(document)


# --- what has changed since ----------------------------------------------------------------------


def _code_changes(code: Mapping[str, int]) -> Iterator[str]:
    for kind, version in code.items():
        now = VERSIONS.get(kind)
        if now != version:
            yield f"the code of `{kind}` steps has changed: the plan was made for its version {version}, not {now}"


def _world_changes(plan: Plan, known: Mapping[str, str]) -> Iterator[str]:
    now = dict(_facts(plan))
    for name, digest in known.items():
        if now.get(name) == "missing":
            yield f"{name} is missing"
        elif now.get(name) != digest:
            folder = Path(name.removeprefix(_FOLDER))
            what = differences(digest, folder_contents.read(folder)) if name.startswith(_FOLDER) else ""
            yield f"{name} is not what it was when the plan was made" + (f": {what}" if what else "")


def _edits(plan: Plan) -> list[str]:
    return [f"`{plan.labels[key]}` has been edited" for key, step in plan.steps.items() if step.key != key]


def _facts(plan: Plan) -> Iterator[tuple[str, str]]:
    """Give what the plan relies on, each with a digest: data sets of the catalog, folders, files."""
    every = [step.settings for step in plan.steps.values()]
    yield from (_data_set(settings) for settings in every if isinstance(settings, Data))
    for path in dict.fromkeys(path for settings in every for path in _files(settings)):
        yield f"the file {path}", _file_digest(Path(path))
    for code, _ in plan.python:
        now = plugins.on_disk(code.place)
        yield f"the Python code {code.place}", "missing" if now is None else now.digest


def _data_set(settings: Data) -> tuple[str, str]:
    source = settings.source
    entry = catalog().find("dataset", source.name)
    if not isinstance(entry, DatasetEntry):
        return f"the data set {source.name}", _digest(repr(None))
    if entry.in_folder is not None:
        folder = Path(settings.root or ".")
        return f"{_FOLDER}{folder}", folder_contents.read(folder).digest if folder.is_dir() else "missing"
    known = facts(entry, source.get("protocol")) if entry.facts is not None else None
    return f"the data set {source.name}", _digest(repr(known))


def _files(value: Any) -> Iterator[str]:
    """Give the path of every file that the settings of a step name."""
    if isinstance(value, tuple):
        for item in value:
            yield from _files(item)
    elif is_dataclass(value):
        path = getattr(value, "path", None)
        if path and getattr(value, "digest", None) and not isinstance(value, PluginCode):
            yield path
        for field in fields(value):
            yield from _files(getattr(value, field.name))


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "missing"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
