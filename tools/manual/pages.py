"""All generated pages of the manual, by their place in `docs/`."""

from __future__ import annotations

from pathlib import Path

from tools.manual import catalog, commands, explanations, grammar


def generated(root: Path) -> dict[str, str]:
    """Markdown by path. What is generated depends on the working tree alone."""
    return {
        **catalog.pages(),
        "reference/cli.md": commands.page(),
        "reference/grammar.md": grammar.page((root / "grammar/sat.lark").read_text("utf-8")),
        **explanations.pages(),
    }
