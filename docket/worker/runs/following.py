"""Which run follows the one that ends here, by what the dependencies of its task say."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from ...dependencies import (
    ADMISSION_BLOCKED_RETRY_DELAY,
    AdmissionBlocked,
    CompletionHandler,
    FailureHandler,
    Perpetual,
    TaskOutcome,
    dependencies_of_call,
)
from ...moments import clamped
from ...rules import Abandon, Blocked, Defer, Drop, Expired, Outcome, Raised, Reschedule, Returned, Verdict
from ...store import ONCE, expires_of, first_when
from ...text import error_text

if TYPE_CHECKING:
    from ...execution import Execution

__all__ = [
    "Ending",
    "ask_handlers",
    "block",
    "due_of_chain",
    "expire",
    "fail_unhandled",
    "on_admission_blocked",
]

Ending: TypeAlias = "tuple[Outcome, Reschedule | None]"
"""How a run ended, and the run that is to follow: what `decide` makes a verdict of."""


async def ask_handlers(
    outcome: Outcome, execution: Execution[Any], values: Iterable[Any], seconds: float
) -> Reschedule | None:
    """The next run that the handlers among these dependencies want after a run of ``seconds``.

    Failure handlers are asked first, then completion handlers. One that answers True, or leaves a ``next_run``, has
    taken care of what follows: that run is placed in the same step that ends this one.
    Raises: whatever a handler raises.
    """
    task_outcome = TaskOutcome(timedelta(seconds=seconds))
    match outcome:
        case Returned(value):
            task_outcome.result = value
        case Raised(error):
            task_outcome.exception = error
        case _:
            return None  # stopped and blocked runs are not the handlers' business
    if task_outcome.exception is not None:
        for handler in values:
            if isinstance(handler, FailureHandler):
                handler.next_run = None  # of another run, where the value is the same for all of them
                if await handler.handle_failure(execution, task_outcome) or handler.next_run is not None:
                    return _remembering(handler.next_run, execution, values)
    for handler in values:
        if isinstance(handler, CompletionHandler):
            handler.next_run = None
            if await handler.on_complete(execution, task_outcome) or handler.next_run is not None:
                return handler.next_run
    return None


def _remembering(
    following: Reschedule | None, execution: Execution[Any], values: Iterable[Any]
) -> Reschedule | None:
    """The next attempt of a run, with when the run was due where its chain makes up for each run that it misses."""
    if following is None or not any(isinstance(v, Perpetual) and v.missed == "all" for v in values):
        return following
    return attrs.evolve(following, first=first_when(execution.extra_fields) or execution.when)


def due_of_chain(execution: Execution[Any]) -> datetime | None:
    """When a run that is put off was due, if its chain has to know."""
    perpetual = _perpetual_of(execution)
    if perpetual is None or perpetual.missed != "all":
        return None
    return first_when(execution.extra_fields) or execution.when


def fail_unhandled(execution: Execution[Any], error: BaseException) -> Ending:
    """The ending of a run that fails without a handler being asked; the chain of a perpetual task goes on.

    A Retry would only repeat what went wrong, and resolving a dependency may be what kills the process.
    """
    following: Reschedule | None = None
    try:
        if (perpetual := _perpetual_of(execution)) is not None:
            following = perpetual.following()
            following = None if following is None else attrs.evolve(following, call=None)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - a class of the user's: the chain ends, and the error says so (I9)
        with contextlib.suppress(Exception):
            error.add_note(f"The next run could not be decided, either: {error_text(problem)}")
    return Raised(error), following


def block(execution: Execution[Any], verdict: Verdict) -> Ending:
    """The ending of a run that was not admitted; a perpetual task that is dropped goes on with its next run."""
    following: Reschedule | None = None
    if isinstance(verdict, Drop) and (perpetual := _perpetual_of(execution)) is not None:
        perpetual.args, perpetual.kwargs = execution.args, execution.kwargs
        following = perpetual.following()
    return Blocked(verdict), following


def expire(execution: Execution[Any]) -> Ending:
    """The ending of a run that may not begin any more; a perpetual task goes on with its next run."""
    moment = expires_of(execution.extra_fields) or execution.when
    perpetual = _perpetual_of(execution)
    if perpetual is None:
        return Expired(moment), None
    perpetual.args, perpetual.kwargs = execution.args, execution.kwargs
    return Expired(moment), perpetual.following()


def on_admission_blocked(execution: Execution[Any], error: AdmissionBlocked) -> Ending:
    """The ending of a run that a dependency of its own did not admit."""
    if error.handled:
        return block(execution, Abandon())
    if error.reschedule:
        delay = ADMISSION_BLOCKED_RETRY_DELAY if error.retry_delay is None else error.retry_delay
        return block(execution, Defer(clamped(delay)))
    return block(execution, Drop(error.reason))


def _perpetual_of(execution: Execution[Any]) -> Perpetual | None:
    """A copy of the Perpetual of a call, as it was declared or given; None if it is to run once."""
    for dependency in dependencies_of_call(execution.function, execution.args, execution.kwargs):
        if isinstance(dependency, Perpetual) and ONCE not in execution.extra_fields:
            return copy.copy(dependency)
    return None
