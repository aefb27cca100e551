"""From how a run ended to what is written about it, by what its dependencies say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..dependencies import CompletionHandler, FailureHandler, TaskOutcome
from ..rules import Fail, Outcome, Raised, Returned, Verdict, decide

if TYPE_CHECKING:
    from ..execution import Execution

__all__ = ["verdict_on"]


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
                handled = await value.handle_failure(execution, told)
                if handled or value.next_run is not None:
                    return value.next_run or Fail(outcome.error)
    else:
        told.result = outcome.value
    for value in values:
        if isinstance(value, CompletionHandler):
            handled = await value.on_complete(execution, told)
            if handled or value.next_run is not None:
                return value.next_run or settled
    return settled
