"""Say in words for a person what the parser expected, instead of listing its terminals."""

from __future__ import annotations

import re

EXAMPLES = {
    "sat": "sat 1",
    "title": 'title "ESAT on CIFAR-10"',
    "use": 'use "common.sat"',
    "param": "param eps = 0.5",
    "sweep": "sweep { share = 10%..90% step 10% }",
    "dataset": "dataset cifar10 = CIFAR10(holdout=10%)",
    "model": "model resnet = preact_resnet18()",
    "attack": "attack pgd7 = pgd(norm=L2, eps=0.5, step_size=0.1, steps=7)",
    "recipe": "recipe rice = sgd(epochs=200, batch=128, lr=0.1)",
    "train": "train sat = resnet on s using rice { attack A with pgd7 }",
    "split": "split s of cifar10 { A = hardest 30% examples by snapshot-entropy of ref; B = rest }",
    "transfer": "transfer head = sat to flowers using sgd_head { head = mlp(hidden=512) }",
    "evaluate": "evaluate sat { robust = robust accuracy under aa on val }",
    "plot": 'plot "Robust accuracy" = line(y=sat.robust, x=$share)',
    "table": 'table "All" = rows(sat.clean, sat.robust)',
    "expect": 'expect "hard beats easy": sat.robust[order=hardest] > sat.robust[order=easiest]',
    "published": 'published "figure 6" sat.robust[order=hardest] = [52.1%, 59.1%, 63.3%]',
    "label": 'label half "classes 0 to 4 attacked"` or `label $share "share attacked"` or '
    '`label [order=hardest] "hardest first"',
    "sweep line": "share = 10%..90% step 10%",
    "train line": "attack A with pgd7` or `loss A = trades(beta=6)` or `select by clean accuracy` or `keep "
    "snapshots every epoch",
    "split line": "A = hardest 30% examples by snapshot-entropy of ref` or `weight A = 2*|B|/|A|",
    "transfer line": "head = mlp(hidden=512)` or `train all` or `attack all with pgd7` or `seed = 1",
    "evaluate line": "clean = clean accuracy on val` or `robust = robust accuracy under aa on A_val by class",
}
"""How each construct is written."""

LINES: dict[str, dict[str, str]] = {
    "sweep line": {r"\(": "(share, seed) = [(10%, 1), (20%, 2)]"},
    "train line": {
        r"attack\b.*\bepoch\b.*\bscaled\b": 'attack A with pgd7 scaled by scores in "radii.npy" until epoch 9',
        r"attack\b.*\b(scaled?|scaling|scores|ranking)\b": 'attack A with pgd7 scaled by scores in "radii.npy"',
        r"attack\b.*\b(from|until|epochs?)\b": "attack A with pgd7 from epoch 5 until epoch 9",
        r"attack\b.*\b(each|one|of|and)\b.*": "attack A with each of linf, l2` or `attack A with one of linf, l2",
        "attack": "attack A with pgd7",
        r"loss\b.*[-+*/(]": "loss A = ce(clean) + 6*kl(clean, adversarial)",
        "loss": "loss A = trades(beta=6)",
        r"select\b.*\brobust\b": "select by robust accuracy under pgd7 every 5 epochs",
        "select": "select by robust accuracy under pgd7 every 5 epochs` or `select by clean accuracy",
        "keep": "keep snapshots every epoch` or `keep weights every 5 epochs",
        "seed": "seed = 1",
        "start": "start from ref",
    },
    "split line": {
        r"weight\b.*\b(scores|ranking|in)": 'weight A = scores in "weights.npy"',
        "weight": "weight A = 2*|B|/|A|",
        r"share\s+[^\W\d]\w*|share\s*=\s*[\d.]+%?": "share A = 30%",
        r".*\bimages?\b": "A = images of cifar10",
        r".*\brandom\b": "A = random 30% examples seed = 1",
        r".*\blisted\b": 'A = examples listed in "indices.txt"',
        r".*\bwhere\b": "A = examples where entropy of ref > 0.5",
        r".*\bscores\b": 'A = hardest 30% examples by scores in "scores.npy"',
        r".*\b(hardest|easiest)\b.*\bclass(es)?\b": "A = hardest 4 classes by entropy of ref",
        r".*\b(hardest|easiest)\b": "A = hardest 30% examples by snapshot-entropy of ref",
        r".*\bclass(es)?\b": "A = classes 3, 5",
    },
    "evaluate line": {
        r".*\bmade\b": "robust = robust accuracy under pgd7 made on other on val",
        r".*\brobust\b.*\bclass\b": "robust = robust accuracy under aa on val by class",
        r".*\bclean\b.*\bclass\b": "clean = clean accuracy on val by class",
        r".*\brobust\b.*\bat\b": "curve = robust accuracy under fmn100 at 0..2 step 0.1 on val",
        r".*\brobust\b": "robust = robust accuracy under aa on val",
        r".*\bclean\b": "clean = clean accuracy on val",
        r".*\bmedian\b": "distance = median distance under fmn100 on val",
        r".*\bmean\b.*\bdistance\b": "distance = mean distance under fmn100 on val",
        r".*\bmean\b": "difficulty = mean entropy on train by class",
    },
}
LINES["transfer line"] = {
    "train": "train all",
    "head": "head = mlp(hidden=512)",
    **{begins: line for begins, line in LINES["train line"].items() if begins != "start"},
}
"""How each kind of a block's lines is written, by what a line of this kind begins with; the first that fits."""

_BEGINNINGS = {of: tuple(filter(str.isalpha, LINES[of])) for of in ("train line", "transfer line")}
"""The words that begin the lines of blocks in which every line begins with a word of the language."""

IN_ANOTHER_PLACE = {
    "train line": {
        "write it in the recipe: `recipe r = sgd(epochs=30, batch=128, lr=0.1)`": (
            *("epochs", "epoch", "batch", "batch_size", "lr", "learning_rate", "optimizer", "optimiser", "schedule"),
            *("scheduler", "momentum", "weight_decay", "clip", "ema", "label_smoothing"),
        ),
        "write it in the data set: `dataset d = CIFAR10(holdout=10%, augment=[flip(), crop(padding=4)])`": (
            *("augment", "augmentation", "holdout", "validation"),
        ),
        "write it in an attack: `attack pgd7 = pgd(norm=Linf, eps=8/255, step_size=2/255, steps=7)`": (
            *("eps", "epsilon", "norm", "steps", "step_size", "alpha"),
        ),
    },
}
"""Words that other languages write in a block, by where they stand in this one."""

MISSING = {
    ("sat", "NUMBER"): "the language version is a number",
    ("title", "STRING"): "a title is text in double quotes",
    ("use", "STRING"): "the file to use is named in double quotes",
    ("param", "NAME"): "a parameter needs a name",
    ("param", "EQUAL"): "a parameter needs a value",
    ("sweep", "LBRACE"): "a sweep names its axes between braces",
    ("dataset", "NAME"): "a data set needs a name of its own",
    ("dataset", "EQUAL"): "a data set needs a source",
    ("dataset", "LPAR"): "a data set's source is written as a call, with `()` even where it takes nothing",
    ("model", "NAME"): "a model needs a name of its own",
    ("model", "EQUAL"): "a model needs an architecture",
    ("model", "LPAR"): "an architecture is written as a call, with `()` even where it takes nothing",
    ("attack", "NAME"): "an attack needs a name of its own",
    ("attack", "EQUAL"): "an attack needs a kind and its settings",
    ("attack", "LPAR"): "an attack is written as a call, with its settings between `(` and `)`",
    ("recipe", "NAME"): "a recipe needs a name of its own",
    ("recipe", "EQUAL"): "a recipe needs an optimiser and its settings",
    ("recipe", "LPAR"): "a recipe is written as a call, with its settings between `(` and `)`",
    ("train", "NAME"): "a training needs a name for its weights",
    ("train", "EQUAL"): "a training needs a model after `=`",
    ("train", "_ON"): "a training needs `on` and a data set or a split",
    ("train", "_USING"): "a training needs `using` and a recipe",
    ("train", "LBRACE"): "what a training does goes between braces",
    ("split", "NAME"): "a split needs a name",
    ("split", "_OF"): "a split needs `of` and a data set",
    ("split", "LBRACE"): "a split lists its subsets between braces",
    ("transfer", "NAME"): "a transfer needs a name for its weights",
    ("transfer", "EQUAL"): "a transfer needs the weights it starts from after `=`",
    ("transfer", "_TO"): "a transfer needs `to` and a data set",
    ("transfer", "_USING"): "a transfer needs `using` and a recipe",
    ("evaluate", "NAME"): "an evaluation needs the name of what is evaluated",
    ("evaluate", "EPOCHS"): "a number of epochs ends in `epochs`: `every 10 epochs`",
    ("evaluate", "LBRACE"): "an evaluation lists its measures between braces",
    ("plot", "STRING"): "a plot needs a title in double quotes",
    ("plot", "EQUAL"): "a plot needs a kind and what it shows",
    ("plot", "LPAR"): "a plot is written as a call",
    ("table", "STRING"): "a table needs a title in double quotes",
    ("table", "EQUAL"): "a table needs its rows",
    ("table", "LPAR"): "a table is written as a call",
    ("expect", "STRING"): "a claim needs its text in double quotes",
    ("expect", "COLON"): "a claim's condition comes after a colon",
    ("expect", "COMPARISON"): "a claim compares two sides",
    ("label", "NAME"): "a label is for a training, a result or an axis, which it names first",
    ("label", "STRING"): "what is read in place of the name comes after it, in double quotes",
    ("published", "EQUAL"): "a published result needs its value after `=`",
    ("sweep line", "EQUAL"): "an axis needs its values after `=`",
    ("train line", "_WITH"): "an attacked subset needs `with` and an attack",
    ("train line", "_SCORES"): 'radii are scaled by numbers in a file: `scaled by scores in "radii.npy"`',
    ("train line", "EQUAL"): "a subset's loss or a seed needs its value after `=`",
    ("train line", "_CLEAN"): "selection goes by `clean accuracy` or by `robust accuracy under` an attack",
    ("train line", "KEPT"): "`keep` is followed by `snapshots` or `weights`",
    ("train line", "_EVERY"): "say how often to keep them: `every epoch` or `every 5 epochs`",
    ("train line", "EPOCHS"): "a number of epochs ends in `epochs`: `every 5 epochs`",
    ("train line", "_ACCURACY"): "selection goes by `clean accuracy` or by `robust accuracy under` an attack",
    ("train line", "_UNDER"): "robust accuracy needs `under` and an attack",
    ("train line", "_FROM"): "`start` is followed by `from` and the weights to start from",
    ("split line", "EQUAL"): "a subset or a weight needs its value after `=`",
    ("split line", "_BY"): "a ranking needs `by` and a score: `by entropy of ref`",
    ("split line", "_OF"): "a score needs `of` and the trained model that it is taken from",
    ("split line", "EXAMPLES"): "say what the amount counts: `examples` or `classes`",
    ("transfer line", "EQUAL"): "a subset's loss or a setting needs its value after `=`",
    ("transfer line", "_ALL"): "a transfer trains the whole network, `train all`, or its new head alone, `train head`",
    ("evaluate line", "EQUAL"): "a result needs a measure after `=`",
    ("evaluate line", "_ACCURACY"): "accuracies are `clean accuracy` or `robust accuracy under` an attack",
    ("evaluate line", "_UNDER"): "robust accuracy needs `under` and an attack",
    ("evaluate line", "_ON"): "a measure needs the images it is taken on: `on val`",
    (
        "evaluate line",
        "_CLEAN",
    ): "a measure is `clean accuracy`, `robust accuracy under` or `median distance under` an attack, `mean` of a "
    "score, or a call of your own",
    ("evaluate line", "_DISTANCE"): "`median` is of a distance: `median distance under` an attack",
}
MISSING |= {
    ("transfer line", terminal): what
    for (of, terminal), what in MISSING.items()
    if of == "train line" and terminal not in ("EQUAL", "_FROM")
}
"""What is missing where a terminal was expected in a construct."""

FOREIGN = {
    "use": ("import", "include", "from", "load", "require", "source"),
    "param": ("let", "var", "const", "set", "define", "def", "constant"),
    "sweep": ("grid", "for", "foreach", "vary", "axis", "axes", "loop", "matrix"),
    "dataset": ("datasets", "images", "corpus"),
    "model": ("network", "net", "arch", "architecture"),
    "recipe": ("optimizer", "optimiser", "hyperparameters", "schedule"),
    "train": ("fit", "learn"),
    "split": ("partition", "subset", "divide"),
    "transfer": ("finetune", "fine_tune"),
    "evaluate": ("measure", "test", "score", "metric", "metrics"),
    "plot": ("figure", "chart", "graph", "line", "bar", "heatmap"),
    "table": ("print", "show", "rows"),
    "expect": ("assert", "claim", "check"),
}
"""Words that begin a statement in other languages, by the statement that says the same here."""

NEEDS_VALUE = {
    "loss": "a subset's loss needs its value after `=`",
    "seed": "a seed needs its value after `=`",
    "weight": "a loss weight needs its value after `=`",
    "share": "a share of each batch needs its value after `=`",
    "head": "a head needs its kind after `=`",
}
"""What is said of a line without `=`, by the word that it begins with."""

ENGLISH = {
    "NAME": "a name",
    "NUMBER": "a number",
    "PERCENT": "a percentage",
    "PARAM": "a parameter (`$name`)",
    "STRING": "text in double quotes",
    "SCORE": "a difficulty score",
    "CALLED": "a call of your own measure",
    "COMPARISON": "a comparison (`>=`, `<`, ...)",
    "KIND": "a declaration",
    "DISPLAY": "`plot` or `table`",
    "TRAINED_HEAD": "`head`",
    "KEPT": "`snapshots` or `weights`",
    "EPOCH": "`epoch`",
    "EPOCHS": "`epochs`",
    "EXAMPLES": "`examples`",
    "CLASS": "`class`",
    "CLASSES": "`classes`",
    "HARDEST": "`hardest`",
    "EASIEST": "`easiest`",
    "RANDOM": "`random`",
    "WEIGHT": "`weight`",
    "BY_CLASS": "`by class`",
    "_IMAGES_OF": "`images of`",
    "_EACH_OF": "`each of`",
    "_ONE_OF": "`one of`",
    "_FROM_EPOCH": "`from epoch`",
    "_UNTIL_EPOCH": "`until epoch`",
    "_SCALED_BY": "`scaled by`",
    "EQUAL": "`=`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "DOT": "`.`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "VBAR": "`|`",
    "PLUS": "`+`",
    "MINUS": "`-`",
    "STAR": "`*`",
    "SLASH": "`/`",
    "AMPERSAND": "`&`",
    "__ANON_0": "`..`",
    "_PLUS_MINUS": "`±`",
    "_NL": "a new line",
    "$END": "the end of the line",
}
"""Terminals in English; keywords (`_OF`) are their own word in small letters."""

_NAMED_WITH_A_DOT = (
    r"(?<![\w.])([^\W\d]\w*)\[",
    "`{0}` is no result: a result is named with a dot",
    "write `sat.robust[order=hardest]` for the measure `robust` of the network `sat`",
)

WITHOUT = {
    "evaluate line": (
        (r"\bmean\s+on\b", "`mean` needs a score", "write `difficulty = mean entropy on train by class`"),
    ),
    "expect": (_NAMED_WITH_A_DOT,),
    "plot": (_NAMED_WITH_A_DOT,),
    "table": (_NAMED_WITH_A_DOT,),
}
"""What shows that a word is left out, which the parser takes for another one: a pattern, the message and the help."""

_ONE_RADIUS = "measure under one radius for all images: leave out `scaled by ...`"
_SCALED = {"loss": 'a loss is weighted in the split: `weight A = scores in "weights.npy"`'}
"""What to do where a line that begins with this word is `scaled by` something."""

MOST_WORDS = 4
"""Words that are named of those that could stand in a place."""

_ARITHMETIC = {"PLUS", "MINUS", "STAR", "SLASH"}
_RARE = {"__ANON_0", "_IF", "_PLUS_MINUS"}
_SOFT = {"CLASS", "CLASSES", "EXAMPLES", "HARDEST", "EASIEST", "RANDOM", "WEIGHT"}
_A_VALUE = "a value is expected"
_VALUES = {"NUMBER", "PERCENT", "PARAM", "STRING", "NAME"}


def foreign_statement(word: str) -> str:
    """Return how a statement is written that other languages begin with `word`; "" where none is known."""
    for statement, words in FOREIGN.items():
        if word.lower() in words:
            return f"write `{EXAMPLES[statement]}`"
    return ""


def english(terminal: str) -> str:
    """Return the words by which a reader knows a terminal of the grammar."""
    return ENGLISH.get(terminal) or f"`{terminal.strip('_').lower()}`"


def explain(construct: str, accepted: set[str], found: str, text: str = "") -> tuple[str, str]:
    """Return the message and the help where `found` ("here is `x`") is met in `construct` and the parser would have
    taken one of `accepted`. `text` is the whole of what is refused: the examples are of its kind.
    """
    word = _first_word(text)
    if found == f"here is `{word}`" and (place := _belongs_elsewhere(construct, word)):
        return f"`{word}` is no line of a `{construct.removesuffix(' line')}` block", place
    for pattern, message, help in WITHOUT.get(construct, ()):
        if (met := re.search(pattern, text)) is not None:
            return message.format(*met.groups()), help
    if found == "here is `scaled`" and word != "attack":
        return "`scaled by` belongs to what a training attacks with", _SCALED.get(word, _ONE_RADIUS)
    example = written(construct, text)
    if construct == "split line" and found == "here is `/`" and "EXAMPLES" in accepted:
        return "an amount is a number or a percentage, not a fraction", f"write `{example}`"
    if found == f"here is `{word}`" and construct in _BEGINNINGS and word not in _BEGINNINGS[construct]:
        begin = ", ".join(f"`{one}`" for one in _BEGINNINGS[construct])
        of = construct.removesuffix(" line")
        return f"no line of a `{of}` block begins with `{word}`", f"its lines begin with {begin}"
    certain = _hard(accepted)
    missing = [what for (of, terminal), what in MISSING.items() if of == construct and terminal in certain]
    expected = _expected(accepted)
    if construct == "dataset" and "PARAM" in certain:
        missing = ["after `+` stands the name of another data set"]
        example = "dataset both = cifar10 + extra"
    if "EQUAL" in certain and word in NEEDS_VALUE:
        missing = [NEEDS_VALUE[word]]
    what = missing[0] if missing and expected != _A_VALUE else expected
    return f"{what}, but {found}", f"write `{example}`" if example else ""


def written(construct: str, text: str = "") -> str:
    """Return how a construct is written: a line of a block, as lines are that begin like `text`; "" if not known."""
    for begins, example in LINES.get(construct, {}).items():
        if re.match(rf"\s*(?:{begins})(?!\w)", text):
            return example
    return EXAMPLES.get(construct, "")


def _first_word(text: str) -> str:
    match = re.match(r"\s*([^\W\d]\w*)", text)
    return match[1] if match else ""


def _belongs_elsewhere(construct: str, word: str) -> str:
    """Return where a word is written that begins a line of another language; "" where none is known."""
    for place, words in IN_ANOTHER_PLACE.get(construct, {}).items():
        if word.lower() in words:
            return place
    return ""


def _hard(accepted: set[str]) -> set[str]:
    """Return the terminals without the words that are accepted only because they may be names."""
    return accepted - _SOFT if "NAME" in accepted else set(accepted)


def _expected(accepted: set[str]) -> str:
    plain = _hard(accepted)
    if len(plain & _VALUES) >= 3:
        return _A_VALUE
    if accepted <= {"$END", "_NL", "RBRACE"}:
        return "the line should end"
    plain -= {"$END", "_NL"}
    sums = ["an operator"] if plain >= _ARITHMETIC else []
    words = sorted(map(english, plain - _ARITHMETIC if sums else plain))
    if len(words) + len(sums) > MOST_WORDS:
        words = sorted(map(english, plain - _ARITHMETIC - _RARE))
    words += sums
    if len(words) > MOST_WORDS:
        named = MOST_WORDS - 1
        words = [*words[:named], f"one of {len(words) - named} others"]
    return f"{' or '.join([', '.join(words[:-1]), words[-1]] if len(words) > 1 else words)} is expected"
