"""Whole numbers as arguments: the accepted range, and the errors beyond it."""

from __future__ import annotations

from typing import Any

from .errors import UsageError
from .text import text_of

__all__ = ["LARGEST", "LARGEST_FIELD", "check_whole", "spelled"]

LARGEST = 2**63 - 1
"""The largest number that a server counts with."""

LARGEST_FIELD = 10**15 - 1
"""The largest number in a message: scripts calculate with doubles of 53 bits."""


def spelled(given: Any) -> str:
    """The text of a value for people; Python refuses to print numbers of some thousand digits."""
    if isinstance(given, int) and given.bit_length() > 400:
        return f"a number of {given.bit_length()} bits"
    return text_of(given, repr)


def check_whole(
    name: str,
    given: Any,
    least: int = 1,
    most: int = LARGEST,
    *,
    error: type[UsageError] = UsageError,
    takes: str = "",
) -> int:
    """Return ``given`` if it is a whole number of this range, as a plain one.

    Raises: TypeError - it is no whole number (a bool is none); ``error`` (a ValueError) - it is out of the range.
    ``takes`` names what else is accepted, for the message.
    """
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"{name} takes a whole number{takes}, not {type(given).__name__}: {spelled(given)}")
    if given < least:
        raise error(f"{name} takes a whole number from {least}{takes}, not {spelled(given)}")
    if given > most:
        raise error(f"{name} takes a whole number up to {most}{takes}, not {spelled(given)}")
    return int(given)
