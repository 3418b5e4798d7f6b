"""Every kind of step is done on a stand-in for a GPU, and leaves what it leaves on the CPU; nothing mixes devices.

An attack may wait for the device when it begins, and no more often with more steps.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from satdsl.artifacts.schemas import ROWS, SCORES, SPLIT
from satdsl.backend import distributed, perform
from satdsl.backend.artifact_files import read_table
from satdsl.backend.attack_copy import AttackCopy
from satdsl.backend.attacks import attack_of, loss_and_gradient
from satdsl.backend.device import choose_device, devices_for_workers
from satdsl.backend.distributed import ProcessGroup
from satdsl.backend.image_files import Decoding, ImageFiles
from satdsl.backend.images import Images
from satdsl.backend.inference import logits
from satdsl.backend.measure import measure
from satdsl.backend.models import build
from satdsl.backend.randomness import Stream, generator
from satdsl.backend.registry import implementation
from satdsl.backend.scores import score_of_weights, snapshot_score
from satdsl.backend.train import train
from satdsl.backend.training_checkpoint import TrainingCheckpoint
from satdsl.backend.weights import load_weights
from satdsl.catalog import Argument, catalog
from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.scores import ScoreEntry
from satdsl.compile import compile_file
from satdsl.ir.plan import Plan
from satdsl.ir.steps import (
    VERSIONS,
    CatalogCall,
    Data,
    Evaluate,
    Pick,
    Repicking,
    Rest,
    Selection,
    Step,
    SubsetTraining,
    Train,
)
from satdsl.ir.work import Progress, Work
from tests.entries import of_entry, sample, written

from .stand_in_gpu import DEVICE, PUBLISHED, MixedDevicesError, OnGpu, StandIn, stand_in_gpu
from .workshop import call, pgd, sgd, training


@pytest.fixture(scope="module")
def gpu() -> Iterator[StandIn]:
    with stand_in_gpu() as device:
        yield device


# --- the stand-in sees what it should ----------------------------------------------------------------


def here(*shape: int) -> Tensor:
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)


def there(*shape: int) -> Tensor:
    return here(*shape).to("cuda")


MIXED: dict[str, Callable[[], Any]] = {
    "a sum": lambda: there(3) + here(3),
    "a sum in place": lambda: there(3).add_(here(3)),
    "a choice": lambda: torch.where(there(3) > 1, here(3), there(3)),
    "joined": lambda: torch.cat([there(3), here(3)]),
    "an index there": lambda: here(3)[there(3).long()],
    "values put": lambda: there(3).index_put((there(3).long(),), here(3)),
    "a layer here": lambda: nn.Linear(3, 3)(there(1, 3)),
    "a generator here": lambda: torch.rand(3, device="cuda", generator=torch.Generator("cpu")),
    "a generator there": lambda: torch.rand(3, generator=torch.Generator("cuda")),
}


@pytest.mark.parametrize("work", MIXED.values(), ids=MIXED)
def test_devices_that_are_mixed_are_an_error(work: Callable[[], Any], gpu: StandIn) -> None:
    with pytest.raises(MixedDevicesError):
        work()


WAITS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "item": lambda x, host: x[0].item(),
    "bool": lambda x, host: bool(x[0] > 0),
    "float": lambda x, host: float(x[0]),
    "list": lambda x, host: x.tolist(),
    "cpu": lambda x, host: x.cpu(),
    "to": lambda x, host: x.to("cpu"),
    "copied to the host": lambda x, host: host.copy_(x),
    "nonzero": lambda x, host: x.nonzero(),
    "where": lambda x, host: torch.where(x > 1),
    "masked": lambda x, host: x[x > 1],
    "masked select": lambda x, host: x.masked_select(x > 1),
    "put by a mask": lambda x, host: x.__setitem__(x > 0, x[:2].clone()),
    "unique": lambda x, host: x.unique(),
    "equal": lambda x, host: torch.equal(x, x),
    "counted": lambda x, host: x.long().bincount(),
    "an index here": lambda x, host: x[host.long()],
    "sent": lambda x, host: host.cuda(),
    "sent, to be waited for": lambda x, host: host.pin_memory().to("cuda"),
    "sent without being pinned": lambda x, host: host.to("cuda", non_blocking=True),
    "made of numbers": lambda x, host: torch.tensor([1.0, 2.0], device="cuda"),
}


@pytest.mark.parametrize("work", WAITS.values(), ids=WAITS)
def test_what_waits_for_the_device_is_seen(work: Callable[[Tensor, Tensor], Any], gpu: StandIn) -> None:
    x, host = there(3), here(3)
    with gpu.watched() as seen:
        work(x, host)
    assert sum(seen.values()) == 1


def test_what_does_not_wait_is_not_seen(gpu: StandIn) -> None:
    x, mask = there(3), there(3) > 1
    with gpu.watched() as seen:
        y = here(3).pin_memory().to("cuda", non_blocking=True)
        x[mask] = 0.0
        (x + y).sum().clamp_min(2 * torch.tensor(3.0))
        F.one_hot(x.long(), 3)
        torch.full((2,), 3.0, device="cuda").normal_(generator=torch.Generator("cuda"))
    assert not seen


def test_values_and_gradients_are_those_of_the_cpu(gpu: StandIn) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8, 2))
    x = here(2, 1, 4, 4)
    found = {}
    for device in ("cpu", "cuda"):
        network.zero_grad()
        torch.manual_seed(0)
        network.to(device)
        loss = network(x.to(device)).square().sum()
        loss.backward()
        found[device] = [loss.detach().cpu(), *(p.grad.cpu() for p in network.parameters() if p.grad is not None)]
    assert len(found["cpu"]) == len(found["cuda"]) == 7
    for one, other in zip(found["cpu"], found["cuda"], strict=True):
        assert torch.allclose(one, other)


def test_the_gpu_is_chosen_where_there_is_one(gpu: StandIn) -> None:
    assert choose_device("auto") == "cuda"
    assert choose_device("cuda:0") == "cuda:0"
    assert devices_for_workers("cuda", 2) == ["cuda:0", "cuda:0"]


# --- attacks -----------------------------------------------------------------------------------------


ATTACKS = [entry for entry in catalog().entries("attack") if isinstance(entry, AttackEntry) and not entry.ensemble]


def small_network(device: str = "cuda") -> nn.Module:
    torch.manual_seed(0)
    made = build(call("small_cnn", width=2), (1, 8, 8), 4, (0.5,), (0.5,))
    return made.to(device).to(memory_format=torch.channels_last).eval()


def plan_of(text: str, folder: Path) -> Plan:
    path = folder / "x.sat"
    path.write_text("sat 1\n" + text)
    return compile_file(path).plan


def attack_call(entry: AttackEntry, folder: Path, more: Argument | None = None) -> CatalogCall:
    """The entry with few steps; of one of its numbers with one more."""
    least = {arg.name: "3" for arg in entry.args.values() if arg.type == "int" and (arg.required or arg.default)}
    if more is not None:
        least[more.name] = str(int(least.get(more.name, sample(more))) + 1)
    least |= {"step_size": "0.1"} if "step_size" in entry.args else {}
    radius = " at 0.5" if entry.nearest is not None else ""
    plan = plan_of(
        f"""dataset d = synthetic(classes=4, shape=[1, 8, 8], train=8, val=8)
model m = small_cnn(width=2)
attack a = {written(entry, least)}
recipe r = sgd(epochs=1, batch=8, lr=0.01)
train t = m on d using r
evaluate t {{ v = robust accuracy under a{radius} on val }}
""",
        folder,
    )
    (found,) = (step.settings.attack for step in plan.steps.values() if isinstance(step.settings, Evaluate))
    assert found is not None
    return found


COUNTED = [(entry, arg) for entry in ATTACKS for arg in entry.args.values() if arg.type == "int"]


@pytest.mark.parametrize(("entry", "arg"), COUNTED, ids=[f"{of_entry(e)}-{a.name}" for e, a in COUNTED])
def test_no_step_of_an_attack_waits_for_the_device(
    entry: AttackEntry, arg: Argument, gpu: StandIn, tmp_path: Path
) -> None:
    network = AttackCopy(small_network()).refresh()
    x, y = torch.rand(5, 1, 8, 8).to("cuda"), torch.arange(5).remainder(4).to("cuda")
    few, many = {}, {}
    for seen_so, chosen in ((few, attack_call(entry, tmp_path)), (many, attack_call(entry, tmp_path, arg))):
        attack = attack_of(chosen)
        with gpu.watched() as seen:
            found = attack(network, x, y, generator(0, Stream.EVALUATION, 0, "cuda"))
        assert found.device == DEVICE
        seen_so.update(seen)
    if any(event.place == PUBLISHED for event in many):
        return
    more = {str(event): count for event, count in many.items() if count > few.get(event, 0)}
    assert not more, f"with more of {arg.name} there is more to wait for"


# --- steps -------------------------------------------------------------------------------------------

PLAN = """dataset d = synthetic(classes=4, shape=[1, 8, 8], train=24, val=16, holdout=25%, augment=flip)
dataset e = synthetic(classes=3, shape=[1, 8, 8], train=24, val=12)
dataset g = synthetic(classes=3, shape=[1, 8, 8], train=12, val=12, seed=1)
dataset both = e + g
model   m = small_cnn(width=2)
attack  a = pgd(norm=Linf, eps=0.1, steps=2, step_size=0.1, random_start=ball)
attack  near = fmn(norm=L2, steps=3)
attack  b = fgsm(norm=Linf, eps=0.1)
recipe  r = sgd(epochs=2, batch=12, lr=0.05, swa=1, clip=1, schedule=cosine)
recipe  q = adamw(epochs=2, batch=12, lr=0.01, ema=0.5, perturb=awp(gamma=0.01))
train   ref = m on d using r {
  keep snapshots every epoch
  keep weights every epoch
  select by robust accuracy under a every epoch
}
split   s of d { A = hardest 40% examples by snapshot-entropy of ref; B = rest; weight A = 2*|B|/|A| }
split   k of d { A = hardest 50% examples by loss of itself every 1 epochs; B = rest }
train   t = m on s using q { attack A with a; loss A = trades(beta=3) }
train   u = m on k using q { attack A with a, b }
split   mixed of both { real = images of e; made = rest; share real = 50% }
train   w = m on mixed using q { attack real with b; attack made with a scaled by scores in "radii.npy" }
transfer h = t to e using r { head = mlp(hidden=4) }
transfer f = t to e using r { train all; head = linear }
evaluate t { v = robust accuracy under a, b on val }
evaluate t { z = median distance under near on val }
evaluate w, h, f { v = clean accuracy on val }
evaluate u { v = mean entropy on val; w = mean grand under a on train }
evaluate t { x = robust accuracy under a made on u on val }
"""


def done(plan: Plan, folder: Path, device: str) -> dict[str, Path]:
    """The folder of each step's artifact, after all steps are done on a device."""
    out: dict[str, Path] = {}
    for key, step in plan.steps.items():
        out[key], scratch = folder / key[:12], folder / f"{key[:12]}-scratch"
        for place in (out[key], scratch):
            place.mkdir(parents=True)
        perform(step, Work({role: out[of] for role, of in step.inputs}, out[key], scratch, folder, device))
    return out


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns hold the same, up to rounding."""
    numbers = one.dtype.kind in "fiu"
    return bool(np.allclose(one, other, rtol=1e-2, atol=1e-3) if numbers else (one == other).all())


def differences(one: Path, other: Path) -> list[str]:
    """Which files of two artifacts hold other numbers."""
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
    found = []
    for path in one.iterdir():
        if path.suffix == ".safetensors":
            first, second = (load_weights(folder / path.name) for folder in (one, other))
            same = all(torch.allclose(first[name], second[name], rtol=1e-3, atol=1e-4) for name in first)
        elif path.stem in ("rows", "scores", "split"):
            tables = [
                read_table(folder, {"rows": ROWS, "scores": SCORES, "split": SPLIT}[path.stem])
                for folder in (one, other)
            ]
            same = all(alike(tables[0][name], tables[1][name]) for name in tables[0])
        else:
            continue
        found += [] if same else [path.name]
    return found


def test_every_kind_of_step_leaves_what_it_leaves_on_the_cpu(gpu: StandIn, tmp_path: Path) -> None:
    np.save(tmp_path / "radii.npy", np.linspace(0, 1, 36))
    plan = plan_of(PLAN, tmp_path)
    assert {step.kind for step in plan.steps.values()} == set(VERSIONS)
    on_gpu, on_cpu = (done(plan, tmp_path / device, device) for device in ("cuda", "cpu"))
    unlike = {plan.steps[key].kind: found for key in plan.steps if (found := differences(on_gpu[key], on_cpu[key]))}
    assert not unlike


ENSEMBLES = [entry for entry in catalog().entries("attack") if isinstance(entry, AttackEntry) and entry.ensemble]


@pytest.mark.parametrize("norm", ["Linf", "L2", "L1"])
@pytest.mark.parametrize("entry", ENSEMBLES, ids=of_entry)
def test_an_ensemble_gives_the_verdicts_of_the_cpu(entry: AttackEntry, norm: str, gpu: StandIn, tmp_path: Path) -> None:
    asked = entry.shortened(call(entry.name, norm=norm, eps={"Linf": 0.02, "L2": 0.2, "L1": 2.0}[norm]))
    found = []
    for device in ("cuda", "cpu"):
        network = small_network(device)
        pixels = torch.randint(0, 256, (12, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
        labels = logits(network, Images(pixels, torch.zeros(12).long(), torch.arange(12)), device).argmax(1).cpu()
        images = Images(pixels, labels, torch.arange(12))
        found.append(measure(network, images, asked, classes=4, device=device, scratch=tmp_path / device))
    assert found[0].broken_by.tolist() == found[1].broken_by.tolist()
    assert found[0].attacks == found[1].attacks


def test_a_training_goes_on_from_its_checkpoint(gpu: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingCheckpoint, "due", property(lambda self: True))
    settings = training(
        3,
        recipe=sgd(3, swa=1, perturb=call("sam", rho=0.05)),
        subsets=(SubsetTraining(pgd(), 1.0),),
        snapshots=(1, 2, 3),
        scores=tuple(entry.name for entry in SNAPSHOTS if entry.on_request),
        select=Selection((), (1, 2, 3)),
    )
    data = work_of(Data(call("synthetic", classes=3, train=32, val=20, shape=(1, 8, 8))), tmp_path / "data")

    def kill(progress: Progress) -> None:
        if progress.note.startswith("epoch 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_of(settings, tmp_path / "killed", kill, data=data)
    shutil.rmtree(tmp_path / "killed" / "out")
    continued = work_of(settings, tmp_path / "killed", data=data)
    whole = work_of(settings, tmp_path / "whole", data=data)
    assert differences(continued, whole) == []


def work_of(
    settings: Any, folder: Path, report: Callable[[Progress], None] = lambda done: None, **inputs: Path
) -> Path:
    """Do a step on the device; the folder of its artifact."""
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    step = Step(settings, tuple((role, role) for role in inputs))
    perform(step, Work(inputs, folder / "out", folder / "scratch", folder, "cuda", report=report))
    return folder / "out"


# --- scores, models, images ----------------------------------------------------------------------------

SCORED = [entry for entry in catalog().entries("score") if isinstance(entry, ScoreEntry)]
SNAPSHOTS = [entry for entry in SCORED if entry.over_snapshots and not entry.same_as]


def few_images(n: int = 6) -> Images:
    pixels = torch.randint(0, 256, (n, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return Images(pixels, torch.arange(n) % 4, torch.arange(n))


@pytest.mark.parametrize("entry", [e for e in SCORED if not e.over_snapshots], ids=of_entry)
def test_scores_of_weights_are_those_of_the_cpu(entry: ScoreEntry, gpu: StandIn) -> None:
    there, here = (score_of_weights(entry.name, small_network(d), few_images(), d) for d in ("cuda", "cpu"))
    assert isinstance(there, OnGpu)
    assert torch.allclose(there.cpu(), here, rtol=1e-3)


@pytest.mark.parametrize("entry", SNAPSHOTS, ids=of_entry)
def test_scores_over_snapshots_are_those_of_the_cpu(entry: ScoreEntry, gpu: StandIn, tmp_path: Path) -> None:
    found = []
    for device in ("cuda", "cpu"):
        images = few_images().to(device)
        score = snapshot_score(entry, images, device, tmp_path / device)
        for factor in (1.0, -1.0, 0.5):
            network = small_network(device)
            with torch.no_grad():
                for weight in network.parameters():
                    weight *= factor
            score.add(network, images, device, logits(network, images, device))
            again = snapshot_score(entry, images, device, tmp_path / device)
            again.restore(score.state())
            score = again
        found.append(score.values().cpu())
    assert torch.allclose(*found, rtol=1e-3, atol=1e-6)


SMALL = {"depth": "10", "width": "2"}
MODELS = {
    getattr(implementation("model", entry.name), "__code__", entry.name): entry
    for entry in reversed(catalog().entries("model"))
    if isinstance(entry, ModelEntry) and not entry.library and not entry.from_file
}
"""One for each function that builds networks, the first of those that have one together: the smallest ResNet."""


@pytest.mark.parametrize("entry", MODELS.values(), ids=of_entry)
def test_a_network_is_attacked_and_trained_there(entry: ModelEntry, gpu: StandIn, tmp_path: Path) -> None:
    plan = plan_of(
        f"""dataset d = synthetic(classes=4, shape=[3, 16, 16], train=8, val=8)
model m = {written(entry, {name: value for name, value in SMALL.items() if name in entry.args})}
recipe r = sgd(epochs=1, batch=8, lr=0.01)
train t = m on d using r
evaluate t {{ v = clean accuracy on val }}
""",
        tmp_path,
    )
    (settings,) = (step.settings for step in plan.steps.values() if isinstance(step.settings, Train))
    network = build(settings.model, (3, 16, 16), 4, settings.mean, settings.std).to("cuda")
    network.to(memory_format=torch.channels_last)
    x, y = torch.rand(2, 3, 16, 16).to("cuda"), torch.tensor([0, 1]).to("cuda")
    attacked = AttackCopy(network).refresh()
    with gpu.watched() as seen:
        _, gradient = loss_and_gradient(attacked, x, y)
        F.cross_entropy(network.train()(x), y).backward()
    assert isinstance(gradient, OnGpu)
    assert not seen, "a pass waits for the device"


def test_images_that_are_too_large_for_it_are_sent_ahead_of_use(gpu: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "free", 100)
    images = few_images().to("cuda")
    assert not images.resident
    with gpu.watched() as seen:
        found = list(images.read([torch.tensor([0, 2]), torch.tensor([1])], "cuda"))
    assert [isinstance(each, OnGpu) for each in found] == [True, True]
    assert not seen


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")
def test_images_in_files_are_sent_ahead_of_use(gpu: StandIn, tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    names = np.array([b"0.png", b"1.png", b"2.png"])
    images = Images(ImageFiles(tmp_path, names, Decoding(None)), torch.arange(3), torch.arange(3)).to("cuda")
    with gpu.watched() as seen:
        found = list(images.read([torch.tensor([0, 2]), torch.tensor([1])], "cuda"))
    assert [int(each[0, 0, 0, 0]) for each in found] == [0, 1]
    assert not seen


# --- several devices -----------------------------------------------------------------------------------


def test_ranks_talk_with_tensors_of_their_devices(
    gpu: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NCCL refuses tensors of the CPU. The other rank has nothing to add here."""
    talked: list[Tensor] = []
    for name in ("all_reduce", "broadcast"):
        monkeypatch.setattr(distributed.distributed, name, lambda tensor, *of: talked.append(tensor))
    data = work_of(Data(call("synthetic", classes=3, train=32, val=20, shape=(1, 8, 8))), tmp_path / "data")
    network = call("small_cnn", width=2)
    subsets = (SubsetTraining(pgd(), 1.0), SubsetTraining(None, 1.0))
    settings = training(2, model=network, subsets=subsets, select=Selection((pgd(),), (1, 2)), recipe=sgd(2, swa=1))
    settings = replace(settings, repick=Repicking((Pick("random", 0.5, "examples", seed=1), Rest()), 1, False))
    for folder in ("out", "scratch"):
        (tmp_path / folder).mkdir()
    work = Work({"data": data}, tmp_path / "out", tmp_path / "scratch", tmp_path, "cuda:0")
    train(Step(settings, (("data", "data"),)), work, ProcessGroup(0, 2))
    assert talked
    assert all(isinstance(each, OnGpu) for each in talked)
