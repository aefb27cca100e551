"""The states of an execution and what an attempt to place one came to. Facts only."""

from __future__ import annotations

import enum

__all__ = ["FINAL", "Disposition", "ExecutionState"]


class ExecutionState(str, enum.Enum):  # noqa: UP042 - its str() is to stay that of an Enum
    """Where an execution is. The values are the wire's (the ``state`` field of a run, state events).

    Members are strings too: users compare the ``state`` of an event with either.
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


class Disposition(enum.Enum):
    """What became of an attempt to place an execution on the docket."""

    LOADED = "loaded"
    """Read from the docket, not placed by this object."""
    SCHEDULED = "scheduled"
    """Placed, for now or for later."""
    ALREADY_SCHEDULED = "already_scheduled"
    """Nothing was written: this key is scheduled, queued or running."""
    STRUCK = "struck"
    """Nothing was written: a strike forbids it."""
    SUPERSEDED = "superseded"
    """Nothing was written: a newer generation owns the key."""
    FAILED = "failed"
    """Nothing was written: the server refused; ``Execution.schedule_exception`` says why."""
