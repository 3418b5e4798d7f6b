"""Every code block of the manual does what the page says (see `page_blocks.py` for what may stand in one)."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_blocks import ROOT, Page, blocks, pages, same

NOT_RUN = Path(__file__).with_name("not_run.txt")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_the_page_does_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    here = Page(page, tmp_path, update=request.config.getoption("--update-golden"))
    for folder in ("docs", "examples", "specs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for setting in ("SATDSL_STORE", "SATDSL_DATA"):
        monkeypatch.delenv(setting, raising=False)
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        try:
            here.do(block)
        except Exception as error:
            raise AssertionError(f"{page.relative_to(ROOT)}:{block.line}: {error}") from error
    here.write()


def test_blocks_that_are_not_run_are_listed_with_their_reasons(golden) -> None:  # type: ignore[no-untyped-def]
    found = [
        f"{page.relative_to(ROOT)}: {block.marks['unrun']}: {block.text.splitlines()[0]}\n"
        for page in pages()
        for block in blocks(page)
        if "unrun" in block.marks
    ]
    run = sum("unrun" not in block.marks for page in pages() for block in blocks(page))
    assert run > 3 * len(found), "most blocks are run"
    golden(NOT_RUN, f"{len(found)} blocks are not run\n" + "".join(found))


def test_the_readme_shows_its_example_as_it_is() -> None:
    shown = {block.marks["title"]: block.text for block in blocks(ROOT / "README.md") if block.language == "sat"}
    assert shown
    assert all(text == (ROOT / "examples" / name).read_text("utf-8") for name, text in shown.items())


def test_numbers_may_vary_where_a_page_says_so_and_words_may_not() -> None:
    same("a  40.1 %\n───\nfails ±3", "a  9.25 %\n──\nfails ±12", vary=True)
    same(
        f"fails{' ' * 20}a is so\n{' ' * 25}40.1 % > 3 %: apart by 5",
        f"fails{' ' * 20}a is so\n{' ' * 25}40.12 % > 3 %:\n{' ' * 25}apart by 5",
        vary=True,
    )
    with pytest.raises(AssertionError):
        same("a  40.1 %  fails", "a  40.2 %  holds", vary=True)
    with pytest.raises(AssertionError):
        same("a  40.1 %", "a  40.2 %")


def test_an_ellipsis_stands_for_what_differs_and_for_nothing_else() -> None:
    same("done in ... s\n...\nend", "done in 3.1 s\none\ntwo\nend\n")
    same("a\n...\nb", "a\nb\n")
    for wanted, got in (("done in ... s", "done in 3.1 min"), ("a\nb", "a\nc\nb"), ("a", "a\nb")):
        with pytest.raises(AssertionError):
            same(wanted, got)
