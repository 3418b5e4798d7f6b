"""First specifications, complete with comments: `first.sat`, and the paper's setup for each of its data sets."""

from __future__ import annotations

from importlib.resources import files

from satdsl.hints import suggest


class UnknownSetup(LookupError):
    """There is no paper setup of that name; the message lists those that there are."""


def first() -> str:
    """A spec that runs in about two minutes, from what is in the package."""
    return (files(__package__) / "first.sat").read_text("utf-8")


def paper_setups() -> list[str]:
    """The data sets whose setup in the paper is known."""
    names = (file.name for file in (files(__package__) / "paper").iterdir())
    return sorted(name.removesuffix(".sat") for name in names if name.endswith(".sat"))


def paper_setup(name: str) -> str:
    """A spec with the paper's setup for a data set.

    Raises:
        UnknownSetup: there is none of this name.
    """
    known = paper_setups()
    chosen = name.lower().replace("-", "").replace("_", "")
    if chosen not in known:
        raise UnknownSetup(f"the paper has no setup for `{name}`; {suggest(chosen, known)}")
    return (files(__package__) / "paper" / f"{chosen}.sat").read_text("utf-8")
