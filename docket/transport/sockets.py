"""TCP and unix sockets as streams, on asyncio and trio alike."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import anyio

from .url import Address
from .waiting import current_backend

__all__ = ["SocketStream", "connect"]

#: Bytes that are asked for at a time; the second, where so many have come: each piece costs a turn of the loop.
_RECEIVE, _MOST = 65536, 256 * 1024

#: The kernel notices within about half a minute that a peer is gone, also for waits without a limit.
_KEEPALIVE = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000))

#: Bytes that the kernel may hold before they are under way. Otherwise it takes 4 MiB of large arguments, and the
#: server's caches have lost them before it reads them: to place 1 MB then costs it a sixth more.
_UNSENT = 256 * 1024


class SocketStream:
    """A connected, non-blocking socket (see ``docket.transport.stream.Stream``)."""

    __slots__ = ("_closed", "_size", "_socket", "_waiters")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._closed = False
        self._waiters = 0
        self._size = _RECEIVE

    def try_send(self, buffer: bytes | bytearray | memoryview) -> int:
        try:
            return self._socket.send(buffer)
        except (BlockingIOError, InterruptedError):
            return 0

    def try_receive(self) -> bytes | None:
        try:
            data = self._socket.recv(self._size)
            if len(data) == self._size:
                self._size = _MOST
            elif len(data) < _RECEIVE:
                self._size = _RECEIVE
            return data
        except (BlockingIOError, InterruptedError):
            return None

    async def wait_readable(self) -> None:
        self._waiters += 1
        try:
            await anyio.wait_readable(self._socket)
        except anyio.ClosedResourceError:  # by ``wake``
            pass
        finally:
            self._leave()

    async def wait_writable(self) -> None:
        self._waiters += 1
        try:
            await anyio.wait_writable(self._socket)
        finally:
            self._leave()

    def fileno(self) -> int:
        return self._socket.fileno()

    def wake(self) -> None:
        anyio.notify_closing(self._socket)  # which tells those who wait, and closes nothing

    def close(self) -> None:
        # While tasks wait on the descriptor, shut it down only, which wakes them; the last one closes it. Closed at
        # once, its number may become another socket's before a waiter has run, and the waiter's cleanup would then
        # remove the registration of that socket (anyio 4.16, asyncio).
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            if not self._waiters:
                self._socket.close()

    def abandon(self) -> None:
        self.close()
        self._socket.close()

    def _leave(self) -> None:
        self._waiters -= 1
        if self._closed and not self._waiters:
            self._socket.close()


async def connect(address: Address) -> SocketStream:
    """Connect to the first of the address's endpoints that accepts.

    Raises: OSError - none does; the error is the last one's.
    Cancel: safe, nothing stays open.
    """
    if address.path is not None:
        if not hasattr(socket, "AF_UNIX"):
            raise OSError("there are no unix sockets on this platform")
        return await _connect(socket.AF_UNIX, address.path, tcp=False)
    endpoints = await _resolve(address.host, address.port)
    for family, endpoint in endpoints[:-1]:
        with contextlib.suppress(OSError):
            return await _connect(family, endpoint, keepalive=address.keepalive)
    family, endpoint = endpoints[-1]
    return await _connect(family, endpoint, keepalive=address.keepalive)


async def _resolve(host: str, port: int) -> list[tuple[int, Any]]:
    try:  # no thread for a numeric address; as bytes, for which no codec of names is loaded
        found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(entry[0], entry[4]) for entry in found]


async def _connect(family: int, endpoint: Any, *, tcp: bool = True, keepalive: bool = True) -> SocketStream:
    raw = socket.socket(family, socket.SOCK_STREAM)
    stream = _stream(raw)
    try:
        raw.setblocking(False)
        if tcp:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
            if keepalive:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for name, value in _KEEPALIVE:
                    if (option := getattr(socket, name, None)) is not None:
                        raw.setsockopt(socket.IPPROTO_TCP, option, value)
        try:
            raw.connect(endpoint)
        except BlockingIOError:
            await stream.wait_writable()
            if code := raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code)) from None
    except BaseException:
        stream.close()
        raise
    return stream


def _stream(raw: socket.socket) -> SocketStream:
    if (backend := current_backend()).waits_for_sockets(raw):
        return SocketStream(raw)
    from .threaded import ThreadedStream

    return ThreadedStream(raw, backend)
