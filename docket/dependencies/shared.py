"""Dependencies that live as long as a run of their worker: opened once, closed after its last task has ended."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import anyio
from anyio import get_cancelled_exc_class
from uncalled_for import SharedContext as _SharedContext
from uncalled_for.functional import _Depends  # pyright: ignore[reportPrivateUsage]

from ..errors import AwaitedCancelled
from ..rules import is_a, leaves
from .locks import refuse_lock

__all__ = ["SharedContext", "SharedHost", "is_hosting"]

logger = logging.getLogger("docket.worker")

T = TypeVar("T")

#: Whether a task is the host of shared dependencies, or was started by one of these.
is_hosting: ContextVar[bool] = ContextVar("is_hosting", default=False)


class SharedContext(_SharedContext):
    """The scope of `Shared` dependencies, in which each is opened once. Runs on every event loop."""

    async def __aenter__(self) -> SharedContext:
        await super().__aenter__()
        self.lock.set(cast("Any", anyio.Lock()))  # the engine's own is asyncio's
        return self


class _Opening:
    """A context manager for the host to enter, and the result."""

    __slots__ = ("_context", "_done", "_error", "_value")

    def __init__(self, context: AbstractAsyncContextManager[Any]) -> None:
        self._context = context
        self._done = anyio.Event()
        self._error: BaseException | None = None
        self._value: Any = None

    async def open(self, stack: AsyncExitStack) -> None:
        try:
            self._value = await stack.enter_async_context(self._context)
        except BaseException as error:
            self._error = error
            if _ends_the_host(error):
                # The task that asked is not cancelled by that, so it must not see a cancellation.
                self._error = AwaitedCancelled("what is shared was being opened, and that was cancelled")
                self._error.__cause__ = error
                raise
        finally:
            self._done.set()

    async def value(self) -> Any:
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._value


def _ends_the_host(error: BaseException) -> bool:
    """Whether this is the host's own cancellation, or Ctrl-C; any other error is a resource's (I9)."""
    fatal = (get_cancelled_exc_class(), KeyboardInterrupt)
    return any(is_a(part, fatal) for part in leaves(error))


class _HostedStack(AsyncExitStack):
    """The stack that the engine enters shared dependencies on: it lets the host enter them."""

    def __init__(self, host: SharedHost) -> None:
        super().__init__()
        self._host = host

    async def enter_async_context(self, cm: AbstractAsyncContextManager[T, Any]) -> T:
        return await self._host.open(cm)

    def enter_context(self, cm: AbstractContextManager[T, Any]) -> T:
        return self._host.stack.enter_context(cm)


class _Stack(AsyncExitStack):
    """The stack of what is open: no locks."""

    async def enter_async_context(self, cm: AbstractAsyncContextManager[T, Any]) -> T:
        refuse_lock(cm)
        return await super().enter_async_context(cm)

    def enter_context(self, cm: AbstractContextManager[T, Any]) -> T:
        refuse_lock(cm)
        return super().enter_context(cm)


class SharedHost:
    """One task that opens and closes all shared dependencies, so these may hold task groups and cancel scopes.

    The first task that needs a resource only asks for it. That task ends long before the resource: entered there, its
    scopes could not be left again. Cancelling the task that asked leaves the opening to the next one.
    """

    def __init__(self) -> None:
        self.stack = _Stack()
        self._asked: deque[_Opening] = deque()
        self._resolved: dict[Any, Any] = {}
        self._closing = False
        self._wake, self._idle = anyio.Event(), anyio.Event()

    async def open(self, context: AbstractAsyncContextManager[T, Any]) -> T:
        """Let the host enter ``context``; return its value. Raises: whatever entering raises."""
        opening = _Opening(context)
        self._asked.append(opening)
        self._wake.set()
        return cast("T", await opening.value())

    def share(self) -> None:
        """Make this the host for the tasks that are started from here on (a matter of context variables)."""
        SharedContext.resolved.set(self._resolved)
        SharedContext.lock.set(cast("Any", anyio.Lock()))
        SharedContext.stack.set(_HostedStack(self))

    async def run(self) -> None:
        """Open resources as they are asked for until `close`; then close all of them, the last one first.

        An error that a resource raises by itself, or as it closes, closes the others, too. It is logged, and tasks that
        ask from then on get new ones, hosted by another task: a scope left open in the old one, or its native
        cancellation, ends with that.
        """
        while True:
            problem: BaseException | None = None

            async def host() -> None:
                nonlocal problem
                try:
                    await self._host()
                except BaseException as error:
                    if _ends_the_host(error):
                        raise
                    problem = error  # not raised here: on asyncio a SystemExit would end the loop

            try:
                async with anyio.create_task_group() as hosting:
                    hosting.start_soon(host, name="docket shared")
            except BaseException as error:
                if _ends_the_host(error):
                    raise
                problem = problem or error
            # Without a problem a resource has cancelled the task.
            if self._idle.is_set():
                if problem is not None:
                    logger.error("A shared dependency has failed as it was closed", exc_info=problem)
                return
            logger.error("A shared dependency has failed; the shared ones are closed", exc_info=problem)
            self._resolved.clear()
            self.stack = _Stack()

    async def _host(self) -> None:
        is_hosting.set(True)
        # Dependencies of a shared one live as long as it and are opened right here: this task cannot wait for itself.
        _Depends.cache.set({})
        _Depends.stack.set(self.stack)
        SharedContext.lock.set(cast("Any", anyio.Lock()))
        SharedContext.stack.set(self.stack)
        async with self.stack:
            while self._asked or not self._closing:
                while self._asked:
                    await self._asked.popleft().open(self.stack)
                if not self._closing:
                    self._wake = anyio.Event()
                    await self._wake.wait()
            self._idle.set()

    async def wait_until_idle(self) -> None:
        """Wait until, after `close`, no resource is being opened any more."""
        await self._idle.wait()

    def close(self) -> None:
        """Accept no more; `run` ends when everything is closed."""
        self._closing = True
        self._wake.set()
