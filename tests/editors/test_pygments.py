"""The Pygments lexer: every word has the colour of what it is, and no text is lost."""

from __future__ import annotations

import importlib.metadata
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Error, Keyword, Name, Number, String, _TokenType
from words_in_place import SPECS, kinds, specified, wrongly_coloured

from satdsl.highlight import SatLexer
from satdsl.syntax.layout import RESERVED


def colours(text: str) -> list[_TokenType]:
    """Each character's token."""
    return [kind for _, kind, value in SatLexer().get_tokens_unprocessed(text) for _ in value]


CLASSES = {
    Keyword.Constant: "name",
    Keyword: "keyword",
    Number: "number",
    String: "string",
    Name.Variable.Global: "parameter",
    Comment: "comment",
    Name: "name",
}


def coarse(token: _TokenType) -> str:
    return next((name for family, name in CLASSES.items() if token in family), str(token))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_pygments_colours_every_word_as_what_it_is(path):
    text = path.read_text("utf-8")
    assert wrongly_coloured(text, [coarse(token) for token in colours(text)]) == []


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_pygments_finds_no_error_in_a_valid_specification(path):
    assert Error not in colours(path.read_text("utf-8"))


@pytest.mark.parametrize("word", RESERVED)
def test_every_word_that_begins_a_statement_is_coloured_while_it_is_typed(word):
    rest = {"sat": " 1", "title": ' "', "use": ' "', "sweep": " {", "attack": " a ="}.get(word, " a")
    assert colours(f"\n  {word}{rest}")[3] is Keyword.Declaration


FRAGMENTS = sorted({word for path in SPECS for _, word, _, _ in kinds(path.read_text("utf-8")) if len(word) < 20})


@given(
    st.lists(st.one_of(st.text(max_size=6), st.sampled_from([*FRAGMENTS, " ", "\n", "\r", "{", "}", "(", ";", "="])))
)
def test_pygments_keeps_any_text_as_it_is(pieces):
    text = "".join(pieces)
    assert "".join(value for _, _, value in SatLexer().get_tokens_unprocessed(text)) == text
    starts = [start for start, _, _ in SatLexer().get_tokens_unprocessed(text)]
    assert starts == sorted(starts)


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_any_line_ending_gives_the_same_colours(ending):
    text = specified("every-word").read_text("utf-8")
    other = text.replace("\n", ending)
    kept = [kind for kind, mark in zip(colours(text), text, strict=True) if mark != "\n"]
    assert kept == [kind for kind, mark in zip(colours(other), other, strict=True) if mark not in "\r\n"]


def test_a_long_line_without_an_end_takes_no_time():
    for text in ("a" * 50_000, "train " * 10_000, '"' + "x" * 50_000, "class a, " * 5_000, "a-" * 20_000, "9" * 50_000):
        assert len(colours(text)) == len(text)


def test_pygments_finds_the_lexer_by_its_name_and_by_the_file_s():
    points = importlib.metadata.entry_points(group="pygments.lexers", name="sat")
    if not points:
        pytest.skip("this satdsl was installed before it had a lexer: install it again")
    assert isinstance(get_lexer_by_name("sat"), SatLexer)
    assert SatLexer.filenames == ["*.sat"]


def test_a_page_with_a_specification_shows_all_of_it():
    text = specified("fig6-esat").read_text("utf-8")
    page = highlight(text, SatLexer(), HtmlFormatter())
    plain = re.sub(r"<[^>]+>", "", page).replace("&quot;", '"').replace("&gt;", ">").replace("&lt;", "<")
    assert plain.replace("&#39;", "'").replace("&amp;", "&").strip() == text.strip()
