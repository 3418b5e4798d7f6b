"""What is written in another way than the language's is understood, and so are slips of the hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from satdsl.check import check
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding, applied

HERE = Path(__file__).parent

SPEC = """sat 1
dataset d = digits(holdout=20%)
model m = small_cnn(width=8)
attack pgd7 = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)
recipe r = sgd(epochs=3, lr=0.1)
sweep { seed = 1..3 }
split s of d {
  A = classes 0..4
  B = rest
}
train sat = m on s using r {
  attack A with pgd7
  loss A = trades(beta=6)
  seed = $seed
}
evaluate sat {
  robust = robust accuracy under pgd7 on val
  clean = clean accuracy on val
}
expect "good": for all seed: sat.robust >= 20%
expect "two": sat.robust[seed=1] > 10% and sat.clean[seed=2] > 10%
table "All" = rows(sat.robust, sat.clean, mean=$seed)
plot "Robust" = bars(y=sat.robust, x=$seed)
"""

WAYS = [
    ("classes 0..4", "classes 0-4"),
    ("classes 0..4", "classes 0 to 4"),
    ("classes 0..4", "classes 0:4"),
    ("classes 0..4", "class = range(5)"),
    ("classes 2..4", "classes range(2, 5)"),
    ("classes 0..2, 5..6", "classes 0-2, 5-6"),
    ("classes 0, 1", "classes (0, 1)"),
    ("classes 0, 1", "classes [0, 1]"),
    ("classes 0, 1", "classes: 0, 1"),
    ("classes 0, 1, 2, 4", "classes 0 1 2 and 4"),
    ("A = random 30% examples seed = 3", "A = random 30% examples seed: 3"),
    ("A = class 3", "A: class 3"),
    ("seed = $seed", "seed $seed"),
    ("seed = $seed", "seed: $seed"),
    ("attack A with pgd7", "attack A using pgd7"),
    ("loss A = trades(beta=6)", "loss A: trades(beta=6)"),
    ("under pgd7 on val", "on val under pgd7"),
    ("robust accuracy under pgd7", "robust accuracy against pgd7"),
    ("robust accuracy under", "adversarial accuracy under"),
    ("clean accuracy", "standard accuracy"),
    ("for all seed: sat.robust >= 20%", "sat.robust >= 20% for all seed"),
    ("for all seed: sat.robust >= 20%", "sat.robust >= 20%, for every seed"),
    ("for all seed:", "for each seed:"),
    ('expect "good":', "expect good:"),
    ('table "All" =', "table All ="),
    ('table "All" =', 'table "All":'),
    ('plot "Robust" =', "plot Robust ="),
    ("{ seed = [1, 2, 3] }", "{ seed = 1, 2, 3 }"),
    ("{ seed = 1..3 }", "{ seed in 1..3 }"),
    ("{ seed = 1..3 }", "{ seed: 1..3 }"),
    ("{ seed = 1..3 }", "{ seed = 1 to 3 }"),
    ("{ seed = 1..3; width = [4, 8]; lr = 1..2 }", "{ seed = 1..3, width = [4, 8], lr = 1..2 }"),
    ("sat.robust[seed=1] > 10% and sat.clean[seed=2]", "sat[seed=1].robust > 10% and sat[seed=2].clean"),
    # slips
    ("attack A with pgd7", "attack A with with pgd7"),
    ("attack A with pgd7", "A attack with pgd7"),
    ("sgd(epochs=3, lr=0.1)", "sgd((epochs=3, lr=0.1)"),
    ("sgd(epochs=3, lr=0.1)", "sgd epochs=3, lr=0.1)"),
    ("recipe r = sgd", "r recipe = sgd"),
    ("evaluate sat {", "sat evaluate {"),
    ("evaluate sat {", "evaluate sat { {"),
    ("split s of d {", "s of d {"),
]
"""What is right, and in which other way it is written."""

IN_WORDS = [
    ("under pgd7 on", "under pgd(eps=0.1, steps=3) on", "attack mine = pgd(eps=0.1, steps=3)"),
    ("with pgd7", "with pgd(eps=0.1)", "attack mine = pgd(eps=0.1)"),
    ("using r", "using sgd(epochs=3)", "recipe mine = sgd(epochs=3)"),
    ("= m on", "= small_cnn(width=4) on", "model mine = small_cnn(width=4)"),
    ("seed = $seed", "epochs = 30", "write it in the recipe"),
    ("loss A = trades(beta=6)", "loss = trades(beta=6)", "write `loss all =`"),
    ("on val", "on C_val", "split `s` has the subsets A, B"),
]


def findings_of(text: str) -> tuple[Finding, ...]:
    try:
        return check("a.sat", text).warnings
    except SpecError as error:
        return error.findings


def spec_with(line: str) -> str:
    """The specification with a line that is right in the place of the one that it has."""
    for start in ("A = ", "classes "):
        if line.startswith(start):
            return SPEC.replace("A = classes 0..4", line if start == "A = " else f"A = {line}")
    return SPEC.replace("{ seed = 1..3 }", line) if line.startswith("{ seed") else SPEC


@pytest.mark.parametrize(("right", "other"), WAYS, ids=[other for _, other in WAYS])
def test_the_fix_writes_it_as_the_language_does(right: str, other: str) -> None:
    good = spec_with(right)
    assert right in good
    assert not [one for one in findings_of(good) if one.severity == "error"]
    text = good.replace(right, other, 1)
    first = findings_of(text)[0]
    assert first.code[:2] == "E1"
    assert first.fix is not None, (first.message, first.help)
    assert "".join(applied(first.fix, text).split()) == "".join(good.split())


@pytest.mark.parametrize(("right", "other", "help"), IN_WORDS, ids=[other for _, other, _ in IN_WORDS])
def test_where_it_takes_more_the_help_says_what(right: str, other: str, help: str) -> None:
    found = findings_of(SPEC.replace(right, other, 1))
    assert help in found[0].help + found[0].reason


def test_what_may_mean_two_things_has_no_fix() -> None:
    for right, other in [
        ("for all seed: sat.robust >= 20%", "for all seed: sat.robust .robust >= 20%"),
        ("sat.robust, sat.clean", "sat.robust sat.clean"),
        ('table "All" = rows', '"All" = rows'),
        ("trades(beta=6)", "trades beta=6)"),
    ]:
        text = SPEC.replace(right, other, 1)
        fixed = [applied(one.fix, text) for one in findings_of(text) if one.fix is not None]
        assert all("".join(one.split()) == "".join(SPEC.split()) for one in fixed), (other, fixed)


LEFT_OUT = """sat 1
dataset d = digits()
model m = small_cnn()
attack p = pgd(norm=Linf, eps=0.1, step_size=0.05, steps=7)
recipe r = sgd(epochs=3)
train sat = m on d using r { attack all with p }
evaluate sat { robust = robust accuracy under p on val by class; hard = mean entropy on train }
expect "a": sat.robust[class=3] > 1%
expect "b": sat.hard > 0
"""


@pytest.mark.parametrize(
    ("right", "other", "message"),
    [
        ("steps=7)", "steps)", "`steps` needs its value after `=`"),
        ("mean entropy on train", "mean on train", "`mean` needs a score"),
        ("sat.robust[", "satrobust[", "`satrobust` is no result: a result is named with a dot"),
    ],
)
def test_a_word_that_is_left_out_is_named(right: str, other: str, message: str) -> None:
    (found,) = findings_of(LEFT_OUT.replace(right, other, 1))
    assert found.message == message
    assert found.help
    assert not findings_of(LEFT_OUT)


LEDGER = sorted((HERE / "bad_messages").glob("*.sat"))


@pytest.mark.parametrize("path", LEDGER, ids=lambda path: path.stem)
def test_a_message_in_the_ledger_is_still_bad(path: Path) -> None:
    """Each file says in `# should say: ...` what is not said yet. A file whose message is mended is to be removed."""
    text = path.read_text("utf-8")
    wanted = text.splitlines()[0].removeprefix("# should say: ")
    said = " ".join(f"{one.message} {one.reason} {one.help}" for one in findings_of(text))
    assert wanted not in said, f"{path.name} is mended: put what it says into a test, and remove the file"
