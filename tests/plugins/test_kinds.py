"""Every kind of entry in a Python file: what it is called with, what its mark says, what the language makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from satdsl.catalog.plugins.formulas import Formula, Incomputable
from satdsl.catalog.plugins.kinds import KINDS
from satdsl.catalog.plugins.marks import KINDS as NAMES
from satdsl.check import check
from satdsl.compile import compile_file
from satdsl.diagnostics import SpecError
from satdsl.ir.plan import Passes, Plan
from satdsl.plan.saved import UnusablePlan, load, save
from satdsl.show.diff import diff_document
from satdsl.show.document import plan_document

MINE = '''
from typing import Annotated, Literal, Optional

import satdsl.plugin as sat


@sat.attack(norm="Linf", passes="2*steps if restarts > 1 else steps", forward="1")
def signs(network, images, labels, *, eps: sat.Radius = 8/255, steps: int = 10, restarts: int = 1):
    """Signs."""


@sat.attack
def unbounded(network, images, labels, *, c: float = 1.0):
    """Without a ball."""


@sat.model
def mynet(classes: int, channels: int, *, width: int = 8, act: Literal["relu", "silu"] = "relu"):
    """A network."""


@sat.loss
def focal(logits, labels, *, gamma: Annotated[float, sat.AtLeast(0)] = 2):
    """Focal loss (Lin et al., 2017)."""


@sat.loss
def mart(clean, adversarial, labels, *, beta: float = 5.0):
    """MART (Wang et al., 2020)."""


@sat.score(forward="k")
def wobble(network, images, labels, *, k: int = 4):
    """How far the prediction moves under noise."""


@sat.measure(share=True, forward="steps")
def flips(network, images, labels, generator, *, radius: Annotated[float, sat.Above(0)], steps: int = 8):
    """Whether the prediction changes under noise."""


@sat.measure(passes="1")
def slope(network, images, labels):
    """The norm of the gradient."""


@sat.dataset(classes=("cat", "dog"), shape=(1, 8, 8), train="n", val=20, mean=(0.5,), std=(0.2,))
def cats(part, folder, *, n: Annotated[int, sat.Above(3)] = 100, tint: Optional[list[float]] = None):
    """Cats and dogs."""


@sat.augmentation
def invert(images, generator, *, share: sat.Share = 0.5):
    """Inverts."""


@sat.schedule
def poly(epoch, epochs, *, power: float = 0.9):
    """Polynomial."""
'''

SPEC = """sat 1
use "mine.py"
dataset d = cats(n=200, augment=[invert(share=30%), flip], holdout=10%)
model net = mynet(act=silu)
attack mi = signs(eps=0.1)
attack un = unbounded()
recipe r = sgd(epochs=3, lr=0.1, schedule=poly(power=2))
split s of d { A = random 50% examples seed = 1; B = rest }
train t = net on s using r { attack A with mi; loss A = mart(beta=6); loss B = focal }
train u = net on d using r { attack all with un }
evaluate t { robust = robust accuracy under mi, un on val }
evaluate u { robust = robust accuracy under un on val }
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "mine.py").write_text(MINE, "utf-8")
    path = tmp_path / "main.sat"
    path.write_text(SPEC, "utf-8")
    return path


def errors(path: Path) -> list[str]:
    try:
        check(str(path), path.read_text("utf-8"))
    except SpecError as error:
        return [finding.message for finding in error.findings]
    return []


def only(plan: Plan, kind: str, label: str = "") -> object:
    (found,) = [step.settings for key, step in plan.steps.items() if step.kind == kind and label in plan.labels[key]]
    return found


def test_each_kind_that_can_be_marked_is_made_an_entry():
    assert set(KINDS) == set(NAMES)


def test_all_kinds_are_used_by_name(spec):
    train = only(compile_file(spec).plan, "train", " t")
    assert dict(train.model.args) == {"width": 8, "act": "silu"}
    assert dict(train.recipe["schedule"].args) == {"power": 2.0}
    assert [dict(change.args) for change in train.augment] == [{"share": 0.3}, {}]
    assert {part.loss.name for part in train.subsets} == {"mart", "focal"}
    assert (train.mean, train.std) == ((0.5,), (0.2,))


def test_a_data_set_has_the_facts_that_its_mark_says(spec):
    data = check(str(spec), spec.read_text("utf-8")).datasets["d"].at({})
    assert (data.facts.classes, data.facts.shape, data.facts.train) == (("cat", "dog"), (1, 8, 8), 200)
    assert (data.train, data.val, data.selection) == (200, 18, 2)
    source = only(compile_file(spec).plan, "data").source
    assert (source["n"], source["tint"], source.plugin.function) == (200, None, "cats")


def test_a_mark_says_what_its_function_costs(spec):
    plan = compile_file(spec).plan
    one = {label: passes for key, label in plan.labels.items() if (passes := plan.passes.get(key))}
    # 18 images: a clean pass, ten with gradient and one without, whether they are broken, the gradient's examination.
    assert one["evaluate t under signs on val"] == Passes(18 * 3, 18 * 11, at_most=True)
    assert one["evaluate t under unbounded on val"].unknown
    assert one["train u"].unknown


def test_totals_say_that_a_part_of_the_cost_is_not_known(spec):
    plan = compile_file(spec).plan
    assert plan_document(plan, dict.fromkeys(plan.steps, "new"))["totals"]["image_passes"]["unknown"]


def test_an_attack_without_a_radius_is_probed_by_nothing_and_breaks_no_rule(spec):
    assert errors(spec) == []


def test_the_fixed_norm_of_an_attack_is_what_the_rules_see(spec):
    spec.write_text(SPEC.replace("signs(eps=0.1)", "signs(eps=8)"), "utf-8")
    assert errors(spec)[0] == "eps=8 under Linf is larger than any image"


def test_a_smoke_run_takes_few_steps(spec):
    attacks = {s.settings.attack for s in compile_file(spec, smoke=True).plan.steps.values() if s.kind == "evaluate"}
    assert {attack["steps"] for attack in attacks if attack.name == "signs"} == {2}


def test_a_loss_of_both_images_needs_an_attack(spec):
    spec.write_text(SPEC.replace("loss B = focal", "loss B = mart"), "utf-8")
    assert errors(spec) == ["`mart` needs an attack on `B`, which has none"]


def test_trades_says_that_it_cannot_use_an_attack_of_one_s_own(spec):
    spec.write_text(SPEC.replace("mart(beta=6)", "trades"), "utf-8")
    assert errors(spec) == ["TRADES cannot use `signs`, the attack on `A`"]


def test_what_is_wrong_in_a_file_is_not_said_again_where_it_is_used(spec):
    spec.with_name("mine.py").write_text(MINE.replace("power: float", "power: complex"), "utf-8")
    assert errors(spec) == ["an argument cannot be `complex`"]
    spec.with_name("mine.py").write_text(MINE + ")", "utf-8")
    assert errors(spec) == ["this is no Python: unmatched ')'"]


@pytest.mark.parametrize("name", ["no.py", "folder.py", "latin.py", "many/../no.py"])
def test_a_file_that_cannot_be_read_is_named(spec, name):
    (spec.parent / "folder.py").mkdir()
    (spec.parent / "latin.py").write_bytes(b"# \xe9")
    spec.write_text(f'sat 1\nuse "{name}"\n', "utf-8")
    (message,) = errors(spec)
    assert message.startswith(f"`{(spec.parent / name).resolve()}` cannot be read")


RANKED = """sat 1
use "mine.py"
dataset d = cats()
model net = mynet()
recipe r = sgd(epochs=3, lr=0.1)
train ref = net on d using r {}
sweep { score = [wobble, entropy] }
split s of d { A = hardest 50% examples by $score of ref; B = rest; weight B = 0 }
train t = net on s using r {}
evaluate t { clean = clean accuracy on val }
evaluate ref { far = mean wobble on train }
"""


def test_a_score_ranks_examples_and_is_averaged(spec):
    spec.write_text(RANKED, "utf-8")
    plan = compile_file(spec).plan
    scores = {step.settings.score: step for step in plan.steps.values() if step.kind == "score"}
    assert dict(scores["wobble"].settings.own.args) == {"k": 4}
    assert scores["entropy"].settings.own is None
    assert plan.passes[scores["wobble"].key] == Passes(4 * 100)
    (far,) = [result for result in plan.results if result.name == "ref.far"]
    assert far.measure.of == scores["wobble"].key


def test_a_score_of_one_s_own_is_not_taken_over_snapshots(spec):
    spec.write_text(RANKED.replace("[wobble", "[snapshot-wobble"), "utf-8")
    assert errors(spec) == ["there is no score called `snapshot-wobble`"]


def test_a_score_cannot_have_an_argument_that_nothing_gives(spec):
    spec.with_name("mine.py").write_text(MINE.replace("k: int = 4", "k: int"), "utf-8")
    assert errors(spec) == ["`k` has no default"]


MEASURED = """sat 1
use "mine.py"
dataset d = cats()
model net = mynet()
recipe r = sgd(epochs=3, lr=0.1)
sweep { radius = [0.1, 0.2] }
split s of d { A = class cat; B = rest }
train t = net on s using r {}
evaluate t { moved = flips(radius=$radius) on val, A_val; steep = slope() on train by class }
expect "few": t.moved[radius=0.1, part=val] < 10% and t.steep[class=cat] < 3
"""


def test_a_measure_is_a_call_that_has_a_number_for_each_image(spec):
    spec.write_text(MEASURED, "utf-8")
    plan = compile_file(spec).plan
    steps = [step for step in plan.steps.values() if step.kind == "evaluate"]
    assert sorted(step.settings.own.get("radius", 0) for step in steps) == [0, 0.1, 0.2]
    assert {plan.labels[step.key] for step in steps} == {"evaluate t by flips on val", "evaluate t by slope on train"}
    moved, steep = ([r.measure for r in plan.results if r.name == f"t.{name}"] for name in ("moved", "steep"))
    assert {(one.words, one.unit) for one in moved} == {("flips", "share")}
    assert {(one.words, one.unit) for one in steep} == {("slope", "score")}
    assert [plan.passes[one.of] for one in steep] == [Passes(0, 100)]
    assert {plan.passes[one.of] for one in moved} == {Passes(8 * 20)}


def test_a_measure_is_made_short_in_a_smoke_run_which_says_so(spec):
    spec.write_text(MEASURED, "utf-8")
    plan = compile_file(spec, smoke=True).plan
    calls = [step.settings.own for step in plan.steps.values() if step.kind == "evaluate"]
    assert {call["steps"] for call in calls if call.name == "flips"} == {2}
    assert "flips: at most 2 steps" in plan.smoke


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("flips(radius=$radius)", "flps(radius=1)", "there is no measure called `flps`"),
        ("radius=$radius", "radius=0", "`radius` must be above 0, but here it is 0"),
        ("slope()", "slope(2)", "`slope` takes 0 arguments, but this is one more"),
        ("slope()", "slope", "a measure is `clean accuracy`, `robust accuracy under` or `median distance under`"),
        ("10%", "10", "`10` is a plain number, the other side is a percentage"),
    ],
)
def test_a_wrong_measure_is_told(spec, before, after, message):
    spec.write_text(MEASURED.replace(before, after, 1), "utf-8")
    assert errors(spec)[0].startswith(message)


def test_no_checkpoint_is_selected_by_a_measure_of_one_s_own(spec):
    held_out = MEASURED.replace("cats()", "cats(holdout=20%)")
    spec.write_text(held_out.replace("using r {}", "using r { select by slope() at end }"), "utf-8")
    assert "checkpoints are selected by accuracy" in errors(spec)


# --- formulas --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2*steps + 1", 21),
        ("steps // 3", 3),
        ("max(steps, len(sizes))", 10),
        ("steps if norm == 'L2' else 1", 10),
        ("1 if norm != 'L2' else 2 - 1.5", 0.5),
        ("-(-3)", 3),
    ],
)
def test_a_formula_has_the_value_that_python_gives_it(text, value):
    assert Formula(text).value({"steps": 10, "sizes": (1, 2), "norm": "L2"}) == value


@pytest.mark.parametrize(
    "text",
    [
        *(
            "__import__('os')",
            "steps.real",
            "(lambda: 1)()",
            "[1]*9",
            "'a'*9",
            "9**9**9",
            "1e18*1e18",
            "-1",
            "1/0",
            "1 if",
        ),
        *("", "steps()", "(" * 150, "1+" * 999 + "1", "len", "1e400", "True", "sum(steps)", "1" * 600, "-" * 499 + "1"),
    ],
)
def test_what_is_no_formula_has_no_value_and_runs_nothing(text):
    with pytest.raises(Incomputable):
        Formula(text).value({"steps": 10})


# --- saved plans -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_a_saved_plan_is_the_plan_with_its_code(spec, suffix):
    plan, place = compile_file(spec).plan, spec.with_name(f"plan{suffix}")
    save(plan, place)
    again = load(place)
    assert again == plan
    assert [code.files for code, _ in again.python] == [code.files for code, _ in plan.python]
    assert "Inverts." not in place.read_text("utf-8")


def test_a_saved_plan_is_refused_where_the_code_has_changed_or_is_gone(spec):
    place, mine = spec.with_name("plan.yaml"), spec.with_name("mine.py")
    save(compile_file(spec).plan, place)
    mine.write_text(f"# a comment\n{MINE}", "utf-8")
    load(place)
    mine.write_text(f"x = 1\n{MINE}", "utf-8")
    with pytest.raises(UnusablePlan, match=r"the Python code .*mine\.py is not what it was"):
        load(place)
    mine.unlink()
    with pytest.raises(UnusablePlan, match=r"the Python code .*mine\.py is missing"):
        load(place)


def test_a_comparison_of_plans_names_the_code_that_has_changed(spec):
    first = compile_file(spec).plan
    spec.with_name("mine.py").write_text(f"x = 1\n{MINE}", "utf-8")
    second = compile_file(spec).plan
    ((code, _),), ((now, _),) = first.python, second.python
    (change,) = diff_document(first, second, dict.fromkeys(second.steps, "new"))["python"]["changed"]
    assert change == {"name": "mine.py", "setting": "sha256", "from": code.digest[:12], "to": now.digest[:12]}


def test_the_plan_s_document_lists_what_a_run_would_execute(spec):
    plan = compile_file(spec).plan
    (python,) = plan_document(plan, dict.fromkeys(plan.steps, "new"))["python"]
    assert python["file"] == str(spec.with_name("mine.py"))
    assert python["functions"] == ["cats", "focal", "invert", "mart", "mynet", "poly", "signs", "unbounded"]
