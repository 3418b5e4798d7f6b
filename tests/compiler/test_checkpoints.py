"""Weights made elsewhere, as the compiler sees them: what is part of a training's identity, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from words import codes_of

from satdsl.catalog import sample_files
from satdsl.catalog.models import ModelEntry
from satdsl.check import check
from satdsl.ir import steps
from satdsl.ir.plan import Plan
from satdsl.plan.expand import expand
from satdsl.show.text import page

SPEC = """sat 1
dataset d = digits(holdout=10%)
model made = checkpoint("weights.pt", arch=wide_resnet(depth=16, width=2, activation=relu){more})
recipe nothing = sgd(epochs=0, schedule=cosine())
train given = made on d using nothing
evaluate given {{ clean = clean accuracy on val }}
"""


def weights_of(last: int = 0) -> bytes:
    """A file of the weights of that network, the last byte of which is given."""
    entry = ModelEntry.of("wide_resnet")
    assert entry.outline is not None
    call = steps.CatalogCall("wide_resnet", (("depth", 16), ("width", 2)), entry.defaults)
    return sample_files.weights(entry.outline(call, 1, 10))[:-1] + bytes([last])


def plan_in(folder: Path, text: str = SPEC, weights: bytes = weights_of(), more: str = "") -> Plan:
    folder.mkdir(exist_ok=True)
    (folder / "weights.pt").write_bytes(weights)
    return expand(check(str(folder / "spec.sat"), text.format(more=more)))


def training(plan: Plan) -> steps.Train:
    (step,) = [step for step in plan.steps.values() if step.kind == "train"]
    assert isinstance(step.settings, steps.Train)
    return step.settings


def test_the_weights_count_and_where_they_lie_does_not(tmp_path: Path) -> None:
    first, moved = plan_in(tmp_path / "one"), plan_in(tmp_path / "two")
    changed = plan_in(tmp_path / "three", weights=weights_of(1))
    assert set(first.steps) == set(moved.steps)
    assert not {key for _, key in first.named["given"]} & {key for _, key in changed.named["given"]}
    settings = training(first)
    assert settings.model.name == "wide_resnet"
    assert settings.pretrained is not None
    assert settings.pretrained.path == str(tmp_path / "one/weights.pt")
    assert str(tmp_path) not in steps.key_text(settings)


def test_the_normalisation_is_the_data_sets_unless_the_checkpoint_has_its_own(tmp_path: Path) -> None:
    assert training(plan_in(tmp_path)).mean == (0.3055,)
    own = training(plan_in(tmp_path, more=", mean=[0], std=[1]"))
    assert (own.mean, own.std) == ((0.0,), (1.0,))


def test_what_is_given_costs_nothing_and_explain_says_that_it_is(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    (key,) = [key for _, key in plan.named["given"]]
    assert plan.passes[key].cost == 0
    console = Console(width=80)
    with console.capture() as shown:
        console.print(page(plan, dict.fromkeys(plan.steps, "new")))
    assert "wide_resnet, pretrained" in shown.get()


def test_a_sweep_can_go_over_checkpoints(tmp_path: Path) -> None:
    text = SPEC.replace('"weights.pt"', "$file") + 'sweep {{ file = ["weights.pt", "more.pt"] }}\n'
    (tmp_path / "more.pt").write_bytes(weights_of(2))
    plan = plan_in(tmp_path, text)
    assert len({key for _, key in plan.named["given"]}) == 2


def test_weights_that_are_trained_on_are_a_training_like_any_other(tmp_path: Path) -> None:
    text = SPEC.replace("epochs=0, schedule=cosine()", "epochs=2").replace(
        "using nothing\n", "using nothing {{ keep snapshots every epoch; select by clean accuracy at end }}\n"
    )
    settings = training(plan_in(tmp_path, text))
    assert settings.snapshots == (1, 2)
    assert settings.pretrained is not None


@pytest.mark.parametrize("line", ["attack all with p", "keep weights every epoch", "select by clean accuracy at end"])
def test_nothing_happens_in_no_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights.pt").write_bytes(weights_of())
    text = SPEC.format(more=", mean=none, std=none") + "attack p = pgd(norm=Linf, eps=0.1, step_size=0.1, steps=2)\n"
    assert codes_of(text) == []
    assert codes_of(text.replace("using nothing\n", f"using nothing {{ seed = 1; {line} }}\n")) == ["E513"]
