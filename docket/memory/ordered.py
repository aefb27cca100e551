"""A sorted sequence of unique items that is quick even if it is long.

A list of short sorted lists. Adding, removing (also at the front, again and again) and finding cost a
bisection and the move of at most a chunk; a rank costs one step per chunk.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Sorted"]

Item = TypeVar("Item", int, tuple[float, bytes])

CHUNK = 512


class Sorted(Generic[Item]):
    """Unique items in ascending order."""

    __slots__ = ("_chunks", "_lasts", "_size")

    def __init__(self) -> None:
        self._chunks: list[list[Item]] = []
        self._lasts: list[Item] = []  # the last item of each chunk; no chunk is empty
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def first(self) -> Item:
        return self._chunks[0][0]

    @property
    def last(self) -> Item:
        return self._lasts[-1]

    def add(self, item: Item) -> None:
        """Add an item that is not there yet."""
        lasts = self._lasts
        if not lasts:
            self._chunks.append([item])
            lasts.append(item)
        elif item > lasts[-1]:
            chunk = self._chunks[-1]
            if len(chunk) < CHUNK:
                chunk.append(item)
                lasts[-1] = item
            else:
                self._chunks.append([item])
                lasts.append(item)
        else:
            at = bisect_left(lasts, item)
            chunk = self._chunks[at]
            chunk.insert(bisect_left(chunk, item), item)
            if len(chunk) > CHUNK:
                half = chunk[: CHUNK // 2]
                del chunk[: CHUNK // 2]
                self._chunks.insert(at, half)
                lasts.insert(at, half[-1])
        self._size += 1

    def remove(self, item: Item) -> None:
        """Remove an item that is there."""
        at = bisect_left(self._lasts, item)
        chunk = self._chunks[at]
        place = bisect_left(chunk, item)
        del chunk[place]
        if not chunk:
            del self._chunks[at], self._lasts[at]
        elif place == len(chunk):
            self._lasts[at] = chunk[-1]
        self._size -= 1

    def upward(self, low: Item, high: Item | None = None) -> Iterator[Item]:
        """Items from ``low`` to ``high`` (both included); the sequence must not change meanwhile."""
        at = bisect_left(self._lasts, low)
        for number in range(at, len(self._chunks)):
            chunk = self._chunks[number]
            start = bisect_left(chunk, low) if number == at else 0
            if high is not None and self._lasts[number] > high:
                yield from chunk[start : bisect_right(chunk, high)]
                return
            yield from chunk[start:] if start else chunk

    def downward(self, high: Item, low: Item) -> Iterator[Item]:
        """Items from ``high`` down to ``low`` (both included); the sequence must not change meanwhile."""
        at = min(bisect_left(self._lasts, high), len(self._chunks) - 1)
        for number in range(at, -1, -1):
            chunk = self._chunks[number]
            stop = bisect_right(chunk, high) if number == at else len(chunk)
            if chunk[0] < low:
                yield from chunk[bisect_left(chunk, low) : stop][::-1]
                return
            yield from chunk[:stop][::-1]

    def rank(self, item: Item) -> int:
        """How many items are less than ``item``."""
        at = bisect_left(self._lasts, item)
        if at == 0:
            return bisect_left(self._chunks[0], item) if self._chunks else 0
        below = sum(map(len, self._chunks[:at]))
        return below + bisect_left(self._chunks[at], item) if at < len(self._chunks) else below

    def between(self, start: int, stop: int) -> list[Item]:
        """The items of the ranks ``start`` to ``stop`` (half open)."""
        items: list[Item] = []
        for chunk in self._chunks:
            if stop <= 0:
                break
            size = len(chunk)
            if start < size:
                items += chunk[max(start, 0) : stop]
            start -= size
            stop -= size
        return items
