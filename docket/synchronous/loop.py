"""An event loop in a thread of its own, in which a docket works for the other threads of a process.

It starts when it is first needed, in each process: what has started before a fork does not run in the child.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar, TypeVarTuple, Unpack
from weakref import WeakMethod

import anyio
from anyio import CancelScope
from anyio.from_thread import BlockingPortal
from anyio.lowlevel import current_token

from ..standins import redis_errors

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["LoopThread"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class LoopThread:
    """Calls of a docket from threads without an event loop; from any number of them, at the same time.

    Between its start, with the first call, and `close` the docket is entered.
    """

    def __init__(self, docket: Docket, backend: str, backend_options: dict[str, Any] | None) -> None:
        self.docket = docket
        self._backend, self._backend_options = backend, backend_options
        self._starting, self._entered = Lock(), 0
        self._running: _Running | None = None
        self._closed = self._left_behind = False
        if hasattr(os, "register_at_fork"):
            in_child = WeakMethod(self._in_child)
            os.register_at_fork(after_in_child=lambda: (method := in_child()) and method())

    def call(self, function: Callable[[Unpack[Ts]], Awaitable[R]], *args: *Ts) -> R:
        """Await ``function(*args)`` in the loop; return what it returns, raise what it raises.

        The loop sees the context variables of the caller. An exception in the calling thread meanwhile, such as
        KeyboardInterrupt, cancels the call.
        Raises: RuntimeError - it is closed, or is closed meanwhile; an event loop runs in this thread, which the call
        would block; memory:// in a process that was forked after the start.
        """
        self._refuse_to_block_a_loop()
        return self._started().call(function, *args)

    def let(self, function: Callable[[], Awaitable[object]]) -> None:
        """Let the loop do this without waiting for it, if it still runs. From any thread."""
        if (running := self._running) is not None:
            running.let(function)

    def enter(self) -> None:
        """Allow calls, also after `close`, until it was left as often as it was entered."""
        with self._starting:
            self._entered += 1
            self._closed = False

    def leave(self) -> None:
        """Close it if nobody else has entered it."""
        with self._starting:
            self._entered -= 1
            last = not self._entered
        if last:
            self.close()

    def close(self) -> None:
        """Cancel what waits in other threads, leave the docket, end the thread. Idempotent."""
        self._refuse_to_block_a_loop()
        with self._starting:
            self._closed = True
            running, self._running = self._running, None
            atexit.unregister(self.close)
        if running is not None:
            running.close()

    def _started(self) -> _Running:
        running = self._running
        if running is not None:
            return running
        with self._starting:
            if self._closed:
                raise RuntimeError(
                    f"the synchronous docket {self.docket.name!r} is closed: use `with docket:`"
                )
            if self._left_behind:
                raise RuntimeError(
                    f"{self.docket.url} lives in the process that had used it before this one was forked from it; "
                    "use the docket only after the fork, or a server"
                )
            if self._running is None:
                self._running = _Running(self.docket, self._backend, self._backend_options)
                atexit.register(self.close)
            return self._running

    def _refuse_to_block_a_loop(self) -> None:
        try:
            current_token()
        except RuntimeError:  # no event loop runs in this thread
            return
        raise RuntimeError(
            f"an event loop runs in this thread, and a call of the synchronous docket {self.docket.name!r} would "
            "block it: await the method of the Docket (sync_docket.docket), or call from another thread "
            "(anyio.to_thread.run_sync)"
        )

    def _in_child(self) -> None:
        """The thread of the parent is not here, and another thread may have held the lock."""
        self._left_behind = self._left_behind or (
            self._running is not None and self.docket.url.startswith("memory://")
        )
        self._starting, self._running = Lock(), None


class _Running:
    """The thread, from its start to its end.

    It may be dropped at any moment, and does nothing then: a forked process has no such thread to wait for.
    """

    def __init__(self, docket: Docket, backend: str, backend_options: dict[str, Any] | None) -> None:
        self._docket, self._backend, self._options = docket, backend, backend_options
        self._waiting: set[Future[Any]] = set()
        self._closing = False
        started: Future[BlockingPortal] = Future()
        self._thread = Thread(target=self._work, args=(started,), name=f"docket {docket.name}", daemon=True)
        self._thread.start()
        self._portal = started.result()

    def _work(self, started: Future[BlockingPortal]) -> None:
        async def serve() -> None:
            async with self._docket, BlockingPortal() as portal:
                started.set_result(portal)
                await portal.sleep_until_stopped()

        try:
            anyio.run(serve, backend=self._backend, backend_options=self._options)
        except BaseException as error:
            if started.done():
                raise  # threading.excepthook shows it
            started.set_exception(error)

    def call(self, function: Callable[[Unpack[Ts]], Awaitable[R]], *args: *Ts) -> R:
        call, future = _Call(function, args), None
        try:
            future = self._portal.start_task_soon(call.run)
            self._waiting.add(future)
            if self._closing:  # and has perhaps not seen this one
                future.cancel()
            return future.result()
        except BaseException as error:
            if future is None:  # interrupted as it began: it may have begun all the same
                self.let(call.cancel)
            else:
                future.cancel()  # of one that is done it does nothing
            if self._closing and isinstance(
                error, CancelledError | redis_errors.ConnectionError | RuntimeError
            ):
                raise RuntimeError(
                    f"the synchronous docket {self._docket.name!r} was closed by another thread during this call"
                ) from error
            raise
        finally:
            if future is not None:
                self._waiting.discard(future)

    def let(self, function: Callable[[], Awaitable[object]]) -> None:
        if not self._closing:
            with suppress(RuntimeError):  # called in the loop's own thread, or as it ends
                self._portal.start_task_soon(function)

    def close(self) -> None:
        self._closing = True
        for future in list(self._waiting):
            future.cancel()
        with suppress(RuntimeError):  # it has ended by itself
            self._portal.call(self._portal.stop, True)
        self._thread.join()


class _Call(Generic[R]):
    """One call, which can be cancelled from the moment on at which the loop has been asked for it."""

    def __init__(self, function: Callable[..., Awaitable[R]], args: tuple[Any, ...]) -> None:
        self._function, self._args = function, args
        self._scope: CancelScope | None = None
        self._cancelled = False

    async def run(self) -> R:
        with CancelScope() as self._scope:
            if self._cancelled:
                self._scope.cancel()
            return await self._function(*self._args)
        raise CancelledError

    async def cancel(self) -> None:
        self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()
