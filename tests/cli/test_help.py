"""`satdsl help`: the pages of findings, and how words of the language are written."""

from __future__ import annotations

import re

import pytest
import typer.main
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from satdsl import help
from satdsl.catalog.pages import codes, page
from satdsl.cli import app, output
from satdsl.concepts import CONCEPTS, concept, words
from satdsl.syntax.layout import RESERVED
from satdsl.syntax.read import read_so_far


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def satdsl(*args: str) -> Result:
    result = CliRunner().invoke(app, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def terminal(width: int = 80) -> Console:
    return Console(width=width, force_terminal=True, record=True, color_system=None, legacy_windows=False)


@pytest.mark.parametrize("code", codes())
def test_a_page_is_plain_markdown_when_it_is_piped(code):
    assert satdsl("help", code).stdout == page(code).text


def test_several_pages_follow_one_another_and_letters_may_be_small():
    assert satdsl("help", "E203", "e601").stdout == f"{page('E203').text}\n{page('E601').text}"


def test_a_page_fits_a_terminal_and_shows_no_markup():
    console = terminal(60)
    console.print(*help.about("E601"))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 60
    assert not [line for line in lines if line.lstrip().startswith(("#", "```"))]
    assert any("eps=8/255" in line for line in lines)


@pytest.mark.parametrize("word", sorted(help.keywords()))
def test_every_word_of_the_language_is_shown_as_it_is_written(word):
    assert help.about(word)


@pytest.mark.parametrize(("construct", "line"), [(where, line) for where in help.FORMS for line in help.FORMS[where]])
def test_every_form_that_is_shown_can_be_read(construct, line):
    assert read_so_far(line, construct.replace(" ", "_") if construct.endswith("line") else "statement")


def test_without_a_code_all_findings_are_listed_by_family():
    result = satdsl("help")
    assert result.exit_code == 0
    assert all(f" {code}  " in result.stdout for code in codes())
    assert result.stdout.index("E4xx: splits and parts") < result.stdout.index("E401")
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 80


@pytest.mark.parametrize(
    ("name", "meant"),
    [("E999", "`satdsl help` lists all findings"), ("E2033", "did you mean `E203`?"),
     ("spilt", "did you mean `split`?"), ("pgdd", "did you mean `pgd`?"), ("", "`satdsl help` lists all findings")],
)  # fmt: skip
def test_what_there_is_no_help_on_is_wrong_usage(name, meant):
    result = satdsl("help", "E203", name)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert " ".join(result.stderr.split()) == f"error: there is no help on `{name}` help: {meant}"


@pytest.mark.parametrize("word", RESERVED)
def test_every_statement_is_shown_as_it_is_written(word):
    result = satdsl("help", word)
    assert result.exit_code == 0
    assert f"  {word} " in result.stdout


@pytest.mark.parametrize(
    ("word", "line"),
    [("weight", "weight A = 2*|B|/|A|"), ("robust", "robust accuracy under"), ("keep", "keep snapshots every epoch"),
     ("hardest", "A = hardest 30% examples"), ("pgd", "step_size"), ("cosine", "schedule cosine")],
)  # fmt: skip
def test_a_word_of_a_line_or_of_the_catalog_is_shown_where_it_stands(word, line):
    assert line in satdsl("help", word).stdout


def test_every_word_of_the_grammar_is_known():
    assert {"split", "attack", "weight", "accuracy", "hardest", "epochs", "for", "recipe"} <= help.keywords()
    assert {"A", "ref", "pgd7"}.isdisjoint(help.keywords())


def test_findings_on_a_terminal_end_with_where_to_read_on(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.sat").write_text("sat 1\nmodel m = smal_cnn()\n")
    console = terminal()
    monkeypatch.setattr("satdsl.cli.check.stdout", lambda: console)
    satdsl("check", "a.sat")
    assert console.export_text().endswith("1 error\n`satdsl help E202` explains this finding\n")
    monkeypatch.setattr("satdsl.cli.check.stdout", output.stdout)
    assert satdsl("check", "a.sat").stdout.endswith("1 error\n")


@pytest.mark.parametrize(
    ("asked", "term"),
    [("hold-out", "hold-out"), ("HoldOut", "hold-out"), ("hold_out", "hold-out"), ("hold out", "hold-out"),
     ("verdict", "verdict"), ("Claims", "verdict"), ("interval", "interval"), ("±", "interval"), ("seeds", "seeds"),
     ("Seed", "seeds"), ("std", "std"), ("mean", "std"), ("spread", "std"), ("average", "std"), ("resume", "resume"),
     ("gpu", "gpu"), ("GPUs", "gpu"), ("probe", "probe"), ("smoke", "smoke"), ("store", "store"), ("keys", "key"),
     ("robust accuracy", "robust accuracy"), ("cluster", "cluster"), ("slurm", "cluster"), ("checkpoint", "checkpoint"),
     ("early stopping", "checkpoint"), ("optimizer", "optimiser"), ("learning_rate", "optimiser"),
     ("eps", "threat model"), ("TensorBoard", "track"), ("wandb", "track"),
     ("download", "data"), ("baselines", "baseline")],
)  # fmt: skip
def test_a_term_is_found_by_the_words_that_a_person_types(asked, term):
    assert satdsl("help", *asked.split()).stdout.splitlines()[0].rstrip() == term


def test_each_word_leads_to_one_term_and_is_typed_as_it_is_written():
    assert [(word, one.name) for one in CONCEPTS for word in (one.name, *one.words) if concept(word) is not one] == []
    assert len(words()) == len({*words()})


def test_what_a_term_tells_to_type_exists():
    known = typer.main.get_command(app)
    for one in CONCEPTS:
        told = [re.sub(r"^satdsl ", "", code).split() for code in re.findall(r"`(satdsl [^`]+)`", one.text)]
        for name, *rest in told:
            command = known.commands[name]
            command = getattr(command, "commands", {}).get(rest[0] if rest else "", command)
            options = {opt for param in command.params for opt in param.opts}
            assert {word for word in rest if word.startswith("--")} <= options | {"--help"}, one.name


def test_several_terms_and_codes_are_explained_one_after_the_other():
    printed = satdsl("help", "robust", "accuracy", "E203", "seed").stdout
    assert printed.index("robust accuracy") < printed.index("E203") < printed.index("\nseeds\n")
    assert "did you mean `spread`?" in " ".join(satdsl("help", "spreed").stderr.split())
