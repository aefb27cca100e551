"""What durations and moments a dependency accepts, and how it says what was wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..errors import UsageError

__all__ = ["check_count", "check_duration", "check_moment"]

ZERO = timedelta(0)


def check_duration(name: str, given: Any, *, positive: bool = False) -> timedelta:
    """Return ``given`` if it is a duration from zero, or above zero if it must be ``positive``.

    Raises: TypeError - it is no timedelta; UsageError (a ValueError) - it is too short.
    """
    if not isinstance(given, timedelta):
        raise TypeError(f"{name} takes a timedelta, not {type(given).__name__}: {given!r}")
    if positive and given <= ZERO:
        raise UsageError(f"{name} takes a duration above zero, not {given}")
    if given < ZERO:
        raise UsageError(f"{name} takes a duration from zero, not {given}")
    return given


def check_count(name: str, given: Any) -> int:
    """Return ``given`` if it is a whole number from 1.

    Raises: TypeError - it is no whole number; UsageError (a ValueError) - it is below 1.
    """
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"{name} takes a whole number, not {type(given).__name__}: {given!r}")
    if given < 1:
        raise UsageError(f"{name} takes a whole number from 1, not {given}")
    return given


def check_moment(name: str, given: Any) -> datetime:
    """Return ``given`` if it is a datetime with a time zone.

    Raises: TypeError - it is no datetime; UsageError (a ValueError) - nobody can say when it is.
    """
    if not isinstance(given, datetime):
        raise TypeError(f"{name} takes an aware datetime, not {type(given).__name__}: {given!r}")
    if given.tzinfo is None or given.utcoffset() is None:
        raise UsageError(f"{name} takes a moment with a time zone, which {given.isoformat()} lacks")
    return given
