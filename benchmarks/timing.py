"""Contestants that do the same work to seconds, measured in turns, and to a page of results."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
BUSY = 0.25
"""A load average above which the page says that other programs were running."""

Run = Callable[[], tuple[float, Any]]
"""Does the work once: the seconds that count, and what came out."""


@dataclass(frozen=True)
class Timed:
    """A contestant, the seconds of each of its rounds, and what came out of the last."""

    name: str
    seconds: tuple[float, ...]
    outcome: Any = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""By name: what counts seconds. CPU seconds are those of this process alone, all its threads together."""


@dataclass(frozen=True)
class Stopwatch:
    """Reads a clock when the device has done all that it was asked to."""

    device: str
    clock: str

    def now(self) -> float:
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self.device)
        return CLOCKS[self.clock]()

    def run(self, work: Callable[[], Any]) -> Run:
        """`work` as a run, all of which counts."""

        def run() -> tuple[float, Any]:
            began = self.now()
            outcome = work()
            return self.now() - began, outcome

        return run

    @property
    def unit(self) -> str:
        """What it counts, in words."""
        return "wall-clock seconds" if self.clock == "wall" else "CPU seconds of the process"


def in_turns(contestants: Mapping[str, Run], rounds: int) -> dict[str, Timed]:
    """Everyone's first round, everyone's second, and so on: what disturbs the machine disturbs all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    outcomes: dict[str, Any] = {}
    for number in range(rounds):
        for name, run in contestants.items():
            spent, outcomes[name] = run()
            seconds[name].append(spent)
            print(f"round {number + 1} of {rounds}: {name} {spent:.2f} s", file=sys.stderr, flush=True)
    return {name: Timed(name, tuple(seconds[name]), outcomes[name]) for name in contestants}


# --- ratios and aims -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ratio:
    """One contestant's seconds over another's, round by round."""

    of_rounds: tuple[float, ...]

    @classmethod
    def of(cls, one: Timed, other: Timed) -> Ratio:
        return cls(tuple(a / b for a, b in zip(one.seconds, other.seconds, strict=True)))

    @property
    def median(self) -> float:
        return statistics.median(self.of_rounds)

    def over(self, number: float) -> Ratio:
        return Ratio(tuple(ratio / number for ratio in self.of_rounds))

    def __str__(self) -> str:
        return f"{self.median:.2f} (rounds {min(self.of_rounds):.2f} to {max(self.of_rounds):.2f})"


def at_least(what: str, ratio: Ratio, aim: float) -> str:
    """A line that says whether `ratio` reaches `aim`."""
    missed = aim - ratio.median
    return f"{what}: **{ratio}**; aim at least {aim:g}: {_verdict(missed)}."


def at_most(what: str, ratio: Ratio, aim: float) -> str:
    """A line that says whether `ratio` stays within `aim`."""
    missed = ratio.median - aim
    return f"{what}: **{ratio}**; aim at most {aim:g}: {_verdict(missed)}."


def _verdict(missed: float) -> str:
    return "reached" if missed <= 0 else f"missed by {missed:.2f}"


# --- the page ------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Markdown; the first column is text, the others are numbers."""
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]


def seconds(timed: Timed) -> tuple[str, str]:
    """The median and the range, as cells."""
    return f"{timed.median:.2f}", f"{min(timed.seconds):.2f} to {max(timed.seconds):.2f}"


def paragraph(text: str) -> list[str]:
    """Running text as lines of at most 118 characters, and an empty line."""
    return [*textwrap.wrap(" ".join(text.split()), 118, break_on_hyphens=False), ""]


def publish(path: Path, lines: Iterable[str]) -> None:
    """Print the page and write it."""
    page = "\n".join(lines).rstrip() + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, "utf-8")
    print(page)


# --- the machine ---------------------------------------------------------------------------------


@contextlib.contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Keep so many cores busy, or have a share of them, with programs that do nothing else."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def load_average() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def load_line(load: float) -> str:
    """What the load average at the beginning says about the figures."""
    busy = ": other programs were running, so take the figures as rough." if load > BUSY else "."
    return f"Load average when it began: {load:.1f}{busy}"


def machine(device: str, packages: Sequence[str], load: float) -> list[str]:
    """Processor, threads, device and versions, as lines for the end of a page."""
    import torch

    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", *packages))
    lines = [f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads."]
    if device.startswith("cuda"):
        lines.append(f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}.")
    return [*lines, f"Python {platform.python_version()}, {found}.", load_line(load)]


def processor() -> str:
    """The processor's name, and which of the vector instructions that matter here it has."""
    facts = _cpuinfo()
    name = facts.get("model name") or platform.processor() or platform.machine()
    present = [
        flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in facts.get("flags", "").split()
    ]
    return f"{name} ({', '.join(present)})" if present else name


def has_bf16(device: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device.startswith("cuda"):
        import torch

        return bool(torch.cuda.is_bf16_supported())
    return bool({"avx512_bf16", "amx_bf16"} & set(_cpuinfo().get("flags", "").split()))


def _cpuinfo() -> dict[str, str]:
    """The first processor's entries in Linux's /proc/cpuinfo; elsewhere nothing."""
    path = Path("/proc/cpuinfo")
    first = path.read_text("utf-8").split("\n\n")[0] if path.exists() else ""
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def matmul_rate(stopwatch: Stopwatch, precision: str) -> float:
    """Floating-point operations a second in large matrix products: the best of some."""
    import torch

    n, dtype = (8192 if stopwatch.device.startswith("cuda") else 2048), getattr(torch, precision)
    a, b = (torch.randn(n, n, device=stopwatch.device, dtype=dtype) for _ in range(2))
    run = stopwatch.run(lambda: a @ b)
    return 2 * n**3 / min(run()[0] for _ in range(8))
