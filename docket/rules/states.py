"""The states of an execution, and the results of placing one."""

from __future__ import annotations

import enum
from datetime import datetime

__all__ = ["FINAL", "WAITING", "Cancellation", "Disposition", "ExecutionState", "waiting_state"]


class ExecutionState(str, enum.Enum):  # noqa: UP042 - its str() is to stay that of an Enum
    """The state of an execution. The values are those on the wire (the ``state`` of a run and of state events).

    Members are strings, too: users compare the ``state`` of an event with either.
    """

    SCHEDULED = "scheduled"
    """Waits for its time."""
    QUEUED = "queued"
    """Due; waits for a worker."""
    RUNNING = "running"
    """A worker has claimed it."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({ExecutionState.COMPLETED, ExecutionState.FAILED, ExecutionState.CANCELLED})
"""The states after which nothing more happens to this generation."""

WAITING = frozenset({ExecutionState.SCHEDULED, ExecutionState.QUEUED})
"""The states before a worker has it."""


_QUEUED, _SCHEDULED = ExecutionState.QUEUED, ExecutionState.SCHEDULED  # slow to look up in an enum


def waiting_state(when: datetime, now: datetime) -> ExecutionState:
    """The state of a task that waits: queued once it is due, scheduled before."""
    return _QUEUED if when <= now else _SCHEDULED


class Disposition(enum.Enum):
    """The result of placing an execution on the docket."""

    LOADED = "loaded"
    """Read from the docket, not placed by this object."""
    SCHEDULED = "scheduled"
    """Placed, for now or for later."""
    ALREADY_SCHEDULED = "already_scheduled"
    """Nothing was written: this key is scheduled, queued or running."""
    ONCE_MORE = "once_more"
    """Kept, to run once more as the run of this key has ended; unless a later call takes its place until then."""
    STRUCK = "struck"
    """Nothing was written: a strike forbids it."""
    SUPERSEDED = "superseded"
    """Nothing was written: a newer generation owns the key."""
    EXPIRED = "expired"
    """The moment had passed by which it was to begin: it is cancelled, and that is recorded."""
    FAILED = "failed"
    """Nothing was written: the server refused, for the reason in ``Execution.schedule_exception``."""


class Cancellation(enum.Enum):
    """What ``docket.cancel(key)`` did. True where it does something: the task is cancelled, or asked to stop."""

    CANCELLED = "cancelled"
    """It waited, and is cancelled."""
    REQUESTED = "requested"
    """It runs, and was asked to stop."""
    ENDED = "ended"
    """It was over before."""
    NOT_FOUND = "not_found"
    """Nothing is recorded of this key: it was never added, or its record has expired."""

    def __bool__(self) -> bool:
        return self is Cancellation.CANCELLED or self is Cancellation.REQUESTED
