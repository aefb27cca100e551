"""The events of an execution, as `Execution.subscribe` yields them, and how they are read."""

from __future__ import annotations

import json
from typing import Any, Literal, TypedDict, cast

from ..moments import read_moment
from ..rules import ExecutionState
from ..text import readable

__all__ = ["ProgressEvent", "StateEvent", "read_event"]


class ProgressEvent(TypedDict):
    """A running task has reported how far it is."""

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
_TIMES, _TEXTS = ("when", "started_at", "completed_at", "updated_at"), ("worker", "error", "message")
_NO_STATE = dict.fromkeys(StateEvent.__annotations__)
_NO_PROGRESS = {**dict.fromkeys(ProgressEvent.__annotations__), "total": 100}


def read_event(payload: bytes) -> StateEvent | ProgressEvent | None:
    """A published event with all its fields; None where it is nothing that we know (I9).

    A field that cannot be read counts as left out: anybody may publish.
    """
    try:
        # pydocket's scheduler leaves control characters of a key as they are
        event: Any = json.loads(payload, strict=False)
    except (ValueError, RecursionError):
        return None
    match event:
        case {"type": "state", "key": str(), "state": str(state)} if state in _STATES:
            return cast("StateEvent", {**_NO_STATE, **_readable(event), "state": ExecutionState(state)})
        case {"type": "progress", "key": str(), "current": current} if current is None or _is_count(current):
            return cast("ProgressEvent", {**_NO_PROGRESS, **_readable(event)})
        case _:
            return None


def _readable(event: dict[str, Any]) -> dict[str, Any]:
    """What can be read of an event."""
    found = {name: readable(value) if isinstance(value, str) else value for name, value in event.items()}
    for name in _TIMES:
        if name in found and not (isinstance(found[name], str) and read_moment(found[name])):
            found[name] = None
    for name in _TEXTS:
        if not isinstance(found.get(name, ""), str):
            found[name] = None
    if not _is_count(found.get("total", 0)):
        del found["total"]
    return found


def _is_count(value: object) -> bool:
    """Whether it is a whole number that Redis can count with."""
    return type(value) is int and -(2**63) <= value < 2**63
