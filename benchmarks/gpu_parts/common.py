"""What the parts share: the time that is left, the page that is written as it grows, and what they work with."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench import Workbench


class Budget:
    """Seconds of a clock that began with it."""

    def __init__(self, seconds: float, began: float | None = None) -> None:
        self.seconds = seconds
        self.began = time.monotonic() if began is None else began

    @property
    def spent(self) -> float:
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        return self.seconds - self.spent

    def until(self, share: float) -> Budget:
        """The same clock, with an earlier end."""
        return Budget(self.seconds * share, self.began)


class Page:
    """A page of sections, which is whole on the disk after every change."""

    def __init__(self, path: Path, introduction: Sequence[str]) -> None:
        self._path = path
        self._head = ["# A GPU", "", *introduction]
        self._state = "**This page is being written, or what wrote it was killed.**"
        self._sections: dict[str, list[str]] = {}
        self._write()

    def put(self, title: str, lines: Sequence[str]) -> None:
        """Set a section."""
        self._sections[title] = list(lines)
        self._write()

    def of(self, title: str) -> list[str]:
        """What a section says so far."""
        return self._sections.get(title, [])

    def end(self, wrong: Sequence[str], seconds: float) -> None:
        """Say how it went."""
        verdict = ["Nothing computes wrongly."] if not wrong else ["**What is wrong:**", "", *(f"- {w}" for w in wrong)]
        self._state = "\n".join([f"It took {seconds:.0f} seconds. {verdict[0]}", *verdict[1:]])
        self._write()

    @property
    def text(self) -> str:
        lines = [*self._head, self._state, ""]
        for title, section in self._sections.items():
            lines += [f"## {title}", "", *section, ""]
        return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_name(self._path.name + ".new")
        aside.write_text(self.text, "utf-8")
        os.replace(aside, self._path)


@dataclass(frozen=True)
class Bench:
    """What a part works with."""

    bench: Workbench
    options: argparse.Namespace
    page: Page

    @property
    def device(self) -> str:
        return str(self.options.device)

    @property
    def tiny(self) -> bool:
        return bool(self.options.tiny)

    @property
    def on_cpu(self) -> Workbench:
        """Where the same steps are done on the CPU."""
        return Workbench(self.bench.root / "cpu", self.bench.data_root, "cpu")
