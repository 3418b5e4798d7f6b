"""Count the images that pass through networks while a step is performed, as `plan.cost` counts them beforehand.

A pass is forward only until a gradient comes back through it; each time one comes, it is one with backward. Counting
changes no number. What networks are asked about before there are images (whether they can be built) is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from satdsl.backend.architectures import Network
from satdsl.backend.attack_copy import PassedCopy
from satdsl.ir.plan import Passes

NETWORKS: tuple[type[nn.Module], ...] = (Network, PassedCopy)
"""What images are put through. A copy for attacks may have a network inside, whose passes are the copy's own."""


@dataclass
class CountedPasses:
    """The passes so far: images that passed `forward` only and with `backward`, and how often a network was called."""

    forward: int = 0
    backward: int = 0
    calls: int = 0
    _inside: bool = False

    @property
    def passes(self) -> Passes:
        """Return them as a plan has them."""
        return Passes(self.forward, self.backward)

    def call(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a network, and count the images that it is given; not those of a call inside another one."""
        if self._inside:
            return call(*args, **kwargs)
        self._inside = True
        try:
            outputs = call(*args, **kwargs)
        finally:
            self._inside = False
        self.note(len(outputs), outputs)
        return outputs

    def note(self, images: int, outputs: Tensor) -> None:
        """Count a pass of so many images, and from now on the gradients that come back through it."""
        self.calls += 1
        self.forward += images
        if not outputs.requires_grad:
            return
        came = False

        def back(gradient: Tensor) -> None:
            nonlocal came
            self.backward += images
            if not came:
                came = True
                self.forward -= images

        outputs.register_hook(back)  # type: ignore[no-untyped-call]


_counting: list[CountedPasses] = []
"""Who counts now; the last one alone does."""


@contextmanager
def counted() -> Iterator[CountedPasses]:
    """Give the passes that all networks of this process make inside."""
    found = CountedPasses()
    _counting.append(found)
    if len(_counting) == 1:
        for network in NETWORKS:
            setattr(network, "__call__", _call)  # noqa: B010
    try:
        yield found
    finally:
        _counting.pop()
        if not _counting:
            for network in NETWORKS:
                delattr(network, "__call__")


@contextmanager
def counted_here() -> Iterator[None]:
    """Count inside, if nobody does."""
    with nullcontext() if _counting else counted():
        yield


def made() -> Passes:
    """Return the passes of the step so far, to be subtracted from those later on; none if nobody counts."""
    return _counting[-1].passes if _counting else Passes()


@contextmanager
def counted_as(forward: int = 0, backward: int = 0) -> Iterator[None]:
    """Count so many images, whatever happens inside: what is asked of a network there hides how many there are."""
    with _hidden():
        yield
    if _counting:
        now = _counting[-1]
        now.forward, now.backward, now.calls = now.forward + forward, now.backward + backward, now.calls + 1


@contextmanager
def _hidden() -> Iterator[None]:
    now = _counting[-1] if _counting else CountedPasses()
    before, now._inside = now._inside, True
    try:
        yield
    finally:
        now._inside = before


def _call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return _counting[-1].call(nn.Module.__call__.__get__(self), *args, **kwargs)
