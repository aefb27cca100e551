"""The replies of commands, and their form on the wire (RESP2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

__all__ = [
    "NO_REPLY",
    "OK",
    "QUEUED",
    "Blocked",
    "ErrorReply",
    "NoReply",
    "Reply",
    "Status",
    "as_read",
    "encode",
    "flatten",
    "one_line",
]


class Status(bytes):
    """A simple string: ``+OK``."""

    __slots__ = ()


class ErrorReply(Exception):
    """An error, raised by a command or standing in an array; ``text`` begins with its code (``ERR``)."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class NoReply:
    """The type of ``NO_REPLY``: the command has written its replies itself, or has none."""

    __slots__ = ()


class Blocked:
    """A blocking read that found nothing: ``retry`` it when one of ``keys`` is ready, end it after ``timeout``.

    ``timeout`` is in seconds, None for ever; ``retry`` returns None while there is still nothing.
    """

    __slots__ = ("keys", "retry", "timeout")

    def __init__(self, keys: Sequence[bytes], timeout: float | None, retry: Callable[[], Reply]) -> None:
        self.keys, self.timeout, self.retry = keys, timeout, retry


Reply: TypeAlias = "bytes | int | Sequence[Reply] | ErrorReply | Blocked | NoReply | None"

NO_REPLY = NoReply()
OK = Status(b"OK")
QUEUED = Status(b"QUEUED")


def encode(reply: Reply) -> bytes:
    """The bytes of one reply."""
    if type(reply) is bytes:
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if type(reply) is int:
        return b":%d\r\n" % reply
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, Status):
        return b"+%b\r\n" % reply
    if isinstance(reply, (list, tuple)):
        return b"*%d\r\n%b" % (len(reply), b"".join(map(encode, reply)))
    if isinstance(reply, ErrorReply):
        return b"-%b\r\n" % one_line(reply.text)
    raise TypeError(f"{type(reply).__name__} cannot stand in a reply")


def as_read(reply: Reply, error_of: Callable[[str], Exception]) -> Any:
    """What hiredis makes of the bytes of one reply; ``error_of`` makes what stands for an error."""
    kind = type(reply)
    if kind is bytes or kind is int or reply is None:
        return reply
    if isinstance(reply, (list, tuple)):
        return [part if type(part) is bytes else as_read(part, error_of) for part in reply]
    if isinstance(reply, Status):
        return bytes(reply)
    if isinstance(reply, ErrorReply):
        return error_of(one_line(reply.text).decode(errors="replace"))
    raise TypeError(f"{kind.__name__} cannot stand in a reply")


def one_line(text: bytes) -> bytes:
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def flatten(pairs: dict[bytes, bytes]) -> list[bytes]:
    """``{k: v}`` as ``[k, v, ...]``."""
    flat: list[bytes] = [b""] * (2 * len(pairs))
    flat[::2] = pairs.keys()
    flat[1::2] = pairs.values()
    return flat
