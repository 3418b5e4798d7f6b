"""The generated pages of the manual have all that they are generated from, and nothing is stale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
import yaml

from satdsl.catalog import FAMILIES, catalog
from satdsl.cli import app
from tools.manual import commands, explanations, grammar
from tools.manual.catalog import PAGES, pages
from tools.manual.fences import blocks, without_marks
from tools.manual.pages import generated

ROOT = Path(__file__).parents[2]
LARK = (ROOT / "grammar/sat.lark").read_text("utf-8")


def test_the_catalog_pages_have_every_entry_with_every_argument() -> None:
    assert {family for _, families, _ in PAGES.values() for family in families} == set(FAMILIES)
    written = pages()
    for file, (_, families, _) in PAGES.items():
        text = written[f"reference/catalog/{file}.md"]
        for family in families:
            for name in catalog().names(family):
                entry = catalog().find(family, name)
                assert entry is not None
                if name.startswith("snapshot-"):
                    continue
                section = text.partition(f"{{ #{family}-{name} }}")[2].partition("\n#")[0]
                assert section, f"{file}.md has no {name}"
                for arg in entry.args:
                    assert f"| <code>{arg.replace('_', '&#95;')}</code> |" in section


def test_the_command_line_page_has_every_option_of_every_command() -> None:
    text = commands.page()
    known = list(commands._commands(typer.main.get_command(app), "satdsl"))
    assert len(known) > 10
    for name, command in known:
        section = text.partition(f"## `{name}` ")[2].partition("\n## ")[0]
        for option in (opt for one in command.params for opt in one.opts if opt.startswith("-")):
            assert f"`{option}`" in section, f"{name} {option}"


def test_each_name_in_the_grammar_leads_to_its_rule() -> None:
    page = grammar.page(LARK)
    places = re.findall(r'id="([\w-]+)"', page)
    assert len(places) == len(set(places)) > 60
    assert set(re.findall(r'href="#([\w-]+)"', page)) <= set(places)
    assert not re.findall(r"\b_[A-Z]+\b", re.sub(r"<[^>]*>", "", page)), "a keyword's name in the place of the word"
    for word in ("train", "split", "hardest", "using", "published"):
        assert f'"{word}"' in page


def test_a_page_of_a_changed_grammar_is_another() -> None:
    assert grammar.page(LARK.replace("_USE STRING", "_USE STRING STRING")) != grammar.page(LARK)


def test_every_page_is_in_the_navigation_once() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    named = re.findall(r"[\w/.-]+\.md", str(nav))
    assert len(named) == len(set(named))
    there = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} | set(generated(ROOT))
    findings = {page for page in there if page.startswith("reference/findings/")}
    assert set(named) | findings == there


def test_each_finding_leads_to_its_page_and_back() -> None:
    index = "reference/findings.md"
    shown = explanations.linked((ROOT / "docs" / index).read_text("utf-8"), index)
    places = set(explanations.pages())
    assert {f"reference/{place}" for place in re.findall(r"^\| \[E\d{3}\]\((.*?)\)", shown, re.MULTILINE)} == places
    assert all("](../findings.md#e" in text for text in explanations.pages().values())


def test_codes_in_a_text_lead_to_their_pages_and_others_stay() -> None:
    text = "An error (E601), doubted (E999), `E601`, ([E601](findings.md))."
    linked = text.replace("(E601)", "([E601](../reference/findings/E601.md))")
    assert explanations.linked(text, "explanation/traps.md") == linked


def test_marks_of_fences_are_for_tests_and_titles_for_readers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('```sat title="a.sat" fragment=split wrong="E401 E402"\nA = all\n```\n\n    indented\n', "utf-8")
    first, second = blocks(page)
    assert (first.language, first.line, first.text) == ("sat", 1, "A = all\n")
    assert first.marks == {"title": "a.sat", "fragment": "split", "wrong": "E401 E402"}
    assert second.language == ""
    assert without_marks(page.read_text("utf-8")).startswith('```sat title="a.sat"\nA = all')


@pytest.mark.parametrize("name", ["requirements.txt"])
def test_the_manuals_environment_is_pinned(name: str) -> None:
    lines = (ROOT / "docs" / name).read_text("utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert lines == sorted(lines, key=str.lower)
