"""What a process may use of its machine, read from made-up files of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from satdsl import machine


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)


def grouped(root: Path, group: str, files: dict[str, str]) -> Path:
    """A machine on which this process is in a control group, whose files are below the usual folder."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(group)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_control_groups_all_cores_of_the_affinity_are_used(tmp_path: Path) -> None:
    assert machine.cores(tmp_path) == 16
    assert machine.available_memory(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 16),
        ("400000 100000", 4),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("9000000 100000", 16),
        ("", 16),
    ],
)
def test_version_2_limits_cores_by_its_quota(tmp_path: Path, quota: str, cores: int) -> None:
    root = grouped(tmp_path, "0::/\n", {"cpu.max": f"{quota}\n"})
    assert machine.cores(root) == cores


def test_the_groups_above_limit_as_well(tmp_path: Path) -> None:
    files = {"pod/box/cpu.max": "max 100000", "pod/cpu.max": "300000 100000", "cpu.max": "800000 100000"}
    assert machine.cores(grouped(tmp_path, "0::/pod/box\n", files)) == 3


def test_in_a_container_without_the_path_of_its_host_the_root_is_its_group(tmp_path: Path) -> None:
    root = grouped(tmp_path, "0::/docker/0123abcd\n", {"cpu.max": "200000 100000"})
    assert machine.cores(root) == 2


@pytest.mark.parametrize(("quota", "cores"), [("-1", 16), ("150000", 1), ("600000", 6)])
def test_version_1_limits_cores_by_its_quota(tmp_path: Path, quota: str, cores: int) -> None:
    files = {"cpu,cpuacct/box/cpu.cfs_quota_us": quota, "cpu,cpuacct/box/cpu.cfs_period_us": "100000"}
    root = grouped(tmp_path, "5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n", files)
    assert machine.cores(root) == cores


def test_memory_is_what_the_tightest_group_leaves_and_cached_files_do_not_count(tmp_path: Path) -> None:
    files = {
        "memory.max": "max",
        "pod/memory.max": "1000000",
        "pod/memory.current": "600000",
        "pod/memory.stat": "anon 400000\ninactive_file 150000\n",
    }
    root = grouped(tmp_path, "0::/pod\n", files)
    (root / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    assert machine.available_memory(root) == 550_000
    (root / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 500 kB\n")
    assert machine.available_memory(root) == 512_000


def test_version_1_has_its_own_names_for_memory(tmp_path: Path) -> None:
    files = {
        "memory/box/memory.limit_in_bytes": "1000000",
        "memory/box/memory.usage_in_bytes": "900000",
        "memory/box/memory.stat": "total_inactive_file 50000\n",
    }
    assert machine.available_memory(grouped(tmp_path, "4:memory:/box\n", files)) == 150_000


@pytest.mark.parametrize(
    ("said", "limit"), [(None, None), ("", None), ("4", 4), ("3,2", 3), ("0", None), ("many", None)]
)
def test_the_user_may_limit_threads(said: str | None, limit: int | None) -> None:
    assert machine.thread_limit({} if said is None else {"OMP_NUM_THREADS": said}) == limit


def test_a_processor_is_named_with_its_instructions(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    text = "processor : 0\nmodel name : Brand 9\nflags : fpu avx2 avx512f\n\nprocessor : 1\nmodel name : Other\n"
    (tmp_path / "proc/cpuinfo").write_text(text)
    assert machine.processor(tmp_path) == "Brand 9 (avx512f, avx2)"
