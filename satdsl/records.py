"""Define frozen dataclasses that start quickly, since their methods are inherited and not generated.

`dataclass(frozen=True)` writes and compiles six methods for every class. The compiler has well over a hundred, and
would spend a third of its start on that. A `@record` is a dataclass like any other (`fields`, `replace`, `match`)
whose `__init__`, `__eq__`, `__hash__`, `__repr__` and immutability come from `Record`.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, TypeVar, dataclass_transform

T = TypeVar("T", bound="Record")


class Record:
    """The methods of every `@record` class."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    _names: ClassVar[tuple[str, ...]] = ()
    _compared: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *values: Any, **named: Any) -> None:
        own = self.__dict__
        names = self._names
        if len(values) == len(names) and not named:
            own.update(zip(names, values, strict=True))
            return
        if len(values) > len(names):
            raise TypeError(f"{type(self).__name__} takes {len(names)} values, here are {len(values)}")
        own.update(zip(names, values, strict=False))
        for name, value in named.items():
            if name not in names or name in own:
                raise TypeError(f"{type(self).__name__} takes no second or other value `{name}`")
            own[name] = value
        if len(own) < len(names):
            self._fill(own)

    def _fill(self, own: dict[str, Any]) -> None:
        for name in self._names:
            if name not in own:
                default = self.__dataclass_fields__[name]
                if default.default is not MISSING:
                    own[name] = default.default
                elif default.default_factory is not MISSING:
                    own[name] = default.default_factory()
                else:
                    raise TypeError(f"{type(self).__name__} needs a value for `{name}`")

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def _key(self) -> tuple[Any, ...]:
        own = self.__dict__
        return tuple([own[name] for name in self._compared])

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        assert isinstance(other, Record)
        return self is other or self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.__class__, self._key()))

    def __repr__(self) -> str:
        by_name = self.__dataclass_fields__
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._names if by_name[name].repr)
        return f"{type(self).__name__}({shown})"


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a subclass of `Record` a frozen dataclass."""
    made = dataclass(init=False, repr=False, eq=False)(cls)
    made._names = tuple(given.name for given in fields(made))
    made._compared = tuple(given.name for given in fields(made) if given.compare)
    return made
