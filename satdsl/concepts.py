"""Explain the terms that results and runs are described with, as `satdsl help` shows them."""

from __future__ import annotations

from satdsl.records import Record, record


@record
class Concept(Record):
    """A term, the other words by which people look for it, and what it means here."""

    name: str
    words: tuple[str, ...]
    text: str


CONCEPTS = (
    Concept(
        "hold-out",
        ("holdout", "validation", "val"),
        "The images that choose: `select by ...` compares the checkpoints of a training on them, and no result is "
        "measured on them. `CIFAR10(holdout=10%)` takes a tenth of the validation images of each class, the same "
        "ones in every run; `val` is the rest. That is why `digits(holdout=20%)` reports on 287 of its 360 "
        "validation images. `holdout_from=train` takes them from the training images.",
    ),
    Concept(
        "verdict",
        ("claim", "claims", "holds", "fails", "close"),
        "What the numbers say of a claim (`expect`). It *holds* if the whole 95 % interval of the difference is on "
        "its side, *fails* if the whole interval is on the other side, and is *too close to call* in between. "
        "`satdsl run --strict` ends with code 4 unless every claim holds.",
    ),
    Concept(
        "interval",
        ("±", "intervals", "confidence", "error"),
        "`66.3 ± 0.8 %` is a 95 % interval over the images: an accuracy on n images would differ that much on "
        "other images of the same kind. It is Wilson's for a share, and paired where two networks are compared on "
        "the same images. It says nothing of other seeds: for these write a sweep and `mean=$seed`, which shows "
        "the standard deviation.",
    ),
    Concept(
        "seeds",
        ("seed", "repeat", "repetitions", "replicates"),
        "`sweep { seed = 1..3 }` and `seed = $seed` in a training make three trainings that differ in their first "
        "weights and in the order of their images. `mean=$seed` in a table or a plot shows their mean and standard "
        "deviation. A random draw has a seed of its own: `A = random 30% examples seed = $draw`.",
    ),
    Concept(
        "std",
        ("mean", "spread", "deviation"),
        "`mean(sat.robust)`, `std(sat.robust)`, `min` and `max` reduce a result over the values of an axis in a "
        "claim; `mean=$seed` does so in a plot or a table. `std` is the standard deviation of the values with n - "
        "1 in the denominator, and needs two of them.",
    ),
    Concept(
        "resume",
        ("interrupt", "kill", "continue", "checkpoint", "ctrl-c"),
        "Every finished step is in the store and is not run again. A training saves itself while it runs, and so "
        "does a long evaluation. After Ctrl-C, a kill or a crash, the same `satdsl run` goes on from there and "
        "gives the same numbers, bit for bit on the same processor.",
    ),
    Concept(
        "gpu",
        ("cuda", "device", "gpus"),
        "`satdsl run` takes a GPU if PyTorch sees one; `--device cpu` or `--device cuda:1` says which. `--jobs 2` "
        "runs two steps at once, each on a GPU of its own where there are two; `--gpus-per-step 4` trains one "
        "network on four. The device is no part of a result's key: what a CPU has computed is not computed again.",
    ),
    Concept(
        "probe",
        ("overfitting", "catastrophic"),
        "After each epoch of an adversarial training a short attack with several steps is made on some images of "
        "the hold-out. If the accuracy under the training's own attack rises while that under the probe falls, the "
        "training has overfitted catastrophically (Wong et al., 2020), and the report says in which epoch.",
    ),
)


TERMS = tuple(one.name for one in CONCEPTS)


def concept(word: str) -> Concept | None:
    """Return the concept that a word, in small or capital letters, stands for."""
    asked = word.lower().replace("_", "-")
    return next((one for one in CONCEPTS if asked == one.name or asked in one.words), None)
