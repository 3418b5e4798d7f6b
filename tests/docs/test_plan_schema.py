"""The JSON schemas that the manual ships: what the compiler writes fits them, what it does not write does not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from satdsl.compile import compile_file
from satdsl.plan.saved import save
from satdsl.show.document import plan_document
from tools.manual.schema import text, written

ROOT = Path(__file__).parents[2]
SPECS = sorted([*(ROOT / "specs").glob("*.sat"), *(ROOT / "examples").glob("*.sat")])
PLAN, SAVED = (Draft202012Validator(schema) for schema in written().values())


def document(spec: Path) -> dict[str, Any]:
    plan = compile_file(spec).plan
    return json.loads(json.dumps(plan_document(plan, dict.fromkeys(plan.steps, "new"))))  # type: ignore[no-any-return]


def test_the_schemas_are_those_of_the_code(golden) -> None:  # type: ignore[no-untyped-def]
    for name, schema in written().items():
        Draft202012Validator.check_schema(schema)
        golden(ROOT / "docs/reference" / name, text(schema))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_the_plan_of_every_specification_fits_its_schema(spec: Path) -> None:
    plan = document(spec)
    plan["steps"] = plan["steps"][:: 1 + len(plan["steps"]) // 300]  # the whole paper has 16 MB of them
    PLAN.validate(plan)


def test_a_saved_plan_fits_its_schema(tmp_path: Path) -> None:
    for spec in (ROOT / "examples/digits.sat", ROOT / "specs/fig3-class-entropy.sat"):
        save(compile_file(spec).plan, tmp_path / "plan.json")
        saved = json.loads((tmp_path / "plan.json").read_text("utf-8"))
        SAVED.validate(saved)
        saved["plan"]["results"][0]["measure"]["is"] = "Median"
        assert not SAVED.is_valid(saved)


def renamed(of: dict[str, Any], old: str, new: str) -> None:
    of[new] = of.pop(old)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a field that does not exist": lambda plan: plan.update(comment=""),
    "a missing field": lambda plan: plan.pop("axes"),
    "another version": lambda plan: plan.update(format_version=2),
    "a key that is none": lambda plan: plan["steps"][0].update(key="abc"),
    "a kind of step that does not exist": lambda plan: plan["steps"][0].update(kind="guess"),
    "settings of another kind": lambda plan: plan["steps"][0].update(settings=plan["steps"][1]["settings"]),
    "a setting of another type": lambda plan: plan["steps"][1]["settings"].update(seed="zero"),
    "an unknown reason": lambda plan: plan["steps"][0].update(reason="because"),
    "a size below zero": lambda plan: plan["splits"][0]["subsets"]["A"].update(size=-1),
    "a total by another name": lambda plan: renamed(plan["totals"], "to_run", "left"),
}


@pytest.fixture(scope="module")
def digits() -> dict[str, Any]:
    return document(ROOT / "examples/digits.sat")


@pytest.mark.parametrize("change", CHANGES)
def test_a_document_with_a_change_does_not_fit(digits: dict[str, Any], change: str) -> None:
    changed = copy.deepcopy(digits)
    assert PLAN.is_valid(changed)
    CHANGES[change](changed)
    assert not PLAN.is_valid(changed)
