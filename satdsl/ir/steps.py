"""Define what a step is: the data that the compiler, the engine and the backend have in common.

A step has a kind, settings and the keys of its inputs, and nothing else. Everything here is a frozen
dataclass of plain values: it can be printed, hashed, pickled and sent to another machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, field, fields
from functools import cache, cached_property
from operator import itemgetter
from typing import Any, ClassVar, Literal, cast

from satdsl.ir.loss_formula import LossFormula
from satdsl.records import Record, record

Key = str
"""A step's identity: 64 hexadecimal digits."""

Value = Any
"""What an argument can be: None, bool, int, float, str, `CatalogCall`, `Pretrained`, `ArrayFile`, a tuple of such."""

VERSIONS: Mapping[str, int] = {"data": 4, "train": 4, "score": 3, "split": 4, "evaluate": 3, "head": 3}
"""The version of the code that gives each kind its meaning.

A key contains only what differs from a default, so a new optional argument of a catalog entry, or a new field with a
default, changes no key. Two rules follow. Raise the version of a kind

- when the same settings would give other numbers. `tests/backend/test_versions.py` notices most such changes;
- when a default changes, be it of a catalog argument or of a field, or when a required argument gets one: the same key
  would mean something else.
"""

HOLDOUT_SEED = 20_240_000
"""The seed of the split between selection and reporting: the same in every run."""

TIE_SEED = 20_260_000
"""The seed of the order that equal scores are ranked in: the same in every run."""

ITSELF = "itself"
"""What `Ranking.of` names where images are ranked by the training that uses the split, anew while it goes on."""

ITSELF_SEED = 20_270_000
"""The seed of the order that such a training begins with, before it has learned anything to rank by."""

BLOCK_SEED = 20_280_000
"""The seed of the order in which blocks take the images of an evaluation: the same in every run."""

BLOCK = "block"
"""What the inputs of an evaluation are called that are its blocks, before their number."""

NOT_IN_KEY: Mapping[str, bool] = {"key": False}

_first = itemgetter(0)


@record
class PluginCode(Record):
    """The Python function behind a call, with the text of the code that it is part of.

    `digest` is that of the syntax of all `files`, so a comment changes nothing. `files` has the function's own file
    first, then what that imports from its folder, each by its path from there: the code travels with the step.
    """

    function: str
    digest: str
    path: str = field(default="", metadata=NOT_IN_KEY)
    """The file, for people; of an installed package its name and version."""
    place: str = field(default="", metadata=NOT_IN_KEY)
    """Where the file lies, from the root; of an installed package `package NAME`."""
    files: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False, metadata=NOT_IN_KEY)

    @property
    def document(self) -> dict[str, Any]:
        """Return what tells it from other code, as JSON data."""
        return {"function": self.function, "digest": self.digest}

    @property
    def stored(self) -> dict[str, Any]:
        """Return all of it as JSON data, for an artifact that has to find its code again (`Catalog.stored_call`)."""
        return self.document | {"path": self.path, "place": self.place, "files": [list(file) for file in self.files]}


@record
class CatalogCall(Record):
    """A catalog entry with every argument resolved: `pgd(norm=L2, eps=0.5, ...)`."""

    name: str
    args: tuple[tuple[str, Value], ...] = ()
    defaults: Mapping[str, Value] = field(default_factory=dict, compare=False, repr=False)
    """What the catalog gives arguments that nobody sets (`Catalog.defaults`).

    It answers for arguments that the call lacks, because an older version stored it; and arguments equal to it stay out
    of the key.
    """
    plugin: PluginCode | None = None
    """The code behind an entry of the user's own; None for one of the catalog."""

    @cached_property
    def _by_name(self) -> dict[str, Value]:
        return {**self.defaults, **dict(self.args)}

    def __getitem__(self, arg: str) -> Any:
        return self._by_name[arg]

    def get(self, arg: str, default: Any = None) -> Any:
        return self._by_name.get(arg, default)

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.args, self.plugin))

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def document(self) -> dict[str, Any]:
        """Return the call as JSON data, with all its arguments."""
        code = {} if self.plugin is None else {"plugin": self.plugin.document}
        return {"name": self.name, **code, **{arg: document(value) for arg, value in self.args}}

    @property
    def stored(self) -> dict[str, Any]:
        """Return the call as JSON data that `Catalog.stored_call` makes it of again, the text of its code included."""
        code = {} if self.plugin is None else {"plugin": self.plugin.stored}
        return {"name": self.name, **code, **{arg: _stored(value) for arg, value in self.args}}

    @cached_property
    def key_text(self) -> str:
        """Return the canonical text of the name and of the arguments that differ from their defaults."""
        own = [(arg, value) for arg, value in self.args if not _same(value, self.defaults.get(arg, MISSING))]
        if self.plugin is not None:
            own.append(("plugin", self.plugin.digest))
        return _object(f'"{arg}":{key_text(value)}' for arg, value in sorted([*own, ("name", self.name)], key=_first))


@record
class Proof(Record):
    """What a network has to do after its weights are read from a file.

    For the images in one .npy file it gives the logits in another; `clean` is its accuracy on all validation images,
    give or take `within`.
    """

    images: str | None = None
    """The SHA-256 of the file, as is that of `logits`."""
    logits: str | None = None
    clean: float | None = None
    within: float | None = None
    images_path: str | None = field(default=None, metadata=NOT_IN_KEY)
    logits_path: str | None = field(default=None, metadata=NOT_IN_KEY)


@record
class Pretrained(Record):
    """Weights from a file that something else wrote. `entry` says which, where the file has several networks."""

    digest: str
    path: str = field(metadata=NOT_IN_KEY)
    entry: str | None = None
    proof: Proof | None = None
    note: str = field(default="", metadata=NOT_IN_KEY)
    """Which of several networks in the file it is, and in which type, for people."""


@record
class ArrayFile(Record):
    """An array of images, or of labels, in a .npy file."""

    digest: str
    path: str = field(metadata=NOT_IN_KEY)


JOINED = "joined"
"""What the source of joined data sets is called: no entry of the catalog. `wholes` has the training images of each
before its `limit`, so that the dataset indices of one follow those of the one before.
"""


# --- the training images an experiment may touch -------------------------------------------------


@record
class Holdout(Record):
    """The images that checkpoint selection may see, taken class by class from `source`.

    Of each class with n images, floor(share * n + 0.5) are held out: the first of
    `draws.order(n, HOLDOUT_SEED + class)` over that class's images in dataset order.
    """

    share: float
    source: Literal["val", "train"]


# --- subsets of the training set -----------------------------------------------------------------


@record
class Ranking(Record):
    """Training examples by difficulty: a score of the step in input role `of` (or `ITSELF`), or the numbers in a file.

    A file has a score for each example; or, `in_order`, their dataset indices, the hardest first (to rank classes, the
    numbers of the classes).
    """

    score: str | None = None
    of: str | None = None
    digest: str | None = None
    path: str | None = field(default=None, metadata=NOT_IN_KEY)
    in_order: bool = False


@record
class OfClasses(Record):
    """All examples of these classes (class indices, ascending). `drawn` is true where a seed chose them."""

    classes: tuple[int, ...]
    drawn: bool = field(default=False, metadata=NOT_IN_KEY)


@record
class Pick(Record):
    """The `order`-first `amount` of `unit`: an int is a count, a float in [0, 1] a share.

    `per_class` takes the share within every class. A share of n counts floor(share * n + 0.5).
    `random` takes the first of `draws.order(N, seed)`, N counting the whole data set, restricted to `within`; classes
    are ranked by their mean score within `within`. Of equal examples (or classes), the one that comes first in
    `draws.order(N, TIE_SEED)` counts as the harder one, so that `easiest` is `hardest` from behind.
    """

    order: Literal["hardest", "easiest", "random"]
    amount: int | float
    unit: Literal["examples", "classes"]
    per_class: bool = False
    within: Subset | None = None
    ranking: Ranking | None = None
    seed: int | None = None


@record
class Where(Record):
    """The examples whose score compares in this way with `threshold`."""

    ranking: Ranking
    comparison: Literal["<", "<=", ">", ">=", "==", "!="]
    threshold: float


@record
class Listed(Record):
    """The dataset indices in a file (`.txt`, `.csv`, `.npy`, `.pt`, `.pth`)."""

    digest: str
    path: str = field(metadata=NOT_IN_KEY)


@record
class Origin(Record):
    """The images of one of the data sets that were joined: those whose dataset index lies in [start, end)."""

    start: int
    end: int
    name: str = field(default="", metadata=NOT_IN_KEY)
    """What the file calls that data set."""


@record
class Everything(Record):
    """All training examples."""


@record
class Nothing(Record):
    """No example."""


@record
class Rest(Record):
    """All examples that are in no other subset of the split."""


@record
class Combined(Record):
    """Union (+), difference (-) or intersection (&)."""

    operator: Literal["+", "-", "&"]
    left: Subset
    right: Subset


Subset = OfClasses | Pick | Where | Listed | Origin | Everything | Nothing | Rest | Combined


# --- loss weights --------------------------------------------------------------------------------


@record
class WeightFormula(Record):
    """A loss weight that needs a size which is known only after scoring.

    `formula` is nested tuples: a number, ("size", i), ("classes", i) for subset i of the split, ("-", x), or
    (operator, x, y) with one of + - * /.
    """

    formula: Any

    def value(self, sizes: tuple[int, ...], classes: tuple[int, ...]) -> float:
        """Return the weight for these subset sizes; raise ZeroDivisionError if a subset it divides by is empty."""
        return _evaluate(self.formula, sizes, classes)


@record
class ImageWeights(Record):
    """A loss weight for each image, as the file gives it: a number for every training image of the data set."""

    digest: str
    path: str = field(metadata=NOT_IN_KEY)


Weight = float | WeightFormula | ImageWeights


def _evaluate(formula: Any, sizes: tuple[int, ...], classes: tuple[int, ...]) -> float:
    if not isinstance(formula, tuple):
        return float(formula)
    operator, *operands = formula
    if operator in ("size", "classes"):
        return float((sizes if operator == "size" else classes)[operands[0]])
    values = [_evaluate(x, sizes, classes) for x in operands]
    if operator == "-" and len(values) == 1:
        return -values[0]
    left, right = values
    return {"+": left + right, "-": left - right, "*": left * right}[operator] if operator != "/" else left / right


# --- the kinds of steps --------------------------------------------------------------------------


@record
class Data(Record):
    """Load a data set, check it, and record its facts and labels. Inputs: of joined data sets `part0`, `part1`, ...

    `source` carries what changes the images (limit, resize, protocol); where the files lie does not.
    """

    kind: ClassVar[str] = "data"
    source: CatalogCall
    root: str | None = field(default=None, metadata=NOT_IN_KEY)


@record
class SeveralAttacks(Record):
    """Several attacks on an image, of which None leaves it as it is.

    `strongest` trains on the adversarial image of the highest objective, `mean` on all of them, with the mean of their
    losses, `drawn` on those of one attack, which is drawn for each batch.
    """

    how: Literal["strongest", "mean", "drawn"]
    attacks: tuple[CatalogCall | None, ...]


@record
class ScaledAttacks(Record):
    """Attacks of which radius and step size are multiplied, for each image, by its factor in a file: from 0 to 1."""

    attacks: CatalogCall | SeveralAttacks
    digest: str
    path: str = field(metadata=NOT_IN_KEY)


Attacks = CatalogCall | SeveralAttacks | ScaledAttacks
"""What attacks the images of a subset."""


def unscaled(choice: Attacks | None) -> CatalogCall | SeveralAttacks | None:
    """Return what attacks an image whose factor is 1."""
    return choice.attacks if isinstance(choice, ScaledAttacks) else choice


def attacks_in(choice: Attacks | None) -> tuple[CatalogCall, ...]:
    """Return every attack that a choice has."""
    choice = unscaled(choice)
    if isinstance(choice, SeveralAttacks):
        return tuple(attack for attack in choice.attacks if attack is not None)
    return () if choice is None else (choice,)


@record
class Phase(Record):
    """How a subset is trained from epoch `first` on, counted from 1."""

    first: int
    attack: Attacks | None
    loss: Loss | None


@record
class SubsetTraining(Record):
    """How one subset takes part in training: attacked or clean, its loss weight, its loss (None: cross-entropy).

    From the first epoch of each phase of `changes` on, attack and loss are those of the phase.
    """

    attack: Attacks | None
    weight: Weight
    loss: Loss | None = None
    changes: tuple[Phase, ...] = ()
    share: float | None = None
    """How much of each batch is of it; None where that follows from its size (`ir.batches`)."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        return Phase(1, self.attack, self.loss), *self.changes

    @property
    def every_attack(self) -> tuple[CatalogCall, ...]:
        """Return the attacks of all phases."""
        return tuple(attack for phase in self.phases for attack in attacks_in(phase.attack))

    def at(self, epoch: int) -> Phase:
        """Return how it is trained in an epoch, counted from 1."""
        return [phase for phase in self.phases if phase.first <= epoch][-1]


@record
class Selection(Record):
    """Keep the weights that are best on the hold-out, among those after `epochs` completed epochs.

    `attack` None selects by clean accuracy; otherwise by robust accuracy, the worst case over `attacks`.
    The first of equals is kept.
    """

    attacks: tuple[CatalogCall, ...]
    epochs: tuple[int, ...]


@record
class Repicking(Record):
    """Subsets that a training picks anew after every `every` epochs, by its own scores of all training images.

    Until then they are those of its split; with `at_start` they are also picked before the first epoch, since the
    weights that it begins with have learned something. Rankings by other scores name the training's inputs.
    """

    subsets: tuple[Subset, ...]
    every: int
    at_start: bool = False


@record
class Train(Record):
    """Train a network. Inputs: `data`; `split` where there is one; `start` to fine-tune from.

    It begins with new weights, with those of `start`, or with `pretrained` ones; a recipe of 0 epochs leaves them so.

    `subsets` follow the split's order (one entry where there is no split). `snapshots` lists the numbers of
    completed epochs after which the training images are scored; `keep_weights` those after which weights are kept.
    """

    kind: ClassVar[str] = "train"
    model: CatalogCall
    recipe: CatalogCall
    augment: tuple[CatalogCall, ...]
    holdout: Holdout | None
    subsets: tuple[SubsetTraining, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int = 0
    select: Selection | None = None
    snapshots: tuple[int, ...] = ()
    keep_weights: tuple[int, ...] = ()
    scores: tuple[str, ...] = ()
    """Snapshot scores that cost more than the forward pass (`snapshot-grand`, `vog`); the others always come."""
    pretrained: Pretrained | None = None
    part: int | None = None
    """The one of `subsets` whose images alone are trained on; None: those of all."""
    start_epoch: int | None = None
    """The number of epochs after which the weights of `start` were kept, None for those that it leaves."""
    head: CatalogCall | None = None
    """A new last layer, in place of that of the network in `start`, which then says how images are normalised."""
    repick: Repicking | None = None
    epoch_images: int | None = None
    """The number of images in an epoch where subsets have shares of the batches; None: as many as are trained on."""


@record
class Score(Record):
    """Score every image of `part` with finished weights. Inputs: `weights`, `data`.

    `epoch` is the number of epochs after which the weights were kept, None for those that the training leaves. With an
    `attack`, the image that it makes of each is scored.
    """

    kind: ClassVar[str] = "score"
    score: str
    holdout: Holdout | None
    epoch: int | None = None
    part: Literal["val", "train"] = "train"
    attack: CatalogCall | None = None
    own: CatalogCall | None = None
    """The call of a score of the user's own, which is recorded under the name `score`."""


@record
class Split(Record):
    """Partition the training set. Inputs: `data`, and one role per ranking (`ranking0`, ...)."""

    kind: ClassVar[str] = "split"
    subsets: tuple[Subset, ...]
    holdout: Holdout | None


@record
class Block(Record):
    """The `index`-th (from 0) of the `count` blocks that `ir.blocks` divides the images of an evaluation into."""

    index: int
    count: int


@record
class Evaluate(Record):
    """Measure one network on images, one row per image. Inputs: `weights`, `data`, `split` with `subsets`, and `source`
    where another network is attacked, whose adversarial images this one is shown.

    An evaluation that is divided has the steps of its blocks as further inputs, `block0`, `block1`, ..., of the same
    settings and other inputs, with `block`; then it puts together what they have measured.

    `attack` None measures clean accuracy. `subsets` None means all images of `part`; otherwise those of these subsets.
    `epoch` as in `Score`, and `source_epoch` for `source`.
    """

    kind: ClassVar[str] = "evaluate"
    attack: CatalogCall | None
    part: Literal["val", "train"]
    holdout: Holdout | None
    subsets: tuple[int, ...] | None = None
    epoch: int | None = None
    source_epoch: int | None = None
    own: CatalogCall | None = None
    """The call of a measure of the user's own: its number for each image, and nothing else, is what is measured."""
    block: Block | None = None
    """The block whose images alone are measured; None: all."""


@record
class Head(Record):
    """Train a new last layer on frozen features. Inputs: `weights`, `data`. `epoch` as in `Score`."""

    kind: ClassVar[str] = "head"
    head: CatalogCall
    recipe: CatalogCall
    augment: tuple[CatalogCall, ...]
    holdout: Holdout | None
    seed: int = 0
    epoch: int | None = None


Loss = CatalogCall | LossFormula
"""What a subset is trained with."""

Settings = Data | Train | Score | Split | Evaluate | Head


@record
class Step(Record):
    """One unit of work: what to do (`settings`) to which artifacts (`inputs`, role to key)."""

    settings: Settings
    inputs: tuple[tuple[str, Key], ...] = ()

    @property
    def kind(self) -> str:
        return self.settings.kind

    @property
    def is_block(self) -> bool:
        """Whether it measures a block of an evaluation: what is shown to people is the whole evaluation."""
        return isinstance(self.settings, Evaluate) and self.settings.block is not None

    @cached_property
    def blocks(self) -> tuple[Key, ...]:
        """Return the blocks that an evaluation is put together from, in order; none where it is not divided."""
        if self.kind != Evaluate.kind:
            return ()
        numbered = [(int(role.removeprefix(BLOCK)), key) for role, key in self.inputs if role.startswith(BLOCK)]
        return tuple(key for _, key in sorted(numbered))

    @property
    def sources(self) -> tuple[tuple[str, Key], ...]:
        """Return the inputs by role, without the blocks of an evaluation: equal for what is measured on the same."""
        return tuple(entry for entry in self.inputs if not entry[0].startswith(BLOCK)) if self.blocks else self.inputs

    @cached_property
    def key(self) -> Key:
        """Return the SHA-256 of the canonical form: settings, keys of the inputs, and version of the code.

        Settings that are at their defaults are left out.
        """
        inputs = ",".join([f'"{role}":"{key}"' for role, key in sorted(self.inputs)])
        identity = f'["{self.kind}",{VERSIONS[self.kind]},{key_text(self.settings)},{{{inputs}}}]'
        return hashlib.sha256(identity.encode()).hexdigest()

    @property
    def settings_document(self) -> dict[str, Any]:
        """Return all settings as JSON data, including those at their defaults."""
        return cast(dict[str, Any], document(self.settings))

    @property
    def key_settings(self) -> dict[str, Any]:
        """Return the settings that the key is made of, as JSON data: those that differ from a default."""
        return cast(dict[str, Any], json.loads(key_text(self.settings)))


canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
"""JSON with sorted keys and no spaces: equal values give equal text on every machine."""


def document(value: Any) -> Any:
    """Return `value` as JSON data, without what is not part of a step's identity (places in the file system)."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple):
        return [document(item) for item in value]
    if isinstance(value, CatalogCall):
        return value.document
    own = value.__dict__
    if "_document" not in own:
        shape: Any = type(value)
        own["_document"] = _tag(shape) | {name: document(own[name]) for name, _ in _identity(shape)}
    return own["_document"]


def _stored(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_stored(item) for item in value]
    return value.stored if isinstance(value, CatalogCall) else document(value)


def plugins_in(value: Any) -> Iterator[PluginCode]:
    """Give the code of the user's own that settings call for, each as often as it is called."""
    if isinstance(value, tuple):
        for item in value:
            yield from plugins_in(item)
    elif isinstance(value, PluginCode):
        yield value
    elif isinstance(value, Record):
        for field_ in fields(cast(Any, value)):
            yield from plugins_in(getattr(value, field_.name))


def settings_of(value: Record) -> dict[str, Any]:
    """Return the arguments of a call, or the fields of a record that are part of a step's identity, by their names."""
    if isinstance(value, CatalogCall):
        return dict(value.args)
    shape: Any = type(value)
    return {name: getattr(value, name) for name, _ in _identity(shape)}


def key_text(value: Any) -> str:
    """Return the canonical JSON text of what differs from a default in `value`.

    Two values have the same text only if they are equal. The text is put together from those of the parts, which many
    steps share.
    """
    kind: Any = type(value)
    if kind is CatalogCall:
        return cast(CatalogCall, value).key_text
    if kind is tuple:
        return f"[{','.join([key_text(item) for item in value])}]"
    if not isinstance(value, Record):
        return _scalar(kind, value)
    own = value.__dict__
    if "_key_text" not in own:
        labels = {name: f'"{name}":"{tag}"' for name, tag in _tag(kind).items()}
        for name, default in _identity(kind):
            if not _same(own[name], default):
                labels[name] = f'"{name}":{key_text(own[name])}'
        own["_key_text"] = _object(labels[name] for name in sorted(labels))
    return cast(str, own["_key_text"])


def _object(entries: Iterable[str]) -> str:
    return "{" + ",".join(entries) + "}"


def _same(value: Any, default: Any) -> bool:
    """Whether a value is its default. 1, 1.0 and True are different values here."""
    return value is default or (type(value) is type(default) and key_text(value) == key_text(default))


@cache
def _scalar(kind: Any, value: Any) -> str:
    """The text of a plain value; its type tells 1, 1.0 and True apart, which are one key otherwise."""
    return canonical(value + 0.0 if kind is float else value)  # -0.0 and 0.0 are equal, and so are their texts


@cache
def _tag(shape: Any) -> dict[str, str]:
    """What tells records of one class from those of others; the settings of a step are told apart by its kind."""
    return {} if hasattr(shape, "kind") else {"is": shape.__name__}


@cache
def _identity(shape: Any) -> tuple[tuple[str, Any], ...]:
    """The fields of a record that are part of a step's identity, each with its default (or `MISSING`)."""
    return tuple((f.name, f.default) for f in fields(shape) if f.metadata.get("key", True))
