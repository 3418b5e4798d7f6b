"""Write the events of a run as JSON lines, for programs that follow it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TextIO

from satdsl.engine.events import Event


class JsonLog:
    """A listener that writes a line for each event: `{"time": ..., "event": "step-finished", "key": ..., ...}`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, event: Event) -> None:
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name} | asdict(event)
        print(json.dumps(line, default=str, ensure_ascii=False), file=self._out, flush=True)
