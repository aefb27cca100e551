"""From how a run ended to what is written about it, by what its dependencies say."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import attrs

from ...dependencies import (
    ADMISSION_BLOCKED_RETRY_DELAY,
    AdmissionBlocked,
    CompletionHandler,
    FailureHandler,
    Perpetual,
    TaskOutcome,
    get_dependency_parameters,
)
from ...moments import clamped
from ...rules import Abandon, Defer, Drop, Fail, Outcome, Raised, Returned, Verdict, decide
from ...text import error_text

if TYPE_CHECKING:
    from ...execution import Execution

__all__ = ["dropped", "fail_unhandled", "on_blocked", "verdict_on"]


def dropped(execution: Execution[Any], verdict: Drop) -> Verdict:
    """What is written of a run that is not admitted for good: a task that repeats itself goes on with the next one."""
    for dependency in get_dependency_parameters(execution.function).values():
        if isinstance(dependency, Perpetual):
            following = copy.copy(dependency)
            following.args, following.kwargs = execution.args, execution.kwargs
            return following.following() or verdict
    return verdict


def fail_unhandled(execution: Execution[Any], error: BaseException) -> Verdict:
    """What is written of a run that is not begun any more: a task that repeats itself goes on with the next one.

    Its Retry is not asked, since another attempt would end as these did, nor is any other handler: to resolve a
    dependency may be what kills the process.
    """
    try:
        for dependency in get_dependency_parameters(execution.function).values():
            if isinstance(dependency, Perpetual):
                following = copy.copy(dependency).following()
                return Fail(error) if following is None else attrs.evolve(following, call=None)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - a class of the user's: then the chain ends, which is said (I9)
        with contextlib.suppress(Exception):
            error.add_note(f"The next run could not be decided upon, either: {error_text(problem)}")
    return Fail(error)


def on_blocked(error: AdmissionBlocked, execution: Execution[Any]) -> Verdict:
    """What is written of a run that a dependency of its own does not admit."""
    if error.handled:
        return Abandon()
    if error.reschedule:
        delay = ADMISSION_BLOCKED_RETRY_DELAY if error.retry_delay is None else error.retry_delay
        return Defer(clamped(delay))
    return dropped(execution, Drop(error.reason))


async def verdict_on(
    outcome: Outcome, execution: Execution[Any], values: Iterable[Any], seconds: float
) -> Verdict:
    """Decide what follows a run of ``seconds`` whose dependencies have these values.

    A failure handler is asked first, then a completion handler; one that answers True, or leaves a ``next_run``, has
    taken care of what follows: that run is placed in the same step that ends this one.
    Raises: whatever a handler raises.
    """
    settled = decide(outcome)
    if values == () or not isinstance(outcome, Returned | Raised):
        return settled
    told = TaskOutcome(timedelta(seconds=seconds))
    if isinstance(outcome, Raised):
        told.exception = outcome.error
        for value in values:
            if isinstance(value, FailureHandler):
                value.next_run = None  # of another run, where the value is the same for all of them
                handled = await value.handle_failure(execution, told)
                if handled or value.next_run is not None:
                    return value.next_run or Fail(outcome.error)
    else:
        told.result = outcome.value
    for value in values:
        if isinstance(value, CompletionHandler):
            value.next_run = None
            handled = await value.on_complete(execution, told)
            if handled or value.next_run is not None:
                return value.next_run or settled
    return settled
