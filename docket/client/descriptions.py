"""What a task asks for, in words that programs without its code can show."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from ..dependencies import (
    Admission,
    ConcurrencyLimit,
    Cooldown,
    Cron,
    Debounce,
    Perpetual,
    RateLimit,
    Retry,
    Timeout,
    admission_dependencies,
    get_dependency_parameters,
)
from ..store import Recurrence, TaskDescription
from ..text import text_of
from .presentation import compact_signature
from .signatures import TaskFunction, get_signature

__all__ = ["described", "recurrence_of"]


def recurrence_of(function: TaskFunction) -> Recurrence | None:
    """When a task repeats itself; None where it does not, or where its annotations cannot be read."""
    return _recurrence_among(_dependencies(function))


def described(function: TaskFunction) -> TaskDescription:
    """What can be said of a task; what its own code refuses to tell is left out (I9)."""
    found = _dependencies(function)
    retries = [each for each in found if isinstance(each, Retry)]
    timeouts = [each.base for each in found if isinstance(each, Timeout)]
    return TaskDescription(
        signature=_tried(lambda: compact_signature(get_signature(function))),
        doc=_tried(lambda: _first_line(function)),
        attempts=retries[0].attempts if retries else 1,
        timeout=timeouts[0] if timeouts else None,
        limits=tuple(_tried(lambda: list(_limits(function))) or ()),
        recurrence=_recurrence_among(found),
    )


def _dependencies(function: TaskFunction) -> list[object]:
    """What a task asks for in its signature; nothing where its annotations cannot be read."""
    return _tried(lambda: [*get_dependency_parameters(function).values()]) or []


def _tried(tell: Callable[[], Any]) -> Any:
    """What code of the user's tells, if it does."""
    try:
        return tell()
    except Exception:  # noqa: BLE001 - it may raise anything (I9)
        return None


def _recurrence_among(dependencies: list[object]) -> Recurrence | None:
    found = [each for each in dependencies if isinstance(each, Perpetual)]
    return _recurrence(found[0]) if found else None


def _recurrence(perpetual: Perpetual) -> Recurrence | None:
    def told() -> Recurrence:
        if isinstance(perpetual, Cron):
            tz = getattr(perpetual.tz, "key", None) or text_of(perpetual.tz)  # zoneinfo's have a name
            return Recurrence(cron=perpetual.expression, tz=tz, automatic=bool(perpetual.automatic))
        return Recurrence(every=perpetual.every, automatic=bool(perpetual.automatic))

    return _tried(told)


def _first_line(function: TaskFunction) -> str | None:
    doc = inspect.getdoc(function)
    return doc.strip().partition("\n")[0].strip() or None if doc else None


def _limits(function: TaskFunction) -> Iterator[str]:
    for parameter, rule in admission_dependencies(function, {}):
        words = _words(rule)
        if isinstance(rule, ConcurrencyLimit):
            parameter = rule.argument_name or parameter
        if parameter is not None:
            words += f" for each {parameter}"
        yield f"{words} in {rule.scope}" if rule.scope else words


def _words(rule: Admission[Any]) -> str:
    match rule:
        case ConcurrencyLimit():
            return f"at most {rule.max_concurrent} at a time"
        case RateLimit():
            return f"at most {rule.limit} per {_length(rule.per)}"
        case Cooldown():
            return f"none for {_length(rule.window)} after one has begun"
        case Debounce():
            return f"one when none has come for {_length(rule.settle)}"
        case _:
            return type(rule).__name__


def _length(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"
