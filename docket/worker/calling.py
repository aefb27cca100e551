"""Calls the body of one claim: resolves what it depends on, runs it, hears how it ended."""

from __future__ import annotations

import functools
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from anyio import get_cancelled_exc_class, to_thread

from ..calls import TaskFunction, get_signature
from ..clock import monotonic
from ..dependencies import (
    AdmissionBlocked,
    Dependency,
    FailedDependency,
    Resolved,
    Runtime,
    conflicts,
    get_annotation_dependencies,
    get_dependency_parameters,
    resolve,
)
from ..errors import DeliveryLimitExceeded
from ..rules import Blocked, Complete, Fail, Outcome, Raised, Returned, Stopped, StopReason, Verdict
from .deciding import given_up, on_blocked, verdict_on
from .groups import leaves
from .roster import Running

if TYPE_CHECKING:
    from .backend_asyncio import Sentinel

__all__ = ["Caller"]

logger = logging.getLogger("docket.worker")


class _BodyStopped(BaseException):
    """What the dependencies of a stopped body see as they close. No Exception: it is no failure of the task."""


class _Run:
    """One call: the values of its dependencies, how it ended and what was decided about that."""

    __slots__ = ("began", "error", "outcome", "running", "values", "verdict")

    def __init__(self, running: Running) -> None:
        self.running = running
        self.began = monotonic()
        self.values: Iterable[Any] = ()
        self.outcome: Outcome = Returned(None)
        self.verdict: Verdict = Complete(None)
        self.error: BaseException | None = None

    @property
    def seconds(self) -> float:
        return monotonic() - self.began

    async def ended(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Note how it ended, by ``error`` if that is so, and decide what follows."""
        self.outcome, self.error = outcome, error
        try:
            if isinstance(self.running.broken, DeliveryLimitExceeded):
                self.verdict = given_up(self.running.execution, self.running.broken)
            else:
                self.verdict = await verdict_on(outcome, self.running.execution, self.values, self.seconds)
        except Exception as problem:  # noqa: BLE001 - a handler of the user's, or a next run that cannot be (I9)
            self.outcome, self.verdict = Raised(problem), Fail(problem)


@attrs.define(eq=False)
class Caller:
    """Calls task functions for one worker; ``dependencies`` are resolved for every call, by name."""

    dependencies: Mapping[str, Dependency[Any]]
    sentinel: Sentinel | None = attrs.field(init=False, default=None)
    """Set on asyncio: tells the shutdown of the loop from a body that cancels itself."""
    #: What anyio finds out anew for each scope: 3 us of the 150 that a task takes.
    _scopes: type[anyio.CancelScope] = attrs.field(init=False, factory=lambda: type(anyio.CancelScope()))
    #: There are never more threads than claims, and how many of these there are is the reader's business.
    _threads: anyio.CapacityLimiter = attrs.field(init=False, factory=lambda: anyio.CapacityLimiter(math.inf))
    _plain: dict[TaskFunction, bool] = attrs.field(init=False, factory=dict[TaskFunction, bool])
    _threaded: dict[TaskFunction, bool] = attrs.field(init=False, factory=dict[TaskFunction, bool])

    async def call(self, running: Running) -> tuple[Outcome, Verdict, float]:
        """Run the body; return how it ended, what follows, and how many seconds it took.

        Raises: only what concerns the worker itself (its own cancellation, the end of the process).
        """
        run = _Run(running)
        if run.began >= running.trusted_until:  # the loop was blocked between the claim and this moment
            running.stop(StopReason.LOST)
        if running.broken is not None:
            await run.ended(Raised(running.broken))
        elif running.reason is not None:  # stopped before it began
            await run.ended(Stopped(running.reason))
        else:
            await self._run(run)
        return run.outcome, run.verdict, run.seconds

    async def _run(self, run: _Run) -> None:
        running = run.running
        function = running.execution.function
        plain = self._plain.get(function)
        if plain is None:
            plain = self._plain[function] = not self.dependencies and _is_plain(function)
        try:
            with running.scope(self._scopes):
                if plain:
                    execution = running.execution
                    value = await self._body(running)(*execution.args, **execution.kwargs)
                    await run.ended(Returned(value))
                else:
                    await self._with_dependencies(run)
                return
        except BaseException as error:
            if error is run.error:
                return
            parts = list(leaves(error))
            if self._concerns_us(parts):
                raise
            await run.ended(_outcome_of(running, error, parts), error)
            return
        assert running.reason is not None  # only `Running.stop` cancels the body's scope
        await run.ended(Stopped(running.reason))

    async def _with_dependencies(self, run: _Run) -> None:
        running = run.running
        execution = running.execution
        function = execution.function
        given = get_signature(function).bind_partial(*execution.args, **execution.kwargs).arguments
        if self.dependencies and (wrong := conflicts(function, self.dependencies)):
            raise _dependency_failure(list(wrong.values()))
        async with AsyncExitStack() as stack:
            run.values = found = await resolve(stack, function, given, self.dependencies)
            if found.failed:
                blocked = next((f.error for f in found.failed if isinstance(f.error, AdmissionBlocked)), None)
                if blocked is not None:
                    await run.ended(Blocked(on_blocked(blocked, execution)))
                    return
                raise _dependency_failure(found.failed)
            # Only the call is stopped from here on: dependencies close undisturbed, and see why.
            with running.scope(self._scopes):
                if running.reason is not None:
                    raise _BodyStopped
                value = await self._called(running, found)
                running.let_end()
                await run.ended(Returned(value))
                return
            running.let_end()
            raise _BodyStopped
        # A dependency has suppressed what the body raised; it cannot undo that the body was stopped (I6).
        await run.ended(Returned(None) if running.reason is None else Stopped(running.reason))

    async def _called(self, running: Running, found: Resolved) -> Any:
        execution, body = running.execution, self._body(running)
        for value in found:
            if isinstance(value, Runtime):
                return await value.run(
                    execution, body, execution.args, {**execution.kwargs, **found.supplied}
                )
        return await body(*execution.args, **execution.kwargs, **found.supplied)

    # plain functions --------------------------------------------------------------------------------------

    def _body(self, running: Running) -> Callable[..., Awaitable[Any]]:
        """The task function as something to be awaited: one that is not ``async`` runs in a thread."""
        function = running.execution.function
        threaded = self._threaded.get(function)
        if threaded is None:
            threaded = self._threaded[function] = not _is_async(function)
        return functools.partial(self._in_thread, running) if threaded else function

    async def _in_thread(self, running: Running, *args: Any, **kwargs: Any) -> Any:
        """Call a plain function in a thread. Cancel: not before it has ended (I3); the lease is kept meanwhile."""
        function = running.execution.function
        running.uninterruptible = True
        try:
            # In a tuple, since trio refuses threads that return a coroutine.
            call: Callable[[], tuple[object]] = lambda: (function(*args, **kwargs),)  # noqa: E731
            [returned] = await to_thread.run_sync(call, limiter=self._threads)
        finally:
            running.uninterruptible = False
        if inspect.isawaitable(returned):  # it only made a coroutine, as a decorated function does
            self._threaded[function] = False
            return await returned
        return returned

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


def _is_plain(function: TaskFunction) -> bool:
    return not (get_dependency_parameters(function) or get_annotation_dependencies(function))


def _is_async(function: object) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - not whether it is callable, but how
    )


def _outcome_of(running: Running, error: BaseException, parts: list[BaseException]) -> Outcome:
    cancelled = get_cancelled_exc_class()
    if running.reason is not None:
        if not all(isinstance(leaf, cancelled | _BodyStopped) for leaf in parts):
            logger.warning("%r raised while it was stopped", running.execution, exc_info=error)
        return Stopped(running.reason)
    if all(isinstance(leaf, cancelled) for leaf in parts):
        return Stopped(StopReason.ASKED)  # the body cancelled itself
    return Raised(error)


def _dependency_failure(failed: list[FailedDependency]) -> ExceptionGroup[Exception]:
    names = ", ".join(failure.parameter for failure in failed)
    return ExceptionGroup(
        f"Failed to resolve dependencies for parameter(s): {names}", [failure.error for failure in failed]
    )
