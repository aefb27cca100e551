"""The class decorators of values and things: ``attrs.frozen`` and ``attrs.define`` that take less time to import.

attrs writes the methods of each class as text and compiles them, which takes a third of what importing docket does. So
all classes share the methods that few programs call: those that show, compare and hash.
"""

from __future__ import annotations

from functools import partial
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

import attrs

__all__ = ["define", "frozen", "hot_value"]

if TYPE_CHECKING:
    from attrs import define as define
    from attrs import frozen as frozen
    from attrs import frozen as hot_value
else:

    def define(cls: type | None = None, *, eq: bool = True, **options: Any) -> Any:
        """``attrs.define``."""
        return _made(cls, eq=eq, **options)

    def frozen(cls: type | None = None, *, eq: bool = True, **options: Any) -> Any:
        """``attrs.frozen``."""
        return _made(cls, eq=eq, hashed=eq, frozen=True, **options)

    def hot_value(cls: type | None = None, **options: Any) -> Any:
        """``frozen`` of which every task makes some: to the type checker alone, which refuses to change one.

        That a class refuses by itself costs up to a microsecond per instance: its ``__init__`` is refused, too, and
        goes round about.
        """
        return _made(cls, eq=True, hashed=True, **options)


def _made(cls: Any, *, eq: bool, hashed: bool = False, **options: Any) -> Any:
    if cls is None:
        return partial(_made, eq=eq, hashed=hashed, **options)
    shared: dict[str, Any] = {"__repr__": _shown} if options.get("repr", True) else {}
    ours = eq and not options.get("order", False)  # attrs orders only what it compares
    if ours:
        shared |= {"__eq__": _equals, "__hash__": _hash if hashed else None}
    for name, method in shared.items():
        if name not in vars(cls):
            setattr(cls, name, method)
    return attrs.define(cls, eq=eq and not ours, unsafe_hash=hashed and not ours, **options)


@recursive_repr("...")
def _shown(self: Any) -> str:
    values = ", ".join(
        f"{field.name}={getattr(self, field.name, attrs.NOTHING)!r}"
        for field in self.__attrs_attrs__
        if field.repr
    )
    return f"{type(self).__qualname__.rpartition('>.')[2]}({values})"


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, field.name) for field in self.__attrs_attrs__ if field.eq)


def _equals(self: Any, other: object) -> bool:
    return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))
