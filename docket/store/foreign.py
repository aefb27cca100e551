"""Single values as others may have written them. Whatever they are, only ValueError is raised.

Numbers that both Python and Lua are to read have at most fifteen digits: Lua's are doubles.
"""

from __future__ import annotations

import re
from datetime import datetime

from ..moments import read_moment

__all__ = ["LARGEST", "is_entry", "is_text", "is_whole", "moment", "shown", "text", "text_or_none", "whole"]

#: The largest number that is read, of those without a sign.
LARGEST = 10**15 - 1

_SHOWN = 40


def shown(raw: bytes) -> str:
    """The beginning of it, for people."""
    return repr(raw[:_SHOWN]) + ("..." if len(raw) > _SHOWN else "")


_ENTRY = re.compile(rb"[0-9]{1,19}-[0-9]{1,19}")


def is_entry(raw: bytes | None) -> bool:
    """Whether it is the id of an entry of a stream, which the server would not refuse."""
    return raw is not None and _ENTRY.fullmatch(raw) is not None


def is_text(raw: bytes) -> bool:
    """Whether it is UTF-8, as all names are."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_whole(raw: bytes) -> bool:
    """Whether it is a number that `whole` reads."""
    return len(raw) <= 15 and raw.isdigit()


def whole(raw: bytes) -> int:
    """A whole number from 0 to `LARGEST`. Raises: ValueError."""
    if not is_whole(raw):
        raise ValueError(f"{shown(raw)} is no whole number of at most fifteen digits")
    return int(raw)


def moment(raw: bytes) -> datetime:
    """A moment in ISO format, with its own time zone; out of range the nearest (`read_moment`).

    Raises: ValueError - it is none, or has no time zone.
    """
    when = datetime.fromisoformat(raw.decode())
    if when.tzinfo is None:
        raise ValueError(f"{shown(raw)} has no time zone")
    return when if 1 < when.year < 9999 else read_moment(raw) or when


def text(raw: bytes) -> str:
    """Text for people: what is no UTF-8 as backslash escapes."""
    return raw.decode(errors="backslashreplace")


def text_or_none(raw: bytes | None) -> str | None:
    return None if raw is None else text(raw)
