"""A time limit for each run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Self, TypeVar, TypeVarTuple, Unpack

import anyio
from anyio import NoEventLoopError, from_thread, get_current_task

from .. import clock
from ..moments import check_duration, clamped
from .base import Runtime, copied

__all__ = ["Timeout"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Timeout(Runtime["Timeout"]):
    """Stop a run that takes longer than ``base``: it fails with a TimeoutError, and a Retry applies.

    The time begins with the body, after its dependencies are resolved. When it is up, the body is cancelled at its next
    await and at each one after that, so catching the cancellation gains no time; its result is discarded. A body that
    cannot be interrupted is stopped late: one that blocks the loop, a plain function in its thread, shielded code. As a
    dependency its value can `extend` the time, also from that thread.

    Raises: TypeError - ``base`` is no timedelta; UsageError (a ValueError) - it is not above zero.
    """

    __module__ = "docket.dependencies"  # an argument of this class travels under the name that pydocket has for it, too

    base: timedelta

    def __init__(self, base: timedelta) -> None:
        self.base = check_duration("Timeout", base, positive=True)
        self._allowed = base
        self._deadline: float | None = None
        self._scope: anyio.CancelScope | None = None

    async def __aenter__(self) -> Self:
        running = copied(self)
        running._allowed, running._deadline, running._scope = self.base, None, None
        return running

    # for the task ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start or restart the time. The worker does so before it calls the body."""
        self._put_off(clock.monotonic() + self._allowed.total_seconds())

    def expired(self) -> bool:
        """Whether the time is up."""
        return self._deadline is not None and _on_loop(self._expired)

    def remaining(self) -> timedelta:
        """The time that is left; negative once it is up."""
        return (
            self._allowed if self._deadline is None else timedelta(seconds=_on_loop(self._remaining_seconds))
        )

    def extend(self, by: timedelta | None = None) -> None:
        """Give this run more time: ``by``, or ``base`` once more. Without effect once the time is up.

        Raises: TypeError, UsageError - ``by`` is not a duration from zero.
        """
        more = clamped(self.base) if by is None else check_duration("extend", by)
        if self._deadline is None:
            self._allowed = clamped(self._allowed + more)
        else:
            _on_loop(self._extend, self._deadline, more)

    def _extend(self, deadline: float, more: timedelta) -> None:
        if not self._expired():
            self._allowed = clamped(self._allowed + more)
            self._put_off(deadline + more.total_seconds())

    def _put_off(self, deadline: float) -> None:
        self._deadline = deadline
        if self._scope is not None:
            self._scope.deadline = deadline

    def _expired(self) -> bool:
        stopped = self._scope is not None and self._scope.cancel_called
        return stopped or self._remaining_seconds() <= 0

    def _remaining_seconds(self) -> float:
        assert self._deadline is not None  # called only after the start
        return self._deadline - clock.monotonic()

    # for the worker --------------------------------------------------------------------------------------

    async def run(
        self,
        execution: Any,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call ``function`` and return its result.

        Raises: TimeoutError - it took too long; whatever the function raises, also after it was stopped.
        Cancel: a cancellation from outside comes out as such, also when the time is up.
        """
        with anyio.CancelScope() as self._scope:
            self.start()
            returned = await function(*args, **kwargs)
            if not self._scope.cancel_called and self._remaining_seconds() >= 0:
                return returned
        raise TimeoutError(
            f"Docket task {execution.key} exceeded timeout of {self._allowed.total_seconds()}s"
        )


def _on_loop(function: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
    """Call a function on the event loop of this thread, or on the loop that has started this thread."""
    try:
        get_current_task()
    except NoEventLoopError:
        return from_thread.run_sync(function, *args)
    return function(*args)
