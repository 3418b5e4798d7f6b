"""JSON schemas of the plan document and of saved plans: what records hold is derived from their types.

`python -m tools.manual.schema` prints both. `docs/reference/plan.schema.json` and `saved-plan.schema.json` are what it
prints; a test compares them, and the documents of all specifications with them.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from satdsl.ir import steps
from satdsl.ir.plan import Plan
from satdsl.ir.steps import CatalogCall
from satdsl.plan import saved
from satdsl.show import document

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KEY: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
COUNT: Schema = {"type": "integer", "minimum": 0}
PLAIN: dict[Any, Schema] = {
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: TEXT,
    Any: {},
}


def written() -> dict[str, Schema]:
    """The schemas by the names of their files."""
    return {"plan.schema.json": plan_schema(), "saved-plan.schema.json": saved_schema()}


class Records:
    """Types of Python to schemas; records become definitions that refer to each other."""

    def __init__(self, *, identity: bool) -> None:
        self.identity = identity
        """Whether records are told as in a step's settings: what is in its key, a choice as one object."""
        self.definitions: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        origin = get_origin(kind)
        if kind in PLAIN:
            return PLAIN[kind]
        if origin is Literal:
            return {"enum": list(get_args(kind))}
        if origin in (types.UnionType, typing.Union):
            return {"anyOf": [self.of(one) for one in get_args(kind)]}
        if origin is tuple:
            return self._tuple(get_args(kind))
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(*get_args(kind))
        if is_dataclass(kind):
            return self._record(kind)
        raise TypeError(f"no schema for {kind}")

    def _tuple(self, kinds: tuple[Any, ...]) -> Schema:
        if kinds[-1] is Ellipsis:
            return {"type": "array", "items": self.of(kinds[0])}
        return {"type": "array", "prefixItems": [self.of(one) for one in kinds], "items": False, "minItems": len(kinds)}

    def _mapping(self, key: Any, value: Any) -> Schema:
        named: Schema = {"type": "object", "additionalProperties": self.of(value)}
        return closed({"is": {"const": "Mapping"}, "of": named})

    def _record(self, shape: type) -> Schema:
        name = shape.__name__
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._definition(shape)
        return {"$ref": f"#/$defs/{name}"}

    def _definition(self, shape: type) -> Schema:
        if self.identity and shape is CatalogCall:
            return {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
        hints = get_type_hints(shape)
        compared = [one for one in fields(shape) if one.compare]
        told = [one.name for one in compared if not self.identity or one.metadata.get("key", True)]
        tag: Schema = {} if self.identity and hasattr(shape, "kind") else {"is": {"const": shape.__name__}}
        return closed(tag | {name: self.of(hints[name]) for name in told})


def closed(properties: Mapping[str, Schema], *optional: str) -> Schema:
    """An object with these properties, all required but the optional, and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def listed(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def named(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


POINT = named(TEXT)
PLACE: Schema = {"file": TEXT, "line": COUNT}
NUMBER: Schema = {"type": "number"}
PASSES: Schema = {
    "forward": COUNT,
    "forward_backward": COUNT,
    "cost": COUNT,
    "at_most": {"type": "boolean"},
    "unknown": {"type": "boolean"},
}


def plan_schema() -> Schema:
    """Of what `satdsl explain --format json` prints."""
    records = Records(identity=True)
    settings = {shape.kind: records.of(shape) for shape in get_args(steps.Settings)}
    selected = closed({"result": TEXT, "at": POINT})
    subset = {
        "size": maybe(COUNT),
        "classes": maybe(TEXTS),
        "class_count": maybe(COUNT),
        "weight": maybe({"type": "number", "minimum": 0}),
        "known": {"enum": ["now", "after loading", "after scoring"]},
        "weighted_by_image": {"type": "boolean"},
        "anew": maybe(COUNT),
        "share": maybe({"type": "number", "minimum": 0, "maximum": 1}),
    }
    display = {"title": TEXT, "kind": TEXT, "results": listed(selected), "x": maybe(TEXT), "y": maybe(TEXT)}
    display |= {"series": TEXTS, "mean": TEXTS, "baselines": listed(selected), **PLACE}
    result = {"result": TEXT, "point": POINT, "part": TEXT, "by_class": {"type": "boolean"}, "measure": TEXT}
    return {
        "$schema": DIALECT,
        "title": "The plan of a satdsl specification",
        **closed(
            {
                "format_version": {"const": document.FORMAT_VERSION},
                "satdsl": TEXT,
                "title": TEXT,
                "set": POINT,
                "only": TEXTS,
                "smoke": TEXTS,
                "files": TEXTS,
                "python": listed(closed({"file": TEXT, "sha256": KEY, "functions": TEXTS})),
                "axes": listed(closed({"name": TEXT, "values": TEXTS})),
                "steps": listed(_step(settings)),
                "trainings": listed(closed({"name": TEXT, "point": POINT, "key": KEY})),
                "splits": listed(
                    closed(
                        {"name": TEXT, "point": POINT, "dataset": TEXT, "key": KEY, "subsets": named(closed(subset))}
                    )
                ),
                "results": listed(closed({**result, "steps": listed(KEY), **PLACE})),
                "displays": listed(closed(display)),
                "claims": listed(closed({"text": TEXT, "condition": TEXT, **PLACE})),
                "labels": listed(closed(dict.fromkeys(("kind", "name", "text", "value"), TEXT))),
                "published": listed(closed({"result": TEXT, "at": POINT, "value": NUMBER, "source": TEXT, **PLACE})),
                "totals": _totals(list(settings)),
                "time": _time(),
            },
            "time",
        ),
        "$defs": records.definitions,
    }


SECONDS = dict.fromkeys(("expected", "low", "high"), NUMBER)


def _time() -> Schema:
    """How long the steps take that are to run."""
    amounts = dict.fromkeys(("hours", "money", "kwh"), maybe(NUMBER))
    return closed(
        {
            "device": TEXT,
            "workers": listed(closed({"workers": COUNT, **SECONDS})),
            "start_of_a_process": maybe(closed(SECONDS)),
            "steps_without_a_known_time": COUNT,
            "bill": closed(amounts, *amounts),
        }
    )


def _step(settings: Mapping[str, Schema]) -> Schema:
    """A step's settings are those of its kind."""
    step = closed(
        {
            "key": KEY,
            "kind": {"enum": list(settings)},
            "label": TEXT,
            "settings": {"type": "object"},
            "inputs": named(KEY),
            "blocks": COUNT,
            "image_passes": closed(PASSES),
            "stored": {"type": "boolean"},
            "reason": {"enum": ["stored", "not needed", "new", "continued", "damaged", "forced"]},
            "because": maybe(TEXT),
            "seconds": maybe(
                closed(
                    {
                        **SECONDS,
                        "source": {"enum": ["stored", "measured"]},
                        "expected_cost": {"type": "integer", "minimum": 0},
                        "standing": TEXT,
                    }
                )
            ),
        },
        "seconds",
    )
    of_kind = [
        {"if": {"properties": {"kind": {"const": kind}}}, "then": {"properties": {"settings": schema}}}
        for kind, schema in settings.items()
    ]
    return step | {"allOf": of_kind}


def _totals(kinds: list[str]) -> Schema:
    counts = closed(dict.fromkeys(kinds, COUNT), *kinds)
    ratio = maybe(NUMBER)
    against = {
        "full_adversarial_training": closed({**PASSES, "ratio": ratio}),
        "every_row_separately": closed({**PASSES, "rows": COUNT, "kinds": counts, "ratio": ratio}),
    }
    return closed(
        {
            "steps": COUNT,
            "kinds": counts,
            "blocks": COUNT,
            "stored": COUNT,
            "to_run": COUNT,
            "image_passes": closed(PASSES),
            "image_passes_to_run": closed(PASSES),
            "selection": maybe(closed({"at_most": closed(PASSES), "first_attacks_decide": closed(PASSES)})),
            "against": closed(against),
        }
    )


def saved_schema() -> Schema:
    """Of what `satdsl explain --save` writes."""
    records = Records(identity=False)
    kinds = list(steps.VERSIONS)
    return {
        "$schema": DIALECT,
        "title": "A saved plan of satdsl",
        **closed(
            {
                "satdsl_plan": {"const": saved.FORMAT},
                "satdsl": TEXT,
                "code": closed(dict.fromkeys(kinds, COUNT), *kinds),
                "facts": named(TEXT),
                "plan": records.of(Plan),
            }
        ),
        "$defs": records.definitions,
    }


def text(schema: Schema) -> str:
    """A schema as its file has it."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for one in written().values():
        print(text(one), end="")
