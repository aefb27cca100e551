"""What numbers a dependency accepts, and how it says what was wrong."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError

__all__ = ["check_count"]


def check_count(name: str, given: Any) -> int:
    """Return ``given`` if it is a whole number from 1.

    Raises: TypeError - it is no whole number; UsageError (a ValueError) - it is below 1.
    """
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"{name} takes a whole number, not {type(given).__name__}: {given!r}")
    if given < 1:
        raise UsageError(f"{name} takes a whole number from 1, not {given}")
    return given
