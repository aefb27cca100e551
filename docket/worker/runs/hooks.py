"""The hooks of a worker: functions that it calls with each run that has ended here."""

from __future__ import annotations

import functools
import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import anyio
import attrs
from anyio import to_thread

from ...dependencies import is_generator_function
from ...rules import Outcome, Raised, Reschedule, Returned, Stopped, StopReason
from ...store import Settled
from ...text import readable
from ...values import define, frozen
from ..reports import journal
from ..roster import End, Running
from .calling import is_async

if TYPE_CHECKING:
    from ...execution import Execution
    from .claim_tasks import ClaimTasks

__all__ = ["HOOK_SECONDS", "EndedRun", "Hooks", "RunHook", "checked_hooks"]

#: How many seconds a hook gets. Its task counts as one of the worker's ``concurrency`` meanwhile.
HOOK_SECONDS = 10.0


@frozen(kw_only=True, eq=False)
class EndedRun:
    """One run of a task that has ended on this worker, as a hook of the worker is given it.

    What is told has been written: to a retry that is announced here ``cancel`` would come too late for this attempt.
    """

    execution: Execution[Any]
    ended: Literal["succeeded", "failed", "cancelled"]
    exception: BaseException | None
    """Why it failed: what the task raised, or what kept it from running or its result from being kept."""
    result: Any
    """What the task returned; None unless it succeeded."""
    duration: timedelta
    """How long it ran; zero where it did not begin."""
    then: Literal["", "retried", "perpetuated"]
    """What follows under the same key: another attempt, the next run of a perpetual task, or nothing."""
    next_at: datetime | None
    """When that is due."""

    @property
    def is_last(self) -> bool:
        """Whether no further attempt follows: a failure that is told with this is for good."""
        return self.then != "retried"


RunHook: TypeAlias = Callable[[EndedRun], Awaitable[object] | object]


def checked_hooks(given: RunHook | Sequence[RunHook] | None) -> tuple[RunHook, ...]:
    """The hooks that a worker was given. Raises: TypeError - one of them cannot be called with a run."""
    hooks = () if given is None else (given,) if callable(given) else tuple(given)
    for hook in hooks:
        if not callable(hook) or is_generator_function(hook):
            raise TypeError(
                f"on_run_ended takes functions that are called with an EndedRun, not {type(hook).__name__}: "
                f"{readable(repr(hook))}"
            )
    return hooks


@define(eq=False)
class Hooks:
    """Calls the hooks of one worker, one after another. Whatever they do, the run is settled by then (I9)."""

    hooks: Sequence[RunHook]
    _threads: anyio.CapacityLimiter = attrs.field(init=False, factory=lambda: anyio.CapacityLimiter(math.inf))

    async def call(self, running: Running, end: End, settled: Settled, tasks: ClaimTasks) -> None:
        """Tell the hooks of a run that is settled.

        Raises: what concerns the worker itself (`ClaimTasks.concerns_the_worker`), also while a hook runs.
        """
        if (ended := _ended(running, end, settled)) is None:
            return
        for hook in self.hooks:
            try:
                with anyio.move_on_after(HOOK_SECONDS) as limit:
                    await self._call(hook, ended)
                if limit.cancelled_caught:
                    journal.log_hook(running, hook, None, HOOK_SECONDS)
            except BaseException as error:
                if tasks.concerns_the_worker(error):
                    raise
                journal.log_hook(running, hook, error, HOOK_SECONDS)
            if tasks.is_cancelled():
                await tasks.absorb()

    async def _call(self, hook: RunHook, ended: EndedRun) -> None:
        if is_async(hook):
            answer = hook(ended)
        else:
            call = functools.partial(hook, ended)
            # A thread that hangs is left alone: nothing can end it.
            answer = await to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._threads)
        if isinstance(answer, Awaitable):
            await answer


def _ended(running: Running, end: End, settled: Settled) -> EndedRun | None:
    """What hooks are told of a run; None where it has not ended: it is put off, handed back, or another worker's."""
    if settled is Settled.LOST or (how := _how(end.outcome, settled)) is None:
        return None
    execution, verdict = running.execution, end.verdict
    then = end.then(execution.attempt) if settled is Settled.OK else ""
    return EndedRun(
        execution=execution,
        ended=how,
        exception=end.outcome.error if isinstance(end.outcome, Raised) else None,
        result=end.outcome.value if isinstance(end.outcome, Returned) else None,
        duration=timedelta(seconds=end.seconds or 0.0),
        then=then,
        next_at=verdict.when if isinstance(verdict, Reschedule) and then else None,
    )


def _how(outcome: Outcome, settled: Settled) -> Literal["succeeded", "failed", "cancelled"] | None:
    match outcome:
        case Raised():
            return "failed"
        case Returned():
            return "cancelled" if settled is Settled.ASKED else "succeeded"
        case Stopped(StopReason.ASKED):
            return "cancelled"
        case _:
            return None
