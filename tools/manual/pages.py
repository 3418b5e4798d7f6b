"""Generate pages of the manual from the code."""

from __future__ import annotations

from pathlib import Path

from tools.manual import catalog, commands, explanations, grammar


def generated(root: Path) -> dict[str, str]:
    """Return the Markdown of each page by its place in `docs/`. It depends on the working tree alone."""
    return {
        **catalog.pages(),
        "reference/cli.md": commands.page(),
        "reference/grammar.md": grammar.page((root / "grammar/sat.lark").read_text("utf-8")),
        **explanations.pages(),
    }
