"""`satdsl check` for machines, and `--fix`: what they say is what the text says, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest
from click.testing import Result
from typer.testing import CliRunner

from satdsl.catalog.pages import page
from satdsl.cli import app

BAD = Path(__file__).parents[1] / "compiler/bad"
FINE = "sat 1\ndataset d = digits()\n"
WRONG = "sat 1\ndataset d = digits()\nmodel m = smal_cnn()\n"
TWICE = "sat 1\nmodel m = small_cnn()\nmodel m = small_cnn(width=8)\n"


@pytest.fixture(autouse=True)
def somewhere_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def satdsl(*args: str) -> Result:
    result = CliRunner().invoke(app, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def spec(text: str, name: str = "spec.sat") -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(text.encode("utf-8"))
    return name


def logged(*args: str) -> dict:
    """The one run of a log, which is as SARIF wants it."""
    document = json.loads(satdsl("check", "--format", "sarif", *args).stdout)
    jsonschema.Draft202012Validator(SARIF).validate(document)
    (run,) = document["runs"]
    return run


# --- SARIF ---


def closed(required: str, **properties: object) -> dict:
    """The schema of an object that has these properties only."""
    schema = {"type": "object", "additionalProperties": False, "properties": properties, "minProperties": 1}
    return schema | {"required": required.split()}


def listing(item: object) -> dict:
    return {"type": "array", "items": item}


TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 1}
MESSAGE = closed("text", text=TEXT, markdown=TEXT)
ARTIFACT = closed("uri", uri={"type": "string", "pattern": r"^(file:///)?[\w./%~-]+$"})
LEVEL = {"enum": ["error", "warning"]}
SPOT = {"startLine": COUNT, "startColumn": COUNT, "endLine": COUNT, "endColumn": COUNT}
REGION = closed(" ".join(SPOT), **SPOT, snippet=closed("text", text={"type": "string"}))
LOCATION = closed(
    "",
    id=COUNT,
    message=MESSAGE,
    physicalLocation=closed("artifactLocation", artifactLocation=ARTIFACT, region=REGION),
    logicalLocations=listing(closed("name", name=TEXT)),
)
REPLACEMENT = closed("deletedRegion", deletedRegion=REGION, insertedContent=closed("text", text={"type": "string"}))
CHANGE = closed(
    "artifactLocation replacements",
    artifactLocation=ARTIFACT,
    replacements=listing(REPLACEMENT) | {"minItems": 1},
)
SARIF = closed(
    "version runs",
    **{"$schema": {"type": "string", "pattern": r"sarif-schema-2\.1\.0\.json$"}},
    version={"const": "2.1.0"},
    runs=listing(
        closed(
            "tool results",
            tool=closed(
                "driver",
                driver=closed(
                    "name",
                    name={"const": "satdsl"},
                    version=TEXT,
                    rules=listing(
                        closed(
                            "id",
                            id={"type": "string", "pattern": r"^E\d{3}$"},
                            shortDescription=MESSAGE,
                            fullDescription=MESSAGE,
                            help=MESSAGE,
                            defaultConfiguration=closed("level", level=LEVEL),
                            properties=closed("tags", tags=listing(TEXT)),
                        )
                    ),
                ),
            ),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            newlineSequences=listing(TEXT),
            invocations=listing(
                closed(
                    "executionSuccessful",
                    executionSuccessful={"type": "boolean"},
                    toolExecutionNotifications=listing(
                        closed("message", level=LEVEL, message=MESSAGE, locations=listing(LOCATION))
                    ),
                )
            ),
            results=listing(
                closed(
                    "message",
                    ruleId=TEXT,
                    ruleIndex={"type": "integer", "minimum": 0},
                    level=LEVEL,
                    message=MESSAGE,
                    locations=listing(LOCATION) | {"minItems": 1},
                    relatedLocations=listing(LOCATION),
                    suppressions=listing(closed("kind", kind={"const": "inSource"}, status=TEXT, justification=TEXT)),
                    fixes=listing(closed("artifactChanges", description=MESSAGE, artifactChanges=listing(CHANGE))),
                )
            ),
        )
    ),
)
"""What satdsl writes of SARIF 2.1.0: names, types and what is required as in the standard, nothing else allowed."""


def test_every_bad_specification_makes_a_sound_log_with_all_that_the_json_has(monkeypatch):
    monkeypatch.chdir(BAD)
    names = sorted(path.name for path in BAD.glob("*.sat"))
    run = logged(*names)
    findings = json.loads(satdsl("check", "--format", "json", *names).stdout)["findings"]
    assert len(run["results"]) == len(findings) > 150
    rules = run["tool"]["driver"]["rules"]
    for result, finding in zip(run["results"], findings, strict=True):
        assert (result["ruleId"], result["level"]) == (finding["code"], finding["severity"])
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        region = place["region"]
        assert unquote(place["artifactLocation"]["uri"]) == finding["file"]
        assert [region[name] for name in SPOT] == [
            finding["line"], finding["column"], finding["end_line"], finding["end_column"],
        ]  # fmt: skip
        assert result["message"]["text"].startswith(finding["message"])
        assert ("fixes" in result) == (finding["fix"] is not None)
        assert len(result.get("relatedLocations", ())) == len(finding["related"])
    assert [rule["help"]["markdown"] for rule in rules] == [page(rule["id"]).text for rule in rules]


def test_a_fix_in_the_log_is_a_replacement_of_what_stands_there():
    run = logged(spec(WRONG))
    (change,) = run["results"][0]["fixes"][0]["artifactChanges"]
    assert change == {
        "artifactLocation": {"uri": "spec.sat"},
        "replacements": [
            {
                "deletedRegion": {"startLine": 3, "startColumn": 11, "endLine": 3, "endColumn": 19},
                "insertedContent": {"text": "small_cnn"},
            }
        ],
    }


def test_paths_in_the_log_start_from_the_current_folder_and_are_escaped(tmp_path, monkeypatch):
    spec(WRONG, "my specs/50% ü.sat")
    assert uris(logged(str(tmp_path / "my specs/50% ü.sat"))) == ["my%20specs/50%25%20%C3%BC.sat"]
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert uris(logged("../my specs/50% ü.sat")) == [(tmp_path / "my specs/50% ü.sat").as_uri()]


def uris(run: dict) -> list[str]:
    return [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]]


def test_a_finding_of_the_command_line_has_no_file_in_the_log():
    (result,) = logged(spec(FINE), "--set", "x=1")["results"]
    assert result["locations"] == [{"logicalLocations": [{"name": "--set x"}]}]


def test_files_that_cannot_be_read_are_in_every_format():
    spec(WRONG)
    for format in ("text", "json", "sarif", "github"):
        result = satdsl("check", "--format", format, "missing.sat", "spec.sat")
        assert result.exit_code == 2
        assert "smal_cnn" in result.stdout
        assert "missing.sat cannot be read: No such file or directory" in result.stderr
        if format != "text":
            assert "missing.sat" in result.stdout
            assert "No such file or directory" in result.stdout
    (invocation,) = logged("missing.sat")["invocations"]
    assert not invocation["executionSuccessful"]
    assert json.loads(satdsl("check", "--format", "json", "missing.sat").stdout) == {
        "format_version": 1,
        "findings": [],
        "unreadable": [{"file": "missing.sat", "reason": "No such file or directory"}],
    }


def test_a_log_without_findings_is_a_log():
    run = logged(spec(FINE))
    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"]
    assert satdsl("check", "--format", "sarif", "spec.sat").exit_code == 0


# --- what a file accepts ---

WEAK = "sat 1\nattack w = pgd(norm=L2, eps=0.5, step_size=0.01, steps=7)"
ACCEPTED = f"{WEAK}  # sat: allow E602 because it is weak on purpose\n"


def test_an_accepted_warning_is_counted_and_no_error_of_strict():
    assert satdsl("check", "--strict", spec(WEAK)).exit_code == 1
    result = satdsl("check", "--strict", spec(ACCEPTED))
    assert result.exit_code == 0
    assert result.stdout == "accepted E602 at spec.sat:2:12: it is weak on purpose\n\n1 warning accepted\n"
    assert satdsl("check", "--strict", spec(ACCEPTED + "# sat: allow E603 because x\n")).exit_code == 1


def test_every_format_tells_an_accepted_warning_from_others():
    name = spec(ACCEPTED)
    (finding,) = json.loads(satdsl("check", "--format", "json", name).stdout)["findings"]
    assert (finding["severity"], finding["accepted"]) == ("warning", "it is weak on purpose")
    (result,) = logged(name)["results"]
    assert result["suppressions"] == [
        {"kind": "inSource", "status": "accepted", "justification": "it is weak on purpose"}
    ]
    assert satdsl("check", "--format", "github", name).stdout == (
        "::notice file=spec.sat,line=2,endLine=2,col=12,endColumn=58,title=E602"
        "::7 steps of 0.01 reach 0.07, not eps=0.5%0Aaccepted: it is weak on purpose\n"
    )
    assert json.loads(satdsl("check", "--format", "json", spec(WEAK)).stdout)["findings"][0]["accepted"] is None
    assert "suppressions" not in logged("spec.sat")["results"][0]


def test_fixes_leave_comments_that_accept_and_what_they_accept_alone():
    text = "# sat: allow E105 because it is a fragment\n# sat: allow E602 because x\nmodel m = smal_cnn()\n"
    satdsl("check", "--fix", spec(text))
    assert Path("spec.sat").read_text() == text.replace("smal_cnn", "small_cnn")
    satdsl("check", "--fix", spec(text.replace("allow", "alow")))
    assert Path("spec.sat").read_text() == f"sat 1\n{text.replace('smal_cnn', 'small_cnn')}"
    assert [one["code"] for one in json.loads(satdsl("check", "--format", "json", "spec.sat").stdout)["findings"]] == [
        "E109",
        "E109",
    ]


# --- GitHub ---


def test_github_is_told_where_each_finding_is():
    result = satdsl("check", "--format", "github", spec(WRONG))
    assert result.exit_code == 1
    assert result.stdout == (
        "::error file=spec.sat,line=3,endLine=3,col=11,endColumn=19,title=E202"
        "::there is no model called `smal_cnn`%0Ahelp: did you mean `small_cnn`?\n"
    )
    assert satdsl("check", "--format", "github", spec(FINE)).stdout == ""


def test_what_has_a_meaning_for_github_is_escaped():
    name = spec('sat 1\ndataset d = digits(holdout="50%,:")\n', "a,b:50%.sat")
    (line,) = satdsl("check", "--format", "github", name).stdout.splitlines()
    assert line.startswith("::error file=a%2Cb%3A50%25.sat,line=2,")
    assert line.partition("::error ")[2].partition("::")[2].startswith('`"50%25,:"` is a text, but a percentage')


def test_a_finding_over_several_lines_has_no_columns_for_github():
    (line,) = satdsl(
        "check", "--format", "github", spec("sat 1\nattack p = pgd(\n  norm=L2, eps=9, steps=7, step_size=0.1\n)\n")
    ).stdout.splitlines()
    assert line.startswith("::warning file=spec.sat,line=2,endLine=4,title=E602::")


# --- --fix ---


def test_fix_corrects_what_is_certain_says_so_and_leaves_the_rest():
    name = spec("sat 1\ndatset d = digits()\nmodel m = smal_cnn()\nrecipe r = sgd(epochs=0.5)\n")
    result = satdsl("check", "--fix", name)
    assert result.exit_code == 1
    assert Path(name).read_text() == "sat 1\ndataset d = digits()\nmodel m = small_cnn()\nrecipe r = sgd(epochs=0.5)\n"
    fixed, rest = result.stdout.split("error E301", 1)
    assert fixed == "fixed spec.sat:2:1 E101: write `dataset`\nfixed spec.sat:3:11 E202: write `small_cnn`\n"
    assert rest.endswith("1 error\n")
    before = Path(name).stat().st_mtime_ns
    assert "fixed" not in satdsl("check", "--fix", name).stdout
    assert Path(name).stat().st_mtime_ns == before


def test_fix_keeps_line_ends_marks_and_other_text_as_they_are():
    Path("a.sat").write_bytes(b"\xef\xbb\xbf# \xc3\xbc\r\ndatset d = digits()\r\nmodel m = small_cnn\n")
    assert satdsl("check", "--fix", "a.sat").exit_code == 0
    wanted = b"\xef\xbb\xbfsat 1\r\n# \xc3\xbc\r\ndataset d = digits()\r\nmodel m = small_cnn()\n"
    assert Path("a.sat").read_bytes() == wanted


def test_fix_corrects_used_files_too_and_one_mistake_once():
    spec("sat 1\r\nmodel m = smal_cnn()\r\n", "parts/common.sat")
    names = [spec('sat 1\nuse "parts/common.sat"\n', name) for name in ("a.sat", "b.sat")]
    result = satdsl("check", "--fix", *names)
    assert result.stdout == "fixed parts/common.sat:2:11 E202: write `small_cnn`\na.sat, b.sat: no findings\n"
    assert Path("parts/common.sat").read_bytes() == b"sat 1\r\nmodel m = small_cnn()\r\n"


def test_a_finding_behind_a_fixed_one_is_fixed_as_well():
    name = spec("sat 1\ndatset d = digits(holdout=0.1)\n")
    assert satdsl("check", "--fix", name).stdout.count("fixed") == 2
    assert Path(name).read_text() == "sat 1\ndataset d = digits(holdout=10%)\n"


def test_fix_says_nothing_among_json():
    result = satdsl("check", "--fix", "--format", "json", spec(WRONG))
    assert json.loads(result.stdout)["findings"] == []
    assert result.stderr == "fixed spec.sat:3:11 E202: write `small_cnn`\n"


def test_fix_leaves_alone_what_was_given_with_set():
    name = spec("sat 1\nparam share = 10%\ndataset d = digits(holdout=$share)\n")
    result = satdsl("check", "--fix", name, "--set", "share=0.1 +")
    assert result.exit_code == 1
    assert "fixed" not in result.stdout
    assert not Path("--set share").exists()


def test_a_fix_that_cannot_be_written_is_a_failure(monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    name = spec(WRONG)
    monkeypatch.setattr(os, "fsync", full)
    result = satdsl("check", "--fix", name)
    assert result.exit_code == 3
    assert result.stderr == "error: spec.sat cannot be written: No space left on device\n"
    assert Path(name).read_text() == WRONG


def test_a_fix_ends_its_lines_as_its_file_does():
    text = "sat 1\ndataset d = digits(holdout=10%)\nmodel m = small_cnn()\nrecipe r = sgd(epochs=1)\n"
    text += "train t = m on d using r {\n  seed = 1\n}\n"
    text += "split s of d { A = hardest 9% examples by aum of t; B = rest }\n"
    Path("spec.sat").write_bytes(text.replace("\n", "\r\n").encode())
    satdsl("check", "--fix", "spec.sat")
    written = Path("spec.sat").read_bytes()
    assert b"  keep snapshots every epoch\r\n" in written
    assert written.count(b"\n") == written.count(b"\r\n")


@pytest.mark.parametrize("path", sorted(BAD.glob("E*.sat")), ids=lambda path: path.stem)
def test_fixing_comes_to_an_end_and_leaves_nothing_certain(path, tmp_path):
    for part in BAD.glob("parts/*"):
        spec("", f"parts/{part.name}")
        Path(f"parts/{part.name}").write_bytes(part.read_bytes())
    Path(path.name).write_bytes(path.read_bytes())
    satdsl("check", "--fix", path.name)
    left = json.loads(satdsl("check", "--format", "json", path.name).stdout)["findings"]
    assert [finding for finding in left if finding["fix"] is not None] == []


def test_a_duplicate_that_differs_is_left_to_its_author():
    result = satdsl("check", "--fix", spec(TWICE))
    assert result.exit_code == 1
    assert Path("spec.sat").read_text() == TWICE
    assert re.search(r"first declared in line 2", result.stdout)
