"""Two synchronous RESP2 clients that look alike: one over TCP, one to a server in this process."""

from __future__ import annotations

import socket
from typing import Any, Protocol

import anyio

from docket import memory

__all__ = ["Client", "Failure", "MemoryClient", "Simple", "SocketClient", "pack"]


class Failure(str):
    """An error reply."""

    def __repr__(self) -> str:
        return f"Failure({str.__repr__(self)})"


class Simple(bytes):
    """A simple string, which a bulk string of the same bytes is not equal to."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Simple) and bytes.__eq__(self, other)

    __hash__ = bytes.__hash__

    def __repr__(self) -> str:
        return f"Simple({bytes.__repr__(self)})"


class Incomplete(Exception):
    """Not all of the reply is there."""


def pack(arguments: tuple[Any, ...]) -> bytes:
    encoded = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in encoded)


def parse(buffer: bytearray, at: int) -> tuple[Any, int]:
    """The reply that begins at ``at``, and where it ends."""
    end = buffer.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, line, at = buffer[at : at + 1], bytes(buffer[at + 1 : end]), end + 2
    if kind == b"+":
        return Simple(line), at
    if kind == b"-":
        return Failure(line.decode("latin1")), at
    if kind == b":":
        return int(line), at
    size = int(line)
    if size < 0:
        return None, at
    if kind == b"$":
        if len(buffer) < at + size + 2:
            raise Incomplete
        return bytes(buffer[at : at + size]), at + size + 2
    assert kind == b"*", kind
    parts: list[Any] = []
    for _ in range(size):
        part, at = parse(buffer, at)
        parts.append(part)
    return parts, at


class Client(Protocol):
    def call(self, *arguments: Any) -> Any: ...
    def send(self, *arguments: Any) -> None: ...
    def read(self) -> Any: ...
    def close(self) -> None: ...


class Replies:
    """What has arrived and was not read yet."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def next(self) -> Any:
        reply, end = parse(self.buffer, 0)
        del self.buffer[:end]
        return reply


class SocketClient:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.replies = Replies()

    def send(self, *arguments: Any) -> None:
        self.socket.sendall(pack(arguments))

    def read(self) -> Any:
        while True:
            try:
                return self.replies.next()
            except Incomplete:
                received = self.socket.recv(65536)
                if not received:
                    raise EOFError from None
                self.replies.buffer += received

    def call(self, *arguments: Any) -> Any:
        self.send(*arguments)
        return self.read()

    def close(self) -> None:
        self.socket.close()


class MemoryClient:
    """Waits (for a blocked command) in an event loop of its own."""

    def __init__(self, name: str) -> None:
        self.stream = memory.open_stream(name)
        self.replies = Replies()

    def send(self, *arguments: Any) -> None:
        self.stream.try_send(pack(arguments))

    def read(self) -> Any:
        while True:
            try:
                return self.replies.next()
            except Incomplete:
                received = self.stream.try_receive()
                if received is None:
                    anyio.run(self.stream.wait_readable)
                elif not received:
                    raise EOFError from None
                else:
                    self.replies.buffer += received

    def call(self, *arguments: Any) -> Any:
        self.send(*arguments)
        return self.read()

    def close(self) -> None:
        self.stream.close()
