"""Executions and their progress, for threads without an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, Self, TypeVar, overload

from ..client import R
from ..execution import Disposition, Execution, ExecutionProgress, ProgressEvent, StateEvent
from ..parenthood import seceded_in_thread
from ..values import frozen
from .loop import LoopThread

__all__ = ["SyncExecution", "SyncProgress", "iterated", "wrapped"]

V = TypeVar("V")
W = TypeVar("W")


@frozen
class _Value(Generic[W, V]):
    """An attribute of what is wrapped, to be read."""

    read: Callable[[W], V]

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: Any, kind: type) -> V: ...
    def __get__(self, owner: Any, kind: type) -> Self | V:
        return self if owner is None else self.read(owner.wrapped)


def _of_progress(read: Callable[[ExecutionProgress], V]) -> _Value[ExecutionProgress, V]:
    return _Value(read)


def _of_execution(read: Callable[[Execution[Any]], V]) -> _Value[Execution[Any], V]:
    return _Value(read)


class SyncProgress:
    """The progress of an execution, see `docket.execution.ExecutionProgress`; each method waits for its end."""

    def __init__(self, progress: ExecutionProgress, loop: LoopThread) -> None:
        self.wrapped, self._loop = progress, loop

    current = _of_progress(lambda progress: progress.current)
    total = _of_progress(lambda progress: progress.total)
    message = _of_progress(lambda progress: progress.message)
    updated_at = _of_progress(lambda progress: progress.updated_at)
    key = _of_progress(lambda progress: progress.key)

    def set_total(self, total: int) -> None:
        self._loop.call(self.wrapped.set_total, total)

    def increment(self, amount: int = 1) -> None:
        self._loop.call(self.wrapped.increment, amount)

    def set_message(self, message: str | None) -> None:
        self._loop.call(self.wrapped.set_message, message)

    def sync(self) -> None:
        self._loop.call(self.wrapped.sync)

    def subscribe(self) -> Generator[ProgressEvent]:
        return iterated(self._loop, self.wrapped.subscribe)


class SyncExecution(Generic[R]):
    """An execution, see `docket.Execution`, which is ``wrapped`` in it; each method waits for its end.

    May be used in any thread.
    """

    def __init__(self, execution: Execution[R], loop: LoopThread) -> None:
        self.wrapped: Execution[R] = execution
        self._loop = loop

    def __repr__(self) -> str:
        return f"<Sync{repr(self.wrapped)[1:]}"

    key = _of_execution(lambda execution: execution.key)
    function = _of_execution(lambda execution: execution.function)
    function_name = _of_execution(lambda execution: execution.function_name)
    args = _of_execution(lambda execution: execution.args)
    kwargs = _of_execution(lambda execution: execution.kwargs)
    when = _of_execution(lambda execution: execution.when)
    attempt = _of_execution(lambda execution: execution.attempt)
    generation = _of_execution(lambda execution: execution.generation)
    disposition = _of_execution(lambda execution: execution.disposition)
    schedule_exception = _of_execution(lambda execution: execution.schedule_exception)
    state = _of_execution(lambda execution: execution.state)
    worker = _of_execution(lambda execution: execution.worker)
    started_at = _of_execution(lambda execution: execution.started_at)
    completed_at = _of_execution(lambda execution: execution.completed_at)
    error = _of_execution(lambda execution: execution.error)
    last_error = _of_execution(lambda execution: execution.last_error)
    is_paused = _of_execution(lambda execution: execution.is_paused)
    waits_for = _of_execution(lambda execution: execution.waits_for)
    cancel_requested = _of_execution(lambda execution: execution.cancel_requested)
    worker_is_gone = _of_execution(lambda execution: execution.worker_is_gone)
    redelivered = _of_execution(lambda execution: execution.redelivered)
    ttl = _of_execution(lambda execution: execution.ttl)
    expires = _of_execution(lambda execution: execution.expires)
    written = _of_execution(lambda execution: execution.written)
    serializer = _of_execution(lambda execution: execution.serializer)
    signed_by = _of_execution(lambda execution: execution.signed_by)
    sealed_by = _of_execution(lambda execution: execution.sealed_by)
    priority = _of_execution(lambda execution: execution.priority)
    has_successor = _of_execution(lambda execution: execution.has_successor)

    @property
    def progress(self) -> SyncProgress:
        return SyncProgress(self.wrapped.progress, self._loop)

    def get_argument(self, parameter: str) -> Any:
        return self.wrapped.get_argument(parameter)

    def call_repr(self) -> str:
        return self.wrapped.call_repr()

    def labels(self) -> Mapping[str, Any]:
        return self.wrapped.labels()

    def sync(self) -> None:
        """Read state, times, error and progress from the docket."""
        self._loop.call(self.wrapped.sync)

    def is_superseded(self) -> bool:
        """Whether a newer generation owns the key."""
        return self._loop.call(self.wrapped.is_superseded)

    def schedule(self, replace: bool = False) -> Disposition:
        """Place this execution, which was made by hand, on its docket."""
        return self._loop.call(self.wrapped.schedule, replace)

    def get_result(self, *, timeout: timedelta | None = None, deadline: datetime | None = None) -> R:
        """Wait for the end and return what the task returned. Raises: as `docket.Execution.get_result`."""
        wait: Callable[[], Awaitable[R]] = partial(
            self.wrapped.get_result, timeout=timeout, deadline=deadline
        )
        with seceded_in_thread():
            return self._loop.call(wait)

    def subscribe(self) -> Generator[StateEvent | ProgressEvent]:
        """Yield the present state and progress, then every change, until the execution has ended.

        Leave with ``break``. Raises: as `docket.Execution.subscribe`.
        """
        return iterated(self._loop, self.wrapped.subscribe)


def wrapped(loop: LoopThread, execution: Execution[R]) -> SyncExecution[R]:
    return SyncExecution(execution, loop)


def iterated(loop: LoopThread, subscribe: Callable[[], AsyncGenerator[V, None]]) -> Generator[V]:
    """The events of a subscription, each awaited in the loop."""
    events = subscribe()
    end: Any = object()

    async def following() -> Any:
        return await anext(events, end)

    try:
        while True:
            with seceded_in_thread():
                event = loop.call(following)
            if event is end:
                return
            yield event
    finally:
        loop.let(events.aclose)
