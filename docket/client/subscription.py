"""Following an execution: its state and progress, then every change, as events."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ..moments import TimeToLive
from ..parenthood import current_parent
from ..rules import FINAL, Disposition, ExecutionState
from ..standins import redis_errors
from ..store import DocketStore, ProgressEvent, Record, StateEvent, read_event
from ..transport import faults

if TYPE_CHECKING:
    from ..transport import Subscription
    from .progress import ExecutionProgress

__all__ = ["DROPPED", "ExecutionEvents", "Followed", "ProgressEvents", "Settable", "comes_after", "is_over"]

#: Why a call has not run that was to run once more after a run.
DROPPED = "it was dropped before the run had ended that it was to follow"

Event = TypeVar("Event", bound="StateEvent | ProgressEvent")


class Settable(Protocol):
    """Anything with ``set()``: the events of anyio, asyncio, trio or threading."""

    def set(self) -> Any: ...


class Followed(Protocol):
    """The run of a key, as it was when it was last read; an event brings it up to date."""

    state: ExecutionState
    disposition: Disposition
    when: datetime
    worker: str | None
    started_at: datetime | None
    completed_at: datetime | None
    error: str | None
    result_key: str | None
    ttl: TimeToLive

    @property
    def key(self) -> str: ...
    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def function_name(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def progress(self) -> ExecutionProgress: ...
    async def refresh(self) -> Record | None: ...
    def take_over(self, event: StateEvent | ProgressEvent) -> None: ...


class _Following(AsyncGenerator[Event, None], Generic[Event]):
    """Events until the end, as an async generator gives them; no scope is open between two of them (I8).

    A class, because an event loop asks that generators of the language be closed: leaving this one by ``break``
    drops it, which unsubscribes; so does the last event, before it is given.
    """

    def __init__(self, store: DocketStore, key: str, ready: Settable | None) -> None:
        self._store, self._key, self._ready = store, key, ready
        self._subscription: Subscription | None = None
        self._ahead: deque[Event] = deque()
        self._begun = self._ended = self._awaited = False

    async def asend(self, value: None) -> Event:
        self._check_not_awaited()
        self._awaited = True
        try:
            return await self._next()
        except BaseException:
            self._close()
            raise
        finally:
            self._awaited = False

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None) -> Event:
        self._check_not_awaited()
        self._close()
        error: BaseException = typ if isinstance(typ, BaseException) else val or typ()
        raise error if tb is None else error.with_traceback(tb)

    async def _look(self) -> bool:
        """Look where it stands; return whether it has ended."""
        raise NotImplementedError

    def _take(self, event: StateEvent | ProgressEvent) -> bool | None:
        """Take over what was published; return whether it is the end, or None where the record says that."""
        raise NotImplementedError

    async def _next(self) -> Event:
        if not self._begun:
            self._begun = True
            await self._begin()
        while not self._ahead and not self._ended and self._subscription is not None:
            try:
                payload = await _received(self._subscription)
            except faults.ClientClosed:
                raise
            except (redis_errors.ConnectionError, redis_errors.TimeoutError):
                await self._begin()  # by a new connection; what was missed shows in where it stands now
            else:
                if (event := read_event(payload)) is not None:
                    ended = self._take(event)
                    self._ended = await self._look() if ended is None else ended
        if self._ended:
            self._unsubscribe()
        if not self._ahead:
            raise StopAsyncIteration
        return self._ahead.popleft()

    async def _begin(self) -> None:
        if self._subscription is None:
            keys = self._store.keys
            progress = keys.progress(self._key)
            self._subscription = self._store.subscriptions.new(
                keys.state_channel(self._key), progress, may_go=progress.encode().__eq__
            )
        await self._subscription.begin()
        # Subscribed first, read afterwards: no event falls in between.
        self._ended = await self._look()
        if self._ready is not None:
            self._ready.set()

    def _check_not_awaited(self) -> None:
        if self._awaited:
            raise RuntimeError("Another task awaits the next event: each needs a subscription of its own")

    def _close(self) -> None:
        self._begun = self._ended = True
        self._ahead.clear()
        self._unsubscribe()

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.end()
            self._subscription = None


async def _received(subscription: Subscription) -> bytes:
    """The next message; a task that waits for it lets its worker run others meanwhile."""
    if subscription.has_more or (parent := current_parent()) is None:
        return await subscription.receive()
    async with parent.seceded():
        return await subscription.receive()


class ExecutionEvents(_Following["StateEvent | ProgressEvent"]):
    """See `Execution.subscribe`."""

    def __init__(self, store: DocketStore, execution: Followed, ready: Settable | None) -> None:
        super().__init__(store, execution.key, ready)
        self._execution = execution
        self._comes_later = False
        """Whether what is published now is about the run before it."""

    async def _look(self) -> bool:
        execution = self._execution
        record = await execution.refresh()
        if record is None:
            return bool(execution.generation)  # placed, and its record is gone: no event can come any more
        over, before = is_over(execution, record), self._comes_later
        self._comes_later = comes_after(execution, record)
        if before and self._comes_later and not over:
            return False  # its turn has not come
        self._ahead += [_state_of(execution), _progress_of(execution.progress)]
        return over

    def _take(self, event: StateEvent | ProgressEvent) -> bool | None:
        if self._comes_later:
            return None if event["type"] == "state" else False
        self._execution.take_over(event)
        self._ahead.append(event)
        return event["type"] == "state" and self._execution.state in FINAL


class ProgressEvents(_Following[ProgressEvent]):
    """See `ExecutionProgress.subscribe`."""

    def __init__(self, store: DocketStore, progress: ExecutionProgress, ready: Settable | None) -> None:
        super().__init__(store, progress.key, ready)
        self._progress = progress
        self._looked = False

    async def _look(self) -> bool:
        record, progress = await self._store.records.read(self._key)
        if self._looked:  # after a lost connection, by which reports were missed
            self._progress.apply(progress)
            self._ahead.append(_progress_of(self._progress))
        self._looked = True
        return record is not None and record.state in FINAL

    def _take(self, event: StateEvent | ProgressEvent) -> bool:
        if event["type"] == "state":
            return event["state"] in FINAL
        self._progress.take_over(event)
        self._ahead.append(event)
        return False


def comes_after(execution: Followed, record: Record) -> bool:
    """Whether it is to run once more after the run that is recorded, or was dropped beside it or the one before."""
    return execution.disposition is Disposition.ONCE_MORE and (
        record.generation < execution.generation or record.has_dropped(execution.generation)
    )


def is_over(execution: Followed, record: Record) -> bool:
    """Whether the run has ended; if the record is that of a later run of its key, take over how it ended."""
    if comes_after(execution, record):
        return record.successor != execution.generation
    last = record.last
    if record.state in FINAL and not record.is_once_more:
        return True
    if last is None or not 0 < execution.generation <= last.generation:
        return record.state in FINAL
    execution.state, execution.completed_at = last.state, last.completed_at
    execution.error, execution.result_key = last.error, last.result_key
    return True


def _state_of(execution: Followed) -> StateEvent:
    return {
        "type": "state",
        "key": execution.key,
        "state": execution.state,
        "when": execution.when.isoformat(),
        "worker": execution.worker,
        "started_at": _isoformat(execution.started_at),
        "completed_at": _isoformat(execution.completed_at),
        "error": execution.error,
    }


def _progress_of(progress: ExecutionProgress) -> ProgressEvent:
    return {
        "type": "progress",
        "key": progress.key,
        "current": progress.current,
        "total": progress.total,
        "message": progress.message,
        "updated_at": _isoformat(progress.updated_at),
    }


def _isoformat(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()
