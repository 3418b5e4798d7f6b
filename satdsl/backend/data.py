"""The `data` step: a source to its facts and labels."""

from __future__ import annotations

from satdsl.backend import datasets
from satdsl.backend.files import write_arrays, write_json
from satdsl.backend.images import digest
from satdsl.plan.steps import Data, Step
from satdsl.plan.work import Progress, Work


def perform(step: Step, work: Work) -> None:
    """Write `facts.json` and `labels.npz`; for sources that are decoded from files, the pixels as well.

    Decoded images (`train.npy`, `val.npy`, uint8 [n, c, h, w]) are kept because decoding is slow, and
    because files in a folder can change under the same name.
    """
    settings = step.settings
    assert isinstance(settings, Data)
    root = datasets.root_of(settings.root, work.data_root)
    present, where, how = datasets.locate(settings.source, root)
    if not present:
        if not work.download:
            raise datasets.absent(settings.source, where, how)
        work.report(Progress(0, 1, f"downloading {settings.source.name}"))
        datasets.download(settings.source, root)
    work.report(Progress(0, 1, f"loading {settings.source.name}"))
    data = datasets.load(settings.source, root)
    if datasets.is_decoded(settings.source):
        datasets.keep_pixels(data, work.out)
    write_arrays(
        work.out / "labels.npz",
        {
            "train": data.train.labels.numpy(),
            "train_index": data.train.index.numpy(),
            "val": data.val.labels.numpy(),
            "val_index": data.val.index.numpy(),
        },
    )
    write_json(
        work.out / "facts.json",
        {
            "source": settings.source.document,
            "root": settings.root,
            "classes": list(data.classes),
            "shape": list(data.shape),
            "train": len(data.train),
            "val": len(data.val),
            "digest": digest(data),
        },
    )
    work.report(Progress(1, 1, f"{len(data.train)} training and {len(data.val)} validation images"))
