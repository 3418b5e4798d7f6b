"""Record the two runs that docs/how-to/share-a-store.md shows: `python tools/record_shared_store.py`, as root on Linux.

Each run has a host name of its own, `lab1` and `lab2`, in a UTS namespace; both use the store /lab/robustness, which
must not exist before and is removed afterwards. What they print is put into the page.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/how-to/share-a-store.md"
STORE = Path("/lab/robustness")
COMMAND = f"satdsl run study.sat --store {STORE}"
LATER = 2.0
"""Seconds between the two starts."""


def start(host: str, folder: Path) -> subprocess.Popen[str]:
    words = COMMAND.replace("satdsl", f"{sys.executable} -m satdsl", 1)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        ["unshare", "--uts", "sh", "-c", f"hostname {host}; exec {words}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def main() -> None:
    page = PAGE.read_text("utf-8")
    STORE.mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            spec = re.search(r'```sat title="study.sat"\n(.*?)```', page, re.DOTALL)
            assert spec is not None
            Path(folder, "study.sat").write_text(spec[1], "utf-8")
            first = start("lab1", Path(folder))
            time.sleep(LATER)
            outputs = [run.communicate()[0] for run in (first, start("lab2", Path(folder)))]
    finally:
        shutil.rmtree(STORE.parent)
    shown = iter(outputs)
    page = re.sub(
        rf"(?<=\$ {re.escape(COMMAND)}\n)\d.*?(?=```)",
        lambda _: re.sub(r" +\n", "\n", next(shown)),
        page,
        flags=re.DOTALL,
    )
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
