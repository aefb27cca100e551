"""The virtual clock of asyncio: an event loop that jumps to its next timer instead of waiting for it.

It knows asyncio's loop and its threads, and of docket only the clock that follows it.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVarTuple, Unpack, cast

from .. import clock

__all__ = ["VirtualEventLoop", "running_virtual_loop"]

Ts = TypeVarTuple("Ts")


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose time starts at 0 and passes only while nothing else can happen.

    Time:   stands still while callbacks are ready or input has arrived; goes to the next timer at once when
            neither is so; passes as it really does while a worker thread is at work (``anyio.to_thread``,
            ``run_in_executor``), so a thread that needs the loop is served and no timer overtakes its result.
    Input:  waiting for a real socket, pipe or signal looks idle: with a timer pending the clock goes on, and
            the timer wins. With none the loop waits for real. Only ``memory://`` travels in time.
    Thread: one loop, one thread, as for every asyncio loop. Calls from threads that the loop did not start
            (a blocking portal) do not hold the clock.
    Source: the ``loop_factory`` of ``asyncio.Runner`` and of anyio's backend options.
    """

    def __init__(self) -> None:
        self._virtual_now = 0.0
        self._executor_calls = 0
        super().__init__(
            _JumpingSelector(selectors.DefaultSelector(), self._pass_time, self._threads_at_work)
        )
        clock.add_virtual_source(running_virtual_loop)

    def time(self) -> float:
        """Virtual seconds since this loop was made."""
        return self._virtual_now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], Any], *args: *Ts
    ) -> asyncio.Future[Any]:
        """As asyncio's; the call holds the clock until its result was delivered or nobody waits for it."""
        result = super().run_in_executor(executor, func, *args)
        self._executor_calls += 1
        result.add_done_callback(self._executor_call_ended)
        return result

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        """As asyncio's; joins the threads in real time, or the default of 300 s would be over at once."""
        self._executor_calls += 1
        try:
            await super().shutdown_default_executor(*timeout)
        finally:
            self._executor_calls -= 1

    def _executor_call_ended(self, _: asyncio.Future[Any]) -> None:
        self._executor_calls -= 1

    def _pass_time(self, seconds: float) -> None:
        # A timer is due once the time is past it by more than nothing, and half a year from now on the loop's
        # resolution, which should see to that, is less than the least step of a float.
        self._virtual_now = math.nextafter(self._virtual_now + seconds, math.inf)

    def _threads_at_work(self) -> bool:
        return self._executor_calls > 0 or _anyio_workers_busy(self)


class _Worker(Protocol):
    """The state of anyio's worker threads."""

    loop: asyncio.AbstractEventLoop
    workers: Collection[object]
    idle_workers: Collection[object]


def _anyio_workers_busy(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a thread of ``anyio.to_thread`` has not yet reported its result to this loop.

    anyio runs its threads beside the loop's executor, and a worker is idle again in the very callback that
    delivers the result; so a busy worker is one that still belongs to its pool and is not in the idle queue.
    """
    backend = sys.modules.get("anyio._backends._asyncio")
    if backend is None:  # nobody imported it, so nobody started a thread
        return False
    workers = [
        cast(_Worker, each) for each in threading.enumerate() if isinstance(each, backend.WorkerThread)
    ]
    return any(
        each.loop is loop and each in each.workers and each not in each.idle_workers for each in workers
    )


class _JumpingSelector(selectors.BaseSelector):
    """A selector that does not wait for a timer, but moves the loop's time on."""

    def __init__(
        self, real: selectors.BaseSelector, pass_time: Callable[[float], None], held: Callable[[], bool]
    ) -> None:
        self._real = real
        self._pass_time = pass_time
        self._held = held

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._real.select(0)
        if self._held():
            began = clock.perf_counter()
            events = self._real.select(timeout)
            # Without events a timer is due, however the two clocks round.
            waited = clock.perf_counter() - began if timeout is None or events else timeout
            self._pass_time(waited if timeout is None else min(waited, timeout))
            return events
        if timeout is None:  # no timer: only a signal, a socket or a foreign thread can wake the loop
            return self._real.select(None)
        events = self._real.select(0)
        if not events:
            self._pass_time(timeout)
        return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


def running_virtual_loop() -> VirtualEventLoop | None:
    """The virtual loop that runs in this thread, if one does."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if isinstance(loop, VirtualEventLoop) else None
