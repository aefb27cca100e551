"""BITFIELD: numbers of any width in a string."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...values import frozen
from ..arguments import SYNTAX, integer
from ..core import Core
from ..registry import Commands
from ..replies import ErrorReply, Reply

__all__ = ["commands"]

commands = Commands()

#: As proto-max-bulk-len, which bounds a string.
LONGEST = 512 * 1024 * 1024

BAD_TYPE = b"ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
BAD_OFFSET = b"ERR bit offset is not an integer or out of range"

_NUMBER = re.compile(rb"([iu])([1-9][0-9]?)\Z").match


@frozen
class Number:
    """Where a number lies in a string, in bits, and how it is read."""

    at: int
    width: int
    signed: bool

    @classmethod
    def named(cls, kind: bytes, offset: bytes) -> Number:
        """As two arguments spell it, like ``u8`` and ``#2``."""
        found = _NUMBER(kind)
        if found is None or (width := int(found[2])) > (64 if found[1] == b"i" else 63):
            raise ErrorReply(BAD_TYPE)
        at = integer(offset.removeprefix(b"#"), BAD_OFFSET) * (width if offset[:1] == b"#" else 1)
        if not 0 <= at < LONGEST * 8:
            raise ErrorReply(BAD_OFFSET)
        return cls(at, width, found[1] == b"i")

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return (self.at + self.width + 7) // 8

    @property
    def _shift(self) -> int:
        return self.end * 8 - self.at - self.width

    def read(self, text: bytes | bytearray) -> int:
        """Its value; what lies behind the end is zero."""
        first = self.at // 8
        part = bytes(text[first : self.end]).ljust(self.end - first, b"\0")
        return self._fit(int.from_bytes(part, "big") >> self._shift)

    def write(self, text: bytearray, value: int) -> None:
        """Put a value that fits into a text that reaches so far."""
        first, mask = self.at // 8, (1 << self.width) - 1
        whole = int.from_bytes(text[first : self.end], "big") & ~(mask << self._shift)
        text[first : self.end] = (whole | (value & mask) << self._shift).to_bytes(self.end - first, "big")

    def fitted(self, value: int, overflow: bytes) -> int | None:
        """What of a value is written where it is out of range; None: nothing is."""
        least, most = (-(1 << self.width - 1) if self.signed else 0), (1 << self.width - self.signed) - 1
        if least <= value <= most:
            return value
        if overflow == b"FAIL":
            return None
        return self._fit(value) if overflow == b"WRAP" else min(max(value, least), most)

    def _fit(self, value: int) -> int:
        value &= (1 << self.width) - 1
        return value - (1 << self.width) if self.signed and value >> self.width - 1 else value


@frozen
class Step:
    """One operation, and what its writing does on an overflow; only GET has no ``value``."""

    word: bytes
    number: Number
    value: int
    overflow: bytes


def _steps(words: list[bytes]) -> Iterator[Step]:
    overflow, rest = b"WRAP", iter(words)
    for spelled in rest:
        word = spelled.upper()
        parts = [
            next(rest, None) for _ in range({b"OVERFLOW": 1, b"GET": 2, b"SET": 3, b"INCRBY": 3}.get(word, 0))
        ]
        given = [part for part in parts if part is not None]
        if not parts or len(given) < len(parts):
            raise ErrorReply(SYNTAX)
        if word == b"OVERFLOW":
            overflow = given[0].upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise ErrorReply(b"ERR Invalid OVERFLOW type specified")
            continue
        number = Number.named(given[0], given[1])
        yield Step(word, number, integer(given[2]) if len(given) > 2 else 0, overflow)


@commands("BITFIELD", -2, "writes")
def bitfield(core: Core, argv: list[bytes]) -> Reply:
    key, steps = argv[1], list(_steps(argv[2:]))
    held = core.keys.get(key, bytes) or b""
    writes = [step for step in steps if step.word != b"GET"]
    text = bytearray(held.ljust(max(step.number.end for step in writes), b"\0") if writes else held)
    replies: list[Reply] = []
    for step in steps:
        number = step.number
        old = number.read(text)
        if step.word == b"GET":
            replies.append(old)
            continue
        is_set = step.word == b"SET"
        new = step.value if is_set else old + step.value
        if is_set and not number.signed and new < 0:
            new += 1 << 64  # the server reads it as a number without a sign
        fitted = number.fitted(new, step.overflow)
        if fitted is not None:
            number.write(text, fitted)
        replies.append(None if fitted is None else old if is_set else fitted)
    if writes:
        core.keys.put(key, bytes(text), keep_ttl=True)
    return replies
