"""The end of a payload that is no plain pickle: which serializer wrote it, and who has signed it.

A pickle ends with a full stop, and whoever unpickles stops there: pydocket reads a tagged pickle as it is. The tag
travels with its payload wherever that goes, be it a message, a record, a row of waiters, a kept failure or a result
storage. It is one line of ASCII behind a line break, and ends with another: ``#docket <serializer>``, and where it is
signed `` <key id> <moment> <generation> <signature>``, the signature in base64 and over all that is in front of it.
"""

from __future__ import annotations

from ..values import hot_value

__all__ = ["BEGIN", "END", "PICKLE", "Tag", "beginning", "body_of", "split", "unsigned"]

PICKLE = "pickle"
"""The serializer of what has no tag."""

BEGIN, END = b"\n#docket ", b"\n"
#: More than any tag has: a payload is searched no further.
_LONGEST = 300


@hot_value
class Tag:
    """What a tag says. ``moment`` is in ms since the epoch; ``signature`` is empty where there is none."""

    serializer: bytes
    key_id: bytes = b""
    moment: bytes = b"0"
    generation: bytes = b"0"
    signature: bytes = b""


_PICKLED = Tag(PICKLE.encode())


def unsigned(serializer: str) -> bytes:
    """The tag of what a serializer wrote and nobody signs."""
    return BEGIN + serializer.encode() + END


def beginning(serializer: str, key_id: str) -> bytes:
    """A signed tag up to its moment."""
    return b"%b%b %b " % (BEGIN, serializer.encode(), key_id.encode())


def split(payload: bytes) -> tuple[bytes, Tag]:
    """A payload without its tag, and the tag; of one that has none that of a plain pickle.

    Raises: ValueError - it ends like a tag, and is none.
    """
    if payload[-1:] != END:
        return payload, _PICKLED
    at = payload.rfind(BEGIN, -_LONGEST)
    parts = payload[at + 9 : -1].split(b" ")
    if at < 0 or len(parts) not in (1, 5) or not parts[0]:
        raise ValueError("its end is no tag")
    return payload[:at], Tag(*parts)


def body_of(payload: bytes) -> bytes:
    """A payload without its tag, if it has one that can be read."""
    try:
        return split(payload)[0]
    except ValueError:
        return payload
