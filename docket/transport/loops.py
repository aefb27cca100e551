"""Objects that a client has once per event loop, since no other loop can use them: made when first needed, ended with
the loop.

A client may be used in any number of loops, in as many threads. Each loop touches only its own objects; this table is
the only thing that they share, and each step on it is one step of a dict. A loop that runs elsewhere ends its own.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakSet, ref

import attrs

from ..values import define
from .waiting import Backend, call_there, current_backend

__all__ = ["PerLoop"]

T = TypeVar("T")


@define(eq=False)
class _Entry(Generic[T]):
    """The object of one loop. The caller that gets ``once`` ends it."""

    backend: Backend
    value: T
    is_current: Callable[[], bool]
    ended: bool = False
    once: Lock = attrs.field(factory=Lock)
    #: See ``_until_the_loop_ends``; None in a loop that is ending.
    guard: AsyncGenerator[None] | None = None


class PerLoop(Generic[T]):
    """One ``make(backend)`` for each event loop that asks; ``end`` is called once with it, before the loop ends."""

    __slots__ = ("__weakref__", "_end", "_ending", "_entries", "_last", "_make")

    def __init__(self, make: Callable[[Backend], T], end: Callable[[T], object] | None = None) -> None:
        self._make, self._end = make, end
        self._entries: dict[object, _Entry[T]] = {}
        self._last: _Entry[T] | None = None
        #: Loops that have closed their generators: they get no further ones.
        self._ending: WeakSet[Any] = WeakSet()

    def here(self) -> T:
        """The object of the running event loop.

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
        """End all of them: here at once, elsewhere as soon as that loop gets to it. Never suspends."""
        for entry in list(self._entries.values()):
            entry.ended = True
            call_there(entry.backend, self._end_one, entry)

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.end()

    def _begin(self, backend: Backend) -> _Entry[T]:
        for entry in list(self._entries.values()):
            if entry.backend.is_over():  # by loop.close() alone, which closes no generators
                self._end_one(entry)
        entry = self._entries[backend.loop] = _Entry(backend, self._make(backend), backend.is_current)
        if backend.loop not in self._ending:
            entry.guard = _until_the_loop_ends(ref(self), ref(entry))
            _step(entry.guard.__anext__())
        return entry

    def loop_ends(self, entry: _Entry[T]) -> None:
        """End the object of a loop that is closing its generators. Called in the loop."""
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
    """A generator left open: asyncio, uvloop and trio all promise to close it before they end.

    It needs no task, and keeps nothing alive.
    """
    try:
        yield
    finally:
        mine, its = table(), entry()
        if mine is not None and its is not None and its.guard is not None:
            mine.loop_ends(its)


def _step(step: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that does not wait."""
    with suppress(StopIteration):
        step.send(None)
