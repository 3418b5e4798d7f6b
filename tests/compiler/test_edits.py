"""Good specifications are mistyped at random: findings stand on the mistake, and their fixes give the plan again."""

from __future__ import annotations

import pytest
from edits import EDITS, ROOT, Figures, measured

QUICK = ("digits.sat", "first.sat", "wong-2020-fast.sat", "rice-2020-overfitting.sat", "xu-2021-fair.sat")


def check(figures: Figures) -> None:
    text = "\n".join([*figures.lines(), *map(str, figures.no_way_out.most_common(5))])
    assert figures.stands_there >= 0.9 * figures.told, text
    assert figures.restored >= 0.6 * figures.told, text
    assert figures.wrongly_fixed <= 0.01 * figures.told, text
    assert not figures.no_way_out, text


def test_some_edits() -> None:
    files = [path for path in ROOT.glob("**/*.sat") if path.name in QUICK and "templates" not in path.parts]
    assert len(files) == len(QUICK)
    check(measured(150, paths=sorted(files)))


@pytest.mark.slow
def test_many_edits() -> None:
    figures = measured(EDITS)
    print(*figures.lines(), sep="\n")
    check(figures)
