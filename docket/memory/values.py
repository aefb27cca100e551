"""The values that keys hold; a string is plain ``bytes``, a stream lives in ``stream_values``."""

from __future__ import annotations

import math
from collections import deque
from typing import TypeAlias

from .ordered import Sorted
from .stream_values import StreamValue

__all__ = ["Hash", "ListValue", "Set", "SortedSet", "Value", "type_name"]


class Hash(dict[bytes, bytes]):
    """field -> value."""

    __slots__ = ()


class Set(dict[bytes, None]):
    """Members in the order of their arrival."""

    __slots__ = ()


class ListValue(deque[bytes]):
    """A list."""

    __slots__ = ()


class SortedSet:
    """Members with scores, ordered by score and then by member."""

    __slots__ = ("order", "scores")

    def __init__(self) -> None:
        self.scores: dict[bytes, float] = {}
        self.order: Sorted[tuple[float, bytes]] = Sorted()

    def __len__(self) -> int:
        return len(self.scores)

    def put(self, member: bytes, score: float) -> None:
        old = self.scores.get(member)
        if old is not None:
            self.order.remove((old, member))
        score += 0.0  # a negative zero becomes a plain one, as in the server's compact encoding
        self.scores[member] = score
        self.order.add((score, member))

    def drop(self, member: bytes) -> bool:
        old = self.scores.pop(member, None)
        if old is None:
            return False
        self.order.remove((old, member))
        return True

    def span(self, low: tuple[float, bool], high: tuple[float, bool]) -> tuple[int, int]:
        """The half-open span of ranks between two score bounds (score, is it excluded)."""
        start = self._below(*low)
        return start, max(start, self._below(high[0], not high[1]))

    def _below(self, score: float, including: bool) -> int:
        """How many members have a lower score, or one that is as low when ``including``."""
        if not including:
            return self.order.rank((score, b""))
        if score == math.inf:
            return len(self.order)
        return self.order.rank((math.nextafter(score, math.inf), b""))


Value: TypeAlias = bytes | Hash | Set | ListValue | SortedSet | StreamValue

_NAMES: dict[type, bytes] = {
    bytes: b"string",
    Hash: b"hash",
    Set: b"set",
    ListValue: b"list",
    SortedSet: b"zset",
    StreamValue: b"stream",
}


def type_name(value: Value | None) -> bytes:
    """What TYPE calls it."""
    return _NAMES[type(value)] if value is not None else b"none"
