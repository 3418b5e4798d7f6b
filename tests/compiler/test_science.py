"""The rules of sound experiments (section 8 of the language): each finds its slip, and leaves correct files alone."""

from __future__ import annotations

import pytest
from words import CLEAN, HEAD, SAT, SUBSET, codes_of, findings_of

from satdsl.findings import Finding

PGD = "pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)"


def science(text: str, **overrides: str) -> list[str]:
    """The codes of what is found, but for what nobody uses (E707 to E709: these specifications are short)."""
    return [code for code in codes_of(text, **overrides) if code not in ("E708", "E709")]


def only(text: str, code: str) -> Finding:
    (finding,) = (finding for finding in findings_of(text) if finding.code == code)
    return finding


# --- parts and subsets ---

BY_CLASS = "split s of d { A = classes 1, 2; B = rest }\n"


@pytest.mark.parametrize(
    ("split", "part", "codes"),
    [
        (SUBSET, "A_val", ["E406"]),
        (SUBSET, "B_val", ["E406"]),
        (SUBSET, "A_train, B_train, val, train", []),
        (BY_CLASS, "A_val, B_val, A_train, val", []),
        (BY_CLASS, "C_val", ["E407"]),
        (BY_CLASS, "A_test", ["E407"]),
        (BY_CLASS, "d.val, d.train", []),
        (BY_CLASS, "d.A_val", ["E407"]),
        ("split s of d { A = hardest 3 classes by snapshot-entropy of ref; B = rest }\n", "A_val, B_val", []),
        ("split s of d { A = random 3 classes; B = rest }\n", "A_val, B_val", []),
        ("split s of d { A = classes 1, 2; C = class 1 + class 3 - class 1; B = rest }\n", "C_val", []),
        ("split s of d { A = classes 1, 2; C = random 50% examples of (class 3); B = rest }\n", "A_val", ["E406"]),
    ],
)
def test_a_subset_has_validation_images_only_in_a_split_by_classes(split, part, codes):
    assert science(f"{HEAD}{split}{SAT}evaluate sat {{ clean = clean accuracy on {part} }}") == codes


def test_the_finding_about_validation_images_says_why_there_are_none():
    finding = only(f"{HEAD}{SUBSET}{SAT}evaluate sat {{ clean = clean accuracy on B_val }}", "E406")
    assert finding.span.text == "B_val"
    assert "ranking" in finding.reason
    assert "`val`" in finding.help
    assert "transfer" in finding.help


def test_a_network_is_measured_on_images_like_those_it_knows():
    spec = HEAD + "dataset c = CIFAR10()\ndataset e = digits(limit=100)\n"
    assert science(spec + "evaluate ref { c = clean accuracy on c.val }") == ["E506"]
    assert science(spec + "evaluate ref { c = clean accuracy on e.val }") == []
    assert science(spec + "evaluate ref { c = clean accuracy on e.A_val }") == ["E407"]


def split_codes(lines: str) -> list[str]:
    return science(f"{HEAD}split s of d {{ {lines} }}\ntrain sat = m on s using r\n{CLEAN}")


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ("A = classes 1, 2; B = classes 2, 3", ["E402"]),
        ("A = classes 1, 2; B = classes 3, 4; C = rest", []),
        ("A = class 1; B = all - class 1", []),
        ("A = class 1; B = all", ["E402"]),
        ("A = hardest 60% examples by loss of ref; B = easiest 60% examples by loss of ref", ["E402"]),
        ("A = hardest 50% examples by loss of ref; B = easiest 50% examples by loss of ref", ["E402"]),
        ("A = hardest 718 examples by loss of ref; B = easiest 719 examples by loss of ref", []),
        ("A = hardest 30% examples by loss of ref; B = easiest 70% examples by loss of ref", []),
        ("A = hardest 30% examples by loss of ref; B = hardest 10% examples by loss of ref; C = rest", ["E402"]),
        ("A = random 30% examples seed = 1; B = random 10% examples seed = 1; C = rest", ["E402"]),
        ("A = hardest 10% examples by loss of ref; B = hardest 30% examples by loss of ref - A; C = rest", []),
        ("A = class 1; B = class 2", ["E403"]),
        ("A = classes 0, 1, 2, 3, 4; B = classes 5, 6, 7, 8, 9", []),
        ("A = hardest 30% examples by loss of ref; B = easiest 30% examples by loss of ref", ["E403"]),
        ("A = rest; B = rest", ["E403"]),
        ("A = all", []),
        ("A = all; B = rest", ["E404"]),
        ("A = none; B = rest", ["E404"]),
        ("A = hardest 0 examples by loss of ref; B = rest", ["E404"]),
        ("A = class 1 & class 2; B = rest", ["E404"]),
        ("A = class 1; B = rest; weight A = |B|/|A|", []),
        ("A = class 1; B = rest; weight A = 1 - 2", ["E405"]),
        ("A = class 1; B = rest; weight A = 1/(|A| - 147)", ["E405"]),
        ("A = class 1; B = rest; weight A = 0", []),
    ],
)
def test_subsets_are_disjoint_and_cover_everything_and_none_is_empty(lines, codes):
    assert split_codes(lines) == codes


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("A = classes 1, 2; B = classes 2, 3", ["`A`", "`B`", "class 2"]),
        ("A = class 1; B = class 2", ["1,149 of 1,437"]),
        ("A = hardest 0 examples by loss of ref; B = rest", ["`A` is empty"]),
    ],
)
def test_the_overlap_or_the_gap_is_named(lines, words):
    (finding,) = (f for f in findings_of(f"{HEAD}split s of d {{ {lines} }}") if f.severity == "error")
    assert all(word in finding.message for word in words)


def test_a_weight_s_finding_says_the_sizes_and_the_point():
    text = f"{HEAD}sweep {{ k = [1, 2] }}\nsplit s of d {{ A = class 1; B = rest; weight A = 1.5 - $k*|A|/|A| }}\n"
    finding = only(text, "E405")
    assert "$k = 2" in finding.message
    assert "|A| = 147" in finding.reason


# --- difficulty ---


@pytest.mark.parametrize(
    ("score", "kept", "codes"),
    [
        ("snapshot-entropy", "keep snapshots every epoch", []),
        ("snapshot-entropy", "", ["E503"]),
        ("snapshot-entropy", "keep weights every epoch", ["E503"]),
        ("entropy", "", []),
        ("forgetting", "", ["E503"]),
        ("aum", "", ["E503"]),
        ("forgetting", "keep snapshots every 2 epochs", []),
        ("entropi", "", ["E202"]),
    ],
)
def test_scores_over_snapshots_need_snapshots(score, kept, codes):
    spec = f"{HEAD}train t = m on d using r {{ {kept} }}\n"
    assert (
        science(f"{spec}split s of d {{ A = hardest 30% examples by {score} of t; B = rest }}\n{SAT}{CLEAN}") == codes
    )
    measured = science(f"{spec}evaluate t {{ e = mean {score} on train }}")
    assert measured == codes


def test_a_score_ranks_the_examples_it_was_taken_on():
    spec = HEAD + "dataset e = digits(limit=100)\ndataset same = digits(holdout=20%)\n"
    assert science(f"{spec}split s of e {{ A = hardest 30% examples by loss of ref; B = rest }}\n{SAT}{CLEAN}") == [
        "E504"
    ]
    assert science(f"{spec}split s of same {{ A = hardest 30% examples by loss of ref; B = rest }}\n{SAT}{CLEAN}") == []


def test_a_reference_that_is_itself_attacked_is_doubted():
    attacked = f"train tough = m on d using r {{ attack all with pgd7 }}\n{SUBSET}{SAT}{CLEAN}"
    assert science(HEAD + attacked.replace("snapshot-entropy of ref", "loss of tough")) == ["E505"]
    assert science(HEAD + attacked) == []
    unattacked = attacked.replace("attack all with pgd7", "attack all with nothing")
    assert (
        science(f"{HEAD}attack nothing = none()\n{unattacked.replace('snapshot-entropy of ref', 'loss of tough')}")
        == []
    )


def test_a_model_is_not_ranked_by_a_model_that_is_trained_on_its_split():
    spec = HEAD + "split s of d { A = hardest 30% examples by loss of sat; B = rest }\n" + SAT + CLEAN
    assert science(spec) == ["E205"]
    assert science(spec.replace("loss of sat", "loss of ref")) == []


def test_a_second_split_may_be_ranked_by_a_model_trained_on_a_first():
    second = "split s2 of d { A = hardest 30% examples by loss of sat; B = rest }\ntrain again = m on s2 using r\n"
    assert science(HEAD + SUBSET + SAT + second + "evaluate again { c = clean accuracy on val }") == ["E505"]


# --- threat models ---


@pytest.mark.parametrize(
    ("trained", "evaluated", "codes"),
    [
        (PGD, "autoattack(norm=Linf, eps=0.1)", []),
        (PGD, "autoattack(norm=L2, eps=0.1)", ["E609"]),
        (PGD, "autoattack(norm=Linf, eps=0.2)", ["E609"]),
        (PGD, "autoattack(norm=Linf, eps=1/10)", []),
        (PGD, "none()", []),
        ("none()", "autoattack(norm=L2, eps=0.1)", []),
        ("fgsm(norm=Linf, eps=0.1)", "pgd(norm=Linf, eps=0.1, step_size=0.1, steps=9)", []),
        ("fgsm(norm=Linf, eps=0.2)", "pgd(norm=Linf, eps=0.1, step_size=0.1, steps=9)", ["E609"]),
    ],
)
def test_training_and_evaluation_under_different_threats_are_doubted(trained, evaluated, codes):
    spec = (
        f"{HEAD}attack t = {trained}\nattack e = {evaluated}\ntrain sat = m on d using r {{ attack all with t }}\n"
        "evaluate sat { robust = robust accuracy under e on val }\n"
    )
    assert science(spec) == codes


def test_a_different_threat_is_shown_at_its_own_attack():
    spec = (
        f"{HEAD}attack nothing = none()\nattack other = pgd(norm=L2, eps=0.5, step_size=0.5, steps=3)\n"
        "train sat = m on d using r { attack all with pgd7 }\n"
        "evaluate sat { robust = robust accuracy under nothing, other on val }\n"
    )
    assert only(spec, "E609").span.text == "other"


def attack_codes(attack: str, dataset: str = "digits(holdout=10%)") -> list[str]:
    spec = HEAD.replace("digits(holdout=10%)", dataset)
    return science(f"{spec}attack x = {attack}\nevaluate ref {{ r = robust accuracy under x on val }}")


@pytest.mark.parametrize(
    ("attack", "codes"),
    [
        ("pgd(norm=L2, eps=0.5, step_size=0.1, steps=5)", []),
        ("pgd(norm=L2, eps=0.5, step_size=0.1, steps=4)", ["E602"]),
        ("pgd(norm=Linf, eps=8/255, step_size=2/255, steps=4)", []),
        ("pgd(norm=Linf, eps=0.3, step_size=0.1, steps=3)", []),
        ("pgd(norm=Linf, eps=0.3, step_size=0.0999, steps=3)", ["E602"]),
        ("fgsm(norm=Linf, eps=0.3)", []),
        ("fgsm(norm=Linf, eps=0.3, step_size=0.3)", []),
        ("fgsm(norm=Linf, eps=0.3, step_size=0.03)", ["E602"]),
        ("pgd(norm=Linf, eps=0.1, step_size=0.1, steps=1, restarts=3)", ["E603"]),
        ("pgd(norm=Linf, eps=0.1, step_size=0.1, steps=1, restarts=3, random_start=ball)", []),
        ("pgd(norm=Linf, eps=8, step_size=2, steps=7)", ["E601"]),
        ("pgd(norm=Linf, eps=1, step_size=0.2, steps=7)", []),
        ("fgsm(norm=Linf, eps=1.01)", ["E601"]),
        ("autoattack(norm=Linf, eps=8)", ["E601"]),
        ("autoattack(norm=L2, eps=8)", []),
        ("autoattack(norm=L2, eps=8.01)", ["E601"]),
        ("autoattack(norm=L2, eps=0)", ["E304"]),
        ("autoattack(norm=L2, eps=-1)", ["E304"]),
        ("autoattack(norm=L2, eps=10%)", ["E301"]),
        ("autoattack(norm=L2, eps=0.5, version=custom)", ["E604"]),
        ("autoattack(norm=L2, eps=0.5, attacks=[square])", ["E604"]),
        ("autoattack(norm=L2, eps=0.5, version=custom, attacks=[square])", []),
    ],
)
def test_an_attack_s_settings_make_sense_together(attack, codes):
    assert attack_codes(attack) == codes


def test_the_radius_s_finding_suggests_the_image_scale():
    finding = only(f"{HEAD}attack x = fgsm(norm=Linf, eps=8)", "E601")
    assert "8/255" in finding.help
    assert "[0, 1]" in finding.reason


def test_a_radius_fits_the_images_it_is_used_on():
    attack = "autoattack(norm=L2, eps=20)"
    assert attack_codes(attack) == ["E601"]
    assert attack_codes(attack, "CIFAR10(holdout=10%)") == []


@pytest.mark.parametrize(
    ("classes", "attack", "codes"),
    [
        (10, "autoattack(norm=Linf, eps=0.1)", []),
        (12, "autoattack(norm=Linf, eps=0.1)", []),
        (9, "autoattack(norm=Linf, eps=0.1)", ["E606"]),
        (4, "autoattack(norm=Linf, eps=0.1)", ["E606"]),
        (3, "autoattack(norm=Linf, eps=0.1)", ["E605"]),
        (2, "autoattack(norm=Linf, eps=0.1)", ["E605"]),
        (3, "autoattack(norm=Linf, eps=0.1, version=rand)", ["E605"]),
        (2, "autoattack(norm=Linf, eps=0.1, version=rand)", ["E605"]),
        (2, "autoattack(norm=Linf, eps=0.1, version=custom, attacks=[apgd-ce, square])", []),
        (3, "autoattack(norm=Linf, eps=0.1, version=custom, attacks=[apgd-ce, fab-t, square])", ["E606"]),
        (2, PGD, []),
    ],
)
def test_autoattack_fits_the_number_of_classes(classes, attack, codes):
    assert (
        attack_codes(attack, f"synthetic(classes={classes}, shape=[1, 8, 8], train=120, val=60, holdout=10%)") == codes
    )


def test_the_finding_about_few_classes_names_the_alternatives():
    spec = HEAD.replace("digits(", "synthetic(classes=3, shape=[1, 8, 8], train=60, val=30, ")
    finding = only(f"{spec}evaluate ref {{ r = robust accuracy under aa on val }}", "E605")
    assert finding.severity == "error"
    assert "custom" in finding.help
    assert "pgd" in finding.help


@pytest.mark.parametrize("attack", ["pgd7", "aa"])
def test_autoattack_is_not_trained_with(attack):
    codes = science(f"{HEAD}train sat = m on d using r {{ attack all with {attack} }}\n{CLEAN}")
    assert codes == (["E607"] if attack == "aa" else [])


@pytest.mark.parametrize(
    ("split", "attack", "kind", "codes"),
    [
        ("A = hardest 10% examples by loss of ref; B = rest", "A", "fgsm(norm=Linf, eps=0.1)", ["E608"]),
        ("A = hardest 5% examples by loss of ref; B = rest", "A", "fgsm(norm=Linf, eps=0.1)", ["E608"]),
        ("A = class 1; B = rest", "A", "fgsm(norm=Linf, eps=0.1)", ["E608"]),
        ("A = classes 1, 2; B = rest", "A", "fgsm(norm=Linf, eps=0.1)", []),
        ("A = hardest 20% examples by loss of ref; B = rest", "A", "fgsm(norm=Linf, eps=0.1)", []),
        ("A = hardest 10% examples by loss of ref; B = rest", "B", "fgsm(norm=Linf, eps=0.1)", []),
        ("A = hardest 10% examples by loss of ref; B = rest", "A", PGD, []),
        ("A = hardest 10% examples by loss of ref; B = rest", "all", "fgsm(norm=Linf, eps=0.1)", []),
        ("A = examples where loss of ref > 9; B = rest", "A", "fgsm(norm=Linf, eps=0.1)", []),
    ],
)
def test_fgsm_on_a_small_subset_is_doubted(split, attack, kind, codes):
    spec = f"{HEAD}attack x = {kind}\nsplit s of d {{ {split} }}\n"
    assert science(f"{spec}train sat = m on s using r {{ attack {attack} with x }}\n{CLEAN}") == codes


# --- selection and transfer ---


@pytest.mark.parametrize(
    ("dataset", "recipe", "select", "codes"),
    [
        ("digits(holdout=10%)", "sgd(epochs=9, schedule=step(at=[5]))", "select by clean accuracy", []),
        ("digits()", "sgd(epochs=9, schedule=step(at=[5]))", "select by clean accuracy", ["E501"]),
        ("digits()", "sgd(epochs=9, schedule=step(at=[5]))", "", []),
        ("digits(holdout=10%, holdout_from=train)", "sgd(epochs=9, schedule=step(at=[5]))", "select", []),
        ("digits(holdout=10%)", "sgd(epochs=9)", "select by clean accuracy", ["E502"]),
        ("digits(holdout=10%)", "sgd(epochs=9, schedule=cosine())", "select after each lr drop", ["E502"]),
        ("digits(holdout=10%)", "sgd(epochs=9)", "select by clean accuracy every 3 epochs", []),
        ("digits(holdout=10%)", "sgd(epochs=9)", "select by clean accuracy at end", []),
        ("digits(holdout=10%)", "sgd(epochs=9)", "select by clean accuracy every 10 epochs", ["E304"]),
        ("digits(holdout=10%)", "sgd(epochs=9)", "select by mean entropy at end", ["E502"]),
        ("digits(holdout=10%)", "sgd(epochs=9)", "select at end; select at end", ["E201"]),
    ],
)
def test_selection_needs_a_hold_out_and_a_moment(dataset, recipe, select, codes):
    spec = f"sat 1\ndataset d = {dataset}\nmodel m = small_cnn()\nrecipe r = {recipe}\n"
    assert science(f"{spec}train sat = m on d using r {{ {select} }}\n{CLEAN}") == codes


@pytest.mark.parametrize(
    ("target", "codes"),
    [
        ("digits()", []),
        ("CIFAR10()", ["E506"]),
        ("MNIST()", ["E506"]),
        ("MNIST(resize=8)", []),
        ("CIFAR10(resize=8)", ["E506"]),
        ("synthetic(classes=3, shape=[1, 8, 8], train=60, val=30)", []),
    ],
)
def test_a_transfer_s_images_fit_its_source(target, codes):
    spec = f"{HEAD}dataset target = {target}\ntransfer h = ref to target using r {{ head = mlp(hidden=8) }}\n"
    assert science(spec + "evaluate h { c = clean accuracy on val }") == codes


COLOUR = HEAD.replace("digits(holdout=10%)", "CIFAR10(holdout=10%)")


@pytest.mark.parametrize(
    ("target", "codes"),
    [
        ("MNIST(resize=32)", []),
        ("MNIST()", ["E506"]),
        ("SVHN()", []),
        ("synthetic(shape=[4, 32, 32])", ["E506"]),
        ("synthetic(shape=[1, 32, 32])", []),
    ],
)
def test_a_network_for_colours_is_shown_grey_images_too_in_transfers_and_measurements(target, codes):
    assert COLOUR != HEAD
    spec = f"{COLOUR}dataset target = {target}\n"
    transfer = "transfer h = ref to target using r\nevaluate h { c = clean accuracy on val }\n"
    assert science(spec + transfer) == codes
    assert science(spec + "evaluate ref { c = clean accuracy on target.val }") == (codes or ["E527"])


def test_a_measurement_that_wants_a_size_only_says_which():
    spec = COLOUR + "dataset target = MNIST()\nevaluate ref { c = clean accuracy on target.val }\n"
    assert only(spec, "E506").help == "write `resize=32` in `dataset target`"


def test_the_finding_about_sizes_suggests_the_resize():
    spec = f"{HEAD}dataset target = MNIST()\ntransfer h = ref to target using r {{ head = mlp(hidden=8) }}\n"
    assert "resize=8" in only(spec, "E506").help


# --- what nobody uses ---


def test_axes_results_and_trainings_that_nobody_uses_are_named():
    spec = f"{HEAD}sweep {{ k = [1, 2] }}\ntrain idle = m on d using r\n{SUBSET}{SAT}{CLEAN}"
    spec += 'evaluate ref { clean = clean accuracy on val }\ntable "t" = rows(ref.clean)\n'
    assert codes_of(spec) == ["E707", "E709", "E708"]
    used = spec.replace("rows(ref.clean)", "rows(ref.clean, sat.clean)").replace(
        "idle = m on d using r", "idle = m on d using r { seed = $k }"
    )
    assert codes_of(used + 'evaluate idle { c = clean accuracy on val }\nplot "p" = line(y=idle.c, x=$k)') == []


def test_results_need_not_be_shown_where_nothing_is():
    assert codes_of(HEAD + "evaluate ref { clean = clean accuracy on val }") == []


@pytest.mark.parametrize(
    "again",
    [
        "model m = small_cnn()",
        "attack ref = none()",
        "param p = 1; sweep { p = 2 }",
        "evaluate ref { c = clean accuracy on val; c = clean accuracy on train }",
        "split s of d { A = class 1; B = rest; weight A = 1; weight A = 2 }",
    ],
)
def test_a_name_is_declared_once(again):
    assert "E201" in science(HEAD + again)


def test_the_same_name_may_mean_a_param_and_a_model():
    assert science(HEAD + "param m = 1\nevaluate ref { clean = clean accuracy on val }") == []


def test_all_mistakes_of_a_file_are_found_in_one_run():
    spec = f"{HEAD}attack x = fgsm(norm=Linf, eps=8)\nsplit s of d {{ A = classes 1, 12; B = rest }}\n"
    spec += "train t = n on d using r\n"
    assert science(spec + "evaluate ref { c = clean accuracy on B_val }") == ["E601", "E204", "E203", "E407"]
