"""Write records as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from satdsl.report.number_text import point_text


def csv_text(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """Return a line of heads and a line for each record; what a record does not have, or has as None, stays empty.

    A point is written as the language writes it: `order=hardest, share=30%`.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({**record, "point": point_text(record["point"])} if "point" in record else record)
    return out.getvalue()
