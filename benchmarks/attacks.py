"""A network and images to adversarial images by PGD-7 in L2: satdsl, torchattacks, foolbox and ART compared.

Everyone attacks the same network with the same images: eps 0.5, step size 0.1, seven gradient steps, no random start.
That it is the same attack is shown by the loss it reaches. Run it with an interpreter that has satdsl[bench]:

    python benchmarks/attacks.py
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import timing
import torch
import workbench
from timing import Ratio, Stopwatch, Timed
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from workbench import MEAN, STD, Workbench, call

from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks.pgd import pgd
from satdsl.backend.inference import full_precision
from satdsl.backend.models import build
from satdsl.backend.randomness import initial_weights

EPS, STEP_SIZE, STEPS = 0.5, 0.1, 7
LAST, BEST, BF16 = "satdsl, keep=last", "satdsl, keep=best", "satdsl, keep=last, bf16"
TOLERANCE = {LAST: 2e-3, BEST: 2e-3, BF16: 1e-2}
"""By how much of a peer's loss ours may fall short: rounding, which every step amplifies, and nothing else."""
AIM, AIM_BF16 = 1.25, {"cpu": 2.5, "cuda": 4.0}

Attack = Callable[[], Tensor]
"""Attacks the benchmark's batch once."""


@dataclass(frozen=True)
class Batch:
    """Images [n, 3, 32, 32] in [0, 1] and their labels [n]."""

    images: Tensor
    labels: Tensor

    def first(self, n: int) -> Batch:
        return Batch(self.images[:n], self.labels[:n])

    def loss(self, network: nn.Module, images: Tensor) -> float:
        """The mean cross-entropy of (changed) images, in nats."""
        with torch.inference_mode(), full_precision():
            losses = [
                F.cross_entropy(network(x), y, reduction="none")
                for x, y in zip(images.split(128), self.labels.split(128), strict=True)
            ]
        return float(torch.cat(losses).mean())


# --- who attacks ---------------------------------------------------------------------------------


def ours(network: nn.Module, batch: Batch, keep: str, **settings: object) -> Attack:
    """As in a training step: the attack copy is refreshed from the weights, then attacked."""
    attack_copy = AttackCopy(network.to(memory_format=torch.channels_last), **settings)
    return lambda: pgd(
        attack_copy.refresh(),
        batch.images,
        batch.labels,
        norm="L2",
        eps=EPS,
        steps=STEPS,
        step_size=STEP_SIZE,
        keep=keep,
    )


def torchattacks_pgd(network: nn.Module, batch: Batch) -> Attack:
    import torchattacks

    attack = torchattacks.PGDL2(network, eps=EPS, alpha=STEP_SIZE, steps=STEPS, random_start=False)
    return lambda: attack(batch.images, batch.labels)


def foolbox_pgd(network: nn.Module, batch: Batch) -> Attack:
    """`run` spares it the pass in which calling the attack counts its successes."""
    import foolbox

    model = foolbox.PyTorchModel(network, bounds=(0, 1), device=batch.images.device)
    attack = foolbox.attacks.L2PGD(abs_stepsize=STEP_SIZE, steps=STEPS, random_start=False)
    criterion = foolbox.criteria.Misclassification(batch.labels)
    return lambda: attack.run(model, batch.images, criterion, epsilon=EPS)


def art_pgd(network: nn.Module, batch: Batch) -> Attack:
    """It takes and gives NumPy arrays, and always counts its successes."""
    from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
        ProjectedGradientDescentPyTorch,
    )
    from art.estimators.classification import PyTorchClassifier

    device, images, labels = batch.images.device, batch.images.cpu().numpy(), batch.labels.cpu().numpy()
    classifier = PyTorchClassifier(
        network,
        nn.CrossEntropyLoss(),
        images.shape[1:],
        nb_classes=10,
        clip_values=(0, 1),
        device_type="gpu" if device.type == "cuda" else "cpu",
    )
    attack = ProjectedGradientDescentPyTorch(
        classifier,
        norm=2,
        eps=EPS,
        eps_step=STEP_SIZE,
        max_iter=STEPS,
        batch_size=len(images),
        verbose=False,
    )
    return lambda: torch.from_numpy(np.asarray(attack.generate(images, labels))).to(device)


LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
PEERS: Mapping[str, tuple[str, Callable[[nn.Module, Batch], Attack], tuple[str, ...]]] = {
    "torchattacks": ("torchattacks", torchattacks_pgd, ("contiguous",)),
    "foolbox": ("foolbox", foolbox_pgd, ("contiguous", "channels last")),
    "adversarial-robustness-toolbox": ("art", art_pgd, ("contiguous", "channels last")),
}
"""By distribution: its module, what attacks, and the memory formats it can take. (torchattacks 3.5 flattens the
gradient by `view`, which one that lies channels last refuses.)"""


def installed() -> tuple[str, ...]:
    return tuple(name for name, (module, _, _) in PEERS.items() if importlib.util.find_spec(module))


def entrants(network: nn.Module, batch: Batch, bf16: bool) -> dict[str, dict[str, Attack]]:
    """By name and memory format, everyone's attack. The peers' weights want no gradient: that spares them work."""
    found = {
        LAST: {"channels last": ours(copy.deepcopy(network), batch, "last")},
        BEST: {"channels last": ours(copy.deepcopy(network), batch, "best")},
    }
    if bf16:
        found[BF16] = {"channels last": ours(copy.deepcopy(network), batch, "last", dtype=torch.bfloat16)}
    for name in installed():
        _, attack, layouts = PEERS[name]
        copies = {layout: copy.deepcopy(network).requires_grad_(False) for layout in layouts}
        found[name] = {layout: attack(copies[layout].to(memory_format=LAYOUTS[layout]), batch) for layout in layouts}
    return found


def quickest(network: nn.Module, batch: Batch, bf16: bool, stopwatch: Stopwatch) -> dict[str, str]:
    """A warm-up on `batch`: the memory format that suits everyone best."""
    chosen = {}
    for name, attacks in entrants(network, batch, bf16).items():
        runs = {layout: stopwatch.run(attack) for layout, attack in attacks.items()}
        seconds = {layout: min(run()[0] for _ in range(2)) for layout, run in runs.items()}
        chosen[name] = min(seconds, key=lambda layout: seconds[layout])
    return chosen


# --- what is attacked ----------------------------------------------------------------------------


def network_for(model: str, images: Tensor, labels: Tensor, device: str) -> nn.Module:
    """A CIFAR ResNet after a few steps on the images: its gradients and statistics are those of a young network."""
    with initial_weights(0):
        network = build(call(model, stem="cifar"), (3, 32, 32), 10, MEAN, STD)
    network.to(device).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    for step in range(4):
        rows = torch.arange(32, device=device) + 32 * step
        rows %= len(labels)
        optimiser.zero_grad()
        F.cross_entropy(network(images[rows]), labels[rows]).backward()
        optimiser.step()
    # The running statistics have seen four batches with changing weights: take those of the weights there are.
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        network(images[:64])
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()


# --- the comparison ------------------------------------------------------------------------------


def compare(model: str, batch: Batch, options: argparse.Namespace) -> list[str]:
    """One network and batch size, as the lines of a section."""
    device = options.device
    network = network_for(model, batch.images, batch.labels, device)
    lacking = no_bf16(device)
    layouts = quickest(network, batch.first(16) if device == "cpu" else batch, lacking is None, options.stopwatch)
    attacks = entrants(network, batch, lacking is None)
    timed = timing.in_turns(
        {name: options.stopwatch.run(attacks[name][layout]) for name, layout in layouts.items()}, options.rounds
    )
    losses = {name: batch.loss(network, entry.outcome) for name, entry in timed.items()}
    check(losses)
    n, operations = len(batch.labels), operations_of(network, batch)
    rate = timing.matmul_rate(options.stopwatch, "bfloat16" if device.startswith("cuda") else "float32")
    return [
        f"## {model}, {n} images in a batch",
        "",
        *timing.table(
            ("attack", "memory format", "seconds (median)", "range", "images/s", "share of matmul rate", "mean loss"),
            (
                (
                    name,
                    layouts[name],
                    *timing.seconds(entry),
                    f"{n / entry.median:.1f}",
                    f"{n * operations / entry.median / rate:.0%}",
                    f"{losses[name]:.4f}",
                )
                for name, entry in timed.items()
            ),
        ),
        "",
        *timing.paragraph(f"""
            Without attack the mean loss is {batch.loss(network, batch.images):.4f}. The matmul rate measured here, in
            {"bf16" if device.startswith("cuda") else "fp32"}, is {rate / 1e12:.2f} TFLOP/s; the seven steps take
            {operations / 1e9:.2f} GFLOP an image."""),
        *verdicts(timed, device),
        *([] if lacking is None else [f"- bf16 was not measured: {lacking}."]),
        "",
    ]


def no_bf16(device: str) -> str | None:
    """Why bf16 cannot be measured here; None where it can."""
    return None if timing.has_bf16(device) else "this processor has no bf16 instructions (avx512_bf16, amx_bf16)"


def check(losses: Mapping[str, float]) -> None:
    """Ours must be at least as strong as every peer's attack, but for rounding."""
    for ours, tolerance in TOLERANCE.items():
        for peer in PEERS:
            if ours in losses and peer in losses and losses[ours] < losses[peer] * (1 - tolerance):
                raise SystemExit(f"{ours} reaches a loss of {losses[ours]:.4f}, {peer} {losses[peer]:.4f}")


def operations_of(network: nn.Module, batch: Batch) -> float:
    """Floating-point operations of the seven forward and backward passes, for one image."""
    few = batch.first(2)
    frozen, images = copy.deepcopy(network).requires_grad_(False), few.images.clone().requires_grad_()
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(frozen(images), few.labels).backward()
    return STEPS * counter.get_total_flops() / len(few.labels)


def verdicts(timed: Mapping[str, Timed], device: str) -> list[str]:
    """Ours against the fastest peer, a list item each."""
    present = [timed[name] for name in PEERS if name in timed]
    if not present:
        return ["No peer is installed."]
    fastest = min(present, key=lambda entry: entry.median)
    aims = {LAST: AIM, BEST: AIM, BF16: AIM_BF16["cuda" if device.startswith("cuda") else "cpu"]}
    return [
        f"- {timing.at_least(f'{fastest.name} (the fastest peer, fp32) / {name}', Ratio.of(fastest, timed[name]), aim)}"
        for name, aim in aims.items()
        if name in timed
    ]


def main() -> None:
    """Measure, print, and write the result page."""
    parser = workbench.arguments("attacks", "Seconds of PGD-7 in L2: satdsl, torchattacks, foolbox, ART.")
    parser.add_argument("--models", nargs="+", help="resnet18, resnet34, resnet50 ...")
    options = workbench.parsed(
        parser,
        cpu={"rounds": 2, "batch": [128], "models": ["resnet18"]},
        gpu={"rounds": 5, "batch": [128, 512], "models": ["resnet18", "resnet50"]},
    )
    load = timing.load_average()
    lines = ["# PGD-7 in L2", ""]
    with workbench.workbench(options) as bench:
        images, which = pictures(bench, max(options.batch))
        lines += timing.paragraph(f"""
            Written by `benchmarks/attacks.py`. Seven gradient steps of size 0.1 in the L2 ball of radius 0.5, no random
            start, fp32 unless it says bf16, on {which}. For a batch, the {options.stopwatch.unit}: median and range of
            {options.rounds} rounds in which everyone takes a turn, after a warm-up. `keep=last` is what the peers do;
            `keep=best` takes one forward pass more. The network is four training steps old. The mean loss shows that it
            is the same attack. satdsl brings its folded copy of the weights up to date in every call. A peer's weights
            want no gradient, and it gets the network in the memory format that suits it best: torchattacks takes none
            but contiguous; foolbox is called through `run`, which spares it a pass; ART takes NumPy arrays and always
            counts its successes, which takes it two passes more.""")
        for model in options.models:
            for size in options.batch:
                lines += compare(model, images.first(size), options)
    lines += timing.machine(options.device, installed(), load)
    timing.publish(options.output, lines)


def pictures(bench: Workbench, n: int) -> tuple[Batch, str]:
    """n training images on the device, and which they are."""
    data, which = bench.pictures(n, 10)
    images, labels = next(bench.loaded(data).train.batches(n, bench.device))
    return Batch(images, labels), which


if __name__ == "__main__":
    main()
