"""Memory that a step frees stays with it until it ends."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

import pytest

from satdsl.backend import memory
from satdsl.backend.memory import KEPT, LARGEST, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, kept


class Library:
    """A C library that notes what it is told."""

    def __init__(self, takes: int = 1) -> None:
        self.told: list[tuple[int, ...]] = []
        self.takes = takes

    def mallopt(self, name: int, value: int) -> int:
        self.told.append((name, value))
        return self.takes

    def malloc_trim(self, pad: int) -> None:
        self.told.append((pad,))


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The process before any step, whose user has chosen nothing."""
    for name in memory.CHOSEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(memory, "_glibc", memory._glibc.__wrapped__)
    return monkeypatch


def loaded(monkeypatch: pytest.MonkeyPatch, library: Any) -> Any:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    return library


def test_memory_is_kept_inside_and_given_back_at_the_end(fresh: pytest.MonkeyPatch) -> None:
    library = loaded(fresh, Library())
    with kept():
        assert library.told == [(M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, KEPT)]
    assert library.told[2:] == [(0,)]


def test_memory_is_given_back_after_a_step_that_failed(fresh: pytest.MonkeyPatch) -> None:
    library = loaded(fresh, Library())
    with pytest.raises(RuntimeError), kept():
        raise RuntimeError
    assert library.told[-1] == (0,)


@pytest.mark.parametrize("name", memory.CHOSEN)
def test_what_the_user_chose_stays(name: str, fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv(name, "1")
    library = loaded(fresh, Library())
    with kept():
        pass
    assert library.told == []


def test_another_c_library_is_left_alone(fresh: pytest.MonkeyPatch) -> None:
    loaded(fresh, object())
    with kept():
        pass


def test_a_library_that_does_not_take_one_setting_is_not_given_the_other(fresh: pytest.MonkeyPatch) -> None:
    """The second without the first would give every larger tensor its own mapping, at twice the time."""
    library = loaded(fresh, Library(takes=0))
    with kept():
        pass
    assert library.told == [(M_MMAP_THRESHOLD, LARGEST)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_glibc_takes_both_settings(fresh: pytest.MonkeyPatch) -> None:
    assert memory._glibc() is not None
