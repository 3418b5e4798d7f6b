"""What steps do on Ray's workers, which import it by name; and which addresses processes listen at."""

from __future__ import annotations

import os
import time
from pathlib import Path

from satdsl.ir.steps import Step, Train
from satdsl.ir.work import Progress, StepError, Work
from tests.engine.fake_steps import write_artifact


def noted(step: Step, work: Work) -> None:
    """Notes where each step is performed."""
    (work.data_root / step.key).write_text(f"{_node()} {os.getpid()} {work.device}")
    time.sleep(0.2 if step.kind == "train" else 0)
    work.report(Progress(1, 2, "half"))
    write_artifact(step, work.out)


def hanging(step: Step, work: Work) -> None:
    """The second training saves something and never ends, unless it finds what it had saved."""
    saved = work.scratch / "saved"
    if isinstance(step.settings, Train) and step.settings.seed == 1 and not saved.exists():
        saved.write_text(_node())
        time.sleep(600)
    write_artifact(step, work.out)


def killing(step: Step, work: Work) -> None:
    if step.kind == "train":
        os._exit(1)
    write_artifact(step, work.out)


def refusing(step: Step, work: Work) -> None:
    if step.kind == "train":
        raise StepError("no such thing", "look elsewhere")
    write_artifact(step, work.out)


def _node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def listening() -> set[str]:
    """The addresses that processes begun by this one listen at."""
    mine = {os.readlink(link) for process in _descendants(os.getpid()) for link in _links(process)}
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in mine}


def _descendants(process: int) -> set[int]:
    status = {int(path.name): path / "stat" for path in Path("/proc").iterdir() if path.name.isdigit()}
    parents = {}
    for number, path in status.items():
        try:
            parents[number] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {process}
    while more := {number for number, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _links(process: int) -> list[Path]:
    try:
        return [link for link in Path(f"/proc/{process}/fd").iterdir() if link.is_symlink()]
    except OSError:
        return []
