"""How many images a second are attacked and trained on: eager, compiled and as a CUDA graph; beside others."""

from __future__ import annotations

import copy
import importlib.util
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import timing
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from workbench import MEAN, STD, call

from gpu_parts.common import Bench, Budget
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks.pgd import pgd
from satdsl.backend.inference import full_precision
from satdsl.backend.models import build
from satdsl.backend.randomness import initial_weights

TITLE = "How fast is it?"
EPS, STEP_SIZE, STEPS = 0.5, 0.1, 7
ALIKE = 0.02
"""By what part the loss that two attacks reach may differ; in bf16 five times that."""
HEAD = ("network", "batch", "precision", "attack", "images/s", "of the plain loop", "loss")

PLAIN, EAGER, GRAPH = "plain loop", "satdsl", "satdsl, CUDA graph"
OURS = (PLAIN, EAGER, GRAPH)
"""What must not fail. Others may lack a compiler, or not fit the versions there are."""

Attack = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Contest:
    """A network, and a batch that it is attacked with."""

    model: str
    images: Tensor
    labels: Tensor
    dtype: torch.dtype | None

    @property
    def precision(self) -> str:
        return "fp32" if self.dtype is None else "bf16"


def run(bench: Bench, budget: Budget) -> list[str]:
    """Write a row as soon as it is measured, and return what is wrong."""
    wrong: list[str] = []
    rows: list[list[object]] = []
    notes = [
        "PGD-7 in L2 (eps 0.5, steps of 0.1, the last iterate) on CIFAR ResNets with random weights: the median of "
        f"{bench.options.rounds} attacks{'' if bench.tiny else ', after two that do not count'}. fp32 without TF32."
    ]
    left_out: list[str] = []
    models = ["small_cnn"] if bench.tiny else bench.options.models
    dtypes = [None, torch.bfloat16] if bench.device.startswith("cuda") else [None]
    for model, size, dtype in ((m, s, d) for s in bench.options.batch for m in models for d in dtypes):
        contest = contest_of(bench, model, size, dtype)
        network = network_for(contest, bench.device)
        clean, plain = loss_at(network, contest, contest.images), None
        for name, make in contestants(bench, contest):
            label = f"{name} ({model}, {size}, {contest.precision})"
            if budget.left <= 0:
                left_out.append(f"{label}: no time")
                continue
            try:
                attack = make(copy.deepcopy(network))
                seconds, found = timed(attack, contest, bench)
            except Unavailable as error:
                left_out.append(f"{label}: {error}")
                continue
            except Exception as error:
                reason = f"{label}: {type(error).__name__}, {(str(error).splitlines() or [''])[0][:120]}"
                left_out.append(reason)
                wrong += [reason] if name in OURS else []
                continue
            reached = loss_at(network, contest, found)
            plain = plain or (seconds, reached)
            if abs(reached - plain[1]) > (ALIKE if dtype is None else 5 * ALIKE) * (plain[1] - clean):
                wrong.append(f"{label} reaches a loss of {reached:.4f}, the plain loop {plain[1]:.4f}")
            speed = f"{plain[0] / seconds:.2f}"
            rows.append([model, size, contest.precision, name, f"{size / seconds:,.0f}", speed, f"{reached:.4f}"])
            _write(bench, notes, rows, left_out)
        _write(bench, notes, rows, left_out)
    return wrong


def _write(bench: Bench, notes: list[str], rows: list[list[object]], left_out: list[str]) -> None:
    lines = [*timing.paragraph(notes[0]), *timing.table(HEAD, rows), ""]
    if left_out:
        lines += ["Left out:", "", *(f"- {text}." for text in dict.fromkeys(left_out)), ""]
    bench.page.put(TITLE, lines)


class Unavailable(Exception):
    """Something cannot be measured here."""


def contest_of(bench: Bench, model: str, size: int, dtype: torch.dtype | None) -> Contest:
    drawn = torch.Generator().manual_seed(0)
    images = torch.rand((size, 3, 32, 32), generator=drawn)
    labels = torch.randint(10, (size,), generator=drawn)
    return Contest(model, images.to(bench.device), labels.to(bench.device), dtype)


def network_for(contest: Contest, device: str) -> nn.Module:
    """A network whose batch norms have the statistics of the batch, so that its gradients are of a usual size."""
    given = {"width": 8} if contest.model == "small_cnn" else {"stem": "cifar"}
    with initial_weights(0):
        network = build(call(contest.model, **given), (3, 32, 32), 10, MEAN, STD)
    network.to(device).to(memory_format=torch.channels_last).train()
    for norm in (layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        network(contest.images[:128])
    return network.eval().requires_grad_(False)


def loss_at(network: nn.Module, contest: Contest, images: Tensor) -> float:
    with torch.no_grad(), full_precision():
        parts = zip(images.split(128), contest.labels.split(128), strict=True)
        return float(sum(F.cross_entropy(network(x), y, reduction="sum") for x, y in parts)) / len(images)


def timed(attack: Attack, contest: Contest, bench: Bench) -> tuple[float, Tensor]:
    """The median seconds of an attack, and what it found last."""
    run = bench.options.stopwatch.run(lambda: attack(contest.images, contest.labels))
    for _ in range(0 if bench.tiny else 2):
        run()
    measured = [run() for _ in range(bench.options.rounds)]
    return statistics.median(seconds for seconds, _ in measured), measured[-1][1]


# --- who attacks -------------------------------------------------------------------------------------


def contestants(bench: Bench, contest: Contest) -> Iterator[tuple[str, Callable[[nn.Module], Attack]]]:
    """By name, what makes an attack of a network; the plain loop first."""
    yield PLAIN, lambda network: plain_loop(network, contest.dtype)
    yield EAGER, lambda network: ours(network, contest.dtype)
    yield "torchattacks", lambda network: torchattacks_pgd(network, contest.dtype)
    yield GRAPH, lambda network: graphed(ours(network, contest.dtype), contest, bench)
    yield "satdsl, torch.compile", lambda network: ours(network, contest.dtype, compiled(bench))
    yield "plain loop, torch.compile", lambda network: plain_loop(compiled(bench)(network), contest.dtype)


def ours(
    network: nn.Module, dtype: torch.dtype | None, change: Callable[[nn.Module], nn.Module] = lambda n: n
) -> Attack:
    """satdsl's attack; the copy is brought up to date in every call, as in a training step."""
    attack_copy = AttackCopy(network, dtype)
    changed = change(attack_copy.refresh())

    def attack(images: Tensor, labels: Tensor) -> Tensor:
        with full_precision():
            attack_copy.refresh()
            return pgd(changed, images, labels, norm="L2", eps=EPS, steps=STEPS, step_size=STEP_SIZE, keep="last")

    return attack


def plain_loop(network: nn.Module, dtype: torch.dtype | None) -> Attack:
    """The attack as one writes it in twenty lines."""

    def attack(images: Tensor, labels: Tensor) -> Tensor:
        moved = torch.zeros_like(images)
        with full_precision():
            for _ in range(STEPS):
                point = (images + moved).requires_grad_()
                with torch.autocast(images.device.type, dtype, enabled=dtype is not None):
                    loss = F.cross_entropy(network(point).float(), labels, reduction="sum")
                (gradient,) = torch.autograd.grad(loss, point)
                length = gradient.flatten(1).norm(dim=1).clamp_min(1e-30).view(-1, 1, 1, 1)
                moved = moved + STEP_SIZE * gradient / length
                size = moved.flatten(1).norm(dim=1).clamp_min(1e-30).view(-1, 1, 1, 1)
                moved = (images + moved * (EPS / size).clamp_max(1)).clamp(0, 1) - images
        return images + moved

    return attack


def torchattacks_pgd(network: nn.Module, dtype: torch.dtype | None) -> Attack:
    if importlib.util.find_spec("torchattacks") is None:
        raise Unavailable("torchattacks is not installed")
    import torchattacks

    attack = torchattacks.PGDL2(network.to(memory_format=torch.contiguous_format), EPS, STEP_SIZE, STEPS, False)

    def attacked(images: Tensor, labels: Tensor) -> Tensor:
        with full_precision(), torch.autocast(images.device.type, dtype, enabled=dtype is not None):
            found: Tensor = attack(images, labels)
        return found.float()

    return attacked


def compiled(bench: Bench) -> Callable[[nn.Module], nn.Module]:
    if not bench.device.startswith("cuda"):
        raise Unavailable("torch.compile is measured on a GPU only")
    return lambda network: torch.compile(network, dynamic=False)  # type: ignore[return-value]


def graphed(attack: Attack, contest: Contest, bench: Bench) -> Attack:
    """The whole attack, captured once and replayed. It can be, since nothing in it waits for the device."""
    if not bench.device.startswith("cuda"):
        raise Unavailable("CUDA graphs need a GPU")
    images, labels = contest.images.clone(), contest.labels.clone()
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(2):
            attack(images, labels)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = attack(images, labels)

    def replayed(given: Tensor, of: Tensor) -> Tensor:
        images.copy_(given)
        labels.copy_(of)
        graph.replay()
        return found

    return replayed
