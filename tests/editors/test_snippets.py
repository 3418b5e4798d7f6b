"""The snippets of the VS Code extension are the language."""

from __future__ import annotations

import json
import re

import pytest
from words_in_place import ROOT

from satdsl.compile import check_file
from satdsl.findings import Source
from satdsl.format import formatted
from satdsl.syntax.layout import RESERVED
from satdsl.syntax.read import read

SNIPPETS = json.loads((ROOT / "editors" / "vscode" / "snippets" / "sat.json").read_text("utf-8"))


def expanded(body: str | list[str]) -> str:
    """What a snippet inserts when nothing is typed over it."""
    text = body if isinstance(body, str) else "\n".join(body)
    text = re.sub(r"\$\{\d+\|([^,|]+)[^|]*\|\}", r"\1", text)
    text = re.sub(r"\$\{\d+:([^}]*)\}", r"\1", text)
    return re.sub(r"(?<!\\)\$\d+", "", text).replace("\\$", "$")


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_can_be_read(name):
    file, findings = read(Source("snippet.sat", expanded(SNIPPETS[name]["body"])))
    assert findings == []
    assert file.statements


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_is_laid_out_as_fmt_does_it(name):
    text = expanded(SNIPPETS[name]["body"]).rstrip() + "\n"
    assert formatted(Source("snippet.sat", text)) == text


def test_there_is_a_snippet_for_every_statement_that_has_parts():
    begun = {expanded(one["body"]).split()[0] for one in SNIPPETS.values()}
    assert begun >= set(RESERVED) - {"title", "use", "param"}


def test_the_snippet_of_a_whole_specification_has_no_finding(tmp_path):
    path = tmp_path / "first.sat"
    path.write_text(expanded(SNIPPETS["A whole specification"]["body"]), "utf-8")
    assert check_file(path).warnings == ()
