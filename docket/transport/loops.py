"""What a client has once for each event loop, since it cannot be used in another: made when first needed, let go of
with the loop.

A client may be used in any number of loops, in as many threads. Each loop touches only what is its own; this table is
the one thing that they share, and each step on it is one step of a dict. What is of a loop that runs elsewhere is
ended by that loop.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakSet, ref

import attrs

from .waiting import Backend, call_there, current_backend

__all__ = ["PerLoop"]

T = TypeVar("T")


@attrs.define(eq=False)
class _Entry(Generic[T]):
    """What there is for one loop. Whoever takes ``once`` ends it."""

    backend: Backend
    value: T
    is_current: Callable[[], bool]
    ended: bool = False
    once: Lock = attrs.field(factory=Lock)
    #: See ``_until_the_loop_ends``; None in a loop that is ending.
    guard: AsyncGenerator[None] | None = None


class PerLoop(Generic[T]):
    """One ``make(backend)`` for each event loop that asks; ``end`` is called with it once, before the loop ends."""

    __slots__ = ("__weakref__", "_end", "_ending", "_entries", "_last", "_make")

    def __init__(self, make: Callable[[Backend], T], end: Callable[[T], object] | None = None) -> None:
        self._make, self._end = make, end
        self._entries: dict[object, _Entry[T]] = {}
        self._last: _Entry[T] | None = None
        #: Loops that have closed their generators: more of these are not wanted there.
        self._ending: WeakSet[Any] = WeakSet()

    def here(self) -> T:
        """What there is for the running event loop.

        Raises: RuntimeError - none runs in this thread.
        """
        last = self._last
        if last is None or last.ended or not last.is_current():
            backend = current_backend()
            last = self._entries.get(backend.loop)
            if last is None or last.ended:
                last = self._begin(backend)
            self._last = last
        return last.value

    def end(self) -> None:
        """End what there is: here at once, elsewhere as soon as that loop gets to it. Never suspends."""
        for entry in list(self._entries.values()):
            entry.ended = True
            call_there(entry.backend, self._end_one, entry)

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.end()

    def _begin(self, backend: Backend) -> _Entry[T]:
        for entry in list(self._entries.values()):
            if entry.backend.is_over():  # in a way that closes no generators: loop.close() alone
                self._end_one(entry)
        entry = self._entries[backend.loop] = _Entry(backend, self._make(backend), backend.is_current)
        if backend.loop not in self._ending:
            entry.guard = _until_the_loop_ends(ref(self), ref(entry))
            _step(entry.guard.__anext__())
        return entry

    def loop_ends(self, entry: _Entry[T]) -> None:
        """The loop closes what is left open in it. Called in the loop."""
        self._ending.add(entry.backend.loop)
        entry.guard = None
        self._end_one(entry)

    def _end_one(self, entry: _Entry[T]) -> None:
        if not entry.once.acquire(blocking=False):
            return
        entry.ended = True
        if self._entries.get(entry.backend.loop) is entry:
            del self._entries[entry.backend.loop]
        if self._last is entry:
            self._last = None
        if self._end is not None:
            self._end(entry.value)
        guard, entry.guard = entry.guard, None
        if guard is not None:
            _step(guard.aclose())


async def _until_the_loop_ends(table: ref[PerLoop[T]], entry: ref[_Entry[T]]) -> AsyncGenerator[None]:
    """The one thing that asyncio, uvloop and trio promise to close before they end: a generator left open.

    It needs no task, and refers to nothing that it would keep alive.
    """
    try:
        yield
    finally:
        mine, its = table(), entry()
        if mine is not None and its is not None and its.guard is not None:
            mine.loop_ends(its)


def _step(step: Coroutine[Any, Any, object]) -> None:
    """Take the one step of a coroutine that does not wait."""
    with suppress(StopIteration):
        step.send(None)
