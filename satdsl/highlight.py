"""Colour specifications with Pygments: Sphinx, MkDocs and minted find this lexer under the name `sat`.

Almost every word of the language can also be a name. So a word is a keyword only inside the phrase that makes it one
(`clean accuracy`, `hardest 30% examples`), and a phrase is looked for only in the statements that can have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, include, words
from pygments.token import (
    Comment,
    Error,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
    _TokenType,
)

from satdsl.syntax.layout import RESERVED

__all__ = ["SatLexer"]

_NAME = r"[A-Za-z_]\w*"
_WORD = rf"\$?{_NAME}"
_SCORE = rf"(?:\${_NAME}|{_NAME}(?:-{_NAME})*)"
_AMOUNT = r"(?:\d[\d.eE+-]*%?|\$\w+)"
_PIECE = re.compile(rf'"[^"\n]*"|\d[\d.eE+-]*%?|{_SCORE}|\s+|[,.]')
_ITEM = rf'(?:"[^"\n]*"|\d+|{_WORD})'
_GAP = r"([ \t]+)"
_BEGIN = r"(?:\A\ufeff?|(?<=[\n\r;]))([ \t]*)"
_LINE = r"(?:(?<=[\n\r;{]))([ \t]*)"
_END = r"[ \t]*(?:[;}#\n\r]|\Z)"
_ASSIGNED = r"(?=[ \t]*=)"

_Rule = Any
_Token = tuple[int, _TokenType, str]


def _words(kind: _TokenType) -> Callable[[Any, re.Match[str], Any], Iterator[_Token]]:
    """Return a callback that splits a list of names into tokens of this kind, and of parameters, numbers and texts."""

    def tokens(lexer: Any, match: re.Match[str], context: Any = None) -> Iterator[_Token]:
        for piece in _PIECE.finditer(match.group()):
            of = {"$": Name.Variable.Global, '"': String.Double, ",": Punctuation, ".": Punctuation}.get(piece[0][0])
            if of is None:
                of = Number if piece[0][0].isdigit() else Whitespace if piece[0].isspace() else kind
            yield match.start() + piece.start(), of, piece[0]

    return tokens


_OTHER = _words(Name.Other)
_RANKING = _words(Name.Builtin)
_NUMBERS = _words(Number)


def _phrase(*parts: tuple[str, Any], begin: str = r"(?<![\w.$|-])", then: str = r"\b") -> _Rule:
    """Return the rule for words with white space between them, each with its token."""
    tokens = [token for _, kind in parts for token in (Whitespace, kind)]
    return begin + _GAP.join(f"({part})" for part, _ in parts) + then, bygroups(*tokens[begin != _LINE :])


def _keywords(text: str, then: str = "") -> _Rule:
    return _phrase(*((word, Keyword) for word in text.split()), then=rf"\b{then}")


def _line(*parts: tuple[str, Any], then: str = r"\b") -> _Rule:
    """Return the rule for the words that a line of a block begins with."""
    return _phrase(*parts, begin=_LINE, then=then)


def _statement(word: str, state: str, *rest: tuple[str, Any]) -> _Rule:
    """Return the rule for the first words of a statement: as many of `rest` as are written. Then its state begins."""
    pattern = ""
    tokens: list[Any] = []
    for part, token in reversed(rest):
        pattern = rf"(?:([ \t]*)({part}){pattern})?"
        tokens[:0] = [Whitespace, token]
    begins = rf'(?=[ \t]*[{{"]|\s+[A-Za-z_{{"\d]|[ \t]*\Z){pattern}'
    return rf"{_BEGIN}({word})\b{begins}", bygroups(Whitespace, Keyword.Declaration, *tokens), ("#pop", state)


_EQUALS = (r"=(?!=)", Operator)
_DECLARED = (rf"(?<=[ \t]){_NAME}", Name.Class)
_USED = (rf"(?<![\w$]){_WORD}\b", _OTHER)
_ON, _OF, _TO, _USING = ((rf"{word}\b", Keyword) for word in ("on", "of", "to", "using"))
_TRAIN = r"train(?!\s+(?:all|head)\b(?!\s*=))"
_TRAINED_ON = (rf"(?<![\w$]){_WORD}(?:\.{_WORD})?\b", _OTHER)
_SOURCE = (rf"(?<![\w$]){_WORD}\b(?=[ \t]+to\b)", _OTHER)
_SUBSET = (_WORD, _OTHER)


class SatLexer(RegexLexer):  # type: ignore[misc]
    """The lexer of `.sat` specifications."""

    name = "sat"
    aliases: ClassVar[list[str]] = ["sat", "satdsl"]
    filenames: ClassVar[list[str]] = ["*.sat"]
    mimetypes: ClassVar[list[str]] = ["text/x-sat"]
    flags = re.MULTILINE
    url = ""

    tokens: ClassVar[dict[str, Any]] = {
        "root": [include("statement"), include("value")],
        "statement": [
            _statement(_TRAIN, "train", _DECLARED, _EQUALS, _USED, _ON, _TRAINED_ON, _USING, _USED),
            _statement("split", "split", _DECLARED, _OF, _USED),
            _statement("transfer", "transfer", _DECLARED, _EQUALS, _SOURCE, _TO, _USED, _USING, _USED),
            _statement("evaluate", "evaluate", (rf"(?<=[ \t]){_NAME}(?:\s*,\s*{_NAME})*", _OTHER)),
            _statement("sweep", "sweep"),
            _statement("expect|published", "claim"),
            (rf"{_BEGIN}(label)\b(?=\s+[$\[])", bygroups(Whitespace, Keyword.Declaration), ("#pop", "declaration")),
            _statement(r"attack(?=\s+\w+\s*=)", "declaration", _DECLARED),
            _statement("param|dataset|model|recipe", "declaration", _DECLARED, _EQUALS),
            _statement("|".join(word for word in RESERVED if word not in ("attack", "train")), "declaration"),
        ],
        "declaration": [include("root")],
        "sweep": [include("root")],
        "claim": [
            include("statement"),
            _phrase(("for", Keyword), ("all", Keyword), (_NAME, Name.Variable), ("in", Keyword)),
            _phrase(("for", Keyword), ("all", Keyword), (_NAME, Name.Variable)),
            (
                rf"(,)(\s*)({_NAME})([ \t]+)(in)\b",
                bygroups(Punctuation, Whitespace, Name.Variable, Whitespace, Keyword),
            ),
            include("value"),
        ],
        "train": [
            include("statement"),
            include("training lines"),
            include("measure"),
            include("header"),
            include("value"),
        ],
        "training lines": [
            _line(("attack", Keyword), _SUBSET, ("with", Keyword)),
            _line(("loss", Keyword), _SUBSET, then=_ASSIGNED),
            _line(("select|keep|start", Keyword), then=r"\b(?![ \t]*=)"),
            include("seed line"),
            _keywords("by", then=r"(?=[ \t]+(?:clean|robust|mean)\b)"),
            _keywords("after each lr drop"),
            _keywords("at end", then=rf"(?={_END})"),
            _keywords("(?:from|until) epoch", then=r"(?=[ \t]+[\w$|(-])"),
            _keywords("(?:each|one) of", then=rf"(?=[ \t]+{_WORD})"),
            _keywords("scaled by scores in", then=r'(?=[ \t]*")'),
            _keywords("from", then=rf"(?=[ \t]+{_WORD})"),
            _keywords("snapshots every"),
            _keywords("weights every"),
            _keywords("every epoch", then=rf"(?={_END})"),
            _keywords("every", then=r"(?=[ \t]+[\w$|(-])"),
            _keywords("epochs?", then=rf"(?={_END})"),
        ],
        "split": [
            include("statement"),
            _line(("weight|share", Keyword), (_NAME, Name.Variable), then=_ASSIGNED),
            _phrase(("images", Keyword), ("of", Keyword), (_WORD, _OTHER)),
            _keywords("per class"),
            _keywords("examples? where"),
            _keywords("examples? listed in"),
            _keywords("by (?:scores|ranking) in", then=r'(?=[ \t]*")'),
            _keywords("scores in", then=r'(?=[ \t]*")'),
            _phrase(("by|where", Keyword), (_SCORE, _RANKING), ("of", Keyword), ("itself", Keyword)),
            _phrase(("by|where", Keyword), (_SCORE, _RANKING), ("of", Keyword), (_WORD, _OTHER)),
            _keywords("every epoch", then=rf"(?={_END}|[ \t]*[-+&)]|[ \t]+[a-z])"),
            _keywords("every", then=r"(?=[ \t]+[^{}\n;]*[ \t)]epochs?\b)"),
            _phrase((r"epochs?", Keyword), begin=r"(?<=[\w)][ \t])", then=rf"\b(?={_END}|[ \t]*[-+&)]|[ \t]+[a-z])"),
            (
                rf"({_SCORE})([ \t]+)(of)([ \t]+)({_WORD})(?=\s*[<>=!])",
                bygroups(_RANKING, Whitespace, Keyword, Whitespace, _OTHER),
            ),
            _phrase(("under", Keyword), (_WORD, _OTHER)),
            _phrase(("hardest|easiest|random", Keyword), (_AMOUNT, _NUMBERS), ("examples?|classes", Keyword)),
            (
                rf"(\$\w+)([ \t]+)({_AMOUNT})([ \t]+)(examples?|classes)\b",
                bygroups(Name.Variable.Global, Whitespace, _NUMBERS, Whitespace, Keyword),
            ),
            _keywords("hardest|easiest|random", then=r"(?=[ \t]*\()"),
            (r"(?<=\))([ \t]*)(examples?|classes)\b", bygroups(Whitespace, Keyword)),
            _phrase(("classes", Keyword), ("of", Keyword), (_NAME, Name.Other)),
            (
                rf"(?<![\w.$|-])(class|classes)([ \t]+)({_ITEM}(?:\s*,\s*{_ITEM})*)",
                bygroups(Keyword, Whitespace, _words(Name.Constant)),
            ),
            _keywords("seed", then=r"(?=[ \t]+[\w$|(-])"),
            _phrase(("seed", Keyword), begin=r"(?<=[\w)%\"][ \t])", then=r"(?=[ \t]*=)"),
            _keywords("of", then=rf"(?=[ \t]*\(|[ \t]+{_NAME})"),
            include("value"),
        ],
        "transfer": [
            include("statement"),
            _line(("train", Keyword), ("all|head", Keyword), then=r"\b(?![ \t]*=)"),
            _line(("head", Keyword), then=_ASSIGNED),
            include("training lines"),
            include("measure"),
            include("header"),
            include("value"),
        ],
        "evaluate": [include("statement"), include("over epochs"), include("measure"), include("value")],
        "over epochs": [
            _keywords("at end", then=r"(?=[ \t]*\{)"),
            _keywords("every", then=r"(?=[ \t]+[^{}\n;]*epochs?[ \t]*\{)"),
            _keywords("epochs?", then=r"(?=[ \t]*\{)"),
        ],
        "measure": [
            _keywords("clean accuracy"),
            (
                rf"(?<![\w.$|-])(robust)([ \t]+)(accuracy)([ \t]+)(under)([ \t]+)({_WORD}(?:\s*,\s*{_WORD})*)",
                bygroups(Keyword, Whitespace, Keyword, Whitespace, Keyword, Whitespace, _OTHER),
            ),
            _keywords("robust accuracy"),
            _phrase(("made", Keyword), ("on", Keyword), (_WORD, _OTHER)),
            _keywords("at", then=r"(?=[ \t]+[\d$\[(])"),
            (
                rf"(?<![\w.$|-])(median|mean)([ \t]+)(distance)([ \t]+)(under)([ \t]+)({_WORD}(?:\s*,\s*{_WORD})*)",
                bygroups(Keyword, Whitespace, Keyword, Whitespace, Keyword, Whitespace, _OTHER),
            ),
            _phrase(("mean", Keyword), (_SCORE, _RANKING), ("under", Keyword), (_WORD, _OTHER)),
            _phrase(("mean", Keyword), (_SCORE, _RANKING), then=rf"\b(?=[ \t]+(?:on|after|at|every)\b|{_END})"),
            _keywords("on", then=rf"(?=[ \t]+{_NAME})"),
            _keywords("by class"),
        ],
        "seed line": [_line(("seed", Keyword), then=_ASSIGNED)],
        "header": [_keywords("on|using|to", then=rf"(?=[ \t]+{_WORD})")],
        "value": [
            (r"(?<=[\n\r])([ \t]*)(if|and)(?=\s)", bygroups(Whitespace, Keyword)),
            (r"[\n\r]|[^\S\n\r]+|\ufeff", Whitespace),
            (r"#[^\n\r]*", Comment.Single),
            (r'"[^"\n]*"', String.Double),
            (r'"[^"\n]*', Error),
            (rf"\${_NAME}", Name.Variable.Global),
            (r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?%?(?![\w%])", Number),
            _keywords("classes of", then=rf"(?=[ \t]+{_NAME})"),
            (r"(?<=[\w%)\]\"|] )(if|and)(?=\s)|(?<![\w.$|-])else(?=\s)", Keyword),
            _keywords("step", then=r"(?=[ \t]+[\d$(|-])"),
            (rf"({_NAME})(\s*)(?=\()", bygroups(Name.Function, Whitespace)),
            (rf"(\|)([ \t]*)({_NAME})([ \t]*)(\|)", bygroups(Operator, Whitespace, Name.Other, Whitespace, Operator)),
            (rf"({_NAME})(\.)({_NAME})", bygroups(Name.Other, Punctuation, Name.Attribute)),
            (rf"{_NAME}(?=\s*=(?!=))", Name.Variable),
            (words(("true", "false", "all", "none", "rest"), prefix=r"\b", suffix=r"\b"), Keyword.Constant),
            (_NAME, Name.Other),
            (r"\.\.|\+/-|>=|<=|==|!=|[-=+*/<>&|±]", Operator),
            (r"[{}()\[\],:;.]", Punctuation),
        ],
    }
