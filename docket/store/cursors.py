"""Places in lists, which come back from whoever has read the page before: nothing else is let through to the server."""

from __future__ import annotations

import re

from ..errors import UsageError
from ..values import frozen

__all__ = ["InQueue", "InRow", "checked_range", "no_place", "on_stream"]

_ENTRY = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
_IN_QUEUE = re.compile(r"q([01])\|(-?(?:inf|[0-9.]+(?:e[+-]?[0-9]+)?))\|([0-9]{1,15})")


def no_place(cursor: str) -> UsageError:
    """The error about a text that is no place."""
    return UsageError(f"{cursor!r} is no place in a list: take it from the page before")


def checked_range(end: str) -> str:
    """An end of a range of stream ids that came from a cursor. Raises: UsageError."""
    entry = end.removeprefix("(")
    if end not in ("-", "+") and not _ENTRY.fullmatch(entry):
        raise no_place(entry)
    return end


def on_stream(cursor: str) -> str:
    """The entry of ``s{entry}``; "" at the beginning. Raises: UsageError."""
    if cursor and not (cursor[0] == "s" and _ENTRY.fullmatch(cursor, 1)):
        raise no_place(cursor)
    return cursor[1:]


@frozen
class InQueue:
    """A place in the queues: ``q{number}|{score}|{passed}``, where so many of that score were before."""

    number: int = 0
    score: str = ""
    passed: int = 0

    @classmethod
    def read(cls, cursor: str) -> InQueue:
        """Raises: UsageError."""
        found = _IN_QUEUE.fullmatch(cursor)
        if found is None:
            if cursor:
                raise no_place(cursor)
            return cls()
        number, score, passed = found.groups()
        try:
            float(score)
        except ValueError:  # too many points
            raise no_place(cursor) from None
        return cls(int(number), score, int(passed))


@frozen
class InRow:
    """A place among rows of waiters, ``{entry} {row}``: the row, and the entry in it."""

    entry: str = ""
    row: str = ""

    @classmethod
    def read(cls, cursor: str) -> InRow:
        """Raises: UsageError."""
        entry, _, row = cursor.partition(" ")
        if cursor and not (_ENTRY.fullmatch(entry) and row):
            raise no_place(cursor)
        return cls(entry, row)
