"""Calls the body of one claim: resolves what it depends on, runs it, returns how it ended."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import anyio
import attrs
from anyio import to_thread

from ...client import PerFunction, TaskFunction, check_returned
from ...dependencies import (
    AdmissionBlocked,
    AtOnce,
    Dependency,
    DependencyStack,
    FailedDependency,
    Resolved,
    Runtime,
    arguments_of,
    conflicts,
    cut_to_the_users_code,
    get_annotation_dependencies,
    get_dependency_parameters,
    resolve,
)
from ...errors import AwaitedCancelled, DeliveryLimitExceeded, ScopeLeftOpen
from ...rules import Outcome, Raised, Reschedule, Returned, Stopped, StopReason, is_a, leaves
from ...values import define
from ..reports import journal
from ..roster import Running
from .claim_tasks import ClaimTasks
from .following import ask_handlers, fail_unhandled, on_admission_blocked

__all__ = ["Caller", "is_async"]

T = TypeVar("T")


class _BodyStopped(BaseException):
    """What the dependencies of a stopped body see as they close. It is no failure of the task, so no Exception."""


_NOTHING = Returned(None)


class _Call:
    """One call: the values of its dependencies, how it ended, and the run that these want to follow."""

    __slots__ = ("began", "following", "outcome", "running", "values")

    def __init__(self, running: Running, began: float) -> None:
        self.running, self.began = running, began
        self.values: Sequence[Any] = ()
        self.outcome: Outcome = _NOTHING
        self.following: Reschedule | None = None

    def forget(self) -> None:
        """Refer to nothing: variables of frames that an error came out through lead here, and would close a circle."""
        self.values, self.outcome, self.following = (), _NOTHING, None


class _Way(NamedTuple):
    """How a function is called."""

    is_plain: bool
    """With its arguments and nothing else."""
    in_thread: bool
    at_once: AtOnce | None
    """How its dependencies open where none of them waits for anything."""


@define(eq=False)
class Caller:
    """Calls task functions for one worker; ``dependencies`` are resolved for every call, by name.

    ``tasks`` is set once the nest has its group for claims.
    """

    dependencies: Mapping[str, Dependency[Any]]
    tasks: ClaimTasks = attrs.field(init=False)
    #: There are never more threads than claims, and the reader limits these.
    _threads: anyio.CapacityLimiter = attrs.field(init=False, factory=lambda: anyio.CapacityLimiter(math.inf))
    _ways: PerFunction[_Way] = attrs.field(init=False, factory=PerFunction["_Way"])

    async def call(self, running: Running) -> tuple[Outcome, Reschedule | None, float]:
        """Run the body; return how it ended, which run its dependencies want to follow, and its seconds.

        Raises: what concerns the worker itself (`ClaimTasks.concerns_the_worker`).
        """
        began = self.tasks.time()
        if began >= running.trusted_until:  # the loop was blocked between the claim and this moment
            running.stop(StopReason.LOST)
        following: Reschedule | None = None
        if running.broken is not None:
            outcome: Outcome = Raised(running.broken)
            if isinstance(running.broken, DeliveryLimitExceeded):  # else the next run has the same arguments
                outcome, following = fail_unhandled(running.execution, running.broken)
        elif running.reason is not None:  # stopped before it began
            outcome = _stopped(running)
        else:
            running.has_begun = True
            way = self._way(running.execution.function)
            if way.is_plain:
                outcome = await self._plainly(running, way)
            else:
                call = _Call(running, began)
                await self._run(call, way)
                outcome, following = call.outcome, call.following
                call.forget()
        return outcome, following, self.tasks.time() - began

    async def _plainly(self, running: Running, way: _Way) -> Outcome:
        """Call a function that has no dependencies, so nobody is asked what follows."""
        execution = running.execution
        function = functools.partial(self._in_thread, running) if way.in_thread else execution.function
        try:
            value = await self._stoppable(running, function, *execution.args, **execution.kwargs)
            return _NOTHING if value is None else Returned(value)
        except _BodyStopped:
            return _stopped(running)
        except BaseException as error:
            if self.tasks.concerns_the_worker(error):
                raise
            return await self._raised(running, error)

    async def _run(self, call: _Call, way: _Way) -> None:
        running = call.running
        execution = running.execution
        try:
            if way.at_once is not None and way.at_once.takes(execution.args, execution.kwargs):
                await self._at_once(call, way.at_once)
            else:
                await self._stoppable(running, self._with_dependencies, call)
        except _BodyStopped:
            call.outcome, call.following = _stopped(running), None
        except BaseException as error:
            if self.tasks.concerns_the_worker(error):
                raise
            call.outcome = await self._raised(running, error)  # no variable of this frame: a circle
            await self._ended(call, call.outcome)

    async def _raised(self, running: Running, error: BaseException) -> Outcome:
        """The outcome of a run that raised."""
        outcome = self._outcome_of(running, error)
        cut_to_the_users_code(error)
        if self.tasks.is_cancelled():
            await self.tasks.absorb()
        return outcome

    async def _stoppable(
        self, running: Running, call: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any
    ) -> T:
        """Await ``call(*args, **kwargs)`` in a scope that `Running.stop` cancels.

        Raises: _BodyStopped - it did; ScopeLeftOpen - scopes that were entered in there are still open; what it raises.
        """
        raised: BaseException | None = None
        try:
            with running.scope(self.tasks.scope):
                try:
                    returned = await call(*args, **kwargs)
                    if running.reason is None and self.tasks.is_cancelled():
                        # The body cancelled its own task, and has returned all the same.
                        await self.tasks.absorb()
                    if returned is not None:
                        check_returned(returned, running.execution.function_name)
                    return returned
                except BaseException as error:
                    raised = error
                    raise
        except RuntimeError as error:
            if error is raised or isinstance(error, RecursionError):
                raise
            if running.left_open is None:
                running.left_open = _left_open(running, self.tasks.leave_scopes_open())
            raise running.left_open from error
        finally:
            del raised  # it leads to this frame
        raise _BodyStopped

    async def _at_once(self, call: _Call, dependencies: AtOnce) -> None:
        execution = call.running.execution
        found = await dependencies.open(execution.function, execution.args, execution.kwargs)
        if found.left is None:
            await self._resolved(call, found)
            return
        self._ways[execution.function] = self._way(execution.function)._replace(at_once=None)
        await self._stoppable(call.running, self._with_dependencies, call, found)

    async def _with_dependencies(self, call: _Call, begun: Resolved | None = None) -> None:
        running = call.running
        execution = running.execution
        function = execution.function
        given = arguments_of(function, execution.args, execution.kwargs)
        if self.dependencies and (wrong := conflicts(function, self.dependencies)):
            raise _dependency_failure(list(wrong.values()))
        async with DependencyStack() as stack:
            await self._resolved(call, await resolve(stack, function, given, self.dependencies, begun))
            return
        # A dependency has suppressed what the body raised; it cannot undo that the body was stopped (I6).
        await self._ended(call, Returned(None) if running.reason is None else _stopped(running))

    async def _resolved(self, call: _Call, found: Resolved) -> None:
        """Call the body, if all its dependencies are there."""
        running = call.running
        call.values = found.acting
        if found.failed:
            blocked = next((f.error for f in found.failed if isinstance(f.error, AdmissionBlocked)), None)
            if blocked is not None:
                call.outcome, call.following = on_admission_blocked(running.execution, blocked)
                return
            raise _dependency_failure(found.failed)
        # Only the call is stopped from here on: dependencies close undisturbed, and see why.
        try:
            if running.reason is not None:
                raise _BodyStopped
            value = await self._stoppable(running, self._bound(running, found))
        finally:
            running.detach_scope()
        await self._ended(call, Returned(value))

    async def _ended(self, call: _Call, outcome: Outcome) -> None:
        """Note how a call ended, and ask its handlers which run follows."""
        execution = call.running.execution
        call.outcome, call.following = outcome, None
        if not call.values:
            return
        try:
            seconds = self.tasks.time() - call.began
            call.following = await ask_handlers(outcome, execution, call.values, seconds)
        except BaseException as problem:
            if self.tasks.concerns_the_worker(problem) or self.tasks.is_cancellation(problem):
                raise
            # A handler of the user's, or a next run that cannot be (I9).
            call.outcome, call.following = fail_unhandled(execution, problem)

    def _bound(self, running: Running, found: Resolved) -> Callable[[], Awaitable[Any]]:
        """The call of the body, by its `Runtime` if it has one."""
        execution, body = running.execution, self._body(running)
        args, kwargs = found.call(execution.function, execution.args, execution.kwargs)
        for value in found.acting:
            if isinstance(value, Runtime):
                return functools.partial(value.run, execution, body, args, kwargs)
        return functools.partial(body, *args, **kwargs)

    # plain functions --------------------------------------------------------------------------------------

    def _way(self, function: TaskFunction) -> _Way:
        way = self._ways.get(function)
        if way is None:
            has_none = not self.dependencies
            way = self._ways[function] = _Way(
                is_plain=has_none and _is_plain(function),
                in_thread=not is_async(function),
                at_once=AtOnce.of(function) if has_none else None,
            )
        return way

    def _body(self, running: Running) -> Callable[..., Awaitable[Any]]:
        """The task function as something to await: one that is not ``async`` runs in a thread."""
        function = running.execution.function
        return functools.partial(self._in_thread, running) if self._way(function).in_thread else function

    async def _in_thread(self, running: Running, /, *args: Any, **kwargs: Any) -> Any:
        """Call a plain function in a thread. Cancel: not before it has ended (I3); the lease is kept meanwhile."""
        function = running.execution.function
        running.uninterruptible = True
        results: list[object] = []
        raised: list[BaseException] = []

        # trio's threads refuse to return a coroutine, and keep in a circle what they raise.
        def call() -> None:
            try:
                results.append(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - is raised below
                raised.append(error)

        try:
            await to_thread.run_sync(call, limiter=self._threads)
        finally:
            running.uninterruptible = False
        if raised:
            raise raised.pop()
        returned = results.pop()
        if inspect.isawaitable(returned):  # it only made a coroutine, as a decorated function does
            self._ways[function] = self._way(function)._replace(in_thread=False)
            return await returned
        return returned

    def _outcome_of(self, running: Running, error: BaseException) -> Outcome:
        """The outcome of a run that raised, or whose dependencies did."""
        if running.reason is not None:
            if not self._is_stop(error):
                journal.log_raised_while_stopped(running, error)
            return _stopped(running)
        if not self._is_stop(error):
            return Raised(error)
        if self.tasks.is_cancellation(error):
            return Stopped(StopReason.ASKED)  # the body cancelled itself
        awaited = AwaitedCancelled("the task awaited something that somebody else had cancelled")
        awaited.__cause__ = error
        return Raised(awaited)

    def _is_stop(self, error: BaseException) -> bool:
        stops = self.tasks.cancelled, _BodyStopped
        if not is_a(error, BaseExceptionGroup):
            return is_a(error, stops)
        return all(is_a(part, stops) for part in leaves(error))


def _stopped(running: Running) -> Stopped:
    assert running.reason is not None  # only `Running.stop` cancels the body's scope
    return (
        Stopped(running.reason)
        if running.place is None
        else Stopped(running.reason, running.place.put_off_for)
    )


def _left_open(running: Running, tasks: Sequence[str]) -> ScopeLeftOpen:
    holding = f", which holds {len(tasks)} tasks ({', '.join(tasks[:3])})" if tasks else ""
    return ScopeLeftOpen(
        f"task {running.execution.function_name!r} has ended with a cancel scope or task group still open{holding}: "
        "an async generator that has entered one was not closed; use `async with contextlib.aclosing(generator)`"
    )


def _is_plain(function: TaskFunction) -> bool:
    return not (get_dependency_parameters(function) or get_annotation_dependencies(function))


def is_async(function: object) -> bool:
    """Whether a call makes a coroutine, also through `functools.partial` and an object's ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - not whether it is callable, but how
    )


def _dependency_failure(failed: list[FailedDependency]) -> ExceptionGroup[Exception]:
    names = ", ".join(failure.parameter for failure in failed)
    return ExceptionGroup(
        f"Failed to resolve dependencies for parameter(s): {names}", [failure.error for failure in failed]
    )
