"""The level that a task gives to its calls, where these are given none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..dependencies import get_signature
from ..errors import UsageError
from ..rules import Priority
from ..values import frozen

__all__ = ["LevelParameter"]


@frozen
class LevelParameter:
    """A parameter whose default is a level. ``place`` is where it stands among those that are given by position."""

    name: str
    place: int | None
    level: Priority

    @classmethod
    def of(cls, function: Callable[..., Any]) -> LevelParameter | None:
        """That of a function; None where it has none. Raises: UsageError (a ValueError) - it has two."""
        found: LevelParameter | None = None
        for place, parameter in enumerate(get_signature(function).parameters.values()):
            if isinstance(parameter.default, Priority):
                if found is not None:
                    name = getattr(function, "__name__", function)
                    raise UsageError(
                        f"task {name!r} has a level for a default twice, of {found.name!r} and {parameter.name!r}: its "
                        "calls have one"
                    )
                by_name = parameter.kind is parameter.KEYWORD_ONLY
                found = cls(parameter.name, None if by_name else place, parameter.default)
        return found

    def of_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Priority:
        """The level of a call: that which it gives in this place, else the default."""
        given = kwargs.get(self.name)
        if given is None and self.place is not None and len(args) > self.place:
            given = args[self.place]
        return given if isinstance(given, Priority) else self.level
