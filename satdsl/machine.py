"""Say what this process may use of its machine: cores, memory and processor, within the limits of a container.

A container's limits are those of its control group and of all groups above it, in the files of version 1 or 2.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path("/")

VECTORS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "sve", "asimd")
"""Instructions for vectors that decide how sums are rounded, as Linux calls them."""


def cores(root: Path = ROOT) -> int:
    """Return how many cores this process may keep busy: one at least.

    Of half a core that a container is given beside whole ones, nothing is used: threads that share it wait for it.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, int(min(_quotas(root), default=allowed))))


def available_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that this process may still take; None where the system does not tell."""
    facts = dict(_fields(root / "proc/meminfo"))
    found = [int(facts["MemAvailable"].split()[0]) * 1024] if "MemAvailable" in facts else []
    found += _room_in_groups(root)
    return min(found) if found else None


def thread_limit(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return the most threads that the user allows, by `OMP_NUM_THREADS`; None without such a limit."""
    first = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


@cache
def processor(root: Path = ROOT) -> str:
    """Return the name of the processor, and the best of its instructions for vectors where the system tells."""
    facts = dict(_fields(root / "proc/cpuinfo"))
    name = facts.get("model name") or platform.processor() or platform.machine()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    vectors = [flag for flag in VECTORS if flag in flags]
    return f"{name} ({', '.join(vectors)})" if vectors else name


def _fields(path: Path) -> Iterator[tuple[str, str]]:
    """Give the names and values of a file with a line `name: value` for each, up to the first empty line."""
    for line in _text(path).partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


# --- control groups ------------------------------------------------------------------------------


def _quotas(root: Path) -> Iterator[float]:
    """Give how many cores each control group of this process may use, where it has a limit."""
    for folder in _groups(root, ""):
        share = _text(folder / "cpu.max").split()
        if len(share) == 2 and share[0] != "max":
            yield int(share[0]) / int(share[1])
    for folder in _groups(root, "cpu"):
        quota, period = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota and period and quota > 0:
            yield quota / period


def _room_in_groups(root: Path) -> Iterator[int]:
    """Give how many bytes each control group of this process has left; files that are only cached count as left."""
    for controller, limit, used, cached in (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for folder in _groups(root, controller):
            most, taken = _number(folder / limit), _number(folder / used)
            if most is not None and taken is not None:
                facts = dict(line.split(" ", 1) for line in _text(folder / "memory.stat").splitlines() if " " in line)
                yield max(0, most - taken + int(facts.get(cached, 0)))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Give the folder of this process's control group and those above it; `""` stands for version 2.

    In a container the path of the group may be that on the host, of which only the last folder is there: the root.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if controller not in names.split(","):
            continue
        places = [names, controller] if controller else ["", "unified"]
        base = next((one for name in places if (one := root / "sys/fs/cgroup" / name).is_dir()), None)
        if base is not None:
            below = Path(path.lstrip("/"))
            yield from (folder for one in (below, *below.parents) if (folder := base / one).is_dir())


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
