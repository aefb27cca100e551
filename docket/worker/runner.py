"""Runs one claim: calls the body, decides what follows, has it settled."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from anyio import get_cancelled_exc_class

from .. import clock
from ..calls import TaskFunction, get_signature
from ..dependencies import (
    FailedDependency,
    Perpetual,
    Retry,
    current_docket,
    current_execution,
    current_worker,
    get_annotation_dependencies,
    get_dependency_parameters,
    resolved_dependencies,
)
from ..errors import UnknownTask
from ..execution import Execution
from ..rules import (
    Abandon,
    Cancel,
    Complete,
    Fail,
    HandBack,
    Outcome,
    Raised,
    Reschedule,
    RetryPolicy,
    Returned,
    Stopped,
    StopReason,
    Verdict,
    decide,
)
from ..store import Settled
from .fallback import default_fallback_task
from .groups import leaves
from .roster import Roster, Running
from .settling import LeaseOver, Settling
from .upkeep import Listener

if TYPE_CHECKING:
    from ..docket import Docket
    from .backend_asyncio import Sentinel
    from .worker import Worker

__all__ = ["Runner"]

logger = logging.getLogger("docket.worker")


class _BodyStopped(BaseException):
    """What the dependencies of a stopped body see as they close. No Exception: it is no failure of the task."""


@attrs.define(eq=False)
class Runner:
    """Runs claims for one worker; one child of the work group per claim."""

    docket: Docket
    worker: Worker
    roster: Roster
    settling: Settling
    listener: Listener
    limits: dict[str, int]
    """How often each of these keys may still run; the others without limit."""
    sentinel: Sentinel | None = attrs.field(init=False, default=None)
    """Set on asyncio: tells the shutdown of the loop from a body that cancels itself."""
    #: What anyio finds out anew for each scope: 3 us of the 150 that a task takes.
    _scopes: type[anyio.CancelScope] = attrs.field(init=False, factory=lambda: type(anyio.CancelScope()))
    _plain: dict[TaskFunction, bool] = attrs.field(init=False, factory=dict[TaskFunction, bool])

    async def run(self, running: Running) -> None:
        """Run one claim to its end. Leaves it to redelivery if Redis stays away past the lease (I3)."""
        execution = running.execution
        try:
            current_docket.set(self.docket)
            current_worker.set(self.worker)
            current_execution.set(execution)
            if self.listener.must_recheck(running):
                await self.settling.insist(running, lambda: self.listener.recheck(running))
            if self.limits and not self._may_run(running):
                verdict: Verdict = Cancel()
            else:
                verdict = await self._verdict(running)
            settled = await self.settling.settle(running, verdict)
            if settled is Settled.SUPERSEDED:
                logger.info("%r was superseded while it ran", execution)
            if running.last and not isinstance(verdict, HandBack | Abandon):
                await self.settling.insist(running, lambda: self.docket.cancel(execution.key))
        except LeaseOver:
            logger.warning("%r ended, but Redis stayed away; it will be redelivered", execution)
        finally:
            self.roster.remove(running)

    def _may_run(self, running: Running) -> bool:
        """Count a run of a limited key; whether there was one left."""
        key = running.execution.key
        left = self.limits.get(key)
        if left is None:
            return True
        self.limits[key] = max(left - 1, 0)
        running.last = left <= 1
        return left > 0

    # the body --------------------------------------------------------------------------------------------

    async def _verdict(self, running: Running) -> Verdict:
        execution = running.execution
        resolved: dict[str, Any] = {}
        if logger.isEnabledFor(logging.INFO):
            logger.info("Starting %r, attempt %d", execution, execution.attempt)
        outcome = await self._outcome(running, resolved)
        try:
            verdict = _decided(execution, outcome, resolved)
        except Exception as error:  # noqa: BLE001 - a dependency may ask for what cannot be (I9)
            outcome, verdict = Raised(error), Fail(error)
        if running.last and isinstance(verdict, Reschedule):
            verdict = decide(outcome, attempt=execution.attempt, now=clock.now())
        _log_end(running, outcome, verdict)
        return verdict

    async def _outcome(self, running: Running, resolved: dict[str, Any]) -> Outcome:
        if running.broken is not None:
            return Raised(running.broken)
        if running.reason is not None:  # stopped before it began
            return Stopped(running.reason)
        execution = running.execution
        plain = self._plain.get(execution.function)
        if plain is None:
            plain = self._plain[execution.function] = _is_plain(execution.function)
        try:
            if plain:
                with running.scope(self._scopes):
                    return Returned(await _awaited(execution, {}))
            else:
                with running.scope(self._scopes):
                    return await self._with_dependencies(running, resolved)
        except BaseException as error:
            parts = list(leaves(error))
            if self._concerns_us(parts):
                raise
            return _outcome_of(running, error, parts)
        assert running.reason is not None  # only `Running.stop` cancels the body's scope
        return Stopped(running.reason)

    async def _with_dependencies(self, running: Running, resolved: dict[str, Any]) -> Outcome:
        execution = running.execution
        function = execution.function
        given = get_signature(function).bind_partial(*execution.args, **execution.kwargs).arguments
        async with resolved_dependencies(function, dict(given)) as values:
            resolved.update(values)
            failed = [value for value in values.values() if isinstance(value, FailedDependency)]
            if failed:
                raise _dependency_failure(failed)
            supplied = {name: value for name, value in values.items() if name not in given}
            # Only the call is stopped from here on: dependencies close undisturbed, and see why.
            with running.scope(self._scopes):
                if running.reason is not None:
                    raise _BodyStopped
                returned = Returned(await _awaited(execution, supplied))
                running.let_end()
                return returned
            running.let_end()
            raise _BodyStopped

    def _concerns_us(self, parts: list[BaseException]) -> bool:
        """Whether what came out of a body is for the worker: the end of the process, or of its own scopes."""
        cancelled = get_cancelled_exc_class()
        if any(isinstance(leaf, KeyboardInterrupt | GeneratorExit) for leaf in parts):
            return True
        if not any(isinstance(leaf, cancelled) for leaf in parts):
            return False
        if anyio.current_effective_deadline() == -math.inf:
            return True
        return self.sentinel is not None and self.sentinel.loop_shuts_down()


def _decided(execution: Execution[Any], outcome: Outcome, resolved: Mapping[str, Any]) -> Verdict:
    """What follows a run, by what its dependencies say; a retry comes before the next run of a perpetual task."""
    policy, following = RetryPolicy(), None
    for value in resolved.values():
        if isinstance(value, Retry):
            policy = value.policy()
        elif isinstance(value, Perpetual):
            following = value.following()
    verdict = decide(outcome, attempt=execution.attempt, retry=policy, now=clock.now())
    return following if following is not None and isinstance(verdict, Complete | Fail) else verdict


def _is_plain(function: TaskFunction) -> bool:
    return not (get_dependency_parameters(function) or get_annotation_dependencies(function))


def _outcome_of(running: Running, error: BaseException, parts: list[BaseException]) -> Outcome:
    cancelled = get_cancelled_exc_class()
    if running.reason is not None:
        if not all(isinstance(leaf, cancelled | _BodyStopped) for leaf in parts):
            logger.warning("%r raised while it was stopped", running.execution, exc_info=error)
        return Stopped(running.reason)
    if all(isinstance(leaf, cancelled) for leaf in parts):
        return Stopped(StopReason.ASKED)  # the body cancelled itself
    return Raised(error)


async def _awaited(execution: Execution[Any], supplied: Mapping[str, Any]) -> Any:
    returned: object = execution.function(*execution.args, **execution.kwargs, **supplied)
    if not inspect.isawaitable(returned):
        raise TypeError(
            f"task {execution.function_name!r} returned {type(returned).__name__}, which cannot be awaited; "
            "a task is an `async def` function"
        )
    return await returned


def _dependency_failure(failed: list[FailedDependency]) -> ExceptionGroup[Exception]:
    names = ", ".join(failure.parameter for failure in failed)
    return ExceptionGroup(
        f"Failed to resolve dependencies for parameter(s): {names}", [failure.error for failure in failed]
    )


def _log_end(running: Running, outcome: Outcome, verdict: Verdict) -> None:
    execution = running.execution
    if isinstance(outcome, Raised):
        if isinstance(outcome.error, UnknownTask) and execution.function is default_fallback_task:
            return  # was said there
        if isinstance(verdict, Reschedule):
            logger.warning("%r failed; it runs again at %s", execution, verdict.when, exc_info=outcome.error)
        else:
            logger.error("%r failed", execution, exc_info=outcome.error)
    elif logger.isEnabledFor(logging.INFO):
        match outcome:
            case Returned():
                logger.info("%r has returned", execution)
            case Stopped(reason):
                logger.info("%r was stopped (%s)", execution, reason.value)
