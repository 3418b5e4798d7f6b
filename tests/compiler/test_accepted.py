"""Warnings that a file accepts: `# sat: allow E609 because ...`, where it holds, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from words import codes_of, findings_of, keys_of

from satdsl.check import check
from satdsl.check.accepted import accepting
from satdsl.compile import check_file
from satdsl.diagnostics import rendered
from satdsl.findings import Source, parted
from satdsl.format import formatted
from satdsl.syntax.directives import Units

HEAD = """sat 1
dataset d = digits(holdout=10%)
model m = small_cnn()
recipe r = sgd(epochs=10)
attack p = pgd(norm=Linf, eps=0.1, step_size=0.03, steps=7)
attack l2 = pgd(norm=L2, eps=0.5, step_size=0.2, steps=7)
"""
WEAK = "attack w = pgd(norm=L2, eps=0.5, step_size=0.01, steps=7)"
TRAIN = "train t = m on d using r { attack all with p }\n"
BLOCK = (
    "evaluate t {{{}\n  clean = clean accuracy on val{}\n  {}\n  robust = robust accuracy under l2 on val{}\n{}}}{}\n"
)


def allow(code: str) -> str:
    return f"# sat: allow {code} because it is meant"


def accepted(text: str) -> list[tuple[str, str]]:
    return [(finding.code, finding.accepted) for finding in findings_of(text)]


def in_block(place: int, comment: str) -> str:
    pieces = [""] * 6
    pieces[place] = f" {comment}" if place != 4 else f"  {comment}\n"
    return BLOCK.format(*pieces)


HOLDS = {
    "on the line above": f"{allow('E602')}\n{WEAK}\n",
    "at the end of the line": f"{WEAK}  {allow('E602')}\n",
    "further above": f"{allow('E602')}\n\n# It is weak.\n\n{WEAK}\n",
    "inside of a call": WEAK.replace("eps=0.5,", f"eps=0.5,  {allow('E602')}\n  ") + "\n",
    "at the end of a call": WEAK.replace("eps=0.5, ", "eps=0.5,\n  ") + f" {allow('E602')}\n",
    "above a block": f"{TRAIN}{allow('E609')}\n{in_block(0, '')}",
    "in the head of a block": TRAIN + in_block(0, allow("E609")),
    "above a line of a block": TRAIN + in_block(2, allow("E609")),
    "at the end of a line of a block": TRAIN + in_block(3, allow("E609")),
    "before the end of a block": TRAIN + in_block(4, allow("E609")),
    "at the end of a block": TRAIN + in_block(5, allow("E609")),
    "after a block in one line": f"{TRAIN}evaluate t {{ a = robust accuracy under l2 on val }} {allow('E609')}\n",
    "after several": f"{TRAIN.strip()}; evaluate t {{ a = robust accuracy under l2 on val }}; {allow('E609')}\n",
    "of a training": f"{allow('E709')}\n{TRAIN}",
    "in other letters": f"{WEAK}  #SAT:Allow e602 Because: it is meant\n",
    "of two codes": f"{WEAK}  # sat: allow E602, E610 and E603 because it is meant\n",
}


@pytest.mark.parametrize("name", HOLDS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_comment_holds_for_what_follows_it_or_what_it_ends_and_formatting_keeps_that(name, end):
    text = (HEAD + HOLDS[name]).replace("\n", end)
    codes = [code for code, reason in accepted(text) if reason == "it is meant"]
    assert len(codes) == 1
    assert [code for code, reason in accepted(text) if not reason and code not in ("E109",)] == []
    assert accepted(formatted(Source("spec.sat", text))) == accepted(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{WEAK}\n{allow('E602')}\n",
        f"{allow('E602')}\nattack q = pgd(norm=L2, eps=0.5, step_size=0.2, steps=7)\n{WEAK}\n",
        TRAIN + in_block(1, allow("E609")),
    ],
)
def test_a_comment_does_not_hold_for_what_stands_elsewhere_and_is_told_where_the_warning_is(text):
    open_, taken = parted(findings_of(HEAD + text))
    assert taken == []
    assert {"E109"} < {finding.code for finding in open_}
    assert "is found in line" in next(finding.help for finding in open_ if finding.code == "E109")


@pytest.mark.parametrize("text", ["{0}\n{1}", "\ufeff# A comment.\n\n{0}\n\n{1}", "sat 1\n{0}\n{2}"])
def test_at_the_top_a_comment_holds_for_the_whole_file(text):
    text = text.format(allow("E602"), HEAD, HEAD.partition("\n")[2]) + WEAK + "\n" + WEAK.replace("w =", "v =")
    assert accepted(text) == [("E602", "it is meant")] * 2


def test_a_missing_version_that_is_added_leaves_what_is_accepted_as_it_is():
    text = f"{allow('E602')}\n{HEAD.partition(chr(10))[2]}{WEAK}\n"
    assert accepted(text) == [("E105", ""), ("E602", "it is meant")]
    assert accepted(f"sat 1\n{text}") == [("E602", "it is meant")]


def test_the_reason_is_whole_and_neither_key_nor_error_knows_of_it():
    text = HEAD + TRAIN + "evaluate t { a = robust accuracy under l2 on val }"
    reason = "norms are compared: see section 4.2, because a reviewer asked (#3)"
    assert accepted(f"{text}  # sat: allow E609 because {reason}\n") == [("E609", reason)]
    assert keys_of(f"{text}  # sat: allow E609 because {reason}\n") == keys_of(text)


def test_text_in_quotes_is_no_comment_and_other_comments_speak_of_a_network():
    assert accepted('sat 1\ntitle "# sat: alow E602"\n# sat: the network of figure 3\n# sat: allowed\n') == []
    assert accepted("sat 1\n# sat: is trained with E in mind\n# sat\n# sat:\n# satellite: allow\n") == []


@pytest.mark.parametrize(
    ("comment", "codes", "help"),
    [
        ("# sat: alow E602 because x", ["E107"], "did you mean `allow`?"),
        ("# sat: Allow E602 becuase x", ["E107"], "did you mean `because`?"),
        ("# sat: allow E602", ["E107"], "write `# sat: allow E602 because ...`, with the reason"),
        ("# sat: allow E602: x", ["E107"], "write `# sat: allow E602 because ...`, with the reason"),
        ("# sat: allow E602 because", ["E107"], "write `# sat: allow E602 because ...`, with the reason"),
        ("# sat: allow E602 because ...", ["E107"], "write `# sat: allow E602 because ...`, with the reason"),
        ("# sat: allow because x", ["E107"], "write `# sat: allow E609 because ...`, with the reason"),
        ("# sat: allow", ["E107"], "write `# sat: allow E609 because ...`, with the reason"),
        ("# sat: allow masked-gradients because x", ["E107"], "write `# sat: allow E609 because ...`, with the reason"),
        ("# sat: disable=E602", ["E107"], "write `# sat: allow E602 because ...`, with the reason"),
        ("# sat: allow E203 because x", ["E108"], "mend it"),
        ("# sat: allow E107 because x", ["E108"], "correct the comment it is about"),
        ("# sat: allow E999 because x", ["E108"], "`satdsl help` lists all findings"),
        ("# sat: allow E602 because x", ["E109"], "remove the comment"),
    ],
)
def test_a_comment_that_accepts_nothing_is_a_warning(comment, codes, help):
    found = findings_of(f"{HEAD}{comment}\n{TRAIN}evaluate t {{ a = robust accuracy under p on val }}\n")
    assert [finding.code for finding in found] == codes
    assert [finding.help for finding in found] == [help]
    assert {finding.severity for finding in found} == {"warning"}


def test_a_run_warns_of_numbers_and_the_finding_says_that_these_cannot_be_accepted():
    (finding,) = findings_of(f"{HEAD}# sat: allow masking because x\n")
    assert finding.reason == "what a run warns of is about its numbers, and cannot be accepted before"


def test_what_was_not_looked_for_is_not_said_to_be_missing():
    text = f"{HEAD}param steps = 1\nattack x = pgd(norm=L2, eps=0.5, step_size=0.1, steps=$steps)  {allow('E602')}\n"
    assert accepted(text) == [("E602", "it is meant")]
    assert codes_of(text, steps="7") == []
    assert codes_of(text.replace("steps = 1", "steps = 7")) == ["E109"]
    assert codes_of(text.replace("steps = 1", "steps = 7") + "model n = nonet()\n") == ["E202"]


def test_a_used_file_accepts_its_own_warnings(tmp_path: Path):
    used, main = tmp_path / "used.sat", tmp_path / "main.sat"
    used.write_text(f"{HEAD}{WEAK}  {allow('E602')}\n{allow('E709')}\n{TRAIN}")
    main.write_text('sat 1\nuse "used.sat"\nevaluate t { a = robust accuracy under w on val }\n')
    found = check_file(main).warnings
    assert [(one.code, one.accepted) for one in found] == [("E609", ""), ("E602", "it is meant")]
    main.write_text(f"{allow('E602')}\n{main.read_text()}")
    assert [one.code for one in parted(check_file(main).warnings)[0]] == ["E109", "E609"]


def test_accepted_warnings_are_counted_apart_and_shown_with_their_reasons():
    findings = check("spec.sat", f"{HEAD}{WEAK}  {allow('E602')}\n{TRAIN}").warnings
    text = rendered(findings).plain
    assert "accepted E602 at spec.sat:7:12: it is meant\n" in text
    assert text.endswith("1 warning, 1 warning accepted")
    assert text.count("E602") == 1


# --- what an editor inserts ---


def with_accepted(text: str, code: str) -> str:
    finding = next(one for one in check("spec.sat", text).warnings if one.code == code)
    place, words = accepting(finding, Units(finding.span.source)) or (None, "")
    assert place is not None
    return text[: place.start] + words + text[place.end :]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (HEAD + WEAK + "\n", "E602"),
        (HEAD + TRAIN, "E709"),
        (HEAD + TRAIN + in_block(0, ""), "E609"),
        (f"{HEAD}{TRAIN}evaluate t {{ c = clean accuracy on val; a = robust accuracy under l2 on val }}\n", "E609"),
        ("sat 1\nsweep { a = [1, 2] }\n", "E707"),
        ("dataset d = digits()\n", "E105"),
    ],
)
def test_what_is_inserted_accepts_the_warning_once_it_has_a_reason(text, code, end):
    text = text.replace("\n", end)
    inserted = with_accepted(text, code)
    assert sorted(codes_of(inserted)) == sorted([*codes_of(text), "E107"])
    meant = inserted.replace("because ...", "because it is meant")
    assert sorted(accepted(meant)) == sorted((one, "it is meant" * (one == code)) for one in codes_of(text))


def test_nothing_is_inserted_above_another_statement():
    found = check("spec.sat", f"{HEAD}model n = small_cnn(); {WEAK}").warnings
    finding = next(one for one in found if one.code == "E602")
    assert accepting(finding, Units(finding.span.source)) is None
