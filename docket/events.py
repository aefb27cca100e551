"""The events of an execution, as `Execution.subscribe` yields them."""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = ["ProgressEvent", "StateEvent"]


class ProgressEvent(TypedDict):
    """A running task has said how far it is."""

    type: Literal["progress"]
    key: str
    current: int | None
    total: int
    message: str | None
    updated_at: str | None


class StateEvent(TypedDict):
    """An execution has changed its state. Times are ISO 8601 text; what the writer left out is None."""

    type: Literal["state"]
    key: str
    state: str
    when: str | None
    worker: str | None
    started_at: str | None
    completed_at: str | None
    error: str | None
