"""The asyncio side of waiting (asyncio's own loops and uvloop); imported only when one of them runs.

Why not anyio alone, measured per use: park + wake by a bare future 2.8 us, by anyio.Event 5.5; a lazily renewed
``call_later`` costs nothing per command, anyio.fail_after 8; a loop that calls us when a socket is readable, where we
do not have to register and wait for each reply, saves a single caller about 40 % (20 us in place of 35 per command).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from threading import get_ident
from typing import Any, Self

from .stream import Stream
from .waiting import AwaitedReply

__all__ = ["AsyncioBackend"]


class AsyncioBackend:
    __slots__ = ("_loop", "_thread")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_current(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def rests(self) -> bool:
        # In another thread it may rest for a moment only, as it does several times at the end of ``asyncio.run``.
        return self._loop.is_closed() or (get_ident() == self._thread and not self._loop.is_running())

    def is_over(self) -> bool:
        return self._loop.is_closed()

    def time(self) -> float:
        return self._loop.time()

    def soon(self, callback: Callable[..., object], *args: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # closed
            return False
        return True

    async def park(self, awaited: AwaitedReply) -> None:
        awaited.parked = parked = _Parked(loop=self._loop)
        try:
            await parked
        finally:
            awaited.parked = None

    def wake(self, awaited: AwaitedReply) -> None:
        if awaited.parked is not None:
            awaited.parked.wake()

    def wake_now(self, awaited: AwaitedReply) -> None:
        if awaited.parked is not None:
            awaited.parked.wake_now()

    async def checkpoint(self) -> None:
        await asyncio.sleep(0)

    def timer(self, check: Callable[[], float]) -> LoopTimer:
        return LoopTimer(self._loop, check)

    async def within(self, seconds: float, wait: Callable[[], Awaitable[None]]) -> None:
        await wait()  # the timer ends it

    def waits_for_sockets(self, one: socket.socket) -> bool:
        try:
            self._loop.remove_reader(one)
        except NotImplementedError:  # Windows' Proactor loop
            return False
        return True

    def watch(self, stream: Stream, on_readable: Callable[[], None]) -> LoopWatch | None:
        descriptor = getattr(stream, "fileno", None)
        if descriptor is None:
            return None
        try:
            return LoopWatch(self._loop, descriptor(), on_readable)
        except NotImplementedError:
            return None


class _Parked(asyncio.Future[None]):
    """A future for the one task that awaits it, which can also go on at once: not only in the next turn of the loop.

    That turn, with its look at all sockets, is a twentieth of what adding a task one by one takes a client.
    """

    __slots__ = ("_context", "_go_on")

    def add_done_callback(self, fn: Callable[[Self], object], /, *, context: Context | None = None) -> None:
        """Called by the task, at once and once."""
        self._go_on, self._context = fn, context or copy_context()

    def wake(self) -> None:
        if not self.done():
            self.set_result(None)
            self.get_loop().call_soon(self._go_on, self, context=self._context)

    def wake_now(self) -> None:
        if not self.done():
            self.set_result(None)
            self._context.run(self._go_on, self)

    def cancel(self, msg: Any | None = None) -> bool:
        if not super().cancel(msg):
            return False
        self.get_loop().call_soon(self._go_on, self, context=self._context)
        return True


class LoopWatch:
    """A descriptor that the loop watches for as long as a connection lives."""

    __slots__ = ("_descriptor", "_loop", "greedy")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, descriptor: int, on_readable: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._descriptor: int | None = descriptor
        # libuv stops polling after an error event, which may come together with data (uvloop 0.23): a caller that
        # reads only once then never sees the error. asyncio's own loops are level-triggered.
        self.greedy = type(loop).__module__.partition(".")[0] != "asyncio"
        # Not in the context of the caller that connects: it would keep a run, its arguments and its docket alive.
        Context().run(loop.add_reader, descriptor, on_readable)

    def stop(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and its registrations with it
                self._loop.remove_reader(self._descriptor)
            self._descriptor = None


class LoopTimer:
    """One ``call_later`` at a time, renewed only when it fires."""

    __slots__ = ("_at", "_check", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, check: Callable[[], float]) -> None:
        self._loop, self._check = loop, check
        self._handle: asyncio.Handle | None = None
        self._at = 0.0  # uvloop's handles have no time where it rounds to 0 ms

    def arm(self, seconds: float) -> None:
        at = self._loop.time() + seconds
        if self._handle is not None:
            if self._at <= at:
                return
            self._handle.cancel()
        # The loop keeps a cancelled handle, and its context, until it would have been due.
        self._at, self._handle = at, self._loop.call_later(seconds, self._due, context=Context())

    def _due(self) -> None:
        self._handle = None
        if (again := self._check()) != float("inf"):
            self.arm(again)

    def disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
