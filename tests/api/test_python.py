"""The public Python interface: what it gives, what it shows in a notebook, what it raises, and what it imports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import satdsl
from satdsl.api import RunError, Spec

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs/reference/python.md").read_text("utf-8")
(STUDY,) = re.findall(r"```sat title=\"study.sat\"\n(.*?)```", DOC, re.DOTALL)
BLOCKS = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SATDSL_STORE", raising=False)
    monkeypatch.delenv("SATDSL_DATA", raising=False)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.sat").write_text(STUDY, "utf-8")
    return tmp_path / "study.sat"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.sat").write_text(STUDY, "utf-8")
    spec = satdsl.load(folder / "study.sat", store=folder / "store", data=folder)
    assert spec.run(progress=False).complete
    return spec


# --- imports -------------------------------------------------------------------------------------

HEAVY = {"torch", "torchvision", "sklearn", "matplotlib", "pandas", "IPython"}


def imported_by(code: str, *, folder: Path = ROOT) -> set[str]:
    """The top-level modules that a new interpreter has after this code."""
    told = "import sys, json; print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{told}"], capture_output=True, text=True, check=True, cwd=folder
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_satdsl_imports_nothing_but_satdsl() -> None:
    assert not imported_by("import satdsl") & (HEAVY | {"lark", "yaml", "rich", "numpy", "typer"})


def test_checking_and_explaining_import_no_torch() -> None:
    code = "import satdsl; spec = satdsl.load('examples/digits.sat'); spec.check(); repr(spec.explain())"
    imported = imported_by(code)
    assert "lark" in imported
    assert not imported & HEAVY


def test_every_public_name_is_there_and_is_listed() -> None:
    from satdsl import api

    assert set(satdsl.__all__) - {"__version__"} <= set(api.__all__)
    assert set(satdsl.__all__) <= set(dir(satdsl))
    assert all(getattr(satdsl, name) is not None for name in satdsl.__all__)
    assert all(getattr(api, name) is not None for name in api.__all__)
    with pytest.raises(AttributeError, match="lod"):
        satdsl.lod  # noqa: B018


# --- findings ------------------------------------------------------------------------------------


def test_an_error_is_raised_with_the_text_that_check_prints(study: Path) -> None:
    study.write_text(STUDY.replace("small_cnn", "smal_cnn"), "utf-8")
    spec = satdsl.load(study)
    assert [finding.code for finding in spec.findings] == ["E202"]
    for use in (spec.check, spec.explain, spec.run, lambda: spec.results):
        with pytest.raises(satdsl.SpecError, match="did you mean `small_cnn`") as raised:
            use()
        assert f"{study}:6:20" in str(raised.value)
    assert "did you mean" in repr(spec.findings)


def test_warnings_are_returned_not_raised(study: Path) -> None:
    study.write_text(STUDY + "sweep { idle = [1, 2] }\n", "utf-8")
    spec = satdsl.load(study)
    assert len(spec.check()) == len(spec.findings) == 1
    assert "warning" in repr(spec.check())


def test_a_missing_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(satdsl.UnreadableFile, match=r"absent\.sat cannot be read"):
        satdsl.load(tmp_path / "absent.sat")


@pytest.mark.parametrize(
    ("given", "written"), [(0.25, "0.25"), ("0.25", "0.25"), ([0.25], "[0.25]"), (("10%", "50%"), "[10%, 50%]")]
)
def test_values_are_set_as_the_language_writes_them(study: Path, given: object, written: str) -> None:
    name = "share" if isinstance(given, tuple) else "eps"
    spec = satdsl.load(study, set={name: given})
    assert spec.overrides == {name: written}
    assert repr(spec) == f"<satdsl {study}, {name}={written}>"
    if isinstance(given, tuple):
        assert spec.plan.axes == {"share": ("10%", "50%")}


def test_folders_come_from_the_arguments_then_the_environment_then_the_usual_places(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (satdsl.load(study).store, satdsl.load(study).data) == (".satdsl", Path("data"))
    monkeypatch.setenv("SATDSL_STORE", "a")
    monkeypatch.setenv("SATDSL_DATA", "b")
    assert (satdsl.load(study).store, satdsl.load(study).data) == ("a", Path("b"))
    assert satdsl.load(study, store="c").store == "c"


# --- running -------------------------------------------------------------------------------------


def test_only_a_part_is_run_and_the_rest_later(study: Path) -> None:
    spec = satdsl.load(study)
    first = spec.run(only="ref.robust", progress=False)
    assert sorted(spec.plan.steps[key].kind for key in first.finished) == ["data", "evaluate", "train"]
    assert spec.explain().document["totals"]["to_run"] == len(spec.plan.steps) - 3
    with pytest.raises(satdsl.UnknownName, match=r"did you mean `sat\.robust`"):
        spec.run(only=["sat.robus"], progress=False)


def test_a_failed_step_is_raised_with_its_reason_and_the_way_out(study: Path, tmp_path: Path) -> None:
    study.write_text(STUDY.replace("digits(limit", "FashionMNIST(limit"), "utf-8")
    spec = satdsl.load(study, data=tmp_path / "nothing")
    with pytest.raises(RunError, match="data digits10") as raised:
        spec.run(progress=False)
    assert "more need what failed" in str(raised.value)
    assert raised.value.outcome.failed
    (failure,) = raised.value.outcome.failed.values()
    assert failure.reason in str(raised.value)
    assert failure.help in str(raised.value)


def test_progress_is_told_on_standard_error(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    satdsl.load(study).run(only="ref")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.search(r"done +train ref in", printed.err)
    satdsl.load(study).run(only="ref", progress=False)
    assert capsys.readouterr().err == ""


def test_an_interrupted_run_is_an_interrupt_and_goes_on_later(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import satdsl.backend as backend

    perform = backend.perform

    def interrupted(step: Any, work: Any) -> None:
        if step.kind == "evaluate":
            raise KeyboardInterrupt
        perform(step, work)

    spec = satdsl.load(study)
    monkeypatch.setattr(backend, "perform", interrupted)
    with pytest.raises(KeyboardInterrupt, match="goes on"):
        spec.run(only="ref.robust", progress=False)
    monkeypatch.setattr(backend, "perform", perform)
    outcome = spec.run(only="ref.robust", progress=False)
    assert [spec.plan.steps[key].kind for key in outcome.finished] == ["evaluate"]


# --- results -------------------------------------------------------------------------------------


def test_results_are_a_frame_with_a_row_for_each_measured_value(finished: Spec) -> None:
    frame, measured = finished.results, finished.measured
    assert list(frame.columns) == ["result", "share", "part", "value", "low", "high", "n", "of", "unit"]
    assert frame["value"].tolist() == [one.value for one in measured]
    assert (frame["low"] < frame["value"]).all()
    assert frame["share"].cat.categories.tolist() == ["10%", "50%", "90%"]
    assert frame["share"].cat.ordered
    assert frame["share"].isna().tolist() == [one.result == "ref.robust" for one in measured]
    assert set(frame["n"]) == {100}
    assert set(frame["unit"]) == {"share"}


def test_what_is_not_run_is_nan(study: Path) -> None:
    frame = satdsl.load(study).results
    assert len(frame) == 7
    assert frame["value"].isna().all()


def test_published_values_have_a_column(finished: Spec) -> None:
    from dataclasses import replace

    from satdsl.ir.plan import Published
    from satdsl.report.data_frames import results_frame

    plan = replace(finished.plan, published=(Published("sat.robust", (("share", "50%"),), 0.663, "figure 6"),))
    published = results_frame(plan, finished.measured)["published"]
    assert published.dropna().tolist() == [0.663]
    assert results_frame(plan, finished.measured)["share"][published.notna()].tolist() == ["50%"]


def test_classes_are_a_column_and_parts_are_told_apart(tmp_path: Path) -> None:
    text = STUDY.partition("plot")[0].replace("robust accuracy under pgd5 on val", "clean accuracy on val by class", 1)
    (tmp_path / "classes.sat").write_text(text, "utf-8")
    spec = satdsl.load(tmp_path / "classes.sat", store=tmp_path / "store")
    spec.run(only="ref.robust", progress=False)
    frame = spec.results.query("result == 'ref.robust'")
    assert frame["class"].tolist() == [str(digit) for digit in range(10)]
    assert frame["value"].notna().all()


def test_without_pandas_the_extra_is_named(finished: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install satdsl\[notebook\]"):
        finished.results  # noqa: B018
    assert len(finished.measured) == 7


def test_verdicts_and_curves_are_sequences_that_print_as_tables(finished: Spec) -> None:
    (verdict,) = finished.verdicts
    assert f"{verdict.verdict.value}" in repr(finished.verdicts)
    assert "attacking a half helps" in repr(finished.verdicts)
    assert [curve.name for curve in finished.curves] == ["ref", "sat[share=10%]", "sat[share=50%]", "sat[share=90%]"]
    assert "sat[share=90%]" in repr(finished.curves)
    assert len(finished.curves[1:3]) == 2
    assert "Robust accuracy" in repr(finished.figures)


def test_nothing_stored_is_said_in_words(study: Path) -> None:
    spec = satdsl.load(study)
    assert repr(spec.curves) == "no training is stored yet"
    assert "not run" in repr(spec.verdicts)
    bare = STUDY.partition("plot")[0]
    study.write_text(bare, "utf-8")
    assert repr(satdsl.load(study).figures) == "the specification has no plot and no table"
    assert repr(satdsl.load(study).verdicts) == "the specification makes no claim"


# --- what a notebook shows -----------------------------------------------------------------------


def test_html_says_what_text_says_and_escapes_it(finished: Spec) -> None:
    for shown in (finished.explain(), finished.verdicts, finished.curves, finished.findings):
        html = shown._repr_html_()
        assert html.startswith("<pre")
        plain = re.sub(r"<[^>]+>", "", html).replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")
        words = plain.replace("&#x27;", "'").replace("&quot;", '"').split()
        assert words == repr(shown).split()


def test_figures_are_drawn_with_names_of_their_own(finished: Spec) -> None:
    figures = finished.figures
    assert [figure.title for figure in figures] == ["Robust accuracy", "All"]
    first, second = figures[0].svg, figures[0].svg
    assert first is not None
    assert second is not None
    assert first.startswith("<svg")
    names = [set(re.findall(r'id="([^"]+)"', drawn)) for drawn in (first, second)]
    assert names[0]
    assert not names[0] & names[1]
    assert figures[1].svg is None
    html = figures._repr_html_()
    assert html.count("<svg") == 1
    assert "<figcaption>Robust accuracy</figcaption>" in html
    assert "sat" in html.partition("</figure>")[2]


def test_the_examples_of_the_documentation_run_in_a_notebook(study: Path) -> None:
    """In a real IPython kernel: no block fails, and each value that ends a block is shown as HTML."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    manager.start_kernel(cwd=str(study.parent), env=alone, extra_arguments=["--HistoryManager.enabled=False"])
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(f"import sys; sys.path[:0] = {sys.path!r}", timeout=60)
        told = [executed(client, block) for block in BLOCKS]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    shown = {block.strip().splitlines()[-1]: html for block, (html, _) in zip(BLOCKS, told, strict=True) if html}
    assert list(shown) == [
        "spec.check()",
        "spec.explain()",
        "spec.results",
        "spec.verdicts",
        "spec.curves",
        "spec.figures",
    ]
    assert "<svg" in shown["spec.figures"]
    assert "<table" in shown["spec.results"]
    printed = "".join(text for _, text in told)
    assert "there is no param or axis called `epss`" in printed
    assert re.search(r"done +train ref in", printed)


def executed(client: Any, code: str) -> tuple[str, str]:
    """The HTML that a cell shows and the text that it prints; fails where it raises."""
    html: list[str] = []
    text: list[str] = []

    def heard(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "error":
            text.append("\n".join(content["traceback"]))
        html.append(content.get("data", {}).get("text/html", ""))
        text.append(content.get("text", ""))

    reply = client.execute_interactive(code, timeout=120, output_hook=heard)
    assert reply["content"]["status"] == "ok", "".join(text)
    return "".join(html), "".join(text)
