"""The command line: one function a command, each a few calls into the house. Exit codes:

0 fine; 1 findings in the specification; 2 wrong usage; 3 a step failed; 4 a claim does not hold under --strict.
"""

from __future__ import annotations

import io
import sys

from satdsl.cli import (  # noqa: F401
    catalog,
    check,
    diff,
    editing,
    export,
    format,
    help,
    init,
    reading,
    report,
    running,
    spec,
    status,
    store,
)
from satdsl.cli.app import app
from satdsl.cli.common import INTERRUPTED, stderr


def main() -> None:
    """The `satdsl` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except KeyboardInterrupt:
        stderr().print("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
