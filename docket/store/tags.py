"""The end of a payload that is no plain pickle: which serializer wrote it, and who has signed it.

A pickle ends with a full stop, and whoever unpickles stops there: pydocket reads a tagged pickle as it is. The tag
travels with its payload wherever that goes, be it a message, a record, a row of waiters, a kept failure or a result
storage. It is one line of ASCII behind a line break, and ends with another: ``#docket <serializer>``, and where it is
signed `` <key id> <moment> <generation> <signature>``.
"""

from __future__ import annotations

from ..values import hot_value

__all__ = ["PICKLE", "Tag", "body_of", "split"]

PICKLE = "pickle"
"""The serializer of what has no tag."""

_BEGIN, _END = b"\n#docket ", b"\n"
#: More than any tag has: a payload is searched no further.
_LONGEST = 300


@hot_value
class Tag:
    """What a tag says; ``signature`` is empty where there is none. ``moment`` is in ms since the epoch."""

    serializer: str
    key_id: str = ""
    moment: int = 0
    generation: int = 0
    signature: bytes = b""

    def line(self) -> bytes:
        """The tag as it is put behind a payload."""
        if not self.signature:
            return b"\n#docket %b\n" % self.serializer.encode()
        return b"\n#docket %b %b %d %d %b\n" % (
            self.serializer.encode(), self.key_id.encode(), self.moment, self.generation, self.signature,
        )  # fmt: skip


_PICKLED = Tag(PICKLE)


def split(payload: bytes) -> tuple[bytes, Tag]:
    """A payload without its tag, and the tag; of one that has none that of a plain pickle.

    Raises: ValueError - it ends like a tag, and is none.
    """
    if payload[-1:] != _END:
        return payload, _PICKLED
    at = payload.rfind(_BEGIN, -_LONGEST)
    if at < 0:
        raise ValueError("its tag is cut off")
    parts = payload[at + len(_BEGIN) : -1].split(b" ")
    if len(parts) == 1:
        return payload[:at], Tag(_name(parts[0]))
    if len(parts) != 5:
        raise ValueError(f"its tag has {len(parts)} parts")
    name, key_id, moment, generation, signature = parts
    if not (moment.isdigit() and len(moment) < 16 and generation.isdigit() and len(generation) < 20):
        raise ValueError("its tag has no moment or no generation")
    return payload[:at], Tag(_name(name), _name(key_id), int(moment), int(generation), signature)


def _name(text: bytes) -> str:
    if not text or not text.isascii():
        raise ValueError("its tag has a name that is none")
    return text.decode("ascii")


def body_of(payload: bytes) -> bytes:
    """A payload without its tag, if it has one that can be read."""
    try:
        return split(payload)[0]
    except ValueError:
        return payload
