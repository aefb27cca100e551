"""Bytes that wait to be sent: small ones gathered, large ones as they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .resp import LARGE, Packed

__all__ = ["Outgoing"]


class Outgoing:
    """What a connection is still to send, in order. Large pieces are not copied."""

    __slots__ = ("_first", "_more")

    def __init__(self) -> None:
        self._first: bytearray | memoryview = bytearray()  # empty only if there is nothing
        self._more: deque[bytearray | memoryview] = deque()

    def __bool__(self) -> bool:
        return bool(self._first)

    def __len__(self) -> int:
        return len(self._first) + sum(map(len, self._more))

    def put(self, data: Packed) -> None:
        """Send ``data`` after everything else."""
        if isinstance(data, bytes) and not self._more and isinstance(self._first, bytearray):
            self._first += data
            return
        for piece in (data,) if isinstance(data, bytes) else data:
            last = self._more[-1] if self._more else self._first
            if len(piece) >= LARGE:
                self._more.append(memoryview(piece))
            elif isinstance(last, bytearray):
                last += piece
            else:
                self._more.append(bytearray(piece))
        self._advance()

    def send(self, try_send: Callable[[bytearray | memoryview], int]) -> int:
        """Have ``try_send`` take bytes from the front; return how many it took, 0 if none went."""
        sent = try_send(self._first)
        if isinstance(self._first, bytearray):
            del self._first[:sent]
        else:
            self._first = self._first[sent:]
        self._advance()
        return sent

    def clear(self) -> None:
        self._first = bytearray()
        self._more.clear()

    def _advance(self) -> None:
        if not self._first and self._more:
            self._first = self._more.popleft()
        elif not self._first and isinstance(self._first, memoryview):
            self._first = bytearray()
