"""Read the specifications that `satdsl init` writes: a first one, and the paper's setup for each of its data sets."""

from __future__ import annotations

from importlib.resources import files

from satdsl.errors import RequestError
from satdsl.hints import suggest


class UnknownSetup(RequestError):
    """The paper has no setup of this name."""


def first() -> str:
    """Return a specification that runs in about two minutes and downloads nothing."""
    return (files(__package__) / "first.sat").read_text("utf-8")


def paper_setups() -> list[str]:
    """Return the data sets that have a setup in the paper."""
    names = (file.name for file in (files(__package__) / "paper").iterdir())
    return sorted(name.removesuffix(".sat") for name in names if name.endswith(".sat"))


def paper_setup(name: str) -> str:
    """Return a specification with the paper's setup for a data set.

    Raises:
        UnknownSetup: the paper has no setup of this name.
    """
    known = paper_setups()
    chosen = name.lower().replace("-", "").replace("_", "")
    if chosen not in known:
        raise UnknownSetup(f"the paper has no setup for `{name}`", str(suggest(chosen, known)))
    return (files(__package__) / "paper" / f"{chosen}.sat").read_text("utf-8")
