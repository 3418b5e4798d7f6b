"""A program that runs `satdsl` in children which die at a moment that is told beforehand.

Its children are forked with everything imported, and go through the command line like any other process. What they
do is counted: each of their file operations in the store, and each pass through a network. The n-th is not done: the
child dies before it, with its process group, by SIGKILL. A killing by the clock comes from here, and may fall anywhere,
in the midst of compiled code too.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from satdsl.backend import training_checkpoint
from satdsl.cli import main as satdsl

MODULES = "modules"

PATHS = {
    "open": 1,
    "os.listdir": 1,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.scandir": 1,
    "os.truncate": 1,
}
"""File operations that Python tells of, with how many paths each names first."""


@dataclass(frozen=True)
class Deed:
    """Something that a child did, or would have done when it died: a pass, or a file operation on `place`.

    `place` is relative to the store; `key` is that of the step whose lock was asked for last.
    """

    what: str
    place: str
    key: str


@dataclass(frozen=True)
class Life:
    """What became of a child: its exit code (negative: the signal), all that it did, and what it printed."""

    code: int
    deeds: tuple[Deed, ...]
    output: str
    events: tuple[dict[str, Any], ...]

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


@dataclass(frozen=True)
class End:
    """When a child dies: at its `at`-th deed for the step (or in the folder) `among`, or after so many seconds."""

    at: int = 0
    among: str = ""
    after: float = 0.0


NEVER = End()


class Mortals:
    """The program from outside: `live` runs `satdsl` once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}
        self._program = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def live(self, arguments: Sequence[str], store: Path, end: End = NEVER) -> Life:
        """Run `satdsl` with these arguments."""
        order = {"arguments": list(arguments), "store": str(store), "to": str(self._folder), **asdict(end)}
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps(order) + "\n")
        self._program.stdin.flush()
        code = int(self._program.stdout.readline())
        # A killing by the clock may cut the last line short.
        told, said = ((self._folder / name).read_text().split("\n")[:-1] for name in ("deeds", "stderr"))
        deeds = tuple(Deed(*line.split("\t")) for line in told)
        events = tuple(json.loads(line) for line in said if line.startswith("{") and line.endswith("}"))
        return Life(code, deeds, (self._folder / "stdout").read_text(), events)

    def end(self) -> None:
        assert self._program.stdin is not None
        self._program.stdin.close()
        self._program.wait()


class Fate:
    """Counts what this process does in `store`, writes it down, and ends it at its `at`-th deed among these."""

    def __init__(self, store: str, at: int, among: str, record: int) -> None:
        self._store = store
        self._at = at
        self._among = among
        self._record = record
        self._count = 0
        self._key = "-"

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook."""
        for place in arguments[: PATHS.get(event, 0)]:
            path = os.fspath(place) if isinstance(place, str | os.PathLike) else ""
            if path == self._store or str(path).startswith(f"{self._store}/"):
                self._do(event, os.path.relpath(path, self._store))
                return

    def passed(self, module: nn.Module, inputs: object) -> None:
        """A hook before each module's pass: the networks of these tests have one linear layer."""
        if isinstance(module, nn.Linear):
            self._do("pass", "-")

    def _do(self, what: str, place: str) -> None:
        folder, _, name = place.partition("/")
        if folder == "locks" and name:
            self._key = name
        self._count += self._among in ("", folder, self._key)
        os.write(self._record, f"{what}\t{place}\t{self._key}\n".encode())
        if self._count == self._at:
            os.killpg(0, signal.SIGKILL)


def live(order: dict[str, Any]) -> None:
    """What a child does from its birth to its end."""
    os.setsid()
    folder = Path(order["to"])
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(folder / name, flags), descriptor)
    sys.argv = ["satdsl", *order["arguments"]]
    fate = Fate(order["store"], order["at"], order["among"], os.open(folder / "deeds", flags))
    register_module_forward_pre_hook(fate.passed)
    sys.addaudithook(fate.hear)
    code: object = 0
    try:
        satdsl()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    (folder / MODULES).write_text(json.dumps(sorted(sys.modules)))
    os._exit(code if isinstance(code, int) else 0)


def main(orders: IO[str]) -> None:
    """Fork a child for each order, and say how it ended."""
    training_checkpoint.SAVE_SECONDS = -1.0  # the epochs of these tests are short, and each is to be saved
    for line in orders:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            live(order)
        if order["after"]:
            time.sleep(order["after"])
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
        import_what_it_had(Path(order["to"]) / MODULES)


def import_what_it_had(record: Path) -> None:
    """What the last child had imported in the end, so that the next ones need not: that takes seconds."""
    if record.exists():
        for name in json.loads(record.read_text()):
            if name not in sys.modules:
                with contextlib.suppress(ImportError):  # some exist only inside of others
                    importlib.import_module(name)
        record.unlink()


if __name__ == "__main__":
    main(sys.stdin)
