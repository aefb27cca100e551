"""Sockets on loops that cannot tell when one is ready: asyncio's Proactor loop, which is the usual one on Windows.

For each connection a thread waits in place of the loop. It alone touches its selector: who waits sends it a letter,
and the answer comes by `Backend.soon`. So a caller that is cancelled has nothing to take back, and an answer that
comes too late wakes nobody. anyio would have one thread for all; but that shares its selector with the callers, and a
KeyError ends it now and then, after which no socket is ever ready (4.16).
"""

from __future__ import annotations

import selectors
import socket
import threading
import weakref
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from .sockets import SocketStream
from .waiting import AwaitedReply, Backend, call_there

__all__ = ["ThreadedStream"]

#: What the thread waits for; each is also the letter that asks it.
_EVENTS = EVENT_READ, EVENT_WRITE


class ThreadedStream(SocketStream):
    """A `SocketStream` whose waits are done by a thread of its own; one task waits for each direction at a time."""

    __slots__ = ("__weakref__", "_asked", "_backend", "_letters", "_thread", "_waiting")

    def __init__(self, connected: socket.socket, backend: Backend) -> None:
        super().__init__(connected)
        self._backend = backend
        self._waiting: dict[int, AwaitedReply] = {}
        #: What was asked and has had no answer yet.
        self._asked: set[int] = set()
        self._letters: socket.socket | None = None
        self._thread: threading.Thread | None = None

    async def wait_readable(self) -> None:
        await self._wait_for(EVENT_READ)

    async def wait_writable(self) -> None:
        await self._wait_for(EVENT_WRITE)

    def wake(self) -> None:
        self._tell(EVENT_READ)

    def close(self) -> None:
        super().close()
        if self._letters is not None:
            self._letters.close()  # the end of its letters ends the thread
            self._letters = None
        if self._thread is not None:
            self._thread.join()  # it waits for nothing any more, so that both copies of the socket are closed now
            self._thread = None
            if not self._backend.is_over():
                for event in _EVENTS:
                    call_there(self._backend, self._tell, event)

    async def _wait_for(self, event: int) -> None:
        if self._closed:
            return
        self._waiting[event] = awaited = AwaitedReply()
        if event not in self._asked:
            self._asked.add(event)
            self._ask(event)
        try:
            await self._backend.park(awaited)
        finally:
            del self._waiting[event]

    def _ask(self, event: int) -> None:
        if self._letters is None:
            self._letters, theirs = socket.socketpair()
            # Weak: a connection that nobody closes is collected, and ends its thread.
            tell = weakref.WeakMethod(self._tell)
            words = (self._socket.dup(), theirs, self._backend, tell)
            self._thread = threading.Thread(target=_watch, args=words, name="docket socket", daemon=True)
            self._thread.start()
        self._letters.send(bytes((event,)))

    def _tell(self, event: int) -> None:
        """Let whoever waits for this go on."""
        self._asked.discard(event)
        if (awaited := self._waiting.get(event)) is not None:
            self._backend.wake(awaited)


def _watch(
    watched: socket.socket,
    letters: socket.socket,
    backend: Backend,
    tell: Callable[[], Callable[[int], None] | None],
) -> None:
    """Wait for what each letter names, once, and tell; until the letters end."""
    asked = 0
    with watched, letters, selectors.DefaultSelector() as selector:
        selector.register(letters, EVENT_READ)
        while True:
            ready: dict[Any, int] = {key.fileobj: events for key, events in selector.select()}
            before = asked
            if letters in ready:
                if not (came := letters.recv(64)):
                    return
                for event in came:
                    asked |= event
            told = ready.get(watched, 0) & before
            asked &= ~told
            if before and not asked:
                selector.unregister(watched)
            elif asked and not before:
                selector.register(watched, asked)
            elif asked != before:
                selector.modify(watched, asked)
            for event in _EVENTS:
                if told & event and (call := tell()) is not None:
                    backend.soon(call, event)
                    del call
