"""The names of a docket's keys in Redis, as attributes of whatever has the `Keys`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, overload

from ..store import Keys
from ..values import frozen

__all__ = ["KeyName"]


class HasKeys(Protocol):
    @property
    def keys(self) -> Keys: ...


@frozen
class KeyName:
    """An attribute whose value is the name of one key."""

    read: Callable[[Keys], str]

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: HasKeys, kind: type) -> str: ...
    def __get__(self, owner: HasKeys | None, kind: type) -> Self | str:
        return self if owner is None else self.read(owner.keys)
