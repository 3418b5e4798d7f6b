"""Labels: what people read in place of names, and nothing else that changes."""

from __future__ import annotations

import pytest
from words import findings_of, plan_of

from satdsl.ir.plan import GivenLabel
from satdsl.show.document import plan_document

SPEC = """sat 1
sweep { share = [10%, 30%]; seed = 1..2 }
dataset d = digits(holdout=20%)
model cnn = small_cnn()
attack weak = pgd(norm=L2, eps=0.5, step_size=0.2, steps=4)
recipe short = sgd(epochs=2)
split s of d { A = random $share examples; B = rest }
train half = cnn on s using short { attack A with weak; seed = $seed }
evaluate half { clean = clean accuracy on val; robust = robust accuracy under weak on val }
table "t" = rows(half.clean, half.robust, by=[$share], mean=[$seed])
"""

LABELS = """label half "random images attacked"
label robust "under PGD"
label $share "attacked"
label [share=30%] "a third"
"""


def test_labels_change_no_key_and_no_step_and_stand_in_the_plan() -> None:
    bare, labelled = plan_of(SPEC), plan_of(SPEC + LABELS)
    assert list(bare.steps.items()) == list(labelled.steps.items())
    assert (bare.results, bare.labels, bare.axes) == (labelled.results, labelled.labels, labelled.axes)
    assert labelled.given_labels == (
        GivenLabel("weights", "half", "random images attacked"),
        GivenLabel("measure", "robust", "under PGD"),
        GivenLabel("axis", "share", "attacked"),
        GivenLabel("value", "share", "a third", "30%"),
    )
    before, after = (plan_document(plan, dict.fromkeys(plan.steps, "new")) for plan in (bare, labelled))
    assert after["labels"][3] == {"kind": "value", "name": "share", "text": "a third", "value": "30%"}
    assert after | {"labels": []} == before


def test_a_label_uses_nothing_that_it_names() -> None:
    unused = SPEC.replace("seed = 1..2 }", "seed = 1..2; n = 1..2 }") + "train alone = cnn on d using short\n"
    codes = [finding.code for finding in findings_of(unused + 'label alone "alone"\nlabel $n "number"\n')]
    assert codes == [finding.code for finding in findings_of(unused)] == ["E707", "E709"]


@pytest.mark.parametrize(
    "line", ['label half "half"', 'label $seed "30%"', 'label robust "a third"', 'label part "of"']
)
def test_these_labels_are_fine(line: str) -> None:
    assert findings_of(SPEC + line + '\nlabel [share=30%] "a third"\n') == ()


def test_a_label_of_a_value_that_set_takes_away_waits_for_it() -> None:
    assert plan_of(SPEC + LABELS, share="10%").given_labels[3].value == "30%"
