"""The events of an execution, as `Execution.subscribe` yields them, and how they are read."""

from __future__ import annotations

import json
from typing import Any, Literal, TypedDict, cast

from .rules import ExecutionState

__all__ = ["ProgressEvent", "StateEvent", "read_event"]


class ProgressEvent(TypedDict):
    """A running task has said how far it is."""

    type: Literal["progress"]
    key: str
    current: int | None
    total: int
    message: str | None
    updated_at: str | None


class StateEvent(TypedDict):
    """An execution has changed its state. Times are ISO 8601 text; what the writer left out is None.

    ``state`` is an `ExecutionState`, which is a str.
    """

    type: Literal["state"]
    key: str
    state: str
    when: str | None
    worker: str | None
    started_at: str | None
    completed_at: str | None
    error: str | None


_STATES = frozenset(state.value for state in ExecutionState)
_NO_STATE = dict.fromkeys(StateEvent.__annotations__)
_NO_PROGRESS = {**dict.fromkeys(ProgressEvent.__annotations__), "total": 100}


def read_event(payload: bytes) -> StateEvent | ProgressEvent | None:
    """A published event with all its fields; None where it is nothing that we know (I9)."""
    try:
        # pydocket's scheduler leaves control characters of a key as they are
        event: Any = json.loads(payload, strict=False)
    except ValueError:
        return None
    match event:
        case {"type": "state", "state": str(state)} if state in _STATES:
            return cast("StateEvent", {**_NO_STATE, **event, "state": ExecutionState(state)})
        case {"type": "progress", "current": int() | None}:
            return cast("ProgressEvent", {**_NO_PROGRESS, **event})
        case _:
            return None
