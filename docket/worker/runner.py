"""Runs one claim: calls the body, decides, settles."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from anyio import get_cancelled_exc_class
from redis.exceptions import RedisError

from .. import clock
from ..calls import get_signature
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
from ..execution import Execution, ExecutionFailed
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
from ..store import Claims, Message, Settled, dump, dump_value
from .outage import Outages, is_disruption
from .roster import Roster, Running

if TYPE_CHECKING:
    from ..docket import Docket
    from .worker import Worker

__all__ = ["Runner"]

logger = logging.getLogger("docket.worker")


def _cancelled_from_outside(error: BaseException) -> bool:
    """Whether a cancellation that our own scope did not catch was asked for by somebody; see the backend module."""
    if type(error).__module__.startswith("asyncio"):
        from .backend_asyncio import cancelled_from_outside

        return cancelled_from_outside()
    return True


@attrs.define(eq=False)
class Runner:
    """Runs claims for one worker; one child of the work group per claim."""

    docket: Docket
    worker: Worker
    claims: Claims
    roster: Roster
    outages: Outages
    begun: Callable[[str], Any]
    """Awaited with the key before a body starts."""
    limits: dict[str, int] | None = None
    """How often each of these keys may still run; None where nothing is limited."""

    async def run(self, running: Running) -> None:
        """Run one claim to its end. Leaves it to redelivery if Redis stays away past the lease (I3)."""
        try:
            current_docket.set(self.docket)
            current_worker.set(self.worker)
            current_execution.set(running.execution)
            await self.begun(running.execution.key)
            if self.limits is not None and self.limits.get(running.execution.key, 1) <= 0:
                verdict: Verdict = Cancel()
            else:
                verdict = await self._verdict(running)
            await self._settle(running, verdict)
        finally:
            self.roster.remove(running)

    # the body --------------------------------------------------------------------------------------------

    async def _verdict(self, running: Running) -> Verdict:
        execution = running.execution
        resolved: dict[str, Any] = {}
        outcome = await self._outcome(running, resolved)
        policy, following = RetryPolicy(), None
        for value in resolved.values():
            if isinstance(value, Retry):
                policy = value.policy()
            elif isinstance(value, Perpetual):
                following = value.following()
        verdict = decide(outcome, attempt=execution.attempt, retry=policy, now=clock.now())
        limited = self.limits is not None and execution.key in self.limits
        if self.limits is not None and limited and isinstance(verdict, Complete | Fail):
            self.limits[execution.key] -= 1
            if self.limits[execution.key] <= 0:
                return verdict
        if isinstance(verdict, Complete | Fail) and following is not None:
            _log_end(running, verdict)
            return following
        return verdict

    async def _outcome(self, running: Running, resolved: dict[str, Any]) -> Outcome:
        if running.broken is not None:
            return Raised(running.broken)
        try:
            with running.body:
                try:
                    return Returned(await self._call(running.execution, resolved))
                except (Exception, SystemExit) as error:  # a task that exits must not take the worker along (I9)
                    return Raised(error)
        except get_cancelled_exc_class() as cancelled:
            if _cancelled_from_outside(cancelled):
                raise
            return Stopped(StopReason.ASKED)  # the body cancelled itself
        assert running.reason is not None  # only `Running.stop` cancels the body's scope
        return Stopped(running.reason)

    async def _call(self, execution: Execution[Any], resolved: dict[str, Any]) -> Any:
        function = execution.function
        if not (get_dependency_parameters(function) or get_annotation_dependencies(function)):
            return await _awaited(execution, function(*execution.args, **execution.kwargs))
        given = get_signature(function).bind_partial(*execution.args, **execution.kwargs).arguments
        async with resolved_dependencies(function, dict(given)) as values:
            resolved.update(values)
            failed = [value for value in values.values() if isinstance(value, FailedDependency)]
            if failed:
                raise _dependency_failure(failed)
            supplied = {name: value for name, value in values.items() if name not in given}
            return await _awaited(execution, function(*execution.args, **execution.kwargs, **supplied))

    # the end ---------------------------------------------------------------------------------------------

    async def _settle(self, running: Running, verdict: Verdict) -> None:
        attempt = 0
        while True:
            try:
                settled = await self._write(running, verdict)
            except RedisError as error:
                if not is_disruption(error):
                    raise
                self.outages.noted(error)
                if clock.monotonic() > running.trusted_until:
                    logger.warning("%r ended, but Redis stayed away; it will be redelivered", running.execution)
                    return
                attempt += 1
                await self.outages.pause(attempt)
            else:
                if settled is not Settled.OK:
                    logger.info("%r was superseded while it ran", running.execution)
                elif self.limits is not None and self.limits.get(running.execution.key, 1) <= 0:
                    await self.docket.cancel(running.execution.key)
                return

    async def _write(self, running: Running, verdict: Verdict) -> Settled:
        delivery = running.delivery
        match verdict:
            case Complete(value):
                return await self._write_complete(running, value)
            case Fail(error):
                return await self._write_failure(running, error)
            case Cancel():
                return await self.claims.settle(delivery, state="cancelled")
            case HandBack():
                return await self.claims.hand_back(delivery)
            case Abandon():
                return Settled.LOST
            case Reschedule():
                return await self.claims.reschedule(delivery, _following(delivery.message, verdict))

    async def _write_complete(self, running: Running, value: Any) -> Settled:
        if value is None or not self.docket.execution_ttl:
            return await self.claims.settle(running.delivery, state="completed")
        try:
            text = dump_value(value)
        except Exception as error:  # pickling runs the value's own code: it may raise anything
            name = running.execution.function_name
            return await self._write_failure(running, TypeError(f"the result of task {name!r} cannot be pickled: {error}"))
        return await self.claims.settle(running.delivery, state="completed", result=await self._keep(running, text))

    async def _write_failure(self, running: Running, error: BaseException) -> Settled:
        said = f"{type(error).__name__}: {error}"
        if not self.docket.execution_ttl:
            return await self.claims.settle(running.delivery, state="failed", error=said)
        try:
            text = dump_value(error)
        except Exception:  # an exception that cannot be pickled is kept as what it said
            text = dump_value(ExecutionFailed(said))
        return await self.claims.settle(
            running.delivery, state="failed", error=said, result=await self._keep(running, text)
        )

    async def _keep(self, running: Running, text: str) -> tuple[str, str | None]:
        """Where the result goes: its key, and the text if Redis is to keep it (else it was put elsewhere)."""
        message = running.delivery.message
        result_key = f"{message.key}:{message.generation}"
        running.execution.result_key = result_key
        storage = self.docket.result_storage
        if storage is None:
            return result_key, text
        await storage.put(result_key, {"data": text}, ttl=self.docket.execution_ttl.total_seconds())
        return result_key, None


async def _awaited(execution: Execution[Any], returned: Any) -> Any:
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


def _following(message: Message, verdict: Reschedule) -> Message:
    following = attrs.evolve(message, when=verdict.when, attempt=verdict.attempt)
    if verdict.call is None:
        return following
    args, kwargs = verdict.call
    return attrs.evolve(following, args=dump(args), kwargs=dump(kwargs))


def _log_end(running: Running, verdict: Verdict) -> None:
    if isinstance(verdict, Fail):
        logger.error("%r failed; its next run is scheduled", running.execution, exc_info=verdict.error)
