"""A parser of RESP2 in pure Python, used if hiredis cannot be imported; with the interface of hiredis.Reader.

redis-py's own parsers pull from a socket, so they cannot be fed. This one has an explicit stack: a large reply that
arrives in many pieces is parsed once.
"""

from __future__ import annotations

from . import resp

__all__ = ["Parser"]

_BULK, _ARRAY, _SIMPLE, _INTEGER, _ERROR = b"$*+:-"


class Parser:
    __slots__ = ("_buffer", "_position", "_stack")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0
        #: Incomplete arrays: how many items each will have, and those that have come.
        self._stack: list[tuple[int, list[object]]] = []

    def feed(self, data: bytes, /) -> None:
        if self._position:
            del self._buffer[: self._position]
            self._position = 0
        self._buffer += data

    def gets(self) -> object:
        """Return the next reply, a RedisError for an error reply, or NEED_MORE.

        Raises: BadReply.
        """
        while True:
            value = self._item()
            if value is resp.NEED_MORE:
                return value
            if value is _OPENED:
                continue
            while self._stack:
                size, items = self._stack[-1]
                items.append(value)
                if len(items) < size:
                    break
                self._stack.pop()
                value = items
            else:
                return value

    def _item(self) -> object:
        """Take one item, or the head of an array with items to come, which goes on the stack."""
        buffer, start = self._buffer, self._position
        end = buffer.find(b"\r\n", start)
        if end < 0:
            return resp.NEED_MORE
        kind, line, after = buffer[start], bytes(buffer[start + 1 : end]), end + 2
        try:
            if kind == _BULK:
                size = int(line)
                if size < 0:
                    value: object = None
                elif len(buffer) < after + size + 2:
                    return resp.NEED_MORE
                else:
                    value = bytes(buffer[after : after + size])
                    after += size + 2
            elif kind == _ARRAY:
                size = int(line)
                value = None if size < 0 else []
                if size > 0:
                    self._stack.append((size, []))
                    value = _OPENED
            elif kind == _SIMPLE:
                value = line
            elif kind == _INTEGER:
                value = int(line)
            elif kind == _ERROR:
                value = resp.error_from(line.decode("utf-8", "replace"))
            else:
                raise ValueError(kind)
        except ValueError:
            raise resp.BadReply(f"Protocol error: {bytes(buffer[start:end])!r}") from None
        self._position = after
        return value


_OPENED = object()
