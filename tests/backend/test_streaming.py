"""Images that stay in their files: the same bits as in memory, and what is said when a file is not what it was."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from satdsl.backend import data as data_step
from satdsl.backend import datasets, image_files
from satdsl.backend.image_files import ImageFiles, worker_count
from satdsl.backend.images import Images
from satdsl.ir.steps import Data, Evaluate, Head, Pick, Ranking, Rest, Score, Selection, Split, SubsetTraining
from satdsl.ir.work import Progress, StepError, Work

from .workshop import HOLDOUT, Workshop, call, curves_of, document, pgd, sgd, training

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores, on purpose

COLOUR: dict[str, Any] = {"mean": (0.5,) * 3, "std": (0.25,) * 3}


def photograph(path: Path, seed: int, size: tuple[int, int] = (20, 18)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shades = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    Image.fromarray(shades).resize(size, Image.Resampling.BILINEAR).save(path, quality=90)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """75 JPEGs of three classes."""
    root = tmp_path_factory.mktemp("album")
    for part, n in (("train", 20), ("val", 5)):
        for k, klass in enumerate(("ape", "bee", "cow")):
            for i in range(n):
                photograph(root / part / klass / f"{i:02}.jpg", 1000 * k + 10 * i + (part == "val"), (20 + i % 3, 18))
    return root


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is kept in memory, and several processes decode."""
    monkeypatch.setattr(data_step, "KEPT_BYTES", 0)
    monkeypatch.setattr(image_files, "cores", lambda: 4)
    yield
    gc.collect()
    assert not multiprocessing.active_children(), "a worker lives on"


def data_of(workshop: Workshop, album: Path, **changed: Any) -> Path:
    return workshop.do(Data(call("folder", path=".", **({"resize": 12} | changed)), root=str(album)))


def experiment(workshop: Workshop, data: Path) -> list[Path]:
    """One step of each kind on `data`."""
    trained = workshop.do(
        training(
            2,
            subsets=(SubsetTraining(pgd(random_start="ball"), 2.0), SubsetTraining(None, 1.0)),
            select=Selection((pgd(),), (1, 2)),
            snapshots=(1, 2),
            keep_weights=(1,),
            recipe=sgd(2, batch=16),
            **COLOUR,
        ),
        data=data,
        split=workshop.do(Split((Pick("random", 0.5, "examples", seed=3), Rest()), HOLDOUT), data=data),
    )
    ranked = Pick("hardest", 0.5, "examples", ranking=Ranking("snapshot-entropy", "ranking0"))
    return [
        trained,
        workshop.do(Split((ranked, Rest()), HOLDOUT), data=data, ranking0=trained),
        workshop.do(Score("el2n", HOLDOUT), weights=trained, data=data),
        workshop.do(Evaluate(None, "train", HOLDOUT), weights=trained, data=data),
        workshop.do(Evaluate(pgd(), "val", HOLDOUT), weights=trained, data=data),
        workshop.do(Evaluate(short_autoattack(), "val", HOLDOUT), weights=trained, data=data),
        workshop.do(Head(call("linear"), sgd(1, batch=16), (call("flip"),), HOLDOUT), weights=trained, data=data),
    ]


def short_autoattack() -> Any:
    return call("autoattack", norm="L2", eps=0.5, version="custom", attacks=("apgd-ce",))


def contents(folder: Path) -> dict[str, Any]:
    """Every file of an artifact, save the seconds in its curves."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    if "curves.parquet" in found:
        curves = curves_of(folder)
        found["curves.parquet"] = [{k: v for k, v in row.items() if k != "seconds"} for row in curves]
    return found


def test_an_experiment_on_streamed_images_is_bit_for_bit_that_on_images_in_memory(
    workshop: Workshop, album: Path, request: pytest.FixtureRequest
) -> None:
    kept = data_of(workshop, album)
    in_memory = [contents(folder) for folder in experiment(workshop, kept)]
    request.getfixturevalue("streamed")
    listed = data_of(workshop, album)
    assert (kept / "train.npy").exists()
    assert not (listed / "train.npy").exists()
    assert (kept / "labels.npz").read_bytes() == (listed / "labels.npz").read_bytes()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
    from_files = [contents(folder) for folder in experiment(workshop, listed)]
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tobytes(), random.getstate())  # type: ignore[index]
    for first, second in zip(in_memory, from_files, strict=True):
        assert first == second


def images_of(artifact: Path) -> Images:
    work = Work(inputs={"data": artifact}, out=artifact, scratch=artifact, data_root=artifact)
    return datasets.input_dataset(work).train


@pytest.mark.usefixtures("streamed")
def test_batches_come_in_their_order_with_every_number_of_workers(
    workshop: Workshop, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = images_of(data_of(workshop, album))
    assert isinstance(images.pixels, ImageFiles)
    rows = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    batches = [rows[:7], rows[7:40], slice(40, 60), torch.arange(60) % 5 == 0]
    at_once = [images.pixels[batch] for batch in batches]
    for workers in (0, 1, 3):
        monkeypatch.setattr(image_files, "worker_count", lambda n, size, workers=workers: workers)
        found = list(images.read(batches, "cpu"))
        assert all(torch.equal(one, other) for one, other in zip(found, at_once, strict=True))
    assert torch.equal(images.at(rows[:9]).pixels[slice(2, 4)], at_once[0][2:4])


def test_workers_are_as_many_as_cores_batches_and_memory_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def workers(cores: int, batches: int, batch_bytes: int = 1) -> int:
        monkeypatch.setattr(image_files, "cores", lambda: cores)
        return worker_count(batches, batch_bytes)

    monkeypatch.setattr(image_files, "SHARED_MEMORY", tmp_path / "none")
    assert [workers(cores, 100) for cores in (1, 2, 4, 64)] == [0, 1, 3, 8]
    assert [workers(64, batches) for batches in (0, 1, 2, 5)] == [0, 0, 1, 4]
    assert workers(64, 100, 300 << 20) == 3
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {"daemon": True})
    assert workers(64, 100) == 0, "a daemonic process may have no children"


@pytest.mark.usefixtures("streamed")
def test_an_iteration_that_is_given_up_leaves_no_worker_behind(workshop: Workshop, album: Path) -> None:
    images = images_of(data_of(workshop, album))
    batches = images.batches(5, "cpu")
    next(batches)
    assert multiprocessing.active_children()
    batches.close()  # type: ignore[attr-defined]
    del batches


# --- files that are not what they were ----------------------------------------------------------------


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file"),
        (lambda path: photograph(path, 99), "has changed since"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "has changed since"),
    ],
    ids=["vanished", "changed", "truncated"],
)
def test_a_file_that_is_no_longer_what_the_data_step_saw_is_named(
    workshop: Workshop, tmp_path: Path, harm: Any, words: str
) -> None:
    for i in range(12):
        for part in ("train", "val"):
            photograph(tmp_path / part / ("ape" if i % 2 else "bee") / f"{i}.jpg", i)
    artifact = data_of(workshop, tmp_path)
    victim = tmp_path / "train" / "ape" / "7.jpg"
    harm(victim)
    with pytest.raises(StepError, match=words) as caught:
        workshop.do(training(1, holdout=None, recipe=sgd(1, batch=4), **COLOUR), data=artifact)
    assert str(victim) in caught.value.reason
    assert caught.value.help
    assert "Traceback" not in caught.value.reason


@pytest.mark.parametrize("kept", [True, False])
def test_a_damaged_picture_is_named(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr(data_step, "KEPT_BYTES", 1 << 30 if kept else 0)
    for i in range(3):
        photograph(tmp_path / "train" / "ape" / f"{i}.jpg", i, (64, 64))
        photograph(tmp_path / "val" / "ape" / f"{i}.jpg", i, (64, 64))
    victim = tmp_path / "val" / "ape" / "1.jpg"
    victim.write_bytes(victim.read_bytes()[:300])
    with pytest.raises(StepError, match=r"1\.jpg cannot be used: a part of it is missing or damaged"):
        workshop.do(
            Evaluate(None, "val", None),
            weights=workshop.do(training(1, holdout=None, **COLOUR), data=(made := data_of(workshop, tmp_path))),
            data=made,
        )
    victim.write_bytes(b"no image at all")
    with pytest.raises(StepError, match=r"1\.jpg cannot be used: it is of no known image format; "):
        data_of(workshop, tmp_path)


@pytest.mark.usefixtures("streamed")
def test_streamed_images_of_several_sizes_need_a_resize(workshop: Workshop, album: Path, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="3x18x21, others have 3x18x20") as caught:
        data_of(workshop, album, resize=None)
    assert "resize" in caught.value.help
    for part in ("train", "val"):
        for i in range(2):
            photograph(tmp_path / part / "ape" / f"{i}.jpg", i)
    assert document(data_of(workshop, tmp_path, resize=None) / "facts.json")["shape"] == [3, 18, 20]


def test_reading_and_decoding_report_how_far_they_are(album: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    data = datasets.load(call("folder", path=".", resize=8, limit=9), album)
    for number, keep in enumerate((datasets.store_pixels, datasets.store_file_list)):
        seen.clear()
        (tmp_path / str(number)).mkdir()
        keep(data, tmp_path / str(number), seen.append)
        assert [(p.done, p.total) for p in seen] == [(9, 24), (24, 24)]


# --- processes ------------------------------------------------------------------------------------------

READ_ON = """
import sys, time
from pathlib import Path
from satdsl.backend import datasets, image_files
from satdsl.ir.steps import CatalogCall
image_files.cores = lambda: 4
data = datasets.load(CatalogCall("folder", (("path", "."), ("resize", 12))), Path(sys.argv[1]))
import multiprocessing
for x, y in data.train.batches(5, "cpu"):
    print(" ".join(str(child.pid) for child in multiprocessing.active_children()), flush=True)
    time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc")
def test_workers_die_with_the_process_that_started_them(album: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", READ_ON, str(album)]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    interrupted, killed = (subprocess.Popen(command, start_new_session=True, **options) for _ in range(2))
    workers = [int(pid) for process in (interrupted, killed) for pid in process.stdout.readline().split()]
    assert len(workers) == 6
    os.killpg(interrupted.pid, signal.SIGINT)  # as a terminal does
    killed.kill()
    for process in (interrupted, killed):
        process.communicate(timeout=15)
    deadline = time.monotonic() + 15
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(alive(pid) for pid in workers)


# --- memory -----------------------------------------------------------------------------------------------

WHOLE = """
import resource
import torch
from satdsl.backend.epoch import epoch
from satdsl.backend.images import Images
from satdsl.backend.measure import measure
from satdsl.backend.subset_assignment import assign_subsets
from satdsl.backend.models import build
from satdsl.ir.steps import CatalogCall, SubsetTraining
from pathlib import Path

n = 1 << 16
images = Images(torch.ones((n, 3, 32, 32), dtype=torch.uint8), torch.arange(n) % 10, torch.arange(n))
network = build(CatalogCall("small_cnn", (("width", 1),)), (3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)
assignment = assign_subsets(images, None, (SubsetTraining(None, 1.0),))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for x, y in epoch(images, images.index.numpy(), assignment, (CatalogCall("flip"),), 128, 0, 0, classes=10).inputs():
    pass
measure(network, images, None, classes=10, device="cpu", scratch=Path("."))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_passes_over_a_set_hold_a_batch_of_it_in_single_precision_at_a_time() -> None:
    done = subprocess.run([sys.executable, "-c", WHOLE], capture_output=True, text=True, check=True)
    grown = int(done.stdout) * (1 if sys.platform == "darwin" else 1024)
    assert grown < 200 << 20, "the whole of it would be 768 MiB"
