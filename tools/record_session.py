"""Type a session into a real shell and keep what the terminal showed, as an asciinema recording (version 2).

    python tools/record_session.py docs/session.cast
    npx svg-term-cli --in docs/session.cast --out docs/images/session.svg --window

The recording plays with `asciinema play docs/session.cast`. Needs `satdsl` on the PATH; works in a folder of its own.
"""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

WIDTH, HEIGHT = 80, 30
PROMPT = "$ "
KEY, PAUSE = 0.05, 5.0
"""Seconds between two keys, and after the end of a command."""

EXAMPLE = Path(__file__).parents[1] / "examples" / "first.sat"
SESSION = [
    "satdsl check first.sat",
    "satdsl help E202",
    "satdsl check --fix first.sat",
    "satdsl explain first.sat",
    "satdsl run first.sat",
    "satdsl run first.sat  # again: nothing is left to do",
]


def record(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = EXAMPLE.read_text("utf-8")
        Path(folder, "first.sat").write_text(text.replace("snapshot-entropy", "snapshot-entrpy"))
        events = list(_events(Path(folder)))
    header = {"version": 2, "width": WIDTH, "height": HEIGHT, "title": "satdsl: typo, finding, fix, explain, run"}
    lines = [json.dumps(header), *(json.dumps([round(at, 3), "o", said]) for at, said in events)]
    out.write_text("\n".join(lines) + "\n", "utf-8")


def _events(folder: Path) -> Iterator[tuple[float, str]]:
    """Yield what the terminal showed, and when, in seconds since the beginning."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        shell = shutil.which("bash") or "sh"
        plain = {"PS1": PROMPT, "TERM": "xterm-256color", "PATH": os.environ["PATH"], "HOME": str(folder)}
        os.execve(shell, [shell, "--norc", "--noprofile", "-i"], plain)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    began = time.monotonic()
    shown, pause = "", KEY
    for command in [*SESSION, ""]:
        while not shown.endswith(PROMPT):
            said = _read(terminal)
            shown = (shown + said)[-100:]
            yield time.monotonic() - began, said
        time.sleep(pause)
        for key in [*command, "\n"] if command else []:
            os.write(terminal, key.encode())
            time.sleep(KEY)
            shown = _read(terminal)
            yield time.monotonic() - began, shown
        pause = PAUSE
    os.close(terminal)
    os.waitpid(child, 0)


def _read(terminal: int, seconds: float = 600.0) -> str:
    ready, _, _ = select.select([terminal], [], [], seconds)
    if not ready:
        raise TimeoutError(f"the terminal has been silent for {seconds:g} s")
    return os.read(terminal, 65536).decode("utf-8", errors="replace")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
