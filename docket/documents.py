"""The JSON documents that commands and the dashboard print: values for operators as objects of plain JSON."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import attrs

from . import clock
from .execution import Execution, ExecutionState, RunningExecution
from .operating import DeadLetter, Ended, Failure, KnownTask, TaskSchedule
from .rules import WAITING
from .snapshot import WorkerInfo
from .store import Written
from .text import readable

__all__ = ["document", "encoded"]


def document(docket: str, **parts: Any) -> dict[str, Any]:
    """One document: the name of the docket, the moment (``at``), and ``parts``, each `encoded`."""
    return {
        "docket": docket,
        "at": encoded(clock.now()),
        **{name: encoded(part) for name, part in parts.items()},
    }


def encoded(value: Any) -> Any:
    """A value as JSON has it: objects by their fields, moments as ISO 8601 in UTC, durations in seconds as numbers.

    Raises: TypeError - no document has such a value.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    kind = cast("Any", type(value))
    if (special := _SPECIAL.get(kind)) is not None:
        return {name: encoded(part) for name, part in special(value).items()}
    if attrs.has(kind):
        return {field.name: encoded(getattr(value, field.name)) for field in attrs.fields(kind)}
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {str(encoded(name)): encoded(each) for name, each in pairs}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [encoded(each) for each in cast("Sequence[Any]", value)]
    raise TypeError(f"no document has a {type(value).__name__}")


#: What a document says of a failure; its arguments stay pickled, and nobody else can read a pickle.
_OF_A_FAILURE = (
    "key", "function", "attempt", "type", "error", "traceback", "worker", "when", "started_at", "failed_at",
    "first_failed_at", "count", "next_at", "final", "goes_on", "retryable", "cursor",
)  # fmt: skip


def _failure(failure: Failure) -> dict[str, Any]:
    fields = {name: getattr(failure, name) for name in _OF_A_FAILURE}
    return {"call": failure.call_repr(), **fields, **_written(failure.written)}


def _dead_letter(letter: DeadLetter) -> dict[str, Any]:
    fields = {field.name: getattr(letter, field.name) for field in attrs.fields(DeadLetter)}
    return {**fields, **_written(fields.pop("written"))}


def _written(written: Written) -> dict[str, Any]:
    """What a document says of how arguments are written."""
    return {field.name: getattr(written, field.name) for field in attrs.fields(Written)}


def _ended(ended: Ended) -> dict[str, Any]:
    fields = {field.name: getattr(ended, field.name) for field in attrs.fields(Ended)}
    return {**fields, "ended_at": ended.ended_at}


def _known_task(task: KnownTask) -> dict[str, Any]:
    """What a document says of a task: of the last hour the sums."""
    fields = {field.name: getattr(task, field.name) for field in attrs.fields(KnownTask)}
    del fields["hour"]
    sums = {name: getattr(task, name) for name in ("completed", "failed", "retried", "cancelled")}
    return {**fields, "last_hour": sums}


def _schedule(schedule: TaskSchedule) -> dict[str, Any]:
    """What a document says of a chain: when it recurs beside the rest."""
    fields = {field.name: getattr(schedule, field.name) for field in attrs.fields(TaskSchedule)}
    return {**fields, **encoded(fields.pop("recurrence")), "is_broken": schedule.is_broken}


def _execution(execution: Execution[Any]) -> dict[str, Any]:
    """What a document says of a call: all that is known of where it stands; its arguments stay pickled."""
    progress = execution.progress
    has_progress = execution.state is ExecutionState.RUNNING and progress.current is not None
    return {
        "key": execution.key,
        "function": execution.function_name,
        "call": execution.call_repr(),
        **_written(execution.written),
        "state": execution.state,
        "when": execution.when,
        "attempt": execution.attempt,
        "times_begun": execution.times_begun,
        "generation": execution.generation,
        "paused": execution.is_paused,
        "expires": execution.expires if execution.state in WAITING else None,
        "priority": execution.priority,
        "waits_for": execution.waits_for,
        "waits_for_turn": execution.waits_for_turn,
        "unknown_to_a_worker": execution.is_put_back,
        "is_parent": execution.is_parent,
        "runs_once_more": execution.has_successor,
        "once_more": None if execution.successor is None else execution.successor.call_repr(),
        "cancel_requested": execution.cancel_requested,
        "worker_is_gone": execution.worker_is_gone,
        "worker": execution.worker,
        "queued_at": execution.queued_at,
        "started_at": execution.started_at,
        "completed_at": execution.completed_at,
        "progress": {"current": progress.current, "total": progress.total, "message": progress.message}
        if has_progress
        else None,
        "error": execution.error or execution.last_error,
    }


def _worker(worker: WorkerInfo) -> dict[str, Any]:
    tasks = sorted(worker.tasks)
    return {
        "name": worker.name,
        "last_seen": worker.last_seen,
        "tasks": tasks,
        "draining": worker.draining,
        "lanes": worker.lanes,
    }


#: What a document has otherwise than by its fields.
_SPECIAL: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    Execution: _execution,
    RunningExecution: _execution,
    WorkerInfo: _worker,
    Failure: _failure,
    DeadLetter: _dead_letter,
    Ended: _ended,
    KnownTask: _known_task,
    TaskSchedule: _schedule,
}
