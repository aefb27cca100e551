"""Serializers of the program's own: any object with a name, ``dumps`` and ``loads``."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, cast

from ..store import About, Serializer, Told, tell
from ..values import define

__all__ = ["AnySerializer", "Custom", "HasDumpsAndLoads", "as_tuple"]


class HasDumpsAndLoads(Protocol):
    """What a serializer of one's own has.

    ``name`` travels with all that it writes: letters, digits, ``-`` and ``_``. ``dumps`` is given a tuple of positional
    arguments, a dictionary of named ones, a result, the value of a strike, or a dictionary that tells of an exception
    (text, lists and numbers, as JSON has them). ``loads`` gives back what ``dumps`` was given; of a tuple a list will
    do. Both may raise anything, which refuses the value; of what ``loads`` refuses by `docket.errors.Untrusted` the
    delivery is set aside.
    """

    @property
    def name(self) -> str: ...
    def dumps(self, value: Any, /) -> bytes: ...
    def loads(self, payload: bytes, /) -> Any: ...


AnySerializer: TypeAlias = str | HasDumpsAndLoads | Serializer
"""What a docket takes for one: a name, one of docket's own, or one of the program's."""


def as_tuple(value: Any) -> Any:
    """A list as the tuple that it was; anything else as it is."""
    return tuple(cast("list[Any]", value)) if type(value) is list else value


@define(eq=False)
class Custom:
    """One of the program's own, as docket uses it: exceptions are told."""

    own: HasDumpsAndLoads
    name: str
    key_id = b""

    def dumps(self, value: Any, about: About) -> bytes:
        """Raises: anything; TypeError - it makes no bytes."""
        payload = self.own.dumps(tell(value, about.note) if about.kind == "exception" else value)
        if type(payload) is not bytes:
            raise TypeError(f"the serializer {self.name!r} makes {type(payload).__name__}, not bytes")
        return payload

    def loads(self, payload: bytes, about: About) -> Any:
        """Raises: anything."""
        value = self.own.loads(payload)
        if about.kind == "exception":
            return Told(value)
        return as_tuple(value) if about.kind == "args" else value
