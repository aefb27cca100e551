"""Parking and waking tasks: what differs between event loops, behind one small protocol, and a gate built on
it.

anyio.Event costs twice as much as what the backends do here (5.5 us against 2.8 on asyncio), once per
command.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol

from .stream import Stream

__all__ = ["Backend", "Gate", "Slot", "Timer", "Watch", "call_there", "current_backend"]


class Slot:
    """One request in flight: ``want`` replies (a list when more than one) owed to whoever holds it.

    ``size`` is how many bytes the request takes, so that a lost connection can tell what was never sent.
    """

    __slots__ = ("done", "error", "reply", "size", "waiter", "want")

    def __init__(self, want: int = 1, size: int = 0) -> None:
        self.want, self.size = want, size
        self.reply: Any = None if want == 1 else []
        self.error: BaseException | None = None
        self.done = False
        #: What the backend needs to wake the parked holder; None while nobody is parked.
        self.waiter: Any = None

    def last_said(self) -> Any:
        """The last of the replies that have come; None while there is none."""
        return self.reply if self.want == 1 else self.reply[-1] if self.reply else None


class Backend(Protocol):
    """One event loop, which runs or has run."""

    @property
    def loop(self) -> object:
        """What is of this loop and of no other: its name among others."""
        ...

    def is_current(self) -> bool:
        """Tell whether the caller runs in this very loop."""
        ...

    def rests(self) -> bool:
        """Tell whether no thread runs the loop at the moment, so that others may touch what is its own."""
        ...

    def is_over(self) -> bool:
        """Tell whether the loop will never run again. From any thread."""
        ...

    def soon(self, callback: Callable[..., object], *args: Any) -> bool:
        """Have the loop call ``callback(*args)``, from any thread; False where it is over."""
        ...

    async def park(self, slot: Slot) -> None:
        """Wait until ``wake(slot)``; may return too early. Cancelled, it leaves nothing behind."""
        ...

    def wake(self, slot: Slot) -> None:
        """Let the holder of ``slot`` run, if parked. Only from within the loop."""
        ...

    async def checkpoint(self) -> None:
        """Let every task that can run do so once; a point of cancellation."""
        ...

    def timer(self, check: Callable[[], float]) -> Timer | None:
        """Return a timer that calls ``check`` when due, in the loop.

        ``check`` returns after how many seconds to be called again; infinity ends it. None where waits carry their
        own deadline (`within`): a timer would be a task that nobody owns.
        """
        ...

    async def within(self, seconds: float, wait: Callable[[], Awaitable[None]]) -> None:
        """Await ``wait()``, for at most ``seconds`` where there is no timer."""
        ...

    def watch(self, stream: Stream, on_readable: Callable[[], None]) -> Watch | None:
        """Let the loop call ``on_readable`` whenever the stream is, where that is cheaper; else None."""
        ...


class Watch(Protocol):
    """A loop that calls back; ``greedy``: it may call once only, so read until nothing is left."""

    greedy: bool

    def stop(self) -> None:
        """Never call back again; idempotent. Before the stream is closed."""
        ...


class Timer(Protocol):
    def arm(self, seconds: float) -> None:
        """Call within ``seconds``; nothing if it is due before that anyway."""
        ...

    def disarm(self) -> None: ...


def current_backend() -> Backend:
    """Return the backend of the running event loop. The module of the other one is not imported.

    Raises: RuntimeError - none runs in this thread.
    """
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            trio.lowlevel.current_task()
        except (RuntimeError, AttributeError):  # AttributeError: another thread is importing it
            pass
        else:
            from .backend_trio import TrioBackend

            return TrioBackend()
    from .backend_asyncio import AsyncioBackend

    return AsyncioBackend()


def call_there(backend: Backend, callback: Callable[..., object], *args: Any) -> None:
    """Call at once where nothing in the loop can be disturbed by that, else have the loop call."""
    if backend.is_current() or backend.rests() or not backend.soon(callback, *args):
        callback(*args)


class Gate:
    """A semaphore, first come first served; leaving never suspends.

    anyio.Lock could deadlock under ``Task.cancel()`` before anyio 4.14.
    """

    __slots__ = ("_backend", "_waiting", "free")

    def __init__(self, backend: Backend, free: int = 1) -> None:
        self._backend, self.free = backend, free
        self._waiting: deque[Slot] = deque()

    async def enter(self) -> None:
        if self.free:
            self.free -= 1
            return
        slot = Slot()
        self._waiting.append(slot)
        try:
            while not slot.done:
                await self._backend.park(slot)
        except BaseException:
            if slot.done:  # let in and cancelled at the same time
                self.leave()
            else:
                self._waiting.remove(slot)
            raise

    def leave(self) -> None:
        if self._waiting:
            slot = self._waiting.popleft()
            slot.done = True
            self._backend.wake(slot)
        else:
            self.free += 1

    async def __aenter__(self) -> None:
        await self.enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.leave()
