"""The command line: each command is a function in the module of its name."""

from __future__ import annotations

import io
import sys

from satdsl.cli import (  # noqa: F401
    catalog,
    check,
    data,
    diff,
    explain,
    export,
    format,
    help,
    init,
    lsp,
    report,
    results,
    run,
    status,
    store,
    why,
)
from satdsl.cli.app import app
from satdsl.cli.output import INTERRUPTED, stderr


def main() -> None:
    """Run the `satdsl` script."""
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
