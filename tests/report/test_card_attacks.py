"""A model card says what each subset was attacked with: several attacks, in some epochs, at radii of their own."""

from __future__ import annotations

import pytest

from satdsl.ir.steps import Attacks, CatalogCall, Phase, ScaledAttacks, SeveralAttacks, SubsetTraining, document
from satdsl.report.model_card import _attacked

LINF, L2 = CatalogCall("fgsm", (("norm", "Linf"), ("eps", 0.1))), CatalogCall("noise", (("norm", "L2"), ("eps", 0.5)))
FGSM, NOISE = "fgsm(norm=Linf, eps=0.1)", "noise(norm=L2, eps=0.5)"


@pytest.mark.parametrize(
    ("attack", "changes", "wanted"),
    [
        (None, (), "not attacked"),
        (LINF, (), f"`{FGSM}`"),
        (SeveralAttacks("mean", (LINF, None, L2)), (), f"`each of {FGSM}, none, {NOISE}`"),
        (ScaledAttacks(LINF, "ab" * 32, "r.npy"), (), f"`{FGSM} scaled by scores in a file of SHA-256 abababababab`"),
        (None, (Phase(3, L2, None),), f"not attacked; from epoch 3 `{NOISE}`"),
        (LINF, (Phase(2, LINF, CatalogCall("trades")), Phase(4, None, None)), f"`{FGSM}`; from epoch 4 not attacked"),
    ],
)
def test_what_a_subset_is_attacked_with_is_in_words(
    attack: Attacks | None, changes: tuple[Phase, ...], wanted: str
) -> None:
    assert _attacked(document(SubsetTraining(attack, 1.0, None, changes))) == wanted
