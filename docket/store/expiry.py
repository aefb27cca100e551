"""What messages say of when they expire: unless the task has begun by then, it is cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from ..moments import LONGEST, moved, read_epoch
from .codec import EXPIRES
from .foreign import is_whole

__all__ = ["expires_field", "expires_of", "why_expired", "without_expiry"]

_MS = timedelta(milliseconds=1)


def expires_field(expires: timedelta | datetime) -> bytes:
    """What a message says of when it expires: a moment, or how long after the server has placed it."""
    if isinstance(expires, datetime):
        return b"%.6f" % expires.timestamp()
    return b"+%d" % max(0, min(expires, LONGEST) // _MS)


def expires_of(extra: Mapping[bytes, bytes], placed: datetime | None = None) -> datetime | None:
    """The moment by which a message is to begin; None where it says none.

    One that counts from its placing counts from ``placed``, as long as the server has not said from when.
    """
    given = extra.get(EXPIRES)
    if given is None:
        return None
    if given[:1] != b"+":
        return read_epoch(given)
    return None if placed is None or not is_whole(given[1:]) else moved(placed, int(given[1:]) * _MS)


def without_expiry(extra: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """The further fields of the message of a run that comes after one that has begun."""
    return {name: each for name, each in extra.items() if name != EXPIRES} if EXPIRES in extra else extra


def why_expired(moment: datetime) -> str:
    """What is recorded of a run that had not begun by then, as scripts write it, too."""
    return f"ExecutionExpired: it had not begun by {moment.isoformat()}"
