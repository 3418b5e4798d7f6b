"""Mark Python functions as entries of the language: `import satdsl.plugin as sat`, then `@sat.attack`.

A specification that says `use "mine.py"` can use the marked functions of that file by name, as it uses `pgd`. The
marks are read from the file's text; only `satdsl run` executes the file. So what stands in a mark, in an annotation or
as a default has to be written out: a number, a text, a word, a list of such.

This module imports nothing but the standard library, and a mark leaves the function as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__satdsl_mark__"
"""The attribute of a marked function that has its `Mark`."""


@dataclass(frozen=True)
class Mark:
    """What a function is marked as, with what the mark says of it."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


# --- what an argument may be -----------------------------------------------------------------------


@dataclass(frozen=True)
class Above:
    """The number is larger than this: `Annotated[float, sat.Above(0)]`."""

    limit: float


@dataclass(frozen=True)
class AtLeast:
    """The number is this or larger."""

    limit: float


@dataclass(frozen=True)
class Below:
    """The number is smaller than this."""

    limit: float


@dataclass(frozen=True)
class AtMost:
    """The number is this or smaller."""

    limit: float


@dataclass(frozen=True)
class Unit:
    """What the number counts or measures: `Annotated[int, sat.Unit("pixels")]`."""

    text: str


@dataclass(frozen=True)
class Help:
    """What the argument means, in a sentence."""

    text: str


Norm: TypeAlias = Literal["Linf", "L2", "L1"]
"""The norm that bounds the perturbation of an image. The argument is called `norm`."""

Radius: TypeAlias = float
"""The radius of the ball in that norm, above 0; pixels lie in [0, 1]. The argument is called `eps`."""

Share: TypeAlias = float
"""A percentage, which a specification writes as `30%` and the function gets as 0.3."""


# --- the kinds -------------------------------------------------------------------------------------


def _marked(kind: str, function: F | None, options: Mapping[str, Any]) -> Any:
    def mark(marked: F) -> F:
        setattr(marked, MARK, Mark(kind, {name: value for name, value in options.items() if value is not None}))
        return marked

    return mark if function is None else mark(function)


@overload
def attack(function: F) -> F: ...
@overload
def attack(*, passes: str | None = None, forward: str | None = None, norm: str | None = None) -> Callable[[F], F]: ...
def attack(
    function: F | None = None, *, passes: str | None = None, forward: str | None = None, norm: str | None = None
) -> Any:
    """Mark `(network, images, labels, *, ...)`, which returns the adversarial images.

    A fourth parameter `generator` gets a `torch.Generator` to draw random numbers from.

    `passes` is a formula over the arguments: the passes forward and backward that an image takes; `forward`: those that
    are forward only. `norm` is the norm of an attack that has no argument `norm`.
    """
    return _marked("attack", function, {"passes": passes, "forward": forward, "norm": norm})


@overload
def model(function: F) -> F: ...
@overload
def model() -> Callable[[F], F]: ...
def model(function: F | None = None) -> Any:
    """Mark `(classes, channels, *, ...)`, which returns a network with random weights.

    One that depends on the size of the images is `(classes, channels, height, width, *, ...)`.

    It takes images [n, channels, height, width] and gives logits [n, classes].
    """
    return _marked("model", function, {})


@overload
def loss(function: F) -> F: ...
@overload
def loss() -> Callable[[F], F]: ...
def loss(function: F | None = None) -> Any:
    """Mark `(logits, labels, *, ...)`, which returns the loss of each image that the network is trained on.

    A loss that looks at the clean image and at its adversarial version is `(clean, adversarial, labels, *, ...)`, with
    the logits of both.
    """
    return _marked("loss", function, {})


@overload
def score(function: F) -> F: ...
@overload
def score(*, passes: str | None = None, forward: str | None = None) -> Callable[[F], F]: ...
def score(function: F | None = None, *, passes: str | None = None, forward: str | None = None) -> Any:
    """Mark `(network, images, labels, *, ...)`, which returns a number for each image; larger is harder.

    A fourth parameter `generator` is as for an attack. Arguments need defaults: a specification gives none.
    `passes` and `forward` as for an attack.
    """
    return _marked("score", function, {"passes": passes, "forward": forward})


def dataset(
    *,
    classes: int | str | Sequence[str],
    shape: Sequence[int | str],
    train: int | str,
    val: int | str,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Callable[[F], F]:
    """Mark `(part, folder, *, ...)`, which returns the images and the labels of `train` or of `val`.

    What is said here is what satdsl knows before it runs: the number or the names of the classes, channels, height and
    width of an image, the numbers of images. A number may be a formula over the arguments, as text. `mean` and `std`
    are those of the channels that networks are given normalised images with; 0 and 1 where they are absent.
    """
    options = {"classes": classes, "shape": shape, "train": train, "val": val, "mean": mean, "std": std}
    return _marked("dataset", None, options)  # type: ignore[no-any-return]


@overload
def augmentation(function: F) -> F: ...
@overload
def augmentation() -> Callable[[F], F]: ...
def augmentation(function: F | None = None) -> Any:
    """Mark `(images, generator, *, ...)`, which returns a batch of training images changed at random.

    What it draws, it draws from `generator`.
    """
    return _marked("augmentation", function, {})


@overload
def schedule(function: F) -> F: ...
@overload
def schedule() -> Callable[[F], F]: ...
def schedule(function: F | None = None) -> Any:
    """Mark `(epoch, epochs, *, ...)`, which returns what the learning rate is multiplied by in an epoch.

    `epoch` counts the completed epochs of `epochs`.
    """
    return _marked("schedule", function, {})


@overload
def measure(function: F) -> F: ...
@overload
def measure(
    *, passes: str | None = None, forward: str | None = None, share: bool | None = None
) -> Callable[[F], F]: ...
def measure(
    function: F | None = None, *, passes: str | None = None, forward: str | None = None, share: bool | None = None
) -> Any:
    """Mark `(network, images, labels, *, ...)`, which returns a number or a truth value for each image.

    What is reported is its mean; with `share=True`, of truth values, it is a percentage. A fourth parameter
    `generator`,
    `passes` and `forward` as for an attack.
    """
    return _marked("measure", function, {"passes": passes, "forward": forward, "share": share})
