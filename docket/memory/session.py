"""The state of one connection on the server."""

from __future__ import annotations

from collections.abc import Callable

from .registry import Command

__all__ = ["Session"]


class Session:
    """One connection's transaction, watches, subscriptions and output.

    ``out`` holds the bytes not yet received; ``on_output`` is called after it grew or ``ended`` was set.
    """

    __slots__ = (
        "channels",
        "dirty",
        "ended",
        "library",
        "name",
        "number",
        "on_output",
        "out",
        "patterns",
        "queue",
        "queue_spoiled",
        "unblock",
        "watching",
    )

    def __init__(self, number: int, on_output: Callable[[], None]) -> None:
        self.number = number
        self.on_output = on_output
        self.name = b""
        self.library = {b"LIB-NAME": b"", b"LIB-VER": b""}
        self.out = bytearray()
        self.ended = False  # the server has hung up: QUIT, CLIENT KILL, a protocol error
        self.queue: list[tuple[Command, list[bytes]]] | None = None  # since MULTI
        self.queue_spoiled = False
        self.dirty = False  # a watched key has changed
        self.watching: dict[bytes, None] = {}
        #: Answers the blocked command as if its time were over; None while nothing is blocked.
        self.unblock: Callable[[], None] | None = None
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}

    @property
    def subscriptions(self) -> int:
        return len(self.channels) + len(self.patterns)

    def write(self, encoded: bytes) -> None:
        self.out += encoded
        self.on_output()

    def end(self) -> None:
        """Hang up after what has been written."""
        self.ended = True
        self.on_output()
