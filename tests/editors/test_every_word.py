"""The specification that the editors' colours are tested with has every word of the language."""

from __future__ import annotations

from words_in_place import keywords, kinds, specified

from satdsl.syntax.layout import RESERVED


def test_the_specification_of_every_word_has_every_word():
    text = specified("every-word").read_text("utf-8")
    used = {terminal for _, _, kind, terminal in kinds(text) if kind == "keyword"}
    assert used == keywords()
    assert {word for _, word, kind, _ in kinds(text) if kind == "keyword"} >= set(RESERVED)
