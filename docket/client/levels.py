"""The level that a task gives to its calls, where these are given none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..dependencies import PerFunction, get_signature
from ..errors import UsageError
from ..rules import Priority
from ..values import frozen
from .signatures import TaskFunction

__all__ = ["forget_level", "level_in_signature", "own_level"]


@frozen
class _Declared:
    """A parameter whose default is a level. ``place`` is where it stands among those that are given by position."""

    name: str
    place: int | None
    level: Priority


#: A tuple, since nothing is known of a function under None.
_declared: PerFunction[tuple[_Declared | None]] = PerFunction()


def forget_level(function: Callable[..., Any]) -> None:
    """Look at a function anew."""
    _declared.discard(function)


def level_in_signature(function: TaskFunction) -> Priority | None:
    """The level that is the default of one of its parameters. Raises: UsageError (a ValueError) - of two of them."""
    declared = _look_up(function)
    return None if declared is None else declared.level


def own_level(function: TaskFunction, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Priority | None:
    """The level of a call by the signature of its task: that which the call gives in its place, else the default."""
    known = _declared.get(function)
    declared = known[0] if known is not None else _look_up(function)
    if declared is None:
        return None
    given = kwargs.get(declared.name)
    if given is None and declared.place is not None and len(args) > declared.place:
        given = args[declared.place]
    return given if isinstance(given, Priority) else declared.level


def _look_up(function: TaskFunction) -> _Declared | None:
    found: _Declared | None = None
    for place, parameter in enumerate(get_signature(function).parameters.values()):
        if isinstance(parameter.default, Priority):
            if found is not None:
                name = getattr(function, "__name__", function)
                raise UsageError(
                    f"task {name!r} has a level for a default twice, of {found.name!r} and {parameter.name!r}: its "
                    "calls have one"
                )
            by_name = parameter.kind is parameter.KEYWORD_ONLY
            found = _Declared(parameter.name, None if by_name else place, parameter.default)
    _declared[function] = (found,)
    return found
