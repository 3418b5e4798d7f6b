"""One experiment at several sizes to CPU seconds: satdsl, Hydra and Snakemake compared on what each does before a run.

Every command is a child process, measured whole (interpreter start included) and repeated; the median counts. What is
not installed is left out, and the table says so. Run it with an interpreter that has satdsl, or name one:

    python benchmarks/compile.py --python /path/to/python
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import timing

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "digits.sat"
TOOLS = {"satdsl": "satdsl", "hydra-core": "hydra", "snakemake": "snakemake"}
"""Each distribution, and the module it is run as."""
HYDRA_MOST = 1_000
"""Hydra composes some twenty points a second; ten thousand of them would say nothing more."""


@dataclass(frozen=True)
class Case:
    """A command to measure: what it does, with which tool, on how many steps (None: the example as it is)."""

    tool: str
    work: str
    steps: int | None
    command: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Measured:
    """A case and the CPU seconds (user and system) of each of its runs."""

    case: Case
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


# --- the same experiment, in three languages -----------------------------------------------------


def points_for(steps: int) -> int:
    """How many draws make `steps` steps: each has a split, a training and an evaluation; one step loads the data."""
    return (steps - 1) // 3


def specification(points: int) -> str:
    """A sweep over random draws, in the language."""
    return textwrap.dedent(f"""\
        sat 1
        dataset digits10 = digits(holdout=20%)
        model   cnn      = small_cnn(width=16)
        attack  pgd10    = pgd(norm=Linf, eps=0.15, step_size=0.03, steps=10)
        recipe  short    = sgd(epochs=20, batch=64, lr=0.05, schedule=step(at=[12, 17]))
        sweep {{ draw = 1..{points} }}
        split esat of digits10 {{
          A = random 30% examples seed = $draw
          B = rest
          weight A = |B|/|A|
        }}
        train sat = cnn on esat using short {{ attack A with pgd10; select by robust accuracy under pgd10 }}
        evaluate sat {{ robust = robust accuracy under pgd10 on val }}
        table "Robust accuracy" = rows(sat.robust, mean=$draw)
        """)


def snakefile(points: int) -> str:
    """The same steps as rules: one split, one training and one evaluation a draw."""
    return textwrap.dedent(f"""\
        DRAWS = range(1, {points} + 1)

        rule all:
            input: expand("results/{{draw}}.json", draw=DRAWS)

        rule data:
            output: "data/digits10.npz"
            shell: "load-data {{output}}"

        rule split:
            input: "data/digits10.npz"
            output: "splits/{{draw}}.npy"
            params: share=0.3
            shell: "split --share {{params.share}} --seed {{wildcards.draw}} {{input}} {{output}}"

        rule train:
            input: data="data/digits10.npz", split="splits/{{draw}}.npy"
            output: "weights/{{draw}}.pt"
            params: eps=0.15, steps=10, epochs=20
            shell: "train --eps {{params.eps}} --steps {{params.steps}} --epochs {{params.epochs}} {{input}} {{output}}"

        rule evaluate:
            input: data="data/digits10.npz", weights="weights/{{draw}}.pt"
            output: "results/{{draw}}.json"
            shell: "evaluate {{input}} {{output}}"
        """)


HYDRA_CONFIGS = {
    "config.yaml": """\
        defaults:
          - dataset: digits
          - model: small_cnn
          - attack: pgd
          - recipe: sgd
          - _self_
        step: train
        split: {order: random, share: 0.3, draw: 0, weight: 1.0}
        """,
    "dataset/digits.yaml": "name: digits\nholdout: 0.2\n",
    "model/small_cnn.yaml": "name: small_cnn\nwidth: 16\n",
    "attack/pgd.yaml": "name: pgd\nnorm: Linf\neps: 0.15\nstep_size: 0.03\nsteps: 10\n",
    "recipe/sgd.yaml": "name: sgd\nepochs: 20\nbatch: 64\nlr: 0.05\nschedule: {name: step, at: [12, 17]}\n",
}


def hydra_script(configs: Path, points: int) -> str:
    """A program that composes one configuration for each step of the same sweep."""
    return textwrap.dedent(f"""\
        from hydra import compose, initialize_config_dir

        compose_one = lambda step, draw: compose("config", overrides=[f"step={{step}}", f"split.draw={{draw}}"])
        with initialize_config_dir(config_dir={str(configs)!r}, version_base=None):
            plan = [compose_one("data", 0)]
            plan += [compose_one(step, draw) for draw in range({points}) for step in ("split", "train", "evaluate")]
        print(len(plan), plan[-1].split.draw)
        """)


# --- cases ---------------------------------------------------------------------------------------


def cases(python: str, present: Iterable[str], sizes: Sequence[int], folder: Path) -> list[Case]:
    """Everything that the installed tools can do, with its files written below `folder`."""
    found = [Case("satdsl", "check examples/digits.sat", None, (python, "-m", "satdsl", "check", str(EXAMPLE)), folder)]
    for size in sizes:
        found.append(satdsl_case(python, size, folder))
        if "hydra-core" in present and size <= HYDRA_MOST:
            found.append(hydra_case(python, size, folder))
        if "snakemake" in present:
            found.append(snakemake_case(python, size, folder))
    return found


def satdsl_case(python: str, steps: int, folder: Path) -> Case:
    """Check, expand and print the plan."""
    place = _folder(folder, f"satdsl-{steps}")
    spec = _write(place / "sweep.sat", specification(points_for(steps)))
    return Case("satdsl", "explain", steps, (python, "-m", "satdsl", "explain", spec.name), place)


def hydra_case(python: str, steps: int, folder: Path) -> Case:
    """Compose the configuration of every step."""
    place = _folder(folder, f"hydra-{steps}")
    for name, text in HYDRA_CONFIGS.items():
        _write(place / "configs" / name, textwrap.dedent(text))
    script = _write(place / "compose.py", hydra_script(place / "configs", points_for(steps)))
    return Case("hydra-core", "compose", steps, (python, script.name), place)


def snakemake_case(python: str, steps: int, folder: Path) -> Case:
    """Build the graph of jobs and say what would run, without listing every job."""
    place = _folder(folder, f"snakemake-{steps}")
    _write(place / "Snakefile", snakefile(points_for(steps)))
    command = (python, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "1")
    return Case("snakemake", "dry run", steps, command, place)


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir(parents=True, exist_ok=True)
    return parent / name


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


# --- measuring -----------------------------------------------------------------------------------


def measure(case: Case, repeats: int) -> Measured:
    """Run a case once to warm caches, then `repeats` times for the record."""
    return Measured(case, tuple([_cpu_seconds(case) for _ in range(repeats + 1)][1:]))


def _cpu_seconds(case: Case) -> float:
    """User and system time of one run, with that of its own children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(case.command, cwd=case.folder, env=_environment(), capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(case.command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def versions(python: str) -> dict[str, str]:
    """The versions of Python and of the tools that an interpreter has."""
    program = textwrap.dedent("""\
        import importlib.metadata, importlib.util, json, platform, sys
        found = {"Python": platform.python_version()}
        for name, module in json.loads(sys.argv[1]).items():
            if importlib.util.find_spec(module):
                found[name] = importlib.metadata.version(name)
        print(json.dumps(found))
        """)
    command = [python, "-c", program, json.dumps(TOOLS)]
    found: dict[str, str] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return found


# --- the report ----------------------------------------------------------------------------------


def table(measured: Sequence[Measured]) -> list[str]:
    """The measurements as a Markdown table, each beside satdsl's at the same size."""
    ours = {m.case.steps: m.median for m in measured if m.case.tool == "satdsl"}
    lines = ["| tool | work | steps | CPU s (median) | range | against satdsl |", "|---|---|---:|---:|---:|---:|"]
    for m in measured:
        ratio = "" if m.case.tool == "satdsl" else f"{m.median / ours[m.case.steps]:.1f} x"
        steps = "" if m.case.steps is None else f"{m.case.steps:,}"
        spread = f"{min(m.seconds):.2f} to {max(m.seconds):.2f}"
        lines.append(f"| {m.case.tool} | {m.case.work} | {steps} | {m.median:.2f} | {spread} | {ratio} |")
    return lines


def report(measured: Sequence[Measured], found: dict[str, str], load: float, repeats: int) -> list[str]:
    """The whole result page."""
    return [
        "# Compiling a sweep",
        "",
        "Written by `benchmarks/compile.py`. CPU seconds (user and system) of whole child processes, interpreter",
        f"start included; the median of {repeats} runs after one that warms caches. A step of satdsl is a job of",
        "Snakemake and a configuration of Hydra; all three describe the same sweep: a split, a training and an",
        "evaluation for each draw. (Who gives Hydra one configuration a draw, not one a step, composes a third.)",
        "",
        *table(measured),
        "",
        "What the work is: `explain` checks the specification, expands it, gives every step its content key, looks it",
        "up in the store and prints the plan. `compose` builds the configuration of every step and nothing else (no",
        "schema, no graph). `dry run` builds the graph of jobs, compares files' times and prints a count per rule.",
        "",
        f"{os.cpu_count() or 1} cores; " + ", ".join(f"{name} {version}" for name, version in found.items()) + ".",
        *[f"{name} is not installed here and was not measured." for name in TOOLS if name not in found],
        timing.load_line(load),
    ]


def main() -> None:
    """Measure, print, and write the result page."""
    parser = argparse.ArgumentParser(description="CPU seconds of compiling a sweep: satdsl, Hydra, Snakemake.")
    parser.add_argument("--python", default=sys.executable, help="the interpreter to measure (default: this one)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each command that count")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000], help="numbers of steps")
    parser.add_argument("--output", type=Path, default=timing.RESULTS / "compile.md", help="where the result page goes")
    options = parser.parse_args()
    load = timing.load_average()
    found = versions(options.python)
    for name in TOOLS:
        if name not in found:
            print(f"{name} is not installed for {options.python}: left out", file=sys.stderr)
    if "satdsl" not in found:
        raise SystemExit("nothing to compare")
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(options.python, found, options.sizes, Path(folder)):
            print(f"{case.tool} {case.work} {case.steps or ''}", file=sys.stderr)
            measured.append(measure(case, options.repeats))
    timing.publish(options.output, report(measured, found, load, options.repeats))


if __name__ == "__main__":
    main()
