"""Explain the terms that results and runs are described with, as `satdsl help` shows them."""

from __future__ import annotations

import re

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
        ("holdout", "hold out", "held-out", "validation", "validation set", "val", "test", "test set", "n"),
        "The images that choose: `select by ...` compares the checkpoints of a training on them, and no result is"
        " measured on them. `CIFAR10(holdout=10%)` takes a tenth of the validation images of each class, the same"
        " ones in every run; `val` is the rest. That is why `digits(holdout=20%)` reports on n = 287 of its 360 "
        "validation images. `holdout_from=train` takes them from the training images. The official test images of"
        " a data set are its validation images here.",
    ),
    Concept(
        "verdict",
        ("claim", "holds", "fails", "close", "too close", "too close to call", "not run", "hypothesis", "significant"),
        "What the numbers say of a claim (`expect`). It holds if the whole 95 % interval of the difference is on "
        "its side, fails if the whole interval is on the other side, and is too close to call in between. `satdsl"
        " run --strict` ends with code 4 unless every claim holds.",
    ),
    Concept(
        "interval",
        ("±", "+-", "+/-", "confidence", "confidence interval", "error", "error bar", "95", "wilson", "significance"),
        "How far the images may mislead: of a hundred 95 % intervals, about 95 contain what all images of the "
        "same kind would give. `satdsl results FILE` prints Wilson's interval of every accuracy; in a claim, "
        "`difference +7.7 points, 95 % interval ±4.6` is paired, image by image, and has the variance of the "
        "seeds in it where a mean over seeds is compared. In a table `±` is another thing: `66.3 ± 0.8` is the "
        "mean and the standard deviation of what `mean=[$seed]` averages. One network's interval says nothing of "
        "other seeds.",
    ),
    Concept(
        "seeds",
        ("seed", "random seed", "repeat", "repetition", "replicate", "trial", "draw", "randomness"),
        "`sweep { seed = 1..3 }` and `seed = $seed` in a training make three trainings that differ in their first"
        " weights and in the order of their images. `mean=[$seed]` in a table or a plot shows their mean and "
        "standard deviation, and `mean(net.robust)` in a claim compares means. A training without a `seed` line "
        "has seed 0. A random draw has a seed of its own: `A = random 30% examples seed = $draw`.",
    ),
    Concept(
        "std",
        ("mean", "average", "spread", "deviation", "standard deviation", "variance", "median", "aggregate"),
        "`mean(sat.robust)`, `std(sat.robust)`, `min` and `max` reduce a result over the values of an axis in a "
        "claim; `mean=[$seed]` does so in a plot or a table, which show `mean ± standard deviation`. `std` is the"
        " standard deviation of the values with n - 1 in the denominator, and needs two of them.",
    ),
    Concept(
        "resume",
        ("interrupt", "kill", "continue", "restart", "crash", "stop", "pause", "ctrl-c"),
        "Every finished step is in the store and is not run again. A training saves itself while it runs, and so "
        "does a long evaluation. After Ctrl-C, a kill or a crash, the same `satdsl run` goes on from there and "
        "gives the same numbers, bit for bit on the same processor.",
    ),
    Concept(
        "checkpoint",
        ("early stopping", "best", "selection", "model selection", "weights", "pretrained", "save", "load"),
        "The weights of a training after one of its epochs. A training ends with its last weights, unless `select"
        " by robust accuracy under pgd7 every 5 epochs` takes those that are best on the hold-out (early "
        "stopping). `keep weights every 10 epochs` keeps others, which `net[epoch=20]` names. `satdsl export FILE"
        ' NAME -o DIR` writes them for other programs, and `model m = checkpoint("file.pt", arch=...)` reads '
        "weights made elsewhere.",
    ),
    Concept(
        "gpu",
        ("cuda", "device", "mps", "multi-gpu", "cpu"),
        "`satdsl run` takes a GPU if PyTorch sees one; `--device cpu` or `--device cuda:1` says which. `--jobs 2`"
        " runs two steps at once, each on a GPU of its own where there are two; `--gpus-per-step 4` trains one "
        "network on four. The device is no part of a result's key: what a CPU has computed is not computed again.",
    ),
    Concept(
        "cluster",
        ("slurm", "ray", "executor", "job", "parallel", "worker", "sbatch", "distributed", "process"),
        "Steps that do not wait for each other run at once: on one machine as many as it holds (`--jobs`), on a "
        "cluster with `--executor slurm --slurm partition=gpu,time=4:00:00` or `--executor ray --address "
        "HOST:PORT`. The store has to be a folder or an address that all machines reach. `satdsl status FILE "
        "--watch` shows what runs where. Where a step runs changes no key.",
    ),
    Concept(
        "probe",
        ("overfitting", "catastrophic", "catastrophic overfitting", "robust overfitting"),
        "After each epoch of an adversarial training a short attack with several steps is made on some images of "
        "the hold-out. If the accuracy under the training's own attack rises while that under the probe falls, "
        "the training has overfitted catastrophically (Wong et al., 2020), and the report says in which epoch. "
        "What robust overfitting costs (Rice et al., 2020) is seen by `evaluate net every 5 epochs { ... }`.",
    ),
    Concept(
        "smoke",
        ("smoke run", "dry run", "dry", "debug", "quick"),
        "`satdsl run FILE --smoke` runs a small version of the whole plan in minutes, on synthetic images, so "
        "without any data set: two epochs, small networks, few values of each axis. It shows that all of it would"
        " run. Its numbers mean nothing, and its claims get no verdict.",
    ),
    Concept(
        "store",
        ("artifact", "cache", "result", "output", "where", ".satdsl", "disk"),
        "The folder or address that keeps what every step has left: `.satdsl`, unless `--store` or `SATDSL_STORE`"
        " says another. `satdsl results FILE` prints its numbers, `satdsl report FILE` writes the report. Several"
        " specifications and people may share one. `satdsl store list` shows what is there, `store gc` deletes "
        "what no specification wants any more.",
    ),
    Concept(
        "key",
        ("hash", "digest", "reproducible", "reproducibility", "deterministic", "version"),
        "The name of a step's result in the store: a SHA-256 of its settings, of the keys of what it is made "
        "from, and of the version of the code that gives it its meaning. Names, titles, comments, folders and the"
        " device are not in it. Steps of one key are run once; `satdsl why FILE STEP` says which value made a key"
        " another.",
    ),
    Concept(
        "step",
        ("plan", "dag", "pipeline", "stage"),
        "What a run consists of: a data set, a training, a score, a split, a new head, an evaluation. `satdsl "
        "explain FILE` shows the plan, all steps with their cost, before anything runs; `satdsl run FILE` runs "
        "those that are not stored; `--only net.robust` takes one result and what it needs.",
    ),
    Concept(
        "robust accuracy",
        (
            "clean accuracy",
            "accuracy",
            "adversarial accuracy",
            "robust",
            "clean",
            "measure",
            "metric",
            "autoattack table",
        ),
        "`clean accuracy on val` is the share of images that a network classifies as their label; `robust "
        "accuracy under aa on val` the share that still are under the attack. Under several attacks (`under pgd7,"
        " aa`) an image counts if it withstands all. It is an upper bound: a stronger attack finds less. Numbers "
        "that are to be compared with a paper's want the paper's norm and radius, and `autoattack`.",
    ),
    Concept(
        "threat model",
        ("eps", "epsilon", "radius", "norm", "linf", "l2", "l1", "ball", "perturbation", "step size"),
        "What an attack may do: move an image by at most `eps` in a `norm` (Linf, L2 or L1), within [0, 1]. "
        "Pixels lie in [0, 1], whatever the network is normalised with, so 8 of 255 is `eps=8/255`. `step_size` "
        "has the same unit.",
    ),
    Concept(
        "axis",
        ("axes", "sweep axis", "grid", "ablation", "hyperparameter", "hyper-parameter", "point", "label", "multirun"),
        "A parameter with several values: `sweep { lr = [0.1, 0.01]; seed = 1..3 }`. What uses `$lr` exists once "
        "for each value, everything else once. Several axes make a grid; `(wd, batch) = [(5e-4, 128), (1e-4, "
        "64)]` move together. A value may have a label, `loss = [PGD: cross_entropy, TRADES: trades(beta=6)]`, by"
        " which results are named: `net.robust[loss=TRADES]`. Models, attacks, losses, recipes and whole "
        "trainings can be values.",
    ),
    Concept(
        "optimiser",
        ("optimizer", "learning rate", "lr", "batch size", "scheduler"),
        "A `recipe` says how a network is trained: `recipe short = sgd(epochs=30, batch=128, lr=0.1, "
        "momentum=0.9, weight_decay=5e-4, schedule=cosine)`. `satdsl catalog sgd`, `adam` and `adamw` list every "
        "argument. To compare two, declare both and sweep over their names: `sweep { recipe_of = [short, long] "
        "}`, `train net = cnn on images using $recipe_of`.",
    ),
    Concept(
        "adversarial training",
        ("adversarial", "pgd training", "at", "madry", "defence", "defense"),
        "`train net = cnn on images using short { attack all with pgd7 }` replaces every training image, in every"
        " batch, by what the attack makes of it (Madry et al., 2018). `loss all = trades(beta=6)` makes it "
        "TRADES; other losses are formulas, as MART's: `loss all = bce(adversarial) + 5*kl(clean, adversarial)*(1"
        " - p(clean))`. On a `split`, `attack A with pgd7` attacks only A.",
    ),
    Concept(
        "transfer attack",
        ("black box", "black-box", "surrogate", "transferability"),
        "Images made on one network and shown to another: `robust accuracy under pgd20 made on other on val`. "
        "`transfer` is something else: a new last layer on the features of a network, for another data set.",
    ),
    Concept(
        "baseline",
        ("reference", "control", "comparison"),
        "Another training of the same file, which has nothing that the method has: `train plain = cnn on images "
        "using short`. `evaluate plain, net { ... }` measures both alike, `baselines=[plain.robust]` draws a line"
        " in a plot, and a claim compares them. However many claims use it, it is trained once.",
    ),
    Concept(
        "passes",
        ("cost", "pass", "time", "long", "price", "budget", "how long", "flops"),
        "What costs, the same on every machine: a pass is one image through a network and back, a forward pass "
        "alone counts 1/3. `satdsl explain FILE` counts them before anything runs, and says how long that takes "
        "here where it can; `--measure` tries a batch. `satdsl run FILE --budget 2h` stops in time, and runs what"
        " decides most claims first.",
    ),
    Concept(
        "track",
        (
            "tracking",
            "tensorboard",
            "mlflow",
            "wandb",
            "log",
            "logging",
            "curve",
            "learning curve",
            "loss curve",
            "progress",
        ),
        "`satdsl curves FILE` prints every epoch of the stored trainings: losses, accuracies, rates; the report "
        "draws them. `satdsl run FILE --track tensorboard` also sends them to an experiment tracker while they "
        "are made (`satdsl run --help` lists those that there are). `satdsl status FILE --watch` shows the "
        "progress of a run.",
    ),
    Concept(
        "data",
        ("datasets", "data set", "download", "folder", "my data", "offline"),
        "`satdsl data FILE` says which data sets a specification needs and where they are looked for (`data`, "
        "unless `--data` or `SATDSL_DATA` says another folder), `--download` fetches them. Images of your own are"
        ' a `folder("pictures", holdout=10%)` with one folder for each class below `train/` and `val/`, or '
        "`arrays(...)`. `digits` comes with scikit-learn, `synthetic` is made on the spot.",
    ),
    Concept(
        "snapshot",
        ("difficulty", "hard", "hard examples", "ranking", "difficulty score"),
        "`keep snapshots every epoch` scores all training images after each epoch: how uncertain a network still "
        "is of each. `hardest 30% examples by snapshot-entropy of ref` takes those with the highest mean of these"
        " scores. `satdsl catalog score` lists the scores.",
    ),
)


TERMS = tuple(one.name for one in CONCEPTS)


def words() -> list[str]:
    """Return all words by which a concept is found."""
    return [word for one in CONCEPTS for word in (one.name, *one.words)]


def concept(word: str) -> Concept | None:
    """Return the concept that a word stands for: in small or capital letters, of one thing or of several."""
    asked = _plain(word)
    forms = {asked, asked.removesuffix("s"), asked.removesuffix("es")} - {""}
    return next((one for one in CONCEPTS if forms & {*map(_plain, (one.name, *one.words))}), None)


def _plain(word: str) -> str:
    """Return a word in small letters, with a space where it has a hyphen or an underline inside."""
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", word.strip().lower())
