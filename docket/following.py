"""Following an execution: where it stands, then every change, as events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from .events import ProgressEvent, StateEvent, read_event
from .rules import FINAL

if TYPE_CHECKING:
    from .execution import Execution
    from .progress import ExecutionProgress

__all__ = ["Settable", "events_of", "progress_events_of"]


class Settable(Protocol):
    """Anything with ``set()``: the events of anyio, asyncio, trio or threading."""

    def set(self) -> Any: ...


async def events_of(
    execution: Execution[Any], ready: Settable | None
) -> AsyncGenerator[StateEvent | ProgressEvent, None]:
    """See `Execution.subscribe`. No scope is open across a ``yield`` (I8): a subscriber is only closed."""
    keys, key = execution.docket.keys, execution.key
    async with execution.docket.client.pubsub() as pubsub:
        await pubsub.subscribe(keys.state_channel(key), keys.progress(key))
        # Subscribed first, read afterwards: no event falls in between.
        record = await execution.refresh()
        if ready is not None:
            ready.set()
        if record is not None:
            yield _state_of(execution)
            yield _progress_of(execution)
        elif execution.generation:
            return  # it was placed and its record is gone: no event can come any more
        ended = record is not None and execution.state in FINAL
        while not ended:
            if (event := read_event((await pubsub.receive()).payload)) is not None:
                execution.take_over(event)
                yield event
                ended = event["type"] == "state" and execution.state in FINAL


async def progress_events_of(
    progress: ExecutionProgress, ready: Settable | None
) -> AsyncGenerator[ProgressEvent, None]:
    """See `ExecutionProgress.subscribe`."""
    docket, key = progress.docket, progress.key
    async with docket.client.pubsub() as pubsub:
        await pubsub.subscribe(docket.keys.progress(key), docket.keys.state_channel(key))
        record, _ = await docket.records.read(key)
        if ready is not None:
            ready.set()
        ended = record is not None and record.state in FINAL
        while not ended:
            event = read_event((await pubsub.receive()).payload)
            if event is None:
                continue
            if event["type"] == "progress":
                progress.take_over(event)
                yield event
            else:
                ended = event["state"] in FINAL


def _state_of(execution: Execution[Any]) -> StateEvent:
    return {
        "type": "state",
        "key": execution.key,
        "state": execution.state,
        "when": execution.when.isoformat(),
        "worker": execution.worker,
        "started_at": _iso(execution.started_at),
        "completed_at": _iso(execution.completed_at),
        "error": execution.error,
    }


def _progress_of(execution: Execution[Any]) -> ProgressEvent:
    progress = execution.progress
    return {
        "type": "progress",
        "key": execution.key,
        "current": progress.current,
        "total": progress.total,
        "message": progress.message,
        "updated_at": _iso(progress.updated_at),
    }


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()
