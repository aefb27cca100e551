"""The levels of calls: what of all that is due begins first."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, cast

from ..errors import UsageError
from ..numbers import spelled

__all__ = ["LEVELS", "Level", "Priority", "check_lanes", "check_level", "check_priority"]


class Priority(str, enum.Enum):  # noqa: UP042 - its str() is to stay that of an Enum
    """The level of a call: what is due of a higher one begins first, and each below it still gets its part.

    Members are strings, too: ``priority="high"`` says the same as ``priority=Priority.HIGH``.
    """

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


Level: TypeAlias = Priority | Literal["high", "normal", "low"] | None
"""The level that a call is given; None for that of its task."""

LEVELS = tuple(Priority)
"""All levels, the first one served first."""


def check_priority(given: Any, name: str = "priority") -> Priority:
    """Return the level that ``given`` is, or spells. Raises: UsageError (a ValueError) - it is none."""
    try:
        return Priority(given)
    except ValueError:
        raise UsageError(f"{name} takes {_or(each.value for each in LEVELS)}, not {spelled(given)}") from None


def check_level(given: Any) -> Priority | None:
    """`check_priority` of what a call or a task is given, which may be None: no level of its own."""
    return None if given is None else check_priority(given)


def check_lanes(given: Any) -> tuple[Priority, ...]:
    """Return the levels that a worker is to serve, the first one served first.

    Raises: UsageError (a ValueError) - none is given, one of them is none, or is given twice.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(f"lanes takes several levels, like ['high', 'normal'], not {spelled(given)}")
    levels = [check_priority(each, "each of lanes") for each in cast("Iterable[Any]", given)]
    if not levels:
        raise UsageError("lanes is empty: a worker serves one level at least; leave it out for all of them")
    for level in LEVELS:
        if levels.count(level) > 1:
            raise UsageError(f"lanes has the level {level.value!r} more than once")
    return tuple(level for level in LEVELS if level in levels)


def _or(words: Iterable[str]) -> str:
    *others, last = map(repr, words)
    return f"{', '.join(others)} or {last}"
