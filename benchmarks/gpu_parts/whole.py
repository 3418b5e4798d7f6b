"""All parts of `benchmarks/gpu.py`, one after the other, each until its share of the time is over."""

from __future__ import annotations

import argparse
import importlib.util
import traceback
from collections.abc import Sequence

import timing
import workbench

from gpu_parts import correctness, throughput, training
from gpu_parts.common import Bench, Budget, Page

SHARES = {correctness: 0.35, throughput: 0.7, training: 1.0}
"""When each part has to be done, as a share of the seconds."""


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = workbench.arguments("gpu", "Is what a GPU computes right, how fast is it, how far does CIFAR-10 come?")
    parser.add_argument("--seconds", type=float, default=520, help="when it has to be done")
    parser.add_argument("--tiny", action="store_true", help="the smallest of everything, to try it")
    parser.add_argument("--models", nargs="+", default=["resnet18", "resnet50"], help="whose attacks are timed")
    options = parser.parse_args(arguments)
    options.device = workbench.choose_device(options.device)
    options.batch = options.batch or ([8] if options.tiny else [128, 512])
    options.rounds = options.rounds or (1 if options.tiny else 5)
    options.stopwatch = timing.Stopwatch(options.device, options.clock)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return 1 where something computes wrongly or fails."""
    options = options_of(arguments)
    if options.device == "cpu" and not options.tiny:
        print("There is no GPU here, and nothing was measured. `--device cpu --tiny` tries the script.")
        return 0
    wrong: list[str] = []
    page = Page(options.output, introduction(options))
    budget = Budget(options.seconds)
    with workbench.workbench(options) as made:
        bench = Bench(made, options, page)
        for part, share in SHARES.items():
            if budget.until(share).left <= 0:
                page.put(part.TITLE, ["No time was left for this."])
                continue
            try:
                wrong += part.run(bench, budget.until(share))
            except Exception as error:
                traceback.print_exc()
                wrong.append(f"{part.__name__}: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
                page.put(part.TITLE, [*page.of(part.TITLE), f"**This part failed**: {wrong[-1]}", ""])
    page.end(wrong, budget.spent)
    print(page.text)
    return int(bool(wrong))


def introduction(options: argparse.Namespace) -> list[str]:
    """What was done, where, and with what."""
    tried = " --tiny, which shows that the script works and measures nothing" if options.tiny else ""
    packages = [name for name in ("torchattacks", "pyautoattack", "torchvision") if importlib.util.find_spec(name)]
    return [
        *timing.paragraph(
            f"Written by `benchmarks/gpu.py`{tried}. It computes on `{options.device}`, and compares with the CPU of "
            "the same machine."
        ),
        *timing.machine(options.device, packages, timing.load_average()),
        "",
    ]
